"""Pools, for anybody: what they are worth, were worth and could lose."""

from asyncio import to_thread
from collections.abc import Iterable
from typing import Annotated, Any, cast

from litestar import MediaType, Response, get
from litestar.params import PathParameter

from api.bundles import FlushBundle
from api.http.context import (
    Asking,
    Cursor,
    Limit,
    Place,
    TokenPath,
    decode_cursor,
    encode_cursor,
    listed_token,
    page_of,
    service_of,
    settled,
    stocks_of,
)
from api.http.problems import ProblemError
from api.http.public import FOUND, PUBLIC, Since
from api.storage.reading import Reading
from api.views import market, pools
from api.views.performance import FLUSHES_MAX
from api.wire import FlushRecord, Page, Pool, PoolDetail, PoolPoint, Scenarios

POOLS_MAX = 50
"""Pools of a page, whatever its limit: each is valued for it, in the thread that trades."""
FlushNumber = Annotated[int, PathParameter(ge=1, le=2**31, description="Its number.")]


@get("/pools", responses=PUBLIC, tags=["public"], opt={"weight": 10})
async def get_pools(request: Asking, limit: Limit = 50, cursor: Cursor = None) -> Page[Pool]:
    """List the pools of every token."""
    memory, now_ms = await settled(request), service_of(request).clock.now_ms()
    page = page_of(memory.tokens, str, str, cursor, min(limit, POOLS_MAX))
    return Page(items=[pools.pool(memory, name, now_ms) for name in page.items], next=page.next)


@get("/pools/{token:str}", responses=FOUND, tags=["public"])
async def get_pool(request: Asking, token: TokenPath) -> PoolDetail:
    """Return both pools of a token, and what their shares have earned and can be expected to."""
    name, service = listed_token(request, token), service_of(request)
    flushes = await to_thread(newest_flushes, service.exchange.store, [name])
    session = market.stock_session(name, await service.session(), stocks_of(request))
    memory, now_ms = await settled(request), service.clock.now_ms()
    return pools.detail(memory, name, flushes[name], session, now_ms)


def newest_flushes(store: Reading, tokens: Iterable[str]) -> dict[str, list[Any]]:
    """Return the last year's flushes of tokens, the newest first."""
    return {name: store.flushes(name, limit=FLUSHES_MAX) for name in tokens}


@get(
    "/pools/{token:str}/history",
    responses=FOUND,
    tags=["public"],
    opt={"weight": 5},
    sync_to_thread=True,
)
def get_pool_history(
    request: Asking, token: TokenPath, since: Since = 0, limit: Limit = 100, cursor: Cursor = None
) -> Page[PoolPoint]:
    """List readings of a token's pools, oldest first."""
    after = decode_cursor(cursor, Place)
    since = since if after is None else after + 1
    store = service_of(request).exchange.store
    rows = store.samples(listed_token(request, token), since, limit + 1)
    more = encode_cursor(rows[limit - 1].now_ms) if len(rows) > limit else None
    return Page(items=[pools.pool_point(row) for row in rows[:limit]], next=more)


@get(
    "/pools/{token:str}/flushes",
    responses=FOUND,
    tags=["public"],
    opt={"weight": 5},
    sync_to_thread=True,
)
def get_flushes(
    request: Asking, token: TokenPath, limit: Limit = 100, cursor: Cursor = None
) -> Page[FlushRecord]:
    """List the flushes of a token's pools, newest first."""
    name, before = listed_token(request, token), decode_cursor(cursor, Place)
    rows = service_of(request).exchange.store.flushes(name, before, limit + 1)
    more = encode_cursor(rows[limit - 1].number) if len(rows) > limit else None
    return Page(items=[pools.flush_record(row) for row in rows[:limit]], next=more)


@get(
    "/pools/{token:str}/flushes/{number:int}",
    responses=FOUND,
    tags=["public"],
    opt={"weight": 5},
    sync_to_thread=True,
)
def get_flush(request: Asking, token: TokenPath, number: FlushNumber) -> Response[FlushBundle]:
    """Return a flush's bundle, the bytes the journal has the SHA-256 of; the first is 1."""
    name = listed_token(request, token)
    found = service_of(request).exchange.store.bundle(name, number)
    if found is None:
        raise ProblemError("NOT_FOUND", f"{name} has had no flush {number}.")
    # As it was written, so that its digest is that of the answer.
    body, digest = cast("tuple[FlushBundle, str]", found)
    return Response(body, media_type=MediaType.JSON, headers={"ETag": f'"{digest}"'})


@get("/pools/{token:str}/scenarios", responses=FOUND, tags=["public"], opt={"weight": 5})
async def get_scenarios(request: Asking, token: TokenPath) -> Scenarios:
    """Return what a move of the indices would cost main LPs now."""
    return pools.scenarios(await settled(request), listed_token(request, token))


ROUTES = [get_pools, get_pool, get_pool_history, get_flushes, get_flush, get_scenarios]
