"""Standby and lost connections, with real servers under load: nobody who was answered is forgotten.

Two servers have one database: the second waits, and takes over when the first is killed. Then its
sessions are cut, again and again, and it goes on by itself.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.client import Client, TransportError, UnavailableError
from api.storage.url import DatabaseUrl
from tests.api.databases import cut_writers, place_taken
from tests.api.http.harness import until
from tests.benchmarks.serving import Server, Standby

pytestmark = pytest.mark.databases
TRADERS = 4
LOT = "0.01"


class Load:
    """Traders who send an order until it is acknowledged, and then the next one."""

    def __init__(self, server: Server) -> None:
        self._keys = server.fund(TRADERS, "1000")
        self._series = server.series(TRADERS)
        self.url = server.url
        self.filled: list[list[str | None]] = [[] for _ in range(TRADERS)]
        self.unanswered = 0
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._trade, args=(n,)) for n in range(TRADERS)]
        for each in self._threads:
            each.start()

    def client(self, number: int) -> Client:
        """Return a client of one of the traders."""
        key = self._keys[number]
        return Client(self.url, key.id, key.secret, retries=0)

    def _trade(self, number: int) -> None:
        sent = 0
        while not self._is_over.is_set():
            with self.client(number) as client:
                try:
                    while not self._is_over.is_set():
                        names = {"client_id": f"c-{sent}", "idempotency_key": f"order-{sent}"}
                        client.open(self._series[number], LOT, limit_total=LOT, **names)
                        self.filled[number].append(names["client_id"])
                        sent += 1
                except (TransportError, UnavailableError):
                    self.unanswered += 1
                    self._is_over.wait(0.02)

    @property
    def count(self) -> int:
        """How many orders were acknowledged."""
        return sum(map(len, self.filled))

    def go_on(self) -> None:
        """Wait until more trades have been acknowledged."""
        before = self.count
        until(lambda: self.count >= before + 5 * TRADERS, 60)

    def end(self) -> None:
        """Trade no more."""
        self._is_over.set()
        for each in self._threads:
            each.join()

    def verify(self) -> None:
        """Look for every trade that was acknowledged, once; nothing else was done but the last."""
        for number, filled in enumerate(self.filled):
            with self.client(number) as client:
                traded = [trade.client_id for trade in client.trades()]
            assert len(traded) == len(set(traded))
            assert set(filled) <= set(traded) <= {*filled, f"c-{len(filled)}"}


@pytest.fixture
def server(database: DatabaseUrl, tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, database) as made:
        yield made


@pytest.fixture
def load(server: Server) -> Iterator[Load]:
    made = Load(server)
    yield made
    made.end()


def test_another_takes_over_and_survives_cuts(
    server: Server, load: Load, database: DatabaseUrl, tmp_path: Path
) -> None:
    load.go_on()
    with Standby(server, tmp_path / "standby.log") as standby:
        until(lambda: "takes over" in standby.said, 120)
        load.go_on()
        server.kill()
        standby.await_listening()
        load.url = server.url = standby.url
        load.go_on()
        if database.server is not None:
            for _ in range(3):
                unanswered = load.unanswered
                cut_writers(database)
                until(lambda: load.unanswered > unanswered)  # noqa: B023 - asked at once
                load.go_on()
        load.end()
        load.verify()
        server.assert_invariants()
        if database.server is None:
            standby.stop()
        else:
            with place_taken(database):
                assert standby.await_end() == 1
            assert "another process writes to" in standby.said.splitlines()[-1]
    server.check()
