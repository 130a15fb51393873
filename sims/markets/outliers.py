"""Hours that moved more than the hours before them let expect."""

from typing import NamedTuple

import numpy as np

from amm.kernel import allocating_kernel
from sims.markets.block import Bools, Floats, Ints
from sims.markets.recorded_hours import Hours

HALF_LIFE_HOURS = 6.0
THRESHOLD = 4.0
"""In local vols of an hour."""
_WARM_HOURS = 24


class Outliers(NamedTuple):
    """Of each hour, shape (hours,).

    Attributes:
        local: Vol of the hours before, times the activity of this one; 0 where too few are known.
        jumped: Whether the close moved beyond the threshold.
        depth: How far the worse extreme went beyond both ends of the hour.
        wicked: Whether that was beyond the threshold.
    """

    local: Floats
    jumped: Bools
    depth: Floats
    wicked: Bools


@allocating_kernel
def _local(squares: Floats, starts: Bools, kept: float, warm: int) -> Floats:
    found, mean, known = np.zeros(squares.size), 0.0, 0
    for row in range(squares.size):
        if starts[row]:
            mean, known = 0.0, 0
        if known >= warm:
            found[row] = np.sqrt(mean / (1.0 - kept**known))
        mean = kept * mean + (1.0 - kept) * squares[row]
        known += 1
    return found


def find_outliers(hours: Hours, active: Floats, starts: Ints) -> Outliers:
    """Return the outliers among hours of the first index.

    Args:
        hours: Of both.
        active: Activity of each hour of the week, shape (hours,).
        starts: Rows before which hours are missing.
    """
    moves, lows, highs = (each[:, 0] for each in (hours.moves, hours.lows, hours.highs))
    is_start = np.zeros(moves.size, dtype=np.bool_)
    is_start[starts] = True
    kept = 0.5 ** (1.0 / HALF_LIFE_HOURS)
    local = _local((moves / active) ** 2, is_start, kept, _WARM_HOURS) * active
    depth = np.maximum(np.minimum(moves, 0.0) - lows, highs - np.maximum(moves, 0.0))
    known = local > 0.0
    bound = THRESHOLD * local
    return Outliers(local, known & (np.abs(moves) > bound), depth, known & (depth > bound))
