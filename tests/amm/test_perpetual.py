"""The perpetual option against golden vectors, many-digit twins and its own identities."""

import json
import math
from pathlib import Path

import mpmath
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from mpmath import mpf

from amm.black_scholes import european_price
from amm.perpetual import Price, carry_delta, payoff, perpetual_price, perpetual_value
from tests.reference import perpetual as reference
from tests.reference.perpetual import Option, digits_for, steepness

DAY = 1 / 365
SECOND = DAY / 86_400
VECTORS = Path(__file__).parents[1] / "vectors" / "perpetual_option.json"
ROWS = json.loads(VECTORS.read_text())["rows"]


def log_uniform(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(math.log(low), math.log(high)).map(math.exp)


def exists(option: Option) -> bool:
    """Whether discounting leaves the mixture a comfortable finite mean."""
    rate = 1 / option.funding_period
    growth = option.discount_rate - option.carry
    return min(option.discount_rate, growth) > -0.9 * rate


def is_inside(option: Option) -> bool:
    side = 1 if option.is_call else -1
    return side * option.moneyness < side * (1 + side * option.cap)


@st.composite
def uncapped_options(draw: st.DrawFn) -> Option:
    """Options up to 25 standard deviations from the strike, where floats still hold the price."""
    vol, funding_period = draw(log_uniform(0.01, 5)), draw(log_uniform(30 * SECOND, 30))
    deviations = draw(st.floats(-25, 25) | st.floats(-1, 1) | st.just(0.0))
    moneyness = math.exp(max(-4.0, min(4.0, deviations * vol * math.sqrt(funding_period))))
    return Option(draw(st.booleans()), moneyness, vol, funding_period, draw(RATES), draw(RATES))


RATES = st.floats(-0.2, 0.2) | st.just(0.0)
UNCAPPED = uncapped_options().filter(lambda option: exists(option) and steepness(option) < 300)
CAPPED = st.builds(
    Option,
    is_call=st.booleans(),
    moneyness=log_uniform(math.exp(-4), math.exp(4)) | st.floats(0.9, 1.1) | st.just(1.0),
    vol=log_uniform(0.01, 5),
    funding_period=log_uniform(30 * SECOND, 30),
    discount_rate=RATES,
    carry=RATES,
).filter(exists)
CAPPED = st.builds(
    Option,
    is_call=st.booleans(),
    moneyness=st.floats(0.05, 3) | st.floats(0.9, 1.1) | st.just(1.0),
    vol=log_uniform(0.05, 3),
    funding_period=log_uniform(0.1 * DAY, 2),
    discount_rate=RATES,
    carry=RATES,
    cap=st.floats(0.05, 1.5) | st.just(0.5),
).filter(lambda option: exists(option) and is_inside(option) and steepness(option) < 300)
WIDE = st.builds(
    Option,
    is_call=st.booleans(),
    moneyness=log_uniform(1e-6, 1e6),
    vol=log_uniform(1e-4, 50),
    funding_period=log_uniform(SECOND, 1000),
    discount_rate=RATES,
    carry=RATES,
    cap=log_uniform(0.01, 3) | st.just(math.inf),
).filter(exists)
DRIFTLESS = {"discount_rate": 0.0, "carry": 0.0}


def relative_error(got: float, expected: mpf | str) -> float:
    expected = mpf(expected)
    return float(abs(mpf(got) - expected) / abs(expected)) if expected else abs(got)


def rounding(option: Option) -> float:
    """The relative error that exp and log of floats allow at this option."""
    return 2e-14 * steepness(option)


def forward_scale(option: Option) -> float:
    """The size of the terms that cancel where drift outruns vol."""
    rate = 1 / option.funding_period
    growth = rate + option.discount_rate - option.carry
    drift = abs(option.carry) / (rate + option.discount_rate)
    return (rate + abs(growth - rate)) / growth * (abs(option.moneyness - 1) + drift)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_reproduces_the_golden_vectors(row: dict[str, str]) -> None:
    """Every number of every row holds to 1e-12, those below 1e-20 to 1e-10."""
    option = Option(
        row["kind"] == "call",
        float(row["moneyness"]),
        float(row["vol"]),
        float(mpf(row["funding_period_days"]) / 365),
        float(row["discount_rate"]),
        float(row["carry"]),
        float(row.get("cap", "inf")),
    )
    names = [*Price._fields[:-1], "premium_rate_per_year"]
    for got, name in zip(perpetual_price(*option), names, strict=True):
        tolerance = 1e-10 if 0 < abs(float(row[name])) < 1e-20 else 1e-12
        assert relative_error(got, row[name]) <= tolerance, name


@pytest.mark.parametrize(
    ("option", "strike", "value", "delta", "gamma", "vega", "premium_a_day"),
    [
        (
            Option(True, 1.1, 0.55, 7 * DAY),
            60_000,
            "6288.4561062169939",
            "0.92100641624458",
            "2.2829232275357e-5",
            "1451.8733689905",
            "41.208015173856",
        ),
        (
            Option(False, 0.85, 0.75, 14 * DAY),
            3_000,
            "479.93707119151686",
            "-0.88094466201131",
            "4.2677723649258e-4",
            "102.1826927651",
            "2.1383622279655",
        ),
        (
            Option(True, 1.3, 0.6, 7 * DAY, 0.04, 0.1),
            100,
            "30.26099249804299",
            "0.99668197292425",
            "6.1225134540417e-4",
            "0.32518355858833",
            "0.03728464257757",
        ),
        (
            Option(True, 1.0, 0.6, 1000, 0.05, 0.0),
            100,
            "1.3424572487871718",
            "0.016516207812563",
            "3.8036288715637e-5",
            "1.1886340223636",
            "3.6779650651703e-6",
        ),
    ],
    ids=["R03", "R05", "R08", "R14"],
)
def test_reproduces_published_prices_in_dollars(
    option: Option, strike: int, value: str, delta: str, gamma: str, vega: str, premium_a_day: str
) -> None:
    """A price per unit of strike times the strike is the price in USD."""
    price = perpetual_price(*option)
    assert relative_error(price.value * strike, value) < 1e-12
    assert relative_error(price.delta, delta) < 1e-12
    assert relative_error(price.gamma / strike, gamma) < 1e-12
    assert relative_error(price.vega * strike, vega) < 1e-12
    assert relative_error(price.premium_rate * strike * DAY, premium_a_day) < 1e-12


def test_quanto_drift_reproduces_the_published_sensitivity() -> None:
    """The change with carry of a quanto call on 60,000 USD is the published one."""
    change = carry_delta(True, 1.0, 0.55, 7 * DAY, 0.0, 0.1555, math.inf)
    assert relative_error(change * 60_000, "626.15789249546") < 1e-12


@given(UNCAPPED | CAPPED)
def test_value_and_premium_rate_agree_with_many_digits(option: Option) -> None:
    """They keep their digits, but for those that the drifted forward cancels."""
    price = perpetual_price(*option)
    with digits_for(option):
        value, premium_rate = reference.value(option), reference.premium_rate(option)
        scale = 1e-15 * forward_scale(option)
        assert abs(price.value - value) <= rounding(option) * value + scale
        undrifted = option.discount_rate == option.carry == 0.0
        lost = scale / option.funding_period if not undrifted else 0.0
        uncapped = reference.premium_rate(option._replace(cap=math.inf))
        size = premium_rate if undrifted and _is_beyond(option) else abs(uncapped)
        assert abs(price.premium_rate - premium_rate) <= rounding(option) * size + lost


def _is_beyond(option: Option) -> bool:
    return (option.moneyness > 1) if option.is_call else (option.moneyness < 1)


@given(UNCAPPED | CAPPED)
def test_greeks_are_the_derivatives_of_the_value(option: Option) -> None:
    """Delta, gamma, vega and carry delta match numerical derivatives of the many-digit value."""
    price = perpetual_price(*option)
    bare = perpetual_price(*option._replace(cap=math.inf))
    bare_carry = carry_delta(*option._replace(cap=math.inf))
    with digits_for(option):
        tolerance = rounding(option)
        delta = reference.derivative(option, "moneyness")
        assert abs(price.delta - delta) <= tolerance * (abs(bare.delta) + abs(delta))
        gamma = reference.derivative(option, "moneyness", order=2)
        assert abs(price.gamma - gamma) <= tolerance * (bare.gamma + abs(gamma))
        vega = reference.derivative(option, "vol")
        assert abs(price.vega - vega) <= tolerance * (bare.vega + abs(vega))
        change = reference.derivative(option, "carry")
        error = abs(carry_delta(*option) - change)
        assert error <= tolerance * (abs(bare_carry) + abs(change) + option.funding_period)


@pytest.mark.parametrize(
    "option",
    [
        Option(True, 1.0, 0.55, 7 * DAY),
        Option(False, 0.9, 0.8, 30 * DAY, 0.05, 0.03),
        Option(True, 1.3, 0.6, 7 * DAY, 0.04, 0.1),
        Option(False, 1.2, 1.2, 3 * DAY, 0.0, -0.05),
    ],
)
def test_value_is_the_mean_of_europeans(option: Option) -> None:
    """Quadrature over an exponential expiry gives the closed form."""
    assert relative_error(perpetual_value(*option), reference.mixture(option)) < 1e-12


@pytest.mark.parametrize("per_period", [20, 40])
def test_discrete_settlement_tends_to_the_continuous_price(per_period: int) -> None:
    """Settling n times a period, by a geometric sum of Europeans, differs by about 1 / 2n."""
    step, stop = 7 * DAY / per_period, -math.expm1(-1 / per_period)
    settled = sum(
        stop * (1 - stop) ** (n - 1) * european_price(True, 1.0, 0.6, n * step, 0.0, 0.0).value
        for n in range(1, 40 * per_period)
    )
    continuous = perpetual_value(True, 1.0, 0.6, 7 * DAY, 0.0, 0.0, math.inf)
    assert settled / continuous - 1 == pytest.approx(0.5 / per_period, rel=0.25)


@given(UNCAPPED | CAPPED)
def test_solves_the_pricing_equation(option: Option) -> None:
    """1/2 vol^2 x^2 gamma + carry x delta - discount_rate value = premium rate."""
    price, x = perpetual_price(*option), option.moneyness
    terms = (
        0.5 * option.vol**2 * x**2 * price.gamma,
        option.carry * x * price.delta,
        -option.discount_rate * price.value,
        -price.premium_rate,
    )
    bare = perpetual_price(*option._replace(cap=math.inf))
    scale = sum(map(abs, terms)) + 0.5 * option.vol**2 * x**2 * bare.gamma
    rates = abs(option.carry) + abs(option.discount_rate)
    assert abs(sum(terms)) <= 1e-12 * (scale + rates * forward_scale(option))


@given(UNCAPPED)
def test_call_less_put_is_the_forward(option: Option) -> None:
    """Parity holds, at the strike too."""
    call = option._replace(is_call=True)
    with mpmath.workdps(40):
        forward = reference.forward(call, mpf(option.moneyness))
    gap = perpetual_value(*call) - perpetual_value(*call.put())
    scale = perpetual_value(*call) + perpetual_value(*call.put())
    assert abs(gap - forward) <= rounding(option) * scale + 1e-15 * forward_scale(option)


@given(UNCAPPED)
def test_a_call_is_a_put_seen_from_the_other_side(option: Option) -> None:
    """Exchanging index and strike, and their yields, turns a call into a put."""
    call = option._replace(is_call=True)
    growth = option.discount_rate - option.carry
    put = Option(
        False, 1 / option.moneyness, option.vol, option.funding_period, growth, -option.carry
    )
    mirrored = option.moneyness * perpetual_value(*put)
    down, up = reference.exponents(option)
    inverse_rounding = 4e-16 * float(up - down)
    error = abs(perpetual_value(*call) - mirrored)
    assert error <= (rounding(option) + inverse_rounding) * mirrored + 4e-15 * forward_scale(option)


@given(UNCAPPED | CAPPED)
def test_twice_the_vol_is_a_quarter_of_the_time(option: Option) -> None:
    """Changing the unit of time changes no bit of the value."""
    faster = option._replace(
        vol=2 * option.vol,
        funding_period=option.funding_period / 4,
        discount_rate=4 * option.discount_rate,
        carry=4 * option.carry,
    )
    slow, fast = perpetual_price(*option), perpetual_price(*faster)
    assert (fast.value, fast.delta, fast.gamma) == (slow.value, slow.delta, slow.gamma)
    assert (2 * fast.vega, fast.premium_rate) == (slow.vega, 4 * slow.premium_rate)


@given(UNCAPPED | CAPPED)
def test_price_has_no_step_at_the_strike(option: Option) -> None:
    """One ulp across the strike moves the value and the greeks by rounding only."""
    below, at, above = (
        perpetual_price(*option._replace(moneyness=x))
        for x in (math.nextafter(1, 0), 1.0, math.nextafter(1, 2))
    )
    down, up = reference.exponents(option)
    steep = 1e-14 * float(up - down)
    for side in (below, above):
        assert side.value == pytest.approx(at.value, rel=1e-11, abs=1e-15)
        assert side.delta == pytest.approx(at.delta, abs=1e-11 + steep)
        assert side.gamma == pytest.approx(at.gamma, rel=1e-11 + steep)
        assert side.vega == pytest.approx(at.vega, rel=1e-11 + steep)


@given(CAPPED)
def test_price_has_no_step_at_the_barrier(option: Option) -> None:
    """One ulp inside the barrier is worth the cap, but for rounding."""
    assume(option.is_call or option.cap < 0.95)
    barrier = 1 + option.cap if option.is_call else 1 - option.cap
    inside = perpetual_value(*option._replace(moneyness=math.nextafter(barrier, 1)))
    assert inside == pytest.approx(option.cap, rel=1e-9)


@pytest.mark.parametrize("cap", [0.05, 0.2, 0.25, 0.5])
@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("overshoot", [0.0, 1e-12, 0.3])
def test_is_cashed_out_at_and_beyond_the_barrier(
    is_call: bool, cap: float, overshoot: float
) -> None:
    """There it is the cap in cash: no premium, no sensitivity."""
    moneyness = (1 + cap) * (1 + overshoot) if is_call else (1 - cap) * (1 - overshoot)
    option = Option(is_call, moneyness, 0.55, 7 * DAY, 0.01, 0.05, cap)
    assert perpetual_price(*option) == Price(cap, 0.0, 0.0, 0.0, 0.0)
    assert perpetual_value(*option) == cap
    assert carry_delta(*option) == 0.0


@given(CAPPED)
def test_value_lies_between_payoff_and_cap_without_drift(option: Option) -> None:
    """So the premium rate is never negative, and the value is convex."""
    option = option._replace(**DRIFTLESS)
    price = perpetual_price(*option)
    earned = payoff(option.is_call, option.moneyness, option.cap)
    assert earned <= price.value <= option.cap * (1 + 1e-15)
    assert price.premium_rate >= 0.0
    slack = 1e-12 * perpetual_price(*option._replace(cap=math.inf)).gamma
    assert price.gamma >= -slack


@given(UNCAPPED)
def test_uncapped_price_is_bounded_and_convex(option: Option) -> None:
    """Gamma and vega are not negative, and delta stays between those of 0 and the forward."""
    price = perpetual_price(*option)
    limit = 1 / (1 + (option.discount_rate - option.carry) * option.funding_period)
    assert price.gamma >= 0.0
    assert price.vega >= 0.0
    side = 1 if option.is_call else -1
    assert 0.0 <= side * price.delta <= limit * (1 + 1e-12)
    assert price.value >= -1e-15 * forward_scale(option)


@given(UNCAPPED, st.floats(1e-3, 0.5))
def test_value_is_convex_in_the_moneyness(option: Option, width: float) -> None:
    """A value lies below the chord of its neighbours."""
    x = option.moneyness
    middle = perpetual_value(*option)
    left, right = (
        perpetual_value(*option._replace(moneyness=x * (1 + shift))) for shift in (-width, width)
    )
    assert 2 * middle <= (left + right) * (1 + 1e-12) + 1e-14 * forward_scale(option)


@given(CAPPED)
def test_a_cap_takes_little_and_a_far_one_nothing(option: Option) -> None:
    """Without drift a capped option is worth less than the uncapped one, and tends to it."""
    option = option._replace(**DRIFTLESS)
    bare = perpetual_value(*option._replace(cap=math.inf))
    assert perpetual_value(*option) <= bare * (1 + 1e-12)
    if not option.is_call:
        assert perpetual_value(*option._replace(cap=1.0)) == bare
    far = perpetual_value(*option._replace(is_call=True, cap=1e300))
    assert far == perpetual_value(*option._replace(is_call=True, cap=math.inf))


@given(WIDE)
@example(Option(True, 1e6, 1e-4, SECOND))
@example(Option(False, 1e-6, 50.0, 1000.0))
def test_is_finite_wherever_it_is_defined(option: Option) -> None:
    """No argument in the wide domain gives NaN or infinity."""
    assert all(map(math.isfinite, perpetual_price(*option)))
    assert math.isfinite(carry_delta(*option))


@given(WIDE | CAPPED)
def test_value_alone_is_the_same_to_the_last_bit(option: Option) -> None:
    """The fast kernel and the full one never differ."""
    assert perpetual_value(*option) == perpetual_price(*option).value


def test_limits() -> None:
    """No time leaves the payoff, no vol the drifted payoff, all time the index itself."""
    assert perpetual_value(True, 1.1, 0.5, 1e-12, 0.0, 0.0, math.inf) == pytest.approx(0.1)
    assert perpetual_value(False, 1.1, 0.5, 1e-12, 0.0, 0.0, math.inf) == 0.0
    # Certain growth at rate b from the strike: the mean of exp(bt) - 1 over the expiry.
    grown = perpetual_value(True, 1.0, 1e-6, 0.5, 0.0, 0.1, math.inf)
    assert grown == pytest.approx(0.05 / 0.95, rel=1e-9)
    assert perpetual_value(False, 1.0, 1e-6, 0.5, 0.0, 0.1, math.inf) < 1e-9
    assert perpetual_value(True, 0.7, 1.0, 1e9, 0.0, 0.0, math.inf) == pytest.approx(0.7)
    assert perpetual_value(False, 0.7, 1.0, 1e9, 0.0, 0.0, math.inf) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("is_call", "moneyness", "cap", "earned"),
    [
        (True, 1.2, 0.5, 0.2),
        (True, 0.8, 0.5, 0.0),
        (True, 1.7, 0.5, 0.5),
        (True, 1.7, math.inf, 0.7),
        (False, 0.8, 0.5, 0.2),
        (False, 1.2, 0.5, 0.0),
        (False, 0.3, 0.5, 0.5),
    ],
)
def test_payoff_is_the_capped_distance(
    is_call: bool, moneyness: float, cap: float, earned: float
) -> None:
    """It is 0 before the strike and at most the cap."""
    assert payoff(is_call, moneyness, cap) == pytest.approx(earned, abs=1e-15)


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize(
    "changed",
    [
        {"moneyness": 0.0},
        {"moneyness": -1.0},
        {"moneyness": math.inf},
        {"vol": 0.0},
        {"vol": -0.5},
        {"vol": math.inf},
        {"funding_period": 0.0},
        {"funding_period": -1.0},
        {"funding_period": math.inf},
        {"discount_rate": -1 / (7 * DAY)},
        {"carry": 1 / (7 * DAY)},
        {"cap": 0.0},
        {"cap": -0.5},
        *({name: math.nan} for name in Option._fields[1:]),
    ],
    ids=str,
)
def test_arguments_out_of_range_give_nan(is_call: bool, changed: dict[str, float]) -> None:
    """Each one alone makes every number NaN, beyond the barrier too."""
    option = Option(is_call, 1.6 if is_call else 0.4, 0.55, 7 * DAY, 0.0, 0.0, 0.5)
    assert not math.isnan(perpetual_value(*option))
    option = option._replace(**changed)
    assert all(map(math.isnan, perpetual_price(*option)))
    assert math.isnan(perpetual_value(*option))
    assert math.isnan(carry_delta(*option))
