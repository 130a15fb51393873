"""The closed form in parts, written once for one option and for loops over arrays.

A unit of notional earns the payoff of the moneyness x = index / strike and never expires. Its
holder pays the premium rate, kappa (value - payoff) with kappa = 1 / funding period, so the value
is that of a European option whose expiry is exponential with mean one funding period:

    v(x) = integral of kappa exp(-kappa t) European(x, t) dt,
    1/2 vol^2 x^2 v'' + carry x v' - (discount_rate + kappa) v + kappa payoff = 0.

The homogeneous solutions, the wings, are x^m with the two roots m of 1/2 vol^2 m (m-1) + carry m =
discount_rate + kappa, one above 1 and one below 0. Time is counted in funding periods, so kappa is
1 and every rate is a plain number:

    h = vol^2 T / 2,  R = 1 + discount_rate T,  Y = 1 + (discount_rate - carry) T,
    D = half the difference of the roots, times 2 h,   g = x^m / D = x^2 gamma.

These keep their digits where the textbook's two coefficients overflow or cancel: at low vol, short
funding periods and far from the money. Nothing here is a call once inlined, every branch can be
computed on both sides and chosen from, and quotients share divisions, which vector units do slowly:
so a loop over arrays becomes vector code, and one option takes the same steps to the same bits.
"""

import math
from typing import NamedTuple

from amm.elementary import exp_less, fma, log, log_ratio, one_less_exp
from amm.kernel import inline_kernel

_ROUNDING = 2.0**-50
"""R and Y closer to 0 than this have no digit left."""
LEAST = 1e-65
"""Of moneyness, vol and funding period: products of smaller ones leave the range of numbers."""


class Setting(NamedTuple):
    """What the price knows before it knows the moneyness; rates per funding period."""

    half_variance: float
    """h of the module's text."""
    discounting: float
    """R."""
    yielding: float
    """Y."""
    dividend: float
    """Y - 1, with all its digits."""
    carry: float
    width: float
    """D."""
    up: float
    """The root above 1."""
    up_less_one: float
    down: float
    """Less the root below 0."""
    down_and_one: float
    """1 less that root."""


class Terms(NamedTuple):
    """The parts of a price at one moneyness.

    The value is `forward + wing`, less what a cap takes; `gain` is the forward less the payoff.
    Before the strike there is neither.
    """

    is_beyond: bool
    """Whether the payoff is positive."""
    is_up: bool
    """Whether the wing is that of the root above 1."""
    forward: float
    gain: float
    wing: float
    """The time value where there is no cap."""
    exponent: float
    """The size of the wing's root m."""
    less_one: float
    """The size of m - 1."""
    distance: float
    """|log x|."""
    inverse_width: float
    """1 / D."""
    inverse_bond: float
    """1 / (R Y)."""


class Knockout(NamedTuple):
    """What the cash-out at the barrier takes from the uncapped value.

    It is (uncapped value at the barrier - cap) reach, with reach = (x / barrier)^m.
    """

    kept: float
    """The share of the wing that the wing at the barrier leaves."""
    decay: float
    """How much less far the wing at the barrier reaches."""
    wing: float
    """The part of it that the wing at the barrier contributes."""
    gain: float
    """The part of it that the forward contributes."""
    asset: float
    """What the index at the barrier, paid there, is worth now: barrier times reach."""
    exponent: float
    """m."""
    bend: float
    """m (m - 1)."""
    distance: float
    """|log(x / barrier)|."""
    wing_distance: float
    """|log barrier|."""


@inline_kernel
def is_valid(
    moneyness: float,
    vol: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
    cap: float,
) -> bool:
    """Tell whether the integral over expiries exists, in normal numbers; false for NaN."""
    discounting = fma(discount_rate, funding_period, 1.0)
    yielding = fma(discount_rate - carry, funding_period, 1.0)
    least = min(moneyness, vol, funding_period)
    total = moneyness + vol + funding_period + discounting + yielding
    exists = min(discounting, yielding) > _ROUNDING
    return (least >= LEAST) & (cap > 0.0) & exists & (total < math.inf)


@inline_kernel
def has_barrier(is_call: bool, cap: float) -> bool:
    """Tell whether the payoff can reach the cap: that of a put stays below 1."""
    return cap < (math.inf if is_call else 1.0)


@inline_kernel
def is_cashed_out(is_call: bool, moneyness: float, cap: float) -> bool:
    """Tell whether the moneyness is at or beyond the barrier."""
    is_outside = moneyness >= 1.0 + cap if is_call else moneyness <= 1.0 - cap
    return has_barrier(is_call, cap) & is_outside


@inline_kernel
def strike_distance(moneyness: float) -> float:
    """Return |log moneyness|, with all its digits near the strike."""
    return abs(log(moneyness))


@inline_kernel
def barrier_distance(is_call: bool, moneyness: float, cap: float) -> float:
    """Return |log(moneyness / barrier)|, with all its digits near the barrier; 0 without one."""
    if not has_barrier(is_call, cap):
        return 0.0
    return abs(log_ratio(moneyness, 1.0 + cap if is_call else 1.0 - cap))


@inline_kernel
def setting(vol: float, funding_period: float, discount_rate: float, carry: float) -> Setting:
    """Solve h m (m - 1) + carry m = R for m; arguments per year.

    The root of larger size is a sum of two terms of one sign; the other follows from the product
    of the roots (Vieta), since the difference of the terms would lose its digits. So do the roots
    less one, whose product is -Y / h.
    """
    half_variance = 0.5 * vol * vol * funding_period
    discounting = fma(discount_rate, funding_period, 1.0)
    yielding = fma(discount_rate - carry, funding_period, 1.0)
    per_period = carry * funding_period
    drift = per_period - half_variance
    product = half_variance * discounting
    width = math.sqrt(fma(drift, drift, 4.0 * product))
    larger = 0.5 * (width + abs(drift))
    falls = drift <= 0.0
    both = larger + (discounting if falls else half_variance)
    inverse = 1.0 / (half_variance * larger * both)
    shared = both * inverse
    steep = larger * larger * shared
    flat = product * shared
    down = flat if falls else steep
    return Setting(
        half_variance=half_variance,
        discounting=discounting,
        yielding=yielding,
        dividend=(discount_rate - carry) * funding_period,
        carry=per_period,
        width=width,
        up=steep if falls else flat,
        up_less_one=yielding * larger * (larger if falls else half_variance) * inverse,
        down=down,
        down_and_one=1.0 + down,
    )


@inline_kernel
def terms(is_call: bool, moneyness: float, distance: float, at: Setting) -> Terms:
    """Return the parts of the uncapped price; `distance` is |log moneyness|."""
    side = 1.0 if is_call else -1.0
    beyond = moneyness - 1.0
    is_beyond = side * beyond > 0.0
    # At the strike both roots give the same price; that of the side before it subtracts nothing.
    is_up = is_call != is_beyond
    exponent = at.up if is_up else at.down
    less_one = at.up_less_one if is_up else at.down_and_one
    roots = exponent * less_one
    bond = at.discounting * at.yielding
    inverse = 1.0 / (roots * at.width * bond)
    wing = exp_less(exponent * distance) * (bond * inverse)
    inverse_bond = roots * at.width * inverse
    forward = fma(beyond, at.discounting, at.carry) * inverse_bond * side
    gain = (at.carry - at.dividend * beyond * at.discounting) * inverse_bond * side
    # Without drift the forward is the payoff, to the last bit: no value is below what is earned.
    has_drift = (at.carry != 0.0) | (at.dividend != 0.0)
    forward = forward if has_drift else side * beyond
    return Terms(
        is_beyond=is_beyond,
        is_up=is_up,
        forward=forward if is_beyond else 0.0,
        gain=gain if is_beyond else 0.0,
        wing=wing,
        exponent=exponent,
        less_one=less_one,
        distance=distance,
        inverse_width=roots * bond * inverse,
        inverse_bond=inverse_bond,
    )


@inline_kernel
def knockout(is_call: bool, cap: float, distance: float, at: Setting, here: Terms) -> Knockout:
    """Return what the barrier, |log(moneyness / barrier)| away, takes from a price inside it."""
    if not has_barrier(is_call, cap):
        return Knockout(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    signed_cap = cap if is_call else -cap
    before = -here.distance
    wing_distance = distance + (here.distance if here.is_beyond else before)
    exponent = at.up if is_call else -at.down
    less_one = at.up_less_one if is_call else -at.down_and_one
    # The falling wing and the rising one share the value at the barrier: beyond the strike the
    # difference needs no subtraction. Before it the wing is the rising one, and the other's
    # m (m - 1) follows from the product of both, R Y / h^2.
    fading = (at.up + at.down) * (distance if here.is_beyond else wing_distance)
    kept = one_less_exp(fading)
    decay = exp_less(fading)
    scaled = here.exponent * here.less_one * at.half_variance
    share = decay if here.is_beyond else scaled * scaled * here.inverse_bond * decay
    gain = (at.carry - at.dividend * signed_cap * at.discounting) * here.inverse_bond
    reach = exp_less(abs(exponent) * distance)
    if (at.carry == 0.0) & (at.dividend == 0.0):
        gain = 0.0
    else:
        gain *= reach
    return Knockout(
        kept=kept if here.is_beyond else 1.0 - share,
        decay=decay,
        wing=here.wing * share,
        gain=gain if is_call else -gain,
        asset=(1.0 + signed_cap) * reach,
        exponent=exponent,
        bend=exponent * less_one,
        distance=distance,
        wing_distance=wing_distance,
    )
