"""Durable trades over HTTP: how many a second, and how long each waits.

    python -m tests.benchmarks.http_trades --seconds 20

Connections are closed loops: each sends its next request when it has the answer to the last. Server
and load share the machine, so the load is light: requests are built and signed by the client's own
core and written to a socket, without a task or a future for each.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httptools
import msgspec
import uvloop

from api.client import Client
from api.client.calls import Blocking, Call, T
from api.client.operations import Operations
from api.client.session import Session
from api.storage.url import DatabaseUrl
from api.wire import Key
from tests.api.databases import postgresql_database
from tests.benchmarks.measure import Figure
from tests.benchmarks.orm_baseline import ACCOUNTS, account_key
from tests.benchmarks.serving import TOKEN, Process, Server

SECONDS = 20
CONNECTIONS = 32
SERIES = 40
LOT = "0.01"
LIMIT = "0.01"
"""More than a lot can cost: no order is refused for its price."""
BALANCE = "100"
CLOSED_SHARE = 0.3
WARM_SECONDS = 3.0
COMPARED_SECONDS = 6.0
REFUSED_SHARE_MAX = 0.01
LATE_SECONDS = 30.0
"""After this no answer is waited for any more."""


class Answer(NamedTuple):
    """What came back for a request."""

    status: int
    body: bytes


class Done(msgspec.Struct):
    """What the load reads of an order."""

    status: str
    position_id: str | None


_DONE = msgspec.json.Decoder(Done)


class Signed(Operations, Blocking):
    """An account's calls as bytes, ready to be written."""

    def __init__(self, host: str, key: str, secret: str) -> None:
        self._host = host
        self._session = Session(key, secret)

    def perform(self, call: Call[T]) -> bytes:
        """Return a call as it goes over the connection."""
        request = self._session.request(call)
        lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        lines.append(f"Content-Length: {len(request.body)}\r\n\r\n")
        return "\r\n".join(lines).encode() + request.body


Told = Callable[[Answer], bool]
"""Takes an answer, and says whether it is the one that was hoped for."""
Next = Callable[[], tuple[bytes, Told]]
"""Returns a request, and what is to be told of its answer."""


@dataclass
class Load:
    """Requests sent one after another on each of some connections, and how long each took.

    Attributes:
        following: Returns the next request.
        begin_at: When the warm-up is over, as `time.perf_counter`.
        end_at: When no more is sent.
        nanoseconds: How long those took that were answered as hoped, without the warm-up.
    """

    following: Next
    begin_at: float
    end_at: float
    nanoseconds: list[int] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether no more requests are sent."""
        return time.perf_counter() >= self.end_at

    @property
    def rate(self) -> float:
        """Answers as hoped, per second."""
        return len(self.nanoseconds) / (self.end_at - self.begin_at)

    def took(self, nanoseconds: int) -> None:
        """Take note of how long an answer took, once the warm-up is over."""
        if time.perf_counter() >= self.begin_at:
            self.nanoseconds.append(nanoseconds)

    @property
    def latency(self) -> str:
        """Median and 99th percentile."""
        cuts = statistics.quantiles(self.nanoseconds, n=100)
        return f"p50 {cuts[49] / 1e6:.1f} ms, p99 {cuts[98] / 1e6:.1f} ms"


class Connection(asyncio.Protocol):
    """A closed loop on one connection."""

    def __init__(self, load: Load, closed: asyncio.Future[None]) -> None:
        self._load = load
        self._closed = closed

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Send the first request."""
        self._transport = transport
        self._send()

    def _send(self) -> None:
        request, self._tell = self._load.following()
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._sent = time.perf_counter_ns()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Read a part of an answer."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Read a part of a body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Send the next request, or stop."""
        taken = time.perf_counter_ns() - self._sent
        if self._tell(Answer(self._parser.get_status_code(), self._body)):
            self._load.took(taken)
        if self._load.is_over:
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """Say that the loop has ended."""
        if self._closed.done():
            return
        if error is None and self._load.is_over:
            self._closed.set_result(None)
        else:
            self._closed.set_exception(error or ConnectionError("the server closed a connection"))


async def _run(url: str, load: Load, connections: int) -> None:
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    ends = []
    for _ in range(connections):
        ends.append(closed := loop.create_future())
        await loop.create_connection(
            lambda closed=closed: Connection(load, closed), parts.hostname, parts.port
        )
    async with asyncio.timeout(load.end_at - time.perf_counter() + LATE_SECONDS):
        await asyncio.gather(*ends)


def run_load(
    url: str, following: Next, connections: int, seconds: float, warm: float = WARM_SECONDS
) -> Load:
    """Send requests for some seconds, after a warm-up that does not count."""
    begun = time.perf_counter() + warm
    load = Load(following, begun, begun + seconds)
    uvloop.run(_run(url, load, connections))
    return load


class Traders:
    """Accounts that open lots and sell them again, in no order.

    Attributes:
        filled: Trades done, those of the warm-up too.
        refused: What else came back: by status, and code of the problem.
    """

    def __init__(
        self, callers: list[Signed], series: list[str], closed_share: float = CLOSED_SHARE
    ) -> None:
        self._callers = callers
        self._series = series
        self._closed_share = closed_share
        self._chance = random.Random(7)  # noqa: S311 - who trades what is no secret
        self._held: list[tuple[Signed, str]] = []
        self.filled = 0
        self.refused: Counter[str] = Counter()

    def following(self) -> tuple[bytes, Told]:
        """Return the next order: an open, or at times a close of any lot that is held."""
        chance = self._chance.random
        held = self._held
        if held and chance() < self._closed_share:
            place = int(chance() * len(held))
            held[place], held[-1] = held[-1], held[place]
            seller, position = held.pop()
            return seller.close(position, LOT), self._sold
        buyer = self._callers[int(chance() * len(self._callers))]
        series = self._series[int(chance() * len(self._series))]
        request = buyer.open(series, LOT, limit_total=LIMIT)
        return request, lambda answer: self._bought(buyer, answer)

    def _bought(self, buyer: Signed, answer: Answer) -> bool:
        order = self._read(answer)
        if order is not None and order.position_id is not None:
            self._held.append((buyer, order.position_id))
        return order is not None

    def _sold(self, answer: Answer) -> bool:
        return self._read(answer) is not None

    def _read(self, answer: Answer) -> Done | None:
        """Count an answer; return the order where it was filled."""
        if answer.status in {200, 201}:
            order = _DONE.decode(answer.body)
            if order.status == "filled":
                self.filled += 1
                return order
        code = msgspec.json.decode(answer.body).get("code", "")
        self.refused[f"{answer.status} {code}"] += 1
        return None


def _is_fine(answer: Answer) -> bool:
    assert answer.status in {200, 201}, answer
    return True


def empty_endpoint(url: str, callers: list[Signed], connections: int) -> Load:
    """Measure the least the server does for a signed request."""
    chance = random.Random(7)  # noqa: S311 - whose limits are read is no secret
    return run_load(
        url,
        lambda: (chance.choice(callers).limits(), _is_fine),
        connections,
        COMPARED_SECONDS,
        COMPARED_SECONDS / 6,
    )


def orm_baseline(folder: Path, series: list[str], connections: int) -> Load:
    """Measure a service with an ORM session for each request; it has no more than opens to do."""
    database = ["--database", str(folder / "baseline.sqlite")]
    command = ["-m", "tests.benchmarks.orm_baseline", *database, "--token", TOKEN]
    with Process(command, folder / "baseline.log") as baseline:
        host = urlsplit(baseline.url).netloc
        callers = [Signed(host, *account_key(number)) for number in range(ACCOUNTS)]
        traders = Traders(callers, series, closed_share=0.0)
        load = run_load(
            baseline.url, traders.following, connections, COMPARED_SECONDS, COMPARED_SECONDS / 6
        )
        assert not traders.refused, traders.refused
        baseline.stop()
    return load


def open_all(url: str, key: Key, series: list[str]) -> None:
    """Make every series live."""
    with Client(url, key.id, key.secret) as client:
        for each in series:
            client.open(each, LOT, limit_total=LIMIT)


def measure(
    folder: Path,
    seconds: float,
    connections: int,
    accounts: int,
    database: DatabaseUrl | None = None,
) -> list[Figure]:
    """Trade against a server of its own, then check that nothing was lost.

    Args:
        folder: Where keys and output go, and a file of SQLite if no database is given.
        seconds: How long, without the warm-up.
        connections: How many at once.
        accounts: How many trade.
        database: An empty one of PostgreSQL.

    Raises:
        AssertionError: An invariant is broken, the journal does not rebuild the tables, or too
            many orders were refused for the figure to mean anything.
    """
    with Server(folder, database) as server:
        keys = server.fund(accounts, BALANCE)
        series = server.series(SERIES)
        open_all(server.url, keys[0], series)
        host = urlsplit(server.url).netloc
        callers = [Signed(host, key.id, key.secret or "") for key in keys]
        empty = empty_endpoint(server.url, callers, connections)
        traders = Traders(callers, series)
        load = run_load(server.url, traders.following, connections, seconds)
        server.assert_conserved()
    refused = traders.refused.total()
    assert refused <= REFUSED_SHARE_MAX * traders.filled, traders.refused
    orm = orm_baseline(folder, series, connections)
    kind = "SQLite" if database is None else "PostgreSQL"
    what = f"durable trades on {kind}, {connections} connections, {accounts:,} accounts"
    reasons = ", ".join(f"{count} {why}" for why, count in traders.refused.items())
    return [
        Figure(
            what,
            f"{load.rate:,.0f}/s filled",
            f"{load.rate / empty.rate:.0%} of an empty signed endpoint, {empty.rate:,.0f}/s; "
            f"an ORM session per request: {orm.rate:,.0f}/s",
            "≥ 4,000/s and 45 %",
        ),
        Figure(
            "their latency, from request to answer",
            load.latency,
            f"empty signed endpoint: {empty.latency}; ORM: {orm.latency}",
            "p99 ≤ 30 ms",
        ),
        Figure(
            "refused among them, with those of the warm-up",
            f"{refused:,} of {traders.filled + refused:,}",
            reasons or f"{len(series)} live series; invariants hold, `db check` is equal",
        ),
    ]


def http_trades(
    seconds: float = SECONDS, connections: int = CONNECTIONS, accounts: int = ACCOUNTS
) -> list[Figure]:
    """Measure trades over HTTP on a database of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), seconds, connections, accounts)
    with tempfile.TemporaryDirectory() as folder, postgresql_database() as database:
        return figures + measure(Path(folder), seconds, connections, accounts, database)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure durable trades over HTTP.")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    given = parser.parse_args()
    for figure in http_trades(given.seconds, given.connections, given.accounts):
        print(" | ".join(each for each in figure if each))  # noqa: T201


if __name__ == "__main__":
    main()
