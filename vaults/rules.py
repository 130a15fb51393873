"""The rules of one token in the form the kernels read."""

from typing import NamedTuple

import numpy as np

from amm.bundle import bundle
from amm.kernel import kernel
from amm.mixture import discounting_period
from amm.oracle import buy_vol_e9, is_fresh, realised_vol_e9, sell_vol_e9
from amm.quote import IndexQuality, QuoteRules
from amm.scenarios import Contract, ScenarioSet, scenario_set
from amm.ssvi import FLAT, Ssvi
from amm.surface import SmileTable, make_table
from amm.units import ONE, PPM, YEAR_MS
from vaults.market import Market, is_shape_due
from vaults.params import Parameters, Terms, validate_parameters, validate_terms, validate_together
from vaults.rejects import Refusal, Reject, accepted
from vaults.state import Records, State, record, record_type

E9 = 1e9
_MARK_STALE = Reject.MARK_STALE.value
_NO_FRESH_INDEX = Reject.NO_FRESH_INDEX.value


@bundle
class Rules(NamedTuple):
    """Parameters (one record), terms (one record per underlying), scenario set and smiles.

    `smiles` has the table of each underlying's surface; it changes with the surface.
    """

    parameters: Records
    terms: Records
    scenarios: ScenarioSet
    smiles: tuple[SmileTable, ...]


def make_rules(
    parameters: Parameters, terms: tuple[Terms, ...], shapes: tuple[Ssvi, ...] = (FLAT, FLAT)
) -> Rules:
    """Return validated rules; raises `ParameterError` for what cannot be.

    Args:
        parameters: Of the token.
        terms: Of each underlying.
        shapes: Surface of each underlying, at any level.
    """
    validate_parameters(parameters)
    rows = [tuple(validate_terms(each)) for each in terms]
    for each in terms:
        validate_together(parameters, each)
    return Rules(
        parameters=record(parameters),
        terms=np.array(rows, dtype=record_type(Terms)).view(np.recarray),
        scenarios=scenario_set(),
        smiles=smiles_of(terms, shapes),
    )


def smiles_of(terms: tuple[Terms, ...], shapes: tuple[Ssvi, ...]) -> tuple[SmileTable, ...]:
    """Return the smile of each underlying as its new series need it."""
    return tuple(smile_of(each, shape) for each, shape in zip(terms, shapes, strict=True))


def smile_of(terms: Terms, shape: Ssvi) -> SmileTable:
    """Return the smile of one underlying; raises `amm.surface.SurfaceError` where it has none."""
    period = discounting_period(terms.funding_period_ms / YEAR_MS, terms.discount_rate_e9 / E9)
    return make_table(shape, period)


@kernel
def index_of(market: Market, underlying: int) -> float:
    """Return the index price in USD."""
    return float(market.oracle[underlying].index_e8) / ONE


@kernel
def mark_level(market: Market, underlying: int) -> float:
    """Return the vol level marks and scenarios use."""
    return market.oracle[underlying].mark_vol_e9 / E9


@kernel
def buy_level(market: Market, underlying: int) -> float:
    """Return the level buyers pay at: a re-mark that is known to come cannot be bought before."""
    return buy_vol_e9(market.oracle[underlying], market.rules[0]) / E9


@kernel
def sell_level(market: Market, underlying: int) -> float:
    """Return the level sellers receive at."""
    return sell_vol_e9(market.oracle[underlying]) / E9


@kernel
def carry_at(rules: Rules, underlying: int, level: float) -> float:
    """Return the drift of an underlying in units of the token, quanto term included, at a level."""
    terms = rules.terms[underlying]
    quanto = terms.correlation * level * rules.parameters[0].token_vol
    return terms.funding_carry_e9 / E9 + quanto


@kernel
def carry_of(rules: Rules, market: Market, underlying: int) -> float:
    """Return the drift of an underlying in units of the token, the quanto term included."""
    return carry_at(rules, underlying, mark_level(market, underlying))


@kernel
def mark_is_fresh(market: Market, underlying: int, now_ms: int) -> bool:
    """Whether an underlying can be traded now: on a fresh index, no new surface waiting for it."""
    fresh = is_fresh(market.oracle[underlying], now_ms, market.rules[0])
    return bool(fresh and not is_shape_due(market, underlying, now_ms))


@kernel
def check_fresh(
    state: State, market: Market, underlying: int, fill_after_ms: int, now_ms: int
) -> Refusal:
    """Check that an underlying can be traded now, on an index of `fill_after_ms` or later.

    Who sees the market before the index does gains nothing where that is later than the order. A
    source whose clock is ahead dates its prices later than they came: then the tick's time counts.
    """
    index_ms = int(market.oracle[underlying].index_ms)
    since_ms = min(index_ms, int(state.books[underlying].tick_ms))
    is_usable = mark_is_fresh(market, underlying, now_ms)
    if fill_after_ms > 0 and (since_ms < fill_after_ms or not is_usable):
        return Refusal(_NO_FRESH_INDEX, fill_after_ms, since_ms)
    if not is_usable:
        return Refusal(_MARK_STALE, index_ms, now_ms)
    return accepted()


@kernel
def index_quality(market: Market, underlying: int, now_ms: int) -> IndexQuality:
    """Return how well the index is known now; it moves at the mark vol at least."""
    oracle = market.oracle[underlying]
    moving_e9 = max(oracle.mark_vol_e9, realised_vol_e9(oracle))
    confidence = float(oracle.confidence_e8) / oracle.index_e8
    return IndexQuality(now_ms - oracle.index_ms, confidence, moving_e9 / E9)


@kernel
def quote_rules(rules: Rules) -> QuoteRules:
    """Return the spread and fee schedule."""
    parameters = rules.parameters[0]
    return QuoteRules(
        parameters.stale_sigmas,
        parameters.spread_floor,
        parameters.vol_spread,
        parameters.correlation_spread,
        parameters.fee,
        parameters.fee_of_value,
    )


@kernel
def make_contract(
    rules: Rules,
    market: Market,
    underlying: int,
    is_call: bool,
    strike_e8: int,
    cap_ppm: int,
    funding_period_ms: int,
    discount_rate_e9: int,
) -> Contract:
    """Return a series' terms as the formulas need them."""
    return Contract(
        is_call,
        float(strike_e8) / ONE,
        funding_period_ms / YEAR_MS,
        discount_rate_e9 / E9,
        carry_of(rules, market, underlying),
        cap_ppm / PPM,
    )
