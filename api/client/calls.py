"""A call, before anybody sends it; and the descriptor that makes a method of one.

An operation is written once, as a function that returns a `Call`. On a `Client` it is a method
that returns the answer, on an `AsyncClient` one that returns its coroutine; type checkers see
both. Lists likewise, with `Pages`.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload
from urllib.parse import quote, urlencode
from uuid import uuid4

import msgspec

from api.wire import Page

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request without its signature, and the type of its answer.

    Attributes:
        method: Of HTTP.
        target: Path and query, encoded.
        answer: Type of the answer; bytes for one that is no JSON, NoneType for none.
        body: JSON, or nothing.
        idempotency_key: Of a mutation; empty for what changes nothing.
        is_signed: Whether it is signed where there is a key.
    """

    method: str
    target: str
    answer: type[T]
    body: bytes = b""
    idempotency_key: str = ""
    is_signed: bool = True


def path(*segments: str | int) -> str:
    """Return a path of the API; whatever a segment holds, it stays one segment."""
    return "/v1/" + "/".join(quote(str(segment), safe="") for segment in segments)


def with_query(target: str, **query: str | int | None) -> str:
    """Return a target with those parameters that are given."""
    given = {name: value for name, value in query.items() if value is not None}
    return f"{target}?{urlencode(given)}" if given else target


def read(target: str, answer: type[T]) -> Call[T]:
    """Return a call that changes nothing."""
    return Call("GET", target, answer)


def change(
    method: str,
    target: str,
    body: msgspec.Struct | Mapping[str, object] | None,
    answer: type[T],
    idempotency_key: str | None,
) -> Call[T]:
    """Return a mutation; without a key it gets one of its own."""
    written = b"" if body is None else msgspec.json.encode(body)
    return Call(method, target, answer, written, idempotency_key or str(uuid4()))


@dataclass(frozen=True, slots=True)
class Pages(Generic[T]):
    """A list that is read page by page."""

    target: str
    item: type[T]

    def page(self, cursor: str | None, limit: int | None) -> Call[Page[T]]:
        """Return the call for the page at a cursor."""
        query = {"cursor": cursor, "limit": limit}
        given = {name: value for name, value in query.items() if value is not None}
        join = "&" if "?" in self.target else "?"
        target = f"{self.target}{join}{urlencode(given)}" if given else self.target
        return read(target, Page[self.item])  # type: ignore[name-defined]


class Blocking(ABC):
    """What returns answers."""

    @abstractmethod
    def perform(self, call: Call[T]) -> T:
        """Carry out a call and return its answer."""


class Waiting(ABC):
    """What returns coroutines of answers."""

    @abstractmethod
    async def perform(self, call: Call[T]) -> T:
        """Carry out a call and return its answer."""


class Items(Iterator[T]):
    """The items of a list, across its pages; a page is asked for when it is come to."""

    def __init__(self, client: Blocking, pages: Pages[T]) -> None:
        self._client = client
        self._pages = pages
        self._items = (item for page in self.pages() for item in page.items)

    def __next__(self) -> T:
        return next(self._items)

    def pages(self, cursor: str | None = None, limit: int | None = None) -> Iterator[Page[T]]:
        """Return whole pages from a cursor on, of at most `limit` items each."""
        while True:
            page = self._client.perform(self._pages.page(cursor, limit))
            yield page
            cursor = page.next
            if cursor is None:
                return


class AsyncItems(AsyncIterator[T]):
    """The items of a list, across its pages; a page is asked for when it is come to."""

    def __init__(self, client: Waiting, pages: Pages[T]) -> None:
        self._client = client
        self._pages = pages
        self._items = (item async for page in self.pages() for item in page.items)

    async def __anext__(self) -> T:
        return await anext(self._items)

    async def pages(
        self, cursor: str | None = None, limit: int | None = None
    ) -> AsyncIterator[Page[T]]:
        """Return whole pages from a cursor on, of at most `limit` items each."""
        while True:
            page = await self._client.perform(self._pages.page(cursor, limit))
            yield page
            cursor = page.next
            if cursor is None:
                return


class Operation(Generic[P, T]):
    """A method made of a function that returns a `Call`."""

    def __init__(self, build: Callable[Concatenate[Any, P], Call[T]]) -> None:
        @wraps(build)
        def perform(client: Any, *args: P.args, **kwargs: P.kwargs) -> T:
            return client.perform(build(client, *args, **kwargs))

        self._perform = perform
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Waiting, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Blocking | Waiting | None, owner: type) -> Any:
        return self if client is None else MethodType(self._perform, client)


class Listing(Generic[P, T]):
    """A method made of a function that returns `Pages`."""

    def __init__(self, build: Callable[Concatenate[Any, P], Pages[T]]) -> None:
        @wraps(build)
        def items(client: Any, *args: P.args, **kwargs: P.kwargs) -> Items[T] | AsyncItems[T]:
            pages = build(client, *args, **kwargs)
            kind = Items if isinstance(client, Blocking) else AsyncItems
            return kind(client, pages)

        self._items = items
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, Items[T]]: ...
    @overload
    def __get__(self, client: Waiting, owner: type) -> Callable[P, AsyncItems[T]]: ...
    def __get__(self, client: Blocking | Waiting | None, owner: type) -> Any:
        return self if client is None else MethodType(self._items, client)
