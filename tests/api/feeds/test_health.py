"""How sources are, as anybody may read it."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from amm.units import SECOND_MS
from api.access.ring import KeyRing
from api.clock import Clock
from api.exchange import Exchange
from api.feeds.health import FAULT_MAX, Watch
from api.http.app import create_app
from api.http.metrics import Metrics
from api.http.patience import Patience
from api.logs import Log
from api.service import Service
from api.settings import Settings
from api.simulations.desk import Desk
from api.storage.engines import access_engine
from api.stream.hub import Hub
from tests.api.conftest import until
from tests.api.feeds.fakes import FakeDeribit, FakeHermes, now_s, price
from tests.api.feeds.test_deribit import good
from tests.api.feeds.test_median import both
from tests.api.feeds.test_pyth import said, status

NOW_MS = 10**12


def test_a_source_is_as_fresh_as_its_symbols() -> None:
    watch = Watch("pyth", ("BTC", "ETH"))
    assert watch.health(NOW_MS).state == "starting"
    watch.heard([("BTC", NOW_MS)])
    assert watch.health(NOW_MS).state == "part"
    watch.heard([("ETH", NOW_MS + SECOND_MS)])
    health = watch.health(NOW_MS + 10 * SECOND_MS)
    assert (health.state, health.last_ms, health.messages) == ("live", NOW_MS + SECOND_MS, 2)
    assert watch.health(NOW_MS + 11 * SECOND_MS).state == "part"
    assert watch.health(NOW_MS + 12 * SECOND_MS).state == "down"


def test_a_source_that_only_fails_is_down() -> None:
    watch = Watch("pyth", ("BTC",))
    watch.failed("no\x1b[31m connection\n" + "x" * 1_000)
    health = watch.health(NOW_MS)
    assert (health.state, health.failures) == ("down", 1)
    assert health.last_error is not None
    assert health.last_error.isprintable()
    assert len(health.last_error) == FAULT_MAX


def test_a_refused_source_is_so_until_it_is_good() -> None:
    """Other symbols change nothing, and other faults do not hide the reason."""
    watch = Watch("pyth", ("BTC", "ETH"))
    watch.heard([("BTC", NOW_MS), ("ETH", NOW_MS)])
    watch.refused("BTC", "ten times")
    watch.failed("no good price")
    watch.heard([("ETH", NOW_MS + SECOND_MS)])
    for late_ms in (0, 60 * SECOND_MS):
        health = watch.health(NOW_MS + late_ms)
        assert (health.state, health.failures, health.last_error) == ("refused", 2, "ten times")
    watch.heard([("BTC", NOW_MS + SECOND_MS)])
    health = watch.health(NOW_MS)
    assert (health.state, health.last_error) == ("live", "no good price")


def answers(exchange: Exchange, tmp_path: Path) -> tuple[dict[str, Any], str, int]:
    """Return status, metrics and readiness of a server whose Pyth is half there."""

    async def story() -> tuple[dict[str, Any], str, int]:
        hermes = FakeHermes(status("503 Service Unavailable"), said(price(now_s())))
        deribit = FakeDeribit(good)
        async with hermes.running(), deribit.running():
            service = Service(exchange, Clock(), both(hermes, deribit), 0)
            keys = KeyRing(access_engine(exchange.store.url), bytes(32))
            settings = Settings(database=exchange.store.url, master_key=tmp_path / "k")
            hub = Hub(service, keys)
            desk = Desk()
            metrics = Metrics(service, Log("json", "error"), Patience(), hub.counts, desk.counts)
            app: Any = create_app(service, keys, settings, metrics, hub, desk)
            await service.start()
            try:
                async with httpx.AsyncClient(
                    transport=httpx.ASGITransport(app), base_url="http://test"
                ) as http:
                    await until(lambda: all(each.last_ms for each in service.feed_health()))
                    return (
                        (await http.get("/v1/status")).json(),
                        (await http.get("/metrics")).text,
                        (await http.get("/readyz")).status_code,
                    )
            finally:
                await service.stop()
                keys.close()

    return asyncio.run(story())


def test_status_and_metrics_tell_of_each_source(exchange: Exchange, tmp_path: Path) -> None:
    told, metrics, readiness = answers(exchange, tmp_path)
    assert told["feed"] == "pyth,deribit"
    pyth, deribit = told["feeds"]
    assert (pyth["name"], pyth["state"], pyth["last_error"]) == ("pyth", "part", "HTTP 503")
    failures = pyth["failures"]
    assert pyth["reconnects"] == failures >= 1
    assert (deribit["state"], deribit["failures"], deribit["last_error"]) == ("part", 0, None)
    assert {each["symbol"]: each["published"] > 0 for each in deribit["prices"]} == {
        "BTC": True,
        "ETH": False,
    }
    lines = metrics.splitlines()
    assert f'evergamma_feed_failures_total{{source="pyth"}} {float(failures)}' in lines
    assert 'evergamma_feed_reconnects_total{source="pyth"} 1.0' in lines
    assert 'evergamma_feed_state{source="deribit",state="part"} 1.0' in lines
    assert 'evergamma_feed_state{source="deribit",state="live"} 0.0' in lines
    ages = [line for line in lines if line.startswith("evergamma_feed_age_seconds{")]
    assert len(ages) == 4
    assert readiness == 200
