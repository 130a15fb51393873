"""What anybody may read."""

from importlib.metadata import version
from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from api.history import read_entries
from api.http.actions import get_corporate_actions
from api.http.context import (
    NAME,
    NAME_MAX,
    Asking,
    Cursor,
    IdPath,
    Limit,
    Place,
    decode_cursor,
    encode_cursor,
    listed_token,
    memory_of,
    page_from,
    page_of,
    series,
    service_of,
    settled,
    stocks_of,
)
from api.http.parameters import get_parameters
from api.http.problems import CODES, ProblemError, documented
from api.instruments import Series
from api.journal import RULES_VERSION
from api.views import market, orders, pools
from api.views.numbers import rounded
from api.wire import (
    Index,
    Instrument,
    InstrumentDetail,
    Limits,
    MarkPoint,
    Page,
    ProblemCode,
    PublicTrade,
    Status,
    Ticker,
    Time,
)
from api.wire import Token as TokenGiven
from vaults.state import NONE

PUBLIC = documented(400, 401, 413, 429, 503)
FOUND = documented(400, 401, 404, 413, 429, 503)

TokenQuery = Annotated[
    str | None, QueryParameter(pattern=NAME, max_length=NAME_MAX, description="Of one token only.")
]
UnderlyingQuery = Annotated[
    str | None,
    QueryParameter(pattern=NAME, max_length=NAME_MAX, description="Of one underlying only."),
]
_Chosen = tuple[list[str], list[str]]
"""Tokens and underlyings."""
Since = Annotated[int, QueryParameter(ge=0, le=2**53, description="Exchange time; not before.")]


@get("/time", responses=PUBLIC, tags=["public"])
async def get_time(request: Asking) -> Time:
    """Tell the time."""
    clock = service_of(request).clock
    return Time(time=clock.wall_ms(), exchange_time=clock.now_ms())


@get("/status", responses=PUBLIC, tags=["public"])
async def get_status(request: Asking) -> Status:
    """Tell how the exchange is."""
    service = service_of(request)
    memory, now_ms = await service.settled(), service.clock.now_ms()
    return Status(
        version=version("evergamma"),
        rules_version=RULES_VERSION,
        started=service.started_ms,
        exchange_time=now_ms,
        feed=service.feed.name if service.feed else "push",
        feeds=[market.feed_source(each) for each in service.feed_health()],
        journal=service.exchange.journal_length,
        indices=[market.index(memory, symbol, now_ms) for symbol in memory.underlyings],
        tokens=[pools.token_state(memory, name, now_ms) for name in memory.tokens],
        invariants=service.invariants,
        invariants_checked=service.invariants_checked_ms,
        waiting=service.waiting,
        lag=rounded(service.counts.last_batch_seconds * 1e3, 3),
    )


@get("/problems", responses=PUBLIC, tags=["public"])
async def get_problems() -> Page[ProblemCode]:
    """List every code a problem can have."""
    return Page(
        items=[
            ProblemCode(code=name, status=code.status, title=code.title)
            for name, code in CODES.items()
        ]
    )


@get("/underlyings", responses=PUBLIC, tags=["public"])
async def get_underlyings(request: Asking) -> Page[Index]:
    """List the underlyings with their indices."""
    service = service_of(request)
    memory, now_ms = await service.settled(), service.clock.now_ms()
    return Page(items=[market.index(memory, symbol, now_ms) for symbol in memory.underlyings])


@get("/indices/{symbol:str}", responses=FOUND, tags=["public"])
async def get_index(request: Asking, symbol: IdPath) -> Index:
    """Return the index of an underlying."""
    service = service_of(request)
    memory = await service.settled()
    if symbol not in memory.underlyings:
        raise ProblemError("NOT_FOUND", f"There is no underlying {symbol}.")
    return market.index(memory, symbol, service.clock.now_ms())


@get("/tokens", responses=PUBLIC, tags=["public"])
async def get_tokens(
    request: Asking, limit: Limit = 100, cursor: Cursor = None
) -> Page[TokenGiven]:
    """List the tokens."""
    session = await service_of(request).session()
    memory = await settled(request)
    page = page_of(memory.tokens, str, str, cursor, limit)
    stocks = stocks_of(request)
    items = [market.token(memory, name, session, stocks) for name in page.items]
    return Page(items=items, next=page.next)


def _chosen(request: Asking, token: str | None, underlying: str | None) -> _Chosen:
    memory = memory_of(request)
    tokens = list(memory.tokens) if token is None else [listed_token(request, token)]
    if underlying is not None and underlying not in memory.underlyings:
        raise ProblemError("NOT_FOUND", f"There is no underlying {underlying}.")
    return tokens, list(memory.underlyings) if underlying is None else [underlying]


def _after(cursor: str | None) -> market.Place | None:
    after: market.Place | None = decode_cursor(cursor, market.Place)
    return after


@get("/instruments", responses=FOUND, tags=["public"], opt={"weight": 10})
async def get_instruments(
    request: Asking,
    token: TokenQuery = None,
    underlying: UnderlyingQuery = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[Instrument]:
    """List every series that can be opened now or has been."""
    memory = await settled(request)
    found = market.listed(memory, *_chosen(request, token, underlying), _after(cursor))
    page = page_from(found, market.place, limit)
    return Page(items=[market.instrument(memory, each) for each in page.items], next=page.next)


@get("/tickers", responses=FOUND, tags=["public"], opt={"weight": 10})
async def get_tickers(
    request: Asking,
    token: TokenQuery = None,
    underlying: UnderlyingQuery = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[Ticker]:
    """List every series that has open notional at its mark."""
    memory = await settled(request)
    found = market.live(memory, *_chosen(request, token, underlying), _after(cursor))
    page = page_from(found, market.place, limit)
    tickers = (market.ticker(memory, each) for each in page.items)
    return Page(items=[each for each in tickers if each is not None], next=page.next)


def known_series(request: Asking, name: str) -> Series:
    """Return a series that can be opened or has been.

    Raises:
        ProblemError: There is no such series.
    """
    found = series(name)
    if not market.is_series(memory_of(request), found):
        raise ProblemError("NOT_FOUND", f"There is no instrument {name}.")
    return found


@get("/instruments/{instrument:str}", responses=FOUND, tags=["public"])
async def get_instrument(request: Asking, instrument: IdPath) -> InstrumentDetail:
    """Return a series at its mark."""
    return market.detail(await settled(request), known_series(request, instrument))


@get(
    "/instruments/{instrument:str}/history",
    responses=FOUND,
    tags=["public"],
    opt={"weight": 5},
    sync_to_thread=True,
)
def get_instrument_history(
    request: Asking, instrument: IdPath, since: Since = 0, limit: Limit = 100, cursor: Cursor = None
) -> Page[MarkPoint]:
    """List minute readings of a series, oldest first, while it has open notional."""
    memory = memory_of(request)
    found = known_series(request, instrument)
    slot = market.find(memory, found)
    after = decode_cursor(cursor, Place)
    since = since if after is None else after + 1
    store = service_of(request).exchange.store
    rows = [] if slot == NONE else store.series_samples(found.token, slot, since, limit + 1)
    more = encode_cursor(rows[limit - 1].now_ms) if len(rows) > limit else None
    return Page(items=[market.mark_point(row) for row in rows[:limit]], next=more)


@get("/trades", responses=FOUND, tags=["public"], opt={"weight": 5}, sync_to_thread=True)
def get_trades(
    request: Asking,
    token: Annotated[
        str, QueryParameter(pattern=NAME, max_length=NAME_MAX, description="Of which token.")
    ],
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[PublicTrade]:
    """List the trades in a token, newest first."""
    name, memory = listed_token(request, token), memory_of(request)
    before = decode_cursor(cursor, Place)
    store = service_of(request).exchange.store
    entries = read_entries(store, f"trades/{name}", before, limit + 1)
    page = entries[:limit]
    more = encode_cursor(page[-1].sequence) if len(entries) > limit else None
    return Page(items=[orders.public_trade(memory, each) for each in page], next=more)


@get("/limits", responses=PUBLIC, tags=["public"])
async def get_limits(request: Asking) -> Limits:
    """Return what the caller may still send, and what requests weigh."""
    buckets = request.app.state.buckets
    return Limits(
        capacity=buckets.capacity,
        per_second=buckets.per_second,
        remaining=buckets.remaining(request.scope["state"]["caller"]),
        weights=request.app.state.weights,
    )


ROUTES = [
    get_time,
    get_status,
    get_problems,
    get_underlyings,
    get_index,
    get_tokens,
    get_parameters,
    get_corporate_actions,
    get_instruments,
    get_instrument,
    get_instrument_history,
    get_tickers,
    get_trades,
    get_limits,
]
