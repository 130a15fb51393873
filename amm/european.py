"""Prices of European options for scalars and arrays."""

import math

import numpy as np
import numpy.typing as npt

from amm import black_scholes
from amm.arrays import (
    BLOCK,
    Floats,
    Operands,
    as_floats,
    as_row,
    as_rows,
    as_sides,
    broadcast,
    check_threads,
    new_block,
    operand,
    run,
    target,
)
from amm.black_scholes import EuropeanPrice
from amm.kernel import allocating_kernel


def european_price(
    kind: npt.ArrayLike,
    moneyness: npt.ArrayLike,
    vol: npt.ArrayLike,
    years: npt.ArrayLike,
    *,
    discount_rate: npt.ArrayLike = 0.0,
    carry: npt.ArrayLike = 0.0,
    out: EuropeanPrice | None = None,
    threads: int | None = None,
) -> EuropeanPrice:
    """Return the price of European options per unit of strike.

    Arguments are scalars or arrays, which broadcast as in NumPy.

        >>> european_price("call", 1.0, 0.55, 0.25).value
        0.10936440725513423

    Args:
        kind: "call" or "put".
        moneyness: Index over strike, a normal number > 0.
        vol: Volatility of the index per sqrt(year), 0.55 for 55 %; >= 0.
        years: Time to expiry, >= 0.
        discount_rate: Yield of the settlement token, per year.
        carry: Drift of the index in units of the token, per year.
        out: Where to write: five C-contiguous float64 arrays of the broadcast shape that share no
            memory with each other or the arguments, or None for those that are not wanted.
        threads: How many to use for large arrays; None for one on each core of the process. The
            results are the same to the last bit.

    Returns:
        Floats for scalars; `out`, or new float64 arrays of the broadcast shape, for arrays. Theta
        is per year.

    Raises:
        ValueError: For a kind that is neither, for shapes that do not broadcast, for an `out`
            or `threads` that do not fit, and for a scalar out of range, named. In arrays,
            elements out of range give NaN.
    """
    arguments = _arguments(kind, moneyness, vol, years, discount_rate, carry)
    shape = np.broadcast_shapes(*(argument.shape for argument in arguments))
    if out is None and not shape:
        check_threads(threads)
        side, *numbers = map(float, arguments)
        got = black_scholes.european_price(side > 0.0, *numbers)
        return _refuse(*numbers) if math.isnan(got.value) else got
    inputs = arguments
    if out is None:
        out = EuropeanPrice._make(np.empty(shape) for _ in EuropeanPrice._fields)
        inputs = ()
    rows = as_rows(EuropeanPrice._fields, out, shape, inputs)
    run(_fill_prices, broadcast(arguments, shape), rows, threads)
    return out


def european_value(
    kind: npt.ArrayLike,
    moneyness: npt.ArrayLike,
    vol: npt.ArrayLike,
    years: npt.ArrayLike,
    *,
    discount_rate: npt.ArrayLike = 0.0,
    carry: npt.ArrayLike = 0.0,
    out: Floats | None = None,
    threads: int | None = None,
) -> float | Floats:
    """Return the value of `european_price` alone, to the last bit, in less time.

    Arguments and failures are those of `european_price`, but that `out` is one array.
    """
    arguments = _arguments(kind, moneyness, vol, years, discount_rate, carry)
    shape = np.broadcast_shapes(*(argument.shape for argument in arguments))
    if out is None and not shape:
        check_threads(threads)
        side, *numbers = map(float, arguments)
        got = black_scholes.european_value(side > 0.0, *numbers)
        return _refuse(*numbers).value if math.isnan(got) else got
    result = np.empty(shape) if out is None else out
    row = as_row("out", result, shape, () if out is None else arguments)
    if any(rate.any() for rate in arguments[4:]):
        run(_fill_values, broadcast(arguments, shape), [row], threads)
    else:
        run(_fill_undiscounted_values, broadcast(arguments[:4], shape), [row], threads)
    return result


def _arguments(
    kind: npt.ArrayLike,
    moneyness: npt.ArrayLike,
    vol: npt.ArrayLike,
    years: npt.ArrayLike,
    discount_rate: npt.ArrayLike,
    carry: npt.ArrayLike,
) -> tuple[Floats, ...]:
    """Return the arguments as arrays, in the order of the kernels."""
    return (
        as_sides(kind),
        as_floats("moneyness", moneyness),
        as_floats("vol", vol),
        as_floats("years", years),
        as_floats("discount_rate", discount_rate),
        as_floats("carry", carry),
    )


def _refuse(
    moneyness: float, vol: float, years: float, discount_rate: float, carry: float
) -> EuropeanPrice:
    """Raise `ValueError` naming the argument that is out of range."""
    if not black_scholes.SMALLEST <= moneyness < math.inf:
        raise ValueError(f"moneyness must be positive and finite, not {moneyness}")
    for name, number in (("vol", vol), ("years", years)):
        if not 0.0 <= number < math.inf:
            raise ValueError(f"{name} must be finite and not negative, not {number}")
    name, number = ("carry", carry) if math.isfinite(discount_rate) else ("discount_rate", math.nan)
    raise ValueError(f"{name} must be finite, not {number}")


@allocating_kernel
def _fill_values(operands: Operands, first: int, last: int, value: Floats) -> None:
    """Write the values of the options from `first` to before `last`."""
    block = new_block(7)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        is_fresh = start == first
        side = operand(operands, 0, start, count, is_fresh, block)
        moneyness = operand(operands, 1, start, count, is_fresh, block)
        vol = operand(operands, 2, start, count, is_fresh, block)
        years = operand(operands, 3, start, count, is_fresh, block)
        discount_rate = operand(operands, 4, start, count, is_fresh, block)
        carry = operand(operands, 5, start, count, is_fresh, block)
        to = target(value, 6, start, count, block)
        for i in range(count):
            to[i] = black_scholes.european_value(
                side[i] > 0.0, moneyness[i], vol[i], years[i], discount_rate[i], carry[i]
            )


@allocating_kernel
def _fill_undiscounted_values(operands: Operands, first: int, last: int, value: Floats) -> None:
    """Write the values of the options from `first` to before `last`, whose rates are 0."""
    block = new_block(5)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        is_fresh = start == first
        side = operand(operands, 0, start, count, is_fresh, block)
        moneyness = operand(operands, 1, start, count, is_fresh, block)
        vol = operand(operands, 2, start, count, is_fresh, block)
        years = operand(operands, 3, start, count, is_fresh, block)
        to = target(value, 4, start, count, block)
        for i in range(count):
            to[i] = black_scholes.undiscounted_value(side[i] > 0.0, moneyness[i], vol[i], years[i])


@allocating_kernel
def _fill_prices(
    operands: Operands,
    first: int,
    last: int,
    value: Floats,
    delta: Floats,
    gamma: Floats,
    vega: Floats,
    theta: Floats,
) -> None:
    """Write the prices of the options from `first` to before `last`."""
    block = new_block(11)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        is_fresh = start == first
        side = operand(operands, 0, start, count, is_fresh, block)
        moneyness = operand(operands, 1, start, count, is_fresh, block)
        vol = operand(operands, 2, start, count, is_fresh, block)
        years = operand(operands, 3, start, count, is_fresh, block)
        discount_rate = operand(operands, 4, start, count, is_fresh, block)
        carry = operand(operands, 5, start, count, is_fresh, block)
        values = target(value, 6, start, count, block)
        deltas = target(delta, 7, start, count, block)
        gammas = target(gamma, 8, start, count, block)
        vegas = target(vega, 9, start, count, block)
        thetas = target(theta, 10, start, count, block)
        for i in range(count):
            one = black_scholes.european_price(
                side[i] > 0.0, moneyness[i], vol[i], years[i], discount_rate[i], carry[i]
            )
            values[i] = one.value
            deltas[i] = one.delta
            gammas[i] = one.gamma
            vegas[i] = one.vega
            thetas[i] = one.theta
