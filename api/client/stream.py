"""The stream, followed: a connection that comes back, and rows that are never a message behind.

    async with AsyncClient(url, key, secret) as client:
        async for update in client.stream(["index.BTC", "positions"]):
            print(update.channel, update.rows)

`Follower` is the part without input or output: what to ask for, and what has come. A connection
that is lost is made again; what can be sent again is, of the rest there is a new snapshot, and so
there is where a number is missing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import connect as connect_blocking

from api.client.calls import read
from api.client.errors import (
    MalformedAnswerError,
    ProblemError,
    TransportError,
    UnauthorizedError,
    problem_of,
)
from api.client.operations import TIME
from api.client.session import CLOCK_IS_WRONG, Session, back_off
from api.stream.messages import (
    HEARTBEAT_S,
    KEY_ENDED,
    ROWS,
    TARGET,
    Fault,
    Received,
    Subscribe,
    kind_of,
)
from api.wire import Problem, Time

PAUSE_FIRST = 0.2
PAUSE_MAX = 15.0
"""Seconds before a connection is made again, and at most."""
SILENCE_MAX = 2.5 * HEARTBEAT_S
"""Seconds after which a connection that says nothing is taken to be dead."""
_decoder = msgspec.json.Decoder(Received)
_STATUSES = {
    "SIGNATURE_MISSING": 401,
    "KEY_REVOKED": 401,
    "NOT_FOUND": 404,
    "RATE_LIMITED": 429,
    "UNAVAILABLE": 503,
}
_FOREVER = frozenset({400, 401, 403, 404})
"""Statuses that will be the same when it is tried again."""


class Update(msgspec.Struct):
    """What has become of a channel.

    Attributes:
        channel: Its name.
        type: Whether `rows` are all there is, or what has changed.
        seq: Number of the message.
        time: Exchange time.
        rows: Structs of `api.wire`; each takes the place of the one with its key.
        removed: Keys of rows that are no more.
    """

    channel: str
    type: Literal["snapshot", "delta"]
    seq: int
    time: int
    rows: list[Any]
    removed: list[str]

    def apply_to(self, rows: dict[str, Any]) -> None:
        """Bring rows by their key up to date."""
        if self.type == "snapshot":
            rows.clear()
        key = ROWS[kind_of(self.channel)][1]
        for row in self.rows:
            rows[getattr(row, key)] = row
        for gone in self.removed:
            rows.pop(gone, None)


class Follower:
    """What is followed, and how far it was heard."""

    def __init__(self, channels: Sequence[str]) -> None:
        self._channels = list(channels)
        self._seqs: dict[str, int] = {}
        self._epoch = ""
        self._number = 0

    def ask(self, channels: Sequence[str] = ()) -> str:
        """Return the message that subscribes, to these channels again or to all."""
        self._number += 1
        asked = Subscribe(
            id=self._number,
            channels=list(channels) or self._channels,
            resume={} if channels else self._seqs,
            epoch=self._epoch,
        )
        return msgspec.json.encode(asked).decode()

    def take(self, text: str | bytes) -> tuple[Update | None, str | None]:
        """Take a message; return what has come, and what to send.

        Raises:
            ProblemError: The subscription was refused.
            MalformedAnswerError: It is no message of the exchange.
        """
        try:
            got = _decoder.decode(text)
            if got.channel:
                return self._follow(got)
        except msgspec.DecodeError as error:
            raise MalformedAnswerError(f"{TARGET}: {error}") from error
        if got.type == "welcome":
            if got.epoch != self._epoch:
                self._epoch = got.epoch
                self._seqs = {}
            return None, self.ask()
        if isinstance(got.error, Fault) and got.id is not None and got.id is not UNSET:
            raise _problem(got.error)
        return None, None

    def _follow(self, got: Received) -> tuple[Update | None, str | None]:
        """Return the update, or ask for a snapshot where one is missing before it."""
        last = self._seqs.get(got.channel)
        if got.type == "delta":
            if last is None or got.seq <= last:
                return None, None  # from before a snapshot
            if got.seq != last + 1:
                del self._seqs[got.channel]
                return None, self.ask([got.channel])
        self._seqs[got.channel] = got.seq
        assert isinstance(got.data, msgspec.Raw)
        rows = msgspec.json.decode(got.data, type=list[ROWS[kind_of(got.channel)][0]])  # type: ignore[misc]
        kind: Any = got.type
        return Update(got.channel, kind, got.seq, got.time, rows, got.removed), None


def _problem(fault: Fault) -> ProblemError:
    """Return the error of a refused subscription."""
    code = _STATUSES.get(fault.code, 400)
    problem = Problem(
        type=f"/v1/problems#{fault.code}",
        title=fault.code,
        status=code,
        code=fault.code,
        detail=fault.detail,
        request_id="",
    )
    return ProblemError.kinds.get(code, ProblemError)(problem)


class _Attempts:
    """When a connection is made again, and when not."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._failed = 0
        self._is_clock_set = False

    def headers(self) -> dict[str, str]:
        """Return the headers of the next upgrade, signed."""
        headers = self._session.request(read(TARGET, Time)).headers
        del headers["Accept"]
        return headers

    def has_worked(self) -> None:
        """Take note of a connection that was answered."""
        self._failed = 0

    def sets_clock(self, refused: BaseException) -> bool:
        """Whether the clock was wrong, and can be set by the server's."""
        is_clock = isinstance(refused, UnauthorizedError) and refused.code == CLOCK_IS_WRONG
        if not is_clock or self._is_clock_set:
            return False
        self._is_clock_set = True
        return True

    def pause(self) -> float:
        """Return the seconds until the next attempt: each time about twice as long."""
        self._failed += 1
        return back_off(self._failed - 1, PAUSE_FIRST, PAUSE_MAX)


def _failure(error: BaseException) -> ProblemError | None:
    """Return the problem that will not go away by itself, None where it may."""
    if isinstance(error, InvalidStatus):
        answer = error.response
        headers = {name.lower(): value for name, value in answer.headers.raw_items()}
        problem = problem_of(answer.status_code, headers, bytes(answer.body or b""))
        return problem if answer.status_code in _FOREVER else None
    if isinstance(error, ConnectionClosed) and error.rcvd and error.rcvd.code == KEY_ENDED:
        return _problem(Fault(code="KEY_REVOKED", detail="The key was revoked, or has expired."))
    return error if isinstance(error, ProblemError) and error.status in _FOREVER else None


_LOST = (
    OSError,
    ConnectionClosed,
    InvalidHandshake,
    EOFError,
    TransportError,
    ProblemError,
    TimeoutError,
)


def address_of(origin: str, session: Session) -> str:
    """Return where the stream is, for an origin that begins with http."""
    return f"ws{origin.removeprefix('http')}{session.prefix}{TARGET}"


def follow(client: Any, origin: str, channels: Sequence[str]) -> Iterator[Update]:
    """Yield what becomes of channels, for good."""
    session: Session = client.session
    follower, attempts = Follower(channels), _Attempts(session)
    while True:
        try:
            with connect_blocking(
                address_of(origin, session),
                additional_headers=attempts.headers(),
                compression=None,
                max_size=None,
                ping_interval=None,
            ) as connection:
                while True:
                    update, reply = follower.take(connection.recv(SILENCE_MAX))
                    if reply is not None:
                        connection.send(reply)
                    if update is not None:
                        attempts.has_worked()
                        yield update
        except _LOST as error:
            failure = _failure(error)
            if failure is not None:
                if not attempts.sets_clock(failure):
                    raise failure from error
                session.clock_offset_ms = client.perform(TIME).time - session.clock()
        time.sleep(attempts.pause())


async def follow_waiting(
    client: Any, origin: str, channels: Sequence[str]
) -> AsyncIterator[Update]:
    """Yield what becomes of channels, for good."""
    session: Session = client.session
    follower, attempts = Follower(channels), _Attempts(session)
    while True:
        try:
            async with connect(
                address_of(origin, session),
                additional_headers=attempts.headers(),
                compression=None,
                max_size=None,
                ping_interval=None,
            ) as connection:
                while True:
                    async with asyncio.timeout(SILENCE_MAX):
                        update, reply = follower.take(await connection.recv())
                    if reply is not None:
                        await connection.send(reply)
                    if update is not None:
                        attempts.has_worked()
                        yield update
        except _LOST as error:
            failure = _failure(error)
            if failure is not None:
                if not attempts.sets_clock(failure):
                    raise failure from error
                session.clock_offset_ms = (await client.perform(TIME)).time - session.clock()
        await asyncio.sleep(attempts.pause())
