"""Stopping rules against contracts: does anybody win by choosing when to sell?

A library of rules runs on simulated paths of one constant vol, against the exchange's contract and
against contracts that look like it. Profits are at mid: without impact, spread, fee and rent.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.kernel import allocating_kernel, kernel
from amm.perpetual import payoff, perpetual_price

Floats = npt.NDArray[np.float64]

YEAR_HOURS = 24.0 * 365.0
WEEK = 7.0 / 365.0
CAP = 0.5
DAYS_MAX = 20
UPPER, LOWER = 1.45, 0.55
"""Every rule stops here at the latest: near the barrier ticks cost the holder more."""

RULES = (
    "after five days",
    "double or half the value",
    "thirty percent below the best value",
    "out of a band of moneyness",
    "first in the money",
    "at random",
    "trailing the index",
    "rate fallen by half",
)
CONTRACTS = ("ours", "intrinsic at exit", "frozen fee", "right-end accrual")
OURS, INTRINSIC, FROZEN, RIGHT_END = range(4)

PREMIUM, HEDGE, FALL = range(3)
"""Rows of `Outcomes.beside`."""

PATHS_AT_ONCE = 4_000


class Outcomes(NamedTuple):
    """What became of a position of one unit, by rule and path."""

    profits: Floats
    """Shape (contract, rule, path)."""
    beside: Floats
    """Premium paid, gain of holding delta units of the index, fall of the time value;
    shape (3, rule, path)."""


@kernel
def stops(
    rule: int,
    elapsed: float,
    moneyness: float,
    start: float,
    best_moneyness: float,
    value: float,
    paid: float,
    best_value: float,
    rate: float,
    first_rate: float,
    draw: float,
    is_call: bool,
) -> bool:
    """Whether a rule ends the position, by what is known now."""
    if rule == 0:
        return elapsed >= 5.0 / 365.0
    if rule == 1:
        return value >= 2.0 * paid or value <= 0.5 * paid
    if rule == 2:
        return value < 0.7 * best_value
    if rule == 3:
        return abs(math.log(moneyness / start)) > 0.05
    if rule == 4:
        return moneyness > 1.01 if is_call else moneyness < 0.99
    if rule == 5:
        return draw < 0.01
    if rule == 6:
        return moneyness < 0.97 * best_moneyness
    return rate < 0.5 * first_rate


@allocating_kernel
def run_rules(
    is_call: bool,
    start: float,
    vol: float,
    step: float,
    normals: Floats,
    draws: Floats,
    profits: Floats,
    beside: Floats,
) -> None:
    """Fill what `Outcomes` holds, for one block of paths.

    Args:
        is_call: Kind of the option.
        start: Moneyness at the opening.
        vol: The volatility, of the mark and of the index.
        step: Years between ticks; the last tick closes everything.
        normals: Standard normals, shape (path, step).
        draws: Uniforms, same shape.
        profits: Filled.
        beside: Filled.
    """
    opened = perpetual_price(is_call, start, vol, WEEK, 0.0, 0.0, CAP)
    intrinsic = payoff(is_call, start, CAP)
    rules, steps = beside.shape[1], normals.shape[1]
    for path in range(normals.shape[0]):
        running = np.ones(rules)
        moneyness = best_moneyness = start
        best_value, price = opened.value, opened
        left = right = hedge = 0.0
        for tick in range(steps):
            left += price.premium_rate * step
            before = moneyness
            moneyness *= math.exp(
                vol * math.sqrt(step) * normals[path, tick] - vol * vol * step / 2
            )
            hedge += price.delta * (moneyness - before)
            price = perpetual_price(is_call, moneyness, vol, WEEK, 0.0, 0.0, CAP)
            value, rate = price.value, price.premium_rate
            right += rate * step
            best_moneyness = max(best_moneyness, moneyness)
            best_value = max(best_value, value)
            elapsed = (tick + 1) * step
            is_over = tick == steps - 1 or not LOWER < moneyness < UPPER
            for rule in range(rules):
                if running[rule] == 0.0:
                    continue
                if is_over or stops(
                    rule,
                    elapsed,
                    moneyness,
                    start,
                    best_moneyness,
                    value,
                    opened.value,
                    best_value,
                    rate,
                    opened.premium_rate,
                    draws[path, tick],
                    is_call,
                ):
                    running[rule] = 0.0
                    exit_payoff = payoff(is_call, moneyness, CAP)
                    frozen = opened.premium_rate * elapsed
                    profits[OURS, rule, path] = value - opened.value - left
                    profits[INTRINSIC, rule, path] = exit_payoff - intrinsic - left
                    profits[FROZEN, rule, path] = value - opened.value - frozen
                    profits[RIGHT_END, rule, path] = value - opened.value - right
                    beside[PREMIUM, rule, path] = left
                    beside[HEDGE, rule, path] = hedge
                    beside[FALL, rule, path] = (opened.premium_rate - rate) * WEEK
            if is_over or running.sum() == 0.0:
                break


@kernel
def run_to_the_barrier(
    is_call: bool,
    start: float,
    vol: float,
    step: float,
    normals: Floats,
    profits: Floats,
    hedges: Floats,
) -> int:
    """Fill the profit of holding to the cash-out at the cap, or to the end.

    Beside it the gain of holding delta units of the index, both of shape (path,).

    Returns:
        On how many paths the barrier was reached.
    """
    opened = perpetual_price(is_call, start, vol, WEEK, 0.0, 0.0, CAP)
    hits = 0
    for path in range(normals.shape[0]):
        moneyness, price = start, opened
        paid = hedge = 0.0
        for tick in range(normals.shape[1]):
            paid += price.premium_rate * step
            before = moneyness
            moneyness *= math.exp(
                vol * math.sqrt(step) * normals[path, tick] - vol * vol * step / 2
            )
            hedge += price.delta * (moneyness - before)
            price = perpetual_price(is_call, moneyness, vol, WEEK, 0.0, 0.0, CAP)
            if payoff(is_call, moneyness, CAP) >= CAP:
                hits += 1
                break
        profits[path] = price.value - opened.value - paid
        hedges[path] = hedge
    return hits


def simulate_rules(
    is_call: bool, start: float, vol: float, hours: float, seed: int, paths: int
) -> Outcomes:
    """Run every rule on paths of `DAYS_MAX` days; paths 2i and 2i + 1 are mirror images."""
    steps = round(DAYS_MAX * 24 / hours)
    random = np.random.default_rng(seed)
    profits = np.empty((len(CONTRACTS), len(RULES), paths))
    beside = np.empty((3, len(RULES), paths))
    for first in range(0, paths, PATHS_AT_ONCE):
        block = slice(first, min(first + PATHS_AT_ONCE, paths))
        count = block.stop - block.start
        half = random.standard_normal((count // 2, steps))
        normals = np.stack([half, -half], axis=1).reshape(count, steps)
        some_profits = np.empty((len(CONTRACTS), len(RULES), count))
        some_beside = np.empty((3, len(RULES), count))
        run_rules(
            is_call,
            start,
            vol,
            hours / YEAR_HOURS,
            normals,
            random.random((count, steps)),
            some_profits,
            some_beside,
        )
        profits[..., block], beside[..., block] = some_profits, some_beside
    return Outcomes(profits, beside)
