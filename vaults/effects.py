"""What each kind of move does to the state: integer arithmetic, and assertions that it may."""

from amm.kernel import kernel
from amm.units import DAY_MS, E15, mul_div_down, mul_div_up
from vaults.capacity import lock_of
from vaults.moves import MAIN_POOL, Bucket, Flow, RequestStatus
from vaults.state import ADVANCE_LOTS, NONE, VEST_LOTS, State

_OUTSIDE = Bucket.OUTSIDE.value
_MAIN = Bucket.MAIN.value
_INSURANCE = Bucket.INSURANCE.value
_BALANCES = Bucket.BALANCES.value
_ESCROW_MAIN = Bucket.ESCROW_MAIN.value
_ESCROW_INSURANCE = Bucket.ESCROW_INSURANCE.value
_FEES = Bucket.FEES.value
_PENDING = Bucket.PENDING.value
_FLOW_SPREAD = Flow.SPREAD.value
_FLOW_PREMIUM = Flow.PREMIUM_ACCRUED.value
_FLOW_RENT = Flow.RENT_ACCRUED.value
_FLOW_WRITTEN_OFF = Flow.ADVANCE_WRITTEN_OFF.value
_STATUS_OPEN = RequestStatus.OPEN.value


@kernel
def change_bucket(state: State, bucket: int, account: int, amount: int) -> None:
    """Add a signed amount to one bucket; none may become negative."""
    pool = state.pool[0]
    if bucket == _MAIN:
        pool.main += amount
        assert pool.main >= 0
    elif bucket == _INSURANCE:
        pool.insurance += amount
        assert pool.insurance >= 0
    elif bucket == _BALANCES:
        state.accounts[account].balance += amount
        assert state.accounts[account].balance >= 0
        pool.balances += amount
    elif bucket == _ESCROW_MAIN:
        pool.escrow_main += amount
        assert pool.escrow_main >= 0
    elif bucket == _ESCROW_INSURANCE:
        pool.escrow_insurance += amount
        assert pool.escrow_insurance >= 0
    elif bucket == _FEES:
        pool.fees += amount
        assert pool.fees >= 0
    elif bucket == _PENDING:
        pool.pending += amount
        assert pool.pending >= 0
    else:
        assert bucket == _OUTSIDE
        pool.custody -= amount
        assert pool.custody >= 0


@kernel
def accrue(state: State, series_slot: int, added_e15: int, rent_e15: int, at_tick: int) -> None:
    """Advance a premium index; the receivable carries its fraction, so it loses nothing."""
    series = state.series[series_slot]
    notional, remainder = int(series.open_notional), int(series.remainder_e15)
    added_e15 = int(added_e15)  # interpreted, a product of NumPy's integers would warn
    whole = mul_div_down(notional, added_e15, E15)
    assert whole >= 0
    fraction = notional * added_e15 - whole * E15 + remainder
    if fraction >= E15:
        whole += 1
        fraction -= E15
    series.remainder_e15 = fraction
    series.receivable += whole
    series.index_e15 += added_e15
    if at_tick == 1:
        series.tick_index_e15 = series.index_e15
    rent = mul_div_down(notional, rent_e15, E15)
    state.flows[_FLOW_RENT] += rent
    state.flows[_FLOW_PREMIUM] += whole - rent


@kernel
def settle(state: State, position_slot: int) -> None:
    """Bring a position to its series' index; what was receivable of it is so no longer."""
    position = state.positions[position_slot]
    series = state.series[position.series]
    passed = int(series.index_e15 - position.entry_index_e15)
    series.receivable -= mul_div_down(int(position.notional), passed, E15)
    assert series.receivable >= 0
    position.entry_index_e15 = series.index_e15


@kernel
def insert_position(state: State, account: int, series: int, self_funding: int) -> None:
    """Take a free row for a position without notional and put it at the head of both lists."""
    pool = state.pool[0]
    slot = int(pool.position_free)
    if slot == NONE:
        slot = int(pool.position_count)
        pool.position_count += 1
    else:
        pool.position_free = state.positions[slot].next_in_series
    pool.position_id += 1
    position = state.positions[slot]
    position.position_id = pool.position_id
    position.account = account
    position.series = series
    position.notional = 0
    position.entry_index_e15 = state.series[series].index_e15
    position.impact_paid = 0
    position.self_funding = self_funding
    position.allowance = 0
    position.key_e15 = state.series[series].index_e15
    in_series = int(state.series[series].first_position)
    in_account = int(state.accounts[account].first_position)
    position.next_in_series = in_series
    position.previous_in_series = NONE
    position.next_in_account = in_account
    position.previous_in_account = NONE
    if in_series != NONE:
        state.positions[in_series].previous_in_series = slot
    if in_account != NONE:
        state.positions[in_account].previous_in_account = slot
    state.series[series].first_position = slot
    state.accounts[account].first_position = slot
    state.accounts[account].position_count += 1
    held = state.accounts[account].position_count
    pool.account_positions_max = max(pool.account_positions_max, held)


@kernel
def _remove_position(state: State, slot: int) -> None:
    """Take an empty position out of both lists and free its row."""
    position = state.positions[slot]
    before, after = int(position.previous_in_series), int(position.next_in_series)
    if before == NONE:
        state.series[position.series].first_position = after
    else:
        state.positions[before].next_in_series = after
    if after != NONE:
        state.positions[after].previous_in_series = before
    before, after = int(position.previous_in_account), int(position.next_in_account)
    if before == NONE:
        state.accounts[position.account].first_position = after
    else:
        state.positions[before].next_in_account = after
    if after != NONE:
        state.positions[after].previous_in_account = before
    state.accounts[position.account].position_count -= 1
    position.account = NONE
    position.series = NONE
    position.impact_paid = 0
    position.allowance = 0
    position.key_e15 = 0
    position.next_in_series = state.pool[0].position_free
    state.pool[0].position_free = slot


@kernel
def _relist(state: State, slot: int, is_open: bool) -> None:
    """Enter a series into the live ones, or take it out."""
    live, pool = state.live, state.pool[0]
    count = int(pool.live_series)
    if is_open:
        place = count
        while place != 0 and live[place - 1] > slot:
            live[place] = live[place - 1]
            place -= 1
        live[place] = slot
        pool.live_series = count + 1
        return
    place = 0
    while place < count and live[place] != slot:
        place += 1
    assert place < count
    for after in range(place + 1, count):
        live[after - 1] = live[after]
    pool.live_series = count - 1


@kernel
def list_live(state: State) -> None:
    """List the live series anew, after a state was loaded."""
    assert state.pool[0].series_count <= state.series.shape[0]
    count = 0
    for slot in range(state.pool[0].series_count):
        if state.series[slot].open_notional > 0:
            state.live[count] = slot
            count += 1
    assert count == state.pool[0].live_series


@kernel
def resize(state: State, slot: int, notional: int, impact: int) -> None:
    """Change a position's notional and impact paid, and every sum they are part of."""
    pool = state.pool[0]
    position = state.positions[slot]
    series = state.series[position.series]
    cap_ppm = int(series.cap_ppm)
    locked = -lock_of(int(position.notional), cap_ppm)
    refundable = -max(int(position.impact_paid), 0)
    position.notional += notional
    position.impact_paid += impact
    assert position.notional >= 0
    locked += lock_of(int(position.notional), cap_ppm)
    refundable += max(int(position.impact_paid), 0)
    pool.locked += locked
    series.locked += locked
    pool.impact_refundable += refundable
    was_open = series.open_notional > 0
    series.open_notional += notional
    state.valued[series.underlying].ticks = NONE
    is_open = series.open_notional > 0
    if is_open != was_open:
        _relist(state, int(position.series), is_open)
    if not is_open:
        series.receivable = 0
        series.remainder_e15 = 0
    if position.notional == 0:
        assert position.impact_paid == 0
        _remove_position(state, slot)


@kernel
def new_series(
    state: State, kind: int, strike_e8: int, cap_ppm: int, period_ms: int, rate_e9: int
) -> None:
    """Append a series."""
    series = state.series[state.pool[0].series_count]
    state.pool[0].series_count += 1
    series.underlying = kind // 2
    series.is_call = kind % 2
    series.strike_e8 = strike_e8
    series.cap_ppm = cap_ppm
    series.funding_period_ms = period_ms
    series.discount_rate_e9 = rate_e9
    series.first_position = NONE


@kernel
def new_account(state: State, account_id: int) -> None:
    """Append an account."""
    account = state.accounts[state.pool[0].account_count]
    state.pool[0].account_count += 1
    account.account_id = account_id
    account.first_position = NONE


@kernel
def add_shares(state: State, which: int, account: int, shares: int) -> None:
    """Mint (or burn) shares of a pool for an account, or for its seed."""
    pool = state.pool[0]
    if which == MAIN_POOL:
        pool.main_shares += shares
        if account == NONE:
            pool.main_seed_shares += shares
    else:
        pool.insurance_shares += shares
        if account == NONE:
            pool.insurance_seed_shares += shares
    if account >= 0:
        hold_shares(state, which, account, -shares)


@kernel
def hold_shares(state: State, which: int, account: int, shares: int) -> None:
    """Take shares from an account into the queue; negative gives them back."""
    holder = state.accounts[account]
    if which == MAIN_POOL:
        holder.main_shares -= shares
        assert holder.main_shares >= 0
    else:
        holder.insurance_shares -= shares
        assert holder.insurance_shares >= 0


@kernel
def new_request(
    state: State, account: int, kind_and_flush: int, amount: int, min_out: int, now_ms: int
) -> None:
    """Append a request."""
    request = state.requests[state.pool[0].request_count]
    state.pool[0].request_count += 1
    request.account = account
    request.kind = kind_and_flush % 4
    request.amount = amount
    request.min_out = min_out
    request.created_ms = now_ms
    request.flush = kind_and_flush // 4
    request.filled = 0
    request.paid = 0
    request.status = _STATUS_OPEN


@kernel
def fill_request(state: State, slot: int, filled: int, paid: int, status: int) -> None:
    """Count a fill, or the end, of a request."""
    request = state.requests[slot]
    request.amount -= filled
    request.filled += filled
    request.paid += paid
    request.status = status
    assert request.amount >= 0
    pool = state.pool[0]
    while (
        pool.request_first < pool.request_count
        and state.requests[pool.request_first].status != _STATUS_OPEN
    ):
        pool.request_first += 1


@kernel
def book_spread(state: State, amount: int, now_ms: int) -> None:
    """Book spread into the lot of its day, from which it vests."""
    day = now_ms // DAY_MS
    lot = state.vesting[day % VEST_LOTS]
    if lot[1] != day:
        lot[0] = 0
        lot[1] = day
    lot[0] += amount
    state.flows[_FLOW_SPREAD] += amount


@kernel
def _write_off_lot(state: State, slot: int, now_ms: int) -> None:
    """Write off what of a lot is due by now: evenly from its day on, nothing is left at its end."""
    lot = state.advance_lots[slot]
    if lot.remaining == 0:
        return
    left_ms = max(int(lot.until_ms) - max(now_ms, int(lot.since_ms)), 0)
    remaining = mul_div_up(lot.amount, left_ms, int(lot.until_ms - lot.since_ms))
    written_off = int(lot.remaining) - remaining
    assert written_off >= 0
    lot.remaining = remaining
    state.pool[0].advances -= written_off
    state.flows[_FLOW_WRITTEN_OFF] += written_off


@kernel
def write_off_advances(state: State, now_ms: int) -> None:
    """Write off what is due of every lot."""
    for slot in range(ADVANCE_LOTS):
        _write_off_lot(state, slot, now_ms)
    state.pool[0].written_off_ms = now_ms


@kernel
def book_advance(state: State, amount: int, now_ms: int, until_ms: int) -> None:
    """Let main owe what insurance has paid for it, in the lot of the day.

    What was left in the lot from a whole round of lots ago is written off by then; what came
    earlier on the same day is written off at the pace of the new.
    """
    day = now_ms // DAY_MS
    slot = day % ADVANCE_LOTS
    lot = state.advance_lots[slot]
    if lot.day != day:
        _write_off_lot(state, slot, int(lot.until_ms))
        lot.day = day
    lot.remaining += amount
    lot.amount = lot.remaining
    lot.since_ms = now_ms
    lot.until_ms = until_ms
    state.pool[0].advances += amount


@kernel
def _oldest_lot(state: State) -> int:
    """Return the oldest lot with something in it."""
    found = NONE
    for slot in range(ADVANCE_LOTS):
        lot = state.advance_lots[slot]
        if lot.remaining > 0 and (found == NONE or lot.day < state.advance_lots[found].day):
            found = slot
    assert found != NONE
    return found


@kernel
def repay_advances(state: State, amount: int) -> None:
    """Take a repayment off the oldest lots; the rest is written off in the time they have left."""
    pool = state.pool[0]
    pool.advances -= amount
    left = amount
    while left > 0:
        lot = state.advance_lots[_oldest_lot(state)]
        paid = min(left, int(lot.remaining))
        lot.remaining -= paid
        lot.amount = lot.remaining
        lot.since_ms = max(lot.since_ms, pool.written_off_ms)
        left -= paid


@kernel
def set_flush(
    state: State, next_ms: int, done: int, reference: int, phi: int, doubled: int
) -> None:
    """Move the time of the next flush; where one was done, its results with it."""
    pool = state.pool[0]
    pool.next_flush_ms = next_ms
    if done == 1:
        pool.flushes += 1
        pool.nav_reference = reference
        pool.phi_ppm = phi
        pool.rent_doubled = doubled


@kernel
def close_books(state: State, accrued: int) -> None:
    """Keep what the profit and loss until the next flush is told apart from."""
    pool = state.pool[0]
    pool.closed_nav = pool.nav_after
    pool.closed_insurance = pool.insurance
    pool.closed_accrued = accrued
    pool.closed_refundable = pool.impact_refundable
    for flow in range(state.flows.shape[0]):
        state.closed_flows[flow] = state.flows[flow]


@kernel
def note_peak(state: State) -> None:
    """Keep the highest insurance per share of the cover period."""
    pool = state.pool[0]
    now = float(pool.insurance) * float(pool.peak_shares)
    if now > float(pool.peak_insurance) * float(pool.insurance_shares):
        pool.peak_insurance = pool.insurance
        pool.peak_shares = pool.insurance_shares


@kernel
def track_cover(state: State, new_period: int, nav: int, gain: int, claimed: int) -> None:
    """Track main's profit and loss, what was claimed, and the peak of insurance per share.

    A new period starts all of them over.
    """
    pool = state.pool[0]
    pool.nav_after = nav
    pool.cover_pnl += gain
    pool.cover_claimed += claimed
    if new_period == 1:
        pool.cover_insurance = pool.insurance
        pool.cover_nav = nav
        pool.cover_pnl = 0
        pool.cover_claimed = 0
        pool.peak_insurance = pool.insurance
        pool.peak_shares = pool.insurance_shares
    note_peak(state)


@kernel
def set_measured(state: State, underlying: int, index_e8: int, vol_e9: int, now_ms: int) -> None:
    """Keep from which marks an underlying's profit and loss is measured next."""
    book = state.books[underlying]
    book.measured_index_e8 = index_e8
    book.measured_vol_e9 = vol_e9
    book.measured_ms = now_ms
