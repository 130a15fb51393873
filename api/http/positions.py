"""Positions, their premium, and their sale."""

from litestar import Response, get, patch, post
from litestar.params import JSONBody

from api.history import Entry, ledger_lines
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
    memory_of,
    page_of,
    principal_of,
    service_of,
    settled,
)
from api.http.journal_pages import pages_of
from api.http.orders import QUEUED, TRADE_SIGNED, closed_before, trade
from api.http.problems import ProblemError
from api.http.security import READ, READ_ONE, READERS, TRADERS, WRITE
from api.instruments import parse_numbered
from api.views import accounts
from api.wire import (
    CloseRequest,
    Order,
    Page,
    Position,
    PositionPatch,
    PremiumPayment,
)
from vaults.commands import Close, SetSelfFunding
from vaults.state import NONE


def _place(each: Position) -> tuple[str, int]:
    token, number = parse_numbered(each.id) or ("", 0)
    return token, number


@get("/positions", responses=READ, opt={"roles": READERS}, **TRADE_SIGNED)
async def get_positions(
    request: Asking, account: AccountQuery = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[Position]:
    """List the account's positions, oldest first within a token."""
    memory, now_ms = await settled(request), service_of(request).clock.now_ms()
    held = accounts.positions(memory, account_of(request, account), now_ms)
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


@get("/positions/{position_id:str}", responses=READ_ONE, opt={"roles": READERS}, **TRADE_SIGNED)
async def get_position(request: Asking, position_id: IdPath) -> Position:
    """Return a position of the account."""
    memory, now_ms = await settled(request), service_of(request).clock.now_ms()
    token, _, slot = _own_position(request, position_id)
    if slot == NONE:
        raise ProblemError("POSITION_UNKNOWN", f"The account has no position {position_id}.")
    return accounts.position(memory, token, slot, now_ms)


@post(
    "/positions/{position_id:str}/close",
    responses=WRITE | QUEUED,
    opt={"roles": TRADERS, "express": True},
    **TRADE_SIGNED,
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
    known = closed_before(request, key)
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
        is_whole=data.notional is None,
    )
    return await trade(request, command, key)


@patch("/positions/{position_id:str}", responses=WRITE, opt={"roles": TRADERS}, **TRADE_SIGNED)
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
    **TRADE_SIGNED,
)
def get_premium_payments(
    request: Asking, account: AccountQuery = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[PremiumPayment]:
    """List the premium the account has paid, newest first."""
    memory, store = memory_of(request), service_of(request).exchange.store
    account = account_of(request, account)

    def items(each: Entry) -> list[PremiumPayment]:
        lines = ledger_lines(each, account, memory.slot_of)
        return [accounts.premium_payment(line) for line in lines if line.is_premium]

    return pages_of(store, f"account/{account}", items, cursor, limit)


ROUTES = [get_positions, get_position, post_close, patch_position, get_premium_payments]
