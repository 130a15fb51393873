"""Recorded hours to draw from: their returns, how far they reached, and the vol levels of then."""

import functools
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amm.scenarios import UNDERLYINGS
from amm.units import HOUR_MS, YEAR_MS
from sims.markets.archive import Archive, read_archive
from sims.markets.bars import HOURLY
from sims.markets.block import Floats, Ints
from sims.markets.history import GAP_MAX_MS, HistoryError
from sims.markets.sessions import HOURS_A_WEEK, hours_of_week

FEEDS = ("realised", "recorded", "estimator")
MEMORY_HOURS = 240.0
"""Mean age of the squared returns in the realised vol."""
_KEPT = 8


class Hours(NamedTuple):
    """Hours to draw from, in order of time; log returns, shape (hours, columns).

    Attributes:
        moves: Of BTC, ETH and the stocks, from one hour's end to the next.
        below: How far the low is beneath the lower end, of BTC and ETH; >= 0.
        above: How far the high is over the higher end.
        levels: Vol levels at the hour's end, as fed.
        left: How many hours follow without a break, shape (hours,).
        by_hour: The hours of each hour of the week at which they begin, one after another.
        first: Where each hour of the week begins in `by_hour`, shape (HOURS_A_WEEK + 1,).
        last_stocks: Price of each stock at the end of the last hour.
    """

    moves: Floats
    below: Floats
    above: Floats
    levels: Floats
    left: Ints
    by_hour: Ints
    first: Ints
    last_stocks: Floats


@functools.lru_cache(maxsize=_KEPT)
def read_hours(
    folder: Path, stocks: tuple[str, ...], feeds: str, keeps_drift: bool, start_ms: int, end_ms: int
) -> Hours:
    """Return the hours of a folder; they are read once.

    An hour counts if it and the one before were observed within one stretch of history.

    Args:
        folder: Of the history.
        stocks: Symbols; an hour counts only if there is a price of each at both of its ends.
        feeds: Which vol levels: one of `FEEDS`.
        keeps_drift: Whether returns stay as they were, or have a mean of 0 as simple returns.
        start_ms: Hours that begin earlier are left out.
        end_ms: So are hours that end later.

    Raises:
        HistoryError: For files that are missing or damaged, and where hours of the week are
            missing altogether.
        SurfaceError: For damaged files of vol levels.
    """
    archive = read_archive(folder, HOURLY, HOUR_MS, stocks)
    prices = np.log(np.concatenate([archive.closes, archive.stocks[1:]], axis=1))
    used = _used(archive, prices, start_ms, end_ms)
    weekly = hours_of_week(archive.times_ms[used])
    counts = np.bincount(weekly, minlength=HOURS_A_WEEK)
    if np.any(counts == 0):
        raise HistoryError(f"{folder}: too few hours between start_ms and end_ms to draw weeks of")
    moves = prices[used] - prices[used - 1]
    ends = archive.closes[used - 1], archive.closes[used]
    levels = _levels(archive, feeds, used, moves)
    if not keeps_drift:
        moves -= np.log(np.exp(moves).mean(axis=0))
    return Hours(
        moves,
        np.maximum(np.log(np.minimum(*ends) / archive.lows[used]), 0.0),
        np.maximum(np.log(archive.highs[used] / np.maximum(*ends)), 0.0),
        levels,
        _left(used),
        np.argsort(weekly, kind="stable"),
        np.append(0, np.cumsum(counts)),
        np.exp(prices[used[-1], UNDERLYINGS:]),
    )


def _used(archive: Archive, prices: Floats, start_ms: int, end_ms: int) -> Ints:
    """Return the rows of the hours that count, given log prices at the end of every hour."""
    is_observed = np.isfinite(prices).all(axis=1) & (archive.stretch >= 0)
    before = np.append(False, is_observed[:-1] & (np.diff(archive.stretch) == 0))
    times_ms = archive.times_ms
    is_wanted = (times_ms[:-1] >= start_ms) & (times_ms[1:] <= end_ms)
    return np.flatnonzero(is_observed & before & is_wanted)


def _left(used: Ints) -> Ints:
    """Return how many rows follow each without a gap."""
    ends = np.append(np.flatnonzero(np.diff(used) != 1), used.size - 1)
    return np.asarray(ends[np.searchsorted(ends, np.arange(used.size))] - np.arange(used.size))


def _levels(archive: Archive, feeds: str, used: Ints, moves: Floats) -> Floats:
    """Return the vol levels at the end of each hour."""
    if feeds == "recorded":
        return archive.levels[used + 1]
    if feeds == "estimator":
        return np.zeros((used.size, UNDERLYINGS))
    squares = moves[:, :UNDERLYINGS] ** 2
    # An outage is forgotten; a break of the history lets the means begin anew.
    breaks = np.flatnonzero(np.diff(used) > GAP_MAX_MS // HOUR_MS + 1) + 1
    return np.sqrt(_faded(squares, breaks) * (YEAR_MS / HOUR_MS))


def _faded(squares: Floats, breaks: Ints) -> Floats:
    """Return exponentially weighted means; they begin at the mean of all, and so after a break."""
    weight = 1.0 / MEMORY_HOURS
    found = np.empty_like(squares)
    means = squares.mean(axis=0).tolist()
    for begin, end in pairwise([0, *breaks.tolist(), len(squares)]):
        for column, mean in enumerate(means):
            faded = accumulate(
                squares[begin:end, column].tolist(),
                lambda kept, square: kept + weight * (square - kept),
                initial=mean,
            )
            found[begin:end, column] = list(faded)[1:]
    return found
