"""Hourly bars of both indices as a market model is judged by: log moves, lows and highs."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amm.units import DAY_MS, HOUR_MS
from sims.markets.block import Bools, Floats, Ints, MarketBlock
from sims.markets.history import HistoryError
from sims.markets.table import LineError, find_table, read_day, read_number, read_rows, read_time

SYMBOLS = ("BTC", "ETH")
_PRICES = ("open", "high", "low", "close")


class Bars(NamedTuple):
    """Bars of one symbol in order of time, shape (bars,) each."""

    times_ms: Ints
    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    segment: Ints

    def take(self, rows: Bools | Ints) -> "Bars":
        """Return some bars, by mask or number."""
        return Bars._make(each[rows] for each in self)


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


def read_bars(folder: Path, inner: str, stem: str, time: str = "ts") -> Bars:
    """Return the bars of a file.

    Args:
        folder: Of the data.
        inner: Its folder that may hold the file.
        stem: The file's name before .csv or .csv.gz.
        time: Its column of times: `ts`, or `date` where bars are days.

    Raises:
        HistoryError: For a file that is missing, damaged or not as described.
    """
    path = find_table(folder, inner, stem, HistoryError)
    if path is None:
        raise HistoryError(f"{folder}: has no {stem}.csv or {stem}.csv.gz, nor has {inner}")
    read = read_time if time == "ts" else read_day
    times, rows = [], []
    for line, cells in read_rows(path, (time, *_PRICES, "seg"), HistoryError):
        try:
            times.append(read(time, cells[0]))
            rows.append([read_number(*pair) for pair in zip(_PRICES, cells[1:5], strict=True)])
            rows[-1].append(read_number("seg", cells[5]))
        except LineError as error:
            raise HistoryError(f"{path}, line {line}: {error}") from error
    table = np.array(rows).reshape(-1, 5)
    if not (table[:, :4] > 0.0).all() or (np.diff(times) <= 0).any():
        raise HistoryError(f"{path}: prices must be positive, times rise")
    return Bars._make([np.array(times, dtype=np.int64), *table.T[:4], table[:, 4].astype(np.int64)])


def read_hours(folder: Path) -> Hours:
    """Return the hours that both indices have.

    Raises:
        HistoryError: As `read_bars`.
    """
    both = [read_bars(folder, "crypto", f"{symbol}_1h") for symbol in SYMBOLS]
    common = np.intersect1d(both[0].times_ms, both[1].times_ms)
    kept = [bars.take(np.isin(bars.times_ms, common)) for bars in both]
    logs = [
        np.stack([np.log(each / bars.opens) for bars in kept for each in [getattr(bars, name)]], 1)
        for name in ("closes", "lows", "highs")
    ]
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
