"""The route of WebSockets, /v1/ws: the upgrade, its signature and limits, and the frames.

The framing is that of the `websockets` package. Its protocol alone, without a task, a queue and a
scope for each connection, is what an idle one costs; what is sent are whole frames that all readers
of a channel share.
"""

import asyncio
import socket
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from api.http.buckets import Buckets
from api.http.gate import Gate, Principal, caller_of, rate_limited
from api.http.headers import name_of
from api.http.outside import refusal_of
from api.http.prefix import IsHere, without_prefix
from api.http.problems import CODES, ProblemError
from api.http.proxies import Proxies
from api.signing import KEY, SIGNATURE, TIMESTAMP
from api.stream.hub import Hub
from api.stream.messages import FLOODING, MESSAGE_MAX, RESTARTING, TARGET, Login
from api.stream.session import Session

KERNEL_MAX = 128 * 1024
"""Bytes the kernel is asked to keep for a reader."""
LINGER_S = 5.0
"""How long a connection may take to close once it was told to."""
DRAIN_S = 10.0
"""How long a reader may take to read the snapshots it asked for."""
PARTS_MAX = 100
"""Frames a second that are no message: pings, pongs, parts. They cost the exchange as much."""
_TEXT_ONLY = 1003


class Doorway:
    """Makes the protocol of each upgraded connection, as uvicorn asks for it."""

    def __init__(
        self, hub: Hub, gate: Gate, buckets: Buckets, proxies: Proxies, is_here: IsHere
    ) -> None:
        self.hub = hub
        self.gate = gate
        self.buckets = buckets
        self.proxies = proxies
        self.is_here = is_here

    def __call__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> "StreamProtocol":
        """Return a protocol."""
        del config, app_state
        return StreamProtocol(self, server_state)


class StreamProtocol(asyncio.Protocol):
    """One connection, from its upgrade on."""

    __slots__ = ("_closing", "_doorway", "_frames", "_parts", "_parts_since", "_peer", "_room",
                 "_session", "_state", "_target", "_transport", "address")  # fmt: skip

    def __init__(self, doorway: Doorway, state: ServerState) -> None:
        self._doorway = doorway
        self._state = state
        self._frames: list[bytes] = []
        self._parts, self._parts_since = 0, 0.0
        self._peer = ServerProtocol(max_size=MESSAGE_MAX)
        self._room: asyncio.Event | None = None
        self._session: Session | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._target = ""
        self.address = ""

    # -- what uvicorn and the transport call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; the upgrade's head comes next."""
        self._transport = cast("asyncio.Transport", transport)
        client = transport.get_extra_info("peername")
        self.address = str(client[0]) if client else ""
        # What the kernel keeps for a reader is bounded too.
        wire = transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_MAX)
        self._state.connections.add(self)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        del exc
        self._state.connections.discard(self)
        if self._closing is not None:
            self._closing.cancel()
        self.resume_writing()
        if self._session is not None:
            self._session.leave()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if self._session is not None:
            self._session.is_heard = True
        self._peer.receive_data(data)
        for event in self._peer.events_received():
            if isinstance(event, Request):
                self._upgrade(event)
            elif isinstance(event, Frame):
                self._take(event)
        self._flush()
        if self._session is not None:
            self._session.look_after_waiting()
        if self._peer.state is not State.OPEN and self._closing is None:
            self._close_soon()

    def eof_received(self) -> None:
        """Close too."""

    def pause_writing(self) -> None:
        """Let snapshots wait."""
        self._room = asyncio.Event()

    def resume_writing(self) -> None:
        """Let them go on."""
        if self._room is not None:
            self._room.set()
            self._room = None

    def shutdown(self) -> None:
        """Say that the server is about to end."""
        self.end_session(RESTARTING, "the server is restarting")

    # -- the upgrade

    def _upgrade(self, request: Request) -> None:
        """Accept a connection, or answer with a problem."""
        try:
            principal = self._admitted(request)
        except ProblemError as error:
            self._peer.send_response(_refusal(error))
            return
        response = self._peer.accept(request)
        self._peer.send_response(response)
        self._flush()
        if response.status_code == 101:
            self._session = Session(self._doorway.hub, self, principal)
            self._doorway.hub.join(self._session)

    def _admitted(self, request: Request) -> Principal | None:
        """Return who may connect, None for anybody.

        Raises:
            ProblemError: Nobody may, or not like this.
        """
        self._target = request.path
        forwarded = request.headers.get_all("X-Forwarded-For")
        self.address = self._doorway.proxies.caller(self.address, forwarded)
        if without_prefix(request.path.partition("?")[0], self._doorway.is_here) != TARGET:
            raise ProblemError("NOT_FOUND", f"The stream is at {TARGET}.")
        headers = [
            (name_of(name), value.encode("ascii", "surrogateescape"))
            for name, value in request.headers.raw_items()
        ]
        principal = self._who(headers)
        self.admit(principal, 1)
        self._doorway.hub.connections.room_for(self.address, principal)
        return principal

    def _who(self, headers: list[tuple[bytes, bytes]]) -> Principal | None:
        try:
            return self._doorway.gate.who(self._target, headers, self.address)
        except ProblemError:
            self.admit(None, 1)  # guessing is not free
            raise

    # -- what a session needs of its line

    @property
    def waiting(self) -> int:
        """Bytes that were written and not taken by the network yet."""
        return self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Write frames."""
        self._transport.write(data)

    def end(self, code: int, reason: str) -> None:
        """Close with a code; whoever does not read that is disconnected."""
        if self._peer.state is State.OPEN:
            self._peer.send_close(code, reason)
            self._flush()
        self.go_on()
        self._close_soon()

    def pause(self) -> None:
        """Read nothing more for now."""
        self._transport.pause_reading()

    def go_on(self) -> None:
        """Read again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def drained(self) -> bool:
        """Wait until little is waiting; return whether that came to pass in time."""
        await asyncio.sleep(0)
        if self._room is not None:
            try:
                await asyncio.wait_for(self._room.wait(), DRAIN_S)
            except TimeoutError:
                return False
        return True

    def login(self, asked: Login) -> Principal:
        """Return who a login is of.

        Raises:
            ProblemError: It is not good.
        """
        given = {KEY: asked.key, TIMESTAMP: str(asked.timestamp), SIGNATURE: asked.signature}
        headers = [(name_of(name), value.encode()) for name, value in given.items()]
        principal = self._who(headers)
        assert principal is not None  # the headers are all there
        return principal

    def admit(self, principal: Principal | None, weight: int) -> None:
        """Take a message's weight from its caller's bucket, that of requests too.

        Raises:
            ProblemError: There is not enough in it.
        """
        level = self._doorway.buckets.take(caller_of(principal, self.address), weight)
        if level is not None and level.wait > 0:
            raise rate_limited(level)

    # -- frames

    def _take(self, frame: Frame) -> None:
        """Take a frame; pings are answered, and closing is, by whoever reads them."""
        is_whole = frame.opcode is Opcode.TEXT and frame.fin
        if not is_whole and self._is_flooding():
            self.end_session(FLOODING, "too many frames")
        elif frame.opcode is Opcode.CLOSE:
            self._leave()
        elif frame.opcode is Opcode.BINARY:
            self.end_session(_TEXT_ONLY, "messages are text")
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._frames.append(bytes(frame.data))
            if frame.fin and self._session is not None:
                text = b"".join(self._frames)
                self._frames.clear()
                self._session.receive(text)

    def _is_flooding(self) -> bool:
        """Count a frame that is no message; return whether there are too many of them."""
        now = asyncio.get_running_loop().time()
        if now - self._parts_since >= 1.0:
            self._parts, self._parts_since = 0, now
        self._parts += 1
        return self._parts > PARTS_MAX

    def end_session(self, code: int, reason: str) -> None:
        """Close, whether anybody has come yet or not."""
        if self._session is None:
            self._transport.close()
        else:
            self._session.end(code, reason)

    def _leave(self) -> None:
        if self._session is not None:
            self._session.leave()

    def _flush(self) -> None:
        """Write what the protocol has to say."""
        for data in self._peer.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()

    def _close_soon(self) -> None:
        """Close once what was written is gone, or has had its time."""
        self._leave()
        if self._closing is None:
            loop = asyncio.get_running_loop()
            self._closing = loop.call_later(LINGER_S, self._transport.abort)


def _refusal(error: ProblemError) -> Response:
    """Return a problem as the answer to an upgrade."""
    status, headers, body = refusal_of(error.with_headers({"connection": "close"}))
    return Response(status, CODES[error.code].title, Headers(headers), body)
