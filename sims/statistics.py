"""What simulated outcomes come to, each figure with its standard error.

Outcomes are independent. Where they were drawn by another law than the one asked about, each has a
weight, its likelihood under the one over that under the other: sums of the weights take the place
of counts (self-normalised importance sampling; Owen, *Monte Carlo theory, methods and examples*,
chapter 9).
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A figure and its standard error."""

    value: float
    error: float


def estimate_of(samples: Floats) -> Estimate:
    """Return the mean of independent samples, shape (n,) with n > 1."""
    return Estimate(float(samples.mean()), float(samples.std(ddof=1) / math.sqrt(samples.size)))


def tail_samples(samples: Floats, share: float) -> Floats:
    """Return numbers whose mean is the mean of the lowest `share` of the samples (CVaR).

    With q the quantile they are q + min(x - q, 0) / share, after Rockafellar and Uryasev. Near the
    quantile the mean does not depend on it, so their scatter gives the standard error, and that
    of a difference between two tail means of the same paths.

    Args:
        samples: Shape (n,).
        share: 0 < share <= 1.
    """
    count = max(math.ceil(share * samples.size), 1)
    quantile = np.partition(samples, count - 1)[count - 1]
    return np.asarray(quantile + np.minimum(samples - quantile, 0.0) / share)


def tail_mean(samples: Floats, share: float) -> Estimate:
    """Return the mean of the lowest `share` of independent samples."""
    return estimate_of(tail_samples(samples, share))


def weighted_mean(samples: Floats, weights: Floats) -> Estimate:
    """Return the mean of weighted samples; both of shape (n,) with n > 1, weights >= 0."""
    shares = weights / weights.sum()
    mean = float(shares @ samples)
    spread = float(np.square(shares * (samples - mean)).sum())
    return Estimate(mean, math.sqrt(spread * samples.size / (samples.size - 1)))


def effective_count(weights: Floats) -> float:
    """Return how many samples of equal weight tell as much (Kish): all of them if they have it."""
    return float(weights.sum() ** 2 / np.square(weights).sum())


EVENTS_FEW = 20.0
"""So few events of equal weight say little of how well their probability is known."""


def trials_of(events: npt.NDArray[np.bool_], weights: Floats) -> float:
    """Return how many independent trials of equal weight tell as much of an event.

    What was drawn more often for its rarity is known from more than there are paths; but a few
    events, all drawn more often by luck, would tell so too, and so they count as drawn plainly.

    Args:
        events: Whether it was seen, shape (n,) with n > 1.
        weights: Shape (n,), >= 0.
    """
    paths = effective_count(weights)
    seen = weighted_mean(events.astype(np.float64), weights)
    scatter = max(seen.value * (1.0 - seen.value), 0.0)
    if np.ptp(weights) == 0.0 or min(scatter, seen.error**2) == 0.0:  # all went alike
        return paths
    fewer = min(effective_count(weights[events]), effective_count(weights[~events]))
    trials = scatter / seen.error**2
    return min(trials, paths) if fewer < EVENTS_FEW else trials


def probability(events: npt.NDArray[np.bool_], weights: Floats) -> Estimate:
    """Return how likely an event is.

    The error is half of Wilson's interval of one deviation (1927): never 0, so that what was not
    seen in n paths is not said to be impossible.

    Args:
        events: Whether it was seen, shape (n,) with n > 1.
        weights: Shape (n,), >= 0.
    """
    seen = weighted_mean(events.astype(np.float64), weights)
    scatter = max(seen.value * (1.0 - seen.value), 0.0)
    count = trials_of(events, weights)
    error = math.sqrt(scatter / count + 1.0 / (4.0 * count**2)) / (1.0 + 1.0 / count)
    return Estimate(seen.value, error)


def quantile(samples: Floats, share: float, weights: Floats) -> Estimate:
    """Return the lowest sample with at least `share` of the weight at or below it.

    The error is half the distance of the samples one deviation of their share below and above.

    Args:
        samples: Shape (n,) with n > 1.
        share: From 0 to 1.
        weights: Shape (n,), >= 0.
    """
    order = np.argsort(samples, kind="stable")
    ordered, reached = samples[order], np.cumsum(weights[order]) / weights.sum()

    def at(wanted: float) -> float:
        place = int(np.searchsorted(reached, min(max(wanted, 0.0), 1.0) - 1e-12))
        return float(ordered[min(place, samples.size - 1)])

    found = at(share)
    off = weighted_mean((samples <= found).astype(np.float64), weights).error
    return Estimate(found, (at(share + off) - at(share - off)) / 2.0)


def weighted_tail_mean(samples: Floats, share: float, weights: Floats) -> Estimate:
    """Return the mean of the lowest `share` of weighted samples (CVaR), as `tail_samples` has it.

    Args:
        samples: Shape (n,) with n > 1.
        share: 0 < share <= 1.
        weights: Shape (n,), >= 0.
    """
    edge = quantile(samples, share, weights).value
    return weighted_mean(edge + np.minimum(samples - edge, 0.0) / share, weights)


def variance_ratio(plain: Estimate, better: Estimate) -> float:
    """Return how many times more plain paths an error as small as the better one's would need."""
    return (plain.error / better.error) ** 2
