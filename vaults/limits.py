"""What an opening must not exceed, in the order refusals are reported."""

import math

from amm.kernel import kernel
from amm.scenarios import (
    UNDERLYINGS,
)
from amm.units import AMOUNT_MAX, PPM, mul_div_down, mul_div_up, units_up
from vaults.capacity import backing, lock_of
from vaults.condition import Condition, condition_at, stress_of_book
from vaults.market import Market
from vaults.nav import net_asset_value
from vaults.premium import (
    owed_by_account,
    premium_for,
    reserve_of,
)
from vaults.rejects import Refusal, Reject, accepted
from vaults.rules import (
    Rules,
    check_fresh,
)
from vaults.state import NONE, State
from vaults.trade import Opening
from vaults.valuation import (
    base_stress,
)

_NONE = Reject.NONE.value
_UNDERLYING_UNKNOWN = Reject.UNDERLYING_UNKNOWN.value
_AMOUNT_NOT_POSITIVE = Reject.AMOUNT_NOT_POSITIVE.value
_AMOUNT_TOO_LARGE = Reject.AMOUNT_TOO_LARGE.value
_STRIKE_OFF_LADDER = Reject.STRIKE_OFF_LADDER.value
_STRIKE_WINDOW = Reject.STRIKE_WINDOW.value
_NOTIONAL_MIN = Reject.NOTIONAL_MIN.value
_SERIES_LIMIT = Reject.SERIES_LIMIT.value
_SERIES_SHARE = Reject.SERIES_SHARE.value
_ACCOUNT_SHARE = Reject.ACCOUNT_SHARE.value
_TOTAL_MIN = Reject.TOTAL_MIN.value
_CAPACITY = Reject.CAPACITY.value
_STRESS_LIMIT = Reject.STRESS_LIMIT.value
_BALANCE = Reject.BALANCE.value
_WINDDOWN = Reject.WINDDOWN.value
_EXHAUSTED = Reject.EXHAUSTED.value
_STRESSED = Condition.STRESSED.value
_WINDDOWN_CONDITION = Condition.WINDDOWN.value


@kernel
def check_order(
    state: State,
    rules: Rules,
    market: Market,
    underlying: int,
    strike_e8: int,
    notional: int,
    fill_after_ms: int,
    now_ms: int,
) -> Refusal:
    """Check what can be said of an opening before it is priced, whoever asks."""
    parameters = rules.parameters[0]
    if not 0 <= underlying < UNDERLYINGS:
        return Refusal(_UNDERLYING_UNKNOWN, UNDERLYINGS, underlying)
    if state.pool[0].exhausted == 1:
        return Refusal(_EXHAUSTED, 0, 0)
    if notional <= 0:
        return Refusal(_AMOUNT_NOT_POSITIVE, 1, notional)
    if notional > AMOUNT_MAX // 2:
        return Refusal(_AMOUNT_TOO_LARGE, AMOUNT_MAX // 2, notional)
    stale = check_fresh(state, market, underlying, fill_after_ms, now_ms)
    if stale.code != _NONE:
        return stale
    step = rules.terms[underlying].strike_step_e8
    if strike_e8 <= 0 or strike_e8 % step != 0:
        return Refusal(_STRIKE_OFF_LADDER, step, strike_e8)
    index_e8 = float(market.oracle[underlying].index_e8)
    if strike_e8 < index_e8 * parameters.strike_low:
        return Refusal(_STRIKE_WINDOW, int(math.ceil(index_e8 * parameters.strike_low)), strike_e8)
    if strike_e8 > index_e8 * parameters.strike_high:
        return Refusal(_STRIKE_WINDOW, int(index_e8 * parameters.strike_high), strike_e8)
    if notional < parameters.notional_min:
        return Refusal(_NOTIONAL_MIN, parameters.notional_min, notional)
    return accepted()


@kernel
def locked_by(state: State, account: int) -> int:
    """Return the locks of all positions of an account."""
    locked = 0
    slot = state.accounts[account].first_position
    while slot != NONE:
        position = state.positions[slot]
        locked += lock_of(position.notional, state.series[position.series].cap_ppm)
        slot = position.next_in_account
    return locked


@kernel
def check_limits(
    state: State, rules: Rules, account: int, opening: Opening, notional: int
) -> Refusal:
    """Check the limits on concentration and the least total."""
    parameters = rules.parameters[0]
    pool = state.pool[0]
    is_live = opening.slot != NONE and state.series[opening.slot].open_notional > 0
    if not is_live and pool.live_series >= parameters.series_live_max:
        return Refusal(_SERIES_LIMIT, parameters.series_live_max, pool.live_series)
    backed = backing(rules, pool.main, pool.insurance)
    in_series = opening.lock + (int(state.series[opening.slot].locked) if is_live else 0)
    series_max = mul_div_down(backed, parameters.series_share_ppm, PPM)
    if in_series > series_max:
        return Refusal(_SERIES_SHARE, series_max, in_series)
    by_account = opening.lock + (locked_by(state, account) if account != NONE else 0)
    account_max = mul_div_down(backed, parameters.account_share_ppm, PPM)
    if by_account > account_max:
        return Refusal(_ACCOUNT_SHARE, account_max, by_account)
    total_min = mul_div_up(notional, parameters.total_min_ppm, PPM)
    if opening.total < total_min:
        return Refusal(_TOTAL_MIN, total_min, opening.total)
    return accepted()


@kernel
def check_stress(
    state: State,
    rules: Rules,
    market: Market,
    underlying: int,
    opening: Opening,
    notional: int,
    now_ms: int,
) -> Refusal:
    """Check that the pool's condition and the base stress allow an opening.

    One that lowers the stress is welcome unless the pool winds down.
    """
    parameters = rules.parameters[0]
    nav = net_asset_value(state, rules, market, now_ms)
    before = stress_of_book(state)
    condition = condition_at(state, rules, nav, before)
    if condition == _WINDDOWN_CONDITION:
        return Refusal(_WINDDOWN, nav.mid, before)
    after = base_stress(state, underlying, state.stress[opening.row], notional)
    stress = units_up(min(after, float(AMOUNT_MAX)))
    stress_max = mul_div_down(max(nav.low, 0), parameters.stress_share_ppm, PPM)
    if condition == _STRESSED:
        stress_max = 0
    if stress > stress_max and stress >= before:
        return Refusal(_STRESS_LIMIT, stress_max, stress)
    return accepted()


@kernel
def check_backing(
    state: State,
    rules: Rules,
    market: Market,
    underlying: int,
    opening: Opening,
    notional: int,
    now_ms: int,
) -> Refusal:
    """Check that every lock stays funded and the base stress bearable after the opening."""
    pool = state.pool[0]
    locked = int(pool.locked) + opening.lock
    backed = backing(rules, int(pool.main) + opening.total - opening.fee, pool.insurance)
    if locked > backed:
        return Refusal(_CAPACITY, backed, locked)
    return check_stress(state, rules, market, underlying, opening, notional, now_ms)


@kernel
def check_balance(
    state: State,
    rules: Rules,
    account: int,
    opening: Opening,
    notional: int,
    self_funding: int,
    now_ms: int,
) -> Refusal:
    """Check that the account can pay, and has premium for a day.

    A self-funding position needs an hour's: enough for the first tick to run it in time.
    """
    parameters = rules.parameters[0]
    hour = parameters.keep_reserve_ms
    reserve = reserve_of(state, account, hour) + premium_for(notional, opening.rate_e15, hour)
    if self_funding == 0:
        day = premium_for(notional, opening.rate_e15, parameters.open_reserve_ms)
        reserve = max(reserve, day)
    needed = opening.total + reserve + owed_by_account(state, rules, account, now_ms)
    balance = int(state.accounts[account].balance)
    if balance < needed:
        return Refusal(_BALANCE, balance, needed)
    return accepted()
