"""An account's balances, its ledger, deposits and withdrawals."""

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
    page_of,
    principal_of,
    service_of,
    settled,
)
from api.http.journal_pages import pages_of
from api.http.problems import documented
from api.http.security import READ, READERS, SIGNED
from api.views import accounts
from api.wire import Account, Deposit, LedgerLine, Page, Withdrawal, WithdrawalRequest
from vaults.commands import Credit, Withdraw

OWNERS = frozenset({"trade", "provide"})
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


@post("/withdrawals", responses=_WRITE, opt={"roles": OWNERS}, tags=["account"], security=SIGNED)
async def post_withdrawal(
    request: Asking, data: JSONBody[WithdrawalRequest], idempotency_key: IdempotencyKey
) -> Withdrawal:
    """Take free balance out of trading; the operator pays it out."""
    now_ms = service_of(request).clock.now_ms()
    command = Withdraw(
        data.token, principal_of(request).account, amount(data.amount, "amount"), now_ms
    )
    return accounts.withdrawal_asked(await carry_out(request, command, idempotency_key))


@get("/withdrawals", responses=READ, opt={"roles": READERS}, tags=["account"], security=SIGNED)
async def get_withdrawals(
    request: Asking, account: AccountQuery = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[Withdrawal]:
    """List the account's withdrawals, newest first."""
    memory, name = await settled(request), account_of(request, account)
    numbers = (n for n, each in enumerate(memory.withdrawals, 1) if each.account == name)
    page = page_of(numbers, int, int, cursor, limit, backwards=True)
    return Page(items=[accounts.withdrawal(memory, n) for n in page.items], next=page.next)


ROUTES = [get_account, get_ledger, get_deposits, post_withdrawal, get_withdrawals]
