"""The volatility at which a European option has a given value.

Out of the money, as a fraction p of its upper bound, the option is worth n(l) (M(l) - M(u)), with

    l, u = k / s -+ s / 2,   k = |ln forward|,   s = vol sqrt t,

n the normal density and M its Mills ratio. So d ln p / ds = 1 / (M(l) - M(u)), and every further
derivative is a rational function of what has been computed for p itself: Householder's method of
the fourth order costs one logarithm a step. Where p > 1/2 the same holds for 1 - p, with
-(M(-l) + M(u)) in place of the difference.
"""

import math

from amm.black_scholes import SMALLEST, expiry
from amm.elementary import log
from amm.kernel import inline_kernel
from amm.normal import MILLS_MIN, NARROW, mills_ratio, mills_slope

_VOL_MIN = 1e-150
_SQRT_TWO_PI = math.sqrt(2.0 * math.pi)


@inline_kernel
def european_implied_vol(
    is_call: bool,
    value: float,
    moneyness: float,
    years: float,
    discount_rate: float,
    carry: float,
) -> float:
    """Return the vol at which `european_value` is `value`.

    Args:
        is_call: Whether it gains when the index rises.
        value: Per unit of strike, above the discounted payoff of the forward and below what the
            option can deliver at most.
        moneyness: Index over strike, > 0.
        years: Time to expiry, > 0.
        discount_rate: Yield of the settlement token, per year.
        carry: Drift of the index in units of the token, per year.

    Returns:
        The vol per sqrt(year); NaN where an argument is NaN or out of range, at the bounds of the
        value too, and where vol or vol sqrt t is below 1e-150. Its relative error is a few
        roundings of the value, times value / (vol vega), plus as many of the log of the forward.
    """
    finite = abs(discount_rate) + abs(carry) + moneyness + years + value < math.inf
    if not (finite & (moneyness >= SMALLEST) & (years >= SMALLEST)):
        return math.nan
    at = expiry(is_call, moneyness, years, discount_rate, carry)
    out = value if is_call == at.is_below else value - at.parity
    bound = min(at.asset, at.cash)
    rest = bound - out
    if not ((out >= SMALLEST) & (rest > 0.0)):
        return math.nan
    is_low = out < rest
    scale = bound / (_SQRT_TWO_PI * min(out, rest))
    log_distance = abs(at.log_forward)
    total_vol = max(_start(out / bound, rest / bound, is_low, log_distance), _VOL_MIN)
    total_vol = _improved(total_vol, log_distance, scale, is_low)
    total_vol = _improved(total_vol, log_distance, scale, is_low)
    total_vol = _improved(total_vol, log_distance, scale, is_low)
    total_vol = _improved(total_vol, log_distance, scale, is_low)
    vol = total_vol / math.sqrt(years)
    # The square of a smaller one, which the steps above need, is no normal number.
    return vol if (min(total_vol, vol) >= _VOL_MIN) & (vol < math.inf) else math.nan


@inline_kernel
def _start(share: float, rest: float, is_low: bool, log_distance: float) -> float:
    """Return a first total vol, of which three steps make the last one.

    As tails are at most exp(-z^2 / 2) / 2, z^2 <= -2 ln(2 share): for the far strikes the total vol
    at which l is z, a lower bound. At the money s / sqrt(2 pi) is an upper bound of the share. Both
    together, as legs of a right angle, are right at both ends. A rest is at most two tails.
    """
    far = math.sqrt(max(-2.0 * log(2.0 * share if is_low else rest), 0.0))
    reach = math.sqrt(far * far + 2.0 * log_distance)
    lower = 2.0 * log_distance / max(far + reach, SMALLEST)
    level = _SQRT_TWO_PI * share
    return math.sqrt(lower * lower + level * level) if is_low else far + reach


@inline_kernel
def _improved(total_vol: float, log_distance: float, scale: float, is_low: bool) -> float:
    """Return the total vol after a step of Householder's method for the log of the value.

    Args:
        total_vol: Where to step from.
        log_distance: k of the module's text.
        scale: 1 / (sqrt(2 pi) p), or of 1 - p.
        is_low: Whether it is p.
    """
    s = total_vol
    centre = log_distance / s
    low, high = centre - 0.5 * s, centre + 0.5 * s
    is_narrow = is_low & (s < NARROW)
    near = mills_ratio(centre if is_narrow else max(low if is_low else -low, MILLS_MIN))
    far = mills_ratio(high)
    wide = near - far if is_low else near + far
    wing = s * mills_slope(centre, near, s) if is_narrow else wide
    excess = log(wing * scale) - 0.5 * low * low
    slope = (1.0 if is_low else -1.0) / wing
    # The derivatives of the density's log give those of the value's log over its first.
    inverse = 1.0 / s
    growth = low * high * inverse
    second = growth - slope
    growth_slope = -3.0 * (centre * inverse) * (centre * inverse) - 0.25
    third = second * (second - slope) + growth_slope
    newton = -excess / slope
    step = newton * (1.0 + 0.5 * second * newton)
    step /= 1.0 + newton * (second + third * newton * (1.0 / 6.0))
    return min(max(s + step, 0.25 * s), 4.0 * s)
