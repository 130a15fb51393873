"""Deposits to pools and redemptions: requests that a flush prices."""

from asyncio import to_thread

from litestar import delete, get, post
from litestar.params import JSONBody

from api.http.context import (
    AccountQuery,
    Asking,
    Cursor,
    IdempotencyKey,
    IdPath,
    Limit,
    Place,
    PoolPath,
    TokenPath,
    account_of,
    amount,
    carry_out,
    decode_cursor,
    encode_cursor,
    listed_token,
    memory_of,
    principal_of,
    service_of,
    settled,
)
from api.http.pools import newest_flushes
from api.http.problems import ProblemError
from api.http.security import PROVIDERS, READ, READ_ONE, READERS, SIGNED, WRITE
from api.instruments import parse_numbered
from api.memory import Memory
from api.views import pools
from api.views.names import KINDS
from api.wire import Page, PoolDepositRequest, PoolRequest, Provider, RedemptionRequest
from vaults.commands import Cancel, Request
from vaults.moves import RequestKind
from vaults.state import NONE

_KINDS = {place: kind for kind, place in KINDS.items()}


async def _ask(
    request: Asking, token: str, kind: RequestKind, asked: int, min_out: int, key: str
) -> PoolRequest:
    """Make a request and return it."""
    name, account = listed_token(request, token), principal_of(request).account
    now_ms = service_of(request).clock.now_ms()
    command = Request(name, account, int(kind), asked, now_ms, min_out)
    return pools.request_asked(await carry_out(request, command, key))


@post(
    "/pools/{token:str}/{pool:str}/deposits",
    responses=WRITE,
    opt={"roles": PROVIDERS},
    tags=["provide"],
    security=SIGNED,
)
async def post_deposit(
    request: Asking,
    token: TokenPath,
    pool: PoolPath,
    data: JSONBody[PoolDepositRequest],
    idempotency_key: IdempotencyKey,
) -> PoolRequest:
    """Offer tokens to a pool; a flush prices them and returns them where that yields too few."""
    asked, least = amount(data.amount, "amount"), amount(data.min_out, "min_out")
    kind = _KINDS[pool, "deposit"]
    return await _ask(request, token, kind, asked, least, idempotency_key)


@post(
    "/pools/{token:str}/{pool:str}/redemptions",
    responses=WRITE,
    opt={"roles": PROVIDERS},
    tags=["provide"],
    security=SIGNED,
)
async def post_redemption(
    request: Asking,
    token: TokenPath,
    pool: PoolPath,
    data: JSONBody[RedemptionRequest],
    idempotency_key: IdempotencyKey,
) -> PoolRequest:
    """Offer shares back; flushes pay them out in turn as far as liquidity is free."""
    asked, least = amount(data.shares, "shares"), amount(data.min_out, "min_out")
    kind = _KINDS[pool, "redemption"]
    return await _ask(request, token, kind, asked, least, idempotency_key)


@get("/requests", responses=READ, opt={"roles": READERS}, tags=["provide"], security=SIGNED)
async def get_requests(
    request: Asking, account: AccountQuery = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[PoolRequest]:
    """List the account's requests, newest first."""
    name, now_ms = account_of(request, account), service_of(request).clock.now_ms()
    before, memory = decode_cursor(cursor, tuple[Place, str, Place]), await settled(request)
    keys = pools.newest_requests(memory, name, limit + 1, before)
    page = pools.requests_at(memory, keys[:limit], now_ms)
    return Page(items=page, next=encode_cursor(keys[limit - 1]) if len(keys) > limit else None)


def _own_request(request: Asking, name: str) -> tuple[str, int]:
    """Return token and number of a request of the account.

    Raises:
        ProblemError: The account has no such request.
    """
    memory, parsed = memory_of(request), parse_numbered(name)
    if parsed is not None and parsed[0] in memory.tokens:
        token, number = parsed
        state = memory.tokens[token].state
        slot = memory.slot_of(token, principal_of(request).account)
        is_known = slot != NONE and number < int(state.pool[0].request_count)
        if is_known and int(state.requests[number].account) == slot:
            return parsed
    raise ProblemError("REQUEST_UNKNOWN", f"The account has no request {name}.")


@get(
    "/requests/{request_id:str}",
    responses=READ_ONE,
    opt={"roles": READERS},
    tags=["provide"],
    security=SIGNED,
)
async def get_request(request: Asking, request_id: IdPath) -> PoolRequest:
    """Return a request of the account."""
    (token, number), memory = _own_request(request, request_id), await settled(request)
    return _request_now(request, memory, token, number)


def _request_now(request: Asking, memory: Memory, token: str, number: int) -> PoolRequest:
    (asked,) = pools.requests(memory, token, [number], service_of(request).clock.now_ms())
    return asked


@delete(
    "/requests/{request_id:str}",
    status_code=200,
    responses=WRITE,
    opt={"roles": PROVIDERS},
    tags=["provide"],
    security=SIGNED,
)
async def delete_request(
    request: Asking, request_id: IdPath, idempotency_key: IdempotencyKey
) -> PoolRequest:
    """Take a request back, until the cut-off of the flush that would price it."""
    token, number = _own_request(request, request_id)
    now_ms = service_of(request).clock.now_ms()
    command = Cancel(token, principal_of(request).account, number, now_ms)
    await carry_out(request, command, idempotency_key)
    return _request_now(request, await settled(request), token, number)


@get("/provider", responses=READ, opt={"roles": READERS}, tags=["provide"], security=SIGNED)
async def get_provider(request: Asking, account: AccountQuery = None) -> Provider:
    """Return everything the account holds of pools."""
    service, name = service_of(request), account_of(request, account)
    tokens = pools.tokens_provided(await service.settled(), name)
    flushes = await to_thread(newest_flushes, service.exchange.store, tokens)
    memory = await service.settled()
    return pools.provider(memory, name, flushes, service.clock.now_ms())


ROUTES = [
    post_deposit,
    post_redemption,
    get_requests,
    get_request,
    delete_request,
    get_provider,
]
