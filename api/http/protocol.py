"""HTTP over one socket write an answer: head and body leave together; heads have a limit."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from api.http.outside import refusal_of
from api.http.patience import SPARE, Patience
from api.http.problems import ProblemError

HEAD_MAX = 32 * 1024
"""Bytes of a request's target and header fields together."""
FIRST_WORD_S = 0.5
"""How long a connection that has asked nothing yet may do so when the server stops."""
LINGER_S = 2.0
"""How long a refused connection is still read from: closed at once, it might lose the answer."""


class GatheringTransport:
    """A transport that writes once in a turn of the loop what was written in parts.

    uvicorn writes an answer's head and its body apart; each write is a system call, and wakes the
    reader at the other end.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        lingers: Callable[[], bool],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._lingers = lingers
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write at the end of this turn."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def write_eof(self) -> None:
        """Write what is left, and end the stream."""
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Write what is left, and close, unless something is still to be read."""
        self._flush()
        if not self._lingers():
            self._transport.close()

    def _flush(self) -> None:
        if self._parts:
            parts, self._parts = self._parts, []
            self._transport.write(b"".join(parts))


class _HeadTooLargeError(Exception):
    """Ends the parsing of a request whose head is too large."""


class GatheringProtocol(HttpToolsProtocol):
    """uvicorn's protocol on such a transport.

    The parser keeps a header field until it is complete, however long; so besides the size of what
    it has reported, bytes are counted that were read and completed nothing.
    """

    def __init__(self, *arguments: Any, patience: Patience, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._patience = patience
        self._head_size = 0
        self._unfinished = 0
        self._is_under_way = False
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        gathering = GatheringTransport(transport, self.loop, self._lingers)
        super().connection_made(cast("asyncio.Transport", gathering))
        excess = len(self.connections) - self._patience.connections_max
        if excess > 0:
            self._patience.refused += 1
            if excess > SPARE:
                transport.abort()
                return
            self._refuse(ProblemError("UNAVAILABLE", "There are too many connections."))
        self._patience.watch(self.connections, self.loop)

    def shutdown(self) -> None:
        """End the connection once what it has asked is answered; one that is new may still ask."""
        if self.cycle is None and not self._is_refused:
            self.loop.call_later(FIRST_WORD_S, super().shutdown)
        else:
            super().shutdown()

    def awaited(self) -> object | None:
        """Return what its caller is to do next, equal as long as it is the same; None: nothing."""
        if size := self.transport.get_write_buffer_size():
            return size
        if self._is_refused or self.flow.read_paused:
            return None
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and cycle.more_body:
            return cycle, "body"
        return (cycle, "head") if cycle is None or self._unfinished else None

    def give_up(self) -> None:
        """End the connection of a caller who takes too long."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
            return
        seconds = f"{self._patience.seconds:g}"
        text = f"A head has {seconds} seconds to come in, and a body."
        self._refuse(ProblemError("TOO_SLOW", text))

    def data_received(self, data: bytes) -> None:
        """Read on; what comes after a refusal is dropped."""
        if self._is_refused:
            return
        self._is_under_way = False
        super().data_received(data)
        self._unfinished = 0 if self._is_under_way else self._unfinished + len(data)
        if self._unfinished > HEAD_MAX and not self._is_refused:
            self._head_size = self._unfinished
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._head_size = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._grow(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field, or a trailer field."""
        self._grow(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._is_under_way = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._is_under_way = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._is_under_way = True
        super().on_message_complete()

    def _grow(self, size: int) -> None:
        self._head_size += size
        if self._head_size > HEAD_MAX:
            raise _HeadTooLargeError

    def send_400_response(self, msg: str) -> None:
        """Answer that what is read is no request, and end the connection."""
        error = ProblemError("MALFORMED", msg)
        if self._head_size > HEAD_MAX:
            error = ProblemError("HEADERS_TOO_LARGE", f"A head has at most {HEAD_MAX} bytes.")
        self._refuse(error)

    def _refuse(self, error: ProblemError) -> None:
        """Answer with a problem, and end the connection.

        A request that is complete is answered first, and is then the connection's last.
        """
        self._is_refused = True
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                cycle.keep_alive = False
                return
            if cycle.response_started or self.pipeline:
                self.transport.close()  # an answer now might pass for another request's
                return
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.write(_answer(error))
        self._linger()

    def _lingers(self) -> bool:
        """Whether a last answer came before the end of its request, so that the rest is read."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if self._is_refused or self.transport.is_closing() or cycle is None:
            return False
        if not (cycle.response_complete and cycle.more_body):
            return False
        self._is_refused = True
        self._linger()
        return True

    def _linger(self) -> None:
        """End the stream, drop what still comes, and close in a while."""
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)


def _answer(error: ProblemError) -> bytes:
    """Return a problem as it is on the wire; the connection ends with it."""
    status, headers, body = refusal_of(error.with_headers({"connection": "close"}))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[status] + f"{head}\r\n".encode() + body
