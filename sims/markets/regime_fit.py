"""Which regime each day was in: a hidden Markov chain seen through the log of daily vol.

Maximum likelihood by expectation and maximisation (Baum and Welch), every emission normal.
"""

import math
from typing import NamedTuple

import numpy as np

from amm.kernel import allocating_kernel
from sims.markets.block import Bools, Floats

_ROUNDS = 200
_SPREAD_MIN = 0.05


class Chain(NamedTuple):
    """What was found.

    Attributes:
        means: Of each regime's observations, rising; shape (regimes,).
        spreads: Their standard deviations, shape (regimes,).
        transitions: From row to column in a day.
        shares: Probability of each regime on each day given all days, shape (days, regimes).
        log_likelihood: Of the observations.
    """

    means: Floats
    spreads: Floats
    transitions: Floats
    shares: Floats
    log_likelihood: float


@allocating_kernel
def _smooth(
    chances: Floats,
    begins: Bools,
    transitions: Floats,
    first: Floats,
    shares: Floats,
    moved: Floats,
) -> float:
    """Fill the shares of each day and the expected transitions; return the log likelihood."""
    days, width = chances.shape
    ahead, scale, total = np.empty((days, width)), np.empty(days), 0.0
    for day in range(days):
        for to in range(width):
            seen = first[to]
            if not begins[day]:
                seen = 0.0
                for here in range(width):
                    seen += ahead[day - 1, here] * transitions[here, to]
            ahead[day, to] = seen * chances[day, to]
        scale[day] = max(ahead[day].sum(), 1e-300)
        ahead[day] /= scale[day]
        total += np.log(scale[day])
    back = np.ones(width)
    moved[:] = 0.0
    for day in range(days - 1, -1, -1):
        shares[day] = ahead[day] * back
        shares[day] /= shares[day].sum()
        before = np.ones(width)
        if not begins[day]:
            for here in range(width):
                before[here] = 0.0
                for to in range(width):
                    flow = transitions[here, to] * chances[day, to] * back[to] / scale[day]
                    before[here] += flow
                    moved[here, to] += ahead[day - 1, here] * flow
        back[:] = before
    return total


def fit_chain(seen: Floats, begins: Bools, regimes: int = 3) -> Chain:
    """Fit a chain to observations.

    Args:
        seen: One number a day, shape (days,).
        begins: Whether the day before is missing, shape (days,); true for the first.
        regimes: How many.
    """
    means = np.quantile(seen, (np.arange(regimes) + 0.5) / regimes)
    spreads = np.full(regimes, seen.std() / 2.0)
    transitions = np.full((regimes, regimes), 0.1 / (regimes - 1))
    np.fill_diagonal(transitions, 0.9)
    first = np.full(regimes, 1.0 / regimes)
    shares, moved = np.empty((seen.size, regimes)), np.empty((regimes, regimes))
    likelihood = now = -math.inf
    for _ in range(_ROUNDS):
        apart = (seen[:, None] - means) / spreads
        chances = np.exp(-apart * apart / 2.0) / (spreads * np.sqrt(2.0 * np.pi)) + 1e-300
        now = _smooth(chances, begins, transitions, first, shares, moved)
        weight = shares.sum(axis=0)
        means = shares.T @ seen / weight
        spreads = np.sqrt(((seen[:, None] - means) ** 2 * shares).sum(axis=0) / weight)
        spreads = np.maximum(spreads, _SPREAD_MIN)
        transitions = moved / moved.sum(axis=1, keepdims=True)
        first = weight / weight.sum()
        if now - likelihood < 1e-6 * abs(now):
            break
        likelihood = now
    order = np.argsort(means)
    return Chain(
        means[order], spreads[order], transitions[np.ix_(order, order)], shares[:, order], now
    )


def rates_of(transitions: Floats) -> Floats:
    """Return transitions a day in continuous time; the diagonal is 0.

    The matrix logarithm of a matrix that was estimated may have small negative rates: they are 0.
    """
    from scipy.linalg import logm  # noqa: PLC0415 - slow to load

    rates = np.maximum(np.real(logm(transitions + 1e-12)), 0.0)
    np.fill_diagonal(rates, 0.0)
    return np.asarray(rates)
