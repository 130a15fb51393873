"""What those who run the exchange ask it: whether it lives, takes orders, and how it does."""

from typing import Any

from litestar import MediaType, Response, get
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.http.context import Asking, service_of
from api.http.metrics import Metrics
from api.http.problems import ProblemError, documented
from api.wire import Health

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
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


ROUTES = [get_health, get_readiness, get_metrics]
