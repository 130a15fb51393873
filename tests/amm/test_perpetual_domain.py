"""The perpetual option over its whole domain: digits, shape in vol and strike, quanto signs."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import amm
from amm.perpetual import Price, carry_delta, perpetual_price, perpetual_value
from tests.reference import perpetual as reference
from tests.reference.perpetual import Option, digits_for, steepness

SECOND = 1 / 365 / 86_400


def log_uniform(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(math.log(low), math.log(high)).map(math.exp)


def is_priced(option: Option) -> bool:
    """Whether it is inside the barrier, its mean expiry exists and floats hold its time value."""
    side = 1 if option.is_call else -1
    rates = option.discount_rate, option.discount_rate - option.carry
    exists = min(rates) * option.funding_period > -0.9
    is_inside = side * option.moneyness < side * (1 + side * option.cap)
    return exists and is_inside and steepness(option) < 600


DOMAIN = st.builds(
    Option,
    is_call=st.booleans(),
    moneyness=log_uniform(1e-6, 1e6) | st.floats(0.9, 1.1),
    vol=log_uniform(1e-4, 50),
    funding_period=log_uniform(SECOND, 1000),
    discount_rate=st.floats(-0.2, 0.2) | st.just(0.0),
    carry=st.floats(-0.2, 0.2) | st.just(0.0),
    cap=log_uniform(0.01, 3) | st.just(math.inf),
).filter(is_priced)


def scales(option: Option) -> Price:
    """Return the sizes of the terms whose difference a price is, where it is one.

    A forward cancels where drift outruns vol, a delta where vol is so great that the index is
    worth no more than the payoff, and what a cap takes cancels most of the time value.
    """
    period = option.funding_period
    discounting = 1 + option.discount_rate * period
    yielding = discounting - option.carry * period
    forward = (abs(option.moneyness - 1) * discounting + abs(option.carry * period)) / (
        discounting * yielding
    )
    undrifted = option.discount_rate == option.carry == 0.0
    bare = perpetual_price(*option._replace(cap=math.inf))
    time_value = bare.premium_rate * period if undrifted else bare.value + forward
    capped = math.isfinite(option.cap)
    return Price(
        value=(time_value if capped else 0.0) + forward,
        delta=abs(bare.delta) + 1 / yielding,
        gamma=bare.gamma if capped else 0.0,
        vega=bare.vega if capped else 0.0,
        premium_rate=((time_value if capped else 0.0) + (0.0 if undrifted else forward)) / period,
    )


@given(DOMAIN)
def test_keeps_twelve_digits_over_the_whole_domain(option: Option) -> None:
    """Scalars and arrays: 1e-12 of the number, 1e-10 below 1e-20, but for what has to cancel."""
    with digits_for(option):
        expected = Price(
            reference.value(option),
            reference.derivative(option, "moneyness"),
            reference.derivative(option, "moneyness", order=2),
            reference.derivative(option, "vol"),
            reference.premium_rate(option),
        )
        got = perpetual_price(*option)
        for name, number, exact, scale in zip(
            Price._fields, got, expected, scales(option), strict=True
        ):
            tolerance = 1e-10 if abs(exact) < 1e-20 else 1e-12
            assert abs(number - exact) <= tolerance * abs(exact) + 1e-14 * scale + 1e-290, name
    is_call, *numbers, discount_rate, carry, cap = option
    kind = "call" if is_call else "put"
    rows = amm.price(
        kind,
        *([number] * 9 for number in numbers),
        discount_rate=discount_rate,
        carry=carry,
        cap=cap,
    )
    assert all((row == number).all() for row, number in zip(rows, got, strict=True))


@given(DOMAIN, st.floats(1e-3, 1))
def test_uncapped_value_rises_with_vol(option: Option, rise: float) -> None:
    """Uncertainty is worth something at every moneyness."""
    option = option._replace(cap=math.inf)
    wilder = option._replace(vol=option.vol * (1 + rise))
    slack = 1e-14 * scales(option).value
    assert perpetual_value(*wilder) >= perpetual_value(*option) * (1 - 1e-12) - slack


@given(DOMAIN, st.floats(1e-3, 0.5))
def test_uncapped_value_is_convex_in_the_strike(option: Option, width: float) -> None:
    """A value in units of the index lies below the chord of its neighbours' strikes."""
    option = option._replace(cap=math.inf)

    def at(strike: float) -> float:
        return strike * perpetual_value(*option._replace(moneyness=option.moneyness / strike))

    slack = 1e-14 * scales(option).value
    assert 2 * at(1.0) <= (at(1 - width) + at(1 + width)) * (1 + 1e-12) + 4 * slack


@given(DOMAIN)
def test_correlation_helps_calls_and_hurts_puts(option: Option) -> None:
    """The quanto term is carry, which an uncapped call gains from and a put loses by."""
    option = option._replace(cap=math.inf)
    change = carry_delta(*option)
    slack = 1e-12 * option.funding_period * scales(option).value
    assert (change if option.is_call else -change) >= -slack


@given(DOMAIN, st.integers(-3, 3))
def test_premium_rate_is_what_the_value_exceeds_the_payoff_by(option: Option, octaves: int) -> None:
    """In the unit of time of the funding period, whatever that is."""
    assume(option.discount_rate == option.carry == 0.0)
    scaled = option._replace(
        vol=option.vol * 2.0**octaves, funding_period=option.funding_period / 4.0**octaves
    )
    assert perpetual_value(*scaled) == perpetual_value(*option)
    rate = perpetual_price(*scaled).premium_rate * scaled.funding_period
    assert rate == pytest.approx(
        perpetual_price(*option).premium_rate * option.funding_period, rel=1e-14
    )
