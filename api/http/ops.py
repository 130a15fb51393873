"""What those who run the exchange ask it: whether it lives, takes orders, and how it does."""

from collections.abc import Awaitable
from typing import Any

from litestar import MediaType, Response, get
from litestar.types import ASGIApp, Receive, Scope, Send
from prometheus_client import CONTENT_TYPE_LATEST

from api.http.context import Asking, service_of
from api.http.metrics import Metrics
from api.http.outside import refuse
from api.http.problems import ProblemError, documented
from api.wire import Health

_OWN = frozenset({"/healthz", "/readyz", "/metrics"})
_OPEN: dict[str, Any] = {"tags": ["ops"], "opt": {"weight": 0}}


@get("/healthz", responses=documented(400, 401, 413), **_OPEN)
async def get_health() -> Health:
    """Answer while the process lives."""
    return Health(status="ok")


@get("/readyz", responses=documented(400, 401, 413, 503), **_OPEN)
async def get_readiness(request: Asking) -> Health:
    """Answer while commands are taken and every invariant holds."""
    service = service_of(request)
    if not service.is_ready:
        raise ProblemError("UNAVAILABLE", "The exchange is stopping.")
    if service.invariants != "hold":
        raise ProblemError("UNAVAILABLE", f"The invariant {service.invariants} is broken.")
    return Health(status="ok")


@get("/metrics", media_type=MediaType.TEXT, responses=documented(400, 401, 413), **_OPEN)
async def get_metrics(request: Asking) -> Response[bytes]:
    """Return counters and gauges for Prometheus."""
    metrics: Metrics = request.app.state.metrics
    return Response(await metrics.text(), media_type=CONTENT_TYPE_LATEST)


ROUTES = [get_health, get_readiness, get_metrics]


class OpsListener:
    """Keeps `/metrics` to a listener of its own, which has nothing else but health."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._port = port

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Hand a request on that came to the right listener."""
        path = scope.get("path")
        if path is not None:
            server = scope["server"]
            is_own = server is not None and server[1] == self._port
            if (path not in _OWN) if is_own else path == "/metrics":
                return refuse(scope, send, ProblemError("NOT_FOUND", "It is not at this address."))
        return self._app(scope, receive, send)
