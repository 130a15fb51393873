"""Requests of liquidity providers: made now, priced at a flush.

Every pool that let providers in and out at once against an oracle was drained or reported. A
request escrows what it offers; until the cut-off of the flush that would fill it, it is free to
go.
"""

from typing import NamedTuple

from amm.kernel import kernel
from amm.units import AMOUNT_MAX, PPM, mul_div_up
from vaults.account import spendable
from vaults.ledger import post, transfer
from vaults.moves import INSURANCE_POOL, MAIN_POOL, Bucket, Flow, Move, RequestKind, RequestStatus
from vaults.premium import allot, settle_account
from vaults.rejects import Refusal, Reject, accepted
from vaults.rules import Rules
from vaults.state import NONE, State

_CLOCK = Move.CLOCK.value
_HOLD = Move.HOLD.value
_REQUEST = Move.REQUEST.value
_FILL = Move.FILL.value
_BALANCES = Bucket.BALANCES.value
_ESCROW_MAIN = Bucket.ESCROW_MAIN.value
_ESCROW_INSURANCE = Bucket.ESCROW_INSURANCE.value
_DEPOSIT_ASKED = Flow.DEPOSIT_ASKED.value
_DEPOSIT_RETURNED = Flow.DEPOSIT_RETURNED.value
_DEPOSIT_MAIN = RequestKind.DEPOSIT_MAIN.value
_REDEEM_MAIN = RequestKind.REDEEM_MAIN.value
_REDEEM_INSURANCE = RequestKind.REDEEM_INSURANCE.value
_DEPOSIT_INSURANCE = RequestKind.DEPOSIT_INSURANCE.value
_OPEN = RequestStatus.OPEN.value

_NONE = Reject.NONE.value
_ACCOUNT_UNKNOWN = Reject.ACCOUNT_UNKNOWN.value
_REQUEST_UNKNOWN = Reject.REQUEST_UNKNOWN.value
_AMOUNT_NOT_POSITIVE = Reject.AMOUNT_NOT_POSITIVE.value
_AMOUNT_TOO_LARGE = Reject.AMOUNT_TOO_LARGE.value
_BALANCE = Reject.BALANCE.value
_SHARES_EXCEED_HOLDING = Reject.SHARES_EXCEED_HOLDING.value
_CUTOFF_PASSED = Reject.CUTOFF_PASSED.value
_REQUEST_BINDING = Reject.REQUEST_BINDING.value
_QUEUE_LIMIT = Reject.QUEUE_LIMIT.value
_EXHAUSTED = Reject.EXHAUSTED.value

REQUESTS_MAX = 100
"""Open requests of one account, so that nobody can make flushes slow."""


REQUESTS_MADE_MAX = 200
"""Requests of one account between two flushes, also those taken back: rows stay for good."""


class Requested(NamedTuple):
    """A request's row, NONE where it was refused, and when its first flush is expected."""

    refusal: Refusal
    request: int
    expected_ms: int


@kernel
def is_deposit(kind: int) -> bool:
    """Whether a request offers tokens, not shares."""
    return kind in (_DEPOSIT_MAIN, _DEPOSIT_INSURANCE)


@kernel
def pool_of(kind: int) -> int:
    """Return the pool a request is for."""
    return MAIN_POOL if kind in (_DEPOSIT_MAIN, _REDEEM_MAIN) else INSURANCE_POOL


@kernel
def escrow_of(kind: int) -> int:
    """Return the bucket a deposit waits in."""
    return _ESCROW_MAIN if kind == _DEPOSIT_MAIN else _ESCROW_INSURANCE


@kernel
def _first_flush(state: State, now_ms: int) -> int:
    """Return the number of the flush a request made now would be in."""
    pool = state.pool[0]
    return int(pool.flushes) + int(now_ms > pool.cutoff_ms)


@kernel
def _check_offer(
    state: State, rules: Rules, account: int, kind: int, amount: int, now_ms: int
) -> Refusal:
    """Check that an account has what it offers."""
    if state.pool[0].exhausted == 1 and kind != _REDEEM_INSURANCE:
        return Refusal(_EXHAUSTED, 0, 0)
    if account == NONE:
        return Refusal(_ACCOUNT_UNKNOWN, 0, 0)
    if not 0 <= kind <= _REDEEM_INSURANCE:
        return Refusal(_REQUEST_UNKNOWN, _REDEEM_INSURANCE, kind)
    if amount <= 0:
        return Refusal(_AMOUNT_NOT_POSITIVE, 1, amount)
    if amount > AMOUNT_MAX:
        return Refusal(_AMOUNT_TOO_LARGE, AMOUNT_MAX, amount)
    holder = state.accounts[account]
    if is_deposit(kind):
        free = spendable(state, rules, account, now_ms)
        if amount > free:
            return Refusal(_BALANCE, free, amount)
    else:
        held = holder.main_shares if kind == _REDEEM_MAIN else holder.insurance_shares
        if amount > held:
            return Refusal(_SHARES_EXCEED_HOLDING, held, amount)
    return accepted()


@kernel
def open_requests_of(state: State, account: int) -> int:
    """Return how many requests of an account are open."""
    count = 0
    for slot in range(state.pool[0].request_first, state.pool[0].request_count):
        asked = state.requests[slot]
        count += int(asked.account == account and asked.status == _OPEN)
    return count


@kernel
def requests_made_by(state: State, account: int) -> int:
    """Return how many requests an account has made since the last flush.

    Goes back to the newest row of a flush that was done: all rows since are of one to come. What
    was made between the last cut-off and that flush may count too, as it is for the next.
    """
    pool, count = state.pool[0], 0
    for slot in range(pool.request_count - 1, -1, -1):
        asked = state.requests[slot]
        if asked.flush < pool.flushes:
            break
        count += int(asked.account == account)
    return count


@kernel
def request(
    state: State, rules: Rules, account: int, kind: int, amount: int, min_out: int, now_ms: int
) -> Requested:
    """Ask to deposit `amount` tokens, or to redeem `amount` shares, for at least `min_out`."""
    refusal = _check_offer(state, rules, account, kind, amount, now_ms)
    if refusal.code != _NONE:
        return Requested(refusal, NONE, 0)
    waiting = open_requests_of(state, account)
    if waiting >= REQUESTS_MAX:
        return Requested(Refusal(_QUEUE_LIMIT, REQUESTS_MAX, waiting + 1), NONE, 0)
    made = requests_made_by(state, account)
    if made >= REQUESTS_MADE_MAX:
        return Requested(Refusal(_QUEUE_LIMIT, REQUESTS_MADE_MAX, made + 1), NONE, 0)
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    slot = int(state.pool[0].request_count)
    if is_deposit(kind):
        settle_account(state, rules, account, now_ms)
        transfer(state, _BALANCES, escrow_of(kind), account, amount, _DEPOSIT_ASKED)
        allot(state, account)
    else:
        post(state, _HOLD, pool_of(kind), account, amount, 0, 0)
    flush = _first_flush(state, now_ms)
    post(state, _REQUEST, account, 4 * flush + kind, amount, min_out, now_ms)
    pool = state.pool[0]
    later_ms = (flush - int(pool.flushes)) * rules.parameters[0].flush_period_ms
    return Requested(accepted(), slot, pool.next_flush_ms + later_ms)


@kernel
def give_back(state: State, rules: Rules, slot: int, status: int, now_ms: int) -> None:
    """End a request, returning what is escrowed for it; the balance is not yet divided."""
    asked = state.requests[slot]
    account, kind, amount = int(asked.account), int(asked.kind), int(asked.amount)
    if is_deposit(kind):
        settle_account(state, rules, account, now_ms)
        transfer(state, escrow_of(kind), _BALANCES, account, amount, _DEPOSIT_RETURNED)
    else:
        post(state, _HOLD, pool_of(kind), account, -amount, 0, 0)
    post(state, _FILL, slot, 0, 0, status, 0)


@kernel
def waits_long(state: State, rules: Rules, slot: int, flushes: int) -> bool:
    """Whether a main redemption is unfilled after more flushes than rent tolerates."""
    asked = state.requests[slot]
    waited = flushes - int(asked.flush)
    is_waiting = asked.status == _OPEN and asked.kind == _REDEEM_MAIN
    return is_waiting and waited > rules.parameters[0].rent_double_flushes


@kernel
def long_waiting_shares(state: State, rules: Rules, flushes: int) -> int:
    """Return the main shares whose redemption has waited too long after so many flushes."""
    shares = 0
    for slot in range(state.pool[0].request_first, state.pool[0].request_count):
        if waits_long(state, rules, slot, flushes):
            shares += state.requests[slot].amount
    return shares


@kernel
def rent_doubles(state: State, rules: Rules, flushes: int) -> bool:
    """Whether after so many flushes enough redemptions wait long enough to double rent."""
    share = mul_div_up(state.pool[0].main_shares, rules.parameters[0].rent_double_share_ppm, PPM)
    return 0 < share <= long_waiting_shares(state, rules, flushes)


@kernel
def cancel(state: State, rules: Rules, account: int, slot: int, now_ms: int) -> Refusal:
    """Take an open request back.

    Not between the cut-off and the flush that would fill it, and not while it doubles rent.
    """
    if not 0 <= slot < state.pool[0].request_count:
        return Refusal(_REQUEST_UNKNOWN, 0, slot)
    asked = state.requests[slot]
    if asked.account != account or asked.status != _OPEN:
        return Refusal(_REQUEST_UNKNOWN, 0, slot)
    pool = state.pool[0]
    if asked.flush <= pool.flushes and now_ms > pool.cutoff_ms:
        return Refusal(_CUTOFF_PASSED, pool.cutoff_ms, now_ms)
    if pool.rent_doubled == 1 and waits_long(state, rules, slot, pool.flushes):
        return Refusal(_REQUEST_BINDING, 0, slot)
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    give_back(state, rules, slot, RequestStatus.CANCELLED.value, now_ms)
    allot(state, account)
    return accepted()
