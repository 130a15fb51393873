"""Feeds at the pace of a clock that is where it is waited for."""

import asyncio
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, ONE, YEAR_MS
from api.clock import Clock
from api.feeds import Feed, Observation
from api.feeds.replay import ReplayFeed
from api.feeds.simulated import (
    PREMIUM,
    STARTS,
    VOL_HIGH,
    VOL_LOW,
    SimulatedFeed,
    SimulatedMarket,
    pace_ms,
)
from sims.markets.history import read_path
from sims.markets.vols import no_vols
from tests.api.test_command_line import HEADER, hours, write

START_MS = 1_704_067_200_000
"""2024-01-01."""


class PromptClock(Clock):
    """A clock that shows a time as soon as that time is waited for."""

    def __init__(self, speed: float = 1.0, start_ms: int = START_MS) -> None:
        self.shown_ms = 0.0
        super().__init__(speed, start_ms)

    def wall_ms(self) -> int:
        """Return the time that was waited for so far."""
        return math.ceil(self.shown_ms)

    def seconds_until(self, time_ms: int) -> float:
        """Let the time pass; there is nothing to wait for."""
        self.shown_ms += 1_000 * super().seconds_until(time_ms)
        return 0.0


def collect(feed: Feed, clock: Clock, count: int) -> list[list[Observation]]:
    """Return the first moments of a feed; fewer where it ends."""

    async def read() -> list[list[Observation]]:
        seen: list[list[Observation]] = []
        stream = feed.observations(clock)
        async for moment in stream:
            seen.append(moment)
            if len(seen) == count:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        return seen

    return asyncio.run(read())


def walk(seed: int, steps: int, step_ms: int) -> np.ndarray:
    """Return prices and vols of a market, shape (steps, 2, 2)."""
    market = SimulatedMarket(STARTS, seed)
    rows = np.empty((steps, 2, 2))
    for row in rows:
        seen = market.observe(0)
        row[:] = [(each.price_e8 / ONE, each.vol_e9 / 1e9) for each in seen]
        market.step(step_ms)
    return rows


# -- simulated


def test_equal_seeds_are_equal_markets() -> None:
    first, again = walk(3, 200, 1_000), walk(3, 200, 1_000)
    np.testing.assert_array_equal(first, again)
    assert (walk(4, 200, 1_000)[1:] != first[1:]).all()
    other_part = SimulatedMarket(STARTS, 3, part=1)
    other_part.step(1_000)
    assert other_part.observe(0)[0].price_e8 != round(first[1, 0, 0] * ONE)


def test_a_market_begins_at_its_prices() -> None:
    seen = SimulatedMarket(STARTS, 1).observe(77)
    assert [each.symbol for each in seen] == ["BTC", "ETH"]
    assert [each.price_e8 for each in seen] == [100_000 * ONE, 4_000 * ONE]
    assert [each.vol_e9 for each in seen] == pytest.approx([0.50e9, 0.65e9], abs=1)
    assert [each.published_ms for each in seen] == [77, 77]


def test_prices_have_the_vol_that_is_fed_less_a_premium() -> None:
    """Variance of hourly moves over that of the levels, for eight years: one, give or take."""
    rows = walk(5, 70_000, HOUR_MS)
    moves = np.diff(np.log(rows[:, :, 0]), axis=0)
    expected = (rows[:-1, :, 1] / PREMIUM) ** 2 * (HOUR_MS / YEAR_MS)
    ratio = (moves**2).mean(axis=0) / expected.mean(axis=0)
    np.testing.assert_allclose(ratio, 1.0, atol=0.06)
    assert np.isfinite(rows).all()
    assert (rows > 0).all()
    standard = moves / np.sqrt(expected)
    assert (np.mean(standard**4, axis=0) > 4.0).all()  # 3 is a normal law's
    correlation = np.corrcoef(moves.T)[0, 1]
    assert correlation == pytest.approx(0.8, abs=0.03)
    drift = standard.mean(axis=0)
    np.testing.assert_allclose(drift, 0.0, atol=4 / math.sqrt(len(standard)))


def test_vols_revert_within_bounds_and_rise_when_prices_fall() -> None:
    rows = walk(6, 40_000, HOUR_MS)
    vols, moves = rows[:, :, 1], np.diff(np.log(rows[:, :, 0]), axis=0)
    assert vols.min() >= VOL_LOW - 1e-9
    assert vols.max() <= VOL_HIGH + 1e-9
    np.testing.assert_allclose(np.median(vols, axis=0), (0.50, 0.65), rtol=0.10)
    for symbol in range(2):
        changes = np.diff(np.log(vols[:, symbol]))
        assert np.corrcoef(moves[:, symbol], changes)[0, 1] == pytest.approx(-0.4, abs=0.1)


def test_confidence_is_a_basis_point_or_two() -> None:
    market = SimulatedMarket(STARTS, 8)
    for _ in range(100):
        for each in market.observe(0):
            assert 0.99e-4 < each.confidence_e8 / each.price_e8 < 2.01e-4
        market.step(1_000)


def test_a_feed_is_its_market_at_the_clocks_pace() -> None:
    seen = collect(SimulatedFeed(seed=9), PromptClock(), 50)
    prices = [[each.price_e8 / ONE for each in moment] for moment in seen]
    np.testing.assert_array_equal(prices, walk(9, 50, 1_000)[:, :, 0])
    times = [moment[0].published_ms for moment in seen]
    assert times == [START_MS + 1_000 * moment for moment in range(50)]


@pytest.mark.parametrize("speed", [1.0, 2.5, 8.0, 60.0, 100.0, 600.0])
def test_a_fast_clock_keeps_moments_near_each_other(speed: float) -> None:
    """At least one a second of the wall, at most ten, and no more than a minute apart."""
    seen = collect(SimulatedFeed(), PromptClock(speed), 30)
    gaps = [after[0].published_ms - before[0].published_ms for before, after in pairwise(seen)]
    assert max(gaps) <= MINUTE_MS + speed
    assert 100 * speed - speed <= min(gaps)
    assert max(gaps) <= 1_000 * speed + speed
    assert sum(gaps) / len(gaps) == pytest.approx(pace_ms(speed), rel=0.05)
    for symbol in range(2):
        moves = [abs(math.log(b[symbol].price_e8 / a[symbol].price_e8)) for a, b in pairwise(seen)]
        assert max(moves) < 12 * VOL_HIGH * math.sqrt(pace_ms(speed) / YEAR_MS)
        assert min(moves) > 0


def test_a_machine_that_slept_makes_one_move_of_it() -> None:
    clock = PromptClock()

    async def read() -> list[int]:
        times = []
        async for moment in SimulatedFeed().observations(clock):
            times.append(moment[0].published_ms)
            if len(times) == 3:
                clock.shown_ms += HOUR_MS
            if len(times) == 6:
                break
        return times

    times = asyncio.run(read())
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps == [1_000, 1_000, HOUR_MS, 1_000, 1_000]


# -- replay


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Three days of both underlyings, ETH without two hours."""
    for symbol, price in (("BTC", 42_000.0), ("ETH", 2_300.0)):
        lines = hours(price)
        write(tmp_path / f"{symbol}_1h.csv", lines if symbol == "BTC" else lines[:5] + lines[7:])
    return tmp_path


def replay(history: Path, days: int = 1) -> ReplayFeed:
    end_ms = START_MS + days * DAY_MS
    path = read_path(history, ("BTC", "ETH"), START_MS, end_ms, warmup_days=0)
    return ReplayFeed(path, no_vols(("BTC", "ETH")))


def test_a_replay_is_its_history(history: Path) -> None:
    """Every minute of it, at its time, and then the end."""
    path = read_path(history, ("BTC", "ETH"), START_MS, START_MS + DAY_MS, warmup_days=0)
    seen = collect(replay(history), PromptClock(), 10_000)
    assert len(seen) == len(path.times_ms) == DAY_MS // MINUTE_MS
    for moment, time_ms, prices_e8 in zip(seen, path.times_ms, path.prices_e8, strict=True):
        assert {each.published_ms for each in moment} == {time_ms}
        expected = [price for price in prices_e8.tolist() if price]
        assert [each.price_e8 for each in moment] == expected
    assert sum(len(moment) == 1 for moment in seen) == 2 * 60


def test_a_fast_replay_is_the_same_prices(history: Path) -> None:
    slow = collect(replay(history), PromptClock(), 500)
    fast = collect(replay(history), PromptClock(600.0), 500)
    assert [[each.price_e8 for each in moment] for moment in slow] == [
        [each.price_e8 for each in moment] for moment in fast
    ]
    late = [b[0].published_ms - a[0].published_ms for a, b in zip(slow, fast, strict=True)]
    assert min(late) >= 0
    assert max(late) <= 600


def test_a_replay_goes_on_where_the_clock_is(history: Path) -> None:
    whole = collect(replay(history), PromptClock(), 10_000)
    rest = collect(replay(history), PromptClock(start_ms=START_MS + 100 * MINUTE_MS), 10_000)
    assert rest == whole[100:]
    over = collect(replay(history), PromptClock(start_ms=START_MS + 2 * DAY_MS), 10_000)
    assert over == []


def test_a_replay_begins_when_its_history_does(history: Path) -> None:
    early = collect(replay(history), PromptClock(start_ms=START_MS - HOUR_MS), 1)
    assert early == [replay(history).first()]


def test_an_outage_is_silence(tmp_path: Path) -> None:
    """Nothing is said of hours that neither file has, also not by a clock that begins there."""
    for symbol, price in (("BTC", 42_000.0), ("ETH", 2_300.0)):
        lines = hours(price)
        write(tmp_path / f"{symbol}_1h.csv", lines[:5] + lines[7:], HEADER)
    seen = collect(replay(tmp_path), PromptClock(), 10_000)
    gaps = {after[0].published_ms - before[0].published_ms for before, after in pairwise(seen)}
    assert gaps == {MINUTE_MS, 2 * HOUR_MS + MINUTE_MS}
    inside = PromptClock(start_ms=START_MS + 6 * HOUR_MS)
    assert collect(replay(tmp_path), inside, 1)[0][0].published_ms == START_MS + 7 * HOUR_MS
