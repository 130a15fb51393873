"""The perpetual and the European option, the slow and obvious way, in many digits.

Prices solve the pricing equation by matching at the strike and the barrier, as a textbook would;
greeks are numerical derivatives of them. Nothing is shared with the package.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import mpmath
from mpmath import mpf


class Option(NamedTuple):
    """The arguments of a price, in the order of the kernels."""

    is_call: bool
    moneyness: float
    vol: float
    funding_period: float
    discount_rate: float = 0.0
    carry: float = 0.0
    cap: float = math.inf

    def put(self) -> "Option":
        """The put beside this call."""
        return self._replace(is_call=False)


def exponents(option: Option) -> tuple[mpf, mpf]:
    """Return the powers of the moneyness that solve the equation without payoff: down, up."""
    half_variance = mpf(option.vol) ** 2 / 2
    drift = mpf(option.carry) - half_variance
    root = mpmath.sqrt(
        drift**2 + 4 * half_variance * (mpf(option.discount_rate) + 1 / mpf(option.funding_period))
    )
    return (-drift - root) / (2 * half_variance), (-drift + root) / (2 * half_variance)


def steepness(option: Option) -> float:
    """Return how much a relative error of an argument is magnified in the wings, at least 1."""
    drift = option.carry - option.vol**2 / 2
    discounting = option.discount_rate + 1 / option.funding_period
    gap = 2 * math.hypot(drift, option.vol * math.sqrt(2 * discounting)) / option.vol**2
    return 1 + gap * abs(math.log(option.moneyness))


@contextmanager
def digits_for(option: Option) -> Iterator[None]:
    """Work with many more digits than the option's time value has zeros."""
    with mpmath.workdps(60 + int(steepness(option))):
        yield


def payoff(option: Option) -> mpf:
    """Return the capped distance beyond the strike."""
    distance = mpf(option.moneyness) - 1
    return min(max(distance if option.is_call else -distance, mpf(0)), mpf(option.cap))


def value(option: Option) -> mpf:
    """Return the value inside the barrier, by matching value and slope at the strike."""
    down, up = exponents(option)
    outer, inner = (up, down) if option.is_call else (down, up)
    x = mpf(option.moneyness)
    forward_one, slope = forward(option, mpf(1)), forward(option, mpf(2)) - forward(option, mpf(1))
    falling = (slope - outer * forward_one) / (outer - inner)
    rising = mpf(0)
    if option.cap < (math.inf if option.is_call else 1):
        barrier = 1 + mpf(option.cap) if option.is_call else 1 - mpf(option.cap)
        uncapped = forward(option, barrier) + falling * barrier**inner
        rising = (mpf(option.cap) - uncapped) / barrier**outer
    if (x > 1) == option.is_call:
        return forward(option, x) + falling * x**inner + rising * x**outer
    return (forward_one + falling + rising) * x**outer


def forward(option: Option, moneyness: mpf) -> mpf:
    """Return the value of receiving moneyness - 1 (call) or 1 - moneyness (put) for ever."""
    rate = 1 / mpf(option.funding_period)
    discount_rate = mpf(option.discount_rate)
    dividend = discount_rate - mpf(option.carry)
    long = rate * moneyness / (rate + dividend) - rate / (rate + discount_rate)
    return long if option.is_call else -long


def premium_rate(option: Option) -> mpf:
    """Return the rate times value less payoff."""
    return (value(option) - payoff(option)) / mpf(option.funding_period)


def derivative(option: Option, argument: str, order: int = 1) -> mpf:
    """Return the derivative of the value with respect to an argument."""
    at = mpf(getattr(option, argument))
    # Rates may be 0 or next to it; the other arguments have a scale of their own.
    step = (1 if argument in {"carry", "discount_rate"} else at) * mpf(10) ** (-mpmath.mp.dps // 3)
    return mpmath.diff(lambda y: value(option._replace(**{argument: y})), at, order, h=step)


def mixture(option: Option) -> mpf:
    """Return the uncapped value as the mean European value over an exponential expiry."""

    def weighted(root: mpf) -> mpf:
        years = root**2 * mpf(option.funding_period)
        return 2 * root * mpmath.exp(-(root**2)) * european(option, years)

    with mpmath.workdps(20):
        return mpmath.quad(weighted, [0, 0.25, 0.5, 1, 2, 3, 5, 8])


def european(option: Option, years: mpf) -> mpf:
    """Return the Black-Scholes value at an expiry in `years`."""
    x, vol = mpf(option.moneyness), mpf(option.vol)
    discount = mpmath.exp(-mpf(option.discount_rate) * years)
    growth = mpmath.exp((mpf(option.carry) - mpf(option.discount_rate)) * years)
    total_vol = vol * mpmath.sqrt(years)
    if not total_vol:
        return payoff(option)
    d1 = (mpmath.log(x) + mpf(option.carry) * years) / total_vol + total_vol / 2
    d2 = d1 - total_vol
    if option.is_call:
        return x * growth * mpmath.ncdf(d1) - discount * mpmath.ncdf(d2)
    return discount * mpmath.ncdf(-d2) - x * growth * mpmath.ncdf(-d1)
