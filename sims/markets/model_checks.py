"""The market model against hours it was not calibrated on.

Every figure of the recorded hours is compared with the same figure of drawn histories of the same
length on the same dates. Its p-value is the share of drawn histories that are as far out, so hours
that depend on each other are no problem: drawn ones do too. The same holds for distances of
distributions (Kolmogorov and Smirnov): what is usual is read off drawn histories.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from amm.units import HOUR_MS
from sims.markets.block import Clock, Floats, MarketBlock, MarketModel
from sims.markets.market_statistics import (
    block_errors,
    drawdowns,
    scaled_hours,
    statistics_of,
    whole_days,
)
from sims.markets.recorded_hours import Hours, hours_of

HOURS_MIN = 60 * 24
"""Two of the windows whose drawdowns are compared."""
PATHS = 240
BATCH = 20
ERROR_DRAWS = 40
REJECTED = 0.01
"""A figure fails below this p-value; one in a hundred does so by chance."""
RANKS = np.concatenate([np.geomspace(1e-4, 0.01, 15), np.linspace(0.02, 0.98, 49)])
RANKS = np.concatenate([RANKS, 1.0 - RANKS[14::-1]])
_GRID = 2_000

Sample = Callable[[Hours], Floats]
SAMPLES: dict[str, Sample] = {
    "BTC hour": lambda hours: hours.moves[:, 0],
    "ETH hour": lambda hours: hours.moves[:, 1],
    "BTC hour over local vol": scaled_hours,
    "BTC day": lambda hours: whole_days(hours).moves[:, 0],
    "ETH day": lambda hours: whole_days(hours).moves[:, 1],
}


class Row(NamedTuple):
    """One figure.

    Attributes:
        name: What it is.
        data: Of recorded hours.
        error: Its standard error, from blocks of them.
        model: Mean over drawn histories.
        spread: Their standard deviation.
        p: Share of drawn histories at least as far out, on the data's side, times two.
    """

    name: str
    data: float
    error: float
    model: float
    spread: float
    p: float

    @property
    def fails(self) -> bool:
        """Whether the model is rejected by this figure."""
        return self.p < REJECTED


class Fit(NamedTuple):
    """A distribution: how far data is from the model's, and from how far a drawn history is.

    Attributes:
        name: Of what.
        distance: Largest difference of distribution functions.
        usual: The distance that 19 of 20 drawn histories stay below.
        p: Share of drawn histories at least as far.
        transform: Probability integral transform of the data: share in each tenth.
    """

    name: str
    distance: float
    usual: float
    p: float
    transform: tuple[float, ...]

    @property
    def fails(self) -> bool:
        """Whether the model is rejected by this distribution."""
        return self.p < REJECTED


class Curves(NamedTuple):
    """What a picture shows: quantiles at `RANKS`, of data and of each drawn history."""

    data: dict[str, Floats]
    drawn: dict[str, Floats]


class Checks(NamedTuple):
    """All that was checked.

    Attributes:
        first_ms: Beginning of the recorded hours.
        hours: How many.
        paths: Drawn histories.
        seed: Of them.
        rows: Figures.
        fits: Distributions.
        curves: For pictures.
    """

    first_ms: int
    hours: int
    paths: int
    seed: int
    rows: tuple[Row, ...]
    fits: tuple[Fit, ...]
    curves: Curves


def two_sided(value: float, drawn: Floats) -> float:
    """Return the p-value of a value among drawn ones."""
    below = (1 + (drawn <= value).sum()) / (drawn.size + 1)
    above = (1 + (drawn >= value).sum()) / (drawn.size + 1)
    return float(min(1.0, 2.0 * min(below, above)))


def row_of(name: str, data: float, error: float, drawn: Floats) -> Row:
    """Return the comparison of one figure."""
    spread = float(drawn.std(ddof=1))
    return Row(name, data, error, float(drawn.mean()), spread, two_sided(data, drawn))


def _distances(grid: Floats, samples: list[Floats]) -> Floats:
    """Return the largest difference of each sample's distribution from that of all of them."""
    ranks = (np.arange(grid.size) + 0.5) / grid.size
    found = []
    for sample in samples:
        ordered = np.sort(sample)
        shares = np.searchsorted(ordered, grid, side="right") / sample.size
        found.append(np.abs(shares - ranks).max())
    return np.array(found)


def fit_of(name: str, data: Floats, samples: list[Floats]) -> Fit:
    """Return the comparison of one distribution."""
    ranks = (np.arange(_GRID) + 0.5) / _GRID
    grid = np.quantile(np.concatenate(samples), ranks)
    usual, here = _distances(grid, samples), float(_distances(grid, [data])[0])
    tenths = np.histogram(np.searchsorted(grid, data) / _GRID, bins=10, range=(0.0, 1.0))[0]
    p = float((1 + (usual >= here).sum()) / (usual.size + 1))
    shares = tuple((tenths / data.size).tolist())
    return Fit(name, here, float(np.quantile(usual, 0.95)), p, shares)


def draw_blocks(model: MarketModel, clock: Clock, paths: int, *seed: int) -> Iterator[MarketBlock]:
    """Yield blocks of `BATCH` paths, as many as there are of `paths` and more."""
    for batch in range(-(-paths // BATCH)):
        sequence = np.random.SeedSequence([seed[0], batch, *seed[1:]])
        yield model.draw(clock, BATCH, np.random.Generator(np.random.Philox(sequence)))


def draw_histories(model: MarketModel, clock: Clock, paths: int, seed: int) -> list[Hours]:
    """Return drawn histories, a batch at a time."""
    found: list[Hours] = []
    for block in draw_blocks(model, clock, paths, seed):
        found += [hours_of(block, path) for path in range(BATCH)]
    return found[:paths]


def check_market(model: MarketModel, recorded: Hours, paths: int = PATHS, seed: int = 1) -> Checks:
    """Compare a model with recorded hours.

    Args:
        model: Any market model.
        recorded: Hours that it was not made from.
        paths: Drawn histories; p-values are not below 2 / (paths + 1).
        seed: Of them.

    Raises:
        ValueError: There are too few hours to say anything of 30-day windows.
    """
    if recorded.times_ms.size < HOURS_MIN:
        count = recorded.times_ms.size
        raise ValueError(f"{count:,} recorded hours are too few to check: at least {HOURS_MIN:,}")
    first, last = int(recorded.times_ms[0]), int(recorded.times_ms[-1])
    clock = Clock(first, HOUR_MS, (last - first) // HOUR_MS + 1)
    drawn = draw_histories(model, clock, paths, seed)
    data, errors = statistics_of(recorded), block_errors(recorded, statistics_of, ERROR_DRAWS)
    found = [statistics_of(each) for each in drawn]
    rows = tuple(
        row_of(name, data[name], errors[name], np.array([each[name] for each in found]))
        for name in data
    )
    fits, curves = [], Curves({}, {})
    for name, sample in SAMPLES.items():
        here, samples = sample(recorded), [sample(each) for each in drawn]
        fits.append(fit_of(name, here, samples))
        curves.data[name] = np.quantile(here, RANKS)
        curves.drawn[name] = np.array([np.quantile(each, RANKS) for each in samples])
    curves.data["drawdown"] = np.quantile(drawdowns(recorded), RANKS)
    falls = [np.quantile(drawdowns(each), RANKS) for each in drawn]
    curves.drawn["drawdown"] = np.array(falls)
    return Checks(first, recorded.times_ms.size, paths, seed, rows, tuple(fits), curves)
