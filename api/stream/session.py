"""One connection: what it asks for, and what it may hold up."""

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, NoReturn, Protocol

import msgspec

from api.exchange import BatchLostError
from api.http.gate import Principal
from api.http.problems import ProblemError
from api.stream.channels import Name
from api.stream.frames import text_frame
from api.stream.messages import (
    FLOODING,
    PRIVATE,
    ROWS,
    TOO_SLOW,
    Answer,
    Asked,
    Fault,
    Login,
    Notice,
    Ping,
    Subscribe,
    Unsubscribe,
)

if TYPE_CHECKING:
    from api.stream.hub import Hub

BUFFER_MAX = 256 * 1024
"""Bytes that may wait for a reader; one with more is cut off."""
CHANNELS_MAX = 1_000
"""Channels of one connection."""
REFUSED_MAX = 100
"""Messages over the rate limit after which a connection is closed."""
FAULT = 1011
_log = logging.getLogger("evergamma")
_decoder = msgspec.json.Decoder(Asked)


class _AnyId(msgspec.Struct):
    id: int | str | None = None


class Line(Protocol):
    """A connection as a session needs it."""

    address: str

    @property
    def waiting(self) -> int:
        """Bytes that were written and not taken by the network yet."""

    def write(self, data: bytes) -> None:
        """Write frames."""

    def end(self, code: int, reason: str) -> None:
        """Close with a code; whoever does not read that is disconnected."""

    def pause(self) -> None:
        """Read nothing more for now."""

    def go_on(self) -> None:
        """Read again."""

    async def drained(self) -> bool:
        """Wait until little is waiting; return whether that came to pass in time."""

    def login(self, asked: Login) -> Principal:
        """Return who a login is of.

        Raises:
            ProblemError: It is not good.
        """

    def admit(self, principal: Principal | None, weight: int) -> None:
        """Take a message's weight from its caller's bucket.

        Raises:
            ProblemError: There is not enough in it.
        """


class Session:
    """A connection's subscriptions; messages are carried out one after another."""

    __slots__ = ("_hub", "_inbox", "_refused", "_task", "channels", "is_heard", "is_over", "line",
                 "principal")  # fmt: skip

    def __init__(self, hub: "Hub", line: Line, principal: Principal | None) -> None:
        self._hub = hub
        self.line = line
        self.principal = principal
        self.channels: dict[Name, None] = {}
        self.is_over = False
        self.is_heard = True
        self._refused = 0
        self._inbox: deque[bytes] | None = None
        self._task: asyncio.Task[None] | None = None

    # -- out

    def send(self, frame: bytes) -> None:
        """Send a frame; a reader that has left too many unread is cut off instead."""
        self.look_after_waiting()
        if not self.is_over:
            self._hub.counts.sent += 1
            self.line.write(frame)

    def look_after_waiting(self) -> None:
        """Cut the reader off that leaves too much unread."""
        if not self.is_over and self.line.waiting > BUFFER_MAX:
            self._cut()

    async def keep_pace(self) -> None:
        """Wait until what was sent is nearly read; a reader that does not is cut off."""
        if not await self.line.drained() and not self.is_over:
            self._cut()

    def _cut(self) -> None:
        self._hub.counts.cut += 1
        self.end(TOO_SLOW, "too much is waiting to be read")

    def say(self, message: object) -> None:
        """Send a message to this connection alone."""
        self.send(text_frame(message))

    def end(self, code: int, reason: str) -> None:
        """Close the connection; nothing more is sent."""
        if not self.is_over:
            self.leave()
            self.line.end(code, reason)

    def expel(self, code: int, problem: ProblemError) -> None:
        """Say why, and close the connection."""
        self.say(Notice(code=problem.code, detail=problem.detail))
        self.end(code, problem.code)

    def leave(self) -> None:
        """Be gone: the connection is closed, or about to be."""
        if not self.is_over:
            self.is_over = True
            self._inbox = None
            self._hub.leave(self)
            if self._task is not None:
                self._task.cancel()

    # -- in

    def receive(self, text: bytes) -> None:
        """Take a message; the next are not read before it is answered."""
        if self.is_over:
            return
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append(text)
        if self._task is None:
            self.line.pause()
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """Answer what has come, then read on."""
        try:
            while self._inbox:
                await self._answer(self._inbox.popleft())
                await asyncio.sleep(0)  # many came at once: others have their turn
        except Exception:  # noqa: BLE001 - the others go on
            _log.exception("a message could not be answered")
            self.end(FAULT, "the exchange has a fault")
        self._task = self._inbox = None
        if not self.is_over:
            self.line.go_on()

    async def _answer(self, text: bytes) -> None:
        asked: Asked | None = None
        try:
            self._admit(1)
            asked = _decoder.decode(text)
            await self._carry_out(asked)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            fault = Fault(code="MALFORMED", detail=f"{error}.")
            self.say(Answer(id=_id_in(text), error=fault))
        except ProblemError as error:
            fault = Fault(code=error.code, detail=error.detail, **error.more)
            self.say(Answer(id=_id_in(text) if asked is None else asked.id, error=fault))
        except BatchLostError:
            assert asked is not None
            fault = Fault(code="UNAVAILABLE", detail="The exchange's state cannot be read now.")
            self.say(Answer(id=asked.id, error=fault))

    def _admit(self, weight: int) -> None:
        try:
            self.line.admit(self.principal, weight)
        except ProblemError as error:
            self._refused += 1
            if self._refused > REFUSED_MAX:
                self.expel(FLOODING, error)
            raise

    async def _carry_out(self, asked: Asked) -> None:
        match asked:
            case Subscribe():
                await self._subscribe(asked)
            case Unsubscribe():
                for name in [self._name(each) for each in asked.channels]:
                    self._hub.unsubscribe(self, name)
                self.say(Answer(id=asked.id, result={"channels": asked.channels}))
            case Login():
                self._log_in(asked)
            case Ping():
                self.say(Answer(id=asked.id, result={"exchange_time": self._hub.now_ms()}))

    async def _subscribe(self, asked: Subscribe) -> None:
        names = list(dict.fromkeys(self._name(each) for each in asked.channels))
        total = len(self.channels.keys() | set(names))
        if total > CHANNELS_MAX:
            detail = f"A connection has at most {CHANNELS_MAX} channels."
            raise ProblemError("MALFORMED", detail, limit=str(CHANNELS_MAX), actual=str(total))
        for name in names:
            if name not in self.channels:  # what is read may be begun again, a dead series too
                self._hub.check(name)
        self._admit(len(names) // 10)
        is_same_life = asked.epoch == self._hub.epoch
        seqs = asked.resume if is_same_life else {}
        await self._hub.subscribe(self, asked.id, names, seqs)

    def _log_in(self, asked: Login) -> None:
        if self.principal is not None:
            raise ProblemError("MALFORMED", "The connection is logged in; make another one.")
        principal = self.line.login(asked)
        self._hub.identify(self, principal)
        self.say(Answer(id=asked.id, result={"account": principal.account}))

    def _name(self, channel: str) -> Name:
        """Return the channel a name stands for.

        Raises:
            ProblemError: It is none, or one of an account and nobody has logged in.
        """
        kind, dot, of = channel.partition(".")
        if kind not in ROWS or bool(dot) == (kind in PRIVATE):
            _refuse(channel)
        if kind not in PRIVATE:
            return Name(kind, of)
        if self.principal is None:
            raise ProblemError("SIGNATURE_MISSING", f"The channel {channel} needs a login.")
        return Name(kind, self.principal.account)


def _refuse(channel: str) -> NoReturn:
    raise ProblemError("NOT_FOUND", f"There is no channel {channel}.")


def _id_in(text: bytes) -> int | str | None:
    """Return the id of a message that is otherwise not understood, None where it has none."""
    try:
        return msgspec.json.decode(text, type=_AnyId).id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
