"""The server of these tests: one, because it takes seconds to start."""

from collections.abc import Iterator

import pytest

from tests.api.http.harness import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that fills orders at once and limits no rates; BTC always has a fresh index."""
    folder = tmp_path_factory.mktemp("streaming")
    started = Server(folder, "--fill-delay", "0", "--rate", "0", symbols=("BTC",))
    with started:
        yield started
        started.end()
