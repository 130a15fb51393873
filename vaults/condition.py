"""The condition of a pool: what its marks let it take on.

Whatever it is, positions can be closed, requests taken back and withdrawals made.
"""

from enum import IntEnum

from amm.kernel import kernel
from amm.scenarios import UNDERLYINGS
from amm.units import AMOUNT_MAX, PPM, mul_div_down, mul_div_up, units_up
from vaults.market import Market
from vaults.nav import Nav, net_asset_value
from vaults.rules import Rules, mark_is_fresh
from vaults.state import NONE, State
from vaults.valuation import base_stress, value_book

EXHAUSTED_PARTS = 10_000
"""A share below this part of what it was sold for first is as good as nothing."""


class Condition(IntEnum):
    """From the best to the worst; see `docs/pools.md` for what each allows."""

    NORMAL = 0
    STALE = 1
    STRESSED = 2
    WINDDOWN = 3
    EXHAUSTED = 4


_NORMAL = Condition.NORMAL.value
_STALE = Condition.STALE.value
_STRESSED = Condition.STRESSED.value
_WINDDOWN = Condition.WINDDOWN.value
_EXHAUSTED = Condition.EXHAUSTED.value


@kernel
def stress_of_book(state: State) -> int:
    """Return RC_base of the valued book, rounded up."""
    return units_up(min(base_stress(state, NONE, state.stress[0], 0), float(AMOUNT_MAX)))


@kernel
def stress_needed(rules: Rules, stress: int) -> int:
    """Return what NAV a base stress asks for, rounded up."""
    return mul_div_up(stress, int(rules.parameters[0].free_stress * PPM), PPM)


@kernel
def is_worthless(state: State, rules: Rules, nav_mid: int) -> bool:
    """Whether a main share has fallen below 1e-4 of what the seed's were issued at."""
    pool = state.pool[0]
    par = mul_div_down(pool.main_shares, rules.parameters[0].seed, pool.main_seed_shares)
    return bool(nav_mid < max(mul_div_up(par, 1, EXHAUSTED_PARTS), 1))


@kernel
def condition_at(state: State, rules: Rules, nav: Nav, stress: int) -> int:
    """Return the condition of a pool whose marks are fresh, at a valuation."""
    if state.pool[0].exhausted == 1:
        return _EXHAUSTED
    if nav.mid < stress:
        return _WINDDOWN
    if nav.low < stress_needed(rules, stress):
        return _STRESSED
    return _NORMAL


@kernel
def is_stale(state: State, market: Market, now_ms: int) -> bool:
    """Whether an underlying of the open book has no fresh index."""
    for underlying in range(UNDERLYINGS):
        for place in range(state.pool[0].live_series):
            if state.series[state.live[place]].underlying == underlying:
                if not mark_is_fresh(market, underlying, now_ms):
                    return True
                break
    return False


@kernel
def condition(state: State, rules: Rules, market: Market, now_ms: int) -> int:
    """Return the condition of a pool now."""
    if state.pool[0].exhausted == 1:
        return _EXHAUSTED
    if is_stale(state, market, now_ms):
        return _STALE
    value_book(state, rules, market)
    nav = net_asset_value(state, rules, market, now_ms)
    return condition_at(state, rules, nav, stress_of_book(state))
