"""The two clients: the same operations over a blocking connection and over asyncio."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from api.client.calls import Blocking, Call, T, Waiting
from api.client.errors import RequestTimeoutError, TransportError
from api.client.operations import Operations, OperatorOperations
from api.client.session import Pause, Reply, Request, Session
from api.client.stream import Update, follow, follow_waiting
from api.client.waiting import pauses
from api.wire import Simulation

LOCAL = "http://127.0.0.1:8080"


def _origin_and_prefix(base_url: str) -> tuple[str, str]:
    """Return where to connect to, and the path in front of the API's own."""
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f"{base_url!r} is not an http or https address")
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")


def _session(base_url: str, key: str | None, secret: str | None, retries: int) -> Session:
    if (key is None) != (secret is None):
        raise ValueError("a key goes with its secret")
    _, prefix = _origin_and_prefix(base_url)
    return Session(key or "", secret or "", prefix, retries)


def _reply(response: httpx.Response) -> Reply:
    return Reply(response.status_code, dict(response.headers), response.content)


def _failure(error: httpx.RequestError, request: Request) -> TransportError:
    """Return the error for a request that was not answered."""
    kind = RequestTimeoutError if isinstance(error, httpx.TimeoutException) else TransportError
    what = str(error) or type(error).__name__
    failure = kind(f"{request.method} {request.target}: {what}")
    failure.__cause__ = error
    return failure


class Operator(OperatorOperations, Blocking):
    """The operator's methods of a `Client`."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def perform(self, call: Call[T]) -> T:
        """Carry out a call and return its answer."""
        return self._client.perform(call)


class AsyncOperator(OperatorOperations, Waiting):
    """The operator's methods of an `AsyncClient`."""

    def __init__(self, client: "AsyncClient") -> None:
        self._client = client

    async def perform(self, call: Call[T]) -> T:
        """Carry out a call and return its answer."""
        return await self._client.perform(call)


class Client(Operations, Blocking):
    """The exchange, for ordinary programs; may be shared by threads.

    Args:
        base_url: Where the exchange is.
        key: Id of a key; without one only what is public can be asked.
        secret: Its secret.
        timeout: Seconds one attempt may take to connect, and between two parts of its answer.
        retries: How often a request without an answer, or with 429 or 503, is sent again.
        http: A connection pool to use; whoever made it closes it, and its timeouts hold.

    Attributes:
        operator: What an operator can ask.
    """

    def __init__(
        self,
        base_url: str = LOCAL,
        key: str | None = None,
        secret: str | None = None,
        *,
        timeout: float = 10.0,
        retries: int = 3,
        http: httpx.Client | None = None,
    ) -> None:
        self.session = _session(base_url, key, secret, retries)
        self._origin, _ = _origin_and_prefix(base_url)
        self._is_own = http is None
        self._http = http or httpx.Client(timeout=timeout)
        self.operator = Operator(self)

    def perform(self, call: Call[T]) -> T:
        """Carry out a call and return its answer; every method comes down to this one.

        Raises:
            EvergammaError: It was not carried out, or nobody knows.
        """
        steps = self.session.steps(call)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = next(steps)
                    continue
                try:
                    reply = self._exchange(step)
                except httpx.RequestError as error:
                    step = steps.throw(_failure(error, step))
                else:
                    step = steps.send(reply)
        except StopIteration as finished:
            return finished.value

    def _exchange(self, request: Request) -> Reply:
        url = self._origin + request.target
        response = self._http.request(
            request.method, url, content=request.body, headers=request.headers
        )
        return _reply(response)

    def stream(self, channels: Sequence[str]) -> Iterator[Update]:
        """Yield what becomes of channels of the stream, for good; whatever is lost is found again.

        Raises:
            ProblemError: There is no such channel, or the key is not good, or no longer.
        """
        return follow(self, self._origin, channels)

    def await_simulation(self, simulation_id: str, timeout: float | None = None) -> Simulation:
        """Wait until an own simulation has ended, however it ended, and return it.

        Raises:
            TimeoutError: It has not within so many seconds.
        """
        found = self.simulation(simulation_id)
        waits = pauses(simulation_id, timeout)
        while found.ended is None:
            time.sleep(next(waits))
            found = self.simulation(simulation_id)
        return found

    def disconnect(self) -> None:
        """Close connections, where they are its own."""
        if self._is_own:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.disconnect()


class AsyncClient(Operations, Waiting):
    """The exchange, for asyncio; arguments and methods are those of `Client`."""

    def __init__(
        self,
        base_url: str = LOCAL,
        key: str | None = None,
        secret: str | None = None,
        *,
        timeout: float = 10.0,
        retries: int = 3,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.session = _session(base_url, key, secret, retries)
        self._origin, _ = _origin_and_prefix(base_url)
        self._is_own = http is None
        self._http = http or httpx.AsyncClient(timeout=timeout)
        self.operator = AsyncOperator(self)

    async def perform(self, call: Call[T]) -> T:
        """Carry out a call and return its answer; every method comes down to this one.

        Raises:
            EvergammaError: It was not carried out, or nobody knows.
        """
        steps = self.session.steps(call)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = next(steps)
                    continue
                try:
                    reply = await self._exchange(step)
                except httpx.RequestError as error:
                    step = steps.throw(_failure(error, step))
                else:
                    step = steps.send(reply)
        except StopIteration as finished:
            return finished.value

    async def _exchange(self, request: Request) -> Reply:
        url = self._origin + request.target
        response = await self._http.request(
            request.method, url, content=request.body, headers=request.headers
        )
        return _reply(response)

    def stream(self, channels: Sequence[str]) -> AsyncIterator[Update]:
        """Yield what becomes of channels of the stream, for good; whatever is lost is found again.

        Raises:
            ProblemError: There is no such channel, or the key is not good, or no longer.
        """
        return follow_waiting(self, self._origin, channels)

    async def await_simulation(
        self,
        simulation_id: str,
        timeout: float | None = None,  # noqa: ASYNC109 - as `Client` has it
    ) -> Simulation:
        """Wait until an own simulation has ended, however it ended, and return it.

        Raises:
            TimeoutError: It has not within so many seconds.
        """
        found = await self.simulation(simulation_id)
        waits = pauses(simulation_id, timeout)
        while found.ended is None:
            await asyncio.sleep(next(waits))
            found = await self.simulation(simulation_id)
        return found

    async def disconnect(self) -> None:
        """Close connections, where they are its own."""
        if self._is_own:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.disconnect()
