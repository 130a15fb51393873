"""Figures of a report: what paths come to, with an error where the paths can tell one.

One path has no scatter, nor have paths that all say the same, and a tail of a few paths hides how
far it reaches: such figures have no error rather than a wrong one.
"""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from sims import statistics
from sims.statistics import Estimate, Floats, effective_count

TAIL_MIN = 5.0
"""With fewer (effective) paths in a tail nothing is said of how well it is known."""


class Figure(NamedTuple):
    """A figure, and its standard error where it is known."""

    value: float
    error: float | None

    def times(self, factor: float) -> "Figure":
        """Return it in another unit, or with the other sign."""
        # Adding 0 makes a negative zero a plain one.
        value = factor * self.value + 0.0
        return Figure(value, None if self.error is None else abs(factor) * self.error)


class Tailed(Protocol):
    """What has a lower tail."""

    def quantile(self, share: float) -> Figure:
        """Return the lowest value with a share of the weight at or below it."""
        ...

    def tail_mean(self, share: float) -> Figure:
        """Return the mean of the lowest share."""
        ...


def _figure(estimate: Estimate, *, is_told: bool = True) -> Figure:
    return Figure(estimate.value, estimate.error if is_told else None)


def _is_told(weights: Floats) -> bool:
    """Whether the paths of a tail are enough to say how well it is known."""
    return bool(weights.sum() > 0.0) and effective_count(weights) >= TAIL_MIN


class Sample(NamedTuple):
    """One number of each path, shape (paths,), and the weights of the paths."""

    values: Floats
    weights: Floats

    def mean(self) -> Figure:
        """Return the mean; numbers that are all the same do not tell how well it is known."""
        if np.all(self.values == self.values[0]):
            return Figure(float(self.values[0]), None)
        return _figure(statistics.weighted_mean(self.values, self.weights))

    def quantile(self, share: float) -> Figure:
        """Return the lowest number with a share of the weight at or below it."""
        if np.all(self.values == self.values[0]):
            return Figure(float(self.values[0]), None)
        found = statistics.quantile(self.values, share, self.weights)
        is_beyond = self.values <= found.value if share <= 0.5 else self.values >= found.value
        return _figure(found, is_told=_is_told(self.weights[is_beyond]))

    def tail_mean(self, share: float) -> Figure:
        """Return the mean of the lowest share."""
        if np.all(self.values == self.values[0]):
            return Figure(float(self.values[0]), None)
        found = statistics.weighted_tail_mean(self.values, share, self.weights)
        edge = statistics.quantile(self.values, share, self.weights).value
        return _figure(found, is_told=_is_told(self.weights[self.values <= edge]))


class Weeks(NamedTuple):
    """Weeks of all paths together, shape (paths, weeks), and the weights of the paths.

    Weeks of one path are alike, so the scatter between paths gives the errors.
    """

    changes: Floats
    weights: Floats

    def quantile(self, share: float) -> Figure:
        """Return the lowest week with a share of the weight at or below it."""
        found = self._at(share)
        off = Sample((self.changes <= found).mean(axis=1), self.weights).mean().error
        if off is None or not self._is_told(found):
            return Figure(found, None)
        return Figure(found, (self._at(share + off) - self._at(share - off)) / 2.0)

    def tail_mean(self, share: float) -> Figure:
        """Return the mean of the lowest share of weeks."""
        edge = self._at(share)
        beyond = np.minimum(self.changes - edge, 0.0) / share
        found = Sample(edge + beyond.mean(axis=1), self.weights).mean()
        return found if self._is_told(edge) else Figure(found.value, None)

    def _at(self, share: float) -> float:
        weights = np.repeat(self.weights, self.changes.shape[1])
        order = np.argsort(self.changes, axis=None, kind="stable")
        reached = np.cumsum(weights[order]) / weights.sum()
        place = int(np.searchsorted(reached, min(max(share, 0.0), 1.0) - 1e-12))
        return float(self.changes.ravel()[order[min(place, order.size - 1)]])

    def _is_told(self, edge: float) -> bool:
        return _is_told(self.weights[(self.changes <= edge).any(axis=1)])


def probability(events: npt.NDArray[np.bool_], weights: Floats) -> Figure:
    """Return how likely an event is, seen or not on each path; shapes (paths,)."""
    if events.size == 1:
        return Figure(float(events[0]), None)
    found = statistics.probability(events, weights)
    return _figure(found._replace(value=1.0) if events.all() else found)


def ratio(above: Floats, below: Floats, weights: Floats) -> Figure:
    """Return the ratio of two means with the error of the delta method, 0 where both are 0.

    Args:
        above: Shape (paths,).
        below: Shape (paths,), >= 0; 0 only where `above` is.
        weights: Shape (paths,).
    """
    whole = Sample(below, weights).mean().value
    if whole == 0.0:
        return Figure(0.0, None)
    found = Sample(above, weights).mean().value / whole
    return Figure(found, Sample((above - found * below) / whole, weights).mean().error)
