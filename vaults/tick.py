"""The commands that let time pass: a tick of one underlying, and the check of one position.

Order inside a tick: accrue with the old state, new marks, what the move did to main, cash-outs at
the cap, then positions whose allowance might not last to the next tick.
"""

import numpy as np

from amm.kernel import allocating_kernel, kernel
from amm.scenarios import UNDERLYINGS
from amm.units import AMOUNT_MAX, ONE, PPM, YEAR_MS, mul_div_up
from vaults.attribution import measure
from vaults.capacity import backing, rent_rate_e15, utilisation
from vaults.closing import cash_out, price_closing, release
from vaults.effects import list_live
from vaults.ledger import post
from vaults.market import Market
from vaults.moves import Move
from vaults.premium import (
    NO_KEY,
    accrue_to,
    allot,
    endow,
    owed_by_account,
    premium_for,
    settle_account,
)
from vaults.rejects import Refusal, Reject, accepted
from vaults.rules import Rules, index_of, mark_is_fresh
from vaults.state import NONE, Ints, State
from vaults.valuation import Rate, mark_series, price_live, rate_in

_CLOCK = Move.CLOCK.value
_TICK = Move.TICK.value
_TIME_NOT_INCREASING = Reject.TIME_NOT_INCREASING.value
_MARK_STALE = Reject.MARK_STALE.value
_NOT_DUE = Reject.NOT_DUE.value
_POSITION_UNKNOWN = Reject.POSITION_UNKNOWN.value


@kernel
def _accrue_and_mark(
    state: State, rules: Rules, market: Market, underlying: int, rent_e15: int, elapsed_ms: int
) -> None:
    """Charge every live series for the interval that ends, and mark it for the next.

    An interval without prices is charged at the smaller of the rates at its two ends.
    """
    first, last = 0, state.pool[0].live_series
    while first < last:
        first, count = price_live(state, rules, market, underlying, first)
        for lane in range(count):
            slot = state.scratch.slots[lane]
            rate = rate_in(state, lane, rent_e15)
            _accrue_series(state, rules, slot, rate, elapsed_ms)
            mark = state.marks[slot]
            mark.value = rate.value
            mark.rate_e15 = rate.rate_e15
            mark.rent_e15 = rate.rent_e15


@kernel
def _accrue_series(state: State, rules: Rules, slot: int, rate: Rate, elapsed_ms: int) -> None:
    """Charge a series for the interval that ends, at whose end it is marked with a rate."""
    series = state.series[slot]
    charged = int(state.marks[slot].rate_e15)
    if elapsed_ms > rules.parameters[0].accrual_gap_ms:
        charged = min(charged, rate.rate_e15)
    added = mul_div_up(charged, elapsed_ms, YEAR_MS)
    if added < 0:  # a silence of months at the dearest rates: nine times the notional is enough
        added = AMOUNT_MAX
    index = max(int(series.index_e15), int(series.tick_index_e15) + added)
    accrue_to(state, slot, index, 1)


@kernel
def _has_reached_cap(state: State, market: Market, slot: int) -> bool:
    """Whether the index has passed a series' barrier."""
    series = state.series[slot]
    moneyness = index_of(market, series.underlying) / (float(series.strike_e8) / ONE)
    gain = moneyness - 1.0 if series.is_call == 1 else 1.0 - moneyness
    return bool(gain >= series.cap_ppm / PPM)


@kernel
def _any_reached_cap(state: State, market: Market, underlying: int) -> bool:
    """Whether the index has passed the barrier of a live series."""
    for place in range(state.pool[0].live_series):
        slot = state.live[place]
        if state.series[slot].underlying == underlying and _has_reached_cap(state, market, slot):
            return True
    return False


@allocating_kernel
def _cash_out_reached(
    state: State, rules: Rules, market: Market, underlying: int, now_ms: int
) -> None:
    """Close every position whose series has reached its cap; each balance is divided once."""
    paid = np.zeros(state.pool[0].account_count, dtype=np.bool_)
    for slot in range(state.pool[0].series_count):
        series = state.series[slot]
        if series.underlying != underlying or series.open_notional == 0:
            continue
        if _has_reached_cap(state, market, slot):
            while series.first_position != NONE:
                paid[state.positions[series.first_position].account] = True
                cash_out(state, rules, series.first_position, now_ms)
    for account in range(paid.shape[0]):
        if paid[account]:
            allot(state, account)


@kernel
def _horizon(state: State, rules: Rules, slot: int) -> int:
    """Return the index a series can have reached at the end of the next accrual gap."""
    added = mul_div_up(state.marks[slot].rate_e15, rules.parameters[0].accrual_gap_ms, YEAR_MS)
    return int(state.series[slot].index_e15) + added


@kernel
def _insert(due: Ints, count: int, key: int, position_id: int, slot: int) -> int:
    """Insert into the list sorted by key, then id; the last falls out of a full one."""
    place = min(count, due.shape[0] - 1)
    if count == due.shape[0] and (due[place, 0], due[place, 1]) <= (key, position_id):
        return count
    while place > 0 and (due[place - 1, 0], due[place - 1, 1]) > (key, position_id):
        for column in range(due.shape[1]):
            due[place, column] = due[place - 1, column]
        place -= 1
    due[place, 0] = key
    due[place, 1] = position_id
    due[place, 2] = slot
    return min(count + 1, due.shape[0])


@kernel
def _collect_due(state: State, rules: Rules, underlying: int, due: Ints) -> int:
    """List the due positions of one underlying, and tighten the bounds of series looked at."""
    count = 0
    for place in range(state.pool[0].live_series):
        slot = state.live[place]
        series = state.series[slot]
        if series.underlying != underlying:
            continue
        horizon = _horizon(state, rules, slot)
        if horizon <= state.marks[slot].least_key_e15:
            continue
        least = NO_KEY
        position_slot = series.first_position
        while position_slot != NONE:
            position = state.positions[position_slot]
            least = min(least, int(position.key_e15))
            if horizon > position.key_e15:
                key, position_id = int(position.key_e15), int(position.position_id)
                count = _insert(due, count, key, position_id, position_slot)
            position_slot = position.next_in_series
        state.marks[slot].least_key_e15 = least
    return count


@kernel
def is_due(state: State, rules: Rules, slot: int) -> bool:
    """Whether the premium of the next accrual gap could pass a position's key."""
    position = state.positions[slot]
    return _horizon(state, rules, position.series) > int(position.key_e15)


@kernel
def _close_whole(state: State, rules: Rules, market: Market, slot: int, now_ms: int) -> None:
    """Sell all of a position at the bid."""
    position = state.positions[slot]
    account, notional = int(position.account), int(position.notional)
    closing = price_closing(state, rules, market, slot, notional, now_ms)
    release(state, rules, slot, notional, closing, now_ms)
    allot(state, account)


@kernel
def _sale_needed(state: State, rules: Rules, slot: int, bid: int) -> int:
    """Return how much of a settled position must go to pay a day's premium of the rest.

    With premium p and bid b per unit and an allowance a, x = (N p - a) / (b + p), rounded up;
    `bid` is what the whole position would be sold for.
    """
    position = state.positions[slot]
    notional = int(position.notional)
    rate = int(state.marks[position.series].rate_e15)
    premium = premium_for(notional, rate, rules.parameters[0].self_funding_ms)
    short = premium - int(position.allowance)
    if short <= 0 or bid <= 0:
        return notional
    return min(mul_div_up(notional, short, bid + premium), notional)


@kernel
def _fund_itself(state: State, rules: Rules, market: Market, slot: int, now_ms: int) -> None:
    """Sell just enough of a settled position to pay its premium for the next day."""
    position = state.positions[slot]
    notional = int(position.notional)
    whole = price_closing(state, rules, market, slot, notional, now_ms)
    sold = _sale_needed(state, rules, slot, whole.gross - whole.fee)
    if notional - sold < rules.parameters[0].notional_min:
        _close_whole(state, rules, market, slot, now_ms)
        return
    closing = price_closing(state, rules, market, slot, sold, now_ms)
    allowance = int(position.allowance) + closing.gross - closing.fee
    release(state, rules, slot, sold, closing, now_ms)
    endow(state, slot, allowance)
    if is_due(state, rules, slot):
        _close_whole(state, rules, market, slot, now_ms)


@kernel
def _run(state: State, rules: Rules, market: Market, slot: int, now_ms: int) -> None:
    """Settle the account of a due position, and let the position fund itself if it must.

    Where ticks were missing and the account cannot pay, the position pays out of its own sale.
    """
    account = int(state.positions[slot].account)
    balance = int(state.accounts[account].balance)
    if owed_by_account(state, rules, account, now_ms) > balance:
        _close_whole(state, rules, market, slot, now_ms)
        return
    settle_account(state, rules, account, now_ms)
    allot(state, account)
    if is_due(state, rules, slot):
        _fund_itself(state, rules, market, slot, now_ms)


@kernel
def run_due(state: State, rules: Rules, market: Market, underlying: int, now_ms: int) -> int:
    """Run the next slice of due positions of an underlying by key, then id.

    Part of every tick: it is repeated until it returns 0, before anything else happens.

    Returns:
        How many positions were due.
    """
    due = state.scratch.due
    count = _collect_due(state, rules, underlying, due)
    for place in range(count):
        position_id, slot = due[place, 1], due[place, 2]
        position = state.positions[slot]
        is_here = position.position_id == position_id and position.notional > 0
        if is_here and is_due(state, rules, slot):
            _run(state, rules, market, slot, now_ms)
    return count


@kernel
def tick(state: State, rules: Rules, market: Market, underlying: int, now_ms: int) -> Refusal:
    """Let one token know the market's new index and vol of an underlying; `run_due` follows.

    Utilisation, and with it rent, is sampled here for the interval that begins.
    """
    book = state.books[underlying]
    if now_ms <= book.tick_ms:
        return Refusal(_TIME_NOT_INCREASING, book.tick_ms, now_ms)
    pool = state.pool[0]
    elapsed_ms = now_ms - int(book.tick_ms) if book.ticks > 0 else 0
    used = utilisation(pool.locked, backing(rules, pool.main, pool.insurance))
    rent_e15 = rent_rate_e15(rules, used, pool.rent_doubled)
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    _accrue_and_mark(state, rules, market, underlying, rent_e15, elapsed_ms)
    post(state, _TICK, underlying, rent_e15, now_ms, 0, 0)
    measure(state, rules, market, underlying, now_ms)
    if _any_reached_cap(state, market, underlying):
        _cash_out_reached(state, rules, market, underlying, now_ms)
    return accepted()


@kernel
def check(state: State, rules: Rules, market: Market, position_slot: int, now_ms: int) -> Refusal:
    """Settle the account of one due position between ticks; sell what self-funding needs."""
    if not 0 <= position_slot < state.pool[0].position_count:
        return Refusal(_POSITION_UNKNOWN, 0, position_slot)
    if state.positions[position_slot].notional == 0:
        return Refusal(_POSITION_UNKNOWN, 0, position_slot)
    if not is_due(state, rules, position_slot):
        return Refusal(_NOT_DUE, 0, 0)
    underlying = state.series[state.positions[position_slot].series].underlying
    if not mark_is_fresh(market, underlying, now_ms):
        return Refusal(_MARK_STALE, market.oracle[underlying].index_ms, now_ms)
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    _run(state, rules, market, position_slot, now_ms)
    return accepted()


@kernel
def remark(state: State, rules: Rules, market: Market) -> None:
    """Recompute what is derived, after a state was loaded."""
    list_live(state)
    for underlying in range(UNDERLYINGS):
        state.valued[underlying].ticks = NONE
    for slot in range(state.pool[0].series_count):
        series = state.series[slot]
        state.marks[slot].window_ticks = NONE
        state.marks[slot].losses_ticks = NONE
        state.marks[slot].least_key_e15 = 0
        if series.open_notional > 0:
            mark_series(state, rules, market, slot)
