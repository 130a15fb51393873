"""Withdrawals: asking for them, where they go, and what the operator has to pay out."""

import asyncio
from typing import Annotated, Any, Literal

from litestar import delete, get, post
from litestar.params import JSONBody, QueryParameter

from api.access.destinations import AddressBook, Destination, DestinationError, Rule
from api.http.context import (
    AccountQuery,
    Asking,
    Cursor,
    IdempotencyKey,
    IdPath,
    Limit,
    account_of,
    amount,
    carry_out,
    journal_key,
    page_of,
    principal_of,
    service_of,
    settled,
)
from api.http.keys import signing_key
from api.http.problems import ProblemError, documented
from api.http.security import OPERATED_READ, OWNERS, READ, READERS, SIGNED
from api.journal import read_command
from api.views import accounts
from api.wire import Destination as DestinationGiven
from api.wire import (
    DestinationRequest,
    ListSwitch,
    Page,
    Withdrawal,
    WithdrawalList,
    WithdrawalRequest,
)
from vaults.commands import Withdraw

_WRITE = documented(400, 401, 403, 409, 413, 422, 429, 503)
_OWNED: dict[str, Any] = {
    "responses": documented(400, 401, 403, 404, 409, 413, 429, 503),
    "opt": {"roles": OWNERS, "audited": True},
    "tags": ["account"],
    "security": SIGNED,
}
_READ: dict[str, Any] = {
    "responses": READ,
    "opt": {"roles": READERS},
    "tags": ["account"],
    "security": SIGNED,
}


def _book_of(request: Asking) -> AddressBook:
    book: AddressBook = request.app.state.book
    return book


def _check_right(request: Asking) -> None:
    """Let a key pass that may take money out.

    Raises:
        ProblemError: It may not.
    """
    if not signing_key(request).limits.may_withdraw:
        raise ProblemError("WITHDRAWAL_NOT_ALLOWED", "The key has no right to withdraw.")


async def _address(request: Asking, name: str | None, idempotency_key: str) -> str:
    """Return where a withdrawal goes; for a retry, where it went.

    Raises:
        ProblemError: It is not a destination that can be used, or not the one it was.
    """
    book, service, account = (
        _book_of(request),
        service_of(request),
        principal_of(request).account,
    )
    record = service.exchange.recall(journal_key(request, idempotency_key))
    before = None if record is None else read_command(record)
    if isinstance(before, Withdraw):
        if await asyncio.to_thread(book.was, account, name, before.destination):
            return before.destination
        raise ProblemError("IDEMPOTENCY_CONFLICT", "The withdrawal went to another destination.")
    try:
        return await asyncio.to_thread(book.address_of, account, name, service.clock.wall_ms())
    except DestinationError as error:
        raise ProblemError(error.code, error.detail, **error.more) from None


@post("/withdrawals", responses=_WRITE, opt={"roles": OWNERS}, tags=["account"], security=SIGNED)
async def post_withdrawal(
    request: Asking, data: JSONBody[WithdrawalRequest], idempotency_key: IdempotencyKey
) -> Withdrawal:
    """Take free balance out of trading; the operator pays it out."""
    _check_right(request)
    taken = amount(data.amount, "amount")
    address = await _address(request, data.destination, idempotency_key)
    now_ms, account = service_of(request).clock.now_ms(), principal_of(request).account
    command = Withdraw(data.token, account, taken, now_ms, address)
    return accounts.withdrawal_asked(await carry_out(request, command, idempotency_key))


@get("/withdrawals", **_READ)
async def get_withdrawals(
    request: Asking, account: AccountQuery = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[Withdrawal]:
    """List the account's withdrawals, newest first."""
    memory, name = await settled(request), account_of(request, account)
    numbers = (n for n, each in enumerate(memory.withdrawals, 1) if each.account == name)
    page = page_of(numbers, int, int, cursor, limit, backwards=True)
    return Page(items=[accounts.withdrawal(memory, n) for n in page.items], next=page.next)


@get("/withdrawals", **OPERATED_READ)
async def get_all_withdrawals(
    request: Asking,
    status: Annotated[
        Literal["pending", "completed"] | None, QueryParameter(description="Of one state only.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[Withdrawal]:
    """List everybody's withdrawals, oldest first, with where they are to be sent."""
    memory = await settled(request)
    numbers = (
        n
        for n, each in enumerate(memory.withdrawals, 1)
        if status is None or (status == "completed") == bool(each.completed_ms)
    )
    page = page_of(numbers, int, int, cursor, limit)
    return Page(items=[accounts.withdrawal(memory, n) for n in page.items], next=page.next)


# -- destinations


def _given(each: Destination) -> DestinationGiven:
    return DestinationGiven(
        id=each.id,
        label=each.label,
        address=each.address,
        created=each.created_ms,
        usable=each.usable_ms,
        removed=each.removed_ms,
    )


@get("/withdrawal-destinations", **_READ)
async def get_destinations(
    request: Asking, limit: Limit = 100, cursor: Cursor = None
) -> Page[DestinationGiven]:
    """List where the account has withdrawals sent, removed destinations too."""
    listed = await asyncio.to_thread(_book_of(request).all, principal_of(request).account)
    found = {each.id: each for each in listed}
    page = page_of(found, str, str, cursor, limit)
    return Page(items=[_given(found[name]) for name in page.items], next=page.next)


@post("/withdrawal-destinations", **_OWNED)
async def post_destination(
    request: Asking, data: JSONBody[DestinationRequest], idempotency_key: IdempotencyKey
) -> DestinationGiven:
    """List where withdrawals may be sent; it can be used after the holding period."""
    _check_right(request)
    account, wall_ms = principal_of(request).account, service_of(request).clock.wall_ms()
    asked = journal_key(request, idempotency_key)
    try:
        added = await asyncio.to_thread(
            _book_of(request).add, account, data.label, data.address, wall_ms, asked
        )
    except DestinationError as error:
        raise ProblemError(error.code, error.detail) from None
    request.scope["state"]["subject"] = added.id
    return _given(added)


@delete("/withdrawal-destinations/{destination_id:str}", status_code=200, **_OWNED)
async def delete_destination(
    request: Asking, destination_id: IdPath, idempotency_key: IdempotencyKey
) -> DestinationGiven:
    """Remove a destination, at once; doing so again changes nothing."""
    del idempotency_key  # this one is the same however often it is done
    account, wall_ms = principal_of(request).account, service_of(request).clock.wall_ms()
    removed = await asyncio.to_thread(_book_of(request).remove, account, destination_id, wall_ms)
    if removed is None:
        raise ProblemError("NOT_FOUND", f"There is no destination {destination_id}.")
    return _given(removed)


def _list_given(rule: Rule, now_ms: int) -> WithdrawalList:
    is_on = rule.is_on(now_ms)
    return WithdrawalList(on=is_on, since=rule.on_ms if is_on else None, until=rule.off_ms)


@get("/withdrawal-list", **_READ)
async def get_list(request: Asking) -> WithdrawalList:
    """Say whether the account withdraws to its destinations only."""
    rule = await asyncio.to_thread(_book_of(request).rule, principal_of(request).account)
    return _list_given(rule, service_of(request).clock.wall_ms())


@post("/withdrawal-list", status_code=200, **_OWNED)
async def post_list(
    request: Asking, data: JSONBody[ListSwitch], idempotency_key: IdempotencyKey
) -> WithdrawalList:
    """Withdraw to the account's destinations only, from now on; or no more, after the period."""
    del idempotency_key  # this one is the same however often it is done
    if not data.on:
        _check_right(request)
    account, wall_ms = principal_of(request).account, service_of(request).clock.wall_ms()
    rule = await asyncio.to_thread(_book_of(request).switch, account, data.on, wall_ms)
    return _list_given(rule, wall_ms)


OPEN_ROUTES = [post_withdrawal, get_withdrawals]
ROUTES = [get_destinations, post_destination, delete_destination, get_list, post_list]
OPERATOR_ROUTES = [get_all_withdrawals]
