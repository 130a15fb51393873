"""Servers of prices on this machine, which do as badly as they are told."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from api.clock import Clock
from api.feeds import Feed, Observation
from api.feeds.health import FeedHealth
from api.feeds.places import PYTH_IDS
from api.feeds.source import Pace

PACE = Pace(connect=0.8, silence=1.2, pause=0.01, pause_max=0.05, poll=0.01, poll_for=0.5)
"""Like the usual one, but for people who wait."""
GIVEN_UP = f"no good price for {PACE.silence:g} s"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def now_s() -> int:
    return Clock().wall_ms() // 1_000


def price(at_s: int, symbol: str = "BTC", **changed: Any) -> dict[str, Any]:
    """Return one price of Hermes: 60,000 USD give or take 20."""
    given: dict[str, Any] = {
        "price": "6000000000000",
        "conf": "2000000000",
        "expo": -8,
        "publish_time": at_s,
    }
    return {"id": PYTH_IDS[symbol], "price": given | changed, "metadata": {"slot": 1}}


def update(*items: Any) -> bytes:
    """Return an update of Hermes."""
    return json.dumps({"binary": {"encoding": "hex", "data": ["00"]}, "parsed": items}).encode()


def event(payload: bytes) -> bytes:
    return b"data:" + payload + b"\n\n"


class Talk:
    """One connection to a fake server."""

    def __init__(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self.writer = writer

    @property
    def is_stream(self) -> bool:
        """Whether the stream is asked for, not the latest prices."""
        return b"/v2/updates/price/stream?" in self.request

    async def send(self, *pieces: bytes) -> None:
        """Send bytes."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self, payload: bytes, status: str = "200 OK", *headers: str) -> None:
        """Send a whole answer."""
        lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(payload)}", *headers, "", "")
        await self.send("\r\n".join(lines).encode(), payload)

    async def stay(self) -> None:
        """Say nothing more until the other side goes away, or long enough."""
        await asyncio.sleep(30.0)


Scene = Callable[[Talk], Awaitable[None]]


class FakeHermes:
    """An HTTP server that plays one scene at each connection, the last of them again and again."""

    def __init__(self, *scenes: Scene) -> None:
        self.scenes = list(scenes)
        self.talks: list[Talk] = []
        self.url = ""

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            talk = Talk(await reader.readuntil(b"\r\n\r\n"), writer)
            self.talks.append(talk)
            await (self.scenes.pop(0) if len(self.scenes) > 1 else self.scenes[0])(talk)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side has gone
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeHermes"]:
        """Serve on a free port."""
        tasks: set[asyncio.Task[None]] = set()

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.create_task(self._converse(reader, writer)))

        server = await asyncio.start_server(begin, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


Act = Callable[[ServerConnection], Awaitable[None]]


class FakeDeribit:
    """A WebSocket server that answers requests and plays one act at each connection."""

    def __init__(self, *acts: Act) -> None:
        self.acts = list(acts)
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    async def _converse(self, socket: ServerConnection) -> None:
        for _ in range(2):
            asked = json.loads(await socket.recv())
            self.asked.append(asked)
            await socket.send(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": "ok"}))
        await (self.acts.pop(0) if len(self.acts) > 1 else self.acts[0])(socket)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeDeribit"]:
        """Serve on a free port."""
        async with serve(self._converse, "127.0.0.1", 0, close_timeout=0.1) as server:
            self.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            yield self


def told(channel: str, **data: Any) -> str:
    """Return a notification of Deribit."""
    params = {"channel": channel, "data": data}
    return json.dumps({"jsonrpc": "2.0", "method": "subscription", "params": params})


async def listened(
    feed: Feed, is_enough: Callable[[list[Observation]], bool]
) -> tuple[list[Observation], FeedHealth]:
    """Return what a feed says until that is enough, and the health of its first source."""
    clock, seen = Clock(), list[Observation]()
    async with asyncio.timeout(10.0):
        stream = feed.observations(clock)
        async for moment in stream:
            seen += moment
            if is_enough(seen):
                break
        await stream.aclose()  # type: ignore[attr-defined]
    return seen, feed.health(clock.now_ms())[0]
