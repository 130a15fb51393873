"""Sockets, and the server that answers on them until it is told to stop."""

import asyncio
import ctypes
import gc
import logging
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from api.http.patience import Patience
from api.http.protocol import GatheringProtocol
from api.settings import Settings

STOP_S = 10
"""How long requests that are being answered may take at the end."""
KEEP_ALIVE_S = 75
GC_ALLOCATIONS = 50_000
"""A request leaves little that refers to itself: to look for it every 700 objects costs more."""
SWITCH_S = 2e-4
"""How long the thread that has written a batch may wait for the interpreter's lock to say so."""

ACCEPT_S = 0.05
"""How long the last connections that were made may take to be accepted."""
_SO_ATTACH_FILTER, _BPF_RETURN = 26, 0x06

_log = logging.getLogger("evergamma")


class ListeningError(Exception):
    """There is no listening at an address; the message is one line."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket at a host and port; nobody can connect before it listens.

    Raises:
        ListeningError: There is no such address, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListeningError(f"--host {host}: {error.strerror}") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise ListeningError(f"{host}, port {port}: {error.strerror}") from None
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def knock_no_more(bound: socket.socket) -> None:
    """Have the kernel drop what asks for new connections to a listening socket.

    Connections that it has made, but that were not accepted yet, would be reset when the socket
    closes; so no more are made, and what is there is accepted first. Elsewhere than on Linux they
    are reset.
    """
    nothing = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN, 0, 0, 0))
    program = struct.pack("HL", 1, ctypes.addressof(nothing))
    with suppress(OSError):
        bound.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def end_at_once(sig: int, frame: FrameType | None) -> None:
    """End at a signal, wherever the program is; what was acknowledged is on disk."""
    del frame
    os._exit(128 + sig)


class Server(uvicorn.Server):
    """A server that says when it answers, and stops in order.

    At the first SIGTERM or SIGINT it drains: it takes no more commands and says so to whoever asks
    whether it is ready; a while later it accepts no more connections, answers what it has, and
    ends. At the second it ends at once; what was acknowledged is on disk.
    """

    def __init__(
        self,
        app: Any,
        doorway: Any,
        settings: Settings,
        patience: Patience,
        ready: Callable[[], None],
        drain: Callable[[], None],
    ) -> None:
        self._ready = ready
        self._drain = drain
        self._drain_s = settings.drain_s
        self._is_told = False
        proxies = list(settings.trusted_proxies)
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=partial(GatheringProtocol, patience=patience),  # type: ignore[arg-type]
            ws=doorway,
            interface="asgi3",
            lifespan="on",
            access_log=False,
            log_config=None,
            log_level="warning",
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_S,
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        self._listening = sockets or []
        await super().startup(sockets)
        # What is here now stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_ALLOCATIONS, 20, 50)
        sys.setswitchinterval(SWITCH_S)
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal to stop."""
        if self._is_told:
            end_at_once(sig, frame)
        self._is_told = True
        asyncio.get_running_loop().call_soon_threadsafe(self._begin_to_stop, sig)

    def _begin_to_stop(self, sig: int) -> None:
        _log.info("stopping", extra={"signal": signal.Signals(sig).name})
        self._drain()
        asyncio.get_running_loop().call_later(self._drain_s, self._accept_last)

    def _accept_last(self) -> None:
        for bound in self._listening:
            knock_no_more(bound)
        asyncio.get_running_loop().call_later(ACCEPT_S, self._stop)

    def _stop(self) -> None:
        self.should_exit = True
