"""The European option: the perpetual one is a mixture of these, and option chains quote them.

With F = x exp(b t) the forward, s = vol sqrt t, M the Mills ratio and n the normal density, the
side out of the money is worth

    D (M(h - s / 2) - M(h + s / 2)),   h = |ln F| / s,   D = exp(-r t) min(F, 1) n(h - s / 2).

Both terms of the textbook's formula share the density D, so it stands outside of their difference,
and D is the only number that gets small far from the money.
"""

import math
from typing import NamedTuple

from amm.elementary import exp, expm1, fma, log
from amm.kernel import inline_kernel
from amm.normal import (
    FAR,
    INVERSE_SQRT_TWO_PI,
    MILLS_MIN,
    NARROW,
    mills_ratio,
    mills_slope,
    normal_cdf,
    normal_density,
)

__all__ = ["EuropeanPrice", "european_price", "european_value", "normal_cdf", "normal_density"]

SMALLEST = 2.2250738585072014e-308
"""Numbers nearer to 0 have fewer digits."""


class EuropeanPrice(NamedTuple):
    """What one unit of notional is worth, and how that changes."""

    value: float
    """Fraction of the notional."""
    delta: float
    """Change of the value per unit of moneyness."""
    gamma: float
    """Change of delta per unit of moneyness."""
    vega: float
    """Change of the value per 1.00 of vol."""
    theta: float
    """Change of the value per year that passes."""


class Expiry(NamedTuple):
    """What is known without a vol."""

    log_forward: float
    """ln F: the log of the forward over the strike."""
    log_cash: float
    is_below: bool
    """Whether the forward is at or below the strike."""
    cash: float
    """Present value of the strike."""
    asset: float
    """Present value of the index at expiry."""
    parity: float
    """Present value of the forward's payoff: the least the option is worth."""


class _Terms(NamedTuple):
    """The parts of a price."""

    value: float
    asset: float
    total_vol: float
    """s of the module's text."""
    density: float
    """D of the module's text: the asset times the density at d1, the cash times that at d2."""
    asset_tail: float
    """The asset times N(d1) of the forward below the strike, times N(-d1) above."""
    is_below: bool


@inline_kernel
def european_price(
    is_call: bool,
    moneyness: float,
    vol: float,
    years: float,
    discount_rate: float,
    carry: float,
) -> EuropeanPrice:
    """Return the price of a European option per unit of strike.

        call = exp(-r t) (F N(d1) - N(d2)),   put = exp(-r t) (N(-d2) - F N(-d1)),
        F = x exp(b t),   d1,2 = (ln F +- vol^2 t / 2) / (vol sqrt t)

    Args:
        is_call: Whether it gains when the index rises.
        moneyness: Index over strike, x > 0.
        vol: Volatility of the index per sqrt(year), >= 0.
        years: Time to expiry, t >= 0.
        discount_rate: Yield r of the settlement token, per year.
        carry: Drift b of the index in units of the token, per year.

    Returns:
        The price, without vol or time its limit: at the strike half the delta and an infinite
        gamma. Every field is NaN where an argument is NaN or out of range.

    Source: Black and Scholes (1973) and Merton (1973), in the cost-of-carry form.
    """
    if not _is_valid(moneyness, vol, years, discount_rate, carry):
        return EuropeanPrice(math.nan, math.nan, math.nan, math.nan, math.nan)
    at = expiry(is_call, moneyness, years, discount_rate, carry)
    terms = _terms(is_call, vol, years, at)
    side = 1.0 if is_call else -1.0
    # N(d1) is small where a call, N(-d1) where a put is out of the money.
    is_out = is_call == terms.is_below
    exercised = terms.asset_tail if is_out else terms.asset - terms.asset_tail
    delta = side * exercised / moneyness
    root = math.sqrt(years)
    decay = _ratio(0.5 * vol * terms.density, root)
    return EuropeanPrice(
        value=terms.value,
        delta=delta,
        gamma=_ratio(terms.density / moneyness / moneyness, terms.total_vol),
        vega=terms.density * root,
        theta=discount_rate * terms.value - carry * moneyness * delta - decay,
    )


@inline_kernel
def european_value(
    is_call: bool,
    moneyness: float,
    vol: float,
    years: float,
    discount_rate: float,
    carry: float,
) -> float:
    """Return the value of `european_price` alone, to the last bit, in less time."""
    if not _is_valid(moneyness, vol, years, discount_rate, carry):
        return math.nan
    at = expiry(is_call, moneyness, years, discount_rate, carry)
    return _terms(is_call, vol, years, at).value


@inline_kernel
def undiscounted_value(is_call: bool, moneyness: float, vol: float, years: float) -> float:
    """Return `european_value` at rates of 0, to the last bit, in less time."""
    if not _is_valid(moneyness, vol, years, 0.0, 0.0):
        return math.nan
    at = Expiry(
        log_forward=log(moneyness),
        log_cash=0.0,
        is_below=moneyness <= 1.0,
        cash=1.0,
        asset=moneyness,
        parity=max(moneyness - 1.0 if is_call else 1.0 - moneyness, 0.0),
    )
    return _terms(is_call, vol, years, at).value


@inline_kernel
def _terms(is_call: bool, vol: float, years: float, at: Expiry) -> _Terms:
    """Return the parts of the price of valid arguments."""
    total_vol = min(vol * math.sqrt(years), FAR)
    centre = min(abs(at.log_forward) / max(total_vol, SMALLEST), FAR)
    low, high = centre - 0.5 * total_vol, centre + 0.5 * total_vol
    exponent = fma(-0.5 * low, low, min(at.log_forward, 0.0) + at.log_cash)
    density = INVERSE_SQRT_TWO_PI * exp(exponent)
    # Wide, the ratio at `low` would explode: the option is its upper bound less the tails. Narrow,
    # the difference would cancel, and only the tail of the asset is asked for.
    is_wide, is_narrow = low < MILLS_MIN, total_vol < NARROW
    near = mills_ratio(centre if is_narrow else (-low if is_wide else low))
    far = mills_ratio(low if is_narrow & at.is_below else high)
    drop = total_vol * mills_slope(centre, near, total_vol) if is_narrow else near - far
    out = min(at.asset, at.cash) - density * (near + far) if is_wide else density * drop
    value = out if is_call == at.is_below else out + at.parity
    tail = density * (near if at.is_below & (not is_narrow) else far)
    asset_tail = at.asset - tail if is_wide & at.is_below else tail
    return _Terms(value, at.asset, total_vol, density, asset_tail, at.is_below)


@inline_kernel
def expiry(
    is_call: bool, moneyness: float, years: float, discount_rate: float, carry: float
) -> Expiry:
    """Return what is known of valid arguments without a vol."""
    side = 1.0 if is_call else -1.0
    growth_less_one = expm1(carry * years)
    log_forward = fma(carry, years, log(moneyness))
    forward_less_one = fma(moneyness, growth_less_one, moneyness - 1.0)
    log_cash = -discount_rate * years
    cash = exp(log_cash)
    return Expiry(
        log_forward=log_forward,
        log_cash=log_cash,
        is_below=log_forward <= 0.0,
        cash=cash,
        asset=cash * moneyness * (growth_less_one + 1.0),
        parity=cash * max(side * forward_less_one, 0.0),
    )


@inline_kernel
def _is_valid(
    moneyness: float, vol: float, years: float, discount_rate: float, carry: float
) -> bool:
    """Tell whether the arguments are in range; false for NaN."""
    positive = (moneyness >= SMALLEST) & (moneyness < math.inf)
    variance = (vol >= 0.0) & (vol < math.inf) & (years >= 0.0) & (years < math.inf)
    return positive & variance & (abs(discount_rate) < math.inf) & (abs(carry) < math.inf)


@inline_kernel
def _ratio(numerator: float, denominator: float) -> float:
    """Return the quotient, infinite over 0; but 0 of anything is 0."""
    quotient = numerator / denominator if denominator > 0.0 else math.inf
    return quotient if numerator > 0.0 else 0.0
