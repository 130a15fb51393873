"""The perpetual option: its value, greeks and premium rate in closed form.

A unit of notional earns the payoff of the moneyness x = index / strike and never expires. Its
holder pays the premium rate, kappa (value - payoff) with kappa = 1 / funding period, so the value
is that of a European option whose expiry is exponential with mean one funding period:

    v(x) = integral of kappa exp(-kappa t) European(x, t) dt,
    1/2 vol^2 x^2 v'' + carry x v' - (discount_rate + kappa) v + kappa payoff = 0.

The homogeneous solutions are x^m with the two roots m of 1/2 vol^2 m (m-1) + carry m =
discount_rate + kappa, one above 1 and one below 0. Everything here is written in the terms of

    D = half the difference of the roots, times vol^2,   g = kappa x^m / D = x^2 gamma,

which keep their digits where the textbook's two coefficients overflow or cancel: at low vol, short
funding periods and far from the money.
"""

import math
from typing import NamedTuple

from amm.kernel import kernel


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


class _Roots(NamedTuple):
    """What the price knows before it knows the moneyness; rates per year."""

    rate: float
    discounting: float
    """discount_rate + rate."""
    yielding: float
    """discount_rate - carry + rate."""
    width: float
    """D of the module's text."""
    up: float
    up_less_one: float
    down: float
    down_less_one: float


class _Wing(NamedTuple):
    """One homogeneous solution, c x^m, as seen from one moneyness."""

    exponent: float
    exponent_less_one: float
    curvature: float
    """g of the module's text."""
    distance: float
    """|log x|."""


class _Knockout(NamedTuple):
    """What the cash-out at the barrier takes from the uncapped value.

    It is `forgone` = (uncapped value at the barrier - cap) reach, with reach = (x / barrier)^m.
    """

    wing: _Wing
    """The wing at the barrier, its curvature times reach."""
    gain: float
    """The part of `forgone` that the forward contributes; the wing contributes the rest."""
    forgone: float
    exponent: float
    """m of reach."""
    exponent_less_one: float
    distance: float
    """|log(x / barrier)|."""


class _Terms(NamedTuple):
    """The parts of a price at one moneyness.

    Beyond the strike the value is `forward + time_value`, and `gain` is the forward less the
    payoff; before the strike both are 0.
    """

    side: float
    """1 for a call, -1 for a put."""
    is_beyond: bool
    """Whether the payoff is positive."""
    wing: _Wing
    knockout: _Knockout
    forward: float
    gain: float
    time_value: float


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
    if not _is_valid(moneyness, vol, funding_period, discount_rate, carry, cap):
        return Price(math.nan, math.nan, math.nan, math.nan, math.nan)
    if _is_cashed_out(is_call, moneyness, cap):
        return Price(cap, 0.0, 0.0, 0.0, 0.0)
    roots = _roots(vol, funding_period, discount_rate, carry)
    terms = _terms(is_call, moneyness, roots, discount_rate, carry, cap)
    wing, knockout = terms.wing, terms.knockout
    slope = wing.curvature / wing.exponent_less_one - knockout.exponent * knockout.forgone
    bend = knockout.exponent * knockout.exponent_less_one * knockout.forgone
    forward_delta = terms.side * roots.rate / roots.yielding if terms.is_beyond else 0.0
    spread = vol * vol / roots.width
    vol_slope = _vol_slope(wing, spread) - _vol_slope(knockout.wing, spread)
    return Price(
        value=terms.forward + terms.time_value,
        delta=slope / moneyness + forward_delta,
        gamma=(wing.curvature - bend) / moneyness / moneyness,
        vega=(vol_slope - bend * knockout.distance) * vol / roots.width,
        premium_rate=roots.rate * (terms.gain + terms.time_value),
    )


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
    if not _is_valid(moneyness, vol, funding_period, discount_rate, carry, cap):
        return math.nan
    if _is_cashed_out(is_call, moneyness, cap):
        return cap
    roots = _roots(vol, funding_period, discount_rate, carry)
    terms = _terms(is_call, moneyness, roots, discount_rate, carry, cap)
    return terms.forward + terms.time_value


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
    if not _is_valid(moneyness, vol, funding_period, discount_rate, carry, cap):
        return math.nan
    if _is_cashed_out(is_call, moneyness, cap):
        return 0.0
    roots = _roots(vol, funding_period, discount_rate, carry)
    terms = _terms(is_call, moneyness, roots, discount_rate, carry, cap)
    wing, knockout = terms.wing, terms.knockout
    spread = vol * vol / roots.width
    slope = _carry_slope(wing, spread) - _carry_slope(knockout.wing, spread)
    slope -= knockout.forgone * knockout.exponent * knockout.distance
    forward_slope = moneyness if terms.is_beyond else 0.0
    if _has_barrier(is_call, cap):
        forward_slope -= (1.0 + terms.side * cap) * _reach(knockout.exponent, knockout.distance)
    forward_slope *= terms.side * roots.rate / (roots.yielding * roots.yielding)
    return slope / roots.width + forward_slope


@kernel
def _is_valid(
    moneyness: float,
    vol: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
    cap: float,
) -> bool:
    """Tell whether the integral over expiries exists; false for NaN."""
    if not (0.0 < moneyness < math.inf and 0.0 < vol < math.inf and cap > 0.0):
        return False
    if not 0.0 < funding_period < math.inf:
        return False
    rate = 1.0 / funding_period
    return 0.0 < discount_rate + rate < math.inf and 0.0 < discount_rate - carry + rate < math.inf


@kernel
def _has_barrier(is_call: bool, cap: float) -> bool:
    """Tell whether the payoff can reach the cap: that of a put stays below 1."""
    return cap < (math.inf if is_call else 1.0)


@kernel
def _is_cashed_out(is_call: bool, moneyness: float, cap: float) -> bool:
    """Tell whether the moneyness is at or beyond the barrier."""
    return moneyness >= 1.0 + cap if is_call else moneyness <= 1.0 - cap


@kernel
def _roots(vol: float, funding_period: float, discount_rate: float, carry: float) -> _Roots:
    """Solve 1/2 vol^2 m (m-1) + carry m = discount_rate + rate for m, and for m - 1.

    The root of larger size is a sum of two terms of one sign; the other follows from the product
    of the roots (Vieta), since the difference of the terms would lose its digits.
    """
    rate = 1.0 / funding_period
    discounting = discount_rate + rate
    yielding = discount_rate - carry + rate
    half_variance = 0.5 * vol * vol
    drift = carry - half_variance
    width = math.sqrt(drift * drift + 4.0 * half_variance * discounting)
    if drift <= 0.0:
        up = (width - drift) / (2.0 * half_variance)
        down = -discounting / (half_variance * up)
    else:
        down = -(width + drift) / (2.0 * half_variance)
        up = -discounting / (half_variance * down)
    down_less_one = down - 1.0
    up_less_one = -yielding / (half_variance * down_less_one)
    return _Roots(rate, discounting, yielding, width, up, up_less_one, down, down_less_one)


@kernel
def _terms(
    is_call: bool, moneyness: float, roots: _Roots, discount_rate: float, carry: float, cap: float
) -> _Terms:
    """Return the parts of the price inside the barrier."""
    side = 1.0 if is_call else -1.0
    strike_distance = moneyness - 1.0
    is_beyond = side * strike_distance > 0.0
    # At the strike both roots give the same price; that of the side before it subtracts nothing.
    wing = _wing(roots, is_call != is_beyond, moneyness)
    time_value = _wing_value(wing)
    knockout = _no_knockout()
    if _has_barrier(is_call, cap):
        barrier_gain = side * _forward_gain(roots, side * cap, discount_rate, carry)
        knockout = _knockout(is_call, is_beyond, moneyness, roots, wing, barrier_gain, cap)
        if is_beyond:
            # Both wings share one root, so the difference needs no subtraction near the barrier.
            time_value = time_value * -math.expm1(_decay(roots, knockout.distance)) - knockout.gain
        else:
            time_value -= knockout.forgone
    if not is_beyond:
        return _Terms(side, is_beyond, wing, knockout, 0.0, 0.0, time_value)
    forward = side * roots.rate / roots.yielding * (strike_distance + carry / roots.discounting)
    gain = side * _forward_gain(roots, strike_distance, discount_rate, carry)
    return _Terms(side, is_beyond, wing, knockout, forward, gain, time_value)


@kernel
def _wing(roots: _Roots, is_up: bool, moneyness: float) -> _Wing:
    """Return the wing of one root at a moneyness on its side of the strike."""
    exponent = roots.up if is_up else roots.down
    less_one = roots.up_less_one if is_up else roots.down_less_one
    log_moneyness = _log_ratio(moneyness, 1.0)
    curvature = roots.rate * math.exp(exponent * log_moneyness) / roots.width
    return _Wing(exponent, less_one, curvature, abs(log_moneyness))


@kernel
def _knockout(
    is_call: bool,
    is_beyond: bool,
    moneyness: float,
    roots: _Roots,
    wing: _Wing,
    barrier_gain: float,
    cap: float,
) -> _Knockout:
    """Return what the barrier takes, `barrier_gain` being the forward's gain there."""
    barrier = 1.0 + cap if is_call else 1.0 - cap
    barrier_distance = abs(math.log1p(cap if is_call else -cap))
    distance = abs(_log_ratio(moneyness, barrier))
    exponent = roots.up if is_call else roots.down
    decay = _decay(roots, distance if is_beyond else barrier_distance)
    barrier_wing = _Wing(
        roots.down if is_call else roots.up,
        roots.down_less_one if is_call else roots.up_less_one,
        wing.curvature * math.exp(decay),
        barrier_distance,
    )
    gain = barrier_gain * _reach(exponent, distance) if barrier_gain != 0.0 else 0.0
    return _Knockout(
        wing=barrier_wing,
        gain=gain,
        forgone=_wing_value(barrier_wing) + gain,
        exponent=exponent,
        exponent_less_one=roots.up_less_one if is_call else roots.down_less_one,
        distance=distance,
    )


@kernel
def _no_knockout() -> _Knockout:
    """Return what no barrier takes: nothing."""
    return _Knockout(_Wing(1.0, 1.0, 0.0, 0.0), 0.0, 0.0, 0.0, 0.0, 0.0)


@kernel
def _wing_value(wing: _Wing) -> float:
    """Return the value of a wing: the time value where there is no cap."""
    return wing.curvature / (wing.exponent * wing.exponent_less_one)


@kernel
def _vol_slope(wing: _Wing, spread: float) -> float:
    """Return the change of a wing's value with vol, times width / vol; spread = vol^2 / width."""
    return wing.curvature * (wing.distance + spread)


@kernel
def _carry_slope(wing: _Wing, spread: float) -> float:
    """Return the change of a wing's value with carry, times width."""
    stretch = wing.distance + spread + 1.0 / abs(wing.exponent_less_one)
    return wing.curvature / wing.exponent_less_one * stretch


@kernel
def _forward_gain(
    roots: _Roots, strike_distance: float, discount_rate: float, carry: float
) -> float:
    """Return the forward less x - 1, as one fraction: 0 without discounting and carry."""
    carried = roots.rate * carry / roots.discounting
    return (carried - (discount_rate - carry) * strike_distance) / roots.yielding


@kernel
def _decay(roots: _Roots, distance: float) -> float:
    """Return the log of how much less far the falling wing reaches than the rising one."""
    return (roots.down - roots.up) * distance


@kernel
def _reach(exponent: float, distance: float) -> float:
    """Return (x / barrier)^m, the discounted chance of getting to the barrier."""
    return math.exp(-abs(exponent) * distance)


@kernel
def _log_ratio(numerator: float, denominator: float) -> float:
    """Return log(numerator / denominator), with all its digits near 0."""
    ratio_less_one = (numerator - denominator) / denominator
    if abs(ratio_less_one) < 0.5:
        return math.log1p(ratio_less_one)
    return math.log(numerator / denominator)
