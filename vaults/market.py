"""What all tokens share: the index and vol of each underlying, and its last hour."""

from typing import NamedTuple

import numpy as np

from amm.bundle import bundle
from amm.kernel import kernel
from amm.oracle import OracleRules, OracleState
from amm.scenarios import UNDERLYINGS
from amm.ssvi import Ssvi
from amm.units import DAY_MS, MINUTE_MS
from vaults.state import Ints, Records, record, records

WINDOW_MINUTES = 60
"""Length of the valuation window."""
WINDOW_SLOTS = 64
"""Minutes of history kept; more than the valuation window has."""


SURFACE_AGE_MAX_MS = DAY_MS
"""A surface published longer ago gives way to the default one."""
LONG_VOL_MAX = 5.0
REVERSION_MAX = 200.0
"""Per year: a surface that forgets within two days."""
CURVATURE_MAX = 2.0
"""Of curvature (1 + |skew|): beyond it there is butterfly arbitrage."""


_INDEX_MS = OracleState._fields.index("index_ms")


class ShapeRow(NamedTuple):
    """What a surface is besides its level, as published; no time means the default surface."""

    published_ms: int = 0
    long_vol_e9: int = 0
    reversion_e9: int = 0
    skew_e9: int = 0
    curvature_e9: int = 0


class WindowRow(NamedTuple):
    """The valuation window of one underlying; derived from its minutes.

    `minute` is its last one, `marks` counts those that had a mark.
    """

    minute: int = 0
    marks: int = 0
    low_e8: int = 0
    high_e8: int = 0
    median_e8: int = 0
    median_vol_e9: int = 0


@bundle
class Market(NamedTuple):
    """Index and vol of every underlying.

    Attributes:
        oracle: `OracleState` per underlying.
        minutes: Ring of (minute, low, high, last index in 1e-8 USD, mark vol in 1e-9), shape
            (UNDERLYINGS, WINDOW_SLOTS, 5).
        windows: `WindowRow` per underlying.
        shapes: `ShapeRow` per underlying: the surface in force.
        published: `ShapeRow` per underlying: what the next tick puts in force.
        rules: `OracleRules`, one record.
        sorting: Room for what is sorted, shape (2, WINDOW_SLOTS).
    """

    oracle: Records
    minutes: Ints
    windows: Records
    shapes: Records
    published: Records
    rules: Records
    sorting: Ints


def new_market(initial: OracleState, rules: OracleRules | None = None) -> Market:
    """Return a market whose oracles all start in `initial`, without an index."""
    market = Market(
        oracle=records(OracleState, UNDERLYINGS),
        minutes=np.zeros((UNDERLYINGS, WINDOW_SLOTS, 5), dtype=np.int64),
        windows=records(WindowRow, UNDERLYINGS),
        shapes=records(ShapeRow, UNDERLYINGS),
        published=records(ShapeRow, UNDERLYINGS),
        rules=record(rules or OracleRules()),
        sorting=np.zeros((2, WINDOW_SLOTS), dtype=np.int64),
    )
    for underlying in range(UNDERLYINGS):
        market.oracle[underlying] = tuple(initial)
    return market


@kernel
def _median(values: Ints, count: int) -> int:
    """Return the lower median of the first `count` values, sorting them in place."""
    for position in range(1, count):
        value = values[position]
        place = position
        while place > 0 and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value
    return int(values[(count - 1) // 2])


@kernel
def _summarise(market: Market, underlying: int, minute: int) -> None:
    """Recompute the window of the minutes up to and including `minute`."""
    window = market.windows[underlying]
    prices, vols = market.sorting[0], market.sorting[1]
    count = 0
    low = high = market.oracle[underlying].index_e8
    for slot in range(WINDOW_SLOTS):
        row = market.minutes[underlying, slot]
        if row[3] > 0 and minute - WINDOW_MINUTES < row[0] <= minute:
            low = min(low, row[1])
            high = max(high, row[2])
            prices[count] = row[3]
            vols[count] = row[4]
            count += 1
    window.minute = minute
    window.marks = count
    window.low_e8 = low
    window.high_e8 = high
    window.median_e8 = _median(prices, count)
    window.median_vol_e9 = _median(vols, count)


@kernel
def _begin_window(market: Market, underlying: int, minute: int) -> None:
    """Let a window consist of one minute, the only one with a mark for an hour."""
    row, window = market.minutes[underlying, minute % WINDOW_SLOTS], market.windows[underlying]
    window.minute = minute
    window.marks = 1
    window.low_e8 = row[1]
    window.high_e8 = row[2]
    window.median_e8 = row[3]
    window.median_vol_e9 = row[4]


@kernel
def publish(market: Market, underlying: int) -> None:
    """Enter the oracle's index, just used, into the underlying's last hour."""
    oracle = market.oracle[underlying]
    minute = oracle.index_ms // MINUTE_MS
    row = market.minutes[underlying, minute % WINDOW_SLOTS]
    if row[0] != minute or row[3] == 0:
        row[0] = minute
        row[1] = oracle.index_e8
        row[2] = oracle.index_e8
    row[1] = min(row[1], oracle.index_e8)
    row[2] = max(row[2], oracle.index_e8)
    row[3] = oracle.index_e8
    row[4] = oracle.mark_vol_e9
    if minute - market.windows[underlying].minute < WINDOW_MINUTES:
        _summarise(market, underlying, minute)
    else:
        _begin_window(market, underlying, minute)


@kernel
def refresh_window(market: Market, underlying: int) -> None:
    """Recompute a window from its minutes, after these were read back."""
    minute = 0
    for slot in range(WINDOW_SLOTS):
        minute = max(minute, market.minutes[underlying, slot, 0])
    if minute > 0:
        _summarise(market, underlying, minute)


def set_oracle(market: Market, underlying: int, words: tuple[int, ...]) -> None:
    """Put an oracle state, live or from the journal, in force; a new index joins the window."""
    last_ms = market.oracle[underlying].item()[_INDEX_MS]
    market.oracle[underlying] = words
    if words[_INDEX_MS] not in (0, last_ms):
        publish(market, underlying)


def surface_of(shape: ShapeRow, default: Ssvi) -> Ssvi:
    """Return the surface a row stands for, at any level."""
    if shape.published_ms == 0:
        return default
    long_vol, reversion, skew, curvature = (each / 1e9 for each in shape[1:])
    return Ssvi(long_vol, long_vol, reversion, skew, curvature)


def shape_row(surface: Ssvi, published_ms: int) -> ShapeRow:
    """Return a surface as it is published: rounded, and without its level."""
    _, *shape = surface
    return ShapeRow(published_ms, *(round(each * 1e9) for each in shape))


def shape_fault(shape: ShapeRow) -> str:
    """Return the name of what no surface can have, empty where there is no such thing."""
    long_vol, reversion, skew, curvature = (each / 1e9 for each in shape[1:])
    faults = {
        "long_vol": not 0.01 <= long_vol <= LONG_VOL_MAX,
        "reversion": not 0.0 <= reversion <= REVERSION_MAX,
        "skew": not -0.99 <= skew <= 0.99,
        "curvature": not 0.0 <= curvature * (1.0 + abs(skew)) <= CURVATURE_MAX + 2e-9,
    }
    return next((name for name, is_wrong in faults.items() if is_wrong), "")


def adopt_shape(market: Market, underlying: int, now_ms: int) -> bool:
    """Put in force what was published, or the default once that is too old.

    Returns:
        Whether the surface changed.
    """
    if not is_shape_due(market, underlying, now_ms):
        return False
    is_current = _is_current(market, underlying, now_ms)
    wanted = market.published[underlying].item() if is_current else tuple(ShapeRow())
    market.shapes[underlying] = wanted
    return True


@kernel
def _is_current(market: Market, underlying: int, now_ms: int) -> bool:
    """Whether what was published last is neither of the future nor too old."""
    age_ms = now_ms - market.published[underlying].published_ms
    return bool(0 <= age_ms <= SURFACE_AGE_MAX_MS)


@kernel
def is_shape_due(market: Market, underlying: int, now_ms: int) -> bool:
    """Whether the next tick changes the surface: until then nobody may trade on the old one."""
    published, shape = market.published[underlying], market.shapes[underlying]
    if not _is_current(market, underlying, now_ms):
        return bool(shape.published_ms != 0)
    return bool(
        shape.published_ms == 0
        or shape.long_vol_e9 != published.long_vol_e9
        or shape.reversion_e9 != published.reversion_e9
        or shape.skew_e9 != published.skew_e9
        or shape.curvature_e9 != published.curvature_e9
    )
