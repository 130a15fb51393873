"""How much vol differs from one half-year to another, beyond what regimes and luck make of it."""

import math
from typing import NamedTuple

import numpy as np

from amm.units import HOUR_MS
from sims.markets.block import Clock, Floats
from sims.markets.recorded_hours import Hours
from sims.markets.regime_law import RegimeLaw
from sims.markets.regimes import Regimes

ERA_HOURS = 182 * 24
_PATHS, _FROM_MS = 400, 1_546_300_800_000


class EraSpread(NamedTuple):
    """Standard deviation of the log of an era's vols, and its standard error."""

    value: float
    error: float


def era_spread_of(hours: Hours, law: RegimeLaw, seed: int = 1) -> EraSpread:
    """Return what the vols of recorded half-years differ more than those of drawn ones.

    Args:
        hours: Recorded ones; half-years are so many of them, whatever is missing between.
        law: Of them, with no eras.
        seed: Of the drawn half-years.

    Raises:
        ValueError: There are less than three half-years.
    """
    count = hours.moves.shape[0] // ERA_HOURS
    if count < 3:
        raise ValueError(f"{hours.moves.shape[0]:,} hours are less than three half-years")
    recorded = _log_vols(hours.moves[: count * ERA_HOURS].reshape(count, ERA_HOURS, 2))
    clock = Clock(_FROM_MS, HOUR_MS, ERA_HOURS)
    block = Regimes(law).draw(clock, _PATHS, np.random.default_rng(seed))
    drawn = _log_vols(np.diff(np.log(block.prices), axis=1))
    total = float(recorded.var(ddof=1))
    spread = math.sqrt(max(total - float(drawn.var(ddof=1)), 0.0))
    # The variance of a few normal numbers is known to sqrt(2 / (n - 1)) of itself.
    error = total * math.sqrt(2.0 / (count - 1)) / (2.0 * max(spread, math.sqrt(total) / 2.0))
    return EraSpread(spread, error)


def _log_vols(moves: Floats) -> Floats:
    """Return the mean over both indices of the log vol of each stretch, shape (stretches,)."""
    return np.asarray(np.log((moves**2).mean(axis=1)).mean(axis=1) / 2.0)
