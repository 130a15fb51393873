"""A real server fed with prices by a test, and requests to it signed as an integrator would."""

import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import httpx
from typer.testing import CliRunner

from api.__main__ import app
from api.client import Client, EvergammaError
from api.storage.url import DatabaseUrl
from api.wire import Account, Key, Pool, Role
from tests.benchmarks.serving import Process

TOKEN_PARAMETERS = {"seed": 10_000 * 10**8, "flush_period_ms": 1_600_000_000_000}
"""Pools of ten thousand tokens, and no flush before the year 2071."""
PRICES = {"BTC": "100000", "ETH": "4000"}
VOL = "0.5"
AGE_MAX_MS = 10_000
"""An older index is not traded on."""
PUSH_EVERY = 0.8
"""Seconds between two prices."""
CALL, PUT = "BTC-{}-100000-C", "ETH-{}-4000-P"
_NUMBERS = count(1)


def now_ms() -> int:
    """Return this machine's clock, which the server has too."""
    return time.time_ns() // 1_000_000


def fresh(prefix: str) -> str:
    """Return a name nothing else has."""
    return f"{prefix}-{next(_NUMBERS)}"


def total(amounts: Sequence[str] | Iterator[str]) -> Decimal:
    """Return an exact sum."""
    return sum((Decimal(each) for each in amounts), Decimal(0))


def until(is_so: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait until something is the case, and return what it is then."""
    deadline = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < deadline, "it does not come to pass"
        time.sleep(0.02)
    return found


# -- requests as they are on the wire


def signature(
    secret: str, stamp: str, method: str, target: str, idempotency_key: str, body: bytes
) -> str:
    """Return the signature the documentation describes."""
    digest = hashlib.sha256(body).hexdigest()
    lines = f"{stamp}\n{method}\n{target}\n{idempotency_key}\n{digest}"
    return hmac.new(secret.encode(), lines.encode(), hashlib.sha256).hexdigest()


def signed(
    key: Key | None, method: str, target: str, body: bytes = b"", idempotency_key: str | None = None
) -> dict[str, str]:
    """Return the headers of a request; none of a signature without a key."""
    headers = {}
    if body:
        headers["Content-Type"] = "application/json"
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    if key is not None:
        stamp = str(now_ms())
        headers["EG-Key"] = key.id
        headers["EG-Timestamp"] = stamp
        headers["EG-Signature"] = signature(
            key.secret or "", stamp, method, target, idempotency_key or "", body
        )
    return headers


def encoded(body: object) -> bytes:
    """Return a body: bytes as they are, nothing for None, JSON of anything else."""
    if isinstance(body, bytes):
        return body
    return b"" if body is None else json.dumps(body).encode()


class Served(Protocol):
    """Whatever is asked over HTTP."""

    http: httpx.Client
    url: str


class Wire:
    """Requests of one key, without a client in between."""

    def __init__(self, server: Served, key: Key | None = None) -> None:
        self._server = server
        self.key = key

    def send(
        self,
        method: str,
        target: str,
        body: object = None,
        idempotency_key: str | None = None,
        **headers: str | None,
    ) -> httpx.Response:
        """Send a request; `headers`, with _ for -, take the place of the signed ones."""
        content = encoded(body)
        given = signed(self.key, method, target, content, idempotency_key)
        for name, value in headers.items():
            given.pop(name.replace("_", "-"), None)
            if value is not None:
                given[name.replace("_", "-")] = value
        return self._server.http.request(
            method, self._server.url + target, content=content, headers=given
        )

    def change(self, method: str, target: str, body: object = None) -> httpx.Response:
        """Send a mutation under a new idempotency key."""
        return self.send(method, target, body, fresh("key"))


# -- the server


class Pusher(threading.Thread):
    """Pushes a price of each underlying, again and again; tests can hold it."""

    def __init__(self, server: "Server", symbols: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._turn = threading.RLock()
        self._is_over = threading.Event()
        self.prices = dict(PRICES)
        self._symbols = symbols
        self.failures: list[Exception] = []

    def run(self) -> None:
        """Push until it is over."""
        while not self._is_over.wait(PUSH_EVERY):
            with self._turn:
                try:
                    self.push()
                except EvergammaError as error:
                    self.failures.append(error)

    def push(self, *symbols: str, age_ms: int = 0) -> None:
        """Push one price of each underlying, or of those named."""
        for symbol in symbols or self._symbols:
            self._server.operator.operator.publish_price(
                symbol, self.prices[symbol], now_ms() - age_ms, vol=VOL, sources=2
            )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Push nothing by itself; what is fresh now is stale ten seconds later."""
        with self._turn:
            yield

    def end(self) -> None:
        """Push no more, and say what went wrong."""
        self._is_over.set()
        self.join()
        assert self.failures == []


class Server(Process):
    """A server on an empty database, with an operator's key made on the command line.

    Args:
        folder: Where database, keys and output go.
        flags: More of them.
        database: Another one than a file in the folder.
        symbols: Underlyings that are pushed all the time; the others have one old price.
    """

    def __init__(
        self,
        folder: Path,
        *flags: str,
        symbols: Sequence[str] = tuple(PRICES),
        database: DatabaseUrl | None = None,
    ) -> None:
        self.folder = folder
        self.database = (database or DatabaseUrl(folder / "d.sqlite")).with_password
        place = ["--database", self.database, "--master-key", str(folder / "k")]
        made = self._command_line(
            "keys", "create", *place, "--account", "house", "--role", "operator", "--json"
        )
        self.key = Key(**json.loads(made))
        command = ["-m", "api", "serve", *place, "--port", "0", "--feed", "push", *flags]
        super().__init__(command, folder / "log")
        self.http = httpx.Client(timeout=30)
        self.operator = Client(self.url, self.key.id, self.key.secret, http=self.http)
        # Started again, it is to be found where it was.
        self._command[self._command.index("--port") + 1] = self.url.rpartition(":")[2]
        self.pusher = Pusher(self, symbols)
        for symbol in PRICES:
            self.operator.operator.start_underlying(symbol, VOL)
            self.pusher.push(symbol, age_ms=0 if symbol in symbols else AGE_MAX_MS - 100)
        self.pusher.start()

    @staticmethod
    def _command_line(*arguments: str) -> str:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    def begin_again(self) -> None:
        """Kill the server and start another on its database; prices are held meanwhile."""
        with self.pusher.held():
            self.kill()
            self.restart()

    def end(self) -> None:
        """Stop the server as its owner would, and check its journal."""
        self.pusher.end()
        self.http.close()
        self.stop()
        checked = self._command_line("db", "check", self.database)
        assert checked.rstrip().endswith("equal"), checked

    # -- who is there

    def key_of(self, account: str, *roles: Role) -> Key:
        """Make a key."""
        return self.operator.operator.make_key(account, roles)

    def wire(self, account: str, *roles: Role) -> Wire:
        """Return a new key's requests."""
        return Wire(self, self.key_of(account, *roles))

    def client(self, account: str, *roles: Role) -> Client:
        """Return a client with a new key; one answer or none is all a test wants to see."""
        key = self.key_of(account, *(roles or ("trade", "provide")))
        return Client(self.url, key.id, key.secret, http=self.http, retries=0)

    def credit(self, account: str, token: str, amount: str) -> None:
        """Book a deposit of an account."""
        self.operator.operator.credit(account, token, amount, fresh("deposit"))

    def list_token(self, name: str, **parameters: float) -> str:
        """List a token nobody else uses."""
        self.operator.operator.list_token(name, TOKEN_PARAMETERS | parameters)
        return name

    def retire(self, name: str) -> None:
        """Flush a token no more: what other tests count is theirs alone."""
        week_ms = 7 * 86_400_000
        seldom = {"flush_period_ms": week_ms, "flush_offset_ms": (now_ms() - 60_000) % week_ms}
        self.operator.operator.set_parameters(name, seldom, now_ms() + 50)
        until(lambda: self.operator.pool(name).next_flush > now_ms() + week_ms // 2)

    # -- what there is

    def metrics(self) -> str:
        """Return what Prometheus reads, of a server that has it on a port of its own."""
        found = re.search(r"^metrics on (\S+)$", self._log.read_text(), re.MULTILINE)
        assert found is not None
        return self.http.get(found[1]).raise_for_status().text

    @property
    def journal(self) -> int:
        """How long the journal is."""
        return self.operator.status().journal

    def assert_conserved(self, token: str, traders: Sequence[Client]) -> None:
        """Check that all tokens ever paid in are somewhere, to the last unit.

        Args:
            token: One that only `traders` have ever had.
            traders: Clients of every account in it.
        """
        with self.pusher.held():
            pool = self.operator.pool(token)
            inside = total([pool.main.cash, pool.insurance.cash])
            parameters = {each.token: each.parameters for each in self.operator.parameters()}
            outside = 2 * Decimal(parameters[token]["seed"]) / 10**8
            for each in traders:
                held = balance_of(each.account(), token)
                inside += total([held["balance"], held["escrowed"]])
                fees = (trade.fee for trade in each.trades() if f"-{token}-" in trade.instrument)
                inside += total(fees)
                outside += total(line.amount for line in each.deposits() if line.token == token)
                for withdrawal in (line for line in each.withdrawals() if line.token == token):
                    is_out = withdrawal.status == "completed"
                    outside -= Decimal(withdrawal.amount) if is_out else 0
                    inside += 0 if is_out else Decimal(withdrawal.amount)
        assert inside == outside


def balance_of(account: Account, token: str) -> dict[str, str]:
    """Return an account's amounts of a token that only commands change."""
    found = next((each for each in account.balances if each.token == token), None)
    names = ("balance", "escrowed", "main_shares", "insurance_shares")
    return {name: getattr(found, name) if found else "0" for name in names}


def still(pool: Pool) -> dict[str, str]:
    """Return a pool's amounts that only commands change."""
    return {
        "main": pool.main.cash,
        "insurance": pool.insurance.cash,
        "main_shares": pool.main.shares,
        "insurance_shares": pool.insurance.shares,
        "deposits": pool.main.deposits_waiting,
        "redemptions": pool.main.redemptions_waiting,
        "locked": pool.locked,
    }


@dataclass
class Watch:
    """Everything an account and the pools hold, to be compared."""

    server: Server
    token: str
    client: Client
    account: dict[str, str] = field(init=False)
    pool: dict[str, str] = field(init=False)
    positions: list[tuple[str, str, str, bool]] = field(init=False)
    journal: int = field(init=False)

    def __post_init__(self) -> None:
        self.account, self.pool, self.positions, self.journal = self._now()

    def _now(self) -> tuple[dict[str, str], dict[str, str], list[Any], int]:
        positions = [
            (each.id, each.notional, each.impact_paid, each.self_funding)
            for each in self.client.positions()
        ]
        return (
            balance_of(self.client.account(), self.token),
            still(self.server.operator.pool(self.token)),
            positions,
            self.server.journal,
        )

    def assert_unchanged(self, records: int = 0) -> None:
        """Check that nothing has moved; the journal has grown by so many refusals."""
        account, pool, positions, journal = self._now()
        assert (account, pool, positions) == (self.account, self.pool, self.positions)
        assert journal == self.journal + records


PROBLEM_FIELDS = {"type", "title", "status", "code", "detail", "request_id"}
PROBLEM_MORE = {"field", "limit", "actual", "order_id"}


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a problem document with a status and a code; return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert PROBLEM_FIELDS <= set(document) <= PROBLEM_FIELDS | PROBLEM_MORE
    assert (document["status"], document["code"]) == (status, code), document
    assert document["type"] == f"/v1/problems#{code}"
    assert document["request_id"] == answer.headers["EG-Request"]
    assert answer.headers.get_list("EG-Request") == [document["request_id"]]
    assert document["detail"]
    assert document["title"]
    return document


def order(token: str, side: str = "open", **changes: object) -> dict[str, object]:
    """Return the body of an order that is filled."""
    asked = {"instrument": CALL.format(token), "side": side, "notional": "10", "limit_total": "1"}
    if side == "close":
        asked["limit_total"] = "0"
    return {name: value for name, value in (asked | changes).items() if value is not None}
