"""From a model value to what a buyer pays and a seller receives, every component named.

    ask(N) = N v + impact + spread + fee
    gross  = max(0, min(floor(N cap), floor(N v + refund - spread)))
    bid(N) = gross - min(fee, gross)

Amounts are floats in tokens here; the conversion to integers is directional and happens once, in
the command that moves the money.
"""

import math
from typing import NamedTuple

from amm.elementary import log
from amm.kernel import kernel
from amm.perpetual import carry_delta, perpetual_price
from amm.scenarios import Contract
from amm.surface import Surface, strike_vol
from amm.units import YEAR_MS


class QuoteRules(NamedTuple):
    """What is charged beyond value and impact.

    Attributes:
        stale_sigmas: Standard deviations of the index since its publication, in the spread.
        spread_floor: Least relative uncertainty of the index.
        vol_spread: Uncertainty of the vol, per square root of a year.
        correlation_spread: Uncertainty of the correlation of underlying and token.
        fee: Fee per unit of notional.
        fee_of_value: Most the fee may be of the option's value.
    """

    stale_sigmas: float
    spread_floor: float
    vol_spread: float
    correlation_spread: float
    fee: float
    fee_of_value: float


class IndexQuality(NamedTuple):
    """How well the index is known when a trade executes.

    Attributes:
        age_ms: Time since its publication.
        confidence: Half-width over price.
        realised_vol: Volatility of the last five minutes, per square root of a year.
    """

    age_ms: int
    confidence: float
    realised_vol: float


class UnitQuote(NamedTuple):
    """One unit of notional, in tokens: value, spread, fee; premium per year before rent."""

    value: float
    spread: float
    fee: float
    premium_rate: float


class OpenQuote(NamedTuple):
    """What an opening of some notional costs, in tokens; the parts sum to `total`."""

    mid: float
    impact: float
    spread: float
    fee: float
    total: float


class CloseQuote(NamedTuple):
    """What a closing of some notional is worth, in tokens: gross = mid + refund - spread."""

    mid: float
    refund: float
    spread: float
    fee: float
    gross: float


@kernel
def index_uncertainty(rules: QuoteRules, quality: IndexQuality, vol: float) -> float:
    """Return epsilon, the relative uncertainty of the index at execution."""
    sigma = max(vol, quality.realised_vol)
    drift = rules.stale_sigmas * sigma * math.sqrt(max(quality.age_ms, 0) / YEAR_MS)
    return max(drift, quality.confidence, rules.spread_floor)


@kernel
def quote_unit(
    rules: QuoteRules,
    quality: IndexQuality,
    contract: Contract,
    index: float,
    surface: Surface,
    token_vol: float,
) -> UnitQuote:
    """Return value, spread, fee and premium rate of one unit of notional.

    The spread pays for what is uncertain about its inputs: the index since it was published, the
    vol by half a point, the correlation of underlying and token by a tenth.

    Args:
        rules: The fee and spread schedule.
        quality: Age, confidence and realised vol of the index.
        contract: Terms of the series.
        index: Index price in USD; > 0.
        surface: Volatility the trade is done at.
        token_vol: Volatility of the stock token, per square root of a year.
    """
    vol = strike_vol(surface, log(contract.strike / index))
    moneyness = index / contract.strike
    terms = (contract.funding_period, contract.discount_rate, contract.carry, contract.cap)
    price = perpetual_price(contract.is_call, moneyness, vol, *terms)
    by_carry = carry_delta(contract.is_call, moneyness, vol, *terms)
    epsilon = index_uncertainty(rules, quality, surface.level)
    spread = (
        abs(price.delta) * moneyness * epsilon
        + price.vega * rules.vol_spread
        + abs(by_carry) * vol * token_vol * rules.correlation_spread
    )
    fee = min(rules.fee, rules.fee_of_value * price.value)
    return UnitQuote(price.value, spread, fee, price.premium_rate)


@kernel
def quote_open(unit: UnitQuote, notional: float, potential_change: float) -> OpenQuote:
    """Return the ask of `notional` tokens; `potential_change` is U(n + notional) - U(n).

    Who reduces the book's risk pays no spread, but never less than value and fee: a larger rebate
    would not come back when the option dies worthless.
    """
    mid = notional * unit.value
    spread = notional * unit.spread
    fee = notional * unit.fee
    impact = max(potential_change, -spread)
    return OpenQuote(mid, impact, spread, fee, mid + impact + spread + fee)


@kernel
def quote_close(
    unit: UnitQuote, notional: float, potential_relief: float, impact_paid: float, cap: float
) -> CloseQuote:
    """Return the bid of `notional` tokens.

    Args:
        unit: Quote of one unit.
        notional: What is closed, in tokens.
        potential_relief: U(n) - U(n - notional), in tokens.
        impact_paid: Signed impact paid for this part when it was opened. The refund is never more:
            U depends on the market, and uncapped refunds could be farmed.
        cap: Most a unit can pay.
    """
    mid = notional * unit.value
    spread = notional * unit.spread
    refund = min(potential_relief, impact_paid)
    gross = max(0.0, min(notional * cap, mid + refund - spread))
    return CloseQuote(mid, refund, spread, min(notional * unit.fee, gross), gross)
