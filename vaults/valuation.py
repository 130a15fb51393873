"""What the marks say of each series, and of the book they make together.

A tick needs value and premium rate of every live series. Scenario losses, stress and the values
over the valuation window are computed when somebody first asks after a tick.
"""

import math
from typing import NamedTuple

from amm.elementary import log
from amm.kernel import kernel, lending_kernel
from amm.lanes import LANES, enter, premium_rate_in, price_lanes, value_in
from amm.perpetual import perpetual_price
from amm.revaluation import SEATS, read_losses, revalue, take_seat
from amm.scenarios import (
    MOVES,
    REGIMES,
    UNDERLYINGS,
    Contract,
    fill_weights,
    potential_change,
)
from amm.surface import Surface, strike_vol
from amm.units import E15, ONE, PPM
from vaults.market import Market
from vaults.rules import E9, Rules, index_of, make_contract, mark_level
from vaults.smile import (
    MARK,
    MEDIAN,
    MEDIAN_DOWN,
    MEDIAN_UP,
    fill_states,
    mark_surface,
    surface_at,
)
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
def rate_of(contract: Contract, index: float, surface: Surface, rent_e15: int) -> Rate:
    """Return value and premium rate of a contract at the mark."""
    price = perpetual_price(
        contract.is_call,
        index / contract.strike,
        strike_vol(surface, log(contract.strike / index)),
        contract.funding_period,
        contract.discount_rate,
        contract.carry,
        contract.cap,
    )
    return rate_at(price.value, price.premium_rate, contract.cap, rent_e15)


@kernel
def rate_at(value: float, premium_rate: float, cap: float, rent_e15: int) -> Rate:
    """Return value and premium rate of a priced contract.

    F = kappa max(v - phi, 0) + rent cap: the pool never pays premium.
    """
    assert value >= 0.0
    rent = int(math.ceil(rent_e15 * cap))
    stream = int(math.ceil(max(premium_rate, 0.0) * E15))
    return Rate(value, stream + rent, rent)


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


@kernel
def price_live(
    state: State, rules: Rules, market: Market, underlying: int, first: int
) -> tuple[int, int]:
    """Price live series of an underlying at its mark: as many as there are lanes.

    Args:
        state: The token; its scratch's slots get the series, its lanes their prices.
        rules: Of the token.
        market: Its marks.
        underlying: Of the series.
        first: Where in the list of live series to begin.

    Returns:
        Where in that list to go on, and how many were priced.
    """
    index, surface = index_of(market, underlying), mark_surface(state, rules, market, underlying)
    live, lanes, slots = state.live, state.scratch.lanes, state.scratch.slots
    place, count = first, 0
    while place < state.pool[0].live_series and count < LANES:
        slot = live[place]
        if state.series[slot].underlying == underlying:
            enter(lanes, count, contract_of(state, rules, market, slot), index, surface, MARK)
            slots[count] = slot
            count += 1
        place += 1
    price_lanes(lanes, count, state.surfaces[underlying])
    return place, count


@kernel
def rate_in(state: State, lane: int, rent_e15: int) -> Rate:
    """Return value and premium rate of a series that has just been priced."""
    lanes, slots = state.scratch.lanes, state.scratch.slots
    cap = state.series[slots[lane]].cap_ppm / PPM
    return rate_at(value_in(lanes, lane), premium_rate_in(lanes, lane), cap, rent_e15)


_CORNERS = 5
"""Of a box, its middle included."""


class WindowBox(NamedTuple):
    """The last hour's marks of one underlying: medians, and the corners around them."""

    middle: float
    place: int
    index_low: float
    index_high: float
    surface: Surface
    surface_up: Surface
    surface_down: Surface


@lending_kernel
def window_box(state: State, rules: Rules, market: Market, underlying: int) -> WindowBox:
    """Return the box of the valuation window: no narrower than the parameters say."""
    parameters = rules.parameters[0]
    window = market.windows[underlying]
    median = float(window.median_e8) / ONE
    vol, shift = window.median_vol_e9 / E9, parameters.box_vol
    place = MARK if vol == mark_level(market, underlying) else MEDIAN
    return WindowBox(
        median,
        place,
        min(float(window.low_e8) / ONE, median * (1.0 - parameters.box_spot)),
        max(float(window.high_e8) / ONE, median * (1.0 + parameters.box_spot)),
        surface_at(state, rules, market, underlying, place, vol),
        surface_at(state, rules, market, underlying, MEDIAN_UP, vol + shift),
        surface_at(state, rules, market, underlying, MEDIAN_DOWN, vol - shift),
    )


@kernel
def value_over_window(state: State, rules: Rules, market: Market, underlying: int) -> None:
    """Value every live series of an underlying over the box of its valuation window."""
    ticks, live, slots = state.books[underlying].ticks, state.live, state.scratch.slots
    box = window_box(state, rules, market, underlying)
    count = 0
    for place in range(state.pool[0].live_series):
        slot = live[place]
        if state.series[slot].underlying != underlying or state.marks[slot].window_ticks == ticks:
            continue
        slots[count] = slot
        count += 1
        if count == LANES // _CORNERS:
            _value_in_boxes(state, rules, market, box, count)
            count = 0
    _value_in_boxes(state, rules, market, box, count)


@kernel
def _value_in_boxes(state: State, rules: Rules, market: Market, box: WindowBox, count: int) -> None:
    """Value the series in the first `count` of the scratch's slots, all of one underlying."""
    if count == 0:
        return
    lanes, slots = state.scratch.lanes, state.scratch.slots
    underlying = state.series[slots[0]].underlying
    for each in range(count):
        contract, lane = contract_of(state, rules, market, slots[each]), each * _CORNERS
        enter(lanes, lane, contract, box.middle, box.surface, box.place)
        enter(lanes, lane + 1, contract, box.index_low, box.surface_up, MEDIAN_UP)
        enter(lanes, lane + 2, contract, box.index_low, box.surface_down, MEDIAN_DOWN)
        enter(lanes, lane + 3, contract, box.index_high, box.surface_up, MEDIAN_UP)
        enter(lanes, lane + 4, contract, box.index_high, box.surface_down, MEDIAN_DOWN)
    price_lanes(lanes, count * _CORNERS, state.surfaces[underlying])
    for each in range(count):
        mark = state.marks[slots[each]]
        low = high = value_in(lanes, each * _CORNERS)
        mark.value_median = low
        for corner in range(1, _CORNERS):
            value = value_in(lanes, each * _CORNERS + corner)
            low, high = min(low, value), max(high, value)
        mark.value_low = low
        mark.value_high = high
        mark.window_ticks = state.books[underlying].ticks


@kernel
def value_book(state: State, rules: Rules, market: Market) -> None:
    """Bring scenario losses and stress of all live series, and their sum, up to the last ticks."""
    for underlying in range(UNDERLYINGS):
        ticks = state.books[underlying].ticks
        if state.valued[underlying].ticks == ticks:
            continue
        first, count = _next_stale(state, underlying, 0)
        if count > 0:
            fill_states(state, rules, market, underlying)
        while count > 0:
            _value_series(state, rules, market, count)
            first, count = _next_stale(state, underlying, first + 1)
        _sum_losses(state, underlying)
        state.valued[underlying].ticks = ticks


@kernel
def _next_stale(state: State, underlying: int, first: int) -> tuple[int, int]:
    """Fill the scratch's slots with live series whose scenarios are not up to the last tick.

    Only such as are on the same terms as the first of them: they are revalued together.

    Args:
        state: The token.
        underlying: Of the series.
        first: Where in the list of live series to begin.

    Returns:
        Where the first of them is in that list, and how many there are.
    """
    ticks = state.books[underlying].ticks
    rows, marks, live, slots = state.series, state.marks, state.live, state.scratch.slots
    begin, count = first, 0
    for place in range(first, state.pool[0].live_series):
        slot = live[place]
        if rows[slot].underlying != underlying or marks[slot].losses_ticks == ticks:
            continue
        if count > 0 and not _have_same_terms(state, slots[0], slot):
            continue
        if count == 0:
            begin = place
        slots[count] = slot
        count += 1
        if count == SEATS:
            break
    return begin, count


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
def _value_series(state: State, rules: Rules, market: Market, count: int) -> None:
    """Revalue the first `count` of the scratch's slots, on the same terms of one underlying."""
    rows, marks, losses, stress = state.series, state.marks, state.losses, state.stress
    shocks, slots = state.scratch.shocks, state.scratch.slots
    underlying = rows[slots[0]].underlying
    index = index_of(market, underlying)
    for seat in range(count):
        take_seat(shocks, seat, index / (float(rows[slots[seat]].strike_e8) / ONE))
    revalue(shocks, contract_of(state, rules, market, slots[0]), count)
    ticks, scenarios = state.books[underlying].ticks, rules.scenarios
    for seat in range(count):
        read_losses(scenarios, shocks, seat, slots[seat], losses, stress)
        marks[slots[seat]].losses_ticks = ticks


@kernel
def _sum_losses(state: State, underlying: int) -> None:
    """Sum the scenario losses of the open positions on an underlying, in tokens."""
    rows, live, losses, book = state.series, state.live, state.losses, state.book[underlying]
    book[:] = 0.0
    for place in range(state.pool[0].live_series):
        slot = live[place]
        series = rows[slot]
        if series.underlying == underlying:
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
        for place in range(state.pool[0].live_series):
            slot = state.live[place]
            series = state.series[slot]
            if series.underlying == underlying:
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
    log_weights, by_other = state.scratch.log_weights, state.scratch.by_other
    fill_weights(rules.scenarios, state.book, tolerance, underlying, log_weights, by_other)
    return potential_change(log_weights, losses, notional, tolerance)
