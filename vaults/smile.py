"""The surfaces of a token at its marks, each read off the smile's table once for a level and carry.

Which level a number is computed at is a rule: marks and scenarios at the mark, buyers and sellers
at whichever of mark and target is worse for them, the valuation window at its own medians.
"""

from amm.kernel import kernel, lending_kernel
from amm.revaluation import SEATS, fill_shocks
from amm.surface import Surface, fill_ratios, stretch_of
from vaults.market import Market
from vaults.rules import Rules, buy_level, carry_of, mark_level, sell_level
from vaults.state import State

MARK = 0
_STRESSED = 1
_BASED = 2
_BUY = 3
_SELL = 4
MEDIAN = 5
MEDIAN_UP = 6
MEDIAN_DOWN = 7


@lending_kernel
def surface_at(
    state: State, rules: Rules, market: Market, underlying: int, place: int, level: float
) -> Surface:
    """Return the surface of an underlying at a level, kept at a place of its own."""
    table = rules.smiles[underlying]
    carry = carry_of(rules, market, underlying)
    ratios = state.surfaces[underlying, place]
    key = state.surface_keys[underlying, place]
    if key.level != level or key.carry != carry:
        fill_ratios(table, level, carry, ratios)
        key.level = level
        key.carry = carry
    return Surface(level, stretch_of(table, level), ratios)


@lending_kernel
def mark_surface(state: State, rules: Rules, market: Market, underlying: int) -> Surface:
    """Return the surface marks and scenarios use."""
    level = mark_level(market, underlying)
    return surface_at(state, rules, market, underlying, MARK, level)


@lending_kernel
def _traded_surface(
    state: State, rules: Rules, market: Market, underlying: int, place: int, level: float
) -> Surface:
    """Return the surface at a level: the mark's own, where that is the level."""
    if level == mark_level(market, underlying):
        place = MARK
    return surface_at(state, rules, market, underlying, place, level)


@lending_kernel
def buy_surface(state: State, rules: Rules, market: Market, underlying: int) -> Surface:
    """Return the surface buyers pay at."""
    level = buy_level(market, underlying)
    return _traded_surface(state, rules, market, underlying, _BUY, level)


@lending_kernel
def sell_surface(state: State, rules: Rules, market: Market, underlying: int) -> Surface:
    """Return the surface sellers receive at."""
    level = sell_level(market, underlying)
    return _traded_surface(state, rules, market, underlying, _SELL, level)


@kernel
def fill_states(state: State, rules: Rules, market: Market, underlying: int) -> None:
    """Fill the scratch's shocks: the states an underlying may go to from its marks."""
    parameters = rules.parameters[0]
    level = mark_level(market, underlying)
    scenarios = rules.scenarios
    stressed_level = level * scenarios.vol_factors[1]
    based_level = level * parameters.stress_vol
    stressed = surface_at(state, rules, market, underlying, _STRESSED, stressed_level)
    based = stressed
    if based_level != stressed_level:
        based = surface_at(state, rules, market, underlying, _BASED, based_level)
    calm = mark_surface(state, rules, market, underlying)
    shocks, move = state.scratch.shocks, parameters.stress_move
    seats = min(max(int(state.pool[0].live_series), 1), SEATS)
    fill_shocks(shocks, scenarios, calm, stressed, based, move, seats)


@kernel
def forget_surfaces(state: State, underlying: int) -> None:
    """Drop what was read off a table that is no longer in force."""
    for place in range(state.surface_keys.shape[1]):
        state.surface_keys[underlying, place].level = 0.0
