"""Deribit, well and badly behaved, over real sockets."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection

from amm.units import HOUR_MS
from api.clock import Clock
from api.feeds import Observation
from api.feeds.deribit import DeribitReader, DeribitSource
from api.feeds.health import FeedHealth
from tests.api.feeds.fakes import GIVEN_UP, PACE, Act, FakeDeribit, FakeHermes, Talk, listened, told
from tests.api.feeds.test_pyth import JSON, bounded

PRICE, VOL = "deribit_price_index", "deribit_volatility_index"
BTC, ETH = f"{PRICE}.btc_usd", f"{PRICE}.eth_usd"
GOOD_E8 = 60_000_12 * 10**6


def hear(*acts: Act, count: int = 1) -> tuple[list[Observation], FeedHealth, FakeDeribit]:
    """Return what is heard of a server that plays these acts."""
    deribit = FakeDeribit(*acts)

    async def story() -> tuple[list[Observation], FeedHealth]:
        async with deribit.running():
            source = DeribitSource(deribit.url, pace=PACE)
            return await listened(source, lambda seen: len(seen) >= count)

    return *asyncio.run(story()), deribit


def now_ms() -> int:
    return Clock().wall_ms()


async def good(socket: ServerConnection) -> None:
    await socket.send(told(BTC, timestamp=now_ms(), price=60_000.12, index_name="btc_usd"))
    await socket.wait_closed()


def said(*messages: str | bytes) -> Act:
    """Return the act in which messages are sent, then nothing."""

    async def act(socket: ServerConnection) -> None:
        for each in messages:
            await socket.send(each)
        await socket.wait_closed()

    return act


def test_indices_come_with_the_vol_index() -> None:
    at_ms = now_ms() - 2_000
    seen, health, deribit = hear(
        said(
            told(BTC, timestamp=at_ms, price=60_000.12),
            told(f"{VOL}.btc_usd", timestamp=at_ms, volatility=45.31),
            told(ETH, timestamp=at_ms, price=4_000),
            told(BTC, timestamp=at_ms + 1, price=60_000.123456789),
        ),
        count=3,
    )
    assert seen == [
        Observation("BTC", GOOD_E8, 0, at_ms),
        Observation("ETH", 4_000 * 10**8, 0, at_ms),
        Observation("BTC", 6_000_012_345_679, 0, at_ms + 1, 453_100_000, vol_ms=at_ms),
    ]
    assert (health.state, health.failures, health.reconnects) == ("live", 0, 0)
    heartbeat, subscribe = deribit.asked
    assert heartbeat["method"] == "public/set_heartbeat"
    assert heartbeat["params"]["interval"] >= 10
    assert subscribe["method"] == "public/subscribe"
    names = {f"{kind}.{name}_usd" for kind in (PRICE, VOL) for name in ("btc", "eth")}
    assert set(subscribe["params"]["channels"]) == names


def test_it_answers_that_it_is_there() -> None:
    answers: list[dict[str, Any]] = []

    async def act(socket: ServerConnection) -> None:
        request = {"method": "heartbeat", "params": {"type": "test_request"}}
        await socket.send(json.dumps({"jsonrpc": "2.0"} | request))
        answers.append(json.loads(await socket.recv()))
        await good(socket)

    hear(act)
    assert [each["method"] for each in answers] == ["public/test"]


NO_PRICE: dict[str, tuple[str, str]] = {
    "null": (told(BTC, timestamp=1, price=None), "without a price"),
    "NaN": (told(BTC, timestamp=1, price=float("nan")), "a message that is none"),
    "NaN in words": (told(BTC, timestamp=1, price="NaN"), "a number that is none"),
    "zero": (told(BTC, timestamp=1, price=0), "not positive"),
    "negative": (told(BTC, timestamp=1, price=-1.5), "not positive"),
    "huge": (told(BTC, timestamp=1, price=1e30), "huge"),
    "huger": (told(BTC, timestamp=1, price=0).replace(": 0", ": 1e999999"), "out of reach"),
    "stale": (told(BTC, timestamp=now_ms() - 60_000, price=6e4), "older than 10 s"),
    "from the future": (told(BTC, timestamp=now_ms() + 10**6, price=6e4), "from the future"),
    "no time": (told(BTC, timestamp=-5, price=6e4), "time"),
    "no vol": (told(f"{VOL}.btc_usd", timestamp=1), "without a value"),
    "a vol too low": (told(f"{VOL}.btc_usd", timestamp=1, volatility=0.45), "between 5 %"),
    "a vol too high": (told(f"{VOL}.btc_usd", timestamp=1, volatility=4e4), "between 5 %"),
    "no data": (told(BTC), "a notification that is none"),
    "no object": ("[1, 2]", "a message that is none"),
    "deep": ("[" * 50_000, "a message that is none"),
    "an error": ('{"error": {"code": 1, "message": "no\\nsuch"}}', "an error"),
}


@pytest.mark.parametrize("wrong", NO_PRICE)
def test_what_is_no_price_is_passed_over(wrong: str) -> None:
    message, words = NO_PRICE[wrong]
    seen, health, _ = hear(said(message, told(BTC, timestamp=now_ms(), price=60_000.12)))
    assert [(each.price_e8, each.vol_e9) for each in seen] == [(GOOD_E8, 0)]
    assert (health.failures, health.reconnects) == (1, 0)
    assert health.last_error is not None
    assert words in health.last_error
    assert health.last_error.isprintable()


async def silent(socket: ServerConnection) -> None:
    await socket.wait_closed()


async def cut_off(socket: ServerConnection) -> None:
    socket.transport.abort()


async def closed(socket: ServerConnection) -> None:
    await socket.close(1013, "try again later")


async def others(socket: ServerConnection) -> None:
    """Say only what nobody asked for."""
    while True:
        await socket.send(told(f"{PRICE}.sol_usd", timestamp=now_ms(), price=200))
        await asyncio.sleep(0.02)


async def flood(socket: ServerConnection) -> None:
    await socket.send("9" * 1_000_000)
    await socket.wait_closed()


NO_CONNECTION: dict[str, tuple[Act, str]] = {
    "silent": (silent, GIVEN_UP),
    "cut off": (cut_off, "the connection is closed"),
    "closed": (closed, "try again later"),
    "others": (others, GIVEN_UP),
    "flood": (flood, "the connection is closed"),
}


@pytest.mark.parametrize("wrong", NO_CONNECTION)
def test_a_lost_connection_is_made_again(wrong: str) -> None:
    act, words = NO_CONNECTION[wrong]
    seen, health, _ = hear(act, good)
    assert [each.price_e8 for each in seen] == [GOOD_E8]
    assert (health.failures, health.reconnects) == (1, 1)
    assert health.last_error is not None
    assert words in health.last_error


def test_a_server_that_is_none_is_asked_again_and_again() -> None:
    async def refused(talk: Talk) -> None:
        await talk.answer(b"no", "503 Service Unavailable")

    async def story() -> FeedHealth:
        async with FakeHermes(refused).running() as server:
            source = DeribitSource(server.url.replace("http", "ws"), pace=PACE)
            listening = asyncio.ensure_future(listened(source, lambda _: True))
            while source.watch.failures < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        return source.health(now_ms())[0]

    health = asyncio.run(story())
    assert health.state == "down"
    assert health.messages == 0
    assert "503" in str(health.last_error)


def test_a_vol_is_given_for_an_hour() -> None:
    reader, at_ms = DeribitReader(("BTC",)), 10**12
    reader.read(told(f"{VOL}.btc_usd", timestamp=at_ms, volatility=45))
    reader.read(told(f"{VOL}.btc_usd", timestamp=at_ms - 1, volatility=80))

    def vol_at(time_ms: int) -> int:
        (seen,) = reader.read(told(BTC, timestamp=time_ms, price=6e4)).prices
        return seen.vol_e9

    assert vol_at(at_ms + HOUR_MS) == 450_000_000
    assert vol_at(at_ms + HOUR_MS + 1) == 0


@given(st.binary(max_size=200) | JSON.map(lambda each: json.dumps(each).encode()))
def test_any_bytes_are_read(payload: bytes) -> None:
    bounded(lambda: DeribitReader(("BTC",)).read(payload))


@given(JSON, JSON | st.integers(), st.sampled_from([PRICE, VOL]))
def test_any_notification_is_read(price: Any, timestamp: Any, kind: str) -> None:
    message = told(f"{kind}.btc_usd", timestamp=timestamp, price=price, volatility=price)
    bounded(lambda: DeribitReader(("BTC",)).read(message))


@given(st.decimals(0, 10**9, places=10, allow_nan=False))
def test_a_price_is_the_nearest_integer(price: Any) -> None:
    text = told(BTC, timestamp=1, price=0).replace('"price": 0', f'"price": {price:f}')
    prices = DeribitReader(("BTC",)).read(text).prices
    assert prices or price * 10**8 * 2 < 1
    for seen in prices:
        assert abs(seen.price_e8 - price * 10**8) * 2 <= 1
