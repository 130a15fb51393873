"""What was known of vol at each moment of a history: levels and surfaces, each once it was out."""

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.ssvi import Ssvi
from amm.units import DAY_MS
from sims.markets.surfaces import LevelRow, SurfaceRow, read_levels, read_surfaces

AGE_MAX_MS = 2 * DAY_MS
"""An older level is not used: the estimator knows better."""
LEVEL_PER_INDEX = 0.92
"""Vol at the money over a 30-day vol index, which weighs the wings too: the median of the series of
surfaces, where nine in ten lie between 0.89 and 0.94."""


class VolHistory(NamedTuple):
    """Of each symbol, in order of time: its levels, and its surfaces (none: the default)."""

    levels: tuple[tuple[LevelRow, ...], ...]
    surfaces: tuple[tuple[SurfaceRow, ...], ...]


def read_vols(folder: Path, symbols: Sequence[str], start_ms: int, end_ms: int) -> VolHistory:
    """Return what a folder of history knows of vol; nothing, where it has no such files.

    Args:
        folder: As `sims.markets.surfaces` reads it.
        symbols: Of the underlyings.
        start_ms: Rows that are too old then are left out.
        end_ms: Later rows are left out.

    Raises:
        SurfaceError: For a file that is damaged or not as described.
    """
    first_ms = start_ms - AGE_MAX_MS
    surfaces = read_surfaces(folder, symbols, first_ms, end_ms)
    levels = []
    for symbol in symbols:
        rows = [row for row in read_levels(folder, symbol) if first_ms <= row.time_ms < end_ms]
        known = [LevelRow(row.time_ms, LEVEL_PER_INDEX * row.level) for row in rows]
        known += [LevelRow(row.time_ms, row.level) for row in surfaces if row.symbol == symbol]
        levels.append(tuple(sorted(known)))
    return VolHistory(
        tuple(levels),
        tuple(tuple(row for row in surfaces if row.symbol == symbol) for symbol in symbols),
    )


def no_vols(symbols: Sequence[str]) -> VolHistory:
    """Return a history that knows nothing: levels are estimated, surfaces are the default."""
    return VolHistory(((),) * len(symbols), ((),) * len(symbols))


def level_at(vols: VolHistory, symbol: int, now_ms: int) -> float:
    """Return the newest level of a symbol, 0 where there is none or it is too old."""
    rows = vols.levels[symbol]
    place = bisect_right(rows, now_ms, key=lambda row: row.time_ms)
    if place == 0 or now_ms - rows[place - 1].time_ms > AGE_MAX_MS:
        return 0.0
    return rows[place - 1].level


def levels_at(
    vols: VolHistory, symbol: int, times_ms: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return `level_at` each of the times, same shape."""
    rows = vols.levels[symbol]
    if not rows:
        return np.zeros(times_ms.shape)
    since_ms = np.array([row.time_ms for row in rows])
    place = np.searchsorted(since_ms, times_ms, side="right") - 1
    is_young = (place >= 0) & (times_ms - since_ms[place] <= AGE_MAX_MS)
    return np.where(is_young, np.array([row.level for row in rows])[place], 0.0)


def surface_at(vols: VolHistory, symbol: int, now_ms: int) -> tuple[Ssvi | None, int]:
    """Return the newest surface of a symbol, none where there is none, and since when it is."""
    rows = vols.surfaces[symbol]
    place = bisect_right(rows, now_ms, key=lambda row: row.time_ms)
    if place == 0:
        return None, 0
    return rows[place - 1].surface, rows[place - 1].time_ms
