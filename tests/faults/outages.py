"""A server under load that loses what it stands on, for a while: space, or its database."""

import asyncio
import os
import random
import resource
import subprocess
from collections.abc import AsyncIterable, Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from api.client import TransportError, UnavailableError
from api.wire import Order
from tests.api.conftest import until
from tests.api.proxy import Proxy
from tests.benchmarks.serving import TOKEN, Server
from tests.faults.kill import CONNECTIONS, Trader

LOAD = 5
"""Answers each trader has before it begins."""
WAIT_SECONDS = 60.0
OUTAGE_SECONDS = 2.0
"""How long everything is tried during it: longer than anything is remembered."""
DISK_BYTES = 24 * 2**20


class Outage(NamedTuple):
    """What begins and ends an outage."""

    begin: Callable[[], None]
    end: Callable[[], None]


class Met(NamedTuple):
    """What callers met: answers before it, and what they were told in it."""

    acknowledged: int
    told: list[TransportError | UnavailableError | None]


def can_mount() -> bool:
    """Whether a file system can be mounted here."""
    return os.geteuid() == 0


@contextmanager
def small_disk(folder: Path) -> Iterator[Outage]:
    """Have a small file system in a folder, which can be filled to the last byte."""
    folder.mkdir()
    options = f"size={DISK_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)  # noqa: S603, S607
    ballast = folder / "ballast"

    def fill() -> None:
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            for size in (2**20, 2**12):
                with suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass

    try:
        yield Outage(fill, ballast.unlink)
    finally:
        subprocess.run(["umount", folder], check=True)  # noqa: S603, S607


def file_limit(server: Server, log: Path) -> Outage:
    """Let the files of a server not grow beyond what its write-ahead log has now."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)

    def begin() -> None:
        limit = (log.stat().st_size, resource.RLIM_INFINITY)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, limit)

    def end() -> None:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited)

    return Outage(begin, end)


def live_through(server: Server, outage: Outage, *, is_readable: bool) -> Met:
    """Trade through an outage, and make sure of everything afterwards.

    Args:
        server: A running one.
        outage: What begins and ends it.
        is_readable: Whether the state can be read meanwhile.

    Raises:
        AssertionError: Something was lost or done twice, or it does not go on.
    """
    traders = [Trader(key) for key in server.fund(CONNECTIONS, "1000")]
    series = server.series(8)
    met = asyncio.run(_live_through(server.url, traders, series, outage, is_readable))
    server.assert_invariants()
    server.stop_and_check()
    return met


async def _live_through(
    url: str, traders: list[Trader], series: list[str], outage: Outage, is_readable: bool
) -> Met:
    trading = [asyncio.create_task(each.trade(url, series, _chance(each))) for each in traders]
    async with asyncio.timeout(WAIT_SECONDS):
        await until(lambda: all(len(each.acknowledged) >= LOAD for each in traders))
        outage.begin()
        try:
            await asyncio.gather(*trading)
            await _look_meanwhile(url, traders[0], series[0], is_readable)
        finally:
            outage.end()
        await _until_ready(url)
    met = Met(sum(len(each.acknowledged) for each in traders), [each.told for each in traders])
    await asyncio.gather(*(each.verify(url) for each in traders))
    return met


def _chance(trader: Trader) -> random.Random:
    return random.Random(trader.key.account)  # noqa: S311 - what is traded is no secret


async def _look_meanwhile(url: str, trader: Trader, series: str, is_readable: bool) -> None:
    """Make sure that a write is refused as it should be, and that reading goes on."""
    async with trader.client(url, retries=0) as client:
        ends = asyncio.get_running_loop().time() + OUTAGE_SECONDS
        while asyncio.get_running_loop().time() < ends:
            with pytest.raises(UnavailableError) as told:
                await client.open(series, "0.01", limit_total="1")
            assert (told.value.status, told.value.code) == (503, "UNAVAILABLE")
            assert told.value.retry_after is not None
        assert (await asks(url, "/healthz")).status_code == 200
        assert is_readable or (await asks(url, "/readyz")).status_code == 503
        known = next(each for each in trader.acknowledged if isinstance(each, Order))
        answers = await asyncio.gather(
            client.order(known.id),
            client.account(),
            client.status(),
            _all(client.pools()),
            _all(client.trades()),
            _all(client.ledger()),
            _all(client.pool_history(TOKEN)),
            return_exceptions=True,
        )
        assert all(
            isinstance(each, UnavailableError) and not is_readable
            for each in answers
            if isinstance(each, BaseException)
        ), answers
        if is_readable:
            assert await client.order(known.id) == known


async def _all(pages: AsyncIterable[object]) -> list[object]:
    return [each async for each in pages]


async def asks(url: str, path: str) -> httpx.Response:
    """Return the answer to a request nobody has to sign."""
    async with httpx.AsyncClient(base_url=url) as client:
        return await client.get(path)


async def _until_ready(url: str) -> None:
    for _ in count():
        if (await asks(url, "/readyz")).status_code == 200:
            return
        await asyncio.sleep(0.05)


def hold_line(proxy: Proxy) -> Outage:
    """Keep every connection that goes through a proxy, and let nothing through."""
    return Outage(proxy.hold, proxy.let_go)


def cut_line(proxy: Proxy) -> Outage:
    """Cut every connection that goes through a proxy, and let none through."""

    def begin() -> None:
        proxy.is_shut = True
        proxy.cut()

    def end() -> None:
        proxy.is_shut = False

    return Outage(begin, end)
