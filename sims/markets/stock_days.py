"""Recorded days of a stock, and what BTC did in their nights and sessions."""

import math
from typing import NamedTuple

import numpy as np

from amm.units import HOUR_MS
from sims.markets.block import Bools, Floats, Ints
from sims.markets.recorded_hours import Hours, days_of, sums_by
from sims.markets.sessions import sessions_between
from sims.markets.stock_bars import StockBars
from sims.markets.stock_betas import DECAY
from sims.markets.stock_sessions import WEEKEND_MS

_WARM_DAYS = 44
_PRESENT_MIN = 0.95


class StockDays(NamedTuple):
    """Days of a stock whose sigma is known, shape (days,).

    Attributes:
        days_ms: Midnight UTC of the session's date.
        gaps: Log open over the close before.
        sigma: Of the daily log return, from the days before.
        btc_sigma: The same of BTC, by its hours.
        pause: Log move of BTC over the closed hours.
        weekend: Whether more than a night was closed.
        session: Log close over open.
        during: Log move of BTC over the session.
    """

    days_ms: Ints
    gaps: Floats
    sigma: Floats
    btc_sigma: Floats
    pause: Floats
    weekend: Bools
    session: Floats
    during: Floats

    def take(self, rows: Bools | Ints) -> "StockDays":
        """Return some days, by mask or number."""
        return StockDays._make(each[rows] for each in self)


def _sigmas(moves: Floats) -> Floats:
    """Return the root of the average squared return of the days before each day."""
    variance = float(np.nanmean(moves[1:_WARM_DAYS] ** 2))
    found = np.full(moves.size, math.nan)
    for day, move in enumerate(moves):
        if day >= _WARM_DAYS:
            found[day] = math.sqrt(variance)
        if day > 0 and not math.isnan(move):
            variance = DECAY * variance + (1.0 - DECAY) * move**2
    return found


def _sums(hours: Hours, begins: Ints, ends: Ints) -> Floats:
    """Return the log move of BTC over stretches; NaN where hours of them are missing."""
    total = np.concatenate([[0.0], np.cumsum(hours.moves[:, 0])])
    first, last = (np.searchsorted(hours.times_ms, each) for each in (begins, ends))
    wanted = np.maximum((ends - begins) // HOUR_MS, 1)
    return np.where(last - first >= _PRESENT_MIN * wanted, total[last] - total[first], math.nan)


def btc_sigmas(hours: Hours) -> tuple[Ints, Floats]:
    """Return the days of hours, and the root of BTC's average squared return before each.

    A day has the sum of its squared hourly returns; where hours are missing, what 24 come to.
    """
    place, days_ms = days_of(hours)
    counts = sums_by(place, np.ones(place.size))
    squares = 24.0 * sums_by(place, hours.moves[:, 0] ** 2) / counts
    variance, found = float(squares[:_WARM_DAYS].mean()), np.empty(squares.size)
    for day, square in enumerate(squares):
        found[day] = math.sqrt(variance)
        variance = DECAY * variance + (1.0 - DECAY) * square
    return days_ms, found


def stock_days(bars: StockBars, hours: Hours) -> StockDays:
    """Return the days of a stock over which BTC is known as well.

    Args:
        bars: Of days.
        hours: Of BTC; the hour of an opening counts to the session.
    """
    times = sessions_between(int(bars.times_ms[0]), int(bars.times_ms[-1]))
    _, rows, there = np.intersect1d(bars.times_ms, times.days_ms, return_indices=True)
    kept = bars.take(rows)
    opens = times.opens_ms[there] // HOUR_MS * HOUR_MS
    closes = times.closes_ms[there]
    before = np.maximum(np.arange(rows.size) - 1, 0)
    joined = (np.diff(there, prepend=-1) == 1) & (kept.segment == kept.segment[before])
    logs = np.log(kept.closes)
    moves = np.where(joined, logs - logs[before], math.nan)
    gaps = np.where(joined, np.log(kept.opens) - logs[before], math.nan)
    btc_days, btc = btc_sigmas(hours)
    found = StockDays(
        kept.times_ms,
        gaps,
        _sigmas(moves),
        btc[np.maximum(np.searchsorted(btc_days, kept.times_ms, side="right") - 1, 0)],
        _sums(hours, closes[before], opens),
        opens - closes[before] > WEEKEND_MS,
        np.log(kept.closes / kept.opens),
        _sums(hours, opens, closes),
    )
    known = ~np.isnan(found.gaps + found.sigma + found.pause + found.during)
    return found.take(known)


def of_kind(days: StockDays, kind: str) -> StockDays:
    """Return the days after one of the two kinds of pauses."""
    rows = days.weekend == (kind == "weekend")
    return days.take(rows)
