"""An account's balances, its ledger, deposits and transfers."""

from litestar import get, post
from litestar.params import JSONBody

from api.history import Entry, ledger_lines
from api.http.context import (
    AccountQuery,
    Asking,
    Cursor,
    IdempotencyKey,
    Limit,
    account_of,
    amount,
    carry_out,
    memory_of,
    principal_of,
    service_of,
)
from api.http.journal_pages import pages_of
from api.http.problems import documented
from api.http.security import OWNERS, READ, READERS, SIGNED
from api.views import accounts
from api.wire import (
    Account,
    Deposit,
    LedgerLine,
    Page,
    Transfer,
    TransferRequest,
)
from vaults.commands import Credit, MoveBalance

_WRITE = documented(400, 401, 403, 409, 413, 422, 429, 503)


@get("/account", responses=READ, opt={"roles": READERS}, tags=["account"], security=SIGNED)
async def get_account(request: Asking, account: AccountQuery = None) -> Account:
    """Return the balances of the key's account; of any, for the roles risk and operator."""
    service = service_of(request)
    name = account_of(request, account)
    return accounts.account(await service.settled(), name, service.clock.now_ms())


@get(
    "/ledger",
    responses=READ,
    opt={"roles": READERS, "weight": 5},
    sync_to_thread=True,
    tags=["account"],
    security=SIGNED,
)
def get_ledger(
    request: Asking, account: AccountQuery = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[LedgerLine]:
    """List every move of the account's money as a double entry, newest first."""
    memory, store = memory_of(request), service_of(request).exchange.store
    name = account_of(request, account)

    def items(each: Entry) -> list[LedgerLine]:
        return [accounts.ledger_line(line) for line in ledger_lines(each, name, memory.slot_of)]

    return pages_of(store, f"account/{name}", items, cursor, limit)


@get(
    "/deposits",
    responses=READ,
    opt={"roles": READERS, "weight": 5},
    sync_to_thread=True,
    tags=["account"],
    security=SIGNED,
)
def get_deposits(
    request: Asking, account: AccountQuery = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[Deposit]:
    """List the account's confirmed external deposits, newest first."""
    store = service_of(request).exchange.store

    def items(each: Entry) -> list[Deposit]:
        is_done = isinstance(each.command, Credit) and each.outcome.code == 0
        return [accounts.deposit(each.sequence, each.command)] if is_done else []

    return pages_of(store, f"account/{account_of(request, account)}", items, cursor, limit)


@post("/transfers", responses=_WRITE, opt={"roles": OWNERS}, tags=["account"], security=SIGNED)
async def post_transfer(
    request: Asking, data: JSONBody[TransferRequest], idempotency_key: IdempotencyKey
) -> Transfer:
    """Move free balance to another generation of the same token."""
    now_ms = service_of(request).clock.now_ms()
    account, moved = principal_of(request).account, amount(data.amount, "amount")
    command = MoveBalance(data.token, data.target, account, moved, now_ms)
    return accounts.transfer(await carry_out(request, command, idempotency_key))


ROUTES = [get_account, get_ledger, get_deposits, post_transfer]
