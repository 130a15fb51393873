"""Figures that points of a sweep are compared by, and the errors of their differences.

Every figure is near enough a mean: of each path it is known by how much the path pulls it, weight
and all (its influence; Owen, *Monte Carlo theory, methods and examples*, chapter 2). The root of
the summed squares of the pulls is the figure's standard error. Points of a sweep meet the same
paths, so the pulls on a difference are the differences of the pulls, and what the paths have in
common cancels. Nothing cancels by assumption: where two points have nothing in common, the error
comes out as that of independent runs.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sims.drawdown.outcome import Floats
from sims.runs.results import Results
from sims.statistics import Estimate, quantile, trials_of

TAIL = 0.05
"""Share of the worst paths an expected shortfall is the mean of."""
DEEP = 0.10
"""The drawdown whose probability is told."""


class Measured(NamedTuple):
    """A figure of a run.

    Attributes:
        value: What it comes to.
        pulls: By how much each path moves it, sum 0, shape (paths,).
        least_error: What its error, and that of a difference, is at least: for events, which are
            not impossible, or alike, for not having been seen.
    """

    value: float
    pulls: Floats
    least_error: float = 0.0

    @property
    def estimate(self) -> Estimate:
        """The figure with its standard error."""
        return Estimate(self.value, max(_error(self.pulls), self.least_error))


def _error(pulls: Floats) -> float:
    return math.sqrt(float(np.square(pulls).sum()) * pulls.size / max(pulls.size - 1, 1))


def difference(later: Measured, earlier: Measured) -> Estimate:
    """Return how much more one figure is than another of the same paths, with its paired error."""
    error = _error(later.pulls - earlier.pulls)
    least = max(later.least_error, earlier.least_error)
    return Estimate(later.value - earlier.value, max(error, least))


def covariance(one: Measured, other: Measured) -> float:
    """Return the covariance of the errors of two figures of the same paths."""
    return float(one.pulls @ other.pulls) * one.pulls.size / max(one.pulls.size - 1, 1)


def mean_of(samples: Floats, weights: Floats) -> Measured:
    """Return a weighted mean; both of shape (paths,), as of all functions here."""
    shares = weights / weights.sum()
    mean = float(shares @ samples)
    return Measured(mean, shares * (samples - mean))


def ratio_of(above: Floats, below: Floats, weights: Floats) -> Measured:
    """Return a mean over a mean; 0 where there is nothing below."""
    shares = weights / weights.sum()
    size = float(shares @ below)
    if size <= 0.0:
        return Measured(0.0, np.zeros(above.size))
    ratio = float(shares @ above) / size
    return Measured(ratio, shares * (above - ratio * below) / size)


def shortfall_of(gains: Floats, weights: Floats, tail: float = TAIL) -> Measured:
    """Return the mean loss of the worst paths (expected shortfall): losses are positive."""
    edge = quantile(gains, tail, weights).value
    return mean_of(-edge - np.minimum(gains - edge, 0.0) / tail, weights)


def chance_of(events: npt.NDArray[np.bool_], weights: Floats) -> Measured:
    """Return the probability of an event."""
    found = mean_of(events.astype(np.float64), weights)
    # Wilson's, of one deviation, for what is not seen at all: see `sims.statistics.probability`.
    return found._replace(least_error=0.5 / (trials_of(events, weights) + 1.0))


class Figure(NamedTuple):
    """What can be asked of every run.

    Attributes:
        title: In words, without its unit: all are shown in %.
        short: At the head of a column.
        measure: From the results and the number of the pool.
    """

    title: str
    short: str
    measure: Callable[[Results, int], Measured]


def _mean(name: str) -> Callable[[Results, int], Measured]:
    return lambda results, pool: mean_of(results.total(name, pool), results.weights)


def _ratio(above: str, *below: str) -> Callable[[Results, int], Measured]:
    def measure(results: Results, pool: int) -> Measured:
        sizes = sum((results.total(name, pool) for name in below), np.zeros(results.paths))
        return ratio_of(results.total(above, pool), sizes, results.weights)

    return measure


def _shortfall(results: Results, pool: int) -> Measured:
    return shortfall_of(results.total("main_pnl", pool), results.weights)


def deep_drawdown(results: Results, pool: int, depth: float = DEEP) -> Measured:
    """Return how likely a drawdown of the share price is beyond a depth."""
    return chance_of(results.total("drawdown", pool) > depth, results.weights)


def _claim(results: Results, pool: int) -> Measured:
    return chance_of(results.total("claims", pool) > 0.0, results.weights)


FIGURES: Mapping[str, Figure] = {
    "pnl": Figure("main LPs' mean P&L", "mean P&L", _mean("main_pnl")),
    "shortfall": Figure(
        "main LPs' expected shortfall, worst 5 % of paths", "shortfall", _shortfall
    ),
    "drawdown": Figure("mean drawdown", "drawdown", _mean("drawdown")),
    "deep": Figure("P(drawdown > 10 %)", "P(deep)", deep_drawdown),
    "insurance_pnl": Figure("insurers' mean P&L", "insurers", _mean("insurance_pnl")),
    "claim": Figure("P(insurance claim)", "P(claim)", _claim),
    "phi": Figure("insurance's share of premium", "phi", _ratio("to_insurance", "premium", "rent")),
    "utilisation": Figure("mean utilisation", "utilisation", _mean("utilisation")),
    "refused": Figure("notional refused", "refused", _ratio("refused", "refused", "opened")),
}
"""By name. P&L is over what LPs brought, of the whole horizon."""
