"""What the operator sets: the parameters of one token's pools and of its underlyings."""

from collections.abc import Mapping
from typing import NamedTuple

from amm.units import AMOUNT_MAX, DAY_MS, HOUR_MS, MINUTE_MS, ONE, PPM, SECOND_MS, YEAR_MS
from vaults.market import WINDOW_MINUTES
from vaults.state import ADVANCE_LOTS, VEST_LOTS

SUPPLY_MAX = AMOUNT_MAX // 64
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
    stress_share_ppm: int = 250_000
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
    measure_ms: int = MINUTE_MS
    # Exit.
    exit_fee_ppm: int = 1_000
    exit_fee_max_ppm: int = 6_000
    exit_fee_from: float = 0.6
    free_locked_ppm: int = 800_000
    free_stress: float = 1.25
    stressed_share_ppm: int = 200_000
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
    repay_share_ppm: int = 500_000
    write_off_days: int = 90
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


class Range(NamedTuple):
    """What one number may be, both ends included."""

    least: float
    most: float


_RATIO = Range(0, PPM)

PARAMETER_RANGES: Mapping[str, Range] = {
    # A thousandth of the NAV: dearer than any size. A million times it: no impact at all.
    "risk_tolerance": Range(0.001, 1e6),
    # The dust that makes a share price no attacker's; two seeds leave half of custody's room.
    "seed": Range(ONE // 100, SUPPLY_MAX // 4),
    "token_vol": Range(0.0, 3.0),
    "stale_sigmas": Range(0.0, 5.0),
    "spread_floor": Range(0.0, 0.02),
    "vol_spread": Range(0.0, 0.10),
    "correlation_spread": Range(0.0, 1.0),
    "fee": Range(0.0, 0.02),
    "fee_of_value": Range(0.0, 0.5),
    # None takes no openings; every tick goes through all of them.
    "series_live_max": Range(0, 4_096),
    "series_share_ppm": _RATIO,
    "account_share_ppm": _RATIO,
    "notional_min": Range(ONE // 100_000, SUPPLY_MAX // 4),
    "total_min_ppm": _RATIO,
    "strike_low": Range(0.10, 1.0),
    "strike_high": Range(1.0, 5.0),
    "stress_share_ppm": _RATIO,
    "rent_from": Range(0.0, 0.99),
    "rent_max": Range(0.0, 10.0),
    # More than all shares wait: never.
    "rent_double_share_ppm": Range(0, 2 * PPM),
    "rent_double_flushes": Range(0, 366),
    "insurance_backing_ppm": _RATIO,
    "main_backing_ppm": _RATIO,
    # Prices come every few seconds, so a shorter gap would be one after every tick.
    "accrual_gap_ms": Range(SECOND_MS, DAY_MS),
    "open_reserve_ms": Range(SECOND_MS, 30 * DAY_MS),
    "keep_reserve_ms": Range(SECOND_MS, 30 * DAY_MS),
    "self_funding_ms": Range(SECOND_MS, 30 * DAY_MS),
    "window_marks_min": Range(0, WINDOW_MINUTES),
    "box_spot": Range(0.0, 0.10),
    # Less than the least vol level there is, 0.05: the box's lower corner has a vol.
    "box_vol": Range(0.0, 0.04),
    "unsettled_move": Range(0.0, 1.0),
    "vest_days": Range(1, VEST_LOTS - 1),
    "stress_move": Range(0.01, 0.90),
    # A base stress in which vol falls to half is none; at nothing there is no price.
    "stress_vol": Range(0.5, 5.0),
    # 0: profit and loss is not told apart by its causes.
    "measure_ms": Range(0, 7 * DAY_MS),
    "exit_fee_ppm": Range(0, PPM // 10),
    "exit_fee_max_ppm": Range(0, PPM // 10),
    "exit_fee_from": Range(0.0, 0.99),
    "free_locked_ppm": _RATIO,
    "free_stress": Range(0.0, 10.0),
    "stressed_share_ppm": _RATIO,
    # Up to a century: a pool that is not flushed.
    "flush_period_ms": Range(SECOND_MS, 100 * YEAR_MS),
    "flush_offset_ms": Range(0, 7 * DAY_MS),
    "cutoff_ms": Range(0, 7 * DAY_MS),
    "postpone_ms": Range(MINUTE_MS, DAY_MS),
    "insurance_reserve_ppm": _RATIO,
    "cover_epoch_ppm": _RATIO,
    "cover_layer_ppm": _RATIO,
    "cover_deductible_ppm": _RATIO,
    # More than all of main: cover is never charged for.
    "cover_least_ppm": Range(0, 2 * PPM),
    "cover_period_flushes": Range(1, 366),
    "repay_share_ppm": _RATIO,
    "write_off_days": Range(1, ADVANCE_LOTS - 2),
    "cooldown_ms": Range(0, 366 * DAY_MS),
}

TERM_RANGES: Mapping[str, Range] = {
    # A ladder as fine as a dollar, as coarse as the index itself.
    "strike_step_e8": Range(ONE, 100_000 * ONE),
    # Shorter, premium outgrows the integers that count it; longer, carry outruns it.
    "funding_period_ms": Range(DAY_MS, 90 * DAY_MS),
    "cap_ppm": Range(PPM // 20, PPM * 9 // 10),
    "discount_rate_e9": Range(-500 * PPM, 500 * PPM),
    "funding_carry_e9": Range(-500 * PPM, 500 * PPM),
    "correlation": Range(-1.0, 1.0),
}

_ORDERED = (
    ("exit_fee_ppm", "exit_fee_max_ppm"),
    ("cutoff_ms", "flush_period_ms"),
    ("keep_reserve_ms", "open_reserve_ms"),
    ("accrual_gap_ms", "keep_reserve_ms"),
)


def validate_parameters(parameters: Parameters) -> Parameters:
    """Return the parameters, or raise `ParameterError` naming the first that cannot be."""
    _validate_each(parameters._asdict(), PARAMETER_RANGES, Parameters.__annotations__)
    for low, high in _ORDERED:
        if getattr(parameters, low) > getattr(parameters, high):
            raise ParameterError(f"{low} is more than {high}")
    return parameters


def validate_terms(terms: Terms) -> Terms:
    """Return the terms, or raise `ParameterError` naming the first that cannot be."""
    _validate_each(terms._asdict(), TERM_RANGES, Terms.__annotations__)
    return terms


def _validate_each(
    given: Mapping[str, float], ranges: Mapping[str, Range], kinds: Mapping[str, type]
) -> None:
    """Raise for a number that is out of its own range, or has a fraction and may have none."""
    for name, value in given.items():
        least, most = ranges[name]
        if not least <= value <= most:  # NaN is not within either
            raise ParameterError(f"{name} is {value}, must be from {least} to {most}")
        if kinds[name] is int and value != int(value):
            raise ParameterError(f"{name} is {value}, must be a whole number")


def validate_together(parameters: Parameters, terms: Terms) -> None:
    """Raise `ParameterError` where discount and carry could come near the funding rate.

    A value exists while kappa + r and kappa + r - b are positive. It is no multiple of the payoff
    while both are half of kappa at least, and so is what an uncertain correlation can be charged.
    """
    funding_rate = YEAR_MS / terms.funding_period_ms
    uncertain = abs(terms.correlation) + parameters.correlation_spread
    quanto = uncertain * VOL_MAX * parameters.token_vol
    pull = (abs(terms.discount_rate_e9) + abs(terms.funding_carry_e9)) / 1e9 + quanto
    if pull > funding_rate / 2.0:
        raise ParameterError(
            "funding_period_ms is too long for discount_rate_e9, funding_carry_e9, token_vol, "
            "correlation and correlation_spread"
        )
    for name in ("open_reserve_ms", "self_funding_ms"):
        if getattr(parameters, name) > 2 * terms.funding_period_ms:
            raise ParameterError(f"{name} is more than two funding_period_ms")
