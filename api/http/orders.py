"""Orders, one or many at a time, and what became of them."""

from typing import Any

from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody

from api.dispatch import Executed
from api.history import Entry, entry, read_entries
from api.http.answers import JsonAnswer
from api.http.context import (
    AccountQuery,
    Asking,
    Cursor,
    IdempotencyKey,
    IdPath,
    Limit,
    account_of,
    amount,
    journal_key,
    memory_of,
    principal_of,
    series,
    service_of,
)
from api.http.journal_pages import pages_of
from api.http.problems import ProblemError, problem_of, refusal
from api.http.security import READ, READ_ONE, READERS, SIGNED, TRADERS, WRITE
from api.jobs import Answer
from api.journal import read_command
from api.views import accounts, orders
from api.wire import (
    Batch,
    BatchRequest,
    BatchResult,
    Order,
    OrderRequest,
    Page,
    Trade,
)
from vaults.commands import Close, Open

TRADE_SIGNED: dict[str, Any] = {"security": SIGNED, "tags": ["trade"]}


def _open(request: Asking, asked: OrderRequest) -> Open:
    chosen = series(asked.instrument)
    return Open(
        chosen.token,
        principal_of(request).account,
        chosen.underlying,
        chosen.kind,
        chosen.strike_e8,
        amount(asked.notional, "notional"),
        amount(asked.limit_total, "limit_total"),
        service_of(request).clock.now_ms(),
        asked.self_funding,
        asked.client_id or "",
        asked.expires_at or 0,
    )


def _close(request: Asking, asked: OrderRequest, key: str) -> Close:
    """Return the close of a position by its series."""
    if asked.self_funding:
        detail = "A close has no self_funding."
        raise ProblemError("MALFORMED", detail, field="self_funding")
    chosen, account = series(asked.instrument), principal_of(request).account
    known = closed_before(request, key)
    position_id = accounts.position_in(memory_of(request), account, chosen)
    return Close(
        chosen.token,
        account,
        position_id if known is None else known.position_id,
        amount(asked.notional, "notional"),
        service_of(request).clock.now_ms(),
        amount(asked.limit_total, "limit_total"),
        asked.client_id or "",
        asked.expires_at or 0,
    )


def closed_before(request: Asking, key: str) -> Close | None:
    """Return the close a key was used for: its position may be gone since, or another."""
    record = service_of(request).exchange.recall(key)
    command = None if record is None else read_command(record)
    return command if isinstance(command, Close) else None


def _command(request: Asking, asked: OrderRequest, key: str) -> Open | Close:
    return _open(request, asked) if asked.side == "open" else _close(request, asked, key)


def _respond(request: Asking, executed: Executed) -> Response[Order]:
    """Answer with an order: 201 filled, 202 queued.

    Raises:
        ProblemError: It was refused.
    """
    outcome, number = executed.outcome, executed.record.sequence
    if outcome.code:
        raise refusal(outcome, number)
    done = orders.order(memory_of(request), number, executed.command, outcome)
    return JsonAnswer(done, 202 if outcome.queued else 201)


QUEUED = {202: ResponseSpec(Order, description="A close on a stale mark: queued")}


@post(
    "/orders",
    responses=WRITE | QUEUED,
    opt={"roles": TRADERS, "express": True},
    **TRADE_SIGNED,
)
async def post_order(
    request: Asking, data: JSONBody[OrderRequest], idempotency_key: IdempotencyKey
) -> Response[Order]:
    """Trade; answered once the trade is filled and durable.

    It is filled at the first index published a moment after it was received, in order of arrival,
    and refused where none comes within five seconds. A close is queued then, and filled at the
    next fresh index.
    """
    key = journal_key(request, idempotency_key)
    return await trade(request, _command(request, data, key), key)


async def trade(request: Asking, command: Open | Close, key: str) -> Response[Order]:
    """Carry out one order and answer with it.

    Raises:
        ProblemError: It was refused.
    """
    (answer,) = await service_of(request).order([(command, key)])
    if isinstance(answer, Exception):
        raise answer
    return _respond(request, answer)


@post(
    "/orders/batch",
    status_code=200,
    responses=WRITE,
    opt={"roles": TRADERS, "weight": 10},
    **TRADE_SIGNED,
)
async def post_batch(
    request: Asking, data: JSONBody[BatchRequest], idempotency_key: IdempotencyKey
) -> Batch:
    """Trade up to 100 orders, one after another; each has its own result."""
    key = journal_key(request, idempotency_key)
    keys = [key, *(f"{key} {place}" for place in range(1, len(data.orders)))]
    asked = [
        (_in_batch(request, each, own, place), own)
        for place, (each, own) in enumerate(zip(data.orders, keys, strict=True))
    ]
    answers = await service_of(request).order(asked)
    return Batch(results=[_result(request, each) for each in answers])


def _in_batch(request: Asking, asked: OrderRequest, key: str, place: int) -> Open | Close:
    """Return the command of one order of a batch.

    Raises:
        ProblemError: It is malformed, and with it the batch.
    """
    try:
        return _command(request, asked, key)
    except ProblemError as error:
        error.more["field"] = f"orders[{place}].{error.more.get('field', '')}".rstrip(".")
        raise


def _failed(request: Asking, error: ProblemError) -> BatchResult:
    problem = problem_of(error, request.scope["state"]["request_id"])
    return BatchResult(status=problem.status, problem=problem)


def _result(request: Asking, answer: Answer) -> BatchResult:
    """Return the result of one order of a batch.

    Raises:
        Exception: One that concerns the whole batch.
    """
    if isinstance(answer, Exception):
        raise answer
    try:
        response = _respond(request, answer)
    except ProblemError as error:
        return _failed(request, error)
    return BatchResult(status=response.status_code or 201, order=response.content)


@get(
    "/orders",
    responses=READ,
    opt={"roles": READERS, "weight": 5},
    sync_to_thread=True,
    **TRADE_SIGNED,
)
def get_orders(
    request: Asking, account: AccountQuery = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[Order]:
    """List the account's orders, newest first, refused ones too."""
    memory, store = memory_of(request), service_of(request).exchange.store

    def items(each: Entry) -> list[Order]:
        if not isinstance(each.command, Open | Close) or _is_fill(each):
            return []
        return [orders.order_now(memory, each, _fill_of(request, each))]

    topic = f"account/{account_of(request, account)}"
    return pages_of(store, topic, items, cursor, limit)


def _is_fill(each: Entry) -> bool:
    return isinstance(each.command, Close) and each.command.order != 0


def _fill_of(request: Asking, asked: Entry) -> Entry | None:
    """Return the record that carried out a queued close."""
    if not asked.outcome.queued:
        return None
    store = service_of(request).exchange.store
    found = read_entries(store, f"fill/{asked.sequence}", None, 1, is_current=True)
    return found[0] if found else None


@get(
    "/orders/{order_id:str}",
    responses=READ_ONE,
    opt={"roles": READERS},
    sync_to_thread=True,
    **TRADE_SIGNED,
)
def get_order(request: Asking, order_id: IdPath) -> Order:
    """Return an order of the account."""
    is_number = order_id.isascii() and order_id.isdigit() and len(order_id) <= 15
    found = entry(service_of(request).exchange.store, int(order_id)) if is_number else None
    command = None if found is None else found.command
    is_own = isinstance(command, Open | Close) and command.account == account_of(request)
    if found is None or not is_own or _is_fill(found):
        raise ProblemError("NOT_FOUND", f"The account has no order {order_id}.")
    return orders.order_now(memory_of(request), found, _fill_of(request, found))


@get(
    "/account/trades",
    responses=READ,
    opt={"roles": READERS, "weight": 5},
    sync_to_thread=True,
    **TRADE_SIGNED,
)
def get_own_trades(
    request: Asking, account: AccountQuery = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[Trade]:
    """List the account's trades, newest first."""
    memory, store = memory_of(request), service_of(request).exchange.store

    def items(each: Entry) -> list[Trade]:
        is_order = isinstance(each.command, Open | Close)
        is_filled = each.outcome.code == 0 and not each.outcome.queued
        return [orders.trade(memory, each)] if is_order and is_filled else []

    return pages_of(store, f"account/{account_of(request, account)}", items, cursor, limit)


ROUTES = [post_order, post_batch, get_orders, get_order, get_own_trades]
