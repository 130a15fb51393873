"""Hourly price history from CSV files, walked minute by minute.

Nothing read is trusted: a file that is not exactly what it should be is refused, with one line
that says where and why. `docs/data.md` describes the files.
"""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, ONE
from sims.markets.path import PricePath
from sims.markets.table import LineError, find_table, iso_minute, read_number, read_rows, read_time

COLUMNS = ("ts", "open", "high", "low", "close", "volume", "seg")
GAP_MAX_MS = 12 * HOUR_MS
"""Exchanges go down for hours; a longer hole inside one segment is a mistake in the file."""
PRICE_MAX = 1e9
"""USD; far from what int64 holds in 1e-8 USD."""

_SYMBOL = re.compile(r"[A-Za-z0-9]{1,16}")
_INTEGER = re.compile(r"-?\d{1,9}", re.ASCII)
_MINUTES = HOUR_MS // MINUTE_MS
_CORNERS = (0, 20, 39, 59)
"""The minutes at which an hour passes its open, its extremes and its close."""

Int64Array = npt.NDArray[np.int64]


class HistoryError(ValueError):
    """Price history that cannot be used; the message is one line naming the file and line."""


class UncoveredError(HistoryError):
    """Price history that is not there: no such file, or not of these times."""


class Stretch(NamedTuple):
    """Bars of one `seg`, from the first to the end of the last."""

    seg: int
    first_ms: int
    end_ms: int


class _Bars(NamedTuple):
    """The hours of one symbol that overlap the range asked for."""

    hours_ms: Int64Array
    corners_e8: Int64Array
    """Shape (hours, 4): the prices at `_CORNERS`."""
    stretch: Int64Array
    """Shape (hours,): which unbroken stretch of the file each hour belongs to."""


def read_path(
    folder: Path, symbols: Sequence[str], start_ms: int, end_ms: int, warmup_days: int = 60
) -> PricePath:
    """Return the minutes from `start_ms` to before `end_ms`, after those that warm up.

    Args:
        folder: Holds `{SYMBOL}_1h.csv` or `.csv.gz`, itself or in its folder `crypto`.
        symbols: One column of the path each.
        start_ms: When the exchange opens.
        end_ms: When the path ends; exclusive.
        warmup_days: At most so many days before `start_ms` are read as well, as far back as the
            history of every symbol is unbroken.

    Raises:
        HistoryError: For a file that is missing, damaged or not as described, and for a range
            that it does not cover.
    """
    if end_ms <= start_ms:
        raise HistoryError(
            f"the range ends at {iso_minute(end_ms)}, not after {iso_minute(start_ms)}"
        )
    if not symbols or len(set(symbols)) != len(symbols):
        raise HistoryError("symbols must be named, each once")
    if warmup_days < 0:
        raise HistoryError(f"{warmup_days} days of warm-up: must not be negative")
    first_ms = start_ms - warmup_days * DAY_MS
    bars = [_read_bars(find_bars(folder, symbol), first_ms, start_ms, end_ms) for symbol in symbols]
    hours_ms = np.unique(np.concatenate([one.hours_ms for one in bars]))
    minutes = np.arange(_MINUTES, dtype=np.int64)
    times_ms = (hours_ms[:, None] + MINUTE_MS * minutes).ravel()
    segment = np.repeat(_segments(hours_ms, bars), _MINUTES)
    prices_e8 = np.zeros((hours_ms.size, _MINUTES, len(bars)), dtype=np.int64)
    for column, one in enumerate(bars):
        prices_e8[np.searchsorted(hours_ms, one.hours_ms), :, column] = _walk(one.corners_e8)

    start = int(np.searchsorted(times_ms, start_ms))
    end = int(np.searchsorted(times_ms, end_ms))
    if start == end:
        raise HistoryError(
            f"no prices from {iso_minute(start_ms)} to {iso_minute(end_ms)}: an outage"
        )
    first = max(
        int(np.searchsorted(times_ms, first_ms)), int(np.searchsorted(segment, segment[start]))
    )
    return PricePath(
        symbols=tuple(symbols),
        times_ms=times_ms[first:end],
        prices_e8=prices_e8.reshape(-1, len(bars))[first:end],
        segment=segment[first:end] - segment[first],
        start=start - first,
    )


def find_bars(folder: Path, symbol: str, rows: str = "1h") -> Path:
    """Return the one file that holds the bars of `symbol`, in a folder or its folder `crypto`.

    Args:
        folder: Of the history.
        symbol: Of the underlying.
        rows: What follows the symbol in the file's name; `2025-10_15m` is looked for in the folder
            `crypto/stress` instead of `crypto`.

    Raises:
        UncoveredError: For no such file.
        HistoryError: For two of them.
    """
    if not _SYMBOL.fullmatch(symbol):
        raise HistoryError(f"{symbol!r} is not a symbol")
    stem, inner = f"{symbol}_{rows}", "crypto/stress" if "_" in rows else "crypto"
    found = find_table(folder, inner, stem, HistoryError)
    if found is None:
        names = f"{stem}.csv or {stem}.csv.gz"
        raise UncoveredError(f"{folder}: has no {names}, nor has its folder {inner}")
    return found


def read_begin(text: str, bar_ms: int = HOUR_MS) -> int:
    """Return when a bar begins.

    Raises:
        LineError: For a text that is not the time of a bar of that length.
    """
    begin_ms = read_time("ts", text)
    if begin_ms % bar_ms:
        grid = "hour" if bar_ms == HOUR_MS else f"grid of {bar_ms // MINUTE_MS} minutes"
        raise LineError(f"ts {text} is not on the {grid}")
    return begin_ms


def read_prices(cells: Sequence[str]) -> tuple[int, int, int, int]:
    """Return open, high, low and close of a bar in 1e-8 USD.

    Args:
        cells: In the order of `COLUMNS`, up to the volume.

    Raises:
        LineError: For a cell that is not what it should be.
    """
    prices = []
    for name, text in zip(COLUMNS[1:5], cells[1:5], strict=True):
        price = read_number(name, text)
        if price > PRICE_MAX:
            raise LineError(f"{name} {text} is more than 1e9 USD")
        prices.append(round(price * ONE))
        if prices[-1] <= 0:
            raise LineError(f"{name} {text} is not a positive price")
    if read_number("volume", cells[5]) < 0:
        raise LineError(f"volume {cells[5]} is negative")
    opened, high, low, closed = prices
    if low > min(opened, closed):
        raise LineError(f"low {cells[3]} is above open or close")
    if high < max(opened, closed):
        raise LineError(f"high {cells[2]} is below open or close")
    return opened, high, low, closed


def _in_order(prices: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Return the four prices of an hour in the order they are walked."""
    opened, high, low, closed = prices
    return (opened, high, low, closed) if closed < opened else (opened, low, high, closed)


def extend(
    stretches: list[Stretch],
    begin_ms: int,
    seg_text: str,
    bar_ms: int = HOUR_MS,
    gap_max_ms: int = GAP_MAX_MS,
) -> None:
    """Add a bar to the last stretch, or begin a new one where `seg` changes.

    Raises:
        LineError: For a bar that is not after the last one, or too long after it.
    """
    if not _INTEGER.fullmatch(seg_text):
        raise LineError(f"seg {seg_text!r} is not an integer")
    seg, first_ms = int(seg_text), begin_ms
    if stretches:
        last = stretches[-1]
        if begin_ms < last.end_ms:
            raise LineError(f"ts {iso_minute(begin_ms)} is not after the line before")
        if seg == last.seg:
            if begin_ms - last.end_ms > gap_max_ms:
                gap = f"nothing from {iso_minute(last.end_ms)} to {iso_minute(begin_ms)}"
                raise LineError(f"{gap}, yet seg is still {seg}")
            first_ms = last.first_ms
            stretches.pop()
    stretches.append(Stretch(seg, first_ms, begin_ms + bar_ms))


def _read_bars(path: Path, first_ms: int, start_ms: int, end_ms: int) -> _Bars:
    """Check every time of the file and read the prices of the hours in the range."""
    stretches: list[Stretch] = []
    hours: list[tuple[int, int]] = []
    corners: list[tuple[int, int, int, int]] = []
    for line, cells in read_rows(path, COLUMNS, HistoryError):
        try:
            hour_ms = read_begin(cells[0])
            extend(stretches, hour_ms, cells[6])
            if first_ms < hour_ms + HOUR_MS and hour_ms < end_ms:
                hours.append((hour_ms, len(stretches)))
                corners.append(_in_order(read_prices(cells)))
        except LineError as error:
            raise HistoryError(f"{path}, line {line}: {error}") from error
    _check_cover(path, stretches, start_ms, end_ms)
    table = np.array(hours, dtype=np.int64).reshape(-1, 2)
    return _Bars(table[:, 0], np.array(corners, dtype=np.int64).reshape(-1, 4), table[:, 1])


def _check_cover(path: Path, stretches: list[Stretch], start_ms: int, end_ms: int) -> None:
    """Refuse a range that begins or ends where the file has nothing."""
    if not stretches:
        raise HistoryError(f"{path}, line 2: no prices below the header")
    begins = any(one.first_ms <= start_ms < one.end_ms for one in stretches)
    ends = any(one.first_ms < end_ms <= one.end_ms for one in stretches)
    if not (begins and ends):
        covered = ", ".join(
            f"{iso_minute(one.first_ms)} to {iso_minute(one.end_ms)}" for one in stretches
        )
        raise HistoryError(
            f"{path}: {iso_minute(start_ms)} to {iso_minute(end_ms)} is not covered, only {covered}"
        )


def _segments(hours_ms: Int64Array, bars: Sequence[_Bars]) -> Int64Array:
    """Number the rows so that a break in the history of any symbol is a break of the path."""
    broken = np.zeros(hours_ms.size, dtype=bool)
    for one in bars:
        if one.hours_ms.size == 0:
            continue  # an outage of its exchange over the whole range
        # Before its first hour a symbol has nothing to break; between hours the last one counts.
        latest = np.maximum(np.searchsorted(one.hours_ms, hours_ms, side="right") - 1, 0)
        broken[1:] |= np.diff(one.stretch[latest]) != 0
    return np.cumsum(broken, dtype=np.int64)


def _walk(corners_e8: Int64Array) -> Int64Array:
    """Return the prices of each minute, shape (hours, 60): straight lines between the corners."""
    walked_e8 = np.empty((corners_e8.shape[0], _MINUTES), dtype=np.int64)
    for leg, (begin, end) in enumerate(itertools.pairwise(_CORNERS)):
        from_e8, to_e8 = corners_e8[:, leg, None], corners_e8[:, leg + 1, None]
        done = np.arange(end - begin + 1, dtype=np.int64)
        walked_e8[:, begin : end + 1] = from_e8 + (to_e8 - from_e8) * done // (end - begin)
    return walked_e8
