"""A real server process on a real database, with a token whose pools are funded."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from typer.testing import CliRunner

from api.__main__ import app
from api.access.ring import KeyRing
from api.client import Client
from api.demo import seed_demo
from api.exchange import Exchange
from api.settings import read_master_key
from api.storage.engines import access_engine
from api.storage.store import open_store
from api.storage.url import DatabaseUrl
from api.wire import Key

TOKEN = "TSLA.M"
_LISTENING = re.compile(r"^listening on (http://\S+)$", re.MULTILINE)
_START_SECONDS = 300
"""How long a server may take to listen: the first one compiles the kernels."""
_CHECK_SECONDS = 30
"""How long the next check of all invariants may take to come."""
_STOP_SECONDS = 30


class Process:
    """A server process that prints where it listens; what it prints is kept in a file."""

    def __init__(self, command: list[str], log: Path, **settings: str) -> None:
        self._command = command
        self._settings = settings
        self._log = log
        self._begin()
        self.await_listening()

    def _begin(self) -> None:
        with self._log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, *self._command],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._settings, "PYTHONUNBUFFERED": "1"},
            )

    @property
    def said(self) -> str:
        """What it has printed."""
        return self._log.read_text()

    def await_listening(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + _START_SECONDS
        while not (found := _LISTENING.search(self.said)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self._command} does not listen:\n{self.said}")
            time.sleep(0.02)
        self.url = found.group(1)

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def kill(self) -> None:
        """End it with no chance to do anything more."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Start it again, after its end."""
        assert self._process.poll() is not None, "it still runs"
        self._begin()
        self.await_listening()

    def stop(self) -> None:
        """Ask it to finish, and wait until it has.

        Raises:
            RuntimeError: It did not end as it should.
        """
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            status = -signal.SIGKILL
        # A server that was told to end by a signal may say so by its status.
        if status not in {0, -signal.SIGTERM}:
            raise RuntimeError(f"{self._command} ended with {status}:\n{self.said}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self.kill()


class Standby(Process):
    """Another process for what a first one serves; it need not listen yet."""

    def __init__(self, first: Process, log: Path) -> None:
        self._command = first._command  # noqa: SLF001 - they are of one family
        self._settings = first._settings  # noqa: SLF001
        self._log = log
        self._begin()

    def await_end(self) -> int:
        """Wait until it ends by itself; return its status."""
        return self._process.wait(_STOP_SECONDS)


class Server(Process):
    """The exchange, with a live simulated feed and orders that are filled at once.

    Args:
        folder: Where database, keys and output go.
        database: Another one than a file in the folder.
        settings: More of them, as variables.
    """

    def __init__(self, folder: Path, database: DatabaseUrl | None = None, **settings: str) -> None:
        self.database = database or DatabaseUrl(folder / "exchange.sqlite")
        self.master_key = folder / "master.key"
        self.operator = _prepare(self.database, self.master_key)
        flags = {
            "--master-key": self.master_key,
            "--port": 0,
            "--feed": "simulated",
            "--fill-delay": 0,
            "--rate": 0,
        }
        pairs = [str(each) for flag in flags.items() for each in flag]
        command = ["-m", "api", "serve", *pairs]
        address = self.database.with_password
        super().__init__(command, folder / "server.log", EVERGAMMA_DATABASE=address, **settings)

    def operator_client(self) -> Client:
        """Return a client with the operator's key."""
        return Client(self.url, *self.operator)

    def fund(self, count: int, amount: str) -> list[Key]:
        """Credit accounts and return a key for each."""
        keys = []
        with self.operator_client() as client:
            for number in range(count):
                account = f"trader-{number}"
                client.operator.credit(account, TOKEN, amount, f"deposit-{number}")
                keys.append(client.operator.make_key(account, ["read", "trade"]))
        return keys

    def series(self, count: int) -> list[str]:
        """Return series of both underlyings and kinds, nearest to the money first."""
        with Client(self.url) as client:
            prices = {each.symbol: float(each.price or 0) for each in client.underlyings()}
            listed = [each for each in client.instruments(token=TOKEN) if each.can_open]
        groups: dict[tuple[str, str], list[tuple[float, str]]] = {}
        for each in listed:
            distance = abs(float(each.strike) / prices[each.underlying] - 1)
            group = groups.setdefault((each.underlying, each.kind), [])
            group.append((distance, each.instrument))
        share = -(-count // len(groups))
        return [name for group in groups.values() for _, name in sorted(group)[:share]][:count]

    def assert_invariants(self, since: int = 0) -> None:
        """Make sure that every invariant held when they were last checked, at or after `since`.

        They are checked at the start and every few seconds; `since` is milliseconds of the wall.
        """
        with Client(self.url) as client:
            deadline = time.monotonic() + _CHECK_SECONDS
            while (status := client.status()).invariants_checked < since:
                assert time.monotonic() < deadline, "invariants are not checked"
                time.sleep(0.2)
        assert status.invariants == "hold", status.invariants

    def stop_and_check(self) -> None:
        """Stop, and make sure that the journal rebuilds the tables."""
        self.stop()
        self.check()

    def check(self) -> None:
        """Make sure that the journal rebuilds the tables."""
        checked = CliRunner().invoke(app, ["db", "check", self.database.with_password])
        assert checked.exit_code == 0, checked.output
        assert checked.stdout.rstrip().endswith("equal"), checked.stdout

    def assert_conserved(self) -> None:
        """Make sure that every invariant holds now, then stop and check the database."""
        with Client(self.url) as client:
            now = client.time().time
        self.assert_invariants(now)
        self.stop_and_check()


def _prepare(database: DatabaseUrl, master_key: Path) -> tuple[str, str]:
    """List a token with funded pools and an hour of prices; return an operator's key and secret."""
    now_ms = time.time_ns() // 1_000_000
    store = open_store(database)
    seed_demo(Exchange(store), now_ms, (TOKEN,))
    store.close()
    keys = KeyRing(access_engine(database), read_master_key(master_key))
    made = keys.create("operator", ("read", "operator"), None, now_ms)
    keys.close()
    return made.id, made.secret
