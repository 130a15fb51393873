"""The HTTP application put together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from api.access.destinations import AddressBook
from api.access.logins import Logins
from api.access.ring import KeyRing
from api.access.trail import Trail
from api.depeg import Stocks
from api.http import (
    account,
    audit,
    documents,
    keys,
    login,
    operator,
    ops,
    orders,
    pools,
    positions,
    provide,
    public,
    quotes,
    simulations,
    withdrawals,
)
from api.http.audit import Audited, Auditor
from api.http.bodies import BodyRequest
from api.http.buckets import Buckets
from api.http.express import Express
from api.http.gate import Gate
from api.http.metrics import Metrics
from api.http.problems import HANDLERS
from api.http.proxies import Proxies
from api.http.stream import Doorway
from api.service import Service
from api.settings import Settings
from api.simulations.desk import Desk
from api.stream.hub import Hub

ROUTES = [
    *public.ROUTES,
    *pools.ROUTES,
    *quotes.ROUTES,
    *orders.ROUTES,
    *positions.ROUTES,
    *account.ROUTES,
    *provide.ROUTES,
    *simulations.ROUTES,
    *login.OPEN_ROUTES,
    *withdrawals.OPEN_ROUTES,
]
OWNED = [*keys.ROUTES, *login.ROUTES, *withdrawals.ROUTES]
"""What owners do that is written down."""
OPERATED = [
    *operator.ROUTES,
    *withdrawals.OPERATOR_ROUTES,
    *keys.OPERATOR_ROUTES,
    *audit.ROUTES,
]


def _weights() -> dict[str, int]:
    """Return what requests weigh that weigh more than 1."""
    weights = {}
    for prefix, routes in (("/v1", ROUTES + OWNED), ("/v1/operator", OPERATED)):
        for route in routes:
            assert isinstance(route, HTTPRouteHandler)
            weight = route.opt.get("weight", 1)
            for path in route.paths:
                for method in route.http_methods - {"OPTIONS"}:
                    if weight > 1:
                        weights[f"{method} {prefix}{documents.plain(path)}"] = weight
    return weights


def _sequence_of(service: Service, key: str) -> int | None:
    """Return which record of the journal has an idempotency key."""
    record = service.exchange.store.record_of(key)
    return None if record is None else record.sequence


def _lifespan(
    service: Service, metrics: Metrics, hub: Hub, trail: Trail, desk: Desk
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def run(_app: Litestar) -> AsyncIterator[None]:
        await service.start()
        hub.start()
        desk.start()
        lag = asyncio.create_task(metrics.measure_lag())
        try:
            yield
        finally:
            lag.cancel()
            await desk.stop()
            await hub.stop()
            await service.stop()
            await trail.stop()

    return run


def create_app(
    service: Service, ring: KeyRing, settings: Settings, metrics: Metrics, hub: Hub, desk: Desk
) -> Express:
    """Return the application of an exchange; it starts and stops the service with itself."""
    per_second = settings.rate_per_second if settings.is_rate_limited else 0
    buckets = Buckets(settings.rate_burst, per_second)
    trail = Trail(ring.engine, partial(_sequence_of, service), settings.database.shard)
    auditor = Auditor(trail, service.clock, service.exchange)
    gate = Gate(service, ring, buckets, metrics, settings.body_max, auditor.refused)
    audited = [Audited()]

    def is_here(token: str) -> bool:
        return token in service.exchange.memory.tokens

    state: dict[str, Any] = {
        "keys": ring,
        "trail": trail,
        "auditor": auditor,
        "book": AddressBook(ring.engine, settings.withdrawal_hold_ms),
        "logins": Logins(*settings.site),
        "simulations": desk,
        "metrics": metrics,
        "stocks": Stocks(),
        "buckets": buckets,
        "weights": _weights(),
        "doorway": Doorway(hub, gate, buckets, Proxies(settings.trusted_proxies), is_here),
    }
    framework = Litestar(
        route_handlers=[
            Router("/v1", route_handlers=ROUTES),
            Router("/v1", route_handlers=OWNED, middleware=audited),
            Router("/v1/operator", route_handlers=OPERATED, middleware=audited),
            *ops.ROUTES,
            *documents.ROUTES,
        ],
        middleware=[gate],
        exception_handlers=HANDLERS,
        lifespan=[_lifespan(service, metrics, hub, trail, desk)],
        openapi_config=documents.config(),
        request_class=BodyRequest,
        plugins=[documents.ScenarioSchemaPlugin(), documents.ClosedStructPlugin()],
        state=State(state),
        logging_config=None,
        request_max_body_size=None,
    )
    return Express(framework, gate)
