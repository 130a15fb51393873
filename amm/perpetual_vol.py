"""The volatility at which a perpetual option has a given value.

Uncapped, the time value is T-free rational in the root m of its wing. With all rates per funding
period, m - 1 = e, and (p, q, b) = (1 + r, 1 + r - carry, carry) where the wing is that of the root
above 1, or mirrored, (q, p, -b) and e = -m, where it is that of the root below 0,

    time value = min(x, 1) exp(-k e) / (q (1 + 2 e) - b e^2),   k = |ln x|,
    vol^2 T = 2 (q - b e) / (e (1 + e)),

from Vieta's formulas for the roots. So the vol is explicit in e, and e solves

    k e + ln(1 + 2 e - (b / q) e^2) = ln(largest time value / time value),

whose left side rises and is concave: e falls from infinity (or q / b) to 0 as the vol rises.
"""

import math
from typing import NamedTuple

from amm.black_scholes import SMALLEST
from amm.elementary import fma, log
from amm.kernel import inline_kernel, kernel
from amm.perpetual import perpetual_price
from amm.wings import LEAST

VOL_MIN = 2.0**-10
"""Where the search for a vol under a cap begins, at 0.1 %."""
VOL_MAX = 2.0**6
_STEPS_MAX = 100
_CLOSE = 2.0**-51
_SQUARE_MIN = LEAST * LEAST
"""That of the least vol returned."""
_E_MAX = 1e150
_NEAR_MAX = 1e300
_GRID = 2.0**-0.25
"""A vol over the next larger one, where all are tried."""
_FLAT = 2.0**-44
"""A relative change of the time value that may be rounding."""


class _Target(NamedTuple):
    """A capped option whose vol is wanted."""

    is_call: bool
    moneyness: float
    funding_period: float
    discount_rate: float
    carry: float
    cap: float
    forward: float
    """The part of the value that does not depend on the vol, where that leaves a time value."""
    time_value: float


class _Miss(NamedTuple):
    """How far the time value at some vol is from the target."""

    log: float
    """The log of the time value over the target; minus infinity where there is none."""
    slope: float
    """Its change per unit of log vol."""


@inline_kernel
def uncapped_implied_vol(
    is_call: bool,
    value: float,
    moneyness: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
) -> float:
    """Return the vol at which a perpetual option without a cap has a value.

    Args:
        is_call: Whether it gains when the index rises.
        value: Per unit of notional, between its limits without vol and with infinite vol.
        moneyness: Index over strike, > 0.
        funding_period: Years over which a holder pays the time value once; > 0.
        discount_rate: Yield of the settlement token, per year.
        carry: Drift of the index in units of the token, per year; both `discount_rate` and
            `discount_rate - carry` exceed -1 / funding_period.

    Returns:
        The vol per sqrt(year); NaN where an argument is NaN or out of range, at the limits of the
        value too, and where the vol is too small for `perpetual_price`. Its relative error is a few
        roundings of the value, times value / (vol vega).
    """
    discounting = fma(discount_rate, funding_period, 1.0)
    yielding = fma(discount_rate - carry, funding_period, 1.0)
    drift = carry * funding_period
    positive = (min(discounting, yielding) > 0.0) & (funding_period >= SMALLEST)
    if not (positive & (moneyness >= SMALLEST) & (moneyness + funding_period < math.inf)):
        return math.nan
    is_beyond = moneyness > 1.0 if is_call else moneyness < 1.0
    is_up = is_call != is_beyond
    forward = _forward(is_call, moneyness, discounting, yielding, drift)
    time_value = value - forward if is_beyond else value
    largest = yielding if is_up else discounting
    most = min(moneyness, 1.0) / largest
    if not ((time_value >= SMALLEST) & (time_value < most)):
        return math.nan
    ratio = most / time_value
    bend = (drift if is_up else -drift) / largest
    log_distance = abs(log(moneyness))
    level = log(ratio)
    e = _start(log_distance, bend, ratio, level)
    e = _improved(e, log_distance, bend, level)
    e = _improved(e, log_distance, bend, level)
    e = _improved(e, log_distance, bend, level)
    e = _improved(e, log_distance, bend, level)
    e = _improved(e, log_distance, bend, level)
    e = _improved(e, log_distance, bend, level)
    # A larger e leaves no vol to speak of, and its square may overflow.
    e = min(e, _E_MAX)
    variance = 2.0 * largest * fma(-bend, e, 1.0) / (e * (1.0 + e))
    # Without vol a drift towards the strike leaves a time value; no smaller one has a vol.
    ceiling = log_distance / bend + log(1.0 + 1.0 / bend) if bend > 0.0 else math.inf
    square = variance / funding_period
    is_normal = (square >= _SQUARE_MIN) & (square < math.inf)
    return math.sqrt(square) if (level < ceiling) & is_normal else math.nan


@kernel
def capped_implied_vol(
    is_call: bool,
    value: float,
    moneyness: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
    cap: float,
) -> float:
    """Return a vol at which a perpetual option with a cap has a value.

    Arguments are those of `uncapped_implied_vol`, `cap` being the largest payoff, > 0.

    Returns:
        The vol per sqrt(year), from `VOL_MIN` to `VOL_MAX`; NaN where none is found, where an
        argument is NaN or out of range, and at and beyond the barrier.

    Without discount rate and carry the value rises with vol: the index stopped at the barrier is a
    martingale that vol only speeds up, and the payoff is convex up to the barrier. With them it may
    fall, where a drift into the barrier is surer than chance: first, or after it has risen. Of
    several vols this is one where the value rises, or where it only falls, the largest. Two that
    are within a fifth of each other may be missed.
    """
    if cap >= (math.inf if is_call else 1.0):
        return uncapped_implied_vol(is_call, value, moneyness, funding_period, discount_rate, carry)
    is_inside = moneyness < 1.0 + cap if is_call else moneyness > 1.0 - cap
    is_finite = abs(discount_rate) + abs(carry) + funding_period < math.inf
    if not (is_inside and is_finite and 0.0 < value < math.inf):
        return math.nan
    if not funding_period >= SMALLEST:
        return math.nan
    discounting = 1.0 + discount_rate * funding_period
    yielding = 1.0 + (discount_rate - carry) * funding_period
    drift = carry * funding_period
    forward = _forward(is_call, moneyness, discounting, yielding, drift)
    is_beyond = moneyness > 1.0 if is_call else moneyness < 1.0
    forward = forward if is_beyond and value > forward else 0.0
    terms = (is_call, moneyness, funding_period, discount_rate, carry)
    target = _Target(*terms, cap, forward, value - forward)
    start = uncapped_implied_vol(is_call, value, moneyness, funding_period, discount_rate, carry)
    vol = _rising_vol(target, start if VOL_MIN < start < VOL_MAX else 1.0)
    return vol if vol > 0.0 else _crossing_vol(target)


@kernel
def _rising_vol(target: _Target, vol: float) -> float:
    """Return the vol where the value rises through the target; NaN if it does not.

    It is Newton's method in 1 / vol for the log of the time value, which is nearly a straight line
    far from the money, between bounds that halve their ratio where a step would leave them.
    """
    low, high = VOL_MIN, VOL_MAX
    is_reached, is_exceeded = False, False
    for _ in range(_STEPS_MAX):
        miss = _miss(target, vol)
        is_rising = miss.slope > 0.0
        if is_rising and miss.log >= 0.0:
            high, is_exceeded = vol, True
        else:
            # Where the value falls with vol, the rising side is further up.
            low, is_reached = vol, is_reached or miss.log < 0.0
        better = vol / (1.0 + miss.log / miss.slope) if is_rising else high
        if is_rising and abs(better - vol) <= _CLOSE * vol:
            return better
        if high - low <= _CLOSE * low:
            break
        vol = better if low < better < high else math.sqrt(low * high)
    return vol if is_reached and is_exceeded else math.nan


@kernel
def _crossing_vol(target: _Target) -> float:
    """Return a vol where the value passes the target, rather up than down; NaN without any.

    It looks between vols a fifth apart, which finds what the values' slopes lead away from.
    """
    vol = math.nan
    high, above = VOL_MAX, _miss(target, VOL_MAX).log
    while high > VOL_MIN:
        low = max(high * _GRID, VOL_MIN)
        below = _miss(target, low).log
        # What is but rounding around a value that stays the same is no passage.
        if (below > 0.0) != (above > 0.0) and abs(above - below) > _FLAT:
            is_rising = above > 0.0
            if is_rising or math.isnan(vol):
                vol = _halved(target, low, high, is_rising)
            if is_rising:
                return vol
        high, above = low, below
    return vol


@kernel
def _halved(target: _Target, low: float, high: float, is_rising: bool) -> float:
    """Return the vol between two where the value passes the target."""
    for _ in range(_STEPS_MAX):
        vol = math.sqrt(low * high)
        if not low < vol < high:
            break
        if (_miss(target, vol).log > 0.0) == is_rising:
            high = vol
        else:
            low = vol
    return high


@kernel
def _miss(target: _Target, vol: float) -> _Miss:
    """Return how far the value at a vol is from the target."""
    price = perpetual_price(
        target.is_call,
        target.moneyness,
        vol,
        target.funding_period,
        target.discount_rate,
        target.carry,
        target.cap,
    )
    time_value = price.value - target.forward
    if not time_value > 0.0:
        return _Miss(-math.inf, 0.0)
    return _Miss(math.log(time_value / target.time_value), vol * price.vega / time_value)


@inline_kernel
def _forward(
    is_call: bool, moneyness: float, discounting: float, yielding: float, drift: float
) -> float:
    """Return the value of the payoff beyond the strike without the right to walk away."""
    distance = moneyness - 1.0 if is_call else 1.0 - moneyness
    return (distance + (drift if is_call else -drift) / discounting) / yielding


@inline_kernel
def _start(log_distance: float, bend: float, ratio: float, level: float) -> float:
    """Return a first e, of which six steps make the last one, and mostly three.

    Without the log term e would be level / k, without the linear one it would solve a quadratic:
    both are upper bounds, and half their harmonic mean is near where they are far apart.
    """
    excess = ratio - 1.0
    near = min(excess / (1.0 + math.sqrt(max(fma(-bend, excess, 1.0), 0.0))), _NEAR_MAX)
    e = near * level / fma(log_distance, near, level)
    return min(e, 0.999 / bend) if bend > 0.0 else e


@inline_kernel
def _improved(e: float, log_distance: float, bend: float, level: float) -> float:
    """Return e after a step of Householder's method of the fourth order."""
    inside = fma(e, fma(-bend, e, 2.0), 1.0)
    inverse = 1.0 / inside
    a = 2.0 * fma(-bend, e, 1.0) * inverse
    w = -2.0 * bend * inverse
    slope = 1.0 / (log_distance + a)
    newton = (level - fma(log_distance, e, log(inside))) * slope
    second = (w - a * a) * slope
    third = a * (2.0 * a * a - 3.0 * w) * slope
    step = newton * (1.0 + 0.5 * second * newton)
    step /= 1.0 + newton * (second + third * newton * (1.0 / 6.0))
    most = min(8.0 * e, 0.5 * (e + 1.0 / bend)) if bend > 0.0 else 8.0 * e
    return min(max(e + step, 0.125 * e), most)
