"""Prices of perpetual options for scalars and arrays: the first call of a quant."""

import math
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

from amm.kernel import kernel
from amm.perpetual import Price, perpetual_price

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)


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
) -> Price:
    """Return the price of perpetual options per unit of notional (per unit of strike).

    Arguments are scalars or arrays, which broadcast as in NumPy.

        >>> price("call", 1.0, 0.55, 7 / 365).value
        0.02691924480054334

    Args:
        kind: "call" or "put".
        moneyness: Index over strike, > 0.
        vol: Volatility of the index per sqrt(year), 0.55 for 55 %; > 0.
        funding_period: Years over which a holder pays the time value once; > 0.
        discount_rate: Yield of the settlement token, per year; > -1 / funding_period.
        carry: Drift of the index in units of the token, per year;
            < discount_rate + 1 / funding_period.
        cap: Largest payoff, > 0, at which the position is cashed out; None for no cap.
        out: Where to write: five C-contiguous float64 arrays of the broadcast shape.

    Returns:
        Floats for scalars; `out`, or new float64 arrays of the broadcast shape, for arrays. The
        premium rate is per year.

    Raises:
        ValueError: For a kind that is neither, for shapes that do not broadcast, for an `out`
            that does not fit, and for a scalar out of range, named. In arrays, elements out of
            range give NaN.
    """
    numbers = (
        _as_floats("moneyness", moneyness),
        _as_floats("vol", vol),
        _as_floats("funding_period", funding_period),
        _as_floats("discount_rate", discount_rate),
        _as_floats("carry", carry),
        _as_floats("cap", math.inf if cap is None else cap),
    )
    is_call = _is_call(kind)
    shape = np.broadcast_shapes(is_call.shape, *(number.shape for number in numbers))
    if out is None and not shape:
        return _scalar_price(bool(is_call), *(float(number) for number in numbers))
    if out is None:
        out = Price._make(np.empty(shape) for _ in Price._fields)
    rows = tuple(_row(number, shape) for number in numbers)
    fill_prices(_row(is_call, shape), *rows, *_writable_rows(out, shape))
    return out


def _as_floats(name: str, number: npt.ArrayLike) -> Floats:
    try:
        return np.asarray(number, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a number or an array of numbers") from error


def _is_call(kind: npt.ArrayLike) -> Bools:
    kinds = np.asarray(kind)
    is_call = np.asarray(kinds == "call")
    wrong = kinds[~(is_call | (kinds == "put"))]
    if wrong.size:
        raise ValueError(f"kind must be 'call' or 'put', not {str(wrong.flat[0])!r}")
    return is_call


def _scalar_price(
    is_call: bool,
    moneyness: float,
    vol: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
    cap: float,
) -> Price:
    """Return one price; raise `ValueError` naming the argument that is out of range."""
    for name, number in (
        ("moneyness", moneyness),
        ("vol", vol),
        ("funding_period", funding_period),
    ):
        if not 0.0 < number < math.inf:
            raise ValueError(f"{name} must be positive and finite, not {number}")
    if not -1.0 / funding_period < discount_rate < math.inf:
        raise ValueError(f"discount_rate must exceed -1 / funding_period, not be {discount_rate}")
    if not -math.inf < carry < discount_rate + 1.0 / funding_period:
        raise ValueError(f"carry must be below discount_rate + 1 / funding_period, not {carry}")
    if not cap > 0.0:
        raise ValueError(f"cap must be positive, not {cap}")
    return perpetual_price(is_call, moneyness, vol, funding_period, discount_rate, carry, cap)


def _row(values: npt.NDArray[Scalar], shape: tuple[int, ...]) -> npt.NDArray[Scalar]:
    """Return a copy of the broadcast values in one row: the one layout the kernel compiles for."""
    return np.array(np.broadcast_to(values, shape), order="C").reshape(-1)


def _writable_rows(out: Price, shape: tuple[int, ...]) -> tuple[Floats, ...]:
    """Return the fields of `out` as rows that share its memory."""
    fields = cast("tuple[Floats, ...]", out)
    for name, field in zip(Price._fields, fields, strict=True):
        if field.dtype != np.float64 or field.shape != shape or not field.flags.c_contiguous:
            raise ValueError(f"out.{name} must be a C-contiguous float64 array of shape {shape}")
    return tuple(field.reshape(-1) for field in fields)


@kernel
def fill_prices(
    is_call: Bools,
    moneyness: Floats,
    vol: Floats,
    funding_period: Floats,
    discount_rate: Floats,
    carry: Floats,
    cap: Floats,
    value: Floats,
    delta: Floats,
    gamma: Floats,
    vega: Floats,
    premium_rate: Floats,
) -> None:
    """Price rows of one length, element by element, into the last five."""
    for i in range(moneyness.size):
        price = perpetual_price(
            is_call[i],
            moneyness[i],
            vol[i],
            funding_period[i],
            discount_rate[i],
            carry[i],
            cap[i],
        )
        value[i] = price.value
        delta[i] = price.delta
        gamma[i] = price.gamma
        vega[i] = price.vega
        premium_rate[i] = price.premium_rate
