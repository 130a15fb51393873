"""What the marks say of each series, and of the book they make together.

A tick needs value and premium rate of every live series. Scenario losses, stress and the values
over the valuation window are computed when somebody first asks after a tick.
"""

import math
from typing import NamedTuple

import numpy as np

from amm.kernel import kernel
from amm.perpetual import perpetual_price
from amm.scenarios import (
    MOVES,
    REGIMES,
    UNDERLYINGS,
    Contract,
    contract_value,
    fill_losses,
    fill_weights,
    potential_change,
    stress_increases,
)
from amm.surface import FlatSurface, strike_vol
from amm.units import E15, ONE
from vaults.market import Market
from vaults.rules import E9, Rules, index_of, make_contract, mark_surface
from vaults.state import Floats, State


@kernel
def contract_of(state: State, rules: Rules, market: Market, slot: int) -> Contract:
    """Return the terms of a listed series as the formulas need them."""
    series = state.series[slot]
    return make_contract(
        rules,
        market,
        series.underlying,
        series.is_call == 1,
        series.strike_e8,
        series.cap_ppm,
        series.funding_period_ms,
        series.discount_rate_e9,
    )


class Rate(NamedTuple):
    """Mark value of one unit and its yearly premium, in 1e-15: the whole, and rent's part."""

    value: float
    rate_e15: int
    rent_e15: int


@kernel
def rate_of(contract: Contract, market: Market, underlying: int, rent_e15: int) -> Rate:
    """Return value and premium rate of a contract at the mark.

    F = kappa max(v - phi, 0) + rent cap: the pool never pays premium.
    """
    index = index_of(market, underlying)
    vol = strike_vol(mark_surface(market, underlying), math.log(contract.strike / index))
    price = perpetual_price(
        contract.is_call,
        index / contract.strike,
        vol,
        contract.funding_period,
        contract.discount_rate,
        contract.carry,
        contract.cap,
    )
    rent = int(math.ceil(rent_e15 * contract.cap))
    stream = int(math.ceil(max(price.premium_rate, 0.0) * E15))
    return Rate(price.value, stream + rent, rent)


@kernel
def mark_series(state: State, rules: Rules, market: Market, slot: int) -> None:
    """Mark one series with what was sampled at its underlying's last tick."""
    underlying = state.series[slot].underlying
    contract = contract_of(state, rules, market, slot)
    rate = rate_of(contract, market, underlying, state.books[underlying].rent_e15)
    mark = state.marks[slot]
    mark.value = rate.value
    mark.rate_e15 = rate.rate_e15
    mark.rent_e15 = rate.rent_e15


@kernel
def value_over_window(state: State, rules: Rules, market: Market, slot: int) -> None:
    """Value a series over the box of the valuation window: its corners and its medians."""
    underlying = state.series[slot].underlying
    ticks = state.books[underlying].ticks
    mark = state.marks[slot]
    if mark.window_ticks == ticks:
        return
    parameters = rules.parameters[0]
    contract = contract_of(state, rules, market, slot)
    window = market.windows[underlying]
    median = float(window.median_e8) / ONE
    vol = window.median_vol_e9 / E9
    low_index = min(float(window.low_e8) / ONE, median * (1.0 - parameters.box_spot))
    high_index = max(float(window.high_e8) / ONE, median * (1.0 + parameters.box_spot))
    centre = contract_value(contract, median, FlatSurface(vol))
    low = high = centre
    for corner in range(4):
        index = low_index if corner < 2 else high_index
        shift = parameters.box_vol if corner % 2 == 0 else -parameters.box_vol
        value = contract_value(contract, index, FlatSurface(vol + shift))
        low = min(low, value)
        high = max(high, value)
    mark.value_median = centre
    mark.value_low = low
    mark.value_high = high
    mark.window_ticks = ticks


@kernel
def value_scenarios(state: State, rules: Rules, market: Market, slot: int) -> None:
    """Bring scenario losses and stress of one series up to its underlying's last tick."""
    underlying = state.series[slot].underlying
    ticks = state.books[underlying].ticks
    if state.marks[slot].losses_ticks == ticks:
        return
    parameters = rules.parameters[0]
    contract = contract_of(state, rules, market, slot)
    index, surface = index_of(market, underlying), mark_surface(market, underlying)
    fill_losses(rules.scenarios, contract, index, surface, state.losses[slot])
    stress_increases(
        contract, index, surface, parameters.stress_move, parameters.stress_vol, state.stress[slot]
    )
    state.marks[slot].losses_ticks = ticks


@kernel
def value_book(state: State, rules: Rules, market: Market) -> None:
    """Bring the scenarios of every live series up to the last ticks."""
    for slot in range(state.pool[0].series_count):
        if state.series[slot].open_notional > 0:
            value_scenarios(state, rules, market, slot)


@kernel
def book_losses(state: State) -> Floats:
    """Return the scenario losses of the whole valued book in tokens."""
    book = np.zeros((UNDERLYINGS, REGIMES, MOVES))
    for slot in range(state.pool[0].series_count):
        series = state.series[slot]
        if series.open_notional > 0:
            notional = float(series.open_notional) / ONE
            losses = book[series.underlying]
            for regime in range(REGIMES):
                for move in range(MOVES):
                    losses[regime, move] += notional * state.losses[slot, regime, move]
    return book


@kernel
def risk_tolerance(state: State, rules: Rules) -> float:
    """Return beta in tokens: a share of the NAV at the last flush, or of the seed before it."""
    parameters = rules.parameters[0]
    reference = max(int(state.pool[0].nav_reference), int(parameters.seed))
    return parameters.risk_tolerance * float(reference) / ONE


@kernel
def base_stress(state: State, extra_underlying: int, extra: Floats, extra_notional: int) -> float:
    """Return the liability increase of the valued book in the base stress, in base units.

    Each underlying moves the way that costs more: the worst of all combinations of directions.

    Args:
        state: The token.
        extra_underlying: Underlying of a position that is about to be added.
        extra: Its increases per unit, index down and up.
        extra_notional: Its notional; 0 for the book as it is.
    """
    total = 0.0
    for underlying in range(UNDERLYINGS):
        down = up = 0.0
        for slot in range(state.pool[0].series_count):
            series = state.series[slot]
            if series.underlying == underlying and series.open_notional > 0:
                down += float(series.open_notional) * state.stress[slot, 0]
                up += float(series.open_notional) * state.stress[slot, 1]
        if underlying == extra_underlying:
            down += float(extra_notional) * extra[0]
            up += float(extra_notional) * extra[1]
        total += max(down, up, 0.0)
    return total


@kernel
def potential_added(
    state: State, rules: Rules, underlying: int, losses: Floats, notional: float
) -> float:
    """Return the change of U by adding `notional` tokens of a series with these losses."""
    tolerance = risk_tolerance(state, rules)
    log_weights = np.empty((REGIMES, MOVES))
    fill_weights(rules.scenarios, book_losses(state), tolerance, underlying, log_weights)
    return potential_change(log_weights, losses, notional, tolerance)
