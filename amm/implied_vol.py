"""Implied volatilities of perpetual and European options, for scalars and arrays."""

import math

import numpy as np
import numpy.typing as npt

from amm.arrays import (
    BLOCK,
    Floats,
    Operands,
    as_floats,
    as_row,
    as_sides,
    broadcast,
    check_threads,
    new_block,
    operand,
    run,
    target,
)
from amm.black_scholes import SMALLEST
from amm.european_vol import european_implied_vol as european_kernel
from amm.kernel import allocating_kernel
from amm.perpetual_vol import capped_implied_vol, uncapped_implied_vol


def implied_vol(
    kind: npt.ArrayLike,
    value: npt.ArrayLike,
    moneyness: npt.ArrayLike,
    funding_period: npt.ArrayLike,
    *,
    discount_rate: npt.ArrayLike = 0.0,
    carry: npt.ArrayLike = 0.0,
    cap: npt.ArrayLike | None = None,
    out: Floats | None = None,
    threads: int | None = None,
) -> float | Floats:
    """Return the vol at which `amm.price` gives perpetual options their value.

    Arguments are scalars or arrays, which broadcast as in NumPy.

        >>> implied_vol("call", 0.02691924480054334, 1.0, 7 / 365)
        0.55

    The relative error is a few roundings of the value, and in the money of the forward, times
    value / (vol vega): where hardly any of the value is time value, little is known of the vol.

    Args:
        kind: "call" or "put".
        value: Per unit of notional, between its limits without vol and with infinite vol, which
            have no vol themselves. The time value is a normal number.
        moneyness: Index over strike, a normal number > 0; inside the barrier.
        funding_period: Years over which a holder pays the time value once; > 0.
        discount_rate: Yield of the settlement token, per year; > -1 / funding_period.
        carry: Drift of the index in units of the token, per year;
            < discount_rate + 1 / funding_period.
        cap: Largest payoff, > 0, at which the position is cashed out; None for no cap. Under a cap
            a drift into the barrier may be worth more without vol: of several vols one is returned
            where the value rises with vol, and one where it falls only if it rises nowhere to the
            value. The vol lies between 0.001 and 64. Two that are within a fifth of each other,
            around the least or largest value of all vols, may be missed, which gives NaN.
        out: A C-contiguous float64 array of the broadcast shape to write to, which shares no
            memory with the arguments.
        threads: How many to use for large arrays; None for one on each core of the process. The
            results are the same to the last bit.

    Returns:
        A float for scalars; `out`, or a new float64 array of the broadcast shape, for arrays.

    Raises:
        ValueError: For a kind that is neither, for shapes that do not broadcast, for an `out`
            or `threads` that do not fit, and for a scalar out of range, named: the value too.
            In arrays, elements out of range give NaN.
    """
    arguments = (
        as_sides(kind),
        as_floats("value", value),
        as_floats("moneyness", moneyness),
        as_floats("funding_period", funding_period),
        as_floats("discount_rate", discount_rate),
        as_floats("carry", carry),
        as_floats("cap", math.inf if cap is None else cap),
    )
    shape = np.broadcast_shapes(*(argument.shape for argument in arguments))
    if out is None and not shape:
        check_threads(threads)
        side, *numbers = map(float, arguments)
        got = capped_implied_vol(side > 0.0, *numbers)
        return _refuse(*numbers) if math.isnan(got) else got
    result = np.empty(shape) if out is None else out
    row = as_row("out", result, shape, () if out is None else arguments)
    if cap is None:
        run(_fill_uncapped, broadcast(arguments[:-1], shape), [row], threads)
    else:
        run(_fill_capped, broadcast(arguments, shape), [row], threads)
    return result


def european_implied_vol(
    kind: npt.ArrayLike,
    value: npt.ArrayLike,
    moneyness: npt.ArrayLike,
    years: npt.ArrayLike,
    *,
    discount_rate: npt.ArrayLike = 0.0,
    carry: npt.ArrayLike = 0.0,
    out: Floats | None = None,
    threads: int | None = None,
) -> float | Floats:
    """Return the vol at which `amm.european_price` gives European options their value.

        >>> round(european_implied_vol("call", 0.10936440725513423, 1.0, 0.25), 12)
        0.55

    Arguments, accuracy and failures are those of `implied_vol`, but for `years`, the time to
    expiry, > 0; rates are any finite numbers.
    """
    arguments = (
        as_sides(kind),
        as_floats("value", value),
        as_floats("moneyness", moneyness),
        as_floats("years", years),
        as_floats("discount_rate", discount_rate),
        as_floats("carry", carry),
    )
    shape = np.broadcast_shapes(*(argument.shape for argument in arguments))
    if out is None and not shape:
        check_threads(threads)
        side, *numbers = map(float, arguments)
        got = european_kernel(side > 0.0, *numbers)
        return _refuse_european(*numbers) if math.isnan(got) else got
    result = np.empty(shape) if out is None else out
    row = as_row("out", result, shape, () if out is None else arguments)
    run(_fill_european, broadcast(arguments, shape), [row], threads)
    return result


def _refuse(
    value: float,
    moneyness: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
    cap: float,
) -> float:
    """Raise `ValueError` naming the argument that is out of range."""
    for name, number in (("moneyness", moneyness), ("funding_period", funding_period)):
        if not SMALLEST <= number < math.inf:
            raise ValueError(f"{name} must be positive, normal and finite, not {number}")
    if not -1.0 / funding_period < discount_rate < math.inf:
        raise ValueError(f"discount_rate must exceed -1 / funding_period, not be {discount_rate}")
    if not -math.inf < carry < discount_rate + 1.0 / funding_period:
        raise ValueError(f"carry must be below discount_rate + 1 / funding_period, not {carry}")
    if not cap > 0.0:
        raise ValueError(f"cap must be positive, not {cap}")
    raise ValueError(f"value must be one that some vol gives, not {value}")


def _refuse_european(
    value: float, moneyness: float, years: float, discount_rate: float, carry: float
) -> float:
    """Raise `ValueError` naming the argument that is out of range."""
    for name, number in (("moneyness", moneyness), ("years", years)):
        if not SMALLEST <= number < math.inf:
            raise ValueError(f"{name} must be positive, normal and finite, not {number}")
    for name, number in (("discount_rate", discount_rate), ("carry", carry)):
        if not math.isfinite(number):
            raise ValueError(f"{name} must be finite, not {number}")
    raise ValueError(f"value must be one that some vol gives, not {value}")


@allocating_kernel
def _fill_uncapped(operands: Operands, first: int, last: int, vol: Floats) -> None:
    """Write the vols of uncapped perpetuals from `first` to before `last`."""
    block = new_block(7)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        is_fresh = start == first
        side = operand(operands, 0, start, count, is_fresh, block)
        value = operand(operands, 1, start, count, is_fresh, block)
        moneyness = operand(operands, 2, start, count, is_fresh, block)
        funding_period = operand(operands, 3, start, count, is_fresh, block)
        discount_rate = operand(operands, 4, start, count, is_fresh, block)
        carry = operand(operands, 5, start, count, is_fresh, block)
        to = target(vol, 6, start, count, block)
        for i in range(count):
            to[i] = uncapped_implied_vol(
                side[i] > 0.0,
                value[i],
                moneyness[i],
                funding_period[i],
                discount_rate[i],
                carry[i],
            )


@allocating_kernel
def _fill_capped(operands: Operands, first: int, last: int, vol: Floats) -> None:
    """Write the vols of capped perpetuals, one by one."""
    block = new_block(8)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        is_fresh = start == first
        side = operand(operands, 0, start, count, is_fresh, block)
        value = operand(operands, 1, start, count, is_fresh, block)
        moneyness = operand(operands, 2, start, count, is_fresh, block)
        funding_period = operand(operands, 3, start, count, is_fresh, block)
        discount_rate = operand(operands, 4, start, count, is_fresh, block)
        carry = operand(operands, 5, start, count, is_fresh, block)
        cap = operand(operands, 6, start, count, is_fresh, block)
        to = target(vol, 7, start, count, block)
        for i in range(count):
            to[i] = capped_implied_vol(
                side[i] > 0.0,
                value[i],
                moneyness[i],
                funding_period[i],
                discount_rate[i],
                carry[i],
                cap[i],
            )


@allocating_kernel
def _fill_european(operands: Operands, first: int, last: int, vol: Floats) -> None:
    """Write the vols of European options."""
    block = new_block(7)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        is_fresh = start == first
        side = operand(operands, 0, start, count, is_fresh, block)
        value = operand(operands, 1, start, count, is_fresh, block)
        moneyness = operand(operands, 2, start, count, is_fresh, block)
        years = operand(operands, 3, start, count, is_fresh, block)
        discount_rate = operand(operands, 4, start, count, is_fresh, block)
        carry = operand(operands, 5, start, count, is_fresh, block)
        to = target(vol, 6, start, count, block)
        for i in range(count):
            to[i] = european_kernel(
                side[i] > 0.0,
                value[i],
                moneyness[i],
                years[i],
                discount_rate[i],
                carry[i],
            )
