"""Hourly bars of both indices as a market model is judged by: log moves, lows and highs."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amm.units import DAY_MS, HOUR_MS
from sims.markets.archive import SYMBOLS
from sims.markets.bars import read_bars
from sims.markets.block import Bools, Floats, Ints, MarketBlock


class Hours(NamedTuple):
    """Hours of both indices; logarithms are over the price the hour began with.

    Attributes:
        times_ms: Beginning of each hour, shape (hours,).
        moves: Of the close, shape (hours, 2).
        lows: Of the low, same shape; at most 0.
        highs: Of the high, same shape; at least 0.
    """

    times_ms: Ints
    moves: Floats
    lows: Floats
    highs: Floats

    def between(self, first_ms: int, end_ms: int) -> "Hours":
        """Return the hours from a time to before another."""
        return self.take((self.times_ms >= first_ms) & (self.times_ms < end_ms))

    def take(self, rows: Bools | Ints) -> "Hours":
        """Return some hours, by mask or number."""
        return Hours._make(each[rows] for each in self)


def read_hours(folder: Path) -> Hours:
    """Return the hours that both indices have.

    Raises:
        sims.markets.history.HistoryError: For files missing, damaged or not as described.
    """
    both = [read_bars(folder, symbol) for symbol in SYMBOLS]
    common = np.intersect1d(both[0].begins_ms, both[1].begins_ms)
    logs = np.empty((3, common.size, len(SYMBOLS)))
    for column, bars in enumerate(both):
        rows = np.searchsorted(bars.begins_ms, common)
        for place, each in enumerate((bars.closes, bars.lows, bars.highs)):
            logs[place, :, column] = np.log(each[rows] / bars.opens[rows])
    return Hours(common, *logs)


def hours_of(block: MarketBlock, path: int) -> Hours:
    """Return the steps of a drawn path, which are hours."""
    began = np.log(block.prices[path, :-1])
    ends = (block.prices, block.lows, block.highs)
    return Hours(block.times_ms[:-1], *(np.log(each[path, 1:]) - began for each in ends))


def days_of(hours: Hours) -> tuple[Ints, Ints]:
    """Return the number of each hour's day, counted from 0 over days there are, and their times."""
    days, place = np.unique(hours.times_ms // DAY_MS, return_inverse=True)
    return place.astype(np.int64), days * DAY_MS


def sums_by(place: Ints, values: Floats) -> Floats:
    """Return sums of rows that have the same place, shape (places, ...)."""
    found = np.zeros((int(place[-1]) + 1, *values.shape[1:]))
    np.add.at(found, place, values)
    return found


def run_starts(times_ms: Ints, step_ms: int = HOUR_MS) -> Ints:
    """Return the rows before which something is missing, row 0 among them."""
    gaps = np.flatnonzero(np.diff(times_ms) != step_ms) + 1
    return np.concatenate([[0], gaps])


def annual(variance_of_hour: float) -> float:
    """Return the vol per square root of a year."""
    return math.sqrt(variance_of_hour * 24.0 * 365.0)
