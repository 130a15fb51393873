"""Where main's profit and loss on its open book comes from: the index, its bend, and vol.

At a tick, now and then, the move of one underlying since it was last measured is told apart with
the slopes of the book's value at the marks it began from: delta, half gamma, vega. What they leave
out is of a higher order in the move; it is found where all is added up, as the rest. Nothing but
the marks the move began from is kept for it, so that a restart changes nothing.
"""

import math
from typing import NamedTuple

from amm.kernel import allocating_kernel, kernel
from amm.units import ONE
from vaults.ledger import post
from vaults.market import Market
from vaults.moves import Flow, Move
from vaults.risk import BUMP, surface_moved, value_moved
from vaults.rules import E9, Rules, carry_at
from vaults.state import State
from vaults.valuation import contract_of

_COUNT = Move.COUNT.value
_MEASURE = Move.MEASURE.value
_DELTA = Flow.DELTA.value
_GAMMA = Flow.GAMMA.value
_VEGA = Flow.VEGA.value


class Gain(NamedTuple):
    """What holders gain by a move, in base units, by the slope that says so."""

    delta: float
    gamma: float
    vega: float


@allocating_kernel
def gain_of_move(
    state: State,
    rules: Rules,
    market: Market,
    underlying: int,
    index: float,
    level: float,
    index_after: float,
    level_after: float,
) -> Gain:
    """Return what holders of all open positions gain by a move, to second order in the index.

    Args:
        state: The token.
        rules: Its rules; the smile is the one in force.
        market: Only the terms of a contract need it.
        underlying: What moves.
        index: Where the index was, USD; > 0.
        level: Where the vol level was; > 0.
        index_after: Where the index is.
        level_after: Where the vol level is.
    """
    delta = gamma = vega = 0.0
    up, down = level * (1.0 + BUMP), level * (1.0 - BUMP)
    carry = carry_at(rules, underlying, level)
    carry_up, carry_down = carry_at(rules, underlying, up), carry_at(rules, underlying, down)
    calm = surface_moved(rules, underlying, level, carry)
    risen = surface_moved(rules, underlying, up, carry_up)
    fallen = surface_moved(rules, underlying, down, carry_down)
    for slot in range(state.pool[0].series_count):
        series = state.series[slot]
        if series.underlying != underlying or series.open_notional == 0:
            continue
        contract, notional = contract_of(state, rules, market, slot), float(series.open_notional)
        here = value_moved(contract, index, calm, carry)
        above = value_moved(contract, index * (1.0 + BUMP), calm, carry)
        below = value_moved(contract, index * (1.0 - BUMP), calm, carry)
        delta += notional * (above - below)
        gamma += notional * (above - 2.0 * here + below)
        vega += notional * value_moved(contract, index, risen, carry_up)
        vega -= notional * value_moved(contract, index, fallen, carry_down)
    by_index = (index_after / index - 1.0) / BUMP
    by_level = (level_after / level - 1.0) / BUMP
    return Gain(delta * by_index / 2.0, gamma * by_index**2 / 2.0, vega * by_level / 2.0)


@kernel
def _count(state: State, flow: int, gain: float) -> None:
    """Count what holders gain as what main loses, to the nearest unit."""
    units = int(math.floor(0.5 - gain))
    if units != 0:
        post(state, _COUNT, flow, units, 0, 0, 0)


@kernel
def measure(state: State, rules: Rules, market: Market, underlying: int, now_ms: int) -> None:
    """Count what the move since the last measurement did to main, once it is long enough ago."""
    every_ms = int(rules.parameters[0].measure_ms)
    book, oracle = state.books[underlying], market.oracle[underlying]
    if every_ms == 0 or now_ms - book.measured_ms < every_ms:
        return
    index_e8, vol_e9 = int(oracle.index_e8), int(oracle.mark_vol_e9)
    before_e8, before_e9 = int(book.measured_index_e8), int(book.measured_vol_e9)
    has_moved = index_e8 != before_e8 or vol_e9 != before_e9
    if before_e8 > 0 and has_moved and state.pool[0].live_series > 0:
        gain = gain_of_move(
            state,
            rules,
            market,
            underlying,
            float(before_e8) / ONE,
            float(before_e9) / E9,
            float(index_e8) / ONE,
            float(vol_e9) / E9,
        )
        _count(state, _DELTA, gain.delta)
        _count(state, _GAMMA, gain.gamma)
        _count(state, _VEGA, gain.vega)
    post(state, _MEASURE, underlying, index_e8, vol_e9, now_ms, 0)
