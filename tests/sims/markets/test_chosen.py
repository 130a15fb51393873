"""Far-moving paths are chosen more often; weights make every mean that of the market."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amm.units import DAY_MS, HOUR_MS
from sims.markets.block import Clock, Floats, MarketBlock
from sims.markets.brownian import Brownian
from sims.markets.chosen import Chosen
from sims.markets.regimes import Regimes
from sims.markets.replayed import Replayed
from sims.markets.tilt import Tilt
from sims.statistics import probability, variance_ratio
from tests.sims.markets.conftest import BEGIN

CLOCK = Clock(1_767_571_200_000, HOUR_MS, 24 * 6)
PATHS = 1_500
ERRORS_MAX = 4.0
MARKET = Brownian(prices=(1.0, 1.0), vols=(0.9, 1.1))


def draw(market: Chosen | Brownian | Regimes, paths: int = PATHS, seed: int = 1) -> MarketBlock:
    return market.draw(CLOCK, paths, np.random.Generator(np.random.Philox(seed)))


def is_near(samples: Floats, value: float) -> bool:
    """Whether a mean is within 4 standard errors of a value."""
    error = samples.std(ddof=1) / np.sqrt(samples.size)
    return bool(abs(samples.mean() - value) <= ERRORS_MAX * error)


def rises(block: MarketBlock, far: float) -> np.ndarray:
    """Whether the second index goes so far up over four days, as a logarithm."""
    logs = np.log(block.prices[:, :, 1])
    return np.asarray((logs[:, 96:] - logs[:, :-96]).max(axis=1) > far)


@pytest.fixture(scope="module")
def plain() -> MarketBlock:
    return draw(MARKET, 6_000, seed=2)


@pytest.mark.parametrize(
    "fields", [{}, {"candidates": 2}, {"falls": 0.0, "power": 1.0}, {"days": 30, "most": 3.0}]
)
def test_weighted_means_are_those_of_the_market(plain: MarketBlock, fields: dict[str, Any]) -> None:
    chosen = Chosen(MARKET, **fields)
    block = draw(chosen)
    assert is_near(block.weights, 1.0)
    assert block.weights.max() <= chosen.most
    assert block.weights.std() > 0.05
    for column in range(2):
        assert is_near(block.weights * block.prices[:, -1, column], 1.0)
    told, found = (
        probability(rises(plain, 0.2), plain.weights),
        probability(rises(block, 0.2), block.weights),
    )
    assert abs(told.value - found.value) < ERRORS_MAX * np.hypot(told.error, found.error)
    # Without weights it is another number: the test can fail.
    bare = probability(rises(block, 0.2), np.ones(PATHS))
    assert bare.value - told.value > ERRORS_MAX * bare.error


def test_what_is_rare_is_told_with_fewer_paths(plain: MarketBlock) -> None:
    block = draw(Chosen(MARKET))
    told, found = (
        probability(rises(plain, 0.3), plain.weights),
        probability(rises(block, 0.3), block.weights),
    )
    assert 0.005 < told.value < 0.05
    fewer = PATHS / plain.weights.size
    assert variance_ratio(told, found) / fewer > 1.5


def test_a_path_is_chosen_whole() -> None:
    block, plain = draw(Chosen(Regimes(), candidates=4), 40), draw(Regimes(), 40)
    ends = np.stack([block.prices[:, :-1], block.prices[:, 1:]])
    assert (block.lows[:, 1:] <= ends.min(axis=0)).all()
    assert (block.highs[:, 1:] >= ends.max(axis=0)).all()
    same = (block.prices == plain.prices).all(axis=(1, 2))
    assert 0 < same.sum() < 40
    for name in ("lows", "highs", "levels"):
        kept = (getattr(block, name) == getattr(plain, name)).all(axis=(1, 2))
        assert np.array_equal(kept, same)


def test_weights_of_the_market_are_kept() -> None:
    market = Regimes(start=1, prices=(1.0, 1.0), tilt=Tilt(days=2, push=1.5))
    block = draw(Chosen(market, candidates=3))
    assert is_near(block.weights, 1.0)
    assert is_near(block.weights * block.prices[:, -1, 0], 1.0)


def test_one_candidate_is_the_market() -> None:
    for one, other in zip(draw(Chosen(MARKET, 1), 5), draw(MARKET, 5), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_was_not_observed_is_no_move(made_history: Path) -> None:
    clock = Clock(BEGIN, HOUR_MS, 24 * 20)
    market = Chosen(Replayed(made_history, every_days=1), candidates=3)
    block = market.draw(clock, 30, np.random.default_rng(1))
    assert np.isnan(block.prices).any()
    assert np.isfinite(block.weights).all()


def test_paths_shorter_than_the_days_can_be_chosen() -> None:
    clock = Clock(BEGIN, DAY_MS, 1)
    assert Chosen(MARKET).draw(clock, 5, np.random.default_rng(1)).prices.shape == (5, 2, 2)


@pytest.mark.parametrize(
    "fields",
    [{"candidates": 0}, {"days": 0}, {"usual": 0.0}, {"falls": -1.0}, {"power": -1.0},
     {"most": 0.5}],
)  # fmt: skip
def test_a_choice_that_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"choice: {next(iter(fields))} must be from"):
        Chosen(MARKET, **fields)
