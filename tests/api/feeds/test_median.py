"""Several sources as one: who counts, who is left out, what the oracle is told."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm.units import HOUR_MS, ONE
from api.clock import Clock
from api.exchange import Exchange
from api.feeds import Observation
from api.feeds.deribit import DeribitSource
from api.feeds.median import AGREE_BP, FROZEN_MS, PATIENCE_MS, SPACING_MS, Blend, MedianFeed
from api.feeds.places import PythSettings
from api.feeds.pyth import PythSource
from api.service import Service
from tests.api.conftest import START_MS
from tests.api.feeds.fakes import PACE, FakeDeribit, FakeHermes, Talk, listened, now_s, price, told
from tests.api.feeds.test_deribit import BTC, good
from tests.api.feeds.test_pyth import said

NOW_MS = 10**12
DVOL = 450_000_000


def seen(
    usd: float, at_ms: int, confidence: int = 0, vol_e9: int = 0, vol_ms: int = 0
) -> Observation:
    return Observation("BTC", round(usd * ONE), confidence, at_ms, vol_e9, vol_ms=vol_ms)


def said_by(blend: Blend, at_ms: int, **usd: float) -> Observation | None:
    """Let sources say prices now, one after another; return the last that came of it."""
    last = None
    for source, each in usd.items():
        blend.hear(source, seen(each, at_ms), at_ms)
        last = blend.combine(at_ms) or last
    return last


@pytest.mark.parametrize(
    ("prices", "median"),
    [
        ((60_000.0,), 60_000.0),
        ((60_000.0, 60_001.0), 60_000.5),
        ((60_000.0, 60_010.0, 60_001.0), 60_001.0),
        ((60_000.0, 60_010.0, 60_001.0, 60_002.0), 60_001.5),
        ((0.00000001, 0.00000001), 0.00000001),
    ],
)
def test_the_median_of_those_that_agree(prices: tuple[float, ...], median: float) -> None:
    blend = Blend(len(prices))
    both = said_by(blend, NOW_MS, **{f"s{n}": each for n, each in enumerate(prices)})
    assert both == seen(median, NOW_MS)._replace(sources=len(prices))


def test_an_even_number_is_rounded_down() -> None:
    blend = Blend(2)
    blend.hear("a", Observation("BTC", 10**10, 3, NOW_MS - 7), NOW_MS)
    blend.hear("b", Observation("BTC", 10**10 + 1, 5, NOW_MS), NOW_MS)
    assert blend.combine(NOW_MS) == Observation("BTC", 10**10, 5, NOW_MS - 7, sources=2)


def test_an_outlier_is_left_out() -> None:
    blend = Blend(3)
    heard = said_by(blend, NOW_MS, a=60_000, b=900_000, c=60_002)
    assert heard == seen(60_001, NOW_MS)._replace(sources=2)
    assert blend.left_out == ["b"]


def test_of_two_that_disagree_the_one_near_the_last_price_counts_alone() -> None:
    """It is one source then, also to the jump guard."""
    blend = Blend(2)
    said_by(blend, NOW_MS, a=60_000, b=60_000)
    jumped = said_by(blend, NOW_MS + 1_000, a=66_000, b=60_006)
    assert jumped == seen(60_006, NOW_MS + 1_000)
    assert blend.left_out == ["a"]
    agreed = said_by(blend, NOW_MS + 2_000, a=66_000, b=66_010)
    assert agreed == seen(66_005, NOW_MS + 2_000)._replace(sources=2)


def test_one_that_jumps_while_the_other_is_waited_for_gains_nothing_by_it() -> None:
    """It is told alone, which the jump guard holds back, and then the other denies it."""
    blend = Blend(2)
    said_by(blend, NOW_MS, a=60_000, b=60_000)
    alone = [said_by(blend, NOW_MS + late, a=66_000) for late in (1_000, 2_500)]
    assert alone == [None, seen(66_000, NOW_MS + 2_500)]
    both = said_by(blend, NOW_MS + 3_500, a=66_000, b=60_005)
    assert both == seen(60_005, NOW_MS + 3_500)
    gone = [said_by(blend, NOW_MS + late, a=66_000) for late in (14_000, 15_000)]
    assert gone[-1] == seen(66_000, NOW_MS + 15_000)
    back = said_by(blend, NOW_MS + 16_000, a=66_001, b=60_005)
    assert back == seen(66_001, NOW_MS + 16_000)


def test_two_that_disagree_from_the_start_say_nothing() -> None:
    blend = Blend(2)
    assert said_by(blend, NOW_MS, a=60_000, b=66_000) is None
    assert said_by(blend, NOW_MS + PATIENCE_MS, a=60_001, b=66_001) is None
    assert blend.left_out == ["a", "b"]


def test_a_source_that_has_gone_does_not_stop_the_other() -> None:
    """It is waited for for two seconds, then the other counts alone."""
    blend = Blend(2)
    said_by(blend, NOW_MS, a=60_000, b=60_000)
    heard = [said_by(blend, NOW_MS + late, a=60_000 + late) for late in range(500, 4_001, 500)]
    assert heard[:3] == [None] * 3
    assert heard[3] == seen(62_000, NOW_MS + 2_000)
    assert all(heard[-1:])
    assert heard[-1] is not None
    assert heard[-1].sources == 1


def test_the_first_price_waits_for_all_sources_for_a_while() -> None:
    blend = Blend(2)
    assert said_by(blend, NOW_MS, a=60_000) is None
    heard = said_by(blend, NOW_MS + PATIENCE_MS, a=60_001)
    assert heard == seen(60_001, NOW_MS + PATIENCE_MS)


def test_a_frozen_source_counts_only_where_all_are() -> None:
    frozen, alone = Blend(2), Blend(1)
    for late in range(0, FROZEN_MS + 3_000, 1_000):
        both = said_by(frozen, NOW_MS + late, a=60_000, b=60_000 + late / 1_000)
        single = said_by(alone, NOW_MS + late, a=60_000)
    assert both == seen(60_000 + late / 1_000, NOW_MS + late)
    assert single == seen(60_000, NOW_MS + late)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.integers(0, 1_500),
            st.integers(-900, 0),
            st.integers(1, 10**6),
        ),
        max_size=40,
    )
)
def test_whatever_is_said(story: list[tuple[str, int, int, int]]) -> None:
    """Times rise, prices are between those said, agreement is near the median, all are fresh."""
    blend, now_ms, heard, all_prices = Blend(3), NOW_MS, list[Observation](), list[int]()
    last_ms = {"a": 0, "b": 0, "c": 0}
    for source, later, age, price_e8 in story:
        now_ms += later
        if now_ms + age > last_ms[source]:
            last_ms[source] = now_ms + age
            all_prices.append(price_e8)
            blend.hear(source, Observation("BTC", price_e8, 0, now_ms + age), now_ms)
        made = blend.combine(now_ms)
        if made is not None:
            heard.append(made)
            assert 1 <= made.sources <= 3
            assert min(all_prices) <= made.price_e8 <= max(all_prices)
            assert now_ms - made.published_ms <= 10_000
    for before, after in pairwise(heard):
        assert after.published_ms - before.published_ms >= SPACING_MS
    assert AGREE_BP == 50


def test_a_vol_lasts_an_hour_also_when_its_source_has_gone() -> None:
    blend = Blend(2)
    blend.hear("deribit", seen(60_000, NOW_MS, vol_e9=DVOL, vol_ms=NOW_MS - 5_000), NOW_MS)

    def vol_at(at_ms: int) -> int:
        blend.hear("pyth", seen(60_000, at_ms), at_ms)
        heard = blend.combine(at_ms)
        assert heard is not None
        return heard.vol_e9

    assert vol_at(NOW_MS) == DVOL
    assert vol_at(NOW_MS - 5_000 + HOUR_MS) == DVOL
    assert vol_at(NOW_MS - 4_000 + HOUR_MS) == 0


# -- over sockets


def both(hermes: FakeHermes, deribit: FakeDeribit) -> MedianFeed:
    pyth = PythSource(PythSettings(url=hermes.url), PACE)
    return MedianFeed([pyth, DeribitSource(deribit.url, pace=PACE)])


def test_two_servers_are_one_feed() -> None:
    async def story() -> None:
        hermes = FakeHermes(said(price(now_s() - 1, price="6000100000000")))
        deribit = FakeDeribit(good)
        async with hermes.running(), deribit.running():
            feed = both(hermes, deribit)
            heard, _ = await listened(feed, bool)
            assert feed.name == "pyth,deribit"
            assert [each.name for each in feed.health(0)] == ["pyth", "deribit"]
        assert [(each.price_e8, each.sources) for each in heard] == [(60_000_56 * 10**6, 2)]

    asyncio.run(story())


def test_a_dead_server_does_not_stop_the_other() -> None:
    async def broken(talk: Talk) -> None:
        await talk.answer(b"no", "503 Service Unavailable")

    async def story() -> None:
        hermes, deribit = FakeHermes(broken), FakeDeribit(steady)
        async with hermes.running(), deribit.running():
            feed = both(hermes, deribit)
            heard, health = await listened(feed, bool)
            assert (health.name, health.state) == ("pyth", "down")
            assert heard[0].sources == 1

    async def steady(socket: object) -> None:
        while True:
            await socket.send(told(BTC, timestamp=Clock().wall_ms(), price=60_000))  # type: ignore[attr-defined]
            await asyncio.sleep(0.1)

    asyncio.run(story())


# -- to the oracle


class Told:
    """A feed that says what it is told to, and is heard out each time."""

    name = "told"

    def __init__(self) -> None:
        self.queue: asyncio.Queue[list[Observation]] = asyncio.Queue()

    async def observations(self, clock: Clock):  # noqa: ANN201
        """Yield what is put into the queue."""
        del clock
        while True:
            yield await self.queue.get()
            self.queue.task_done()


class SetClock(Clock):
    """A clock that shows what it is set to."""

    shown_ms = START_MS + 120_000

    def wall_ms(self) -> int:
        """Return what it is set to."""
        return self.shown_ms


def test_the_oracle_holds_a_lone_jump_and_estimates_without_a_vol(exchange: Exchange) -> None:
    """From what sources say to the exchange's index, by way of the median and the writer."""
    clock, feed, blend = SetClock(1.0, START_MS + 120_000), Told(), Blend(2)
    oracle = exchange.memory.market.oracle

    async def step(late_ms: int, vol_e9: int = 0, **usd: float) -> int:
        clock.shown_ms = START_MS + 120_000 + late_ms
        now_ms = clock.now_ms()
        for source, each in usd.items():
            blend.hear(source, seen(each, now_ms, vol_e9=vol_e9, vol_ms=now_ms), now_ms)
        made = blend.combine(now_ms)
        assert made is not None
        await feed.queue.put([made])
        await feed.queue.join()
        return int(oracle["index_e8"][0]) // ONE

    async def story() -> None:
        service = Service(exchange, clock, feed, 0)  # type: ignore[arg-type]
        await service.start()
        try:
            assert await step(0, DVOL, a=100_000, b=100_010) == 100_005
            assert int(oracle["target_vol_e9"][0]) == DVOL
            # The other denies it: it stays where it is, however often the one says so.
            for late in range(1_000, 5_000, 1_000):
                assert await step(late, a=110_000, b=100_010) == 100_010
            assert await step(5_000, a=110_000, b=110_010) == 110_005
            # Alone, it is held until the third time.
            assert await step(8_000, a=121_000) == 110_005
            assert await step(11_000, a=121_000) == 110_005
            assert int(oracle["pending_count"][0]) == 2
            assert await step(14_000, a=121_000) == 121_000
            # Within the hour the vol index counts, then the estimator.
            assert await step(HOUR_MS, a=121_000, b=121_000) == 121_000
            assert int(oracle["target_vol_e9"][0]) == DVOL
            await step(HOUR_MS + 15_000, a=121_010, b=121_010)
            assert int(oracle["target_vol_e9"][0]) != DVOL
        finally:
            await service.stop()

    asyncio.run(story())
