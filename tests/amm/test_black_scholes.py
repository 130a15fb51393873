"""The European option against a many-digit twin, its identities and its limits."""

import math

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mpf

from amm.black_scholes import EuropeanPrice, european_price, normal_cdf, normal_density
from tests.reference.perpetual import Option, european

Arguments = tuple[float, float, float, float, float]
"""Moneyness, vol, years, discount rate, carry."""


@st.composite
def arguments(draw: st.DrawFn, deviations_max: float = 30.0) -> Arguments:
    """Strikes within so many standard deviations of the forward."""
    vol, years = draw(st.floats(0.05, 3)), draw(st.floats(1e-3, 4))
    deviations = draw(st.floats(-deviations_max, deviations_max))
    carry = draw(st.floats(-0.2, 0.2))
    moneyness = math.exp(deviations * vol * math.sqrt(years) - carry * years)
    return moneyness, vol, years, draw(st.floats(-0.2, 0.2)), carry


def twin(is_call: bool, at: tuple[mpf | float, ...]) -> mpf:
    moneyness, vol, years, discount_rate, carry = at
    return european(Option(is_call, moneyness, vol, 1.0, discount_rate, carry), mpf(years))


def rounding(at: Arguments) -> float:
    """The relative error of the exponential of a float logarithm."""
    return 2e-15 * (1 + abs(math.log(at[0])))


def derivative(is_call: bool, at: Arguments, place: int, order: int = 1) -> mpf:
    def value(argument: mpf) -> mpf:
        return twin(is_call, (*at[:place], argument, *at[place + 1 :]))

    return mpmath.diff(value, mpf(at[place]), order)


@given(st.booleans(), arguments())
def test_value_agrees_with_many_digits(is_call: bool, at: Arguments) -> None:
    """It keeps its digits thirty standard deviations from the money."""
    with mpmath.workdps(450):
        exact = twin(is_call, at)
        size = min(exact, twin(not is_call, at))
        carried = abs(exact - size)
        error = abs(european_price(is_call, *at).value - exact)
        # The wing loses the square of the deviations, and the vol's share of them.
        deviations = abs(math.log(at[0]) + at[4] * at[2]) / (at[1] * math.sqrt(at[2]))
        lost = 1e-15 * (1 + deviations**2) * (1 + deviations / (at[1] * math.sqrt(at[2])))
        assert error <= lost * size + rounding(at) * carried + 4e-16


@given(st.booleans(), arguments(deviations_max=5.0))
def test_greeks_are_the_derivatives_of_the_value(is_call: bool, at: Arguments) -> None:
    """Delta, gamma, vega and theta match numerical derivatives of the many-digit value."""
    price = european_price(is_call, *at)
    with mpmath.workdps(60):
        assert price.delta == pytest.approx(float(derivative(is_call, at, 0)), rel=1e-11)
        assert price.gamma == pytest.approx(float(derivative(is_call, at, 0, 2)), rel=1e-11)
        assert price.vega == pytest.approx(float(derivative(is_call, at, 1)), rel=1e-11)
        theta = float(-derivative(is_call, at, 2))
        scale = 1e-12 * (at[0] * (1 + price.gamma * at[0] * at[1] ** 2) + 1)
        assert price.theta == pytest.approx(theta, abs=scale)


@given(arguments())
def test_call_less_put_is_the_discounted_forward(at: Arguments) -> None:
    """Parity holds, in value and in delta."""
    call, put = european_price(True, *at), european_price(False, *at)
    moneyness, _, years, discount_rate, carry = at
    growth = math.exp((carry - discount_rate) * years)
    forward = moneyness * growth - math.exp(-discount_rate * years)
    assert call.value - put.value == pytest.approx(forward, rel=1e-12, abs=1e-14)
    assert call.delta - put.delta == pytest.approx(growth, rel=1e-14)
    assert (call.gamma, call.vega) == (put.gamma, put.vega)


@given(st.booleans(), arguments())
def test_value_is_bounded(is_call: bool, at: Arguments) -> None:
    """It is worth at least the discounted forward's payoff and at most what it delivers."""
    moneyness, _, years, discount_rate, carry = at
    asset = moneyness * math.exp((carry - discount_rate) * years)
    cash = math.exp(-discount_rate * years)
    least, most = (asset - cash, asset) if is_call else (cash - asset, cash)
    slack = rounding(at) * (asset + cash)
    assert max(least, 0.0) - slack <= european_price(is_call, *at).value <= most + slack


@pytest.mark.parametrize(("vol", "years"), [(0.0, 0.5), (0.5, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize("moneyness", [0.8, 1.25])
@pytest.mark.parametrize("is_call", [True, False])
def test_without_variance_it_is_the_payoff_of_the_forward(
    is_call: bool, moneyness: float, vol: float, years: float
) -> None:
    """No vol or no time leaves a certain payoff, discounted; only the carry moves it."""
    price = european_price(is_call, moneyness, vol, years, 0.03, 0.02)
    asset, cash = moneyness * math.exp(-0.01 * years), math.exp(-0.03 * years)
    side = 1 if is_call else -1
    assert price.value == pytest.approx(max(side * (asset - cash), 0.0), abs=1e-15)
    is_beyond = side * (asset - cash) > 0
    assert price.delta == pytest.approx(side * asset / moneyness * is_beyond)
    assert (price.gamma, price.vega) == (0.0, 0.0)
    assert price.theta == pytest.approx(side * is_beyond * (0.01 * asset - 0.03 * cash), abs=1e-15)


def test_at_the_strike_the_limits_are_one_sided() -> None:
    """Half a delta and an infinite gamma; theta is infinite at expiry only, and with vol."""
    density = normal_density(0.0)
    assert european_price(True, 1.0, 0.5, 0.0, 0.0, 0.0) == (0.0, 0.5, math.inf, 0.0, -math.inf)
    assert european_price(False, 1.0, 0.0, 4.0, 0.0, 0.0) == (0, -0.5, math.inf, 2 * density, 0)
    tiny = european_price(True, 1.0, 1e-9, 1.0, 0.0, 0.0)
    assert tiny.value == pytest.approx(density * 1e-9, rel=1e-6)


@pytest.mark.parametrize("place", range(5))
def test_arguments_out_of_range_give_nan(place: int) -> None:
    """NaN or infinity anywhere, and less than nothing of what must be positive, gives NaN."""
    wrong = [math.nan, math.inf] + ([-1.0] if place < 3 else []) + ([0.0] if place == 0 else [])
    for number in wrong:
        at = [1.0, 0.5, 0.25, 0.0, 0.0]
        at[place] = number
        price = european_price(True, *at)
        assert isinstance(price, EuropeanPrice)
        assert all(map(math.isnan, price))


@given(st.floats(-37, 8))
def test_normal_cdf_keeps_its_digits_in_the_lower_tail(deviations: float) -> None:
    """It agrees with many digits down to the smallest floats."""
    with mpmath.workdps(30):
        exact = float(mpmath.ncdf(deviations))
    assert normal_cdf(deviations) == pytest.approx(exact, rel=1e-15 * (2 + deviations**2))
