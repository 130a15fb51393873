"""The HTTP application put together."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from api.http import (
    account,
    documents,
    operator,
    ops,
    orders,
    pools,
    positions,
    provide,
    public,
    quotes,
)
from api.http.bodies import BodyRequest
from api.http.buckets import Buckets
from api.http.gate import Gate
from api.http.metrics import Metrics
from api.http.problems import HANDLERS
from api.keys import KeyRing
from api.service import Service
from api.settings import Settings

ROUTES = [
    *public.ROUTES,
    *pools.ROUTES,
    *quotes.ROUTES,
    *orders.ROUTES,
    *positions.ROUTES,
    *account.ROUTES,
    *provide.ROUTES,
]


def _weights() -> dict[str, int]:
    """Return what requests weigh that weigh more than 1."""
    weights = {}
    for prefix, routes in (("/v1", ROUTES), ("/v1/operator", operator.ROUTES)):
        for route in routes:
            assert isinstance(route, HTTPRouteHandler)
            weight = route.opt.get("weight", 1)
            for path in route.paths:
                for method in route.http_methods - {"OPTIONS"}:
                    if weight > 1:
                        weights[f"{method} {prefix}{documents.plain(path)}"] = weight
    return weights


def _lifespan(service: Service) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def run(_app: Litestar) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    return run


def create_app(service: Service, keys: KeyRing, settings: Settings) -> Litestar:
    """Return the application of an exchange; it starts and stops the service with itself."""
    metrics = Metrics(service)
    per_second = settings.rate_per_second if settings.is_rate_limited else 0
    buckets = Buckets(settings.rate_burst, per_second)
    state: dict[str, Any] = {
        "service": service,
        "keys": keys,
        "metrics": metrics,
        "buckets": buckets,
        "weights": _weights(),
    }
    return Litestar(
        route_handlers=[
            Router(
                "/v1", route_handlers=[*ROUTES, Router("/operator", route_handlers=operator.ROUTES)]
            ),
            *ops.ROUTES,
            *documents.ROUTES,
        ],
        middleware=[Gate(service.clock, keys, buckets, metrics, settings.body_max)],
        exception_handlers=HANDLERS,
        lifespan=[_lifespan(service)],
        openapi_config=documents.config(),
        request_class=BodyRequest,
        plugins=[documents.ClosedStructPlugin()],
        state=State(state),
        logging_config=None,
        request_max_body_size=None,
    )
