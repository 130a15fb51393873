"""A small exchange on a real database, and the command line as a user runs it."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from amm.units import MINUTE_MS, ONE
from api.__main__ import main
from api.exchange import Exchange
from api.storage.store import open_store
from api.storage.url import DatabaseUrl
from tests.api.databases import empty_tables, postgresql_database
from vaults.commands import Credit, ListToken, StartUnderlying, Tick

START_MS = 1_760_011_200_000
"""A minute after which the next flush is hours away."""
TOKEN = "TSLA.M"
VARIANCE_E12 = 250_000_000_000
"""A vol of 50 %."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for a database on a file, and where it is marked so on a server too."""
    if "database_kind" in metafunc.fixturenames:
        is_marked = metafunc.definition.get_closest_marker("databases") is not None
        kinds = ["sqlite", "postgresql"] if is_marked else ["sqlite"]
        metafunc.parametrize("database_kind", kinds, scope="module")


@pytest.fixture(scope="module")
def postgresql(database_kind: str) -> Iterator[DatabaseUrl | None]:
    """A database of PostgreSQL for the tests of a module, where they are to run on one."""
    if database_kind == "sqlite":
        yield None
        return
    with postgresql_database() as made:
        yield made


@pytest.fixture
def database(postgresql: DatabaseUrl | None, tmp_path: Path) -> Iterator[DatabaseUrl]:
    """The test's database, with nothing in it."""
    if postgresql is None:
        yield DatabaseUrl(tmp_path.resolve() / "exchange.sqlite")
        return
    yield postgresql
    empty_tables(postgresql)


@pytest.fixture
def exchange(database: DatabaseUrl) -> Iterator[Exchange]:
    """An exchange with one token, a buyer, a provider, and fresh prices."""
    store = open_store(database)
    made = Exchange(store)
    prepare(made)
    yield made
    store.close()


def prepare(exchange: Exchange) -> None:
    """List a token, credit a buyer and a provider, and tick both underlyings once."""
    for underlying in ("BTC", "ETH"):
        started = StartUnderlying(underlying, START_MS, VARIANCE_E12, VARIANCE_E12, VARIANCE_E12)
        exchange.execute(started, f"start-{underlying}")
    exchange.execute(ListToken(TOKEN, START_MS), "list")
    for account in ("buyer", "provider"):
        exchange.execute(Credit(TOKEN, account, 1_000 * ONE, START_MS), f"credit-{account}")
    tick(exchange, START_MS + MINUTE_MS)
    exchange.commit()


def tick(exchange: Exchange, now_ms: int, btc: int = 100_000, eth: int = 4_000) -> None:
    """Observe both underlyings at a vol of 50 %."""
    for underlying, price in (("BTC", btc), ("ETH", eth)):
        seen = Tick(underlying, price * ONE, now_ms, now_ms, vol_e9=500_000_000)
        exchange.execute(seen, f"{underlying}-{now_ms}")


async def until(is_so: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something is the case."""
    async with asyncio.timeout(seconds):
        for _ in count():
            if is_so():
                return
            await asyncio.sleep(0.02)


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command line in an empty folder and return what it printed."""

    def evergamma(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "api", *map(str, arguments)]
        return subprocess.run(  # noqa: S603
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
        )

    return evergamma


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Run the command line in this process; return its status, output and errors."""

    def evergamma(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["evergamma", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        output, errors = capsys.readouterr()
        return int(ended.value.code or 0), output, errors

    return evergamma
