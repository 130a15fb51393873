"""How much of a move stocks follow, and how that differs from one era to another."""

import math
from typing import NamedTuple

import numpy as np

from amm.units import DAY_MS
from sims.markets.block import Floats, Ints

ERA_DAYS = 182
_ERA_MIN = 12
"""Days of half a year that a slope is taken from at least."""


class Slope(NamedTuple):
    """A slope on BTC, its standard error, and how it differs between eras."""

    beta: float
    error: float
    spread: float


def slope_of(days_ms: Ints, values: Floats, moves: Floats) -> Slope:
    """Return the slope of values on moves, by half-years: a law of eras (DerSimonian and Laird).

    Least squares and not likelihood within each: days on which both fall far are what the slope is
    for, and a Student-t takes them for outliers. What slopes differ beyond their errors, which hold
    where spreads differ between days, is from one era to another.
    """
    eras = days_ms // (ERA_DAYS * DAY_MS)
    found = []
    for era in np.unique(eras):
        rows = eras == era
        count = int(rows.sum())
        if count < _ERA_MIN:
            continue
        apart = moves[rows] - moves[rows].mean()
        square = float((apart**2).sum())
        beta = float((apart * values[rows]).sum()) / square
        rest = values[rows] - values[rows].mean() - beta * apart
        found.append((beta, float(((apart * rest) ** 2).sum()) / square**2 * count / (count - 2)))
    betas, variances = np.array(found).T
    weights = 1.0 / variances
    mean = float((weights * betas).sum() / weights.sum())
    excess = float((weights * (betas - mean) ** 2).sum()) - (betas.size - 1)
    scale = weights.sum() - (weights**2).sum() / weights.sum()
    spread2 = max(excess / float(scale), 0.0) if betas.size > 1 else 0.0
    weights = 1.0 / (variances + spread2)
    beta = float((weights * betas).sum() / weights.sum())
    return Slope(beta, 1.0 / math.sqrt(float(weights.sum())), math.sqrt(spread2))
