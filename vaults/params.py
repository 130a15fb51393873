"""What the operator sets: the parameters of one token's pools and of its underlyings."""

import math
from typing import NamedTuple

from amm.units import AMOUNT_MAX, DAY_MS, HOUR_MS, MINUTE_MS, ONE, PPM, YEAR_MS
from vaults.state import VEST_LOTS

SUPPLY_MAX = (AMOUNT_MAX + 1) // 64
"""Custody of a token is let grow up to here, so that a split cannot overflow."""
VOL_MAX = 10.0
"""The vol level up to which terms must price."""


class ParameterError(ValueError):
    """A set of parameters that cannot be used; the message names the parameter."""


class Parameters(NamedTuple):
    """The rules of one token, as numbers; a record of these is what the kernels read.

    Units: none = base units of the token, `_ppm` millionths, `_ms` milliseconds, `_e9` 1e-9;
    floats are ratios or volatilities per square root of a year. The groups are: what is charged,
    limits on opening, rent, backing, premium streams, valuation, exit, flush, insurance.
    """

    # What is charged.
    risk_tolerance: float = 0.10
    seed: int = ONE
    token_vol: float = 0.6
    stale_sigmas: float = 3.0
    spread_floor: float = 1e-4
    vol_spread: float = 0.005
    correlation_spread: float = 0.10
    fee: float = 3e-4
    fee_of_value: float = 0.125
    # Limits on opening.
    series_live_max: int = 256
    series_share_ppm: int = 250_000
    account_share_ppm: int = 100_000
    notional_min: int = ONE // 100
    total_min_ppm: int = 500
    strike_low: float = 0.70
    strike_high: float = 1.40
    stress_share_ppm: int = 700_000
    # Rent of locked capital.
    rent_from: float = 0.5
    rent_max: float = 0.75
    rent_double_share_ppm: int = 50_000
    rent_double_flushes: int = 3
    # What backs the locks.
    insurance_backing_ppm: int = 500_000
    main_backing_ppm: int = 250_000
    # Premium streams.
    accrual_gap_ms: int = MINUTE_MS
    open_reserve_ms: int = DAY_MS
    keep_reserve_ms: int = HOUR_MS
    self_funding_ms: int = DAY_MS
    # Valuation.
    window_marks_min: int = 30
    box_spot: float = 5e-4
    box_vol: float = 0.01
    unsettled_move: float = 0.01
    vest_days: int = 5
    stress_move: float = 0.30
    stress_vol: float = 1.5
    # Exit.
    exit_fee_ppm: int = 1_000
    exit_fee_max_ppm: int = 6_000
    exit_fee_from: float = 0.6
    free_locked_ppm: int = 800_000
    free_stress: float = 1.25
    # Flush.
    flush_period_ms: int = DAY_MS
    flush_offset_ms: int = 10 * HOUR_MS
    cutoff_ms: int = HOUR_MS
    postpone_ms: int = HOUR_MS
    # Insurance.
    insurance_reserve_ppm: int = 300_000
    cover_epoch_ppm: int = 500_000
    cover_layer_ppm: int = 250_000
    cover_deductible_ppm: int = 50_000
    cover_least_ppm: int = 10_000
    cover_period_flushes: int = 7
    cooldown_ms: int = 10 * DAY_MS


class Terms(NamedTuple):
    """The terms new series of one underlying get; fixed for the life of a series.

    Attributes:
        strike_step_e8: Distance of strikes on the ladder, 1e-8 USD.
        funding_period_ms: Time over which a holder pays the time value once.
        cap_ppm: Payoff limit per unit of notional.
        discount_rate_e9: Yield of the token per year.
        funding_carry_e9: Carry of the underlying per year, without the quanto term.
        correlation: Of the underlying and the token; times both vols it is the quanto term.
    """

    strike_step_e8: int
    funding_period_ms: int = 7 * DAY_MS
    cap_ppm: int = PPM // 2
    discount_rate_e9: int = 0
    funding_carry_e9: int = 0
    correlation: float = 0.0


BTC_TERMS = Terms(strike_step_e8=1_000 * ONE)
ETH_TERMS = Terms(strike_step_e8=50 * ONE)

_RATIOS_UP_TO_ONE = (
    "series_share_ppm",
    "account_share_ppm",
    "stress_share_ppm",
    "insurance_backing_ppm",
    "main_backing_ppm",
    "exit_fee_ppm",
    "exit_fee_max_ppm",
    "free_locked_ppm",
    "insurance_reserve_ppm",
    "cover_epoch_ppm",
    "cover_layer_ppm",
    "cover_deductible_ppm",
)


_BOUNDS = (
    ("vest_days", VEST_LOTS - 1),
    ("rent_max", 64.0),
    ("box_vol", 0.04),
    ("seed", SUPPLY_MAX // 2),
    ("token_vol", 10.0),
    ("vol_spread", 1.0),
    ("free_stress", 100.0),
    ("stress_vol", 100.0),
    ("stress_move", 0.9),
)
"""What the state, or the arithmetic, has room for."""


_ORDERED = (
    ("strike_low", "strike_high"),
    ("exit_fee_ppm", "exit_fee_max_ppm"),
    ("cutoff_ms", "flush_period_ms"),
    ("keep_reserve_ms", "open_reserve_ms"),
    ("accrual_gap_ms", "keep_reserve_ms"),
)


def validate_parameters(parameters: Parameters) -> Parameters:
    """Return the parameters, or raise `ParameterError` naming the first that cannot be."""
    _validate_each(parameters)
    for low, high in _ORDERED:
        if getattr(parameters, low) > getattr(parameters, high):
            raise ParameterError(f"{low} is more than {high}")
    if not parameters.rent_from < 1.0 or not parameters.exit_fee_from < 1.0:
        raise ParameterError("rent_from and exit_fee_from must be below 1")
    return parameters


def _validate_each(parameters: Parameters) -> None:
    """Raise for a parameter that is out of its own range."""
    for name, value in parameters._asdict().items():
        if not (math.isfinite(value) and 0 <= value <= AMOUNT_MAX):
            raise ParameterError(f"{name} is {value}, must be a finite number >= 0")
    for name in _RATIOS_UP_TO_ONE:
        if getattr(parameters, name) > PPM:
            raise ParameterError(f"{name} is {getattr(parameters, name)}, must be <= {PPM}")
    for name in (
        "risk_tolerance",
        "seed",
        "notional_min",
        "accrual_gap_ms",
        "flush_period_ms",
        "vest_days",
        "cover_period_flushes",
    ):
        if getattr(parameters, name) == 0:
            raise ParameterError(f"{name} must be positive")
    for name, most in _BOUNDS:
        if getattr(parameters, name) > most:
            raise ParameterError(f"{name} is {getattr(parameters, name)}, must be <= {most}")


def validate_terms(terms: Terms) -> Terms:
    """Return the terms, or raise `ParameterError` naming the first that cannot be."""
    if terms.strike_step_e8 <= 0:
        raise ParameterError("strike_step_e8 must be positive")
    if not MINUTE_MS <= terms.funding_period_ms <= 365 * DAY_MS:
        raise ParameterError("funding_period_ms must be between a minute and a year")
    if not 0 < terms.cap_ppm < PPM:
        raise ParameterError("cap_ppm must be between 0 and 1000000, both excluded")
    if not -1.0 <= terms.correlation <= 1.0:  # NaN is not within either
        raise ParameterError("correlation must be between -1 and 1")
    if abs(terms.discount_rate_e9) > PPM * 1_000 or abs(terms.funding_carry_e9) > PPM * 1_000:
        raise ParameterError("rates must be within +-100 % a year")
    return terms


def validate_together(parameters: Parameters, terms: Terms) -> None:
    """Raise `ParameterError` where discount and carry could outrun the funding rate.

    A value exists while kappa + r and kappa + r - b are positive.
    """
    funding_rate = YEAR_MS / terms.funding_period_ms
    quanto = abs(terms.correlation) * VOL_MAX * parameters.token_vol
    pull = (abs(terms.discount_rate_e9) + abs(terms.funding_carry_e9)) / 1e9 + quanto
    if funding_rate <= pull:
        raise ParameterError("funding_period_ms is too long for the carry and correlation")
