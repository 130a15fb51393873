"""A server that is told to stop under load: whoever is answered is in the journal."""

import signal
import threading
from collections import Counter
from itertools import count
from pathlib import Path

import httpx

from api.client import Client, EvergammaError, TransportError, UnavailableError
from api.storage.store import open_store
from tests.api.http.harness import until
from tests.api.test_demo_server import Server

THREADS = 6
DRAIN_S = 2.0


class Trader(threading.Thread):
    """Opens one position after another until the server takes no more."""

    def __init__(self, url: str, key: tuple[str, str], name: str) -> None:
        super().__init__(daemon=True)
        self.client = Client(url, *key, retries=0)
        self.prefix = name
        self.filled: list[str] = []
        self.refused = 0
        self.cut_off = 0
        self.fault: Exception | None = None

    def run(self) -> None:
        """Trade to the end."""
        try:
            with self.client:
                for number in count():
                    self._open(f"{self.prefix}-{number}")
        except TransportError as error:
            # Nobody listens any more: that is the end. All else would be an answer cut off.
            self.cut_off += not isinstance(error.__cause__, httpx.ConnectError)
        except EvergammaError as error:
            self.fault = error

    def _open(self, key: str) -> None:
        series = "BTC-TSLA.M-100000-C"
        try:
            self.client.open(series, "1", limit_total="1", idempotency_key=key)
            self.filled.append(key)
        except UnavailableError:
            self.refused += 1


def test_every_order_that_was_answered_is_in_the_journal(tmp_path: Path) -> None:
    """Readiness goes first, then new orders, then the listener; what waits is carried out."""
    server = Server(tmp_path, "--demo", "--rate", "0", "--drain", str(DRAIN_S))
    key = server.keys()["alice"]
    traders = [Trader(server.url, key, f"trader-{number}") for number in range(THREADS)]
    for each in traders:
        each.start()
    until(lambda: all(each.filled for each in traders))
    server.process.send_signal(signal.SIGTERM)
    assert until(lambda: httpx.get(f"{server.url}/readyz").status_code == 503)
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    told = httpx.get(f"{server.url}/v1/status")
    assert told.headers["connection"] == "close"
    assert server.process.wait(timeout=30) == 0
    assert server.process.stdout is not None
    server.process.stdout.close()
    for each in traders:
        each.join(30)
    assert [each.fault for each in traders] == [None] * THREADS
    assert sum(each.refused for each in traders) > 0
    assert sum(each.cut_off for each in traders) == 0
    store = open_store(tmp_path / "run" / "demo.sqlite", must_exist=True)
    journal, last = Counter(store.keys("/tick/")), store.last_record()
    store.close()
    filled = [f"alice/{name}" for each in traders for name in each.filled]
    assert len(filled) >= THREADS
    assert [name for name in filled if journal[name] != 1] == []
    assert last is not None
    stopped = (tmp_path / "errors.txt").read_text().splitlines()[-1]
    assert '"event":"stopped"' in stopped
    assert f'"head":"{last.sequence}:{last.digest.hex()}"' in stopped


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Though it would drain for half a minute."""
    server = Server(tmp_path, "--feed", "push", "--drain", "30", "--master-key", "m.key")
    server.process.send_signal(signal.SIGTERM)
    assert until(lambda: httpx.get(f"{server.url}/readyz").status_code == 503)
    assert server.stop(signal.SIGTERM) == 128 + signal.SIGTERM
