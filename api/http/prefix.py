"""Paths of one token, `/tokens/TSLA.M/v1/...`: how a proxy finds the server that trades it."""

from collections.abc import Awaitable, Callable

from litestar.types import ASGIApp, Receive, Scope, Send

from api.http.outside import refuse
from api.http.problems import ProblemError

PREFIX = "/tokens/"


IsHere = Callable[[str], bool]
"""Whether a token is traded at this server."""


def without_prefix(path: str, is_here: IsHere) -> str:
    """Return a path without the prefix of a token, where it has one.

    Raises:
        ProblemError: The token is traded elsewhere.
    """
    if path.startswith(PREFIX):
        token, _, rest = path[len(PREFIX) :].partition("/")
        if rest.startswith("v1/"):
            if not is_here(token):
                text = "The token of the path is not traded at this server."
                raise ProblemError("TOKEN_ELSEWHERE", text)
            return f"/{rest}"
    return path


class TokenPrefix:
    """Serves `/tokens/{TOKEN}/v1/...` as `/v1/...`, where the token is one of this server.

    What is signed stays the path as it was sent. Other paths pass at the cost of a comparison.

    Attributes:
        app: Whom requests are handed to.
    """

    def __init__(self, app: ASGIApp, is_here: IsHere) -> None:
        self.app = app
        self._is_here = is_here

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Hand a request on, without its prefix."""
        path = scope.get("path", "")  # that the server's life begins or ends has none
        if path.startswith(PREFIX):
            try:
                scope["path"] = without_prefix(path, self._is_here)
            except ProblemError as error:
                return refuse(scope, send, error)
        return self.app(scope, receive, send)
