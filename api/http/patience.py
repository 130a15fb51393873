"""How long callers may take, and how many there may be.

A connection is looked at once in a while, all by one timer: nothing is done for a request that
comes as it should.
"""

import asyncio
from collections.abc import Collection
from typing import Protocol, cast

SPARE = 64
"""Connections beyond the limit that are told so; more are ended without a word."""
SWEEP_MAX_S = 1.0


class Watched(Protocol):
    """A connection."""

    def awaited(self) -> object | None:
        """Return what its caller is to do next, equal as long as it is the same; None: nothing."""

    def give_up(self) -> None:
        """Wait no longer."""


class Patience:
    """Ends connections whose callers keep the server waiting.

    Attributes:
        seconds: For a head, for a body, and for taking any of an answer.
        connections_max: Connections there may be.
        slow: Connections that were given up.
        refused: Connections that were one too many.
    """

    def __init__(self, seconds: float = 10.0, connections_max: int = 16_384) -> None:
        self.seconds = seconds
        self.connections_max = connections_max
        self.slow = 0
        self.refused = 0
        self._since: dict[object, tuple[object, float]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, connections: Collection[object], loop: asyncio.AbstractEventLoop) -> None:
        """Look after a set of connections, which may change, until it is empty."""
        if self._timer is None:
            pause = min(SWEEP_MAX_S, self.seconds / 4)
            self._timer = loop.call_later(pause, self._sweep, connections, loop)

    def _sweep(self, connections: Collection[object], loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now, before, self._since = loop.time(), self._since, {}
        for each in list(connections):
            if not hasattr(each, "awaited"):
                continue  # a WebSocket, which looks after itself
            watched = cast("Watched", each)
            what = watched.awaited()
            if what is None:
                continue
            known = before.get(each)
            since = known[1] if known is not None and known[0] == what else now
            if now - since < self.seconds:
                self._since[each] = (what, since)
            else:
                self.slow += 1
                watched.give_up()
        if connections:
            self.watch(connections, loop)
