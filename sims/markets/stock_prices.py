"""The last price of a stock at any moment of its history, from bars of its sessions and from days.

Nothing is invented between the prices a file has: where there are only days, a session stands at
its open until it closes.
"""

import functools
import re
from pathlib import Path

import numpy as np

from amm.units import DAY_MS, MINUTE_MS, ONE
from sims.markets.bars import read_file
from sims.markets.block import Floats, Ints
from sims.markets.history import COLUMNS, HistoryError, read_prices
from sims.markets.sessions import sessions_between
from sims.markets.table import LineError, find_table, read_day, read_rows

AGE_MAX_MS = 6 * DAY_MS
"""An older price is none: the longest weekends have four days."""
_BAR_MS = 15 * MINUTE_MS
_HOLE_MAX_MS = 14 * DAY_MS
_SYMBOL = re.compile(r"[A-Za-z0-9.]{1,16}")


def stock_prices(folder: Path, symbol: str, times_ms: Ints) -> Floats:
    """Return the last price in USD at each moment, NaN where none is known that is not too old.

    Args:
        folder: With `stocks/15m/{SYMBOL}.csv` or `stocks/1d/{SYMBOL}.csv`, or both, plain or
            gzipped; days count where there are no bars.
        symbol: Of the stock.
        times_ms: Any shape.

    Raises:
        HistoryError: For files that are missing, damaged or not as described.
    """
    known_ms, prices = _quotes(folder, symbol)
    place = np.searchsorted(known_ms, times_ms, side="right") - 1
    is_young = (place >= 0) & (times_ms - known_ms[place] <= AGE_MAX_MS)
    return np.where(is_young, prices[place], np.nan)


@functools.lru_cache(maxsize=32)
def _quotes(folder: Path, symbol: str) -> tuple[Ints, Floats]:
    """Return when prices were known, strictly increasing, and the prices."""
    if not _SYMBOL.fullmatch(symbol):
        raise HistoryError(f"{symbol!r} is not a symbol")
    bars, days = (_find(folder, length, symbol) for length in ("15m", "1d"))
    if bars is None and days is None:
        names = f"{symbol}.csv or {symbol}.csv.gz"
        raise HistoryError(f"{folder}: has no {names} in its folders stocks/15m and stocks/1d")
    times, prices = np.empty(0, dtype=np.int64), np.empty(0)
    if bars is not None:
        times, prices = _read_bars(bars)
    if days is not None:
        day_times, day_prices = _read_days(days)
        is_new = ~np.isin(day_times // DAY_MS, times // DAY_MS)
        times = np.concatenate([times, day_times[is_new]])
        prices = np.concatenate([prices, day_prices[is_new]])
    order = np.argsort(times, kind="stable")
    return times[order], prices[order]


def _find(folder: Path, length: str, symbol: str) -> Path | None:
    """Return the one file of a stock in the folder of a length of bars; None for none."""
    stocks = folder / "stocks"
    return find_table(stocks, length, symbol, HistoryError) if stocks.is_dir() else None


def _read_bars(path: Path) -> tuple[Ints, Floats]:
    """Return the close of each bar, when it ends, and the open of each after a hole."""
    bars = read_file(path, _BAR_MS, _HOLE_MAX_MS)
    ends_ms = bars.begins_ms + bars.bar_ms
    opens = np.append(True, bars.begins_ms[1:] > ends_ms[:-1])
    times = np.concatenate([ends_ms, bars.begins_ms[opens]])
    prices = np.concatenate([bars.closes, bars.opens[opens]])
    order = np.argsort(times, kind="stable")
    return times[order], prices[order]


def _read_next(date: str, last_ms: int) -> int:
    day_ms = read_day("date", date)
    if day_ms <= last_ms:
        raise LineError(f"date {date} is not after the line before")
    return day_ms


def _read_days(path: Path) -> tuple[Ints, Floats]:
    """Return the open of each day and its close, when the session begins and ends."""
    days: list[tuple[int, int]] = []
    prices: list[tuple[int, int, int, int]] = []
    for line, (date, *cells) in read_rows(path, ("date", *COLUMNS[1:]), HistoryError):
        try:
            days.append((_read_next(date, days[-1][0] if days else 0), line))
            prices.append(read_prices((date, *cells)))
        except LineError as error:
            raise HistoryError(f"{path}, line {line}: {error}") from error
    if not days:
        raise HistoryError(f"{path}, line 2: no prices below the header")
    found = np.array(days, dtype=np.int64)
    sessions = sessions_between(int(found[0, 0]), int(found[-1, 0]))
    place = np.minimum(np.searchsorted(sessions.days_ms, found[:, 0]), sessions.days_ms.size - 1)
    for row in np.flatnonzero(sessions.days_ms[place] != found[:, 0]):
        raise HistoryError(f"{path}, line {found[row, 1]}: New York did not trade on that date")
    table = np.array(prices) / ONE
    times = np.stack([sessions.opens_ms[place], sessions.closes_ms[place]], axis=1)
    return times.ravel(), np.ascontiguousarray(table[:, [0, 3]]).ravel()
