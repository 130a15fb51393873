"""The joint scenario set, and what LPs charge for bearing a book over it.

LPs are one underwriter with exponential utility and risk tolerance beta. The certainty-equivalent
charge for an open book n over one day is

    U(n) = beta log sum_s p_s exp(sum_i n_i l_i(s) / beta),   l_i(s) = v_i(s) - sum_s p_s v_i(s)

a convex potential with U(0) = 0: the cost function of a log market scoring rule whose securities
are option payoffs. A trade pays a difference of U, so its cost does not depend on how it is split.

A series moves with its own underlying only. Book losses are therefore kept per underlying and
state of that underlying, shape (REGIMES, MOVES), and joined only inside the sums.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.elementary import exp, expm1, log
from amm.kernel import kernel
from amm.perpetual import perpetual_value
from amm.surface import (
    Surface,
    strike_vol,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UNDERLYINGS = 2
MOVES = 9
REGIMES = 2
DAYS = 365.0


class Contract(NamedTuple):
    """The terms of one series as the formulas need them."""

    is_call: bool
    strike: float
    funding_period: float
    discount_rate: float
    carry: float
    cap: float


class ScenarioSet(NamedTuple):
    """Moves of two underlyings over one day and their probabilities, in two regimes.

    Attributes:
        sigmas: Move of one underlying in daily standard deviations, shape (REGIMES, MOVES).
        vol_factors: What the regime multiplies the vol level by, shape (REGIMES,).
        joint: Probability of (regime, move of the first, move of the second); sums to 1.
        marginal: Probability of (regime, move of either one); sums to 1.
    """

    sigmas: Floats
    vol_factors: Floats
    joint: Floats
    marginal: Floats


def scenario_set(
    correlation: float = 0.8,
    stress_probability: float = 0.1,
    stress_move: float = 3.0,
    stress_vol: float = 1.5,
) -> ScenarioSet:
    """Return the product grid z = -4 ... 4 with bivariate normal weights, renormalised."""
    z = np.arange(MOVES, dtype=np.float64) - MOVES // 2
    first, second = z[:, None], z[None, :]
    exponent = first**2 - 2.0 * correlation * first * second + second**2
    grid = np.exp(-exponent / (2.0 * (1.0 - correlation**2)))
    grid /= grid.sum()
    regimes = np.array([1.0 - stress_probability, stress_probability])
    joint = regimes[:, None, None] * grid
    return ScenarioSet(
        sigmas=np.stack([z, stress_move * z]),
        vol_factors=np.array([1.0, stress_vol]),
        joint=joint,
        marginal=joint.sum(axis=2),
    )


@kernel
def contract_value(contract: Contract, index: float, surface: Surface) -> float:
    """Return the value per unit of notional at an index price in USD, on a surface."""
    vol = strike_vol(surface, log(contract.strike / index))
    return perpetual_value(
        contract.is_call,
        index / contract.strike,
        vol,
        contract.funding_period,
        contract.discount_rate,
        contract.carry,
        contract.cap,
    )


@kernel
def _highest(losses: Floats) -> float:
    """Return the largest of some losses, shape (REGIMES, MOVES)."""
    highest = -math.inf
    for regime in range(REGIMES):
        for move in range(MOVES):
            highest = max(highest, losses[regime, move])
    return highest


@kernel
def book_potential(scenarios: ScenarioSet, book: Floats, tolerance: float) -> float:
    """Return U of an open book, in tokens; >= 0 but for rounding.

    Args:
        scenarios: The scenario set.
        book: Losses of the book in tokens, shape (UNDERLYINGS, REGIMES, MOVES).
        tolerance: beta, in tokens; > 0.
    """
    highest = max(0.0, _highest(book[0]) + _highest(book[1]))
    excess = 0.0
    for regime in range(REGIMES):
        for first in range(MOVES):
            for second in range(MOVES):
                loss = book[0, regime, first] + book[1, regime, second]
                probability = scenarios.joint[regime, first, second]
                # Below exp(1) the sum is near 1, where only expm1 and log1p keep its digits.
                if highest < tolerance:
                    excess += probability * math.expm1(loss / tolerance)
                else:
                    excess += probability * math.exp((loss - highest) / tolerance)
    if highest < tolerance:
        return tolerance * math.log1p(excess)
    return highest + tolerance * math.log(excess)


@kernel
def fill_weights(
    scenarios: ScenarioSet,
    book: Floats,
    tolerance: float,
    own: int,
    log_weights: Floats,
    by_other: Floats,
) -> None:
    """Fill log probabilities of one underlying's states, tilted by the book's losses.

    A state counts by p exp(loss / beta): what hurts the book more weighs more. Logarithms, because
    a book that has outgrown the pool spans more than a float can.

    Args:
        scenarios: The scenario set.
        book: Losses of the book in tokens, shape (UNDERLYINGS, REGIMES, MOVES).
        tolerance: beta, in tokens; > 0.
        own: Underlying whose states are wanted.
        log_weights: Filled; shape (REGIMES, MOVES), their exponentials sum to 1.
        by_other: Room, shape (MOVES,).
    """
    other_highest = _highest(book[1 - own])
    highest = -math.inf
    for regime in range(REGIMES):
        for other in range(MOVES):
            by_other[other] = exp((book[1 - own, regime, other] - other_highest) / tolerance)
        for move in range(MOVES):
            joined = 0.0
            for other in range(MOVES):
                joined += scenarios.joint[regime, move, other] * by_other[other]
            tilt = book[own, regime, move] / tolerance
            log_weights[regime, move] = log(joined) + tilt if joined > 0.0 else -math.inf
            highest = max(highest, log_weights[regime, move])
    total = 0.0
    for regime in range(REGIMES):
        for move in range(MOVES):
            total += exp(log_weights[regime, move] - highest)
    level = highest + math.log(total)
    for regime in range(REGIMES):
        for move in range(MOVES):
            log_weights[regime, move] -= level


@kernel
def potential_change(
    log_weights: Floats, losses: Floats, notional: float, tolerance: float
) -> float:
    """Return U(n + notional) - U(n) in tokens, for either sign of `notional`; finite.

    With the tilted weights w of the book before the trade the difference is one sum without
    cancellation, beta log1p(sum_s w_s expm1(notional l(s) / beta)); where a term would be large it
    is taken relative to the largest.
    """
    largest = -math.inf
    growth_max = 0.0
    excess = 0.0
    for regime in range(REGIMES):
        for move in range(MOVES):
            growth = notional * losses[regime, move] / tolerance
            growth_max = max(growth_max, abs(growth))
            largest = max(largest, log_weights[regime, move] + growth)
    if growth_max < 1.0:
        for regime in range(REGIMES):
            for move in range(MOVES):
                growth = notional * losses[regime, move] / tolerance
                excess += exp(log_weights[regime, move]) * expm1(growth)
        return tolerance * math.log1p(excess)
    for regime in range(REGIMES):
        for move in range(MOVES):
            growth = notional * losses[regime, move] / tolerance
            excess += exp(log_weights[regime, move] + growth - largest)
    return tolerance * (largest + math.log(excess))
