"""Vol surfaces and vol levels over time, from CSV files.

Nothing read is trusted: a file that is not exactly what it should be is refused, with one line
that says where and why. `docs/surface.md` describes the files.
"""

import math
import re
from collections.abc import Container, Sequence
from pathlib import Path
from typing import NamedTuple

from amm.chain import CalibrationError
from amm.delta_quotes import DeltaQuotes, from_quotes
from amm.ssvi import Ssvi, level_of
from amm.units import DAY_MS
from sims.markets.table import (
    LineError,
    find_table,
    read_day,
    read_number,
    read_optional,
    read_rows,
    read_time,
)

SERIES = "surface_series_6h"
SERIES_DAYS = (7, 30, 90, 180)
QUOTED = ("atm", "rr25_", "bf25_")
INDEX_POINTS = 100.0
"""A vol index of 55 is a vol of 0.55."""
INDEX_MAX = 1_000.0

TIME_MAX_MS = 2**62
"""After everything."""

_LEVEL_AT = SERIES_DAYS.index(30)
_SYMBOL = re.compile(r"[A-Za-z0-9]{1,16}")


class SurfaceError(ValueError):
    """A series that cannot be used; the message is one line naming the file and line."""


class SurfaceRow(NamedTuple):
    """What the market's surface was.

    Attributes:
        time_ms: When.
        symbol: Of which underlying.
        surface: Fitted to that time's quotes.
        level: The quoted vol at the money of 30 days; the fitted one where it was not quoted.
    """

    time_ms: int
    symbol: str
    surface: Ssvi
    level: float


class LevelRow(NamedTuple):
    """A vol level, and from when on it was known."""

    time_ms: int
    level: float


def _columns() -> tuple[str, ...]:
    return tuple(f"{name}{days}" for days in SERIES_DAYS for name in QUOTED)


def read_surfaces(
    folder: Path, symbols: Sequence[str], start_ms: int = 0, end_ms: int = TIME_MAX_MS
) -> list[SurfaceRow]:
    """Return the surfaces of some underlyings, in order of time and, within one, of `symbols`.

    Rows with too few cells for a surface (no vol at the money, no risk reversal or no butterfly)
    are left out. A folder without the file has none.

    Args:
        folder: Holds `surface_series_6h.csv` or `.csv.gz`, itself or in its folder `derived`.
        symbols: Which rows are read, by `currency`.
        start_ms: Earlier rows are checked and left out.
        end_ms: So are these, from here on.

    Raises:
        SurfaceError: For a file that is damaged or not as described.
    """
    path = find_table(folder, "derived", SERIES, SurfaceError)
    if path is None:
        return []
    rows: dict[tuple[int, str], SurfaceRow | None] = {}
    for line, cells in read_rows(path, ("ts", "currency", *_columns()), SurfaceError):
        if cells[1] not in symbols:
            continue
        try:
            key = _read_key(cells, rows)
            quotes = _read_quotes(cells[2:])
            rows[key] = _fit(*key, quotes) if start_ms <= key[0] < end_ms else None
        except (LineError, CalibrationError) as error:
            raise SurfaceError(f"{path}, line {line}: {error}") from error
    found = [row for row in rows.values() if row is not None]
    order = {symbol: place for place, symbol in enumerate(symbols)}
    return sorted(found, key=lambda row: (row.time_ms, order[row.symbol]))


def _read_key(cells: Sequence[str], seen: Container[tuple[int, str]]) -> tuple[int, str]:
    key = (read_time("ts", cells[0]), cells[1])
    if key in seen:
        raise LineError(f"{cells[1]} at {cells[0]} is there twice")
    return key


def _read_quotes(cells: Sequence[str]) -> list[DeltaQuotes]:
    numbers = [read_optional(name, cell) for name, cell in zip(_columns(), cells, strict=True)]
    return [
        DeltaQuotes(days / 365.0, *numbers[len(QUOTED) * place : len(QUOTED) * (place + 1)])
        for place, days in enumerate(SERIES_DAYS)
    ]


def _fit(time_ms: int, symbol: str, quotes: Sequence[DeltaQuotes]) -> SurfaceRow | None:
    """Return the row's surface; None where there is too little of one."""
    for field in range(1, len(DeltaQuotes._fields)):
        if all(math.isnan(each[field]) for each in quotes):
            return None
    surface = from_quotes(quotes)
    level = quotes[_LEVEL_AT].vol
    return SurfaceRow(time_ms, symbol, surface, level_of(surface) if math.isnan(level) else level)


def read_levels(folder: Path, symbol: str) -> list[LevelRow]:
    """Return the daily vol index of an underlying, in order; nothing where the folder has none.

    A day's value is presumed to be that of its close, so it counts from the next midnight on.

    Args:
        folder: Holds `DVOL_{symbol}_1d.csv` or `.csv.gz`, itself or in its folder `vol`.
        symbol: Of the underlying.

    Raises:
        SurfaceError: For a file that is damaged or not as described.
    """
    if not _SYMBOL.fullmatch(symbol):
        raise SurfaceError(f"{symbol!r} is not a symbol")
    path = find_table(folder, "vol", f"DVOL_{symbol}_1d", SurfaceError)
    rows: list[LevelRow] = []
    if path is None:
        return rows
    for line, cells in read_rows(path, ("date", "dvol"), SurfaceError):
        try:
            rows.append(_read_level(cells, rows[-1].time_ms if rows else 0))
        except LineError as error:
            raise SurfaceError(f"{path}, line {line}: {error}") from error
    if not rows:
        raise SurfaceError(f"{path}, line 2: no levels below the header")
    return rows


def _read_level(cells: Sequence[str], last_ms: int) -> LevelRow:
    date, dvol = cells
    known_ms = read_day("date", date) + DAY_MS
    if known_ms <= last_ms:
        raise LineError(f"date {date} is not after the line before")
    points = read_number("dvol", dvol)
    if not 1.0 <= points <= INDEX_MAX:
        raise LineError(f"dvol {dvol} is not in points, from 1 to {INDEX_MAX:g}")
    return LevelRow(known_ms, points / INDEX_POINTS)
