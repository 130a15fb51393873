"""Quotes, orders and positions."""

from typing import Any

from litestar import Response, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody

from amm.units import AMOUNT_MAX
from api.dispatch import Executed
from api.exchange import BatchLostError, KeyConflictError, QuarantinedError
from api.history import Entry, entry, ledger_lines, read_entries
from api.http.context import (
    Asking,
    Cursor,
    IdempotencyKey,
    IdPath,
    Limit,
    account_of,
    amount,
    carry_out,
    journal_key,
    memory_of,
    page_of,
    principal_of,
    series,
    service_of,
    settled,
)
from api.http.journal_pages import pages_of
from api.http.problems import ProblemError, documented, problem_of, refusal
from api.http.security import READ, READ_ONE, READERS, SIGNED, TRADERS, WRITE
from api.instruments import parse_numbered
from api.journal import MalformedCommandError, read_command
from api.service import Answer
from api.views import accounts, market, orders
from api.wire import (
    Batch,
    BatchRequest,
    BatchResult,
    CloseRequest,
    Order,
    OrderRequest,
    Page,
    Position,
    PositionPatch,
    PremiumPayment,
    Quote,
    QuoteRequest,
    Trade,
)
from vaults.commands import Close, Open, SetSelfFunding
from vaults.state import NONE

_SIGNED: dict[str, Any] = {"security": SIGNED, "tags": ["trade"]}


# -- quotes


@post(
    "/quotes",
    status_code=200,
    responses=documented(400, 401, 403, 404, 413, 422, 429),
    tags=["quote"],
    opt={"weight": 2, "changes": False},
)
async def post_quote(request: Asking, data: JSONBody[QuoteRequest]) -> Quote:
    """Say what an order would cost or bring now; nothing is reserved.

    No key is needed without an account. A close is quoted for a position of an account.
    """
    account = None
    if data.account is not None:
        if request.scope.get("auth") is None:
            raise ProblemError("SIGNATURE_MISSING", "A quote for an account must be signed.")
        account = account_of(request, data.account)
    service, chosen = service_of(request), series(data.instrument)
    memory, now_ms = await service.settled(), service.clock.now_ms()
    notional = amount(data.notional, "notional")
    if not market.is_series(memory, chosen):
        raise ProblemError("NOT_FOUND", f"There is no instrument {data.instrument}.")
    if market.ticker(memory, chosen) is None:
        raise ProblemError("MARK_STALE", f"{chosen.underlying} has no index yet.")
    if data.side == "open":
        asked = Open(
            chosen.token,
            account or "",
            chosen.underlying,
            chosen.kind,
            chosen.strike_e8,
            notional,
            AMOUNT_MAX,
            now_ms,
        )
        return orders.quote_open(memory, chosen, asked, has_account=account is not None)
    if account is None:
        raise ProblemError("SIGNATURE_MISSING", "A close is quoted for an account's position.")
    position_id = accounts.position_in(memory, account, chosen)
    if position_id == NONE:
        raise ProblemError("POSITION_UNKNOWN", f"The account has no position in {chosen.name}.")
    return orders.quote_close(memory, chosen, account, position_id, notional, now_ms)


# -- orders


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
    known = _closed_before(request, key)
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


def _closed_before(request: Asking, key: str) -> Close | None:
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
    return Response(done, status_code=202 if outcome.queued else 201)


_QUEUED = {202: ResponseSpec(Order, description="A close on a stale mark: queued")}


@post("/orders", responses=WRITE | _QUEUED, opt={"roles": TRADERS}, **_SIGNED)
async def post_order(
    request: Asking, data: JSONBody[OrderRequest], idempotency_key: IdempotencyKey
) -> Response[Order]:
    """Trade; answered once the trade is filled and durable.

    It is filled at the first index published a moment after it was received, in order of arrival,
    and refused where none comes within five seconds. A close is queued then, and filled at the
    next fresh index.
    """
    key = journal_key(request, idempotency_key)
    return await _trade(request, _command(request, data, key), key)


async def _trade(request: Asking, command: Open | Close, key: str) -> Response[Order]:
    (answer,) = await service_of(request).order([(command, key)])
    if isinstance(answer, Exception):
        raise answer
    return _respond(request, answer)


def _batch_keys(request: Asking, key: str, count: int) -> list[str]:
    """Return a key for each order of a batch.

    Raises:
        KeyConflictError: The key was used for a batch of another length, or for one order.
    """
    keys = [key, *(f"{key} {place}" for place in range(1, count + 1))]
    exchange = service_of(request).exchange
    known = [exchange.recall(each) is not None for each in keys]
    if any(known) and known != [True] * count + [False]:
        raise KeyConflictError(key)
    return keys[:count]


@post(
    "/orders/batch",
    status_code=200,
    responses=WRITE,
    opt={"roles": TRADERS, "weight": 10},
    **_SIGNED,
)
async def post_batch(
    request: Asking, data: JSONBody[BatchRequest], idempotency_key: IdempotencyKey
) -> Batch:
    """Trade up to 100 orders, one after another; each has its own result."""
    key = journal_key(request, idempotency_key)
    keys = _batch_keys(request, key, len(data.orders))
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
    if isinstance(
        answer, MalformedCommandError | QuarantinedError | BatchLostError | KeyConflictError
    ):
        raise answer
    assert not isinstance(answer, Exception)
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
    **_SIGNED,
)
def get_orders(request: Asking, limit: Limit = 100, cursor: Cursor = None) -> Page[Order]:
    """List the account's orders, newest first, refused ones too."""
    memory, store = memory_of(request), service_of(request).exchange.store

    def items(each: Entry) -> list[Order]:
        if not isinstance(each.command, Open | Close) or _is_fill(each):
            return []
        return [orders.order_now(memory, each, _fill_of(request, each))]

    topic = f"account/{account_of(request)}"
    return pages_of(store, topic, items, cursor, limit)


def _is_fill(each: Entry) -> bool:
    return isinstance(each.command, Close) and each.command.order != 0


def _fill_of(request: Asking, asked: Entry) -> Entry | None:
    """Return the record that carried out a queued close."""
    if not asked.outcome.queued:
        return None
    store = service_of(request).exchange.store
    found = read_entries(store, f"fill/{asked.sequence}", None, 1)
    return found[0] if found else None


@get(
    "/orders/{order_id:str}",
    responses=READ_ONE,
    opt={"roles": READERS},
    sync_to_thread=True,
    **_SIGNED,
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
    **_SIGNED,
)
def get_own_trades(request: Asking, limit: Limit = 100, cursor: Cursor = None) -> Page[Trade]:
    """List the account's trades, newest first."""
    memory, store = memory_of(request), service_of(request).exchange.store

    def items(each: Entry) -> list[Trade]:
        is_order = isinstance(each.command, Open | Close)
        is_filled = each.outcome.code == 0 and not each.outcome.queued
        return [orders.trade(memory, each)] if is_order and is_filled else []

    return pages_of(store, f"account/{account_of(request)}", items, cursor, limit)


# -- positions


def _place(each: Position) -> tuple[str, int]:
    token, number = parse_numbered(each.id) or ("", 0)
    return token, number


@get("/positions", responses=READ, opt={"roles": READERS}, **_SIGNED)
async def get_positions(
    request: Asking, limit: Limit = 100, cursor: Cursor = None
) -> Page[Position]:
    """List the account's positions, oldest first within a token."""
    memory, now_ms = await settled(request), service_of(request).clock.now_ms()
    held = accounts.positions(memory, account_of(request), now_ms)
    return page_of(held, _place, tuple[str, int], cursor, limit)


def _own_position(request: Asking, name: str) -> tuple[str, int, int]:
    """Return token, number and row of a position of the account; row NONE where it is gone.

    Raises:
        ProblemError: It is no name of a position in a listed token.
    """
    parsed = parse_numbered(name)
    if parsed is None or parsed[0] not in memory_of(request).tokens:
        raise ProblemError("POSITION_UNKNOWN", f"The account has no position {name}.")
    account = principal_of(request).account
    return *parsed, accounts.find_position(memory_of(request), account, *parsed)


@get("/positions/{position_id:str}", responses=READ_ONE, opt={"roles": READERS}, **_SIGNED)
async def get_position(request: Asking, position_id: IdPath) -> Position:
    """Return a position of the account."""
    memory, now_ms = await settled(request), service_of(request).clock.now_ms()
    token, _, slot = _own_position(request, position_id)
    if slot == NONE:
        raise ProblemError("POSITION_UNKNOWN", f"The account has no position {position_id}.")
    return accounts.position(memory, token, slot, now_ms)


@post(
    "/positions/{position_id:str}/close",
    responses=WRITE | _QUEUED,
    opt={"roles": TRADERS},
    **_SIGNED,
)
async def post_close(
    request: Asking,
    position_id: IdPath,
    data: JSONBody[CloseRequest],
    idempotency_key: IdempotencyKey,
) -> Response[Order]:
    """Sell a position, or a part of it; filled as an order is."""
    key = journal_key(request, idempotency_key)
    token, number, slot = _own_position(request, position_id)
    known = _closed_before(request, key)
    if data.notional is not None:
        notional = amount(data.notional, "notional")
    elif known is not None:
        notional = known.notional
    else:
        rows = memory_of(request).tokens[token].state.positions
        notional = int(rows[slot].notional) if slot != NONE else 0
    command = Close(
        token,
        principal_of(request).account,
        number,
        notional,
        service_of(request).clock.now_ms(),
        amount(data.limit_total, "limit_total"),
        data.client_id or "",
        data.expires_at or 0,
    )
    return await _trade(request, command, key)


@patch("/positions/{position_id:str}", responses=WRITE, opt={"roles": TRADERS}, **_SIGNED)
async def patch_position(
    request: Asking,
    position_id: IdPath,
    data: JSONBody[PositionPatch],
    idempotency_key: IdempotencyKey,
) -> Position:
    """Switch self-funding of a position on or off."""
    token, number, _ = _own_position(request, position_id)
    service, account = service_of(request), principal_of(request).account
    now_ms = service.clock.now_ms()
    command = SetSelfFunding(token, account, number, data.self_funding, now_ms)
    await carry_out(request, command, idempotency_key)
    memory = await service.settled()
    slot = accounts.find_position(memory, account, token, number)
    if slot == NONE:
        raise ProblemError("POSITION_UNKNOWN", f"The position {position_id} is closed.")
    return accounts.position(memory, token, slot, service.clock.now_ms())


@get(
    "/premium-payments",
    responses=READ,
    opt={"roles": READERS, "weight": 5},
    sync_to_thread=True,
    **_SIGNED,
)
def get_premium_payments(
    request: Asking, limit: Limit = 100, cursor: Cursor = None
) -> Page[PremiumPayment]:
    """List the premium the account has paid, newest first."""
    memory, store = memory_of(request), service_of(request).exchange.store
    account = account_of(request)

    def items(each: Entry) -> list[PremiumPayment]:
        lines = ledger_lines(each, account, memory.slot_of)
        return [accounts.premium_payment(line) for line in lines if line.is_premium]

    return pages_of(store, f"account/{account}", items, cursor, limit)


ROUTES = [
    post_quote,
    post_order,
    post_batch,
    get_orders,
    get_order,
    get_own_trades,
    get_positions,
    get_position,
    post_close,
    patch_position,
    get_premium_payments,
]
