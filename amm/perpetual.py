"""The perpetual option: its value, greeks and premium rate in closed form, one at a time.

`amm.wings` derives the formula; `amm.price` runs it over arrays.
"""

import math
from typing import NamedTuple

from amm.kernel import inline_kernel, kernel
from amm.wings import (
    Knockout,
    Setting,
    Terms,
    barrier_distance,
    is_cashed_out,
    is_valid,
    knockout,
    setting,
    strike_distance,
    terms,
)


class Price(NamedTuple):
    """What one unit of notional is worth, and how that changes."""

    value: float
    """Fraction of the notional."""
    delta: float
    """Change of the value per unit of moneyness."""
    gamma: float
    """Change of delta per unit of moneyness."""
    vega: float
    """Change of the value per 1.00 of vol."""
    premium_rate: float
    """What the holder pays, as a fraction of the notional per year."""


@inline_kernel
def closed_form(
    is_call: bool,
    moneyness: float,
    vol: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
    cap: float,
) -> Price:
    """Return the price; see `perpetual_price`. Where it is unwanted, a field costs nothing."""
    if not is_valid(moneyness, vol, funding_period, discount_rate, carry, cap):
        return Price(math.nan, math.nan, math.nan, math.nan, math.nan)
    return closed_form_at(
        is_call,
        moneyness,
        strike_distance(moneyness),
        barrier_distance(is_call, moneyness, cap),
        vol,
        funding_period,
        discount_rate,
        carry,
        cap,
    )


@inline_kernel
def closed_form_at(
    is_call: bool,
    moneyness: float,
    to_strike: float,
    to_barrier: float,
    vol: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
    cap: float,
) -> Price:
    """Return the price of valid arguments whose log distances to strike and barrier are known."""
    if is_cashed_out(is_call, moneyness, cap):
        return Price(cap, 0.0, 0.0, 0.0, 0.0)
    at = setting(vol, funding_period, discount_rate, carry)
    here = terms(is_call, moneyness, to_strike, at)
    barrier = knockout(is_call, cap, to_barrier, at, here)
    return _assemble(is_call, moneyness, vol, funding_period, at, here, barrier)


@inline_kernel
def _assemble(
    is_call: bool,
    moneyness: float,
    vol: float,
    funding_period: float,
    at: Setting,
    here: Terms,
    barrier: Knockout,
) -> Price:
    """Return the price made of its parts."""
    inverse = 1.0 / (moneyness * funding_period)
    per_moneyness, per_year = inverse * funding_period, inverse * moneyness
    time_value = here.wing * barrier.kept - barrier.gain
    forgone = barrier.wing + barrier.gain
    slope = here.wing * here.exponent
    curvature = slope * here.less_one
    forward_delta = at.discounting * here.inverse_bond if here.is_beyond else 0.0
    bend = barrier.bend * forgone
    spread = 2.0 * at.half_variance * here.inverse_width
    stretch = here.distance + spread - barrier.decay * (barrier.wing_distance + spread)
    return Price(
        value=here.forward + time_value,
        delta=((slope if here.is_up else -slope) - barrier.exponent * forgone) * per_moneyness
        + (forward_delta if is_call else -forward_delta),
        gamma=(curvature - bend) * per_moneyness * per_moneyness,
        vega=(curvature * stretch - bend * barrier.distance)
        * (vol * funding_period * here.inverse_width),
        premium_rate=(here.gain + time_value) * per_year,
    )


@kernel
def payoff(is_call: bool, moneyness: float, cap: float) -> float:
    """Return what a unit of notional earns: the distance beyond the strike, at most `cap`."""
    distance = moneyness - 1.0 if is_call else 1.0 - moneyness
    return min(max(distance, 0.0), cap)


@kernel
def perpetual_price(
    is_call: bool,
    moneyness: float,
    vol: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
    cap: float,
) -> Price:
    """Return the price of a perpetual option per unit of notional.

    Args:
        is_call: Whether it gains when the index rises.
        moneyness: Index over strike, > 0.
        vol: Volatility of the index per sqrt(year), 0.55 for 55 %; > 0.
        funding_period: Years over which a holder pays the time value once; > 0.
        discount_rate: Yield of the settlement token, per year.
        carry: Drift of the index in units of the token, per year; both `discount_rate` and
            `discount_rate - carry` exceed -1 / funding_period.
        cap: Largest payoff, > 0; infinity for none. At the barrier, a moneyness of 1 + cap for a
            call and of 1 - cap for a put, the position is cashed out at exactly `cap`.

    Returns:
        The price; every field is NaN where an argument is NaN or out of range.

    Source: White and Bankman-Fried, "Everlasting Options" (2021), in continuous time.
    """
    return closed_form(is_call, moneyness, vol, funding_period, discount_rate, carry, cap)


@kernel
def perpetual_value(
    is_call: bool,
    moneyness: float,
    vol: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
    cap: float,
) -> float:
    """Return the value of `perpetual_price` alone, to the last bit, in less time."""
    return closed_form(is_call, moneyness, vol, funding_period, discount_rate, carry, cap).value


@kernel
def carry_delta(
    is_call: bool,
    moneyness: float,
    vol: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
    cap: float,
) -> float:
    """Return the change of the value per 1.00 a year of carry, the discount rate held fixed.

    Times vol and token vol it is the change per 1.00 of their correlation. Arguments and failure
    as `perpetual_price`.
    """
    if not is_valid(moneyness, vol, funding_period, discount_rate, carry, cap):
        return math.nan
    if is_cashed_out(is_call, moneyness, cap):
        return 0.0
    at = setting(vol, funding_period, discount_rate, carry)
    here = terms(is_call, moneyness, strike_distance(moneyness), at)
    barrier = knockout(is_call, cap, barrier_distance(is_call, moneyness, cap), at, here)
    spread = 2.0 * at.half_variance * here.inverse_width
    outer = here.wing * here.exponent
    slope = outer * (here.distance + spread + 1.0 / here.less_one)
    less_one = at.down_and_one if is_call else at.up_less_one
    inner = outer * here.less_one * barrier.decay / less_one
    barrier_slope = inner * (barrier.wing_distance + spread + 1.0 / less_one)
    wings = (slope if here.is_up else -slope) + (barrier_slope if is_call else -barrier_slope)
    forgone = barrier.wing + barrier.gain
    wings -= barrier.exponent * barrier.distance * forgone
    forward = (moneyness if here.is_beyond else 0.0) - barrier.asset
    forward /= at.yielding * at.yielding
    return funding_period * (wings * here.inverse_width + (forward if is_call else -forward))
