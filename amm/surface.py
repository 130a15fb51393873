"""The smile as the quotes see it: perpetual vols, tabulated once for each shape of the surface.

The *perpetual vol* of a strike is the flat volatility at which the closed form gives the exact
value under the smile (`amm.mixture`). A table holds it, relative to the level of the surface, over

- the level, the 30-day vol at the money that is fed or estimated and changes with every tick;
- the carry of the index in units of the token, which shifts forwards along the smile;
- the log strike in standard deviations of a funding period, z = log(strike / index) / (level
  sqrt(period)), taken as asinh(z / 0.1): dense at the money, where the smile of the nearest
  expiries is sharp, and sparse in the wings.

Along the strike the table holds coefficients of cubic B-splines: twice continuously differentiable,
as a price without butterfly arbitrage has to be. At a tick `fill_surface` reads off one surface for
the level and carry of the hour; a strike then costs one logarithm and four coefficients.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.elementary import fma, log
from amm.kernel import allocating_kernel, inline_kernel, kernel
from amm.mixture import Expiries, fill_expiries, make_expiries, mixed_value, reach
from amm.perpetual import perpetual_price
from amm.ssvi import LEVEL_YEARS, SHORT_VOL_MIN, Ssvi, at_level, level_of, mean_decay

Floats = npt.NDArray[np.float64]

INTERVALS = 176
COEFFICIENTS = INTERVALS + 3
CENTRE = 0.1
"""Standard deviations within which strikes are equally dense."""
DEVIATIONS_MAX = 80.0
"""Strikes further out have the vol found there."""
U_MAX = math.asinh(DEVIATIONS_MAX / CENTRE)
STEP = 2.0 * U_MAX / INTERVALS
PER_STEP = 1.0 / STEP
ONE_SIXTH = 1.0 / 6.0

LEVEL_MIN = 0.02
LEVEL_MAX = 16.0
LOW_LEVELS = 24
"""Levels at which the short vol is at its floor; the table has an edge where it leaves it."""
LEVELS = LOW_LEVELS + 60
CARRIES = 31
CARRY_CENTRE = 0.15
CARRY_STEP = 0.2
"""Between carries tabulated, in asinh(carry sqrt(period) / level / CARRY_CENTRE): from -1.5 to 1.5
levels per root of a period. Beyond, the smile stays."""
CARRY_MAX = 0.5
"""Largest carry tabulated, over the rate at which it would outrun discounting."""
VALUE_MIN = 1e-30
"""Less than this, as a share of the notional, is not inverted: it is worth nothing to anybody."""
POINTS = 8
"""Of the polynomials through levels and carries."""


Polynomial = tuple[float, float, float, float, float, float, float, float]
"""What each of `POINTS` values weighs."""
_NODES = tuple(
    float(math.prod(point - other for other in range(POINTS) if other != point))
    for point in range(POINTS)
)


class SurfaceError(ValueError):
    """A surface that cannot be tabulated."""


class SmileTable(NamedTuple):
    """Perpetual vols over the level, as B-spline coefficients along the strike.

    Attributes:
        shape: The surface at any level.
        period: Mean of the discounted expiry, in years.
        edge: Level at which the short vol leaves its floor.
        low: Logarithm of the short vol there.
        high: The same at the highest level.
        ratios: Shape (CARRIES, LEVELS, COEFFICIENTS).
    """

    shape: Ssvi
    period: float
    edge: float
    low: float
    high: float
    ratios: Floats


class Surface(NamedTuple):
    """The smile of one level and carry.

    Attributes:
        level: 30-day vol at the money, per square root of a year.
        stretch: z / CENTRE of a unit of log strike.
        ratios: B-spline coefficients of perpetual vol over level, shape (COEFFICIENTS,).
    """

    level: float
    stretch: float
    ratios: Floats


def flat_surface(level: float) -> Surface:
    """Return one vol for every strike."""
    return Surface(level, 0.0, np.ones(COEFFICIENTS))


@inline_kernel
def spline_place(stretch: float, log_strike: float) -> float:
    """Return where among the knots a log strike is, from 0 to `INTERVALS`; without branches."""
    z = min(max(stretch * log_strike, -DEVIATIONS_MAX / CENTRE), DEVIATIONS_MAX / CENTRE)
    u = math.copysign(log(abs(z) + math.sqrt(z * z + 1.0)), z)
    return (u + U_MAX) * PER_STEP


@inline_kernel
def spline_interval(place: float) -> int:
    """Return the interval a place is in: its four coefficients begin there."""
    return min(max(int(place), 0), INTERVALS - 1)


@inline_kernel
def spline_ratio(place: float, c0: float, c1: float, c2: float, c3: float) -> float:
    """Return the spline at a place, from the four coefficients of its interval."""
    t = place - min(max(math.floor(place), 0.0), INTERVALS - 1.0)
    cubic = fma(3.0, c1 - c2, c3 - c0)
    square = fma(-6.0, c1, 3.0 * (c0 + c2))
    value = fma(4.0, c1, c0 + c2)
    return fma(fma(fma(cubic, t, square), t, 3.0 * (c2 - c0)), t, value) * ONE_SIXTH


@kernel
def strike_vol(surface: Surface, log_strike: float) -> float:
    """Return the perpetual vol at log(strike / index)."""
    place = spline_place(surface.stretch, log_strike)
    first = spline_interval(place)
    c0, c1, c2, c3 = (
        surface.ratios[first],
        surface.ratios[first + 1],
        surface.ratios[first + 2],
        surface.ratios[first + 3],
    )
    return surface.level * spline_ratio(place, c0, c1, c2, c3)


@kernel
def _weight(position: float, point: int) -> float:
    """Return the weight of one of the values at 0 ... POINTS - 1 in their polynomial's value."""
    product = 1.0
    for other in range(POINTS):
        if other != point:
            product *= position - other
    return product / _NODES[point]


@kernel
def _level_place(table: SmileTable, level: float) -> tuple[int, float]:
    """Return the first of the levels a polynomial goes through, and the place from there."""
    level = min(max(level, LEVEL_MIN), LEVEL_MAX)
    if level < table.edge:
        place = (LOW_LEVELS - 1) * math.log(level / LEVEL_MIN) / math.log(table.edge / LEVEL_MIN)
        first, count = 0, LOW_LEVELS
    else:
        count = LEVELS - LOW_LEVELS
        short = math.log(at_level(table.shape, level).short_vol)
        place = (count - 1) * (short - table.low) / (table.high - table.low)
        first = LOW_LEVELS
    start = min(max(int(place) - POINTS // 2 + 1, 0), count - POINTS)
    return first + start, place - start


@kernel
def _level_at(table: SmileTable, place: int) -> float:
    """Return the level tabulated at a place: by its logarithm below the edge, by short vol above.

    The value bends with the short vol, which moves much faster than the level just above the edge.
    """
    if place < LOW_LEVELS:
        return LEVEL_MIN * (table.edge / LEVEL_MIN) ** (place / (LOW_LEVELS - 1))
    share = (place - LOW_LEVELS) / (LEVELS - LOW_LEVELS - 1)
    low = at_level(table.shape, table.edge).short_vol
    high = at_level(table.shape, LEVEL_MAX).short_vol
    shape, short_vol = table.shape, low * (high / low) ** share
    return level_of(Ssvi(short_vol, shape.long_vol, shape.reversion, shape.skew, shape.curvature))


@kernel
def stretch_of(table: SmileTable, level: float) -> float:
    """Return z / CENTRE of a unit of log strike."""
    return 1.0 / (CENTRE * level * math.sqrt(table.period))


@allocating_kernel
def fill_surface(table: SmileTable, level: float, carry: float, ratios: Floats) -> Surface:
    """Return the surface of a level and carry, its coefficients written to `ratios`."""
    fill_ratios(table, level, carry, ratios)
    return Surface(level, stretch_of(table, level), ratios)


@kernel
def fill_ratios(table: SmileTable, level: float, carry: float, ratios: Floats) -> None:
    """Fill the coefficients of the surface of a level and carry."""
    first_level, place = _level_place(table, level)
    by_level = (
        _weight(place, 0), _weight(place, 1), _weight(place, 2), _weight(place, 3),
        _weight(place, 4), _weight(place, 5), _weight(place, 6), _weight(place, 7),
    )  # fmt: skip
    root = math.sqrt(table.period)
    place = math.asinh(carry * root / (level * CARRY_CENTRE)) / CARRY_STEP + CARRIES // 2
    place = min(max(place, 0.0), CARRIES - 1.0)
    first_carry = min(max(int(place) - POINTS // 2 + 1, 0), CARRIES - POINTS)
    ratios[:] = 0.0
    for i in range(POINTS):
        by_carry = _weight(place - first_carry, i)
        if by_carry != 0.0:  # without carry all but one are
            rows = table.ratios[first_carry + i, first_level : first_level + POINTS]
            _add_rows(by_carry, by_level, rows, ratios)


@kernel
def _add_rows(weight: float, weights: Polynomial, rows: Floats, total: Floats) -> None:
    """Add a weighted sum of `POINTS` rows, going over the total once."""
    w = (
        weight * weights[0], weight * weights[1], weight * weights[2], weight * weights[3],
        weight * weights[4], weight * weights[5], weight * weights[6], weight * weights[7],
    )  # fmt: skip
    for place in range(COEFFICIENTS):
        total[place] += (
            (w[0] * rows[0, place] + w[1] * rows[1, place])
            + (w[2] * rows[2, place] + w[3] * rows[3, place])
        ) + (
            (w[4] * rows[4, place] + w[5] * rows[5, place])
            + (w[6] * rows[6, place] + w[7] * rows[7, place])
        )


@lru_cache(maxsize=32)
def make_table(shape: Ssvi, period: float) -> SmileTable:
    """Return the table of a surface's shape; its own short vol does not count.

    Tokens with the same terms share it: nobody writes to a table once it is made.

    Args:
        shape: The surface; `at_level` moves it to each level tabulated.
        period: Mean of the discounted expiry in years, `amm.mixture.discounting_period`.

    Raises:
        SurfaceError: Where the table would hold what is no vol.
    """
    weight = mean_decay(shape.reversion, LEVEL_YEARS)
    edge = shape.long_vol * math.sqrt((1.0 - weight) / (1.0 - weight * SHORT_VOL_MIN**2))
    edge = min(max(edge, 2.0 * LEVEL_MIN), 0.5 * LEVEL_MAX)
    low = math.log(at_level(shape, edge).short_vol)
    high = math.log(at_level(shape, LEVEL_MAX).short_vol)
    table = SmileTable(shape, period, edge, low, high, np.empty((CARRIES, LEVELS, COEFFICIENTS)))
    if shape.curvature == 0.0 and shape.reversion == 0.0:
        table.ratios[:] = 1.0
    else:
        _fill_table(table)
    if not (np.isfinite(table.ratios).all() and table.ratios[:, :, 1:-1].min() > 0.0):
        raise SurfaceError(f"{shape} has no perpetual vols over a period of {period} years")
    return table


@allocating_kernel
def _fill_table(table: SmileTable) -> None:
    """Fill the table, level by level."""
    expiries = make_expiries()
    values = np.empty((CARRIES, INTERVALS + 1))
    for place in range(LEVELS):
        level = _level_at(table, place)
        fill_vols(at_level(table.shape, level), table.period, level, expiries, values)
        for step in range(CARRIES):
            fit_spline(values[step], table.ratios[step, place])


@kernel
def _carry_at(step: int, period: float, level: float) -> float:
    """Return the carry tabulated at a step; no more than leaves a value, far from any market."""
    beta = CARRY_CENTRE * math.sinh((step - CARRIES // 2) * CARRY_STEP)
    return min(beta * level / math.sqrt(period), CARRY_MAX / period)


@kernel
def fill_vols(
    surface: Ssvi, period: float, level: float, expiries: Expiries, ratios: Floats
) -> None:
    """Fill perpetual vol over level at every carry and knot, shape (CARRIES, INTERVALS + 1).

    From the money outwards: where the wings are worth too little to invert, the last vol stays,
    as it does where a knot is far from the one before, which no smile is.
    """
    middle = INTERVALS // 2
    for far in range(2 * middle + 1):
        knot = middle + (far + 1) // 2 * (1 if far % 2 == 1 else -1)
        inner = knot - 1 if knot > middle else knot + 1
        z = CENTRE * math.sinh(knot * STEP - U_MAX) if far > 0 else 0.0
        log_strike = z * level * math.sqrt(period)
        fill_expiries(surface, period, reach(z), expiries)
        for step in range(CARRIES):
            carry = _carry_at(step, period, level)
            guess = ratios[step, inner] if far > 0 else 1.0
            value = mixed_value(surface, log_strike, carry, expiries)
            vol = _perpetual_vol(value, log_strike, period, carry, guess * level)
            is_plausible = far == 0 or 0.7 < vol / (guess * level) < 1.4
            ratios[step, knot] = vol / level if is_plausible else guess


@kernel
def _perpetual_vol(
    value: float, log_strike: float, period: float, carry: float, guess: float
) -> float:
    """Return the vol at which the closed form has a value; 0 where none is found.

    Newton's method on the logarithms of both, nearly linear in each other.
    """
    moneyness = math.exp(-log_strike)
    if not (VALUE_MIN < value < math.inf and VALUE_MIN < moneyness < math.inf):
        return 0.0
    vol = guess
    step, wanted = 1.0, math.log(value)
    for _ in range(50):
        price = perpetual_price(log_strike >= 0.0, moneyness, vol, period, 0.0, carry, math.inf)
        if not (price.value > VALUE_MIN and price.vega > VALUE_MIN):
            return 0.0
        step = (wanted - math.log(price.value)) * price.value / (price.vega * vol)
        vol *= math.exp(min(max(step, -0.5), 0.5))
        if abs(step) < 1e-13:
            return vol
    return vol if abs(step) < 1e-9 else 0.0


@allocating_kernel
def fit_spline(values: Floats, coefficients: Floats) -> None:
    """Fill the coefficients of the natural cubic spline through values at equal distances.

    Inside, (c[j-1] + 4 c[j] + c[j+1]) / 6 is the value; at the ends the curvature is 0.
    """
    last = values.size - 1
    pivots = np.empty(values.size)
    coefficients[1] = values[0]
    pivots[0] = 0.0
    for knot in range(1, last):
        pivots[knot] = 1.0 / (4.0 - pivots[knot - 1])
        known = 6.0 * values[knot] - coefficients[knot]
        coefficients[knot + 1] = known * pivots[knot]
    coefficients[last + 1] = values[last]
    for knot in range(last - 1, 0, -1):
        coefficients[knot + 1] -= pivots[knot] * coefficients[knot + 2]
    coefficients[0] = 2.0 * coefficients[1] - coefficients[2]
    coefficients[last + 2] = 2.0 * coefficients[last + 1] - coefficients[last]
