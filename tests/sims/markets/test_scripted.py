"""Scripts reach what they say on every path, around a mean that is the script."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, YEAR_MS
from sims.markets.block import Clock, MarketBlock
from sims.markets.scripted import Scripted, ScriptLeg, ScriptStock
from sims.markets.vol_index import VolIndex

START = 1_704_672_000_000
"""Monday, 8 January 2024."""
CLOCK = Clock(START, HOUR_MS, 72)
CRASH = ScriptLeg(6, (-0.35, -0.45), vol_multiple=2.0)
REBOUND = ScriptLeg(12, log_moves=(0.2, 0.25))
PATHS = 2_000


def draw(*legs: ScriptLeg, clock: Clock = CLOCK, **fields: Any) -> MarketBlock:
    return Scripted(legs, **fields).draw(clock, PATHS, np.random.default_rng(9))


def test_every_leg_reaches_its_end_on_every_path() -> None:
    prices = draw(CRASH, REBOUND).prices
    np.testing.assert_allclose(prices[:, 6], [[65_000.0, 2_200.0]] * PATHS, rtol=1e-12)
    expected = [65_000.0 * math.exp(0.2), 2_200.0 * math.exp(0.25)]
    np.testing.assert_allclose(prices[:, 18], [expected] * PATHS, rtol=1e-12)
    assert (prices[:, 3].std(axis=0) > [1_000.0, 50.0]).all()
    assert np.unique(prices[:, 19, 0]).size == PATHS


def test_noise_of_a_leg_is_a_bridge_around_its_line() -> None:
    logs = np.log(draw(CRASH).prices / [100_000.0, 4_000.0])[:, :7]
    done = np.arange(7)[:, None] / 6
    line = done * np.log([0.65, 0.55])
    variance = (2 * np.array([0.55, 0.75])) ** 2 * 6 / 8_760 * done * (1 - done)
    inner = slice(1, 6)
    error = 4 * np.sqrt(variance[inner] / PATHS)
    assert (np.abs(logs.mean(axis=0) - line)[inner] < error).all()
    np.testing.assert_allclose(
        logs.var(axis=0)[inner], variance[inner], rtol=4 * math.sqrt(2 / PATHS)
    )
    apart = (logs - line)[:, 3]
    assert np.corrcoef(apart.T)[0, 1] == pytest.approx(0.8, abs=4 * 0.36 / math.sqrt(PATHS))


def test_a_straight_leg_is_a_line_without_extremes() -> None:
    block = draw(ScriptLeg(10, (-0.2, 0.3), shape="straight"))
    done = np.arange(11)[:, None] / 10
    line = np.array([100_000.0, 4_000.0]) * np.array([0.8, 1.3]) ** done
    np.testing.assert_allclose(block.prices[:, :11], [line] * PATHS, rtol=1e-12)
    lower = np.minimum(block.prices[:, :10], block.prices[:, 1:11])
    np.testing.assert_allclose(block.lows[:, 1:11], lower, rtol=1e-12)
    assert (block.lows[:, 11] < block.prices[:, 10:12].min(axis=1)).mean() > 0.99


def test_the_calm_is_a_martingale_of_the_vols_given() -> None:
    vols = (1.2, 1.5)
    clock = CLOCK._replace(steps=24 * 60)
    prices = draw(CRASH, clock=clock, vols=vols).prices
    years = (clock.steps - 6) * HOUR_MS / YEAR_MS
    for column, vol in enumerate(vols):
        ratios = prices[:, -1, column] / prices[:, 6, column]
        error = math.sqrt(math.expm1(vol**2 * years) / PATHS)
        assert ratios.mean() == pytest.approx(1.0, abs=4 * error)
        assert np.log(ratios).var() == pytest.approx(vol**2 * years, rel=4 * math.sqrt(2 / PATHS))


def test_wicks_stand_beyond_the_ends_of_their_step() -> None:
    leg = ScriptLeg(5, (-0.1, 0.0), shape="straight", wicks=(-0.2, 0.15), wick_at=0.5)
    block = draw(leg)
    np.testing.assert_allclose(block.lows[:, 3, 0], block.prices[:, 3, 0] * 0.8, rtol=1e-12)
    np.testing.assert_allclose(block.highs[:, 3, 1], 4_000.0 * 1.15, rtol=1e-12)
    np.testing.assert_allclose(block.highs[:, 3, 0], block.prices[:, 2, 0], rtol=1e-12)
    for step in (1, 2, 4, 5):
        np.testing.assert_allclose(block.lows[:, step, 0], block.prices[:, step, 0], rtol=1e-12)
    first = draw(ScriptLeg(5, wicks=(-0.5, 0.0), wick_at=0.0))
    assert (np.argmin(first.lows[:, :6, 0], axis=1) == 1).all()


def test_wicks_never_raise_a_low_that_is_lower() -> None:
    quiet, wild = draw(CRASH), draw(ScriptLeg(6, (-0.35, -0.45), None, 2.0, wicks=(-1e-6, 1e-6)))
    assert (wild.lows <= quiet.lows).all()
    assert (wild.highs >= quiet.highs).all()


def test_levels_are_those_asked_for() -> None:
    assert set(draw(CRASH, feeds="estimator").levels.ravel()) == {0.0}
    fed = draw(CRASH, feeds="vol").levels
    np.testing.assert_array_equal(fed[:, 0], [[0.55, 0.75]] * PATHS)
    np.testing.assert_array_equal(fed[:, 1:7], [[[1.1, 1.5]] * 6] * PATHS)
    np.testing.assert_array_equal(fed[:, 7:], [[[0.55, 0.75]] * 66] * PATHS)


def test_the_index_reacts_to_a_fall_and_forgets_it() -> None:
    clock = Clock(START, DAY_MS // 24, 24 * 90)
    leg = ScriptLeg(6, (-0.35, -0.35), shape="straight")
    levels = Scripted((leg,), index=VolIndex(2.0, 20.0)).draw(
        clock, PATHS, np.random.default_rng(9)
    ).levels[..., 0]  # fmt: skip
    assert levels[0, 0] == 0.55
    peak = 0.55 / 0.65**2
    assert levels[:, 6].max() < peak
    np.testing.assert_allclose(levels[:, 6], peak, rtol=0.01)
    logs = np.log(levels / 0.55).mean(axis=0)
    for days in (10, 40):
        left = logs[6] * math.exp(-20.0 * days / 365)
        spread = 2.0 * 0.55 / math.sqrt(2 * 20.0)
        assert logs[6 + 24 * days] == pytest.approx(left, abs=4 * spread / math.sqrt(PATHS) + 0.02)


def test_stocks_follow_bitcoin_and_gap_at_the_open() -> None:
    weekend = ScriptLeg(60, (-0.2, -0.2), stocks=(-0.4, 0.0))
    clock = Clock(START + 4 * DAY_MS + 21 * HOUR_MS, HOUR_MS, 72)
    stocks = (ScriptStock(50.0, beta=0.0), ScriptStock(80.0, beta=1.5))
    block = draw(weekend, clock=clock, stocks=stocks)
    assert not block.is_open.any()  # from Friday's close over Monday, Martin Luther King's day
    np.testing.assert_array_equal(block.stocks, [[[50.0, 80.0]] * 73] * PATHS)
    later = draw(weekend, clock=clock._replace(steps=24 * 4), stocks=stocks)
    opened = int(np.flatnonzero(later.is_open)[0])
    assert opened == 24 * 3 + 18
    np.testing.assert_array_equal(later.stocks[:, opened - 1], [[50.0, 80.0]] * PATHS)
    np.testing.assert_allclose(later.stocks[:, opened, 0], 30.0, rtol=1e-12)
    assert later.stocks[:, opened, 1].mean() == pytest.approx(80.0 * 0.8**1.5, rel=0.01)


def test_stocks_in_the_calm_are_martingales() -> None:
    clock = Clock(START, HOUR_MS, 24 * 29)
    stocks = (ScriptStock(10.0, beta=2.0, vol=0.8),)
    block = draw(ScriptLeg(1), clock=clock, stocks=stocks, vols=(1.0, 1.0))
    assert block.is_open[24 * 28 + 17]
    variance = (4.0 + 0.64) * (24 * 28 + 17) * HOUR_MS / YEAR_MS
    ratios = block.stocks[:, 24 * 28 + 17, 0] / 10.0
    error = math.sqrt(math.expm1(variance) / PATHS)
    assert ratios.mean() == pytest.approx(1.0, abs=4 * error)


def test_legs_must_fit_the_clock() -> None:
    with pytest.raises(ValueError, match=r"5.5 hours are no whole number of 60 minutes"):
        draw(ScriptLeg(5.5))
    assert draw(ScriptLeg(5.5), clock=Clock(START, 30 * MINUTE_MS, 20)).prices.shape[1] == 21
    with pytest.raises(ValueError, match="the legs have 73 steps, the clock only 72"):
        draw(ScriptLeg(40), ScriptLeg(33))
    assert draw(ScriptLeg(40), ScriptLeg(32)).prices.shape[1] == 73


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"hours": 0.0}, "hours must be more than 0"),
        ({"hours": math.nan}, "hours must be more than 0"),
        ({"returns": (-1.0, 0.0)}, "a return must be more than -1"),
        ({"returns": (math.nan, 0.0)}, "a return must be more than -1"),
        ({"returns": (0.1,)}, "are 2, of BTC and ETH"),
        ({"returns": (0.1, 0.0), "log_moves": (0.1, 0.0)}, "either returns or log_moves"),
        ({"log_moves": (6.0, 0.0)}, "a log move must be"),
        ({"log_moves": (0.0, math.nan)}, "a log move must be"),
        ({"wicks": (0.0, -1.0)}, "a return must be more than -1"),
        ({"stocks": (-2.0,)}, "a return must be more than -1"),
        ({"vol_multiple": -1.0}, "vol_multiple"),
        ({"shape": "wavy"}, "'wavy' is not one of noise, straight"),
        ({"wick_at": 1.5}, "wick_at"),
    ],
)
def test_a_leg_that_cannot_be_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ScriptLeg(**({"hours": 6.0} | fields))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"vols": (0.5, -1.0)}, "vol must be"),
        ({"vols": (0.0, 0.5)}, "an index needs vols"),
        ({"legs": (ScriptLeg(1, vol_multiple=0.0),)}, "an index needs vols and multiples"),
        ({"feeds": "rumour"}, "'rumour' is not one of index, vol, estimator"),
        ({"legs": (ScriptLeg(1), ScriptLeg(1, stocks=(0.1,)))}, "leg 2: moves 1 stocks"),
    ],
)
def test_a_script_that_cannot_be_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Scripted(**({"legs": ()} | fields))


@pytest.mark.parametrize(
    "fields", [{"beta": 11.0}, {"beta": math.nan}, {"price": 0.0}, {"vol": -0.1}]
)
def test_a_stock_that_cannot_be_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="stock: "):
        ScriptStock(**fields)


@pytest.mark.parametrize("fields", [{"reaction": -1.0}, {"reaction": 11.0}, {"reversion": -1.0}])
def test_an_index_that_could_run_away_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="vol index: "):
        VolIndex(**fields)


def test_what_nobody_sees_is_no_number_and_the_market_moves_on() -> None:
    hidden = draw(CRASH, replace(REBOUND, is_seen=False), ScriptLeg(1))
    seen = draw(CRASH, REBOUND, ScriptLeg(1))
    for unseen, whole in zip(
        (hidden.prices, hidden.lows, hidden.highs),
        (seen.prices, seen.lows, seen.highs),
        strict=True,
    ):
        assert np.isnan(unseen[:, 7:19]).all()
        np.testing.assert_array_equal(unseen[:, :7], whole[:, :7])
        np.testing.assert_array_equal(unseen[:, 19:], whole[:, 19:])
    np.testing.assert_array_equal(hidden.levels, seen.levels)
