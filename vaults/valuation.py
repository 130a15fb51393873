"""What the marks say of each series, and of the book they make together.

A tick needs value and premium rate of every live series. Scenario losses, stress and the values
over the valuation window are computed when somebody first asks after a tick.
"""

import math
from typing import NamedTuple

import numpy as np

from amm.kernel import kernel
from amm.perpetual import perpetual_price
from amm.revaluation import SEATS, Shocks, read_losses, revalue, take_seat
from amm.scenarios import (
    MOVES,
    REGIMES,
    UNDERLYINGS,
    Contract,
    contract_value,
    fill_weights,
    potential_change,
)
from amm.surface import Surface, strike_vol
from amm.units import E15, ONE
from vaults.market import Market
from vaults.rules import E9, Rules, index_of, make_contract
from vaults.smile import (
    MEDIAN,
    MEDIAN_DOWN,
    MEDIAN_UP,
    mark_surface,
    shocks_of,
    surface_at,
)
from vaults.state import Floats, Ints, State


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
def rate_of(contract: Contract, index: float, surface: Surface, rent_e15: int) -> Rate:
    """Return value and premium rate of a contract at the mark.

    F = kappa max(v - phi, 0) + rent cap: the pool never pays premium.
    """
    vol = strike_vol(surface, math.log(contract.strike / index))
    assert vol > 0.0
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
    surface = mark_surface(state, rules, market, underlying)
    rent_e15 = state.books[underlying].rent_e15
    rate = rate_of(contract, index_of(market, underlying), surface, rent_e15)
    mark = state.marks[slot]
    mark.value = rate.value
    mark.rate_e15 = rate.rate_e15
    mark.rent_e15 = rate.rent_e15


class WindowBox(NamedTuple):
    """The last hour's marks of one underlying: medians, and the corners around them."""

    middle: float
    index_low: float
    index_high: float
    surface: Surface
    surface_up: Surface
    surface_down: Surface


@kernel
def window_box(state: State, rules: Rules, market: Market, underlying: int) -> WindowBox:
    """Return the box of the valuation window: no narrower than the parameters say."""
    parameters = rules.parameters[0]
    window = market.windows[underlying]
    median = float(window.median_e8) / ONE
    vol, shift = window.median_vol_e9 / E9, parameters.box_vol
    return WindowBox(
        median,
        min(float(window.low_e8) / ONE, median * (1.0 - parameters.box_spot)),
        max(float(window.high_e8) / ONE, median * (1.0 + parameters.box_spot)),
        surface_at(state, rules, market, underlying, MEDIAN, vol),
        surface_at(state, rules, market, underlying, MEDIAN_UP, vol + shift),
        surface_at(state, rules, market, underlying, MEDIAN_DOWN, vol - shift),
    )


@kernel
def value_over_window(
    state: State, rules: Rules, market: Market, box: WindowBox, slot: int
) -> None:
    """Value a series over the box of its underlying's valuation window."""
    ticks = state.books[state.series[slot].underlying].ticks
    mark = state.marks[slot]
    if mark.window_ticks == ticks:
        return
    contract = contract_of(state, rules, market, slot)
    centre = contract_value(contract, box.middle, box.surface)
    corners = (
        contract_value(contract, box.index_low, box.surface_up),
        contract_value(contract, box.index_low, box.surface_down),
        contract_value(contract, box.index_high, box.surface_up),
        contract_value(contract, box.index_high, box.surface_down),
    )
    mark.value_median = centre
    mark.value_low = min(centre, *corners)
    mark.value_high = max(centre, *corners)
    mark.window_ticks = ticks


@kernel
def value_book(state: State, rules: Rules, market: Market) -> None:
    """Bring scenario losses and stress of all live series, and their sum, up to the last ticks."""
    for underlying in range(UNDERLYINGS):
        ticks = state.books[underlying].ticks
        if state.valued[underlying].ticks == ticks:
            continue
        stale = np.empty(SEATS, dtype=np.int64)
        count = _next_stale(state, underlying, 0, stale)
        if count > 0:
            shocks = shocks_of(state, rules, market, underlying)
            while count > 0:
                _value_series(state, rules, market, shocks, stale[:count])
                count = _next_stale(state, underlying, stale[0] + 1, stale)
        _sum_losses(state, underlying)
        state.valued[underlying].ticks = ticks


@kernel
def _next_stale(state: State, underlying: int, first: int, slots: Ints) -> int:
    """Fill the live series, from a row on, whose scenarios are not up to the last tick.

    Only such as are on the same terms as the first of them: they are revalued together.
    """
    ticks = state.books[underlying].ticks
    rows, marks = state.series, state.marks
    count = 0
    for slot in range(first, state.pool[0].series_count):
        series = rows[slot]
        is_live = series.underlying == underlying and series.open_notional > 0
        if not is_live or marks[slot].losses_ticks == ticks:
            continue
        if count > 0 and not _have_same_terms(state, slots[0], slot):
            continue
        slots[count] = slot
        count += 1
        if count == slots.size:
            break
    return count


@kernel
def _have_same_terms(state: State, one: int, other: int) -> bool:
    """Whether two series of an underlying differ in their strikes only."""
    first, second = state.series[one], state.series[other]
    return bool(
        first.is_call == second.is_call
        and first.cap_ppm == second.cap_ppm
        and first.funding_period_ms == second.funding_period_ms
        and first.discount_rate_e9 == second.discount_rate_e9
    )


@kernel
def _value_series(state: State, rules: Rules, market: Market, shocks: Shocks, slots: Ints) -> None:
    """Revalue series on the same terms of the underlying whose states `shocks` has."""
    rows, marks, losses, stress = state.series, state.marks, state.losses, state.stress
    underlying = rows[slots[0]].underlying
    index = index_of(market, underlying)
    for seat in range(slots.size):
        take_seat(shocks, seat, index / (float(rows[slots[seat]].strike_e8) / ONE))
    revalue(shocks, contract_of(state, rules, market, slots[0]), slots.size)
    ticks, scenarios = state.books[underlying].ticks, rules.scenarios
    for seat in range(slots.size):
        read_losses(scenarios, shocks, seat, slots[seat], losses, stress)
        marks[slots[seat]].losses_ticks = ticks


@kernel
def _sum_losses(state: State, underlying: int) -> None:
    """Sum the scenario losses of the open positions on an underlying, in tokens."""
    rows, losses, book = state.series, state.losses, state.book[underlying]
    book[:] = 0.0
    for slot in range(state.pool[0].series_count):
        series = rows[slot]
        if series.underlying == underlying and series.open_notional > 0:
            notional = float(series.open_notional) / ONE
            for regime in range(REGIMES):
                for move in range(MOVES):
                    book[regime, move] += notional * losses[slot, regime, move]


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
    fill_weights(rules.scenarios, state.book, tolerance, underlying, log_weights)
    return potential_change(log_weights, losses, notional, tolerance)
