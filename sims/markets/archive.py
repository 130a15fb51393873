"""All that a folder of history knows of BTC, ETH and stocks, on one regular grid of steps."""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amm.units import MINUTE_MS
from sims.markets.bars import Bars, read_bars
from sims.markets.block import Bools, Floats, Ints
from sims.markets.history import HistoryError
from sims.markets.stock_prices import stock_prices
from sims.markets.table import iso_minute
from sims.markets.vols import levels_at, read_vols

SYMBOLS = ("BTC", "ETH")
_KEPT = 8
"""So many grids are kept once made."""


class Archive(NamedTuple):
    """A history; row k is the step from `times_ms[k]` to `times_ms[k + 1]`.

    Attributes:
        step_ms: Length of a step.
        times_ms: Shape (steps + 1,).
        opens: In USD, shape (steps, UNDERLYINGS); NaN where a bar of the step is missing.
        highs: Same shape.
        lows: Same shape.
        closes: Same shape.
        stretch: Shape (steps,); consecutive rows of one number are one unbroken history of both
            underlyings, with a price of every stock, though there may be outages in it; the other
            rows have -1.
        coins: The same where prices of stocks do not count.
        levels: Recorded vol at the money at each moment, shape (steps + 1, UNDERLYINGS); 0 where
            none is known.
        stocks: Last price at each moment, shape (steps + 1, stocks); NaN where none is known.
    """

    step_ms: int
    times_ms: Ints
    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    stretch: Ints
    coins: Ints
    levels: Floats
    stocks: Floats


@functools.lru_cache(maxsize=_KEPT)
def read_archive(folder: Path, rows: str, step_ms: int, stocks: tuple[str, ...] = ()) -> Archive:
    """Return a folder's history; it is read once.

    Args:
        folder: As `sims.markets.bars`, `vols` and `stock_prices` look through it.
        rows: Which bars are read: `1h`, or such as `2025-10_15m`.
        step_ms: Length of the grid's steps, so many bars each.
        stocks: Symbols of stocks.

    Raises:
        HistoryError: For files that are missing, damaged or not as described, and for steps that
            bars do not fit in.
        SurfaceError: For damaged files of vol levels.
    """
    both = [read_bars(folder, symbol, rows) for symbol in SYMBOLS]
    bar_ms = both[0].bar_ms
    if step_ms % bar_ms:
        raise HistoryError(
            f"{folder}: bars of {bar_ms // MINUTE_MS} minutes do not fit in steps of "
            f"{step_ms // MINUTE_MS}"
        )
    first_ms = min(int(bars.begins_ms[0]) for bars in both) // step_ms * step_ms
    last_ms = max(int(bars.begins_ms[-1]) for bars in both) + bar_ms
    times_ms = first_ms + step_ms * np.arange(-(-(last_ms - first_ms) // step_ms) + 1)
    vols = read_vols(folder, SYMBOLS, first_ms, last_ms)
    placed = [_place(bars, times_ms) for bars in both]
    opens, highs, lows, closes = (np.stack(pair, axis=1) for pair in zip(*placed, strict=True))
    levels = [levels_at(vols, number, times_ms) for number in range(len(SYMBOLS))]
    known = np.full((times_ms.size, len(stocks)), np.nan)
    for column, symbol in enumerate(stocks):
        known[:, column] = stock_prices(folder, symbol, times_ms)
    has_stocks = np.isfinite(known).all(axis=1)
    coins = _stretches(both, times_ms)
    stretch = np.where(has_stocks[:-1] & has_stocks[1:], coins, -1)
    fed = np.stack(levels, axis=1)
    return Archive(step_ms, times_ms, opens, highs, lows, closes, stretch, coins, fed, known)


def _place(bars: Bars, times_ms: Ints) -> tuple[Floats, Floats, Floats, Floats]:
    """Return open, high, low and close of each step; NaN where one of its bars is missing."""
    step_ms = int(times_ms[1] - times_ms[0])
    table = np.full((4, (times_ms.size - 1) * (step_ms // bars.bar_ms)), np.nan)
    rows = (bars.begins_ms - times_ms[0]) // bars.bar_ms
    table[:, rows] = bars.opens, bars.highs, bars.lows, bars.closes
    opens, highs, lows, closes = table.reshape(4, times_ms.size - 1, -1)
    is_known = np.isfinite(opens).all(axis=1)
    columns = opens[:, 0], highs.max(axis=1), lows.min(axis=1), closes[:, -1]
    opened, high, low, closed = (np.where(is_known, column, np.nan) for column in columns)
    return opened, high, low, closed


def _stretches(both: list[Bars], times_ms: Ints) -> Ints:
    """Number the steps so that a break of either history is a break; -1 outside of either."""
    found = np.zeros(times_ms.size - 1, dtype=np.int64)
    for bars in both:
        begins_ms, ends_ms = _bounds(bars)
        place = np.searchsorted(begins_ms, times_ms[:-1], side="right") - 1
        is_in = (place >= 0) & (times_ms[1:] <= ends_ms[place])
        found = np.where(is_in & (found >= 0), found * begins_ms.size + place, -1)
    return found


def _bounds(bars: Bars) -> tuple[Ints, Ints]:
    """Return where the stretches of a history begin and end."""
    edges = np.flatnonzero(np.diff(bars.stretch, prepend=-1))
    lasts = np.append(edges[1:], bars.begins_ms.size) - 1
    return bars.begins_ms[edges], bars.begins_ms[lasts] + bars.bar_ms


def whole_windows(archive: Archive, steps: int) -> Bools:
    """Whether so many steps from each row on are unbroken and the first one was observed."""
    rows = archive.stretch.size
    changes = np.append(np.flatnonzero(np.diff(archive.stretch)) + 1, rows)
    ends = changes[np.searchsorted(changes, np.arange(rows), side="right")]
    return np.asarray(
        (np.arange(rows) + steps <= ends)
        & (archive.stretch >= 0)
        & np.isfinite(archive.opens).all(axis=1)
    )


def covered_by(archive: Archive) -> str:
    """Return the unbroken stretches of a history, to be told."""
    changes = np.flatnonzero(np.diff(archive.stretch, prepend=-1, append=-1))
    begins = [int(row) for row in changes[:-1] if archive.stretch[row] >= 0]
    ends = [int(changes[np.searchsorted(changes, row, side="right")]) for row in begins]
    return ", ".join(
        f"{iso_minute(int(archive.times_ms[begin]))} to {iso_minute(int(archive.times_ms[end]))}"
        for begin, end in zip(begins, ends, strict=True)
    )
