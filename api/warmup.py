"""Every kernel and every answer, tried before the first caller waits for one."""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from amm.units import MINUTE_MS, YEAR_MS
from api.access.records import ROLES
from api.access.ring import KeyRing
from api.client import AsyncClient
from api.clock import Clock
from api.demo import DEMO_TOKENS, PROVIDER, seed_demo
from api.exchange import Exchange
from api.http.app import create_app
from api.http.metrics import Metrics
from api.http.patience import Patience
from api.logs import Log
from api.service import Service
from api.settings import Settings
from api.simulations.desk import Desk
from api.storage.engines import access_engine
from api.storage.store import open_store
from api.stream.hub import Hub

_TOKEN = DEMO_TOKENS[0]
_SERIES = f"BTC-{_TOKEN}-100000-C"
_NOW_MS = 50 * YEAR_MS
_STANDING = 1e-9
"""The speed of a clock that stands still: however long a kernel takes, its mark is fresh."""


def warm_up() -> None:
    """Ask everything once of an exchange that is thrown away.

    It takes seconds where the machine code is on disk, and a minute where it is to be made.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would tell of every request
    with tempfile.TemporaryDirectory(prefix="evergamma-") as folder:
        place = Path(folder)
        store = open_store(place / "warm.sqlite")
        exchange = Exchange(store)
        seed_demo(exchange, _NOW_MS, (_TOKEN,))
        keys = KeyRing(access_engine(store.url), bytes(32))
        settings = Settings(database=store.url, master_key=place / "warm.key")
        asyncio.run(_ask_everything(exchange, keys, settings))
        keys.close()
        store.close()


async def _ask_everything(exchange: Exchange, keys: KeyRing, settings: Settings) -> None:
    clock = Clock(_STANDING, _NOW_MS - MINUTE_MS)
    service = Service(exchange, clock, None, fill_delay_ms=0)
    key = keys.create(PROVIDER, ROLES, None, _NOW_MS)
    hub = Hub(service, keys)
    desk = Desk()
    metrics = Metrics(service, Log("json", "error"), Patience(), hub.counts, desk.counts)
    app: Any = create_app(service, keys, settings, metrics, hub, desk)
    await service.start()
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
            client = AsyncClient("http://warm", key.id, key.secret, http=http)
            await _trade(client)
            await _provide(client)
            await _govern(client)
            await _read(client)
    finally:
        await service.stop()


async def _trade(client: AsyncClient) -> None:
    await client.quote(_SERIES, "1", account=PROVIDER)
    bought = await client.open(_SERIES, "1", limit_total="1")
    assert bought.position_id is not None
    await client.quote(_SERIES, "1", "close", account=PROVIDER)
    await client.set_self_funding(bought.position_id, True)
    await client.position(bought.position_id)
    await _drain(client.positions())
    await client.close(bought.position_id, "0.5")


async def _provide(client: AsyncClient) -> None:
    asked = await client.redeem(_TOKEN, "main", "1")
    await client.deposit(_TOKEN, "insurance", "1")
    await client.cancel_request(asked.id)
    await client.withdraw(_TOKEN, "1")
    await client.provider()


async def _govern(client: AsyncClient) -> None:
    """Announce and do what halts trading while it is done: nobody shall wait for a compiler."""
    operator, now_ms = client.operator, (await client.time()).exchange_time
    await operator.set_parameters(_TOKEN, {"fee": 0.001}, now_ms)
    await operator.announce_split(_TOKEN, 2, 1, now_ms)
    await operator.apply_action(_TOKEN)
    await operator.announce_dividend(_TOKEN, "1", now_ms)
    await operator.apply_action(_TOKEN)


async def _read(client: AsyncClient) -> None:
    await client.status()
    await client.instrument(_SERIES)
    await client.scenarios(_TOKEN)
    await client.account()
    for listing in (
        client.underlyings(),
        client.tokens(),
        client.instruments(),
        client.tickers(),
        client.pools(),
        client.parameters(),
        client.corporate_actions(),
        client.public_trades(_TOKEN),
        client.pool_history(_TOKEN),
        client.mark_history(_SERIES),
        client.flushes(_TOKEN),
        client.orders(),
        client.trades(),
        client.premium_payments(),
        client.ledger(),
        client.withdrawals(),
        client.requests(),
    ):
        await _drain(listing)


async def _drain(listing: AsyncIterator[Any]) -> None:
    """Read a list to its end."""
    async for _ in listing:
        pass
