"""All bars of a file; `docs/data.md` describes the files."""

import functools
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, ONE
from sims.markets.block import Floats, Ints
from sims.markets.history import (
    COLUMNS,
    GAP_MAX_MS,
    HistoryError,
    Stretch,
    extend,
    find_bars,
    read_begin,
    read_prices,
)
from sims.markets.table import LineError, read_rows

HOURLY = "1h"
_LENGTH = re.compile(r"(?:.*_)?(\d{1,2})([mh])", re.ASCII)
_UNITS = {"m": MINUTE_MS, "h": HOUR_MS}
_FILES = 32
"""So many files are kept once read."""


class Bars(NamedTuple):
    """The bars of one symbol in order; prices in USD, shape (bars,) each."""

    bar_ms: int
    begins_ms: Ints
    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    stretch: Ints
    """Which unbroken stretch of the file each bar belongs to, from 0."""


def bar_length(rows: str) -> int:
    """Return the milliseconds of bars such as `1h` or `2025-10_15m`.

    Raises:
        ValueError: For a name that does not end in a length that divides a day.
    """
    match = _LENGTH.fullmatch(rows)
    length = int(match.group(1)) * _UNITS[match.group(2)] if match else 0
    if length == 0 or DAY_MS % length:
        raise ValueError(f"rows {rows!r} do not end in a length such as 1h or 15m")
    return length


def read_bars(folder: Path, symbol: str, rows: str = HOURLY) -> Bars:
    """Return all bars of an underlying; a file is read once.

    Args:
        folder: As `sims.markets.history.find_bars` looks through it.
        symbol: Of the underlying.
        rows: `1h`, or such as `2025-10_15m`.

    Raises:
        HistoryError: For a file that is missing, damaged or not as described.
    """
    return read_file(find_bars(folder, symbol, rows), bar_length(rows), GAP_MAX_MS)


@functools.lru_cache(maxsize=_FILES)
def read_file(path: Path, bar_ms: int, gap_max_ms: int) -> Bars:
    """Return the bars of one file, all of it checked.

    Args:
        path: With the columns of `sims.markets.history.COLUMNS`.
        bar_ms: Length of a bar.
        gap_max_ms: A longer hole inside one `seg` is a mistake in the file.

    Raises:
        HistoryError: For a file that is missing, damaged or not as described.
    """
    stretches: list[Stretch] = []
    begins: list[tuple[int, int]] = []
    prices: list[tuple[int, int, int, int]] = []
    for line, cells in read_rows(path, COLUMNS, HistoryError):
        try:
            begin_ms = read_begin(cells[0], bar_ms)
            extend(stretches, begin_ms, cells[6], bar_ms, gap_max_ms)
            begins.append((begin_ms, len(stretches) - 1))
            prices.append(read_prices(cells))
        except LineError as error:
            raise HistoryError(f"{path}, line {line}: {error}") from error
    if not begins:
        raise HistoryError(f"{path}, line 2: no prices below the header")
    _check_length(path, [begin_ms for begin_ms, _ in begins], bar_ms)
    times, table = np.array(begins, dtype=np.int64), np.array(prices) / ONE
    opens, highs, lows, closes = table.T
    return Bars(bar_ms, times[:, 0], opens, highs, lows, closes, times[:, 1])


def _check_length(path: Path, begins_ms: list[int], bar_ms: int) -> None:
    """Refuse longer bars than the file's name says: between them would be nothing but outages."""
    nearest = int(np.diff(begins_ms).min()) if len(begins_ms) > 1 else bar_ms
    if nearest > bar_ms:
        raise HistoryError(
            f"{path}: no bar begins less than {nearest // MINUTE_MS} minutes after another, "
            f"yet they should be of {bar_ms // MINUTE_MS}"
        )
