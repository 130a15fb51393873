"""The access log: a line for every request, where an operator wants that."""

from time import perf_counter

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.logs import Access, Log


class AccessLog:
    """Notes what was asked by its route, never by what its caller has written."""

    def __init__(self, app: ASGIApp, log: Log) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, and note its answer."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        begun = perf_counter()
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            taken = round(1e3 * (perf_counter() - begun), 3)
            principal = scope.get("auth")
            self._log.access(
                Access(
                    scope["method"],
                    scope.get("path_template", ""),
                    status,
                    taken,
                    getattr(principal, "key_id", ""),
                    getattr(principal, "account", ""),
                    scope["state"].get("request_id", ""),
                )
            )
