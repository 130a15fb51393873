"""What a split does to a state: every amount times p/q, each rounded down by itself.

The pool keeps what that leaves over. Shares, premium indices and times stay as they are, so the
price of a share, the premium rate of a series and every date mean the same as before.
"""

from amm.kernel import kernel
from amm.units import AMOUNT_MAX, E15, PPM, mul_div_down
from vaults.capacity import lock_of
from vaults.moves import Flow, RequestKind, RequestStatus
from vaults.state import ADVANCE_LOTS, NONE, VEST_LOTS, State

_OPEN = RequestStatus.OPEN.value
_DEPOSIT_MAIN = RequestKind.DEPOSIT_MAIN.value
_DEPOSIT_INSURANCE = RequestKind.DEPOSIT_INSURANCE.value
_SPLIT_DUST = Flow.SPLIT_DUST.value


@kernel
def scaled(amount: int, numerator: int, denominator: int) -> int:
    """Return floor(amount p / q), exactly, of either sign; for p, q up to 1000."""
    whole, rest = int(amount) // denominator, int(amount) % denominator
    return whole * numerator + rest * numerator // denominator


@kernel
def lot_of(cap_ppm: int) -> int:
    """Return the smallest notional whose lock is an integer; so is that of its multiples."""
    common, rest = PPM, int(cap_ppm)
    while rest:
        common, rest = rest, common % rest
    return PPM // common


@kernel
def split_notional(notional: int, cap_ppm: int, numerator: int, denominator: int) -> int:
    """Return a notional after a split: locks stay integers, so pools that funded them still do."""
    after = scaled(notional, numerator, denominator)
    return after - after % lot_of(cap_ppm)


@kernel
def _split_balances(state: State, numerator: int, denominator: int) -> None:
    pool = state.pool[0]
    pool.balances = 0
    for slot in range(pool.account_count):
        account = state.accounts[slot]
        account.balance = scaled(account.balance, numerator, denominator)
        pool.balances += account.balance


@kernel
def _split_requests(state: State, numerator: int, denominator: int) -> None:
    """Scale the tokens of every request, its shares not; an unreachable limit stays so."""
    pool = state.pool[0]
    pool.escrow_main = 0
    pool.escrow_insurance = 0
    for slot in range(pool.request_count):
        asked = state.requests[slot]
        if asked.kind in (_DEPOSIT_MAIN, _DEPOSIT_INSURANCE):
            asked.amount = scaled(asked.amount, numerator, denominator)
            asked.filled = scaled(asked.filled, numerator, denominator)
            waiting = int(asked.amount) if asked.status == _OPEN else 0
            if asked.kind == _DEPOSIT_MAIN:
                pool.escrow_main += waiting
            else:
                pool.escrow_insurance += waiting
        else:
            asked.min_out = scaled(min(asked.min_out, AMOUNT_MAX), numerator, denominator)
            asked.paid = scaled(asked.paid, numerator, denominator)


@kernel
def _split_position(state: State, slot: int, numerator: int, denominator: int) -> None:
    """Scale a settled position, and add it to the sums it is part of."""
    pool = state.pool[0]
    position = state.positions[slot]
    series = state.series[position.series]
    cap_ppm = int(series.cap_ppm)
    notional = split_notional(position.notional, cap_ppm, numerator, denominator)
    assert notional > 0
    assert position.entry_index_e15 == series.index_e15
    position.notional = notional
    position.impact_paid = scaled(position.impact_paid, numerator, denominator)
    position.allowance = scaled(position.allowance, numerator, denominator)
    lasts = mul_div_down(int(position.allowance), E15, notional)
    position.key_e15 = position.entry_index_e15 + (lasts if lasts >= 0 else AMOUNT_MAX)
    lock = lock_of(notional, cap_ppm)
    series.open_notional += notional
    series.locked += lock
    pool.locked += lock
    pool.impact_refundable += max(int(position.impact_paid), 0)


@kernel
def _split_positions(state: State, numerator: int, denominator: int) -> None:
    """Scale every position; what is receivable of settled ones is dust."""
    pool = state.pool[0]
    pool.locked = 0
    pool.impact_refundable = 0
    for slot in range(pool.series_count):
        series = state.series[slot]
        series.open_notional = 0
        series.locked = 0
        series.receivable = scaled(series.receivable, numerator, denominator)
        series.remainder_e15 = 0
        state.valued[series.underlying].ticks = NONE
    for slot in range(pool.position_count):
        if state.positions[slot].notional > 0:
            _split_position(state, slot, numerator, denominator)


@kernel
def _split_lots(state: State, numerator: int, denominator: int) -> None:
    """Scale what vests, and what is written off: evenly from what is left now, as before."""
    pool = state.pool[0]
    for slot in range(VEST_LOTS):
        state.vesting[slot, 0] = scaled(state.vesting[slot, 0], numerator, denominator)
    pool.advances = 0
    for slot in range(ADVANCE_LOTS):
        lot = state.advance_lots[slot]
        lot.remaining = scaled(lot.remaining, numerator, denominator)
        lot.amount = lot.remaining
        if lot.remaining > 0:
            lot.since_ms = max(lot.since_ms, pool.written_off_ms)
        pool.advances += lot.remaining


@kernel
def _split_records(state: State, numerator: int, denominator: int) -> None:
    """Scale what the pools remember: NAVs, the cover period, closed books, totals by flow."""
    pool = state.pool[0]
    pool.nav_reference = scaled(pool.nav_reference, numerator, denominator)
    pool.nav_after = scaled(pool.nav_after, numerator, denominator)
    pool.cover_insurance = scaled(pool.cover_insurance, numerator, denominator)
    pool.cover_nav = scaled(pool.cover_nav, numerator, denominator)
    pool.cover_pnl = scaled(pool.cover_pnl, numerator, denominator)
    pool.cover_claimed = scaled(pool.cover_claimed, numerator, denominator)
    pool.peak_insurance = scaled(pool.peak_insurance, numerator, denominator)
    pool.closed_nav = scaled(pool.closed_nav, numerator, denominator)
    pool.closed_insurance = scaled(pool.closed_insurance, numerator, denominator)
    pool.closed_accrued = scaled(pool.closed_accrued, numerator, denominator)
    pool.closed_refundable = scaled(pool.closed_refundable, numerator, denominator)
    for flow in range(state.flows.shape[0]):
        state.flows[flow] = scaled(state.flows[flow], numerator, denominator)
        state.closed_flows[flow] = scaled(state.closed_flows[flow], numerator, denominator)


@kernel
def split(state: State, numerator: int, denominator: int, pending: int) -> None:
    """Multiply every amount of a token, all of whose premium is settled, by p/q.

    Args:
        state: The token.
        numerator: New tokens ...
        denominator: ... for this many old ones.
        pending: What the withdrawals that have not left are together by then.
    """
    pool = state.pool[0]
    main = scaled(pool.main, numerator, denominator)
    _split_balances(state, numerator, denominator)
    _split_requests(state, numerator, denominator)
    _split_positions(state, numerator, denominator)
    _split_lots(state, numerator, denominator)
    _split_records(state, numerator, denominator)
    pool.insurance = scaled(pool.insurance, numerator, denominator)
    pool.fees = scaled(pool.fees, numerator, denominator)
    assert 0 <= pending <= scaled(pool.pending, numerator, denominator)
    pool.pending = pending
    pool.custody = scaled(pool.custody, numerator, denominator)
    others = pool.insurance + pool.balances + pool.escrow_main + pool.escrow_insurance
    pool.main = pool.custody - others - pool.fees - pool.pending
    assert pool.main >= main
    state.flows[_SPLIT_DUST] += pool.main - main
