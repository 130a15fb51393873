"""Means and tail means of simulated outcomes, with standard errors."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A mean and its standard error."""

    mean: float
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
