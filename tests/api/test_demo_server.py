"""The demo as somebody meets it: a process that prints what to paste, and what was pasted works."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.client import Client, UnauthorizedError
from tests.api.conftest import Run

LISTENING = re.compile(r"listening on (http://127\.0\.0\.1:[0-9]+)\n")
TRIES, PAUSE_S = 300, 0.1


class Server:
    """A server in a process of its own, and what it has printed."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "api", "serve", "--port", "0", *arguments]
        with (folder / "errors.txt").open("a") as errors:
            self.process = subprocess.Popen(  # noqa: S603
                command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert self.process.stdout is not None
        found = LISTENING.fullmatch(self.process.stdout.readline())
        assert found is not None, (folder / "errors.txt").read_text()
        self.url = found.group(1)
        self.printed = ""
        while "--demo" in arguments and "\nPY\n" not in self.printed:
            self.printed += self.process.stdout.readline()

    def get(self, path: str) -> Any:
        """Return what it answers to anybody."""
        return httpx.get(self.url + path).raise_for_status().json()

    def keys(self) -> dict[str, tuple[str, str]]:
        """Return id and secret of the keys it printed, by account."""
        rows = re.findall(r"^  (\S+) +(eg_\S+)  ([0-9a-f]{64})  ", self.printed, re.MULTILINE)
        return {account: (key, secret) for account, key, secret in rows}

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; return its exit status."""
        self.process.send_signal(how)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(timeout=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo runs."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """A demo, as `evergamma serve --demo` starts it."""
    made = Server(folder, "--demo")
    yield made
    assert made.stop() == 0


def test_it_answers_as_soon_as_it_says_so(server: Server, folder: Path) -> None:
    status = server.get("/v1/status")
    assert status["feed"] == "simulated"
    assert status["invariants"] == "hold"
    assert [token["token"] for token in status["tokens"]] == ["TSLA.M", "NVDA.M", "CRCL.M"]
    names = {path.name for path in (folder / "run").iterdir()}
    assert {"demo.sqlite", "demo.key"} <= names
    for _, secret in server.keys().values():
        assert secret not in (folder / "errors.txt").read_text()


def test_prices_keep_coming(server: Server) -> None:
    """Observations that are newer than the one that was there."""
    first = server.get("/v1/indices/BTC")["published"]
    for _ in range(TRIES):
        if server.get("/v1/indices/BTC")["published"] > first:
            return
        time.sleep(PAUSE_S)
    pytest.fail("the index stands still")


def test_the_lines_for_curl_are_answered(server: Server) -> None:
    lines = [shlex.split(line) for line in server.printed.splitlines() if line.startswith("curl")]
    assert [line[2] for line in lines] == [f"{server.url}/v1/status", f"{server.url}/v1/quotes"]
    header = dict([lines[1][4].split(": ")])
    answer = httpx.post(lines[1][2], headers=header, content=lines[1][6]).raise_for_status()
    assert answer.json()["valid"]


def test_the_first_trade_can_be_pasted_again_and_again(server: Server) -> None:
    """From a fresh process, as printed."""
    program = server.printed.split("<<'PY'\n")[1].split("\nPY\n")[0]
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-"],
            input=program,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        for words in ("10 cost", "bought 10 for", "holding 10 of BTC-TSLA.M", "sold for"):
            assert words in done.stdout


def test_keys_come_and_go_while_it_runs(server: Server, folder: Path, run: Run) -> None:
    """A new key works at once, a revoked one soon no more; secrets are of the demo's master key."""
    database = ("--database", folder / "run" / "demo.sqlite")
    done = run("keys", "create", *database, "--account", "alice", "--role", "read", "--json")
    made = json.loads(done.stdout)
    with Client(server.url, key=made["id"], secret=made["secret"]) as client:
        assert client.account().account == "alice"
        assert run("keys", "revoke", made["id"], *database).returncode == 0
        for _ in range(TRIES):
            try:
                client.account()
            except UnauthorizedError:
                return
            time.sleep(PAUSE_S)
    pytest.fail("the revoked key is still good")


def test_what_does_not_wait_is_refused(server: Server, folder: Path, run: Run) -> None:
    assert server.process.poll() is None
    database = folder / "run" / "demo.sqlite"
    done = run("db", "migrate", database)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "in use by another process" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_restart_goes_on_with_keys_journal_and_prices(
    tmp_path: Path, how: signal.Signals
) -> None:
    first = Server(tmp_path, "--demo", "--speed", "60", "--feed", "simulated")
    before = first.get("/v1/status")
    keys = first.keys()
    assert first.stop(how) == 0
    again = Server(tmp_path, "--demo", "--speed", "60")
    after = again.get("/v1/status")
    assert again.stop(how) == 0
    assert again.keys() == keys
    assert after["journal"] >= before["journal"]
    assert after["exchange_time"] >= before["exchange_time"]
    for old, new in zip(before["indices"], after["indices"], strict=True):
        assert float(new["price"]) == pytest.approx(float(old["price"]), rel=0.05)


def test_no_demo_prints_one_line_alone(tmp_path: Path) -> None:
    server = Server(tmp_path, "--feed", "push", "--tokens", "AMZN.M", "--master-key", "m.key")
    status = server.get("/v1/status")
    assert [token["token"] for token in status["tokens"]] == ["AMZN.M"]
    assert status["feed"] == "push"
    server.process.send_signal(signal.SIGTERM)
    rest, _ = server.process.communicate(timeout=60)
    assert rest == ""
    assert server.process.returncode == 0


README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


@pytest.mark.parametrize(
    ("section", "account", "last"),
    [("A first trade", "alice", "sold for 0."), ("A first deposit", "lena", "taken back: cancel")],
)
def test_the_programs_of_the_readme_work_as_they_stand(
    server: Server, section: str, account: str, last: str
) -> None:
    """But for the address, which is another here."""
    program = README.split(f"### {section}\n")[1].split("```python\n")[1].split("```")[0]
    assert len(program.splitlines()) <= 12
    key, secret = server.keys()[account]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program.replace("Client(", f"Client({server.url!r}, ")],
        env=os.environ | {f"{account.upper()}_KEY": key, f"{account.upper()}_SECRET": secret},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1].startswith(last)
    assert done.stderr == ""
