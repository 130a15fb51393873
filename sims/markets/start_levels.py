"""The vol level an exchange would have known when a replayed history begins.

Where none was recorded the exchange's own estimator is warmed up on the prices before the start.
"""

import math
from typing import NamedTuple

import numpy as np

from amm.units import DAY_MS, YEAR_MS
from sims.markets.archive import Archive
from sims.markets.block import Floats, Ints
from sims.markets.levels import estimated_level

WARM_DAYS = 60
"""At most so many days before a start are looked at."""
_VOL_MIN, _VOL_MAX = 0.01, 100.0
_NORMAL_MEDIAN = 0.4549
"""Median of the square of a standard normal number."""


class _Prices(NamedTuple):
    """Observed prices of one underlying in order, shape (rows,): when, of which stretch, USD."""

    times_ms: Ints
    segment: Ints
    prices: Floats


def start_levels(archive: Archive, starts: Ints) -> Floats:
    """Return the level of each underlying at each start: the recorded one, else the estimator's.

    Args:
        archive: Of the history.
        starts: Rows that histories begin at, shape (paths,); a price of each is known.

    Returns:
        Levels, shape (paths, UNDERLYINGS), all above 0.
    """
    rows, place = np.unique(starts, return_inverse=True)
    found = archive.levels[rows].copy()
    for each, column in np.argwhere(found == 0.0):
        found[each, column] = _estimate(archive, int(rows[each]), int(column))
    return np.asarray(found[place])


def _estimate(archive: Archive, start: int, column: int) -> float:
    """Return what the estimator makes of the days before a row; it begins with their realised vol.

    Where they hold less than a day of prices there is nothing to warm it up with: then it has the
    vol of the first day after, which nobody could have known, by the middle one of its moves: the
    crash a replay is made for does not rule its own start.
    """
    day = DAY_MS // archive.step_ms
    known = _observed(archive, max(start - WARM_DAYS * day, 0), start, column)
    if known.prices.size > day:
        squares, years = _annual_squares(known)
        vol = _bounded(float((squares * years).sum() / years.sum()))
    else:
        known = _observed(archive, start, start + day, column)
        squares, _ = _annual_squares(known)
        vol = _bounded(float(np.median(squares)) / _NORMAL_MEDIAN if squares.size else 0.0)
        known = _Prices._make(each[:1] for each in known)
    return estimated_level(*known, archive.step_ms, vol)


def _observed(archive: Archive, first: int, end: int, column: int) -> _Prices:
    """Return the closes of some rows that were observed."""
    here = slice(first, end)
    closes = archive.closes[here, column]
    is_known = np.isfinite(closes)
    times_ms = archive.times_ms[1:][here]
    return _Prices(times_ms[is_known], archive.coins[here][is_known], closes[is_known])


def _annual_squares(known: _Prices) -> tuple[Floats, Floats]:
    """Return squared log returns a year, and the years of each; none is over a break."""
    years = np.diff(known.times_ms) / YEAR_MS
    squares = np.diff(np.log(known.prices)) ** 2 / years
    is_whole = np.diff(known.segment) == 0
    return squares[is_whole], years[is_whole]


def _bounded(variance: float) -> float:
    return min(max(math.sqrt(variance), _VOL_MIN), _VOL_MAX)
