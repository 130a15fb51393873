"""The European option: the perpetual one is a mixture of these, and option chains quote them."""

import math
from typing import NamedTuple

from amm.kernel import kernel

SQRT_HALF = math.sqrt(0.5)
SQRT_TWO_PI = math.sqrt(2.0 * math.pi)


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


@kernel
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
    side = 1.0 if is_call else -1.0
    log_forward = math.log(moneyness) + carry * years
    total_vol = vol * math.sqrt(years)
    d1 = _standardised(log_forward, total_vol) + 0.5 * total_vol
    d2 = d1 - total_vol
    discount = math.exp(-discount_rate * years)
    growth = math.exp((carry - discount_rate) * years)
    # In the money by parity, so that the small time value is a difference of small terms only.
    out = 1.0 if log_forward <= 0.0 else -1.0
    value = out * (moneyness * growth * normal_cdf(out * d1) - discount * normal_cdf(out * d2))
    value = max(value, 0.0)
    if side != out:
        value += side * discount * math.expm1(log_forward)
    delta = side * growth * normal_cdf(side * d1)
    density = moneyness * growth * normal_density(d1)
    gamma = _ratio(density, moneyness * moneyness * total_vol)
    decay = _ratio(0.5 * vol * density, math.sqrt(years))
    return EuropeanPrice(
        value=value,
        delta=delta,
        gamma=gamma,
        vega=density * math.sqrt(years),
        theta=discount_rate * value - carry * moneyness * delta - decay,
    )


@kernel
def normal_cdf(deviations: float) -> float:
    """Return the chance that a standard normal variable is below `deviations`."""
    return 0.5 * math.erfc(-deviations * SQRT_HALF)


@kernel
def normal_density(deviations: float) -> float:
    """Return the density of a standard normal variable."""
    return math.exp(-0.5 * deviations * deviations) / SQRT_TWO_PI


@kernel
def _is_valid(
    moneyness: float, vol: float, years: float, discount_rate: float, carry: float
) -> bool:
    """Tell whether the arguments are in range; false for NaN."""
    if not (0.0 < moneyness < math.inf and 0.0 <= vol < math.inf and 0.0 <= years < math.inf):
        return False
    return math.isfinite(discount_rate) and math.isfinite(carry)


@kernel
def _standardised(log_forward: float, total_vol: float) -> float:
    """Return log_forward / total_vol; without vol infinite, but 0 at the strike."""
    if total_vol > 0.0:
        return log_forward / total_vol
    return math.copysign(math.inf, log_forward) if log_forward != 0.0 else 0.0


@kernel
def _ratio(numerator: float, denominator: float) -> float:
    """Return the quotient, infinite over 0; but 0 of anything is 0."""
    if numerator == 0.0:
        return 0.0
    return numerator / denominator if denominator > 0.0 else math.inf
