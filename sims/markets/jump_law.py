"""Sizes of jumps: a Student-t law cut off on both sides, so that its exponential has a mean."""

import functools
import math
from typing import NamedTuple

import numpy as np

from sims.markets.block import Floats

_NODES = 4001


class JumpLaw(NamedTuple):
    """Student-t around `mean`, kept where |size - mean| <= cut.

    Attributes:
        mean: Of the logarithm of a jump; > -1.
        scale: Of the Student-t.
        freedom: Its degrees of freedom; > 0.
        cut: Largest distance from the mean.
    """

    mean: float
    scale: float
    freedom: float
    cut: float


@functools.cache
def _log_norm(law: JumpLaw) -> float:
    """Return the logarithm of what the density is divided by: its constant and what is cut off."""
    from scipy.special import stdtr  # noqa: PLC0415 - slow to load

    half = law.freedom / 2.0
    constant = math.lgamma(half) - math.lgamma(half + 0.5) + math.log(law.freedom * math.pi) / 2.0
    inside = 1.0 - 2.0 * float(stdtr(law.freedom, -law.cut / law.scale))
    return constant + math.log(law.scale * inside)


def log_density(law: JumpLaw, sizes: Floats) -> Floats:
    """Return the log density at sizes within the cut of the law; -inf beyond."""
    apart = np.abs(sizes - law.mean)
    power = -(law.freedom + 1.0) / 2.0
    inside = power * np.log1p((apart / law.scale) ** 2 / law.freedom) - _log_norm(law)
    return np.where(apart <= law.cut, inside, -np.inf)


def draw_jumps(law: JumpLaw, count: int, random: np.random.Generator) -> Floats:
    """Draw sizes, shape (count,): by inversion, so each takes one uniform number."""
    from scipy.special import stdtr, stdtrit  # noqa: PLC0415 - slow to load

    low = float(stdtr(law.freedom, -law.cut / law.scale))
    ranks = low + (1.0 - 2.0 * low) * random.random(count)
    sizes = law.mean + law.scale * np.asarray(stdtrit(law.freedom, ranks))
    return np.clip(sizes, law.mean - law.cut, law.mean + law.cut)


@functools.cache
def mean_gain(law: JumpLaw, beta: float = 1.0, own: float = 0.0) -> float:
    """Return E[exp(beta J + own Z)] - 1, for Z standard normal."""
    # A power of the node crowds the nodes where the density is steep.
    half = np.linspace(-1.0, 1.0, _NODES)
    sizes = law.mean + law.cut * half**3
    values = np.exp(log_density(law, sizes) + beta * sizes) * law.cut * 3.0 * half**2
    return float(np.trapezoid(values, half)) * math.exp(own * own / 2.0) - 1.0


@functools.cache
def mean_square(law: JumpLaw) -> float:
    """Return E[(J - mean)^2]."""
    half = np.linspace(-1.0, 1.0, _NODES)
    apart = law.cut * half**3
    values = np.exp(log_density(law, law.mean + apart)) * apart**2 * law.cut * 3.0 * half**2
    return float(np.trapezoid(values, half))


def beyond(law: JumpLaw, bounds: Floats) -> Floats:
    """Return P(|J - mean| > bound)."""
    from scipy.special import stdtr  # noqa: PLC0415 - slow to load

    low = float(stdtr(law.freedom, -law.cut / law.scale))
    tails = 2.0 * (np.asarray(stdtr(law.freedom, -bounds / law.scale)) - low)
    return np.clip(tails / (1.0 - 2.0 * low), 0.0, 1.0)
