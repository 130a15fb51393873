"""One series at the mark, whether it is listed or not: for displays, not for trades."""

from typing import NamedTuple

from amm.elementary import log
from amm.kernel import kernel
from amm.perpetual import perpetual_price
from amm.surface import strike_vol
from amm.units import E15
from vaults.market import Market
from vaults.opening import find_series, listed_contract
from vaults.rules import Rules, index_of
from vaults.smile import mark_surface
from vaults.state import NONE, State
from vaults.valuation import rate_of


class Ticker(NamedTuple):
    """A series at the mark, per unit of notional; greeks as those of `amm.perpetual.Price`.

    Attributes:
        value: Mark value.
        delta: Change of the value per unit of moneyness.
        gamma: Change of delta per unit of moneyness.
        vega: Change of the value per 1.00 of vol.
        vol: Volatility at the strike, per square root of a year.
        premium_rate: What holders stream per year at this mark, rent included.
        open_notional: Open notional of all positions, in base units.
        is_listed: Whether it was ever traded.
    """

    value: float
    delta: float
    gamma: float
    vega: float
    vol: float
    premium_rate: float
    open_notional: int
    is_listed: bool


@kernel
def ticker(
    state: State, rules: Rules, market: Market, underlying: int, is_call: bool, strike_e8: int
) -> Ticker:
    """Return a series at the mark of its underlying, which must have an index."""
    assert market.oracle[underlying].index_e8 > 0
    slot = find_series(state, underlying, is_call, strike_e8)
    contract = listed_contract(state, rules, market, slot, underlying, is_call, strike_e8)
    index, surface = index_of(market, underlying), mark_surface(state, rules, market, underlying)
    vol = strike_vol(surface, log(contract.strike / index))
    price = perpetual_price(
        contract.is_call,
        index / contract.strike,
        vol,
        contract.funding_period,
        contract.discount_rate,
        contract.carry,
        contract.cap,
    )
    rate = rate_of(contract, index, surface, state.books[underlying].rent_e15)
    open_notional = 0 if slot == NONE else int(state.series[slot].open_notional)
    return Ticker(
        price.value,
        price.delta,
        price.gamma,
        price.vega,
        vol,
        rate.rate_e15 / E15,
        open_notional,
        slot != NONE,
    )
