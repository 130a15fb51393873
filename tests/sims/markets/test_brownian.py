"""Brownian markets follow the laws of the textbook, within their steps too."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from amm.units import DAY_MS, HOUR_MS, YEAR_MS
from sims.markets.block import Clock, MarketBlock
from sims.markets.brownian import Brownian
from sims.markets.extremes import bridge_excess
from sims.markets.stock_motion import StockMotion

START = 1_767_571_200_000
VOLS = (1.1, 1.6)
PATHS = 4_000
STEPS = 20
CLOCK = Clock(START, 2 * DAY_MS, STEPS)
"""Long steps and high vols: a wrong drift or extreme shows."""
YEARS = 2 * STEPS / 365


def draw(**fields: Any) -> MarketBlock:
    model = Brownian(vols=VOLS, **fields)
    return model.draw(CLOCK, PATHS, np.random.default_rng(11))


@pytest.mark.parametrize("underlying", [0, 1])
def test_price_is_a_martingale_with_the_vol_asked_for(underlying: int) -> None:
    block = draw()
    ratios = block.prices[:, :, underlying] / block.prices[:, :1, underlying]
    for step in (1, STEPS // 2, STEPS):
        variance = VOLS[underlying] ** 2 * YEARS * step / STEPS
        logs = np.log(ratios[:, step])
        assert ratios[:, step].mean() == pytest.approx(
            1.0, abs=4 * math.sqrt(math.expm1(variance) / PATHS)
        )
        assert logs.mean() == pytest.approx(-variance / 2, abs=4 * math.sqrt(variance / PATHS))
        assert logs.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / PATHS))


@pytest.mark.parametrize("correlation", [-1.0, -0.3, 0.0, 0.8, 1.0])
def test_correlation_is_that_asked_for(correlation: float) -> None:
    moves = np.diff(np.log(draw(correlation=correlation).prices), axis=1).reshape(-1, 2)
    error = (1 - correlation**2) / math.sqrt(len(moves))
    measured = np.corrcoef(moves.T)[0, 1]
    assert measured == pytest.approx(correlation, abs=4 * error + 1e-9)


def beyond(reach: float, drift: float, variance: float) -> float:
    """Chance that a Brownian motion with drift has gone that far up: the reflection formula."""
    deviation = math.sqrt(variance)
    return float(
        ndtr((drift - reach) / deviation)
        + math.exp(2 * drift * reach / variance) * ndtr((-drift - reach) / deviation)
    )


@pytest.mark.parametrize("underlying", [0, 1])
@pytest.mark.parametrize("quantile", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("steps", [1, STEPS])
def test_running_extremes_follow_the_reflection_formula(
    underlying: int, quantile: float, steps: int
) -> None:
    block = draw()
    variance = VOLS[underlying] ** 2 * YEARS * steps / STEPS
    reach = quantile * math.sqrt(variance)
    start = block.prices[0, 0, underlying]
    highs = np.log(block.highs[:, : steps + 1, underlying].max(axis=1) / start)
    lows = np.log(block.lows[:, : steps + 1, underlying].min(axis=1) / start)
    for reached, drift in ((highs, -variance / 2), (-lows, variance / 2)):
        chance = beyond(reach, drift, variance)
        error = math.sqrt(chance * (1 - chance) / PATHS)
        assert (reached > reach).mean() == pytest.approx(chance, abs=4 * error)
    ends = np.log(block.prices[:, : steps + 1, underlying].max(axis=1) / start)
    error = 4 * math.sqrt(chance * (1 - chance) / PATHS)
    if quantile <= 1.0:
        assert (ends > reach).mean() < beyond(reach, -variance / 2, variance) - error


@pytest.mark.parametrize("move", [-1.3, 0.0, 0.4])
def test_extremes_given_the_ends_are_those_of_a_bridge(move: float) -> None:
    count, variance = 200_000, 0.49
    moves = np.full(count, move)
    drawn = bridge_excess(moves, np.array(variance), np.random.default_rng(2))
    for excess in drawn:
        for reach in (0.05, 0.2, 0.6):
            chance = math.exp(-2 * reach * (reach + abs(move)) / variance)
            error = math.sqrt(chance * (1 - chance) / count)
            assert (excess > reach).mean() == pytest.approx(chance, abs=4 * error)


def test_a_bridge_without_variance_stays_between_its_ends() -> None:
    moves = np.random.default_rng(1).standard_normal(10_000)
    below, above = bridge_excess(moves, np.zeros(1), np.random.default_rng(2))
    np.testing.assert_array_equal(below, 0.0)
    np.testing.assert_array_equal(above, 0.0)


def test_range_of_a_step_is_as_its_description_says() -> None:
    random = np.random.default_rng(3)
    moves = random.standard_normal(1_000_000)
    below, above = bridge_excess(moves, np.ones(1), random)
    ranges = np.abs(moves) + below + above
    assert ranges.mean() == pytest.approx(math.sqrt(8 / math.pi), abs=4e-3 * ranges.std())
    assert (ranges**2).mean() / (4 * math.log(2)) == pytest.approx(1.026, abs=0.004)


def test_levels_are_the_vols_or_nothing() -> None:
    assert set(draw().levels.ravel()) == {0.0}
    levels = draw(feeds_vol=True).levels
    assert (set(levels[..., 0].ravel()), set(levels[..., 1].ravel())) == ({1.1}, {1.6})


def test_stocks_have_their_vol_correlation_and_mean() -> None:
    stocks = (StockMotion(80.0, 1.0, 0.7), StockMotion(200.0, 0.4, -0.2))
    clock = Clock(START, HOUR_MS, 7 * 24)
    block = Brownian(vols=VOLS, stocks=stocks).draw(clock, PATHS, np.random.default_rng(4))
    # Noon of the first day to the last close: a week less three hours, sessions at both ends.
    first, last = 17, 17 + 4 * 24
    assert block.is_open[[first, last]].all()
    bitcoin = np.log(block.prices[:, last, 0] / block.prices[:, first, 0])
    for column, stock in enumerate(stocks):
        np.testing.assert_array_equal(block.stocks[:, 0, column], stock.price)
        logs = np.log(block.stocks[:, last, column] / block.stocks[:, first, column])
        variance = stock.vol**2 * (last - first) * HOUR_MS / YEAR_MS
        assert logs.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / PATHS))
        assert np.exp(logs).mean() == pytest.approx(1, abs=4 * math.sqrt(variance / PATHS))
        measured = np.corrcoef(bitcoin, logs)[0, 1]
        error = (1 - stock.correlation**2) / math.sqrt(PATHS)
        assert measured == pytest.approx(stock.correlation, abs=4 * error)


def test_stocks_gap_by_what_happened_in_the_night() -> None:
    clock = Clock(START, HOUR_MS, 48)
    stocks = (StockMotion(vol=0.9, correlation=1.0),)
    block = Brownian(stocks=stocks).draw(clock, PATHS, np.random.default_rng(4))
    closed, opened = 21, 24 + 15
    assert np.flatnonzero(block.is_open).tolist() == [*range(15, 21), *range(39, 45)]
    gaps = np.log(block.stocks[:, opened, 0] / block.stocks[:, closed, 0])
    variance = 0.9**2 * (opened - closed) * HOUR_MS / YEAR_MS
    assert gaps.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / PATHS))
    moved = np.log(block.prices[:, opened, 0] / block.prices[:, closed, 0])
    assert np.corrcoef(moved, gaps)[0, 1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"prices": (1.0,)}, "2 of each"),
        ({"prices": (0.0, 1.0)}, "price must be more than 0"),
        ({"prices": (math.nan, 1.0)}, "price must be more than 0"),
        ({"prices": (1.0, 1e9)}, "at most 1e"),
        ({"vols": (-0.1, 0.5)}, "vol must be from 0"),
        ({"vols": (0.5, math.nan)}, "vol must be from 0"),
        ({"vols": (0.5, 11.0)}, "vol must be from 0 to 10"),
        ({"correlation": 1.01}, "from -1 to 1"),
        ({"correlation": math.nan}, "from -1 to 1"),
    ],
)
def test_nonsense_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Brownian(**fields)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"price": -1.0}, "stock: price"),
        ({"vol": math.inf}, "stock: vol"),
        ({"correlation": -2.0}, "stock: correlation"),
    ],
)
def test_a_stock_that_cannot_be_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        StockMotion(**fields)
