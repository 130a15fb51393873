"""The European option against a many-digit twin, its identities and its limits."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mpmath import mpf

import amm
from amm.black_scholes import EuropeanPrice, european_price, normal_cdf, normal_density
from amm.normal import NARROW, mills_ratio, mills_slope
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


@given(st.booleans(), arguments(deviations_max=37.0))
def test_value_agrees_with_many_digits(is_call: bool, at: Arguments) -> None:
    """It has twelve digits, and ten where it is below 1e-20."""
    with mpmath.workdps(700):
        exact = twin(is_call, at)
        size = min(exact, twin(not is_call, at))
        error = abs(european_price(is_call, *at).value - exact)
        tolerance = (1e-12 if size > 1e-20 else 1e-10) * size
        # A carry that offsets the moneyness leaves fewer digits of the forward's log.
        moneyness, vol, years, _, carry = at
        deviations = abs(math.log(moneyness) + carry * years) / (vol * math.sqrt(years))
        if carry:
            lost = 4e-16 * abs(math.log(moneyness)) * deviations / (vol * math.sqrt(years))
            tolerance += lost * size
        assert error <= tolerance + rounding(at) * (exact - size) + 1e-300


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
    assert normal_cdf(math.inf) == 1
    assert normal_cdf(-math.inf) == 0
    assert math.isnan(normal_cdf(math.nan))


@given(st.floats(-0.75, 30))
@example(-0.75)
@example(1e9)
def test_mills_ratio_is_tail_over_density(deviations: float) -> None:
    """It has all digits, and so has its difference over a narrow interval."""
    with mpmath.workdps(430 if deviations < 100 else 30):
        z = mpf(deviations)
        exact = mills_ratio_of(z)
        assert mills_ratio(deviations) == pytest.approx(float(exact), rel=1e-15)
        if deviations < 50:
            for width in (1e-6, 0.1, NARROW):
                drop = mills_ratio_of(z - mpf(width) / 2) - mills_ratio_of(z + mpf(width) / 2)
                slope = mills_slope(deviations, mills_ratio(deviations), width)
                assert slope == pytest.approx(float(drop / width), rel=1e-15 * (4 + deviations**2))


def mills_ratio_of(z: mpf) -> mpf:
    if z > 100:
        return 1 / z - 1 / z**3
    return mpmath.sqrt(mpmath.pi / 2) * mpmath.erfc(z / mpmath.sqrt(2)) * mpmath.exp(z * z / 2)


VALID = {"kind": "put", "moneyness": 1.1, "vol": 0.5, "years": 0.25}


def test_arrays_are_the_scalars() -> None:
    """Every element is the scalar price of the broadcast arguments, to the last bit."""
    random = np.random.default_rng(5)
    kinds = np.array(["call", "put", "put"])[:, None]
    moneyness, vol = np.exp(random.uniform(-1, 1, 400)), random.uniform(0, 2, (3, 1))
    years = random.choice([0.0, 1e-4, 0.1, 3.0], 400)
    for rates in ({}, {"discount_rate": 0.03, "carry": random.uniform(-0.1, 0.1, 400)}):
        got = amm.european_price(kinds, moneyness, vol, years, **rates)
        assert np.array_equal(amm.european_value(kinds, moneyness, vol, years, **rates), got.value)
        carry = np.broadcast_to(rates.get("carry", 0.0), 400)
        for i, j in np.ndindex(3, 400):
            at = (moneyness[j], vol[i, 0], years[j], rates.get("discount_rate", 0.0), carry[j])
            one = european_price(kinds[i, 0] == "call", *map(float, at))
            assert tuple(field[i, j] for field in got) == one


def test_out_receives_the_prices() -> None:
    """The arrays given are filled and returned; one that does not fit is refused by name."""
    moneyness = np.linspace(0.8, 1.2, 7)
    out = EuropeanPrice._make(np.empty(7) for _ in EuropeanPrice._fields)
    assert amm.european_price("call", moneyness, 0.5, 0.25, out=out) is out
    assert amm.european_value("call", moneyness, 0.5, 0.25, out=out.delta) is out.delta
    assert np.array_equal(out.value, out.delta)
    with pytest.raises(ValueError, match=r"out\.vega"):
        amm.european_price("call", moneyness, 0.5, 0.25, out=out._replace(vega=np.empty(3)))
    with pytest.raises(ValueError, match=r"^out must"):
        amm.european_value("call", moneyness, 0.5, 0.25, out=np.empty(3))


@pytest.mark.parametrize("function", ["european_price", "european_value"])
def test_a_number_out_of_range_is_named_or_gives_nan(function: str) -> None:
    """As a scalar it raises; in an array only its own element is NaN."""
    call = getattr(amm, function)
    for argument, wrongs in {
        "moneyness": (0.0, -1.0, math.inf, math.nan),
        "vol": (-0.1, math.inf, math.nan),
        "years": (-0.1, math.inf, math.nan),
        "discount_rate": (math.inf, math.nan),
        "carry": (-math.inf, math.nan),
    }.items():
        for wrong in wrongs:
            with pytest.raises(ValueError, match=f"^{argument} must"):
                call(**VALID | {argument: wrong})
            got = call(**VALID | {argument: [VALID.get(argument, 0.0), wrong]})
            fields = [got] if function == "european_value" else got
            assert all(list(np.isnan(field)) == [False, True] for field in fields)
    with pytest.raises(ValueError, match=r"^kind must be"):
        call(**VALID | {"kind": "straddle"})


@pytest.mark.compiled
def test_threads_change_nothing() -> None:
    """Many prices are the same to the last bit on one thread and on three."""
    moneyness = np.exp(np.random.default_rng(4).uniform(-1, 1, 200_000))
    for rate in (0.0, 0.05):
        one = amm.european_price("call", moneyness, 0.5, 0.25, carry=rate, threads=1)
        many = amm.european_price("call", moneyness, 0.5, 0.25, carry=rate, threads=3)
        assert all(map(np.array_equal, one, many))
        value = amm.european_value("call", moneyness, 0.5, 0.25, carry=rate, threads=3)
        assert np.array_equal(value, one.value)
