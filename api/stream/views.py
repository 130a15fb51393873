"""The rows of channels that show state: pure functions of the exchange's memory."""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from api.instruments import parse_numbered, parse_series
from api.memory import Memory
from api.stream.messages import ROWS
from api.views import accounts, market, pools

Rows = dict[str, Any]
"""Structs of the HTTP answers by their key."""

WITH_TIME = {
    "index": ("age",),
    "account": ("premium_owed", "withdrawable", "equity", "days_covered", "next_check"),
    "positions": ("premium_owed",),
}
"""Fields that change as time goes by; that alone is no reason to send a row."""


def _ticker(memory: Memory, of: str, _now_ms: int) -> list[Any]:
    found = market.ticker(memory, parse_series(of))
    return [] if found is None else [found]


def _index(memory: Memory, of: str, now_ms: int) -> list[Any]:
    return [market.index(memory, of, now_ms)]


def _pool(memory: Memory, of: str, now_ms: int) -> list[Any]:
    return [pools.pool(memory, of, now_ms)]


def _account(memory: Memory, of: str, now_ms: int) -> list[Any]:
    return accounts.account(memory, of, now_ms).balances


def _positions(memory: Memory, of: str, now_ms: int) -> list[Any]:
    return accounts.positions(memory, of, now_ms)


def _requests(memory: Memory, of: str, now_ms: int) -> list[Any]:
    return pools.requests_at(memory, pools.newest_requests(memory, of, None), now_ms)


_VIEWS: dict[str, Callable[[Memory, str, int], Iterable[Any]]] = {
    "ticker": _ticker,
    "index": _index,
    "pool": _pool,
    "account": _account,
    "positions": _positions,
    "requests": _requests,
}


def rows_of(kind: str, of: str, memory: Memory, now_ms: int) -> Rows:
    """Return the rows of a channel; of requests those that are open."""
    key = ROWS[kind][1]
    return {getattr(row, key): row for row in _VIEWS[kind](memory, of, now_ms)}


def is_same(kind: str, row: Struct, before: Struct | None) -> bool:
    """Whether nothing but time has changed a row."""
    if before is None:
        return False
    fields = WITH_TIME.get(kind, ())
    return row == before or (
        bool(fields) and replace(row, **{name: getattr(before, name) for name in fields}) == before
    )


def last_row(kind: str, key: str, memory: Memory, now_ms: int) -> Any | None:
    """Return the last state of a row that is no more among its channel's: a request's."""
    parsed = parse_numbered(key) if kind == "requests" else None
    if parsed is None:
        return None
    (row,) = pools.requests(memory, parsed[0], [parsed[1]], now_ms)
    return row
