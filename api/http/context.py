"""What routes share: who asks, what for, and which part of a list."""

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request
from litestar.params import HeaderParameter, PathParameter, QueryParameter

from amm.units import AmountError, parse_amount
from api.depeg import Stocks
from api.dispatch import Executed
from api.http.gate import Principal
from api.http.problems import ProblemError, refusal
from api.instruments import Series, parse_series
from api.memory import Memory
from api.service import Service
from api.signing import IDEMPOTENCY_KEY
from api.wire import Accepted, Page, PoolName
from vaults.commands import Command

Item = TypeVar("Item")
Asking = Request[Any, Any, Any]

LIMIT_MAX = 500
Place = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A number in a cursor: whatever a caller makes up, the database can be asked for it."""
Limit = Annotated[int, QueryParameter(ge=1, le=LIMIT_MAX, description="Items of a page.")]
Cursor = Annotated[
    str | None,
    QueryParameter(pattern=r"^[A-Za-z0-9_-]{1,200}$", description="`next` of the page before."),
]
_KEY = re.compile(r"^[!-~]{1,128}$")
IdempotencyKey = Annotated[
    str,
    HeaderParameter(
        name=IDEMPOTENCY_KEY,
        pattern=_KEY.pattern,
        description="One for each thing to be done; a retry has the same.",
    ),
]
# Names are printable ASCII; what is none is not even looked for: no database takes every text.
NAME, NAME_MAX = r"^[ -~]{0,128}$(?!\n)", 128
AccountQuery = Annotated[
    str | None,
    QueryParameter(
        pattern=NAME,
        max_length=64,
        description="Another account, for the roles risk and operator.",
    ),
]
PoolPath = Annotated[PoolName, PathParameter(description="Which of the two pools.")]
TokenPath = Annotated[
    str, PathParameter(pattern=NAME, max_length=NAME_MAX, description="A token, as TSLA.M.")
]
IdPath = Annotated[str, PathParameter(pattern=NAME, max_length=NAME_MAX, description="Its id.")]


def is_idempotency_key(text: str) -> bool:
    """Whether a text may be an `Idempotency-Key`."""
    return _KEY.fullmatch(text) is not None


def service_of(request: Asking) -> Service:
    """Return the exchange a request is for."""
    service: Service = request.scope["state"]["service"]
    return service


def stocks_of(request: Asking) -> Stocks:
    """Return what is known of the stocks behind the tokens."""
    stocks: Stocks = request.app.state.stocks
    return stocks


def memory_of(request: Asking) -> Memory:
    """Return the memory as it is, for what never changes in it once it is durable: names."""
    return service_of(request).exchange.memory


async def settled(request: Asking) -> Memory:
    """Return the memory once all that is in it is durable; it stays so until the next wait."""
    return await service_of(request).settled()


def principal_of(request: Asking) -> Principal:
    """Return who signed a request; the gate has seen to it that somebody has."""
    principal: Principal = request.scope["auth"]
    return principal


def account_of(request: Asking, account: str | None = None) -> str:
    """Return whose account is meant: the key's own, or any for who may read all.

    Raises:
        ProblemError: It is somebody else's.
    """
    principal = principal_of(request)
    if account is None or account == principal.account:
        return principal.account
    if principal.roles.isdisjoint({"risk", "operator"}):
        raise ProblemError("ACCOUNT_FOREIGN", f"The key is not of the account {account}.")
    return account


def amount(text: str, field: str) -> int:
    """Return the base units of an amount.

    Raises:
        ProblemError: It is not one; the message says how many decimals are kept.
    """
    try:
        return parse_amount(text)
    except AmountError as error:
        raise ProblemError("MALFORMED", f"{error}.", field=field) from None


def series(name: str, field: str = "instrument") -> Series:
    """Return the series a name stands for.

    Raises:
        ProblemError: It stands for none.
    """
    try:
        return parse_series(name)
    except AmountError as error:
        raise ProblemError("MALFORMED", f"{error}.", field=field) from None


def listed_token(request: Asking, token: str) -> str:
    """Return the name of a listed token.

    Raises:
        ProblemError: There is no such token.
    """
    if token not in memory_of(request).tokens:
        raise ProblemError("NOT_FOUND", f"The token {token} is not listed.")
    return token


def journal_key(request: Asking, idempotency_key: str) -> str:
    """Return the journal's key of a caller's: accounts do not meet in it."""
    return f"{principal_of(request).account}/{idempotency_key}"


async def carry_out(request: Asking, command: Command, idempotency_key: str) -> Executed:
    """Execute a command; return what was done once it is durable.

    Raises:
        ProblemError: The rules refuse it.
    """
    executed = await service_of(request).submit(command, journal_key(request, idempotency_key))
    if executed.outcome.code:
        raise refusal(executed.outcome)
    return executed


def accepted(executed: Executed) -> Accepted:
    """Return that a command was carried out."""
    record = executed.record
    return Accepted(id=str(record.sequence), exchange_time=record.now_ms)


# -- pages


def encode_cursor(place: Any) -> str:
    """Return a place in a list as an opaque text."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def decode_cursor(cursor: str | None, kind: Any) -> Any:
    """Return the place a cursor stands for, None without one; no name in one needs an escape.

    Raises:
        ProblemError: It is not one of this list.
    """
    if cursor is None:
        return None
    with suppress(ValueError, msgspec.MsgspecError):
        padded = cursor + "=" * (-len(cursor) % 4)
        place = base64.b64decode(padded, altchars=b"-_", validate=True)
        if b"\\" not in place:
            return msgspec.json.decode(place, type=kind)
    raise ProblemError("MALFORMED", "The cursor is not one of this list.", field="cursor")


def page_of(
    items: Iterable[Item],
    place_of: Callable[[Item], Any],
    kind: Any,
    cursor: str | None,
    limit: int,
    *,
    backwards: bool = False,
) -> Page[Item]:
    """Return a page of items that are in memory, in the order of their places."""
    after = decode_cursor(cursor, kind)
    ordered = sorted(items, key=place_of, reverse=backwards)
    if after is not None:
        ordered = [
            each
            for each in ordered
            if (place_of(each) < after if backwards else place_of(each) > after)
        ]
    return page_from(iter(ordered), place_of, limit)


def page_from(items: Iterator[Item], place_of: Callable[[Item], Any], limit: int) -> Page[Item]:
    """Return a page of what is in order already; no more is taken than it tells of."""
    page = list(islice(items, limit))
    more = next(items, None) is not None
    return Page(items=page, next=encode_cursor(place_of(page[-1])) if more else None)
