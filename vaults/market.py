"""What all tokens share: the index and vol of each underlying, and its last hour."""

from typing import NamedTuple

import numpy as np

from amm.bundle import bundle
from amm.kernel import kernel
from amm.oracle import OracleRules, OracleState
from amm.scenarios import UNDERLYINGS
from amm.units import MINUTE_MS
from vaults.state import Ints, Records, record, records

WINDOW_MINUTES = 60
"""Length of the valuation window."""
WINDOW_SLOTS = 64
"""Minutes of history kept; more than the valuation window has."""


class WindowRow(NamedTuple):
    """The valuation window of one underlying; derived from its minutes.

    `marks` counts the minutes that had a mark.
    """

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
        rules: `OracleRules`, one record.
    """

    oracle: Records
    minutes: Ints
    windows: Records
    rules: Records


def new_market(initial: OracleState, rules: OracleRules | None = None) -> Market:
    """Return a market whose oracles all start in `initial`, without an index."""
    market = Market(
        oracle=records(OracleState, UNDERLYINGS),
        minutes=np.zeros((UNDERLYINGS, WINDOW_SLOTS, 5), dtype=np.int64),
        windows=records(WindowRow, UNDERLYINGS),
        rules=record(rules or OracleRules()),
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
    prices = np.empty(WINDOW_SLOTS, dtype=np.int64)
    vols = np.empty(WINDOW_SLOTS, dtype=np.int64)
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
    window.marks = count
    window.low_e8 = low
    window.high_e8 = high
    window.median_e8 = _median(prices, count)
    window.median_vol_e9 = _median(vols, count)


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
    _summarise(market, underlying, minute)


@kernel
def refresh_window(market: Market, underlying: int) -> None:
    """Recompute a window from its minutes, after these were read back."""
    minute = market.minutes[underlying, :, 0].max()
    if minute > 0:
        _summarise(market, underlying, minute)


def set_oracle(market: Market, underlying: int, words: tuple[int, ...]) -> None:
    """Put an oracle state, live or from the journal, in force; a new index joins the window."""
    last_ms = int(market.oracle[underlying].index_ms)
    market.oracle[underlying] = words
    if int(market.oracle[underlying].index_ms) not in (0, last_ms):
        publish(market, underlying)
