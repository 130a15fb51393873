"""HTTP over one socket write an answer: head and body leave together; heads have a limit."""

import asyncio
from typing import Any, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from api.http.problems import PROBLEM_JSON, ProblemError, new_request_id, problem_of
from api.signing import REQUEST_ID

HEAD_MAX = 32 * 1024
"""Bytes of a request's target and header fields together."""
LINGER_S = 2.0
"""How long a refused connection is still read from: closed at once, it might lose the answer."""


class GatheringTransport:
    """A transport that writes once in a turn of the loop what was written in parts.

    uvicorn writes an answer's head and its body apart; each write is a system call, and wakes the
    reader at the other end.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
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
        """Write what is left, and close."""
        self._flush()
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

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_size = 0
        self._unfinished = 0
        self._is_under_way = False
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        gathering = GatheringTransport(transport, self.loop)
        super().connection_made(cast("asyncio.Transport", gathering))

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
        """Answer with a problem that what is read is no request, and end the connection.

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
        error = ProblemError("MALFORMED", msg)
        if self._head_size > HEAD_MAX:
            error = ProblemError("HEADERS_TOO_LARGE", f"A head has at most {HEAD_MAX} bytes.")
        self.transport.write(_answer(error))
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)


def _answer(error: ProblemError) -> bytes:
    """Return a problem as it is on the wire; the connection ends with it."""
    document = problem_of(error, new_request_id())
    body = msgspec.json.encode(document)
    head = (
        f"content-type: {PROBLEM_JSON}\r\n"
        f"content-length: {len(body)}\r\n"
        f"{REQUEST_ID}: {document.request_id}\r\n"
        "connection: close\r\n\r\n"
    )
    return STATUS_LINE[document.status] + head.encode() + body
