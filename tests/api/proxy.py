"""A door between a client and a server that a test can close, or hold, at the worst of moments."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_BYTES = 65_536


class Proxy:
    """Passes on what is said on a TCP port, until it is told not to.

    Attributes:
        port: Where clients connect.
        is_shut: Whether those who connect are sent away.
        is_holding: Whether it keeps something back that was said.
        loses_answers: Whether the next thing a server says is kept from its client, and the line
            is cut once the server has said it.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.is_shut = self.loses_answers = self.is_holding = False
        self._passes = threading.Event()
        self._passes.set()
        self._lines: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.is_shut:
                client.close()
                continue
            server = socket.create_connection(self._server)
            self._lines += [client, server]
            for source, target in ((client, server), (server, client)):
                self._threads.append(
                    threading.Thread(target=self._pass_on, args=(source, target, target is client))
                )
                self._threads[-1].start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while said := source.recv(_BYTES):
                if is_answer and self.loses_answers:
                    break
                if not self._passes.is_set():
                    self.is_holding = True
                    self._passes.wait()
                target.sendall(said)
        _cut(source)
        _cut(target)

    def hold(self) -> None:
        """Keep every line, take new ones, and pass on nothing."""
        self._passes.clear()

    def let_go(self) -> None:
        """Pass on what was held, and what comes."""
        self.is_holding = False
        self._passes.set()

    def cut(self) -> None:
        """Cut every line there is."""
        for each in self._lines:
            _cut(each)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.let_go()
        _cut(self._listener)
        self._listener.close()
        self.cut()
        for each in self._threads:
            each.join()
        for line in self._lines:
            line.close()


def _cut(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
