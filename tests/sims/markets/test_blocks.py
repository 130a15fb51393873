"""What every block of every market model must be."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from amm.units import DAY_MS, HOUR_MS
from sims.markets.block import Clock, MarketBlock, MarketModel
from sims.markets.bootstrap import Bootstrap
from sims.markets.brownian import Brownian
from sims.markets.replayed import Replayed
from sims.markets.scripted import Scripted, ScriptLeg, ScriptStock
from sims.markets.sessions import is_open
from sims.markets.stock_motion import StockMotion

START = 1_704_672_000_000
"""Monday, 8 January 2024."""
PATHS = 20
CLOCK = Clock(START, HOUR_MS, 14 * 24)

MODELS: dict[str, Callable[[Path], MarketModel]] = {
    "brownian": lambda _: Brownian(),
    "brownian, stocks": lambda _: Brownian(
        correlation=-1.0, stocks=(StockMotion(), StockMotion(40.0, 0.9, -0.5)), feeds_vol=True
    ),
    "brownian, still": lambda _: Brownian(vols=(0.0, 0.0)),
    "scripted": lambda _: Scripted(
        (
            ScriptLeg(6, (-0.35, -0.45), vol_multiple=2, wicks=(-0.05, -0.1), wick_at=0.5),
            ScriptLeg(3, (0.1, 0.1), shape="straight", wicks=(0.02, 0.0)),
            ScriptLeg(60, stocks=(-0.4, 0.0)),
        ),
        stocks=(ScriptStock(beta=1.2), ScriptStock(30.0, 0.0, 0.5)),
    ),
    "scripted, vol": lambda _: Scripted((ScriptLeg(24, log_moves=(0.3, 0.3)),), feeds="vol"),
    "bootstrap": Bootstrap,
    "bootstrap, stocks": lambda folder: Bootstrap(folder, stocks=("BARS", "DAYS")),
    "bootstrap, recorded": lambda folder: Bootstrap(folder, feeds="recorded", keeps_drift=True),
    "replayed": Replayed,
    "replayed, weeks": lambda folder: Replayed(folder, stocks=("BARS", "DAYS"), every_days=7),
    "replayed, days": lambda folder: Replayed(folder, every_days=1),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest, made_history: Path) -> MarketModel:
    return MODELS[request.param](made_history)


def draw(model: MarketModel, seed: int = 3, clock: Clock = CLOCK) -> MarketBlock:
    return model.draw(clock, PATHS, np.random.default_rng(seed))


def test_shapes_and_types(model: MarketModel) -> None:
    block, moments = draw(model), CLOCK.steps + 1
    stocks = len(getattr(model, "stocks", ()))
    shape = (PATHS, moments, 2)
    assert [array.shape for array in block] == [
        (moments,), shape, shape, shape, shape, (PATHS, moments, stocks), (moments,), (PATHS,)
    ]  # fmt: skip
    assert block.times_ms.dtype == np.int64
    assert block.is_open.dtype == np.bool_
    assert {array.dtype for array in (*block[1:6], block.weights)} == {np.dtype(np.float64)}
    assert all(array.flags.c_contiguous for array in block)
    np.testing.assert_array_equal(block.times_ms, CLOCK.times_ms)
    np.testing.assert_array_equal(block.is_open, is_open(CLOCK.times_ms))
    np.testing.assert_array_equal(block.weights, 1.0)


def test_extremes_hold_the_ends_of_their_step(model: MarketModel) -> None:
    block = draw(model)
    prices, lows, highs = block.prices, block.lows, block.highs
    seen = np.isfinite(prices)
    assert np.isfinite(prices[:, 0]).all()
    assert seen.mean() > 0.99
    assert (prices[seen] > 0).all()
    np.testing.assert_array_equal(np.isfinite(lows), seen)
    np.testing.assert_array_equal(np.isfinite(highs), seen)
    np.testing.assert_array_equal(lows[:, 0], prices[:, 0])
    np.testing.assert_array_equal(highs[:, 0], prices[:, 0])
    known = seen[:, 1:]
    lower = np.fmin(prices[:, :-1], prices[:, 1:])
    upper = np.fmax(prices[:, :-1], prices[:, 1:])
    assert (lows[:, 1:][known] <= lower[known]).all()
    assert (highs[:, 1:][known] >= upper[known]).all()
    assert (lows[seen] > 0).all()


def test_levels_are_vols_or_left_to_the_estimator(model: MarketModel) -> None:
    levels = draw(model).levels
    assert ((levels == 0.0) | ((levels > 0.05) & (levels < 4.0))).all()


def test_stocks_move_only_when_their_exchange_says_so(model: MarketModel) -> None:
    block = draw(model)
    assert np.isfinite(block.stocks).all()
    assert (block.stocks > 0).all()
    if isinstance(model, Bootstrap) or getattr(model, "every_days", 0):
        return  # drawn hours may come from a week with other holidays
    shut = ~block.is_open[:-1] & ~block.is_open[1:]
    assert shut.sum() > 200
    moves = np.diff(block.stocks, axis=1)
    np.testing.assert_array_equal(moves[:, shut], 0.0)
    if block.stocks.size:
        assert np.abs(moves[:, ~shut]).max() > 0.0


def test_a_block_depends_on_its_arguments_only(model: MarketModel) -> None:
    first = draw(model)
    draw(model, seed=4, clock=CLOCK._replace(steps=24 * 7))
    again = draw(dataclasses.replace(model))  # type: ignore[type-var]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_seed_is_another_market(model: MarketModel) -> None:
    one, other = draw(model, seed=3), draw(model, seed=4)
    same = np.array_equal(one.prices, other.prices, equal_nan=True)
    never_differs = isinstance(model, Replayed) and model.every_days == 0
    still = isinstance(model, Brownian) and model.vols == (0.0, 0.0)
    assert same == (never_differs or still)


def test_what_is_drawn_may_be_written_to(model: MarketModel) -> None:
    clock = CLOCK._replace(steps=72)
    first = draw(model, clock=clock)
    kept = [array.copy() for array in first]
    for array in first:
        array[...] = 0
    for one, other in zip(kept, draw(model, clock=clock), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_clock_may_have_one_step(model: MarketModel) -> None:
    clock = CLOCK._replace(steps=1)
    if isinstance(model, Scripted):
        with pytest.raises(ValueError, match="the clock only 1"):
            draw(model, clock=clock)
        return
    block = draw(model, clock=clock)
    assert block.prices.shape == (PATHS, 2, 2)
    assert block.times_ms.tolist() == [START, START + HOUR_MS]


@pytest.mark.parametrize("name", ["brownian, stocks", "scripted"])
def test_five_minute_steps(name: str) -> None:
    clock = Clock(START, HOUR_MS // 12, 12 * 72)
    block = draw(MODELS[name](Path()), clock=clock)
    assert (np.diff(block.times_ms) == HOUR_MS // 12).all()
    assert block.prices.shape == (PATHS, 12 * 72 + 1, 2)
    assert block.times_ms[-1] == START + 3 * DAY_MS
