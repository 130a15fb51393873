"""Daily bars of a stock; `docs/data.md` describes the files."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from sims.markets.block import Bools, Floats, Ints
from sims.markets.history import HistoryError
from sims.markets.table import LineError, find_table, read_day, read_number, read_rows

_INNER = "stocks/1d"


class StockBars(NamedTuple):
    """Sessions in order of time, shape (days,) each.

    Attributes:
        times_ms: Midnight UTC of the session's date.
        opens: First price, USD.
        closes: Last one.
        segment: Changes where days are missing.
    """

    times_ms: Ints
    opens: Floats
    closes: Floats
    segment: Ints

    def take(self, rows: Bools | Ints) -> "StockBars":
        """Return some days, by mask or number."""
        return StockBars._make(each[rows] for each in self)


def read_stock_bars(folder: Path, name: str) -> StockBars:
    """Return all days of a stock.

    Args:
        folder: Holds `{name}.csv` or `.csv.gz`, itself or in its folder `stocks/1d`.
        name: Its ticker.

    Raises:
        HistoryError: For a file that is missing, damaged or not as described.
    """
    path = find_table(folder, _INNER, name, HistoryError)
    if path is None:
        raise HistoryError(f"{folder}: has no {name}.csv or {name}.csv.gz, nor has {_INNER}")
    times, rows = [], []
    for line, cells in read_rows(path, ("date", "open", "close", "seg"), HistoryError):
        try:
            times.append(read_day("date", cells[0]))
            pairs = zip(("open", "close", "seg"), cells[1:], strict=True)
            rows.append([read_number(*pair) for pair in pairs])
        except LineError as error:
            raise HistoryError(f"{path}, line {line}: {error}") from error
    table = np.array(rows).reshape(-1, 3)
    if not (table[:, :2] > 0.0).all() or (np.diff(times) <= 0).any():
        raise HistoryError(f"{path}: prices must be positive, days rise")
    days = np.array(times, dtype=np.int64)
    return StockBars(days, table[:, 0], table[:, 1], table[:, 2].astype(np.int64))
