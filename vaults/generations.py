"""Generations of a token: after a pool is exhausted the next begins, with nothing of the old one.

The first has the token's name, the k-th NAME~k. Each is a token of its own in every respect; an
account may move free balance from one to another.
"""

from amm.kernel import kernel
from amm.units import AMOUNT_MAX
from vaults.account import spendable
from vaults.ledger import post, transfer
from vaults.moves import Bucket, Flow, Move
from vaults.premium import allot, settle_account
from vaults.rejects import Refusal, Reject, accepted
from vaults.rules import Rules
from vaults.state import NONE, State

_CLOCK = Move.CLOCK.value
_ACCOUNT = Move.ACCOUNT.value
_OUTSIDE = Bucket.OUTSIDE.value
_BALANCES = Bucket.BALANCES.value
_MOVED = Flow.MOVED.value
_ACCOUNT_UNKNOWN = Reject.ACCOUNT_UNKNOWN.value
_AMOUNT_NOT_POSITIVE = Reject.AMOUNT_NOT_POSITIVE.value
_AMOUNT_TOO_LARGE = Reject.AMOUNT_TOO_LARGE.value
_BALANCE = Reject.BALANCE.value

MARK = "~"
"""Between a token's name and the number of its generation."""


def base_of(name: str) -> str:
    """Return the name of a token's first generation."""
    return name.partition(MARK)[0]


def generation_of(name: str) -> int:
    """Return the number of a generation, 0 where the name is none."""
    base, mark, number = name.partition(MARK)
    if not mark:
        return 1
    is_number = number.isascii() and number.isdigit() and len(number) <= 3
    is_good = bool(base) and is_number and number[0] != "0" and int(number) >= 2
    return int(number) if is_good else 0


def named(base: str, generation: int) -> str:
    """Return the name of a generation."""
    return base if generation == 1 else f"{base}{MARK}{generation}"


@kernel
def check_move(state: State, rules: Rules, account: int, amount: int, now_ms: int) -> Refusal:
    """Check that an account can take free balance out of a generation."""
    if account == NONE:
        return Refusal(_ACCOUNT_UNKNOWN, 0, 0)
    if amount <= 0:
        return Refusal(_AMOUNT_NOT_POSITIVE, 1, amount)
    if amount > AMOUNT_MAX:
        return Refusal(_AMOUNT_TOO_LARGE, AMOUNT_MAX, amount)
    free = spendable(state, rules, account, now_ms)
    if amount > free:
        return Refusal(_BALANCE, free, amount)
    return accepted()


@kernel
def move_out(state: State, rules: Rules, account: int, amount: int, now_ms: int) -> None:
    """Take free balance out of a generation, with its custody."""
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    settle_account(state, rules, account, now_ms)
    transfer(state, _BALANCES, _OUTSIDE, account, amount, _MOVED)
    allot(state, account)


@kernel
def move_in(
    state: State, rules: Rules, account: int, account_id: int, amount: int, now_ms: int
) -> None:
    """Credit it in another; `account` NONE opens a row for `account_id`."""
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    if account == NONE:
        account = int(state.pool[0].account_count)
        post(state, _ACCOUNT, account_id, 0, 0, 0, 0)
    settle_account(state, rules, account, now_ms)
    transfer(state, _OUTSIDE, _BALANCES, account, amount, _MOVED)
    allot(state, account)
