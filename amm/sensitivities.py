"""What a perpetual option's value makes of its strike, its rates and its funding period.

With time counted in funding periods the value knows its terms through h, R and the carry c only
(`amm.wings`), and both derivatives of the wing w = x^m / (D m (m - 1)) in them are sums of terms
of one sign, with L = |log x| and spread = 2 h / D:

    dw/dh =  w m (m - 1) / D (L + spread),    dw/dR = -w / D (L + spread + 1/|m| + 1/|m - 1|),
    |dw/dc| = w |m| / D (L + spread + 1/|m - 1|),    upwards for the root above 1.

A longer period scales h, R - 1 and c alike. The barrier takes the wing and the forward there, less
the cap, times reach = (x / barrier)^m, and reach changes as m does: dm/dh, dm/dR and dm/dc are
m (m - 1), -1 and m over -D for the root above 1 and over D for the other.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.arrays import (
    BLOCK,
    Floats,
    Operands,
    as_rows,
    broadcast,
    check_threads,
    new_block,
    run,
    target,
)
from amm.kernel import allocating_kernel, inline_kernel, kernel
from amm.perpetual_arrays import Rows, is_capped, rows_of
from amm.price import as_arguments, refuse
from amm.wings import (
    Knockout,
    Setting,
    Terms,
    barrier_distance,
    has_barrier,
    is_cashed_out,
    is_valid,
    knockout,
    setting,
    strike_distance,
    terms,
)


class Sensitivities(NamedTuple):
    """How the value of one unit of notional changes; see `sensitivities`."""

    dual_delta: float
    """Change of the option's value per unit of strike: value - moneyness delta."""
    discount_delta: float
    """Change of the value per 1.00 a year of discount rate, the carry held fixed."""
    carry_delta: float
    """Change of the value per 1.00 a year of carry, the discount rate held fixed."""
    period_delta: float
    """Change of the value per year of funding period."""


def sensitivities(
    kind: npt.ArrayLike,
    moneyness: npt.ArrayLike,
    vol: npt.ArrayLike,
    funding_period: npt.ArrayLike,
    *,
    discount_rate: npt.ArrayLike = 0.0,
    carry: npt.ArrayLike = 0.0,
    cap: npt.ArrayLike | None = None,
    out: Sensitivities | None = None,
    threads: int | None = None,
) -> Sensitivities:
    """Return what `price` leaves out of the value's changes, per unit of notional.

    Arguments, `out` (of four arrays) and failures are those of `price`.

        >>> sensitivities("call", 1.0, 0.55, 7 / 365).carry_delta
        0.009976142186574529

    - dual_delta: of an option on index S struck at K, worth V = K v(S / K), it is dV/dK at a fixed
      index: v - moneyness delta. A cap is a fraction of the notional, so it and the barrier
      K (1 + cap) or K (1 - cap) move with the strike; cashed out, V = K cap and it is the cap.
    - discount_delta: dv/d(discount_rate) at fixed carry. At a fixed yield of the index, which is
      discount_rate - carry, it is discount_delta + carry_delta.
    - carry_delta: dv/d(carry) at fixed discount rate.
    - period_delta: dv/d(funding_period), per year of it. The option has no expiry, hence no theta.

    For a quanto, carry = financing - index yield + correlation * vol * token_vol, so per 1.00 of

    - correlation the value changes by carry_delta * vol * token_vol,
    - token vol by carry_delta * correlation * vol,
    - the index's vol by vega + carry_delta * correlation * token_vol.

    The token's price is in none of them. The value is a number of tokens: in dollars, its delta to
    the price of the token is the value itself, held in tokens, and its cross gamma is delta.
    """
    arguments = as_arguments(kind, moneyness, vol, funding_period, discount_rate, carry, cap)
    shape = np.broadcast(*arguments).shape
    if out is None and not shape:
        check_threads(threads)
        side, *numbers = map(float, arguments)
        got = perpetual_sensitivities(side > 0.0, *numbers)
        if math.isnan(got.dual_delta):
            refuse(*numbers)
        return got
    inputs = arguments
    if out is None:
        out = Sensitivities._make(np.empty(shape) for _ in Sensitivities._fields)
        inputs = ()
    rows = as_rows(Sensitivities._fields, out, shape, inputs)
    run(fill_sensitivities, broadcast(arguments, shape), rows, threads)
    return out


@kernel
def perpetual_sensitivities(
    is_call: bool,
    moneyness: float,
    vol: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
    cap: float,
) -> Sensitivities:
    """Return the sensitivities of one option; arguments and failure as `perpetual_price`."""
    return _sensitivities(is_call, moneyness, vol, funding_period, discount_rate, carry, cap)


@allocating_kernel
def fill_sensitivities(
    operands: Operands,
    first: int,
    last: int,
    dual_delta: Floats,
    discount_delta: Floats,
    carry_delta: Floats,
    period_delta: Floats,
) -> None:
    """Write the sensitivities of the options from `first` to before `last`."""
    block = new_block(len(operands.sources) + 4)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        rows = rows_of(operands, start, count, start == first, block)
        to = _Targets(
            target(dual_delta, 7, start, count, block),
            target(discount_delta, 8, start, count, block),
            target(carry_delta, 9, start, count, block),
            target(period_delta, 10, start, count, block),
        )
        if is_capped(operands):
            _fill_capped(rows, to)
        else:
            _fill_uncapped(rows, to)


class _Targets(NamedTuple):
    """Where sensitivities go, one row for each field."""

    dual_delta: Floats
    discount_delta: Floats
    carry_delta: Floats
    period_delta: Floats


@inline_kernel
def _fill_capped(rows: Rows, to: _Targets) -> None:
    for i in range(to.dual_delta.size):
        _write(rows, i, rows.cap[i], to)


@inline_kernel
def _fill_uncapped(rows: Rows, to: _Targets) -> None:
    for i in range(to.dual_delta.size):
        _write(rows, i, math.inf, to)


@inline_kernel
def _write(rows: Rows, i: int, cap: float, to: _Targets) -> None:
    got = _sensitivities(
        rows.side[i] > 0.0,
        rows.moneyness[i],
        rows.vol[i],
        rows.funding_period[i],
        rows.discount_rate[i],
        rows.carry[i],
        cap,
    )
    to.dual_delta[i] = got.dual_delta
    to.discount_delta[i] = got.discount_delta
    to.carry_delta[i] = got.carry_delta
    to.period_delta[i] = got.period_delta


@inline_kernel
def _sensitivities(
    is_call: bool,
    moneyness: float,
    vol: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
    cap: float,
) -> Sensitivities:
    if not is_valid(moneyness, vol, funding_period, discount_rate, carry, cap):
        return Sensitivities(math.nan, math.nan, math.nan, math.nan)
    if is_cashed_out(is_call, moneyness, cap):
        return Sensitivities(cap, 0.0, 0.0, 0.0)
    at = setting(vol, funding_period, discount_rate, carry)
    here = terms(is_call, moneyness, strike_distance(moneyness), at)
    barrier = knockout(is_call, cap, barrier_distance(is_call, moneyness, cap), at, here)
    wings = _wings(is_call, at, here, barrier)
    lines = _lines(is_call, moneyness, discount_rate * funding_period, cap, at, here, barrier)
    scaled = wings.variance + discount_rate * funding_period * wings.rate + at.carry * wings.carry
    return Sensitivities(
        dual_delta=_dual_delta(is_call, at, here, barrier),
        discount_delta=funding_period * (wings.rate + lines.rate),
        carry_delta=funding_period * (wings.carry + lines.carry),
        period_delta=(scaled + lines.period) / funding_period,
    )


class _Slopes(NamedTuple):
    """Changes of a part of the value that wings make; rates per funding period."""

    variance: float
    """h times that per unit of h."""
    rate: float
    carry: float


class _LineSlopes(NamedTuple):
    """Changes of the forward, here less there at the barrier times reach."""

    rate: float
    carry: float
    period: float
    """The period times that per unit of period."""


@inline_kernel
def _dual_delta(is_call: bool, at: Setting, here: Terms, barrier: Knockout) -> float:
    """Return value - moneyness delta. A part that grows like x^m contributes 1 - m times itself."""
    steepness = at.up_less_one if is_call else -at.down_and_one
    before = -steepness * (here.wing * barrier.kept - barrier.gain)
    beyond = here.wing * here.less_one - at.yielding * here.inverse_bond
    forgone = steepness * (barrier.wing + barrier.gain)
    return (beyond if is_call else -beyond) + forgone if here.is_beyond else before


@inline_kernel
def _wings(is_call: bool, at: Setting, here: Terms, barrier: Knockout) -> _Slopes:
    """Return how the wing changes, less what the barrier takes; |m| and |m - 1| are never 0."""
    spread = 2.0 * at.half_variance * here.inverse_width
    forgone = barrier.wing + barrier.gain
    stretch, barrier_stretch = here.distance + spread, barrier.wing_distance + spread
    curvature = here.wing * here.exponent * here.less_one
    # Of the wing that falls towards the barrier, m (m - 1) times what is left of it there is the
    # curvature here times the decay on both sides of the strike.
    exponent = at.down if is_call else at.up
    less_one = at.down_and_one if is_call else at.up_less_one
    inverse, barrier_inverse = 1.0 / (here.exponent * here.less_one), 1.0 / (exponent * less_one)
    fallen = curvature * barrier.decay * barrier_inverse
    both = here.exponent + here.less_one
    barrier_both = exponent + less_one
    by_variance = curvature * (stretch - barrier.decay * barrier_stretch)
    by_rate = here.wing * (stretch + both * inverse)
    by_rate -= fallen * (barrier_stretch + barrier_both * barrier_inverse)
    slope = here.wing * here.exponent * (stretch + here.exponent * inverse)
    barrier_slope = fallen * exponent * (barrier_stretch + exponent * barrier_inverse)
    by_carry = (slope if here.is_up else -slope) + (barrier_slope if is_call else -barrier_slope)
    moved = forgone * barrier.distance
    return _Slopes(
        variance=(by_variance - barrier.bend * moved) * (at.half_variance * here.inverse_width),
        rate=(moved - by_rate) * here.inverse_width,
        carry=(by_carry - barrier.exponent * moved) * here.inverse_width,
    )


@inline_kernel
def _lines(
    is_call: bool,
    moneyness: float,
    discount: float,
    cap: float,
    at: Setting,
    here: Terms,
    barrier: Knockout,
) -> _LineSlopes:
    """Return how x / Y - 1 / R changes, each difference a fraction that does not cancel."""
    signed_cap = (cap if is_call else -cap) if has_barrier(is_call, cap) else 0.0
    asset, bond = moneyness if here.is_beyond else 0.0, 1.0 if here.is_beyond else 0.0
    reach = barrier.asset / (1.0 + signed_cap)
    square = at.discounting * at.discounting
    inverse = here.inverse_bond * here.inverse_bond
    beyond = (moneyness - 1.0) * bond - signed_cap * reach
    asset -= barrier.asset
    bond -= reach
    by_rate = -(beyond * square + bond * at.carry * (at.yielding + at.discounting)) * inverse
    by_carry = asset * square * inverse
    by_period = (
        bond * discount * at.yielding * at.yielding - asset * at.dividend * square
    ) * inverse
    side = 1.0 if is_call else -1.0
    return _LineSlopes(side * by_rate, side * by_carry, side * by_period)
