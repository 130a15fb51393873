"""Pools, for anybody: what they are worth, were worth and could lose."""

from typing import Annotated

from litestar import get
from litestar.params import PathParameter

from api.history import read_entries
from api.http.context import (
    Asking,
    Cursor,
    Limit,
    Place,
    TokenPath,
    decode_cursor,
    encode_cursor,
    listed_token,
    memory_of,
    page_of,
    service_of,
    settled,
)
from api.http.problems import ProblemError
from api.http.public import FOUND, PUBLIC, Since
from api.views import pools
from api.wire import (
    FlushRecord,
    Page,
    Pool,
    PoolPoint,
    Scenarios,
)

FlushNumber = Annotated[int, PathParameter(ge=1, le=2**31, description="Its number.")]


@get("/pools", responses=PUBLIC, tags=["public"], opt={"weight": 5})
async def get_pools(request: Asking, limit: Limit = 50, cursor: Cursor = None) -> Page[Pool]:
    """List the pools of every token."""
    memory, now_ms = await settled(request), service_of(request).clock.now_ms()
    page = page_of(memory.tokens, str, str, cursor, limit)
    return Page(items=[pools.pool(memory, name, now_ms) for name in page.items], next=page.next)


@get("/pools/{token:str}", responses=FOUND, tags=["public"])
async def get_pool(request: Asking, token: TokenPath) -> Pool:
    """Return both pools of a token."""
    memory, now_ms = await settled(request), service_of(request).clock.now_ms()
    return pools.pool(memory, listed_token(request, token), now_ms)


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
    name = listed_token(request, token)
    place = decode_cursor(cursor, tuple[Place, Place])
    done = int(memory_of(request).tokens[name].state.pool[0].flushes)
    before, number = place or (None, done)
    store = service_of(request).exchange.store
    entries = read_entries(store, f"flushes/{name}", before, limit + 1)
    items = [pools.flush_record(each, number - place) for place, each in enumerate(entries[:limit])]
    more = len(entries) > limit
    last = entries[limit - 1].sequence if more else 0
    return Page(items=items, next=encode_cursor((last, number - limit)) if more else None)


@get(
    "/pools/{token:str}/flushes/{number:int}",
    responses=FOUND,
    tags=["public"],
    opt={"weight": 5},
    sync_to_thread=True,
)
def get_flush(request: Asking, token: TokenPath, number: FlushNumber) -> FlushRecord:
    """Return a flush by its number, the first is 1."""
    name = listed_token(request, token)
    done = int(memory_of(request).tokens[name].state.pool[0].flushes)
    if not 1 <= number <= done:
        raise ProblemError("NOT_FOUND", f"{name} has had {done} flushes.")
    store = service_of(request).exchange.store
    (*_, entry) = read_entries(store, f"flushes/{name}", None, done - number + 1)
    return pools.flush_record(entry, number)


@get("/pools/{token:str}/scenarios", responses=FOUND, tags=["public"], opt={"weight": 5})
async def get_scenarios(request: Asking, token: TokenPath) -> Scenarios:
    """Return what a move of the indices would cost main LPs now."""
    return pools.scenarios(await settled(request), listed_token(request, token))


ROUTES = [get_pools, get_pool, get_pool_history, get_flushes, get_flush, get_scenarios]
