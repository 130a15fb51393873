"""The busiest routes, answered in front of the framework.

To find a route, read its arguments and wrap its answer costs the framework as much as a trade costs
the exchange. Routes that say `express` in `opt` are found and read here. Gate, function and answers
are the same; the framework documents them, and takes every other spelling of their paths.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import Receive, Scope, Send

from api.http import headers
from api.http.bodies import BodyRequest, decoder, read_body
from api.http.context import is_idempotency_key
from api.http.gate import Gate
from api.http.problems import ProblemError, response_to

_NAME = r"(?P<\1>[ -.0-~]{1,128})"
"""A name in a path; the framework refuses what is none."""


@dataclass(frozen=True, slots=True)
class _Route:
    """A route with a body and an idempotency key, as the framework has it."""

    template: str
    pattern: re.Pattern[str]
    documented: HTTPRouteHandler
    body: msgspec.json.Decoder[Any]

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the arguments, and answer with what the route's function returns."""
        request = BodyRequest(scope, receive, send)
        try:
            response = await self.documented.fn(
                request=request,
                data=read_body(self.body, await request.body()),
                idempotency_key=_key_of(scope),
                **scope["path_params"],
            )
        except Exception as error:  # noqa: BLE001 - each kind has its answer
            response = response_to(request, error)
        await response.to_asgi_response(None, request)(scope, receive, send)


def _key_of(scope: Scope) -> str:
    """Return the idempotency key of a request.

    Raises:
        ProblemError: It has none.
    """
    key = headers.value_of(scope, headers.IDEMPOTENCY_KEY)
    if is_idempotency_key(key):
        return key
    detail = "An Idempotency-Key of 1 to 128 characters is needed."
    raise ProblemError("IDEMPOTENCY_KEY_MALFORMED", detail)


def _routes_of(framework: Litestar) -> Iterator[_Route]:
    """Yield the routes that are to be answered here."""
    for route in framework.routes:
        for each in route.route_handlers if isinstance(route, HTTPRoute) else ():
            if each.opt.get("express"):
                pattern = re.sub(r"\{(\w+)\}", _NAME, route.path_format)
                body = decoder(each.parsed_fn_signature.parameters["data"].annotation)
                yield _Route(route.path, re.compile(pattern), each, body)


class Express:
    """An application that answers the busiest POSTs itself and hands everything else on."""

    def __init__(self, framework: Litestar, gate: Gate) -> None:
        self.framework = framework
        self._gate = gate
        routes = list(_routes_of(framework))
        self._plain = {each.template: each for each in routes if "{" not in each.template}
        self._patterned = [each for each in routes if "{" in each.template]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or have it answered."""
        route = self._find(scope) if scope["type"] == "http" else None
        if route is None:
            await self.framework(scope, receive, send)
            return
        scope.setdefault("state", {})
        scope["app"] = scope["litestar_app"] = self.framework
        scope["route_handler"], scope["path_template"] = route.documented, route.template
        try:
            await self._gate.handle(scope, receive, send, route.answer)
        except ProblemError as error:
            request = BodyRequest(scope, receive, send)
            response = response_to(request, error)
            await response.to_asgi_response(None, request)(scope, receive, send)

    def _find(self, scope: Any) -> _Route | None:
        """Return whose request it is, its path read; None for one of the framework's."""
        if scope["method"] != "POST":
            return None
        path: str = scope["path"]
        if path in self._plain:
            scope["path_params"] = {}
            return self._plain[path]
        for each in self._patterned:
            if match := each.pattern.fullmatch(path):
                scope["path_params"] = match.groupdict()
                return each
        return None
