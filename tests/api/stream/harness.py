"""A reader of the stream that knows nothing of ours: another library's socket, and plain JSON."""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from api.wire import Key
from tests.api.http.harness import Server, signed

TARGET = "/v1/ws"
KEYS = {"ticker": "instrument", "index": "symbol", "pool": "token", "account": "token"}
"""The field that is the key of a channel's rows, where that is not `id`."""
SECONDS = 20.0


class Reader:
    """A connection; `tables` are the rows of its channels by their keys.

    Attributes:
        heard: Every message of a channel, in order.
        notices: Everything else that nobody asked for.
    """

    def __init__(
        self,
        server: Server,
        key: Key | None = None,
        target: str = TARGET,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.address = server.url.replace("http", "ws") + target
        self._stack = ExitStack()
        self.socket = self._stack.enter_context(
            connect(
                self.address,
                additional_headers=signed(key, "GET", target) | dict(headers or {}),
                compression=None,
                ping_interval=None,
                max_size=None,
                **options,
            )
        )
        self.tables: dict[str, dict[str, Any]] = {}
        self.seqs: dict[str, int] = {}
        self.heard: list[Any] = []
        self.notices: list[Any] = []
        self._number = 0
        self.welcome = json.loads(self.socket.recv(SECONDS))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def read(self, seconds: float = SECONDS) -> Any:
        """Return the next message, applied to the tables."""
        message = json.loads(self.socket.recv(seconds))
        if "channel" in message:
            self._apply(message)
        elif "id" not in message:
            self.notices.append(message)
        return message

    def _apply(self, message: Any) -> None:
        channel = message["channel"]
        self.heard.append(message)
        if message["type"] == "snapshot":
            self.tables[channel] = {}
        else:
            assert message["seq"] == self.seqs[channel] + 1, (message, self.seqs)
        self.seqs[channel] = message["seq"]
        key = KEYS.get(channel.partition(".")[0], "id")
        self.tables[channel] |= {row[key]: row for row in message["data"]}
        for gone in message.get("removed", ()):
            del self.tables[channel][gone]

    def ask(self, op: str, **fields: Any) -> Any:
        """Send a message and return its answer."""
        self._number += 1
        return self.send({"id": self._number, "op": op, **fields}, self._number)

    def send(self, message: Any, number: Any) -> Any:
        """Send anything and return the answer that has this id."""
        is_raw = isinstance(message, str | bytes)
        self.socket.send(message if is_raw else json.dumps(message))
        while True:
            answer = self.read()
            if "id" in answer and answer["id"] == number:
                return answer

    def subscribe(self, *channels: str, **more: Any) -> None:
        """Subscribe, and read until every channel has begun."""
        answer = self.ask("subscribe", channels=list(channels), **more)
        begun = {each["channel"]: each["resumed"] for each in answer["result"]["channels"]}
        assert list(begun) == list(channels)
        self.until(lambda: all(begun[each] or each in self.tables for each in channels))

    def until(self, is_so: Callable[[], Any]) -> Any:
        """Read until something is the case, and return what it is then."""
        while not (found := is_so()):
            self.read()
        return found

    def catch_up(self) -> None:
        """Read what has been sent so far."""
        self.ask("ping")

    def end_code(self) -> int | None:
        """Return what the connection is closed with, after everything else was read."""
        try:
            while True:
                self.read()
        except ConnectionClosed as ended:
            return None if ended.rcvd is None else ended.rcvd.code

    def rows(self, channel: str) -> list[Any]:
        """Return every row a channel has told, in order."""
        messages = (each for each in self.heard if each["channel"] == channel)
        return [row for each in messages for row in each["data"]]
