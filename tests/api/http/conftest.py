"""The servers of these tests: few, because each takes seconds to start."""

from collections.abc import Iterator

import pytest

from tests.api.http.harness import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that fills orders at once and limits no rates; each module has its own tokens.

    BTC always has a fresh index, ETH never, but where a test pushes one.
    """
    folder = tmp_path_factory.mktemp("server")
    started = Server(folder, "--fill-delay", "0", "--rate", "0", symbols=("BTC",))
    with started:
        yield started
        started.end()


@pytest.fixture(scope="session")
def example(server: Server) -> str:
    """The token that the documentation's examples are about."""
    return server.list_token("TSLA.M")


@pytest.fixture(scope="session")
def waiting_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the usual fill delay and rate limits; it may be killed and started again."""
    started = Server(tmp_path_factory.mktemp("waiting"), "--fill-delay", "250")
    with started:
        yield started
        started.end()
