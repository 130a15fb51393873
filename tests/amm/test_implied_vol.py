"""Implied vols: as near to the vol as the value lets them, and nothing where no vol gives it."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from mpmath import mpf

import amm
from amm.european_vol import european_implied_vol
from amm.perpetual import perpetual_price
from amm.perpetual_vol import capped_implied_vol, uncapped_implied_vol
from tests.reference.perpetual import Option, digits_for, european, forward, steepness, value

HOUR, WEEK = 1 / 8760, 7 / 365
ULPS = 12 * 2.0**-53
VALUE_MIN = 1e-300
CALL, PUT = True, False


def logs(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers whose logarithms are spread evenly."""
    return st.floats(math.log(low), math.log(high)).map(math.exp)


@st.composite
def options(draw: st.DrawFn, years_max: float = 30.0) -> Option:
    """Everything from an hour to decades and from the money to far from it."""
    years = draw(logs(HOUR, years_max))
    rate = 0.8 / max(years, 1.0)
    rates = st.just(0.0) | st.floats(-0.2, 0.2).map(lambda number: rate * number)
    moneyness = math.exp(draw(st.floats(-3, 3)) * draw(st.floats(0, 1)) ** 3)
    vol = draw(logs(0.01, 5))
    return Option(draw(st.booleans()), moneyness, vol, years, draw(rates), draw(rates))


def lost(option: Option, worth: mpf, vega: mpf, fixed: mpf) -> float:
    """Return the relative error of a vol that roundings of the value and its fixed part make."""
    assert vega > 0
    return ULPS * (1 + float((worth + abs(fixed)) / (option.vol * vega)))


@given(options())
@example(Option(CALL, 1.0049, 0.0139865, 7.82717, -0.0274876, -0.0601336))
@example(Option(CALL, 0.2, 0.1, 10 * HOUR))
@example(Option(PUT, 1.0, 5.0, 30.0))
def test_perpetual_vol_is_as_good_as_the_value(option: Option) -> None:
    """From an exact value, the error is a few of the value's roundings."""
    assume(steepness(option) < 1_300)
    with digits_for(option):
        worth = value(option)
        assume(worth > VALUE_MIN)
        vega = mpmath.diff(lambda vol: value(option._replace(vol=vol)), mpf(option.vol))
        is_beyond = (option.moneyness > 1) == option.is_call
        fixed = forward(option, mpf(option.moneyness)) if is_beyond else mpf(0)
        tolerance = lost(option, worth, vega, fixed)
    assume(tolerance < 0.01)
    is_call, moneyness, vol, *terms, _ = option
    assert uncapped_implied_vol(is_call, float(worth), moneyness, *terms) == pytest.approx(
        vol, rel=tolerance, abs=0
    )


@given(options(), st.floats(-1, 1))
@example(Option(PUT, 1.0, 0.3, 1.0), 0.0)
@example(Option(CALL, 1.0, 0.01, HOUR), 36.9)
@example(Option(CALL, 1.0, 2.0, 0.01), -36.9)
@example(Option(CALL, 1.0, 5.0, 30.0), 0.5)
def test_european_vol_is_as_good_as_the_value(option: Option, place: float) -> None:
    """From an exact value, at up to 37 deviations, the error is a few of its roundings."""
    is_call, _, vol, years, discount_rate, carry, _ = option
    deviations = place if abs(place) > 1 else 37 * place**3
    total_vol = vol * math.sqrt(years)
    assume(abs(deviations) * total_vol < 3)
    moneyness = math.exp(deviations * total_vol - carry * years)
    option = option._replace(moneyness=moneyness)
    with mpmath.workdps(700):
        worth = european(option, mpf(years))
        assume(worth > VALUE_MIN)
        d1 = (mpmath.log(moneyness) + mpf(carry) * years) / total_vol + mpf(total_vol) / 2
        growth = mpmath.exp((mpf(carry) - discount_rate) * years)
        vega = moneyness * growth * mpmath.npdf(d1) * mpmath.sqrt(years)
        tolerance = lost(option, worth, vega, mpf(0))
        log_forward = abs(mpmath.log(moneyness) + mpf(carry) * years)
        # What is lost of the forward's log is lost of the vol, far from the money.
        if carry and log_forward:
            tolerance += ULPS * float(abs(mpmath.log(moneyness)) / log_forward)
    assume(tolerance < 0.01)
    got = european_implied_vol(is_call, float(worth), moneyness, years, discount_rate, carry)
    assert got == pytest.approx(vol, rel=tolerance, abs=0)


@given(st.booleans(), logs(0.05, 4), logs(1e-3, 0.3), st.floats(0.01, 0.99), st.floats(0.05, 0.9))
def test_capped_vol_is_as_good_as_the_value(
    is_call: bool, vol: float, years: float, place: float, cap: float
) -> None:
    """Under a cap, without rates, the value rises with vol, so it has one."""
    moneyness = (1 + cap) * place if is_call else 1 - cap + 2 * place
    terms = (years, 0.0, 0.0, cap)
    price = perpetual_price(is_call, moneyness, vol, *terms)
    assume(price.value > VALUE_MIN and price.vega > 0)
    tolerance = 1e-13 * (1 + price.value / (vol * price.vega))
    assume(tolerance < 0.01)
    got = capped_implied_vol(is_call, price.value, moneyness, *terms)
    assert got == pytest.approx(vol, rel=tolerance + 1e-15 * steepness_of(moneyness, vol, years))


def steepness_of(moneyness: float, vol: float, years: float) -> float:
    return steepness(Option(CALL, moneyness, vol, years))


@given(st.booleans(), logs(0.1, 2), logs(1e-3, 0.3), st.floats(0.2, 0.99), st.floats(-0.2, 0.2))
def test_capped_vol_gives_back_the_value(
    is_call: bool, vol: float, years: float, place: float, carry: float
) -> None:
    """With carry the vol found is at least that of the value, on the rising side."""
    moneyness = 1.5 * place if is_call else 0.5 + place
    terms = (years, 0.01, carry, 0.5)
    price = perpetual_price(is_call, moneyness, vol, *terms)
    assume(price.value > VALUE_MIN and price.value < 0.5)
    assume(abs(price.vega) * vol > 1e-6 * price.value)
    got = capped_implied_vol(is_call, price.value, moneyness, *terms)
    again = perpetual_price(is_call, moneyness, got, *terms)
    assert again.value == pytest.approx(
        price.value, rel=1e-12 * steepness_of(moneyness, vol, years)
    )
    assert again.vega >= 0
    assert got >= vol * (1 - 1e-6)


def test_of_two_vols_under_a_cap_the_larger_is_found() -> None:
    """A carry into the barrier makes the value fall with vol before it rises."""
    terms = (WEEK, 0.0, 0.19, 0.5)
    low = perpetual_price(CALL, 1.43, 0.3, *terms)
    assert low.vega < 0
    vol = capped_implied_vol(CALL, low.value, 1.43, *terms)
    high = perpetual_price(CALL, 1.43, vol, *terms)
    assert vol > 1
    assert high.vega > 0
    assert high.value == pytest.approx(low.value, rel=1e-14)
    # Less than the least of all vols has none.
    assert math.isnan(capped_implied_vol(CALL, 0.43, 1.43, *terms))


def test_a_value_that_only_falls_has_its_vol() -> None:
    """A discount rate below 0 makes a value above the cap, to which it falls with vol."""
    terms = (0.48435, -0.0585894, -0.194278, 0.5)
    for vol in (0.04, 0.05, 0.05606):
        price = perpetual_price(PUT, 0.51339, vol, *terms)
        assert price.value > 0.5
        assert price.vega < 0
        got = capped_implied_vol(PUT, price.value, 0.51339, *terms)
        assert got == pytest.approx(vol, rel=1e-14 * (1 + price.value / abs(vol * price.vega)))
    most = perpetual_price(PUT, 0.51339, 0.001, *terms).value
    assert math.isnan(capped_implied_vol(PUT, most + 1e-6, 0.51339, *terms))


def test_of_a_rise_and_a_fall_under_a_cap_the_rise_is_found() -> None:
    """Where the value falls after it has risen, the vol is the one where it rises."""
    terms = (3.0, -0.2, 0.05, 0.5)
    for vol in (0.1, 0.11, 0.12):
        high = perpetual_price(PUT, 0.6, vol, *terms)
        assert high.vega < 0
        found = capped_implied_vol(PUT, high.value, 0.6, *terms)
        low = perpetual_price(PUT, 0.6, found, *terms)
        assert found < 0.092 < vol
        assert low.vega > 0
        assert low.value == pytest.approx(high.value, rel=1e-13)


@given(st.booleans(), logs(0.02, 3), logs(1e-3, 1), st.floats(0.3, 0.99), st.data())
def test_every_value_under_a_cap_has_a_vol(
    is_call: bool, vol: float, years: float, place: float, data: st.DataObject
) -> None:
    """Whatever vol a value comes from and whichever way it goes, some vol gives it."""
    cap = data.draw(st.floats(0.05, 0.9))
    moneyness = (1 + cap) * place if is_call else 1 - cap + (1 - place)
    terms = (years, data.draw(st.floats(-0.1, 0.1)), data.draw(st.floats(-0.3, 0.3)), cap)
    price = perpetual_price(is_call, moneyness, vol, *terms)
    assume(price.value > VALUE_MIN and abs(price.vega) * vol > 1e-3 * price.value)
    got = capped_implied_vol(is_call, price.value, moneyness, *terms)
    again = perpetual_price(is_call, moneyness, got, *terms)
    assert again.value == pytest.approx(price.value, rel=1e-10)


@pytest.mark.parametrize("value", [1e-307, 1e-300, 1e-200])
def test_a_vol_too_small_for_a_price_is_none(value: float) -> None:
    """It is NaN, or refused by the name of the value, and never 0."""
    for function in (amm.implied_vol, amm.european_implied_vol):
        with pytest.raises(ValueError, match=r"^value must"):
            function("call", value, 1.0, 0.02)
        assert np.isnan(function("call", [value], 1.0, 0.02)[0])
        assert function("call", 1e-60, 1.0, 0.02) > 1e-60
    vol = amm.implied_vol("call", 1e-60, 1.0, 0.02)
    assert amm.value("call", 1.0, vol, 0.02) == pytest.approx(1e-60, rel=1e-14)


@pytest.mark.parametrize("moneyness", [0.9, 1.0, 1.1])
def test_call_and_put_have_one_vol(moneyness: float) -> None:
    """Values that differ by the forward come from the same vol."""
    rates = {"discount_rate": 0.02, "carry": 0.05}
    for vol_of, price_of, years in (
        (amm.implied_vol, amm.price, WEEK),
        (amm.european_implied_vol, amm.european_price, 0.25),
    ):
        vols = [
            vol_of(
                kind,
                price_of(kind, moneyness, 0.6, years, **rates).value,
                moneyness,
                years,
                **rates,
            )
            for kind in ("call", "put")
        ]
        assert vols == pytest.approx([0.6, 0.6], rel=1e-13)


@pytest.mark.parametrize("moneyness", [0.8, 1.0, 1.25])
@pytest.mark.parametrize("is_call", [True, False])
def test_at_and_outside_the_bounds_there_is_no_vol(is_call: bool, moneyness: float) -> None:
    """No time value, and all of what can be delivered, are limits that no vol reaches."""
    intrinsic = max(moneyness - 1 if is_call else 1 - moneyness, 0.0)
    most = moneyness if is_call else 1.0
    for kernel in (uncapped_implied_vol, european_implied_vol):
        for wrong in (intrinsic, most, intrinsic - 1e-3, most + 1e-3, -1.0, 1e-310, math.inf):
            if wrong != 1e-310 or intrinsic == 0:
                assert math.isnan(kernel(is_call, wrong, moneyness, WEEK, 0.0, 0.0))
        values = np.linspace(intrinsic, most, 50)[1:-1]
        vols = [kernel(is_call, worth, moneyness, WEEK, 0.0, 0.0) for worth in values]
        assert np.all(np.diff(vols) > 0)
        assert vols[0] > 0


def test_a_drift_to_the_strike_leaves_value_without_vol() -> None:
    """With carry, a perpetual out of the money has a least value above 0, whose vol is 0."""
    least = perpetual_price(CALL, 0.999, 1e-7, 0.5, 0.0, 0.1, math.inf).value
    assert least > 0.01
    assert math.isnan(uncapped_implied_vol(CALL, 0.999 * least, 0.999, 0.5, 0.0, 0.1))
    above = uncapped_implied_vol(CALL, 1.001 * least, 0.999, 0.5, 0.0, 0.1)
    assert 0 < above < 0.1


VALID = {"kind": "call", "value": 0.05, "moneyness": 1.01}
PERPETUAL = VALID | {"funding_period": WEEK, "discount_rate": 0.0, "carry": 0.0, "cap": 0.5}
EUROPEAN = VALID | {"years": 0.1, "discount_rate": 0.0, "carry": 0.0}
WRONG = {
    "value": (0.01, 0.51, -1.0, math.inf),
    "moneyness": (0.0, -1.0, 1e-320, math.inf),
    "funding_period": (0.0, 1e-320, math.inf),
    "years": (0.0, -1.0, 1e-320, math.inf),
    "discount_rate": (-math.inf, math.inf),
    "carry": (-math.inf, math.inf),
    "cap": (0.0, -1.0),
}


@pytest.mark.parametrize(
    ("function", "valid"), [("implied_vol", PERPETUAL), ("european_implied_vol", EUROPEAN)]
)
def test_a_number_out_of_range_is_named_or_gives_nan(
    function: str, valid: dict[str, object]
) -> None:
    """As a scalar it raises; in an array only its own element is NaN."""
    call = getattr(amm, function)
    assert type(call(**valid)) is float
    for argument in [name for name in valid if name != "kind"]:
        for wrong in (math.nan, *WRONG[argument]):
            if function == "european_implied_vol" and (argument, wrong) == ("value", 0.51):
                continue
            with pytest.raises(ValueError, match=f"^{argument} must"):
                call(**valid | {argument: wrong})
            got = call(**valid | {argument: [valid[argument], wrong]})
            assert list(np.isnan(got)) == [False, True]
    with pytest.raises(ValueError, match=r"^kind must be"):
        call(**valid | {"kind": "straddle"})


@given(st.data())
def test_arrays_are_the_scalars(data: st.DataObject) -> None:
    """Every element is the scalar vol of the broadcast arguments, to the last bit."""
    kinds = np.array(["call", "put", "call"])
    moneyness = np.array(data.draw(st.lists(st.floats(0.6, 1.4), min_size=2, max_size=2)))[:, None]
    vols = np.array([0.4, 0.8, 1.2])
    carry = np.array([[0.05], [-0.05]])
    for cap in (None, 0.5):
        values = amm.price(kinds, moneyness, vols, WEEK, carry=carry, cap=cap).value
        got = amm.implied_vol(kinds, values, moneyness, WEEK, carry=carry, cap=cap)
        for i, j in np.ndindex(2, 3):
            is_call, at = kinds[j] == "call", (moneyness[i, 0], WEEK, 0.0, carry[i, 0])
            one = (
                uncapped_implied_vol(is_call, values[i, j], *at)
                if cap is None
                else capped_implied_vol(is_call, values[i, j], *at, cap)
            )
            assert got[i, j] == one or (math.isnan(got[i, j]) and math.isnan(one))
    values = amm.european_value(kinds, moneyness, vols, 0.1)
    got = amm.european_implied_vol(kinds, values, moneyness, 0.1)
    for i, j in np.ndindex(2, 3):
        is_call = kinds[j] == "call"
        one = european_implied_vol(is_call, values[i, j], moneyness[i, 0], 0.1, 0.0, 0.0)
        assert got[i, j] == one or (math.isnan(got[i, j]) and math.isnan(one))


@pytest.mark.compiled
def test_threads_change_nothing() -> None:
    """Many vols are the same to the last bit on one thread and on three, and in `out`."""
    random = np.random.default_rng(3)
    moneyness = random.uniform(0.8, 1.2, 300_000)
    perpetual = amm.price("call", moneyness, 0.6, WEEK).value
    european = amm.european_value("call", moneyness, 0.6, 0.1)
    out = np.empty_like(moneyness)
    for function, values, years in (
        (amm.implied_vol, perpetual, WEEK),
        (amm.european_implied_vol, european, 0.1),
    ):
        one = function("call", values, moneyness, years, threads=1)
        assert function("call", values, moneyness, years, threads=3, out=out) is out
        assert np.array_equal(one, out)
        assert np.abs(one / 0.6 - 1).max() < 1e-11
