"""Hermes, well and badly behaved, over real sockets."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection

from api.clock import Clock
from api.feeds import Observation
from api.feeds.belief import LastIndex
from api.feeds.exact import PRICE_MAX_E8
from api.feeds.health import FeedHealth
from api.feeds.outside import outside_feed
from api.feeds.places import PYTH_IDS, PythSettings
from api.feeds.pyth import PythReader, PythSource
from tests.api.conftest import until
from tests.api.feeds.fakes import (
    GIVEN_UP,
    HEAD,
    PACE,
    Act,
    FakeDeribit,
    FakeHermes,
    Scene,
    Talk,
    event,
    listened,
    now_s,
    price,
    told,
    update,
)

KEY = "hermes-key-that-nobody-else-knows"
NOW_S = 1_790_000_000
GOOD_E8 = 60_000 * 10**8


def hear(*scenes: Scene, count: int = 1) -> tuple[list[Observation], FeedHealth, FakeHermes]:
    """Return what is heard of a server that plays these scenes."""
    hermes = FakeHermes(*scenes)

    async def story() -> tuple[list[Observation], FeedHealth]:
        async with hermes.running():
            source = PythSource(PythSettings(url=hermes.url, key=KEY), PACE)
            return await listened(source, lambda seen: len(seen) >= count)

    return *asyncio.run(story()), hermes


async def good(talk: Talk) -> None:
    """Say a good price, streamed or not."""
    await said(price(now_s() - 1))(talk)


def said(*items: Any) -> Scene:
    """Return the scene in which an update is given, then nothing."""

    async def scene(talk: Talk) -> None:
        if talk.is_stream:
            await talk.send(HEAD, b": keep-alive\r\n\r\n", event(update(*items)))
            await talk.stay()
        else:
            await talk.answer(update(*items))

    return scene


def test_a_stream_is_heard_with_the_key_and_the_ids() -> None:
    at_s = now_s() - 2

    async def scene(talk: Talk) -> None:
        both = event(update(price(at_s), price(at_s, "ETH", price="400000000000")))
        await talk.send(HEAD, both, event(update(price(at_s + 1))))
        await talk.stay()

    seen, health, hermes = hear(scene, count=3)
    assert seen == [
        Observation("BTC", GOOD_E8, 20 * 10**8, at_s * 1_000),
        Observation("ETH", 4_000 * 10**8, 20 * 10**8, at_s * 1_000),
        Observation("BTC", GOOD_E8, 20 * 10**8, at_s * 1_000 + 1_000),
    ]
    assert (health.state, health.failures, health.reconnects) == ("live", 0, 0)
    (talk,) = hermes.talks
    assert f"Authorization: Bearer {KEY}\r\n".encode().lower() in talk.request.lower()
    assert all(each.encode() in talk.request for each in PYTH_IDS.values())


NO_PRICE: dict[str, tuple[Any, str]] = {
    "stale": (lambda at: price(at - 60), "older than 10 s"),
    "from the future": (lambda at: price(at + 60), "from the future"),
    "before the last": (lambda at: price(at - 3), "not newer"),
    "nothing": (lambda at: price(at, price="0"), "not positive"),
    "negative": (lambda at: price(at, price="-5"), "not positive"),
    "NaN": (lambda at: price(at, price="NaN"), "no number"),
    "null": (lambda at: price(at, price=None), "no price"),
    "huge": (lambda at: price(at, price="9" * 30), "huge"),
    "huger": (lambda at: price(at, price="9" * 5_000), "no number"),
    "huge exponent": (lambda at: price(at, expo=10**9), "out of reach"),
    "another exponent": (lambda at: price(at, expo=-5), "the exponent is -5, it was -8"),
    "unsure": (lambda at: price(at, conf="60000000000"), "wider than 50 bp"),
    "surer than sure": (lambda at: price(at, conf="-1"), "no width"),
    "before time": (lambda _: price(-1), "time"),
    "after time": (lambda _: price(10**17), "time"),
    "no entry": (lambda _: 7, "no price"),
}


@pytest.mark.parametrize("wrong", NO_PRICE)
def test_what_is_no_price_is_passed_over(wrong: str) -> None:
    """The connection stays, the other symbol counts, and so does the next price."""
    at_s = now_s() - 3
    made, words = NO_PRICE[wrong]

    async def scene(talk: Talk) -> None:
        mixed = update(made(at_s + 2), price(at_s, "ETH"))
        await talk.send(HEAD, event(update(price(at_s))), event(mixed))
        await talk.send(event(b"{]"), event(update(price(at_s + 3))))
        await talk.stay()

    seen, health, _ = hear(scene, count=3)
    assert [each.symbol for each in seen] == ["BTC", "ETH", "BTC"]
    assert {each.price_e8 for each in seen} == {GOOD_E8}
    assert (health.failures, health.reconnects) == (2, 0)
    assert health.last_error == "an answer that is no price update"

    _, health, _ = hear(said(price(at_s), made(at_s + 2), price(at_s, "ETH")), good, count=2)
    assert health.last_error is not None
    assert words in health.last_error


def told_twice(**second: Any) -> tuple[list[Observation], FeedHealth]:
    """Return what is heard of BTC at 60,000 USD and something else, then of ETH."""
    at_s = now_s() - 3

    async def scene(talk: Talk) -> None:
        await talk.send(HEAD, event(update(price(at_s))), event(update(price(at_s + 1, **second))))
        await talk.send(event(update(price(at_s + 2, **second), price(at_s, "ETH"))))
        await talk.stay()

    async def story() -> tuple[list[Observation], FeedHealth]:
        hermes = FakeHermes(scene)
        async with hermes.running():
            source = PythSource(PythSettings(url=hermes.url), PACE)
            return await listened(source, lambda seen: seen[-1].symbol == "ETH")

    return asyncio.run(story())


def test_another_exponent_that_moves_no_price_is_believed() -> None:
    seen, health = told_twice(price="603000000000", conf="200000000", expo=-7)
    assert [each.price_e8 for each in seen] == [GOOD_E8, *[60_300 * 10**8] * 2, GOOD_E8]
    assert (health.state, health.failures, health.last_error) == ("live", 0, None)


def test_another_exponent_that_moves_the_price_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """It is counted each time and logged once; the other symbol counts."""
    seen, health = told_twice(expo=-7)
    assert [each.price_e8 for each in seen] == [GOOD_E8] * 2
    reason = "BTC: refused: the exponent is -7, it was -8, the price 10 times"
    assert (health.state, health.failures, health.last_error) == ("refused", 2, reason)
    assert [each.getMessage() for each in caplog.records] == [f"the source pyth: {reason}"]


def test_it_is_said_when_a_source_is_believed_again(caplog: pytest.LogCaptureFixture) -> None:
    """After a minute, however often it changed meanwhile."""

    class Hurried(Clock):
        ahead_ms = 0

        def wall_ms(self) -> int:
            return super().wall_ms() + self.ahead_ms

    async def story() -> None:
        async def scene(talk: Talk) -> None:
            at_s = now_s() - 5
            for late, expo in ((0, -8), (1, -7), (2, -8), (3, -7)):
                await talk.send(*[HEAD] * (late == 0), event(update(price(at_s + late, expo=expo))))
            await until(lambda: source.watch.messages == 4)
            clock.ahead_ms = 60_000
            await talk.send(event(update(price(at_s + 60))))
            await talk.stay()

        hermes, clock = FakeHermes(scene), Hurried()
        async with hermes.running(), asyncio.timeout(10.0):
            source = PythSource(PythSettings(url=hermes.url), PACE)
            async with aclosing(source.observations(clock)) as stream:
                for _ in range(3):
                    await anext(stream)

    asyncio.run(story())
    told_of = [each.getMessage() for each in caplog.records]
    assert len(told_of) == 2
    assert "refused" in told_of[0]
    assert told_of[1] == "the source pyth: BTC: believed again"


def heard_with(
    index: LastIndex, scene: Scene, act: Act, sources: int
) -> tuple[list[Observation], FeedHealth]:
    """Return what Pyth and Deribit are for an exchange with that index, and how Pyth is.

    Both are heard, until the median is of so many.
    """

    async def story() -> tuple[list[Observation], FeedHealth]:
        hermes, deribit = FakeHermes(scene), FakeDeribit(act)
        async with hermes.running(), deribit.running():
            feed = outside_feed(
                ("pyth", "deribit"), PythSettings(url=hermes.url), deribit.url, {"BTC": index}
            )
            return await listened(
                feed,
                lambda seen: seen[-1].sources == sources and feed.health(0)[0].messages > 0,
            )

    return asyncio.run(story())


async def steady(socket: ServerConnection) -> None:
    """Say 60,000 USD for ever."""
    while True:
        now_ms = Clock().wall_ms()
        await socket.send(told("deribit_price_index.btc_usd", timestamp=now_ms, price=60_000))
        await asyncio.sleep(0.1)


def test_a_first_price_is_measured_by_the_index() -> None:
    """The other source goes on alone."""
    index = LastIndex(61_000 * 10**8, (now_s() - 3_600) * 1_000)
    seen, health = heard_with(index, said(price(now_s() - 1, expo=-9)), steady, 1)
    assert {(each.price_e8, each.sources) for each in seen} == {(GOOD_E8, 1)}
    assert health.state == "refused"
    assert health.last_error is not None
    assert "refused: the first price is 0.0984 times the last index" in health.last_error


def test_two_sources_are_believed_against_the_index() -> None:
    async def scene(talk: Talk) -> None:
        await talk.send(HEAD)
        while True:
            await talk.send(event(update(price(now_s()))))
            await asyncio.sleep(0.1)

    index = LastIndex(6_000 * 10**8, (now_s() - 3_600) * 1_000)
    seen, _ = heard_with(index, scene, steady, 2)
    assert {each.price_e8 for each in seen} == {GOOD_E8}


def status(line: str, *headers: str) -> Scene:
    async def scene(talk: Talk) -> None:
        await talk.answer(b"no", line, *headers)

    return scene


async def silent(talk: Talk) -> None:
    await talk.stay()


async def silent_stream(talk: Talk) -> None:
    await talk.send(HEAD)
    await talk.stay()


async def trickle(talk: Talk) -> None:
    """Send a good event, too slowly ever to end it."""
    await talk.send(HEAD)
    for each in event(update(price(now_s()))):
        await talk.send(bytes([each]))
        await asyncio.sleep(0.02)


async def keep_alive(talk: Talk) -> None:
    """Send no price, but that one is there."""
    await talk.send(HEAD)
    while True:
        await talk.send(b":\n\n")
        await asyncio.sleep(0.02)


async def cut_off(talk: Talk) -> None:
    await talk.send(HEAD, event(update(price(now_s())))[:-30])


async def endless(talk: Talk) -> None:
    await talk.send(HEAD, b"data:", *[b"9" * 65_536] * 20)
    await talk.stay()


async def no_http(talk: Talk) -> None:
    await talk.send(b"\x00\xff good day\r\n\r\n")


async def gone(talk: Talk) -> None:
    await talk.send(b"")


async def error_event(talk: Talk) -> None:
    await talk.send(HEAD, b"event: error\ndata: Slow consumer\x1b: disconnected\n\n")
    await talk.stay()


def frozen_at(at_s: int) -> Scene:
    """Return the scene in which one price is said for ever."""

    async def scene(talk: Talk) -> None:
        await talk.send(HEAD)
        while True:
            await talk.send(event(update(price(at_s))))
            await asyncio.sleep(0.02)

    return scene


NO_CONNECTION: dict[str, tuple[Scene, str]] = {
    "401": (status("401 Unauthorized"), "HTTP 401: the key is refused"),
    "404": (status("404 Not Found"), "HTTP 404: an id is unknown"),
    "429": (status("429 Too Many Requests", "Retry-After: nonsense"), "HTTP 429"),
    "503": (status("503 Service Unavailable"), "HTTP 503"),
    "redirect": (status("302 Found", "Location: http://127.0.0.1:1/"), "a redirect is not"),
    "silent": (silent, "no answer in time"),
    "silent stream": (silent_stream, "no answer in time"),
    "trickle": (trickle, GIVEN_UP),
    "keep-alive": (keep_alive, GIVEN_UP),
    "cut off": (cut_off, "the stream has ended"),
    "endless": (endless, "more than a megabyte"),
    "no HTTP": (no_http, "no connection"),
    "gone": (gone, "no connection"),
    "error event": (error_event, "the stream: Slow consumer : disconnected"),
}


@pytest.mark.parametrize("wrong", NO_CONNECTION)
def test_a_lost_stream_is_replaced_by_asking(wrong: str) -> None:
    scene, words = NO_CONNECTION[wrong]
    seen, health, hermes = hear(scene, good)
    assert [each.price_e8 for each in seen] == [GOOD_E8]
    assert (health.failures, health.reconnects) == (1, 1)
    assert health.last_error is not None
    assert words in health.last_error
    assert [talk.is_stream for talk in hermes.talks] == [True, False]


async def slow_answer(talk: Talk) -> None:
    """Send a good answer, too slowly ever to end it."""
    await talk.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    for each in update(price(now_s())):
        await talk.send(bytes([each]))
        await asyncio.sleep(0.02)


async def endless_answer(talk: Talk) -> None:
    await talk.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", *[b" " * 65_536] * 20)
    await talk.stay()


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        (slow_answer, GIVEN_UP),
        (endless_answer, "more than a megabyte"),
        (silent, "no answer in time"),
        (gone, "no connection"),
    ],
)
def test_an_answer_that_is_none_is_given_up(scene: Scene, words: str) -> None:
    seen, health, hermes = hear(status("503 Service Unavailable"), scene, good)
    assert [each.price_e8 for each in seen] == [GOOD_E8]
    assert (health.failures, health.reconnects) == (2, 2)
    assert health.last_error is not None
    assert words in health.last_error
    assert [talk.is_stream for talk in hermes.talks] == [True, False, True]


def test_an_answer_without_sense_is_asked_for_again() -> None:
    async def nonsense(talk: Talk) -> None:
        await talk.answer(b"<html>")

    seen, health, hermes = hear(status("503 Service Unavailable"), nonsense, good)
    assert len(seen) == 1
    assert health.last_error == "an answer that is no price update"
    assert [talk.is_stream for talk in hermes.talks] == [True, False, False]


def test_asking_that_fails_is_replaced_by_the_stream() -> None:
    unwell = status("503 Service Unavailable")
    seen, health, hermes = hear(unwell, unwell, good)
    assert len(seen) == 1
    assert health.failures == 2
    assert [talk.is_stream for talk in hermes.talks] == [True, False, True]


def test_a_frozen_price_is_said_once_and_the_connection_given_up() -> None:
    at_s = now_s() - 3
    seen, health, hermes = hear(frozen_at(at_s), said(price(at_s + 1)), count=2)
    assert [each.published_ms for each in seen] == [at_s * 1_000, at_s * 1_000 + 1_000]
    assert health.last_error == GIVEN_UP
    assert len(hermes.talks) == 2


def test_it_goes_back_to_the_stream_after_a_while() -> None:
    """Asked for a new price every time, it is given one, until the stream has its turn again."""
    begun_s = now_s() - 9

    async def scene(talk: Talk) -> None:
        begun = len(hermes.talks)
        await said(price(min(begun_s + begun, now_s())))(talk)

    hermes = FakeHermes(status("503 Service Unavailable"), scene)

    async def story() -> None:
        async with hermes.running():
            pace = PACE._replace(poll=0.05, poll_for=0.1)
            source = PythSource(PythSettings(url=hermes.url), pace)
            await listened(source, lambda _: hermes.talks[-1].is_stream and len(hermes.talks) > 1)

    asyncio.run(story())
    kinds = [talk.is_stream for talk in hermes.talks]
    assert kinds[0]
    assert kinds[-1]
    assert not any(kinds[1:-1])
    assert len(kinds) >= 3
    assert all(b"authorization" not in talk.request.lower() for talk in hermes.talks)


def test_it_is_left_alone_for_as_long_as_it_asks() -> None:
    loop_times: list[float] = []

    def timed(scene: Scene) -> Scene:
        async def noted(talk: Talk) -> None:
            loop_times.append(asyncio.get_running_loop().time())
            await scene(talk)

        return noted

    hear(timed(status("429 Too Many Requests", "Retry-After: 1")), timed(good))
    assert loop_times[1] - loop_times[0] >= 0.99


def test_a_key_is_nowhere_to_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    _, health, _ = hear(status("401 Unauthorized"), no_http, good)
    assert "the source pyth: HTTP 401: the key is refused" in caplog.text
    assert KEY not in caplog.text
    assert KEY not in str(health)
    assert KEY not in repr(PythSettings(key=KEY))


# -- payloads


def bounded(check: Callable[[], Any]) -> None:
    """Fail where what is read is not good, whatever was given."""
    message = check()
    for seen in message.prices:
        assert 0 < seen.price_e8 <= PRICE_MAX_E8
        assert 0 <= seen.confidence_e8 <= PRICE_MAX_E8
        assert seen.published_ms > 0
    assert all(fault and "\n" not in fault for fault in message.faults)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NUMBER = st.integers() | st.integers().map(str) | st.sampled_from(["NaN", "1e5", "-0", "", "٣"])


@given(st.binary(max_size=200))
def test_any_bytes_are_read(payload: bytes) -> None:
    bounded(lambda: PythReader(PYTH_IDS).read(payload))
    bounded(lambda: PythReader(PYTH_IDS).read(b"[" * 3_000 + payload))


@given(
    st.fixed_dictionaries(
        {
            "price": NUMBER | JSON,
            "conf": NUMBER | JSON,
            "expo": st.integers(-60, 60) | JSON,
            "publish_time": st.integers() | JSON,
        }
    )
)
def test_any_price_is_read(fields: dict[str, Any]) -> None:
    bounded(lambda: PythReader(PYTH_IDS).read(update(price(1, **fields))))


@given(st.integers(1, 10**18), st.integers(-18, 2))
def test_a_price_is_the_nearest_integer(digits: int, expo: int) -> None:
    """Within half of 1e-8 of what was said, without a float; what is too small or large is none."""
    message = PythReader(PYTH_IDS).read(
        update(price(NOW_S, price=str(digits), conf="0", expo=expo))
    )
    unit = 10 ** max(-expo - 8, 0)
    scaled = digits * 10 ** max(expo + 8, 0)
    if message.prices:
        (seen,) = message.prices
        assert abs(seen.price_e8 * unit * 2 - scaled * 2) <= unit
    else:
        assert scaled * 2 < unit or scaled > PRICE_MAX_E8 * unit - unit


@given(st.integers(0, 10**15), st.integers(-18, 0))
def test_doubt_is_rounded_up(digits: int, expo: int) -> None:
    message = PythReader(PYTH_IDS).read(
        update(price(NOW_S, price=str(10**-expo), conf=str(digits), expo=expo))
    )
    unit = 10 ** max(-expo - 8, 0)
    scaled = digits * 10 ** max(expo + 8, 0)
    if message.prices:
        (seen,) = message.prices
        assert 0 <= seen.confidence_e8 * unit - scaled < unit
    else:
        assert scaled > PRICE_MAX_E8 * unit
