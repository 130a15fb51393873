"""Option chains from CSV files, as Deribit lists them.

Nothing read is trusted: a file that is not exactly what it should be is refused, with one line
that says where and why. `docs/surface.md` describes the files.
"""

import math
import re
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from amm.chain import VOL_MAX, VOL_MIN, CalibrationError, Quote, Smile, smile_of
from amm.units import DAY_MS, MINUTE_MS
from sims.markets.table import (
    LineError,
    iso_second,
    read_number,
    read_optional,
    read_rows,
    read_time,
)

COLUMNS = ("ts", "currency", "instrument", "type", "strike", "expiry", "forward", "mark_iv")
OPTIONAL_COLUMNS = ("delta", "index_price")
SNAPSHOT_GAP_MS = 10 * MINUTE_MS
"""A chain that is polled option by option takes minutes; a longer pause begins another one."""
PRICE_MAX = 1e9
YEAR_MS = 365 * DAY_MS

_CURRENCY = re.compile(r"[A-Za-z0-9_.-]{1,16}")
_INSTRUMENT = re.compile(r"[\x21-\x7e]{1,64}")


class ChainError(ValueError):
    """An option chain that cannot be used; the message is one line naming the file and line."""


class Snapshot(NamedTuple):
    """One chain at one time.

    Attributes:
        time_ms: The middle one of its rows' times.
        currency: Of the underlying.
        expiries_ms: Of the smiles, in order.
        chain: The smiles with enough quotes that count; none where nothing does.
        rows: How many options were listed.
    """

    time_ms: int
    currency: str
    expiries_ms: tuple[int, ...]
    chain: tuple[Smile, ...]
    rows: int


class _Row(NamedTuple):
    line: int
    time_ms: int
    currency: str
    expiry_ms: int
    forward: float
    """NaN where the file has none."""
    index_price: float
    quote: Quote
    """Its vol is NaN where the file has none."""


def read_chains(path: Path) -> list[Snapshot]:
    """Return the snapshots of a file, in order of currency and time.

    Raises:
        ChainError: For a file that is missing, damaged or not as described.
    """
    rows: list[_Row] = []
    for line, cells in read_rows(path, COLUMNS, ChainError, OPTIONAL_COLUMNS):
        try:
            rows.append(_read_row(line, cells))
        except LineError as error:
            raise ChainError(f"{path}, line {line}: {error}") from error
    if not rows:
        raise ChainError(f"{path}, line 2: no options below the header")
    rows.sort(key=lambda row: (row.currency, row.time_ms, row.line))
    return [_snapshot(path, group) for group in _group(path, rows)]


def _read_row(line: int, cells: Sequence[str]) -> _Row:
    ts, currency, instrument, kind, strike, expiry, forward, mark_iv, delta, index = cells
    if not _CURRENCY.fullmatch(currency):
        raise LineError(f"currency {currency!r} is not a symbol")
    if not _INSTRUMENT.fullmatch(instrument):
        raise LineError(f"instrument {instrument!r} is not a name")
    if kind not in {"C", "P"}:
        raise LineError(f"type {kind!r} is neither C nor P")
    quote = Quote(
        instrument,
        kind == "C",
        _read_price("strike", strike),
        _read_vol(mark_iv),
        read_optional("delta", delta),
    )
    if abs(quote.delta) > 1.0:
        raise LineError(f"delta {delta} is beyond 1")
    return _Row(
        line,
        read_time("ts", ts),
        currency,
        read_time("expiry", expiry),
        _read_price("forward", forward) if forward else math.nan,
        _read_price("index_price", index) if index else math.nan,
        quote,
    )


def _read_price(name: str, text: str) -> float:
    price = read_number(name, text)
    if not 0.0 < price <= PRICE_MAX:
        raise LineError(f"{name} {text} is not a price between 0 and 1e9 USD")
    return price


def _read_vol(text: str) -> float:
    """Return the vol of a quote; NaN for none, which exchanges also write as 0."""
    vol = read_optional("mark_iv", text)
    if not math.isnan(vol) and not 0.0 <= vol <= VOL_MAX:
        raise LineError(f"mark_iv {text} is not a vol such as 0.55, at most {VOL_MAX:g}")
    return vol if vol >= VOL_MIN else math.nan


def _group(path: Path, rows: Sequence[_Row]) -> Iterator[list[_Row]]:
    """Yield the rows of each snapshot: those of a currency without a pause or a repetition."""
    group: list[_Row] = []
    seen: set[str] = set()
    for row in rows:
        again = row.quote.name in seen
        if again and row.time_ms == group[-1].time_ms:
            raise ChainError(f"{path}, line {row.line}: {row.quote.name} is there twice at once")
        if group and (
            again
            or row.currency != group[-1].currency
            or row.time_ms - group[-1].time_ms > SNAPSHOT_GAP_MS
        ):
            yield group
            group, seen = [], set()
        group.append(row)
        seen.add(row.quote.name)
    yield group


def _snapshot(path: Path, rows: list[_Row]) -> Snapshot:
    time_ms = statistics.median_low([row.time_ms for row in rows])
    by_expiry: dict[int, list[_Row]] = {}
    for row in rows:
        by_expiry.setdefault(row.expiry_ms, []).append(row)
    smiles: list[tuple[int, Smile]] = []
    for expiry_ms, group in sorted(by_expiry.items()):
        quotes = [row.quote for row in group if not math.isnan(row.quote.vol)]
        if not quotes:
            continue
        try:
            smile = smile_of((expiry_ms - time_ms) / YEAR_MS, _forward(group), quotes)
        except (CalibrationError, LineError) as error:
            expiry = f"expiry {iso_second(expiry_ms)}"
            raise ChainError(f"{path}, line {group[0].line}: {expiry}: {error}") from error
        if smile is not None:
            smiles.append((expiry_ms, smile))
    return Snapshot(
        time_ms,
        rows[0].currency,
        tuple(expiry_ms for expiry_ms, _ in smiles),
        tuple(smile for _, smile in smiles),
        len(rows),
    )


def _forward(rows: Sequence[_Row]) -> float:
    """Return the middle forward of an expiry's rows, the index where no row has one."""
    forwards = [row.forward for row in rows if not math.isnan(row.forward)]
    forwards = forwards or [row.index_price for row in rows if not math.isnan(row.index_price)]
    if not forwards:
        raise LineError("no forward, and no index_price to stand for it")
    return statistics.median(forwards)
