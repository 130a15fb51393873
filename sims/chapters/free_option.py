"""The best exit from "pay a fee from day to day, receive intrinsic value".

The holder of a call at the strike pays nothing at the opening, a fee f a year while holding, and
leaves with max(x - 1, 0) whenever it suits. The index has vol sigma and no carry; nothing is
discounted.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.kernel import allocating_kernel

Floats = npt.NDArray[np.float64]

NODES = 200
"""Of the lattice, across the region where the holder stays."""


class Best(NamedTuple):
    """The best rule in closed form: stay while low < x < high."""

    low: float
    high: float
    value: float
    """At the strike."""


def best_exit(vol: float, fee: float) -> Best:
    """Return the best rule for an index that moves in proportion to itself."""
    scale = 2.0 * fee / (vol * vol)
    low, high = -scale * math.expm1(-1.0 / scale), scale * math.expm1(1.0 / scale)
    return Best(low, high, scale * (1.0 / low - 1.0 + math.log(low)))


def bachelier_value(vol: float, fee: float) -> float:
    """Return the value for an index whose moves have one size at every level."""
    return vol * vol / (16.0 * fee)


def value_while_held(best: Best, vol: float, fee: float, moneyness: Floats) -> Floats:
    """Return the value under the best rule at each moneyness."""
    scale = 2.0 * fee / (vol * vol)
    ratio = np.clip(moneyness, best.low, best.high) / best.low
    inside = scale * (ratio - 1.0 - np.log(ratio))
    return np.where(moneyness < best.high, inside, np.maximum(moneyness - 1.0, 0.0))


@allocating_kernel
def settle_lattice(
    values: Floats, intrinsic: Floats, rise: float, charge: float, steps: int
) -> None:
    """Improve the values until no decision changes them: the best of leaving and of staying.

    Args:
        values: At each node of a lattice of log moneyness; starts at `intrinsic`, overwritten.
        intrinsic: What leaving pays at each node; nobody stays at the two ends.
        rise: Chance of a step up.
        charge: Fee from one decision to the next.
        steps: Lattice steps from one decision to the next.
    """
    here, there = values.copy(), values.copy()
    change = 1.0
    while change > 1e-13:
        here[:] = values
        for _ in range(steps):
            for i in range(1, values.size - 1):
                there[i] = rise * here[i + 1] + (1.0 - rise) * here[i - 1]
            here, there = there, here
            here[0], here[-1] = intrinsic[0], intrinsic[-1]
        change = 0.0
        for i in range(1, values.size - 1):
            better = max(intrinsic[i], here[i] - charge)
            change = max(change, better - values[i])
            values[i] = better


def lattice_value(vol: float, fee: float, years: float = 0.0, steps: int = 1) -> float:
    """Return the value at the strike by dynamic programming on a binomial lattice.

    Args:
        vol: Volatility of the index.
        fee: Per year.
        years: From one decision to the next; 0 for as often as the lattice moves.
        steps: Of the lattice in that time.
    """
    width = vol * vol / (2.0 * fee)
    spacing = vol * math.sqrt(years / steps) if years else width / NODES
    reach = math.ceil((0.6 * width + 8.0 * spacing * math.sqrt(steps)) / spacing)
    moneyness = np.exp(spacing * np.arange(-reach, reach + 1))
    intrinsic = np.maximum(moneyness - 1.0, 0.0)
    values = intrinsic.copy()
    rise = 1.0 / (1.0 + math.exp(spacing))
    charge = fee * steps * (spacing / vol) ** 2
    settle_lattice(values, intrinsic, rise, charge, steps)
    return float(values[reach])
