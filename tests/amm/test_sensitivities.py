"""Sensitivities to strike, rates and period against many digits, prices, identities, quantos."""

import math
import sys

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from mpmath import mpf

import amm
from amm import Sensitivities, sensitivities
from amm.perpetual import carry_delta, perpetual_price
from amm.sensitivities import perpetual_sensitivities
from tests.amm.test_perpetual import CAPPED, RATES, UNCAPPED, WIDE
from tests.amm.test_perpetual_domain import DOMAIN
from tests.reference import perpetual as reference
from tests.reference.perpetual import Option, digits_for, steepness

DAY = 1 / 365
WEEK = 7 * DAY
VALID = {"kind": "call", "moneyness": 1.1, "vol": 0.55, "funding_period": WEEK}
DERIVATIVES = {
    "discount_delta": "discount_rate",
    "carry_delta": "carry",
    "period_delta": "funding_period",
}


def exactly(option: Option) -> Sensitivities:
    """Return them as derivatives of the textbook price, in many digits."""
    changes = {name: reference.derivative(option, by) for name, by in DERIVATIVES.items()}
    delta = reference.derivative(option, "moneyness")
    return Sensitivities(reference.value(option) - mpf(option.moneyness) * delta, **changes)


def scales(option: Option) -> Sensitivities:
    """Return the sizes of the terms whose difference a sensitivity is, where it is one.

    In the money forwards cancel where drift outruns vol; at a cap wings do, too; and a longer
    period weighs vol, discount rate and carry against each other.
    """
    x, period, rate, carry = option.moneyness, *option[3:6]
    up = 1 + rate * period
    yielding = up - carry * period
    bare = perpetual_sensitivities(*option._replace(cap=math.inf))
    is_line = math.isfinite(option.cap) or (x > 1) == option.is_call
    line = (
        period * (abs(x - 1) * up**2 + abs(carry) * period * (up + yielding)) / (up * yielding) ** 2
        if is_line
        else 0.0
    )
    by_rate = abs(bare.discount_delta) + line
    by_carry = abs(bare.carry_delta) + (period * x / yielding**2 if is_line else 0.0)
    lines = abs(rate) / up**2 + abs(rate - carry) * x / yielding**2 if is_line else 0.0
    by_period = abs(bare.period_delta) + (abs(rate) * by_rate + abs(carry) * by_carry) / period
    return Sensitivities(
        dual_delta=abs(bare.dual_delta) + (1 / up if is_line else 0.0),
        discount_delta=by_rate,
        carry_delta=by_carry,
        period_delta=by_period + lines,
    )


@given(UNCAPPED | CAPPED | DOMAIN)
def test_they_are_the_derivatives_of_the_value(option: Option) -> None:
    """All four match numerical derivatives of the many-digit value."""
    got, sizes = perpetual_sensitivities(*option), scales(option)
    with digits_for(option):
        for name, mine, exact, size in zip(got._fields, got, exactly(option), sizes, strict=True):
            bound = 2e-14 * steepness(option) * (abs(exact) + size)
            assert abs(mine - exact) <= bound + sys.float_info.min, name


@pytest.mark.parametrize(
    ("option", "strike", "change"),
    [
        (Option(True, 1.0, 0.55, WEEK), 60_000, "-15.47656152"),
        (Option(True, 1.1, 0.55, WEEK), 60_000, "-7.657140371"),
        (Option(False, 0.85, 0.75, 14 * DAY), 3_000, "-1.46975106"),
        (Option(True, 1.0, 0.8, 30 * DAY, 0.05, 0.03), 100, "-0.3358364037"),
        (Option(False, 1.0, 0.8, 30 * DAY, 0.05, 0.03), 100, "-0.3158015476"),
        (Option(True, 1.3, 0.6, WEEK, 0.04, 0.10), 100, "-0.006144830314"),
        (Option(True, 1.0, 0.6, 1000, 0.05, 0.0), 100, "1309.142593"),
        (Option(True, 1.0, 1e-4, WEEK, 0.05, 0.05), 100, "-0.001835472391"),
    ],
    ids=["R01", "R03", "R05", "R06", "R07", "R08", "R14", "R16"],
)
def test_reproduces_published_changes_with_the_funding_rate(
    option: Option, strike: int, change: str
) -> None:
    """The change in USD per 1.00 a year of funding rate, one over the period, to its digits."""
    per_rate = -(option.funding_period**2) * perpetual_sensitivities(*option).period_delta
    assert per_rate * strike == pytest.approx(float(change), rel=2e-9)


@given(UNCAPPED | CAPPED)
def test_they_agree_with_the_price(option: Option) -> None:
    """As price's delta and vega and the carry delta of the pricing kernels have it."""
    got, sizes, price = perpetual_sensitivities(*option), scales(option), perpetual_price(*option)
    tolerance = 1e-13 * steepness(option)
    x = option.moneyness
    dual = price.value - x * price.delta
    allowed = tolerance * (price.value + x * abs(price.delta) + sizes.dual_delta)
    assert abs(got.dual_delta - dual) <= allowed
    carried = carry_delta(*option)
    assert abs(got.carry_delta - carried) <= tolerance * (abs(carried) + sizes.carry_delta)
    scaled = 0.5 * option.vol * price.vega
    scaled += option.discount_rate * got.discount_delta + option.carry * got.carry_delta
    error = abs(got.period_delta - scaled / option.funding_period)
    assert error <= tolerance * (abs(scaled) / option.funding_period + sizes.period_delta)


@given(UNCAPPED)
def test_signs_without_a_cap(option: Option) -> None:
    """A strike further off and discounting cost; carry gains a call and costs a put."""
    got = perpetual_sensitivities(*option)
    side = 1 if option.is_call else -1
    slack = 1e-13 * steepness(option)
    assert side * got.dual_delta <= slack * abs(got.dual_delta)
    sizes = scales(option)
    assert got.discount_delta <= slack * sizes.discount_delta
    assert side * got.carry_delta >= -slack * sizes.carry_delta
    undrifted = option._replace(discount_rate=0.0, carry=0.0)
    assert perpetual_sensitivities(*undrifted).period_delta >= 0.0


@given(UNCAPPED)
def test_a_call_less_a_put_is_the_forward(option: Option) -> None:
    """Its value is x / Y - 1 / R at every moneyness, in the periods of `amm.wings`."""
    call, put = (perpetual_sensitivities(*option._replace(is_call=kind)) for kind in (True, False))
    x, period, rate, carry = option.moneyness, *option[3:6]
    up = 1 + rate * period
    yielding = up - carry * period
    forward = Sensitivities(
        dual_delta=-1 / up,
        discount_delta=period * (1 / up**2 - x / yielding**2),
        carry_delta=period * x / yielding**2,
        period_delta=rate / up**2 - (rate - carry) * x / yielding**2,
    )
    both = zip(call, put, forward, scales(option), strict=True)
    sizes = [abs(one) + abs(other) + size for one, other, _, size in both]
    extra = period * (1 / up**2 + x / yielding**2)
    sizes[1] += extra
    sizes[3] += (abs(rate) + abs(carry)) * extra / period
    for one, other, expected, size in zip(call, put, forward, sizes, strict=True):
        assert abs(one - other - expected) <= 1e-13 * steepness(option) * size


@given(CAPPED, st.floats(1e-4, 1e-3))
def test_a_cap_moves_with_the_strike(option: Option, share: float) -> None:
    """The dual delta is what K v(S / K) changes by where the cap stays the same share of K."""
    got = perpetual_sensitivities(*option)
    with digits_for(option):
        step = mpf(share) * mpf(10) ** -20

        def worth(strike: mpf) -> mpf:
            return strike * reference.value(option._replace(moneyness=option.moneyness / strike))

        change = (worth(1 + step) - worth(1 - step)) / (2 * step)
        assert abs(got.dual_delta - change) <= 1e-9 * (1 + abs(change))


@given(WIDE)
@example(Option(True, 1e6, 1e-4, DAY / 86_400))
@example(Option(False, 1e-6, 50.0, 1000.0))
@example(Option(False, 0.5, 0.5, WEEK, cap=1.0))
@example(Option(False, 1e-3, 0.5, WEEK, cap=math.nextafter(1, 0)))
def test_is_finite_wherever_it_is_defined(option: Option) -> None:
    """No argument in the wide domain gives NaN or infinity."""
    assert all(map(math.isfinite, perpetual_sensitivities(*option)))


@given(UNCAPPED)
def test_a_far_cap_changes_nothing(option: Option) -> None:
    """A put cannot reach a cap of 1, and a call one of 1e300 only at vols beyond belief."""
    assume(not option.is_call or reference.exponents(option)[1] > 1.1)
    bare = perpetual_sensitivities(*option._replace(cap=math.inf))
    cap = 1e300 if option.is_call else 1.0
    assert perpetual_sensitivities(*option._replace(cap=cap)) == bare


@pytest.mark.parametrize(("kind", "moneyness"), [("call", 1.5), ("call", 9.0), ("put", 0.5)])
def test_cashed_out_only_the_strike_matters(kind: str, moneyness: float) -> None:
    """Then K times the cap is what is left, and nothing but K changes it."""
    got = sensitivities(kind, moneyness, 0.55, WEEK, discount_rate=0.02, carry=0.1, cap=0.5)
    assert got == (0.5, 0.0, 0.0, 0.0)


@given(
    st.floats(0.8, 1.25), st.floats(0.3, 1.2), st.floats(-0.8, 0.8), st.sampled_from([None, 0.5])
)
def test_a_quanto_follows_the_carry_delta(
    moneyness: float, vol: float, correlation: float, cap: float | None
) -> None:
    """The value's change with correlation, token vol and vol is made of carry delta and vega."""
    token_vol, step = 0.6, 1e-5

    def worth(kind: str, correlation: float, vol: float, token_vol: float) -> float:
        carry = 0.03 + correlation * vol * token_vol
        return float(amm.value(kind, moneyness, vol, WEEK, carry=carry, cap=cap))

    for kind, sign in (("call", 1), ("put", -1)):
        carry = 0.03 + correlation * vol * token_vol
        got = sensitivities(kind, moneyness, vol, WEEK, carry=carry, cap=cap).carry_delta
        assert sign * got > 0.0
        vega = amm.price(kind, moneyness, vol, WEEK, carry=carry, cap=cap).vega
        at = np.array([correlation, vol, token_vol])
        expected = (
            got * vol * token_vol,
            vega + got * correlation * token_vol,
            got * correlation * vol,
        )
        for shift, change in zip(step * np.eye(3), expected, strict=True):
            bumped = (worth(kind, *(at + shift)) - worth(kind, *(at - shift))) / (2 * step)
            assert bumped == pytest.approx(change, rel=1e-6, abs=1e-9)


def test_without_correlation_a_quanto_is_plain() -> None:
    """Token vol then does nothing, and vega is vega alone; correlation still has its price."""
    vol, token_vol, correlation = 0.55, 0.6, 0.0
    quanto = sensitivities("call", 1.0, vol, WEEK, carry=correlation * vol * token_vol)
    assert quanto == sensitivities("call", 1.0, vol, WEEK)
    assert quanto.carry_delta * correlation * vol == 0.0 < quanto.carry_delta * vol * token_vol


def test_scalars_give_floats() -> None:
    """They are the kernel's, in plain floats: the docstring's and a published quanto's too."""
    got = sensitivities("put", 0.9, 0.55, WEEK, discount_rate=0.01, carry=0.02, cap=0.5)
    assert got == perpetual_sensitivities(False, 0.9, 0.55, WEEK, 0.01, 0.02, 0.5)
    assert all(type(number) is float for number in got)
    shown = sensitivities("call", 1.0, 0.55, WEEK).carry_delta
    assert shown == pytest.approx(0.009976142186574529, rel=1e-14)
    quanto = sensitivities("call", 1.0, 0.55, WEEK, carry=0.1555).carry_delta * 60_000
    assert quanto == pytest.approx(626.15789249546, rel=1e-12)


@given(st.lists(st.tuples(st.floats(0.3, 2), RATES, RATES), min_size=1, max_size=40), st.booleans())
def test_arrays_are_the_scalars_to_the_last_bit(
    rows: list[tuple[float, float, float]], is_capped: bool
) -> None:
    """Every element is that of the broadcast arguments, in vector code too."""
    moneyness, discount_rate, carry = np.array(rows).T
    cap = 0.5 if is_capped else None
    kinds = np.array(["call", "put"])[:, None]
    rates = {"discount_rate": discount_rate, "carry": carry}
    got = sensitivities(kinds, moneyness, 0.7, WEEK, **rates, cap=cap)
    assert {(field.shape, field.dtype) for field in got} == {((2, len(rows)), np.dtype(float))}
    for i, j in np.ndindex(2, len(rows)):
        rates = {"discount_rate": discount_rate[j], "carry": carry[j]}
        one = sensitivities(kinds[i, 0], moneyness[j], 0.7, WEEK, **rates, cap=cap)
        assert tuple(field[i, j] for field in got) == one


@pytest.mark.compiled
@pytest.mark.parametrize("cap", [None, 0.5])
def test_threads_change_nothing(cap: float | None) -> None:
    """Nor does leaving fields out."""
    moneyness = np.linspace(0.4, 1.6, 150_001)
    one = sensitivities("call", moneyness, 0.55, WEEK, carry=0.1, cap=cap, threads=1)
    two = sensitivities("call", moneyness, 0.55, WEEK, carry=0.1, cap=cap, threads=2)
    assert all(map(np.array_equal, one, two))
    only = Sensitivities(None, None, np.empty(moneyness.shape), None)
    assert sensitivities("call", moneyness, 0.55, WEEK, carry=0.1, cap=cap, out=only) is only
    assert np.array_equal(only.carry_delta, one.carry_delta)


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        ("moneyness", 0.0),
        ("moneyness", 1e-320),
        ("vol", -0.5),
        ("vol", 1e-320),
        ("vol", math.inf),
        ("funding_period", 0.0),
        ("discount_rate", -1 / WEEK),
        ("carry", 1 / WEEK),
        ("cap", 0.0),
        *((name, math.nan) for name in ("moneyness", "vol", "discount_rate", "carry", "cap")),
    ],
)
def test_a_number_out_of_range_is_named_or_gives_nan(argument: str, wrong: float) -> None:
    """As a scalar it raises; in an array only its own element is NaN."""
    with pytest.raises(ValueError, match=f"^{argument} must"):
        sensitivities(**VALID | {argument: wrong})
    right = (VALID | {"discount_rate": 0.0, "carry": 0.0, "cap": 0.5})[argument]
    got = sensitivities(**VALID | {argument: [right, wrong]})
    assert all(list(np.isnan(field)) == [False, True] for field in got)


def test_what_price_refuses_is_refused() -> None:
    """A wrong kind, an array that does not fit, and shapes that do not go together."""
    out = Sensitivities._make(np.empty(3) for _ in range(4))._replace(carry_delta=np.empty(4))
    with pytest.raises(ValueError, match=r"out\.carry_delta"):
        sensitivities("call", np.ones(3), 0.55, WEEK, out=out)
    with pytest.raises(ValueError, match=r"^kind must be 'call' or 'put'"):
        sensitivities("straddle", 1.0, 0.55, WEEK)
    with pytest.raises(ValueError, match="shape mismatch"):
        sensitivities("call", [1.0, 1.1], [0.5, 0.6, 0.7], WEEK)
