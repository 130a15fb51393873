"""The servers of these tests: few, because each takes seconds to start.

`EVERGAMMA_TEST_DATABASE=postgresql` has all of them on PostgreSQL.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from api.storage.url import DatabaseUrl
from tests.api.databases import postgresql_database
from tests.api.http.harness import Server


def _is_on_file() -> bool:
    return os.environ.get("EVERGAMMA_TEST_DATABASE", "sqlite") == "sqlite"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, on PostgreSQL, the tests of the server that is always on a file."""
    if _is_on_file():
        return
    left_out = [each for each in items if "watched_server" in getattr(each, "fixturenames", ())]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [each for each in items if each not in left_out]


@contextmanager
def _database() -> Iterator[DatabaseUrl | None]:
    """Yield a server's database, None where a file is wanted."""
    if _is_on_file():
        yield None
        return
    with postgresql_database() as made:
        yield made


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that fills orders at once and limits no rates; each module has its own tokens.

    BTC always has a fresh index, ETH never, but where a test pushes one.
    """
    folder = tmp_path_factory.mktemp("server")
    flags = ("--fill-delay", "0", "--rate", "0", "--simulations", str(folder / "simulations"))
    # Beside many tests a simulation that stands back would never end.
    flags += ("--simulation-nice", "0", "--simulation-steps", "1000000")
    with _database() as database:
        started = Server(folder, *flags, symbols=("BTC",), database=database)
        with started:
            yield started
            started.end()


@pytest.fixture(scope="session")
def example(server: Server) -> str:
    """The token that the documentation's examples are about."""
    return server.list_token("TSLA.M")


@pytest.fixture(scope="session")
def waiting_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the usual fill delay and rate limits; it may be killed and started again.

    Who asks it is a proxy of a public host.
    """
    proxied = ("--trusted-proxies", "127.0.0.0/8,::1", "--domain", "exchange.example")
    with _database() as database:
        folder = tmp_path_factory.mktemp("waiting")
        started = Server(folder, "--fill-delay", "250", *proxied, database=database)
        with started:
            yield started
            started.end()


@pytest.fixture(scope="session")
def watched_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a file that logs everything, has little patience and room for few."""
    flags = {
        "--fill-delay": "0",
        "--log-format": "json",
        "--log-level": "debug",
        "--metrics-port": "0",
        "--patience": "0.6",
        "--connections-max": "40",
        "--simulation-processes": "0",
        "--trusted-proxies": "127.0.0.1",
    }
    given = [text for pair in flags.items() for text in pair]
    folder = tmp_path_factory.mktemp("watched")
    with Server(folder, *given, "--access-log", symbols=("BTC",)) as started:
        yield started
        started.end()
