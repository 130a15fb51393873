"""A client without its connection: what to send, when to send it again, how to read the answer.

Nothing here does input or output. A transport is driven by `Session.steps`, which yields requests
to be sent and pauses to be made, and is told of replies and of their absence.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from secrets import SystemRandom
from time import time_ns
from typing import cast

import msgspec

from api.client.calls import Call, T
from api.client.errors import (
    MalformedAnswerError,
    ProblemError,
    RateLimitedError,
    TransportError,
    UnauthorizedError,
    UnavailableError,
    problem_of,
)
from api.client.operations import TIME
from api.signing import IDEMPOTENCY_KEY, KEY, SIGNATURE, TIMESTAMP, signature

CLOCK_IS_WRONG = "TIMESTAMP_OUT_OF_WINDOW"
"""Code of the problem a request meets whose timestamp is too far from the server's clock."""
PAUSE_FIRST = 0.1
PAUSE_MAX = 10.0
"""Seconds before the first repetition, and at most; a longer Retry-After is not waited for."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it goes out."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds to wait before the next step."""

    seconds: float


DOUBLINGS_MAX = 60
"""Beyond them any pause is the longest; a float ends at a thousand."""
_jitter = SystemRandom()

Steps = Generator[Request | Pause, Reply | None, T]


def local_clock_ms() -> int:
    """Return this machine's clock."""
    return time_ns() // 1_000_000


@dataclass(slots=True)
class Session:
    """Who asks, how often, and how far the own clock is from the server's.

    Attributes:
        key: Id of the key; empty: nothing is signed.
        secret: Its secret.
        prefix: Path in front of every target, where a proxy serves the API below one.
        retries: How often a request is sent again.
        clock: Returns milliseconds.
        clock_offset_ms: Server's clock less the own.
    """

    key: str = ""
    secret: str = field(default="", repr=False)
    prefix: str = ""
    retries: int = 3
    clock: Callable[[], int] = local_clock_ms
    clock_offset_ms: int = 0

    def request(self, call: Call[T]) -> Request:
        """Return a call as it goes out now, signed."""
        target = self.prefix + call.target
        headers = {"Accept": "application/json"}
        if call.body:
            headers["Content-Type"] = "application/json"
        if call.idempotency_key:
            headers[IDEMPOTENCY_KEY] = call.idempotency_key
        if self.key and call.is_signed:
            stamp = str(self.clock() + self.clock_offset_ms)
            headers[KEY] = self.key
            headers[TIMESTAMP] = stamp
            headers[SIGNATURE] = signature(
                self.secret, stamp, call.method, target, call.idempotency_key, call.body
            )
        return Request(call.method, target, headers, call.body)

    def steps(self, call: Call[T]) -> Steps[T]:
        """Carry out a call; yields what is to be done, returns the answer.

        What met no answer, or one that will soon be another, is sent again: signed anew, under
        the same idempotency key. A clock that is wrong is set by the server's, once.
        """
        is_clock_set = False
        repeated = 0
        while True:
            try:
                return answer_of((yield self.request(call)), call)
            except UnauthorizedError as refused:
                if refused.code != CLOCK_IS_WRONG or is_clock_set:
                    raise
                is_clock_set = True
                yield from self._set_clock()
            except (TransportError, RateLimitedError, UnavailableError) as failed:
                wait = self._pause(failed, repeated)
                if repeated >= self.retries or wait > PAUSE_MAX:
                    raise
                repeated += 1
                yield Pause(wait)

    def _set_clock(self) -> Steps[None]:
        """Ask the server for its time; it is taken to be that of half way."""
        begun = self.clock()
        answered = answer_of((yield self.request(TIME)), TIME)
        self.clock_offset_ms = answered.time - (begun + self.clock()) // 2

    def _pause(self, failed: TransportError | ProblemError, repeated: int) -> float:
        """Return the seconds to wait: what the server asks for, or twice as long each time."""
        if isinstance(failed, ProblemError) and failed.retry_after is not None:
            return failed.retry_after
        return back_off(repeated, PAUSE_FIRST, PAUSE_MAX)


def back_off(failed: int, first: float, most: float) -> float:
    """Return the seconds to wait after so many failures before the last: twice as long each time.

    Without chance all who met the same failure would come back at the same moment.
    """
    longest = min(first * 2.0 ** min(failed, DOUBLINGS_MAX), most)
    return _jitter.uniform(longest / 2, longest)


def answer_of(reply: Reply | None, call: Call[T]) -> T:
    """Return the answer a reply holds.

    Raises:
        ProblemError: It holds a problem, as one of its kinds.
        MalformedAnswerError: It holds nothing the call may be answered with.
    """
    assert reply is not None, "a request is followed by its reply"
    if not 200 <= reply.status < 300:
        raise problem_of(reply.status, reply.headers, reply.body)
    if call.answer in (bytes, type(None)):
        return cast("T", reply.body if call.answer is bytes else None)
    try:
        return msgspec.json.decode(reply.body, type=call.answer)
    except msgspec.DecodeError as error:
        raise MalformedAnswerError(
            f"{call.method} {call.target} was answered with what is no "
            f"{getattr(call.answer, '__name__', call.answer)}: {error}"
        ) from error
