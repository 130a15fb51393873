"""Parameters and terms are checked as a whole before anything reads them."""

import math
from typing import Any

import pytest

from amm.units import AMOUNT_MAX, DAY_MS, MINUTE_MS, ONE, PPM
from vaults.params import (
    BTC_TERMS,
    ETH_TERMS,
    ParameterError,
    Parameters,
    Terms,
    validate_parameters,
    validate_terms,
)
from vaults.rules import make_rules


@pytest.mark.parametrize("name", Parameters._fields)
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, AMOUNT_MAX + 1])
def test_no_parameter_may_be_negative_or_infinite(name: str, value: float) -> None:
    """The message names the parameter."""
    with pytest.raises(ParameterError, match=name):
        validate_parameters(Parameters()._replace(**{name: value}))


@pytest.mark.parametrize(
    "name", [name for name in Parameters._fields if name.endswith("_ppm") and "min" not in name]
)
def test_ratios_are_at_most_one(name: str) -> None:
    """Exactly one is allowed where nothing else forbids it."""
    if name in {"rent_double_share_ppm", "cover_least_ppm"}:
        return  # thresholds: more than all of it means never
    with pytest.raises(ParameterError, match=name):
        validate_parameters(Parameters()._replace(**{name: PPM + 1}))
    if name != "exit_fee_ppm":
        assert validate_parameters(Parameters()._replace(**{name: PPM}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"risk_tolerance": 0.0}, "risk_tolerance"),
        ({"seed": 0}, "seed"),
        ({"accrual_gap_ms": 0}, "accrual_gap_ms"),
        ({"flush_period_ms": 0}, "flush_period_ms"),
        ({"vest_days": 0}, "vest_days"),
        ({"strike_low": 1.5}, "strike_low is more than strike_high"),
        ({"exit_fee_ppm": 6_001}, "exit_fee_ppm is more than exit_fee_max_ppm"),
        ({"cutoff_ms": DAY_MS + 1}, "cutoff_ms is more than flush_period_ms"),
        ({"keep_reserve_ms": DAY_MS + 1}, "keep_reserve_ms is more than open_reserve_ms"),
        ({"accrual_gap_ms": 2 * DAY_MS}, "accrual_gap_ms is more than keep_reserve_ms"),
        ({"rent_from": 1.0}, "below 1"),
        ({"notional_min": 0}, "notional_min"),
        ({"vest_days": 8}, "vest_days"),
        ({"rent_max": 65.0}, "rent_max"),
        ({"box_vol": 0.11}, "box_vol"),
        ({"exit_fee_from": 1.0}, "below 1"),
    ],
)
def test_combinations_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    """Each rule by itself, on otherwise good parameters."""
    with pytest.raises(ParameterError, match=message):
        validate_parameters(Parameters()._replace(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strike_step_e8": 0}, "strike_step_e8"),
        ({"funding_period_ms": MINUTE_MS - 1}, "funding_period_ms"),
        ({"funding_period_ms": 366 * DAY_MS}, "funding_period_ms"),
        ({"cap_ppm": 0}, "cap_ppm"),
        ({"cap_ppm": PPM}, "cap_ppm"),
        ({"correlation": 1.01}, "correlation"),
        ({"correlation": -1.01}, "correlation"),
        ({"discount_rate_e9": 10**9 + 1}, "rates"),
        ({"funding_carry_e9": -(10**9) - 1}, "rates"),
    ],
)
def test_terms_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    """Each limit, a step beyond it."""
    with pytest.raises(ParameterError, match=message):
        validate_terms(BTC_TERMS._replace(**changes))


def test_the_defaults_are_those_of_the_specification() -> None:
    """A few that everything depends on, by value, and the least and greatest terms are valid."""
    parameters = validate_parameters(Parameters())
    assert (parameters.risk_tolerance, parameters.fee) == (0.10, 3e-4)
    assert (parameters.insurance_backing_ppm, parameters.main_backing_ppm) == (500_000, 250_000)
    assert (parameters.seed, parameters.notional_min) == (ONE, ONE // 100)
    assert (BTC_TERMS.strike_step_e8, ETH_TERMS.strike_step_e8) == (1_000 * ONE, 50 * ONE)
    edge = Terms(1, MINUTE_MS, PPM - 1, 10**9, -(10**9), -1.0)
    assert validate_terms(edge) == edge


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
