"""The vol levels the exchange would have had, hour by hour, over a recorded history.

The estimator is given the two ends of each hour and nothing between. The straight lines by which a
`PricePath` fills an hour have less variance than a market: of recorded hours their vol is 2 to 3 %
lower.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.kernel import kernel
from amm.oracle import (
    START_VOL,
    Observation,
    OracleRules,
    buy_vol_e9,
    initial_state,
    observe,
    restart,
    sell_vol_e9,
)
from amm.units import HOUR_MS, MINUTE_MS, ONE
from sims.markets.path import PricePath
from sims.markets.vols import VolHistory, levels_at

E9 = 1e9
HOURLY_RULES = OracleRules(gap_max_ms=2 * HOUR_MS)
"""As live, but the move of an hour is a return."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class HourlyLevels(NamedTuple):
    """Index and vol levels on the hour, shape (hours,)."""

    times_ms: Ints
    segment: Ints
    prices: Floats
    """Of the index, in USD."""
    mark: Floats
    buy: Floats
    sell: Floats
    recent: Floats
    """Realised vol of about a day."""


def hourly_levels(
    path: PricePath, symbol: int, vols: VolHistory, rules: OracleRules = HOURLY_RULES
) -> HourlyLevels:
    """Return the levels of one symbol; recorded ones where `vols` has them, else the estimator's.

    Every price is believed as if two sources gave it.
    """
    minute = path.times_ms % HOUR_MS // MINUTE_MS
    rows = ((minute == 0) | (minute == 59)) & (path.prices_e8[:, symbol] > 0)
    times_ms, segment = path.times_ms[rows], path.segment[rows]
    prices_e8 = path.prices_e8[rows, symbol]
    found = np.zeros((4, times_ms.size))
    fed_e9 = _fed_e9(vols, symbol, times_ms)
    _follow(times_ms, segment, prices_e8, fed_e9, START_VOL, rules, found)
    hours = times_ms % HOUR_MS == 0
    mark, buy, sell, recent = found[:, hours]
    prices = prices_e8[hours] / ONE
    return HourlyLevels(times_ms[hours], segment[hours], prices, mark, buy, sell, recent)


def estimated_level(
    times_ms: Ints, segment: Ints, prices: Floats, step_ms: int, vol: float
) -> float:
    """Return the vol level the estimator comes to over some prices; it is fed nothing.

    Args:
        times_ms: Of the prices, rising, shape (rows,) with a row at least.
        segment: Same shape; no return is computed over a change.
        prices: In USD, same shape.
        step_ms: Usual time between two prices; over more than two of them there is no return.
        vol: What it believes in at first, per square root of a year; 0 < vol <= 100.
    """
    units, found = np.rint(prices * ONE).astype(np.int64), np.zeros((4, times_ms.size))
    rules = OracleRules(gap_max_ms=2 * step_ms)
    _follow(times_ms, segment, units, np.zeros_like(units), vol, rules, found)
    return float(found[0, -1])


def _fed_e9(vols: VolHistory, symbol: int, times_ms: Ints) -> Ints:
    """Return the recorded level at each time, 0 where there is none or it is too old."""
    return np.rint(levels_at(vols, symbol, times_ms) * E9).astype(np.int64)


@kernel
def _follow(
    times_ms: Ints,
    segment: Ints,
    prices_e8: Ints,
    fed_e9: Ints,
    vol: float,
    rules: OracleRules,
    found: Floats,
) -> None:
    """Fill mark, buy, sell and recent vol after each observation, shape (4, rows)."""
    state = initial_state(vol)
    for row in range(times_ms.size):
        if row > 0 and segment[row] != segment[row - 1]:
            state = restart(state)
        now_ms = times_ms[row]
        observation = Observation(prices_e8[row], 0, now_ms)
        _, state = observe(state, observation, 2, now_ms, fed_e9[row], rules)
        found[0, row] = state.mark_vol_e9 / E9
        found[1, row] = buy_vol_e9(state, rules) / E9
        found[2, row] = sell_vol_e9(state) / E9
        found[3, row] = np.sqrt(state.variance_1d_e12 / 1e12)
