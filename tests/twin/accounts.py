"""Free balances and requests of the twin: what comes, goes, and waits for a flush."""

from itertools import takewhile

from tests.twin.books import LARGEST, MILLION, Account, Books, Request, up
from tests.twin.premium import allot, settle, spendable
from vaults.moves import Flow, RequestKind, RequestStatus
from vaults.params import SUPPLY_MAX
from vaults.rejects import Reject

AT_MOST = 100
"""Open requests of one account."""
MADE_AT_MOST = 200
"""Requests of one account since the newest one of a flush that was done."""


def credit(books: Books, account: int | None, account_id: int, amount: int, now: int) -> Reject:
    """Book an external deposit; without an account, for a new one."""
    if amount <= 0:
        return Reject.AMOUNT_NOT_POSITIVE
    if amount > LARGEST:
        return Reject.AMOUNT_TOO_LARGE
    if books.custody + amount > SUPPLY_MAX:
        return Reject.SUPPLY_LIMIT
    books.now = now
    if account is None:
        account = len(books.accounts)
        books.accounts.append(Account(account_id))
    settle(books, account)
    books.accounts[account].balance += amount
    books.custody += amount
    books.flows[Flow.CREDIT] += amount
    allot(books, account)
    return Reject.NONE


def withdraw(books: Books, account: int, amount: int, now: int) -> Reject:
    """Take free balance out of trading."""
    if amount <= 0:
        return Reject.AMOUNT_NOT_POSITIVE
    before, books.now = books.now, now
    if amount > spendable(books, account):
        books.now = before
        return Reject.BALANCE
    settle(books, account)
    books.accounts[account].balance -= amount
    books.withdrawals.append((account, amount))
    books.flows[Flow.WITHDRAWAL] += amount
    allot(books, account)
    return Reject.NONE


def debit(books: Books, amount: int, now: int) -> Reject:
    """Book that a withdrawal has left."""
    if amount <= 0:
        return Reject.AMOUNT_NOT_POSITIVE
    if amount > books.pending:
        return Reject.BALANCE
    books.now = now
    _take_withdrawals(books, amount)
    books.custody -= amount
    books.flows[Flow.DEBIT] += amount
    return Reject.NONE


def _take_withdrawals(books: Books, amount: int) -> None:
    """Take what has left off the withdrawals, the first first."""
    left = amount
    while left > 0:
        account, first = books.withdrawals.pop(0)
        if first > left:
            books.withdrawals.insert(0, (account, first - left))
        left -= min(first, left)


def _refusal_of_offer(books: Books, account: int, kind: RequestKind, amount: int) -> Reject:
    holder = books.accounts[account]
    if books.is_exhausted and kind != RequestKind.REDEEM_INSURANCE:
        return Reject.EXHAUSTED
    if amount <= 0:
        return Reject.AMOUNT_NOT_POSITIVE
    if amount > LARGEST:
        return Reject.AMOUNT_TOO_LARGE
    if kind in (RequestKind.DEPOSIT_MAIN, RequestKind.DEPOSIT_INSURANCE):
        return Reject.BALANCE if amount > spendable(books, account) else Reject.NONE
    is_main = kind == RequestKind.REDEEM_MAIN
    held = holder.main_shares if is_main else holder.insurance_shares
    return Reject.SHARES_EXCEED_HOLDING if amount > held else Reject.NONE


def ask(
    books: Books, account: int, kind: RequestKind, amount: int, min_out: int, now: int
) -> Reject:
    """Escrow what a request offers; after the cut-off it is for the flush after the next."""
    before, books.now = books.now, now
    refusal = _refusal_of_offer(books, account, kind, amount)
    waiting = [each for each in books.requests if each.status == RequestStatus.OPEN]
    if refusal == Reject.NONE and [each.account for each in waiting].count(account) >= AT_MOST:
        refusal = Reject.QUEUE_LIMIT
    to_come = takewhile(lambda each: each.flush >= books.flushes, reversed(books.requests))
    if refusal == Reject.NONE and [each.account for each in to_come].count(account) >= MADE_AT_MOST:
        refusal = Reject.QUEUE_LIMIT
    if refusal != Reject.NONE:
        books.now = before
        return refusal
    flush = books.flushes + (1 if now > books.cutoff else 0)
    asked = Request(account, kind, amount, min_out, now, flush)
    if asked.is_deposit:
        settle(books, account)
        books.accounts[account].balance -= amount
        books.flows[Flow.DEPOSIT_ASKED] += amount
        allot(books, account)
    else:
        books.move_shares(kind, account, -amount)
    books.requests.append(asked)
    return Reject.NONE


def give_back(books: Books, asked: Request, status: RequestStatus) -> None:
    """End a request and return what is escrowed for it."""
    if asked.is_deposit:
        settle(books, asked.account)
        books.accounts[asked.account].balance += asked.amount
        books.flows[Flow.DEPOSIT_RETURNED] += asked.amount
    else:
        books.move_shares(asked.kind, asked.account, asked.amount)
    asked.status = status


def waits_long(books: Books, asked: Request, flushes: int) -> bool:
    """Whether a main redemption has been unfilled for more flushes than rent tolerates."""
    is_waiting = asked.kind == RequestKind.REDEEM_MAIN and asked.status == RequestStatus.OPEN
    return is_waiting and flushes - asked.flush > books.parameters.rent_double_flushes


def rent_doubles(books: Books, flushes: int) -> bool:
    """Whether redemptions of enough shares have waited too long."""
    waiting = sum(each.amount for each in books.requests if waits_long(books, each, flushes))
    share = up(books.main_shares, books.parameters.rent_double_share_ppm, MILLION)
    return 0 < share <= waiting


def cancel(books: Books, account: int, row: int, now: int) -> Reject:
    """Take a request back: not from its cut-off to its flush, not while it doubles rent."""
    if not 0 <= row < len(books.requests):
        return Reject.REQUEST_UNKNOWN
    asked = books.requests[row]
    if asked.account != account or asked.status != RequestStatus.OPEN:
        return Reject.REQUEST_UNKNOWN
    if asked.flush <= books.flushes and now > books.cutoff:
        return Reject.CUTOFF_PASSED
    if books.is_rent_doubled and waits_long(books, asked, books.flushes):
        return Reject.REQUEST_BINDING
    books.now = now
    give_back(books, asked, RequestStatus.CANCELLED)
    allot(books, account)
    return Reject.NONE
