"""Options side by side: the closed form in vector code, each option on its own terms and surface.

Lanes are a row of numbers for each argument and result. The rows are one array, at distances the
compiler knows: so it sees that none overlaps another. A lane's results are those of
`perpetual_price` at `strike_vol`, to the last bit.
"""

import numpy as np

from amm.elementary import log
from amm.kernel import kernel
from amm.perpetual import closed_form
from amm.scenarios import Contract, Floats
from amm.surface import Surface, spline_interval, spline_place, spline_ratio

LANES = 64
_VECTOR = 8
_ROWS = 17
(
    _SIDE, _INDEX, _STRIKE, _FUNDING_PERIOD, _DISCOUNT_RATE, _CARRY, _CAP,
    _SURFACE, _LEVEL, _STRETCH, _C0, _C1, _C2, _C3,
    _VOL, _VALUE, _PREMIUM_RATE,
) = range(0, _ROWS * LANES, LANES)  # fmt: skip


def new_lanes() -> Floats:
    """Return lanes that hold valid options."""
    return np.ones(_ROWS * LANES)


@kernel
def enter(
    lanes: Floats, lane: int, contract: Contract, index: float, surface: Surface, place: int
) -> None:
    """Enter an option at an index, on a surface whose coefficients are the row `place` of all."""
    lanes[_SIDE + lane] = 1.0 if contract.is_call else -1.0
    lanes[_INDEX + lane] = index
    lanes[_STRIKE + lane] = contract.strike
    lanes[_FUNDING_PERIOD + lane] = contract.funding_period
    lanes[_DISCOUNT_RATE + lane] = contract.discount_rate
    lanes[_CARRY + lane] = contract.carry
    lanes[_CAP + lane] = contract.cap
    lanes[_SURFACE + lane] = place
    lanes[_LEVEL + lane] = surface.level
    lanes[_STRETCH + lane] = surface.stretch


@kernel
def price_lanes(lanes: Floats, count: int, ratios: Floats) -> None:
    """Price the first `count` lanes; `ratios` are coefficients, shape (surfaces, COEFFICIENTS)."""
    last = (count + _VECTOR - 1) // _VECTOR * _VECTOR
    for lane in range(last):
        log_strike = log(lanes[_STRIKE + lane] / lanes[_INDEX + lane])
        lanes[_VOL + lane] = spline_place(lanes[_STRETCH + lane], log_strike)
    for lane in range(count):  # a gather is no vector code
        first, place = spline_interval(lanes[_VOL + lane]), int(lanes[_SURFACE + lane])
        lanes[_C0 + lane] = ratios[place, first]
        lanes[_C1 + lane] = ratios[place, first + 1]
        lanes[_C2 + lane] = ratios[place, first + 2]
        lanes[_C3 + lane] = ratios[place, first + 3]
    for lane in range(last):
        ratio = spline_ratio(
            lanes[_VOL + lane],
            lanes[_C0 + lane],
            lanes[_C1 + lane],
            lanes[_C2 + lane],
            lanes[_C3 + lane],
        )
        lanes[_VOL + lane] = lanes[_LEVEL + lane] * ratio
    for lane in range(last):
        price = closed_form(
            lanes[_SIDE + lane] > 0.0,
            lanes[_INDEX + lane] / lanes[_STRIKE + lane],
            lanes[_VOL + lane],
            lanes[_FUNDING_PERIOD + lane],
            lanes[_DISCOUNT_RATE + lane],
            lanes[_CARRY + lane],
            lanes[_CAP + lane],
        )
        lanes[_VALUE + lane] = price.value
        lanes[_PREMIUM_RATE + lane] = price.premium_rate


@kernel
def value_in(lanes: Floats, lane: int) -> float:
    """Return the value of a priced option, per unit of notional."""
    return lanes[_VALUE + lane]


@kernel
def premium_rate_in(lanes: Floats, lane: int) -> float:
    """Return the premium of a priced option, a fraction of the notional per year."""
    return lanes[_PREMIUM_RATE + lane]
