"""Prices of perpetual options for scalars and arrays: the first call of a quant."""

import math
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from amm.arrays import Floats, as_floats, as_row, as_rows, as_sides, broadcast, check_threads, run
from amm.perpetual import Price, perpetual_price, perpetual_value
from amm.perpetual_arrays import fill_prices, fill_values
from amm.wings import LEAST


def price(
    kind: npt.ArrayLike,
    moneyness: npt.ArrayLike,
    vol: npt.ArrayLike,
    funding_period: npt.ArrayLike,
    *,
    discount_rate: npt.ArrayLike = 0.0,
    carry: npt.ArrayLike = 0.0,
    cap: npt.ArrayLike | None = None,
    out: Price | None = None,
    threads: int | None = None,
) -> Price:
    """Return the price of perpetual options per unit of notional (per unit of strike).

    Arguments are scalars or arrays, which broadcast as in NumPy.

        >>> price("call", 1.0, 0.55, 7 / 365).value
        0.02691924480054334

    Args:
        kind: "call" or "put".
        moneyness: Index over strike, > 0 (at least 1e-65, as the next two).
        vol: Volatility of the index per sqrt(year), 0.55 for 55 %; > 0.
        funding_period: Years over which a holder pays the time value once; > 0.
        discount_rate: Yield of the settlement token, per year; > -1 / funding_period.
        carry: Drift of the index in units of the token, per year;
            < discount_rate + 1 / funding_period.
        cap: Largest payoff, > 0, at which the position is cashed out; None for no cap.
        out: Where to write: five C-contiguous float64 arrays of the broadcast shape that share no
            memory with each other or the arguments, or None for those that are not wanted.
        threads: How many to use for large arrays; None for one on each core of the process. The
            results are the same to the last bit.

    Returns:
        Floats for scalars; `out`, or new float64 arrays of the broadcast shape, for arrays. The
        premium rate is per year.

    Raises:
        ValueError: For a kind that is neither, for shapes that do not broadcast, for an `out`
            or `threads` that do not fit, and for a scalar out of range, named. In arrays,
            elements out of range give NaN.
    """
    arguments = as_arguments(kind, moneyness, vol, funding_period, discount_rate, carry, cap)
    shape = np.broadcast(*arguments).shape
    if out is None and not shape:
        check_threads(threads)
        side, *numbers = map(float, arguments)
        got = perpetual_price(side > 0.0, *numbers)
        if math.isnan(got.value):
            refuse(*numbers)
        return got
    inputs = arguments
    if out is None:
        out = Price._make(np.empty(shape) for _ in Price._fields)
        inputs = ()
    rows = as_rows(Price._fields, out, shape, inputs)
    operands = broadcast(arguments, shape)
    if any(field is not None for field in out[1:]):
        run(fill_prices, operands, rows, threads)
    else:
        run(fill_values, operands, rows[:1], threads)
    return out


def value(
    kind: npt.ArrayLike,
    moneyness: npt.ArrayLike,
    vol: npt.ArrayLike,
    funding_period: npt.ArrayLike,
    *,
    discount_rate: npt.ArrayLike = 0.0,
    carry: npt.ArrayLike = 0.0,
    cap: npt.ArrayLike | None = None,
    out: Floats | None = None,
    threads: int | None = None,
) -> float | Floats:
    """Return the value of `price` alone, to the last bit, in less time.

    Arguments and failures are those of `price`, but that `out` is one array.
    """
    arguments = as_arguments(kind, moneyness, vol, funding_period, discount_rate, carry, cap)
    shape = np.broadcast(*arguments).shape
    if out is None and not shape:
        check_threads(threads)
        side, *numbers = map(float, arguments)
        got = perpetual_value(side > 0.0, *numbers)
        if math.isnan(got):
            refuse(*numbers)
        return got
    result = np.empty(shape) if out is None else out
    row = as_row("out", result, shape, () if out is None else arguments)
    run(fill_values, broadcast(arguments, shape), [row], threads)
    return result


def as_arguments(
    kind: npt.ArrayLike,
    moneyness: npt.ArrayLike,
    vol: npt.ArrayLike,
    funding_period: npt.ArrayLike,
    discount_rate: npt.ArrayLike,
    carry: npt.ArrayLike,
    cap: npt.ArrayLike | None,
) -> tuple[Floats, ...]:
    """Return the arguments as arrays, in the order of the kernels."""
    return (
        as_sides(kind),
        as_floats("moneyness", moneyness),
        as_floats("vol", vol),
        as_floats("funding_period", funding_period),
        as_floats("discount_rate", discount_rate),
        as_floats("carry", carry),
        as_floats("cap", math.inf if cap is None else cap),
    )


def refuse(
    moneyness: float,
    vol: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
    cap: float,
) -> NoReturn:
    """Raise `ValueError` naming the argument that is out of range."""
    for name, number in (
        ("moneyness", moneyness),
        ("vol", vol),
        ("funding_period", funding_period),
    ):
        if not LEAST <= number < math.inf:
            raise ValueError(f"{name} must be at least {LEAST} and finite, not {number}")
    if not cap > 0.0:
        raise ValueError(f"cap must be positive, not {cap}")
    if not -1.0 / funding_period < discount_rate < math.inf:
        raise ValueError(f"discount_rate must exceed -1 / funding_period, not be {discount_rate}")
    if not -math.inf < carry < discount_rate + 1.0 / funding_period:
        raise ValueError(f"carry must be below discount_rate + 1 / funding_period, not {carry}")
    raise ValueError(f"discount_rate {discount_rate} and carry {carry} leave nothing but rounding")
