"""Parameters and terms are checked as a whole before anything reads them."""

import math
from typing import Any

import pytest

from amm.units import AMOUNT_MAX, DAY_MS, HOUR_MS, ONE
from vaults.params import (
    BTC_TERMS,
    ETH_TERMS,
    PARAMETER_RANGES,
    TERM_RANGES,
    ParameterError,
    Parameters,
    Terms,
    validate_parameters,
    validate_terms,
    validate_together,
)
from vaults.rules import make_rules


@pytest.mark.parametrize("name", Parameters._fields)
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, AMOUNT_MAX + 1])
def test_no_parameter_may_be_negative_or_infinite(name: str, value: float) -> None:
    """The message names the parameter."""
    with pytest.raises(ParameterError, match=name):
        validate_parameters(Parameters()._replace(**{name: value}))


@pytest.mark.parametrize("name", Parameters._fields)
def test_every_parameter_has_a_range(name: str) -> None:
    """Both ends are in it, unless something else forbids them; a step beyond is not."""
    least, most = PARAMETER_RANGES[name]
    is_whole = isinstance(Parameters._field_defaults[name], int)
    lower = least - 1 if is_whole else math.nextafter(least, -math.inf)
    higher = most + 1 if is_whole else math.nextafter(most, math.inf)
    for beyond in (lower, higher):
        with pytest.raises(ParameterError, match=f"^{name} is "):
            validate_parameters(Parameters()._replace(**{name: beyond}))
    for value in (least, most):
        try:
            validate_parameters(Parameters()._replace(**{name: value}))
        except ParameterError as error:
            assert "more than" in str(error)  # noqa: PT017


@pytest.mark.parametrize("name", Terms._fields)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_every_term_has_a_range(name: str, value: float) -> None:
    least, most = TERM_RANGES[name]
    for beyond in (value, least - 1, most + 1):
        with pytest.raises(ParameterError, match=f"^{name} is "):
            validate_terms(BTC_TERMS._replace(**{name: beyond}))
    for end in (least, most):
        assert validate_terms(BTC_TERMS._replace(**{name: end}))


def test_what_is_counted_has_no_fraction() -> None:
    """It would be cut off where a record is made of it."""
    with pytest.raises(ParameterError, match=r"^seed is 150000000.5, must be a whole number"):
        validate_parameters(Parameters(seed=1.5 * ONE + 0.5))  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"^cap_ppm is 500000.5, must be a whole number"):
        validate_terms(BTC_TERMS._replace(cap_ppm=500_000.5))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stale_sigmas": 1e15}, "^stale_sigmas is "),
        ({"spread_floor": 1e15}, "^spread_floor is "),
        ({"correlation_spread": 1e15}, "^correlation_spread is "),
        ({"stress_vol": 0.0}, "^stress_vol is "),
        ({"stress_vol": 1e-12}, "^stress_vol is "),
        ({"exit_fee_ppm": 6_001}, "exit_fee_ppm is more than exit_fee_max_ppm"),
        ({"cutoff_ms": DAY_MS + 1}, "cutoff_ms is more than flush_period_ms"),
        ({"keep_reserve_ms": DAY_MS + 1}, "keep_reserve_ms is more than open_reserve_ms"),
        ({"accrual_gap_ms": HOUR_MS + 1}, "accrual_gap_ms is more than keep_reserve_ms"),
    ],
)
def test_combinations_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    """Each rule by itself, on otherwise good parameters."""
    with pytest.raises(ParameterError, match=message):
        validate_parameters(Parameters()._replace(**changes))


@pytest.mark.parametrize(
    ("parameters", "terms"),
    [
        ({}, {"correlation": 1.0, "funding_period_ms": 40 * DAY_MS}),
        ({"token_vol": 3.0}, {"correlation": 0.8}),
        ({"token_vol": 3.0, "correlation_spread": 0.9}, {}),
        (
            {},
            {
                "funding_period_ms": 90 * DAY_MS,
                "funding_carry_e9": -(10**9) // 2,
                "discount_rate_e9": 10**9 // 2,
                "correlation": 0.1,
            },
        ),
    ],
)
def test_carry_cannot_come_near_the_funding_rate(
    parameters: dict[str, Any], terms: dict[str, Any]
) -> None:
    """The dearest correlation that spreads allow for counts, at the greatest vol level."""
    changed, named = Parameters(**parameters), BTC_TERMS._replace(**terms)
    assert validate_parameters(changed)
    assert validate_terms(named)
    with pytest.raises(ParameterError, match=r"^funding_period_ms is too long"):
        validate_together(changed, named)


def test_reserves_are_for_two_funding_periods_at_most() -> None:
    """Premium of a longer time would outgrow the integers that count it."""
    short = BTC_TERMS._replace(funding_period_ms=DAY_MS)
    for name in ("open_reserve_ms", "self_funding_ms"):
        validate_together(Parameters(**{name: 2 * DAY_MS}), short)
        with pytest.raises(ParameterError, match=f"^{name} is more than two"):
            validate_together(Parameters(**{name: 2 * DAY_MS + 1}), short)


def test_the_defaults_are_those_of_the_specification() -> None:
    """A few that everything depends on, by value, and they are valid together."""
    parameters = validate_parameters(Parameters())
    assert (parameters.risk_tolerance, parameters.fee) == (0.10, 3e-4)
    assert (parameters.insurance_backing_ppm, parameters.main_backing_ppm) == (500_000, 250_000)
    assert (parameters.seed, parameters.notional_min) == (ONE, ONE // 100)
    assert (BTC_TERMS.strike_step_e8, ETH_TERMS.strike_step_e8) == (1_000 * ONE, 50 * ONE)
    for terms in (BTC_TERMS, ETH_TERMS):
        assert validate_terms(terms) == terms
        validate_together(parameters, terms)


def test_rules_hold_what_was_given() -> None:
    """One record of parameters, one of terms per underlying; what cannot be is not made."""
    terms = (BTC_TERMS._replace(cap_ppm=123_456), ETH_TERMS)
    rules = make_rules(Parameters(fee=0.001), terms)
    assert rules.parameters[0].fee == 0.001
    assert [int(row.cap_ppm) for row in rules.terms] == [123_456, 500_000]
    assert rules.scenarios.joint.sum() == pytest.approx(1.0)
    with pytest.raises(ParameterError):
        make_rules(Parameters(seed=0), terms)
    with pytest.raises(ParameterError):
        make_rules(Parameters(), (BTC_TERMS, ETH_TERMS._replace(cap_ppm=0)))
