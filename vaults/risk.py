"""What a token's open book does to its main pool: greeks, and losses by scenario.

Numbers are those of the holders' side in tokens: what they gain, the pool loses. Values are those
of the marks, so the smile moves with the index and the quanto term with the vol.
"""

from typing import NamedTuple

import numpy as np

from amm.kernel import allocating_kernel, kernel
from amm.scenarios import UNDERLYINGS, Contract, contract_value
from amm.surface import COEFFICIENTS, Surface, fill_surface
from amm.units import E15, ONE
from vaults.market import Market
from vaults.rules import Rules, carry_of, index_of, mark_level
from vaults.smile import mark_surface
from vaults.state import Floats, State
from vaults.valuation import contract_of

DAYS = 365.0
POINT = 0.01
"""One per cent, or one point of vol."""
BUMP = 0.001
"""Move of index and vol level, both relative, and of carry by which slopes are taken."""
SPOT_MOVES = np.linspace(-0.5, 0.5, 11)
VOL_MOVES = np.array([-0.5, -0.25, 0.0, 0.25, 0.5, 1.0])


class BookGreeks(NamedTuple):
    """Sensitivities of the open book to one underlying, in tokens.

    Attributes:
        delta: Gain for 1 % of the index.
        gamma: Change of `delta` for 1 % of the index.
        vega: Gain for one point of the vol level.
        carry: Gain for 1 % a year of carry.
        correlation: Gain for 0.01 of the correlation of underlying and token.
        token_vol: Gain for one point of the token's vol.
        premium_per_day: What holders stream at the present mark, rent included.
    """

    delta: float
    gamma: float
    vega: float
    carry: float
    correlation: float
    token_vol: float
    premium_per_day: float


@allocating_kernel
def surface_moved(rules: Rules, underlying: int, level: float, carry: float) -> Surface:
    """Return the surface of an underlying at another level and carry."""
    return fill_surface(rules.smiles[underlying], level, carry, np.empty(COEFFICIENTS))


@kernel
def value_moved(contract: Contract, index: float, surface: Surface, carry: float) -> float:
    """Return the value of a contract at another index, surface and carry."""
    moved = Contract(
        contract.is_call,
        contract.strike,
        contract.funding_period,
        contract.discount_rate,
        carry,
        contract.cap,
    )
    return contract_value(moved, index, surface)


@allocating_kernel
def book_greeks(state: State, rules: Rules, market: Market, underlying: int) -> BookGreeks:
    """Return the greeks of all open positions on one underlying: slopes of their marks.

    Index, vol level and carry are bumped either way; the smile follows each of them.
    """
    delta = gamma = vega = carry_up = premium = 0.0
    index, level = index_of(market, underlying), mark_level(market, underlying)
    carry = carry_of(rules, market, underlying)
    token_vol = rules.parameters[0].token_vol
    correlation = rules.terms[underlying].correlation
    by_level = BUMP * level * correlation * token_vol
    calm = surface_moved(rules, underlying, level, carry)
    risen = surface_moved(rules, underlying, level * (1.0 + BUMP), carry + by_level)
    fallen = surface_moved(rules, underlying, level * (1.0 - BUMP), carry - by_level)
    ahead = surface_moved(rules, underlying, level, carry + BUMP)
    behind = surface_moved(rules, underlying, level, carry - BUMP)
    for slot in range(state.pool[0].series_count):
        series = state.series[slot]
        if series.underlying != underlying or series.open_notional == 0:
            continue
        contract = contract_of(state, rules, market, slot)
        notional = float(series.open_notional) / ONE
        here = contract_value(contract, index, calm)
        above = contract_value(contract, index * (1.0 + BUMP), calm)
        below = contract_value(contract, index * (1.0 - BUMP), calm)
        delta += notional * (above - below)
        gamma += notional * (above - 2.0 * here + below)
        vega += notional * value_moved(contract, index, risen, carry + by_level)
        vega -= notional * value_moved(contract, index, fallen, carry - by_level)
        carry_up += notional * value_moved(contract, index, ahead, carry + BUMP)
        carry_up -= notional * value_moved(contract, index, behind, carry - BUMP)
        premium += notional * state.marks[slot].rate_e15 / E15 / DAYS
    by_point = POINT / BUMP
    by_carry = carry_up * by_point / 2.0
    return BookGreeks(
        delta * by_point / 2.0,
        gamma * by_point**2,
        vega * by_point / 2.0 / level,
        by_carry,
        by_carry * level * token_vol,
        by_carry * level * correlation,
        premium,
    )


@allocating_kernel
def loss_table(
    state: State, rules: Rules, market: Market, spot_moves: Floats, vol_moves: Floats
) -> Floats:
    """Return what holders gain when every index and vol level moves at once, in tokens.

    Args:
        state: The token.
        rules: Its rules.
        market: Its marks, from which the moves are counted.
        spot_moves: Relative moves of all indices, shape (spots,); > -1.
        vol_moves: Relative moves of all vol levels, shape (vols,); > -1.

    Returns:
        Shape (spots, vols); 0 where nothing moves.
    """
    table = np.zeros((spot_moves.shape[0], vol_moves.shape[0]))
    for underlying in range(UNDERLYINGS):
        level = mark_level(market, underlying)
        carry = carry_of(rules, market, underlying)
        for vol in range(vol_moves.shape[0]):
            moved = surface_moved(rules, underlying, level * (1.0 + vol_moves[vol]), carry)
            for spot in range(spot_moves.shape[0]):
                table[spot, vol] += _book_gain(
                    state, rules, market, underlying, moved, 1.0 + spot_moves[spot]
                )
    return table


@kernel
def _book_gain(
    state: State, rules: Rules, market: Market, underlying: int, moved: Surface, growth: float
) -> float:
    """Return what holders gain by a move of one underlying, in tokens."""
    gain = 0.0
    index = index_of(market, underlying)
    surface = mark_surface(state, rules, market, underlying)
    for slot in range(state.pool[0].series_count):
        series = state.series[slot]
        if series.underlying == underlying and series.open_notional > 0:
            contract = contract_of(state, rules, market, slot)
            change = contract_value(contract, index * growth, moved)
            change -= contract_value(contract, index, surface)
            gain += float(series.open_notional) / ONE * change
    return gain
