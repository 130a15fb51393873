"""Moves: the only way state changes, and what the journal keeps.

A command decides on what it reads, then posts moves. A move is six integers: its kind and up to
five arguments. Applying the moves of the journal in order gives the same state bit for bit, on any
machine, because applying one is integer arithmetic alone.

Money moves between buckets and from nowhere else, so custody balances by construction; each
transfer says what for (`Flow`), and the totals by flow are the pool's attribution.
"""

from enum import IntEnum

from amm.kernel import kernel
from amm.units import DAY_MS, E15, PPM, mul_div_down, mul_div_up
from vaults.state import MOVE_WIDTH, NONE, VEST_LOTS, State


class Move(IntEnum):
    """Kinds of moves; the comment names the arguments."""

    TRANSFER = 1  # from bucket, to bucket, account, amount, flow
    ACCRUE = 2  # series, index added, rent's part of it, 1 at a tick
    SETTLE = 3  # position
    RESIZE = 4  # position, notional added, impact paid added
    ALLOT = 5  # position, allowance, key
    ACCOUNT = 6  # account id
    SERIES = 7  # 2 * underlying + is call, strike, cap, funding period, discount rate
    POSITION = 8  # account, series, self funding
    SHARES = 9  # pool, account (or NONE for the seed, QUEUE for redemptions), shares added
    HOLD = 10  # pool, account, shares taken into the queue
    REQUEST = 11  # account, 4 * flush + kind, amount, min out, time
    FILL = 12  # request, amount filled, paid, status
    TICK = 13  # underlying, rent rate, time
    SPREAD = 14  # spread received, time
    FLUSH = 15  # next flush time, 1 where it was done, NAV reference, phi, rent doubled
    COVER = 16  # 1 for a new period, NAV at its start
    ADVANCE = 17  # insurance money added to advances
    COUNT = 18  # flow, amount
    CLOCK = 19  # time
    CUTOFF = 20  # time after which requests wait for the flush after the next


class Bucket(IntEnum):
    """Where tokens are; OUTSIDE is beyond custody."""

    OUTSIDE = 0
    MAIN = 1
    INSURANCE = 2
    BALANCES = 3
    ESCROW_MAIN = 4
    ESCROW_INSURANCE = 5
    FEES = 6
    PENDING = 7


class Flow(IntEnum):
    """What a transfer is for."""

    CREDIT = 0
    WITHDRAWAL = 1
    DEBIT = 2
    OPEN = 3
    CLOSE = 4
    CASH_OUT = 5
    FEE = 6
    PREMIUM_MAIN = 7
    PREMIUM_INSURANCE = 8
    DEPOSIT_ASKED = 9
    DEPOSIT_RETURNED = 10
    DEPOSIT = 11
    REDEMPTION = 12
    SEED = 13
    # Not transfers, but totals kept beside them.
    SPREAD = 14
    IMPACT_PAID = 15
    IMPACT_REFUNDED = 16
    PREMIUM_ACCRUED = 17
    RENT_ACCRUED = 18
    WRITTEN_OFF = 19
    EXIT_FEE = 20


FLOWS = len(Flow)

MAIN_POOL = 0
INSURANCE_POOL = 1
QUEUE = -2
"""Holder of the shares that wait for redemption."""


class RequestKind(IntEnum):
    """What a liquidity provider can ask for."""

    DEPOSIT_MAIN = 0
    REDEEM_MAIN = 1
    DEPOSIT_INSURANCE = 2
    REDEEM_INSURANCE = 3


class RequestStatus(IntEnum):
    """Where a request stands."""

    OPEN = 0
    FILLED = 1
    CANCELLED = 2
    RETURNED = 3


_TRANSFER = Move.TRANSFER.value
_ACCRUE = Move.ACCRUE.value
_SETTLE = Move.SETTLE.value
_RESIZE = Move.RESIZE.value
_ALLOT = Move.ALLOT.value
_ACCOUNT = Move.ACCOUNT.value
_SERIES = Move.SERIES.value
_POSITION = Move.POSITION.value
_SHARES = Move.SHARES.value
_HOLD = Move.HOLD.value
_REQUEST = Move.REQUEST.value
_FILL = Move.FILL.value
_TICK = Move.TICK.value
_SPREAD = Move.SPREAD.value
_FLUSH = Move.FLUSH.value
_COVER = Move.COVER.value
_ADVANCE = Move.ADVANCE.value
_COUNT = Move.COUNT.value
_CLOCK = Move.CLOCK.value
_CUTOFF = Move.CUTOFF.value

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

_STATUS_OPEN = RequestStatus.OPEN.value


@kernel
def _change_bucket(state: State, bucket: int, account: int, amount: int) -> None:
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
def lock_of(notional: int, cap_ppm: int) -> int:
    """Return ceil(N cap): the most a position can ever be paid."""
    return mul_div_up(notional, cap_ppm, PPM)


@kernel
def _accrue(state: State, series_slot: int, added_e15: int, rent_e15: int, at_tick: int) -> None:
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
def _settle(state: State, position_slot: int) -> None:
    """Bring a position to its series' index; what was receivable of it is so no longer."""
    position = state.positions[position_slot]
    series = state.series[position.series]
    passed = int(series.index_e15 - position.entry_index_e15)
    series.receivable -= mul_div_down(int(position.notional), passed, E15)
    assert series.receivable >= 0
    position.entry_index_e15 = series.index_e15


@kernel
def _insert_position(state: State, account: int, series: int, self_funding: int) -> None:
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
def _resize(state: State, slot: int, notional: int, impact: int) -> None:
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
    is_open = series.open_notional > 0
    pool.live_series += int(is_open) - int(was_open)
    if not is_open:
        series.receivable = 0
        series.remainder_e15 = 0
    if position.notional == 0:
        assert position.impact_paid == 0
        _remove_position(state, slot)


@kernel
def _new_series(
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
def _new_account(state: State, account_id: int) -> None:
    """Append an account."""
    account = state.accounts[state.pool[0].account_count]
    state.pool[0].account_count += 1
    account.account_id = account_id
    account.first_position = NONE


@kernel
def _shares(state: State, which: int, account: int, shares: int) -> None:
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
        _hold(state, which, account, -shares)


@kernel
def _hold(state: State, which: int, account: int, shares: int) -> None:
    """Take shares from an account into the queue; negative gives them back."""
    holder = state.accounts[account]
    if which == MAIN_POOL:
        holder.main_shares -= shares
        assert holder.main_shares >= 0
    else:
        holder.insurance_shares -= shares
        assert holder.insurance_shares >= 0


@kernel
def _new_request(
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
def _fill(state: State, slot: int, filled: int, paid: int, status: int) -> None:
    """Count a fill, or the end, of a request."""
    request = state.requests[slot]
    request.amount -= filled
    request.filled += filled
    request.paid += paid
    request.status = status
    assert request.amount >= 0


@kernel
def _spread(state: State, amount: int, now_ms: int) -> None:
    """Book spread into the lot of its day, from which it vests."""
    day = now_ms // DAY_MS
    lot = state.vesting[day % VEST_LOTS]
    if lot[1] != day:
        lot[0] = 0
        lot[1] = day
    lot[0] += amount
    state.flows[_FLOW_SPREAD] += amount


@kernel
def _flush(state: State, next_ms: int, done: int, reference: int, phi: int, doubled: int) -> None:
    """Move the time of the next flush; where one was done, its results with it."""
    pool = state.pool[0]
    pool.next_flush_ms = next_ms
    if done == 1:
        pool.flushes += 1
        pool.nav_reference = reference
        pool.phi_ppm = phi
        pool.rent_doubled = doubled


@kernel
def _cover(state: State, new_period: int, nav: int) -> None:
    """Track the peak of insurance per share; a new period starts both over."""
    pool = state.pool[0]
    if new_period == 1:
        pool.cover_insurance = pool.insurance
        pool.cover_nav = nav
    higher = float(pool.insurance) * float(pool.peak_shares) > float(pool.peak_insurance) * float(
        pool.insurance_shares
    )
    if new_period == 1 or higher:
        pool.peak_insurance = pool.insurance
        pool.peak_shares = pool.insurance_shares


@kernel
def apply(state: State, kind: int, a: int, b: int, c: int, d: int, e: int) -> None:  # noqa: C901, PLR0912
    """Apply one move; a kind that does not exist, or a broken balance, is a bug and stops."""
    if kind == _TRANSFER:
        assert d >= 0
        _change_bucket(state, a, c, -d)
        _change_bucket(state, b, c, d)
        state.flows[e] += d
    elif kind == _ACCRUE:
        _accrue(state, a, b, c, d)
    elif kind == _SETTLE:
        _settle(state, a)
    elif kind == _ALLOT:
        state.positions[a].allowance = b
        state.positions[a].key_e15 = c
    elif kind == _RESIZE:
        _resize(state, a, b, c)
    elif kind == _POSITION:
        _insert_position(state, a, b, c)
    elif kind == _TICK:
        state.books[a].rent_e15 = b
        state.books[a].tick_ms = c
        state.books[a].ticks += 1
    elif kind == _SPREAD:
        _spread(state, a, b)
    elif kind == _COUNT:
        state.flows[a] += b
    elif kind == _SHARES:
        _shares(state, a, b, c)
    elif kind == _HOLD:
        _hold(state, a, b, c)
    elif kind == _REQUEST:
        _new_request(state, a, b, c, d, e)
    elif kind == _FILL:
        _fill(state, a, b, c, d)
    elif kind == _FLUSH:
        _flush(state, a, b, c, d, e)
    elif kind == _COVER:
        _cover(state, a, b)
    elif kind == _ADVANCE:
        state.pool[0].advances += a
    elif kind == _ACCOUNT:
        _new_account(state, a)
    elif kind == _SERIES:
        _new_series(state, a, b, c, d, e)
    elif kind == _CUTOFF:
        state.pool[0].cutoff_ms = a
    else:
        assert kind == _CLOCK
        state.pool[0].now_ms = a


@kernel
def post(state: State, kind: int, a: int, b: int, c: int, d: int, e: int) -> None:
    """Apply a move and write it to the log of the running command."""
    count = state.log_count[0]
    assert count < state.log.shape[0]
    row = state.log[count]
    row[0] = kind
    row[1] = a
    row[2] = b
    row[3] = c
    row[4] = d
    row[5] = e
    state.log_count[0] = count + 1
    apply(state, kind, a, b, c, d, e)


@kernel
def transfer(state: State, source: int, target: int, account: int, amount: int, flow: int) -> None:
    """Post a transfer, unless nothing moves."""
    if amount > 0:
        post(state, _TRANSFER, source, target, account, amount, flow)


@kernel
def replay_moves(state: State, moves: object) -> None:
    """Apply moves read from the journal, shape (n, MOVE_WIDTH), in order."""
    for row in moves:  # type: ignore[attr-defined]
        apply(state, row[0], row[1], row[2], row[3], row[4], row[5])


assert MOVE_WIDTH == 6
