"""Free balances: external money in and out."""

from amm.kernel import kernel
from amm.units import AMOUNT_MAX
from vaults.ledger import post, transfer
from vaults.moves import Bucket, Flow, Move
from vaults.params import SUPPLY_MAX
from vaults.premium import allot, owed_by_account, reserve_of, settle_account
from vaults.rejects import Refusal, Reject, accepted
from vaults.rules import Rules
from vaults.state import NONE, State

_CLOCK = Move.CLOCK.value
_ACCOUNT = Move.ACCOUNT.value
_OUTSIDE = Bucket.OUTSIDE.value
_BALANCES = Bucket.BALANCES.value
_PENDING = Bucket.PENDING.value
_CREDIT = Flow.CREDIT.value
_WITHDRAWAL = Flow.WITHDRAWAL.value
_DEBIT = Flow.DEBIT.value

_AMOUNT_NOT_POSITIVE = Reject.AMOUNT_NOT_POSITIVE.value
_AMOUNT_TOO_LARGE = Reject.AMOUNT_TOO_LARGE.value
_SUPPLY_LIMIT = Reject.SUPPLY_LIMIT.value
_ACCOUNT_UNKNOWN = Reject.ACCOUNT_UNKNOWN.value
_BALANCE = Reject.BALANCE.value


@kernel
def spendable(state: State, rules: Rules, account: int, now_ms: int) -> int:
    """Return what an account can take out: its balance less premium owed and an hour's reserve."""
    keep = reserve_of(state, account, rules.parameters[0].keep_reserve_ms)
    owed = owed_by_account(state, rules, account, now_ms)
    return max(int(state.accounts[account].balance) - owed - keep, 0)


@kernel
def credit(
    state: State, rules: Rules, account: int, account_id: int, amount: int, now_ms: int
) -> Refusal:
    """Book a confirmed external deposit; `account` NONE opens a row for `account_id`."""
    if amount <= 0:
        return Refusal(_AMOUNT_NOT_POSITIVE, 1, amount)
    if amount > AMOUNT_MAX:
        return Refusal(_AMOUNT_TOO_LARGE, AMOUNT_MAX, amount)
    if state.pool[0].custody + amount > SUPPLY_MAX:
        return Refusal(_SUPPLY_LIMIT, SUPPLY_MAX, state.pool[0].custody + amount)
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    if account == NONE:
        account = int(state.pool[0].account_count)
        post(state, _ACCOUNT, account_id, 0, 0, 0, 0)
    settle_account(state, rules, account, now_ms)
    transfer(state, _OUTSIDE, _BALANCES, account, amount, _CREDIT)
    allot(state, account)
    return accepted()


@kernel
def withdraw(state: State, rules: Rules, account: int, amount: int, now_ms: int) -> Refusal:
    """Take free balance out of trading, to be paid out; an hour of premium stays."""
    if account == NONE:
        return Refusal(_ACCOUNT_UNKNOWN, 0, 0)
    if amount <= 0:
        return Refusal(_AMOUNT_NOT_POSITIVE, 1, amount)
    free = spendable(state, rules, account, now_ms)
    if amount > free:
        return Refusal(_BALANCE, free, amount)
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    settle_account(state, rules, account, now_ms)
    transfer(state, _BALANCES, _PENDING, account, amount, _WITHDRAWAL)
    allot(state, account)
    return accepted()


@kernel
def debit(state: State, amount: int, now_ms: int) -> Refusal:
    """Book that a requested withdrawal has left custody."""
    if amount <= 0:
        return Refusal(_AMOUNT_NOT_POSITIVE, 1, amount)
    pending = int(state.pool[0].pending)
    if amount > pending:
        return Refusal(_BALANCE, pending, amount)
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    transfer(state, _PENDING, _OUTSIDE, NONE, amount, _DEBIT)
    return accepted()
