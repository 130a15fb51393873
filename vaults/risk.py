"""What a token's open book does to its main pool: greeks, and losses by scenario.

Numbers are those of the holders' side in tokens: what they gain, the pool loses.
"""

from typing import NamedTuple

import numpy as np

from amm.kernel import kernel
from amm.perpetual import perpetual_price
from amm.scenarios import contract_value
from amm.surface import at_level
from amm.units import E15, ONE
from vaults.market import Market
from vaults.rules import Rules, index_of, mark_surface
from vaults.state import Floats, State
from vaults.valuation import contract_of

DAYS = 365.0
SPOT_MOVES = np.linspace(-0.5, 0.5, 11)
VOL_MOVES = np.array([-0.5, -0.25, 0.0, 0.25, 0.5, 1.0])


class BookGreeks(NamedTuple):
    """Sensitivities of the open book to one underlying, in tokens.

    Attributes:
        delta: Gain for 1 % of the index.
        gamma: Change of `delta` for 1 % of the index.
        vega: Gain for one point of vol.
        premium_per_day: What holders stream at the present mark, rent included.
    """

    delta: float
    gamma: float
    vega: float
    premium_per_day: float


@kernel
def book_greeks(state: State, rules: Rules, market: Market, underlying: int) -> BookGreeks:
    """Return the greeks of all open positions on one underlying, on a flat surface."""
    delta = gamma = vega = premium = 0.0
    level = mark_surface(market, underlying).level
    for slot in range(state.pool[0].series_count):
        series = state.series[slot]
        if series.underlying != underlying or series.open_notional == 0:
            continue
        contract = contract_of(state, rules, market, slot)
        moneyness = index_of(market, underlying) / contract.strike
        price = perpetual_price(
            contract.is_call,
            moneyness,
            level,
            contract.funding_period,
            contract.discount_rate,
            contract.carry,
            contract.cap,
        )
        notional = float(series.open_notional) / ONE
        delta += notional * price.delta * moneyness / 100.0
        gamma += notional * price.gamma * (moneyness / 100.0) ** 2
        vega += notional * price.vega / 100.0
        premium += notional * state.marks[slot].rate_e15 / E15 / DAYS
    return BookGreeks(delta, gamma, vega, premium)


@kernel
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
    for slot in range(state.pool[0].series_count):
        series = state.series[slot]
        if series.open_notional == 0:
            continue
        contract = contract_of(state, rules, market, slot)
        index = index_of(market, series.underlying)
        surface = mark_surface(market, series.underlying)
        notional = float(series.open_notional) / ONE
        value = contract_value(contract, index, surface)
        for spot in range(spot_moves.shape[0]):
            for vol in range(vol_moves.shape[0]):
                shocked = at_level(surface, surface.level * (1.0 + vol_moves[vol]))
                moved = contract_value(contract, index * (1.0 + spot_moves[spot]), shocked)
                table[spot, vol] += notional * (moved - value)
    return table
