"""What thousands of WebSockets cost, and how soon they are told.

    python -m tests.benchmarks.websockets --connections 10000

The server is a process of its own with a live feed; every connection first idles, then reads the
index of BTC. Addresses of loopback are shared out, because one address may not have as many.
"""

import argparse
import asyncio
import resource
import statistics
import struct
import tempfile
import time
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import msgspec
import uvloop

from api.stream.messages import TARGET
from tests.benchmarks.measure import Figure
from tests.benchmarks.serving import Server

OF_ADDRESS = 1_000
AT_ONCE = 100
HEAD = (
    f"GET {TARGET} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()
CHANNEL = "index.BTC"


class Seen(msgspec.Struct):
    """What is read of a message."""

    channel: str = ""
    seq: int = 0
    type: str = ""
    time: int = 0


class Reader(asyncio.Protocol):
    """One connection; `arrivals` are milliseconds by the number of the message."""

    __slots__ = ("_rest", "arrivals", "is_open", "transport")

    def __init__(self) -> None:
        self.is_open = asyncio.get_running_loop().create_future()
        self.arrivals: dict[int, tuple[int, float]] = {}
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody closes but the benchmark."""
        if not self.is_open.done():
            self.is_open.set_exception(exc or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        """Take frames apart."""
        arrived = time.time_ns() / 1e6
        data, self._rest = self._rest + data, b""
        if not self.is_open.done():
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.is_open.set_exception(ConnectionError(data.decode()))
                return
            self.is_open.set_result(None)
        while len(data) >= 2:
            size, start = data[1], 2
            if size == 126:
                size, start = struct.unpack_from("!H", data, 2)[0] if len(data) >= 4 else 1 << 20, 4
            if len(data) < start + size:
                break
            if data[0] == 0x81:
                self._hear(data[start : start + size], arrived)
            data = data[start + size :]
        self._rest = data

    def _hear(self, text: bytes, arrived: float) -> None:
        seen = msgspec.json.decode(text, type=Seen)
        if seen.channel == CHANNEL and seen.type == "delta":
            self.arrivals[seen.seq] = (seen.time, arrived)

    def subscribe(self) -> None:
        """Read the index; a client's frames are masked, here with zeros."""
        text = msgspec.json.encode({"id": 1, "op": "subscribe", "channels": [CHANNEL]})
        self.transport.write(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)


def resident(pid: int) -> int:
    """Return the memory of a process in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def connect(url: str, count: int, first: int = 1) -> list[Reader]:
    """Make connections, a few at a time, from as many addresses of loopback as it takes."""
    loop, place, readers = asyncio.get_running_loop(), urlsplit(url), list[Reader]()
    while len(readers) < count:
        source = f"127.0.0.{first + len(readers) // OF_ADDRESS}"
        made = await asyncio.gather(
            *(
                loop.create_connection(Reader, place.hostname, place.port, local_addr=(source, 0))
                for _ in range(min(AT_ONCE, count - len(readers)))
            )
        )
        readers += [reader for _, reader in made]
        await asyncio.gather(*(reader.is_open for _, reader in made))
    return readers


async def measure(server: Server, count: int, seconds: float) -> list[Figure]:
    """Connect readers, let them be idle, then let them read."""
    pid = server._process.pid  # noqa: SLF001 - the harness has no need to say it otherwise
    await connect(
        server.url, AT_ONCE, first=200
    )  # what the first ones cost is no connection's price
    before, begun = resident(pid), time.perf_counter()
    readers = await connect(server.url, count)
    rate = count / (time.perf_counter() - begun)
    await asyncio.sleep(1.0)
    idle = resident(pid)
    for reader in readers:
        reader.subscribe()
    await asyncio.sleep(seconds)
    reading = resident(pid)
    arrivals: dict[int, list[float]] = {}
    late: list[float] = []
    for reader in readers:
        for seq, (sent, arrived) in reader.arrivals.items():
            arrivals.setdefault(seq, []).append(arrived)
            late.append(arrived - sent)
    whole = [each for each in arrivals.values() if len(each) == count]
    spread = statistics.median(max(each) - min(each) for each in whole) if whole else float("nan")
    late.sort()
    median, almost_all = late[len(late) // 2], late[int(len(late) * 0.99)]
    for reader in readers:
        reader.transport.close()
    return [
        Figure("WebSockets made", f"{rate:,.0f}/s", f"{count:,} of them"),
        Figure("memory of an idle one", f"{(idle - before) / count / 1024:.1f} KiB"),
        Figure("memory of one that reads", f"{(reading - before) / count / 1024:.1f} KiB"),
        Figure(
            "from the look at the state to its arrival",
            f"{median:.0f} ms median, {almost_all:.0f} ms p99",
            f"{len(late):,} messages in {seconds:.0f} s, {len(whole)} heard by everybody; "
            f"{spread:.0f} ms from the first reader to the last",
        ),
    ]


def websockets(count: int = 10_000, seconds: float = 10.0) -> list[Figure]:
    """Measure readers of a server of their own.

    Raises:
        OSError: This machine lets a process open too few files.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the server inherits it
    if hard < count + 500:
        raise OSError(f"this machine lets a process open {hard} files only")
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        figures = uvloop.run(measure(server, count, seconds))
        server.stop()
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--connections", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    for figure in websockets(given.connections, given.seconds):
        print(" | ".join(each for each in figure if each))  # noqa: T201


if __name__ == "__main__":
    main()
