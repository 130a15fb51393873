"""What a reader knows is what a GET answers, whatever has happened; and it is nobody else's."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from api.client import Client, ConflictError, RefusedError
from api.wire import Account, Key
from tests.api.http.harness import AGE_MAX_MS, CALL, PUT, Server, now_ms, until
from tests.api.stream.harness import Reader

TOKEN = "STREAM.M"
STEPS = 60
PRIVATE = ("account", "positions", "requests", "orders", "ledger")
WITH_TIME = {"premium_owed", "withdrawable", "equity", "days_covered", "next_check", "age"}
"""Fields that grow as time goes by, between two messages too."""


def plain(rows: Any) -> list[dict[str, Any]]:
    """Return structs as JSON has them, without what time alone changes."""
    found = msgspec.to_builtins(list(rows))
    return [{name: each[name] for name in each.keys() - WITH_TIME} for each in found]


def by_id(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {row["id"]: row for row in rows}


def still_open(requests: dict[str, Any]) -> dict[str, Any]:
    """Return the open ones; a split changes the others, which the stream has done with."""
    return {key: each for key, each in requests.items() if each["status"] == "open"}


def place(line: dict[str, Any]) -> tuple[int, int]:
    sequence, _, number = line["id"].partition(".")
    return int(sequence), int(number)


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    """A token that is flushed every second."""
    more = {"flush_offset_ms": 0, "cutoff_ms": 0, "cooldown_ms": 0, "window_marks_min": 0}
    return server.list_token(
        TOKEN, flush_period_ms=1_000, unsettled_move=1.0, account_share_ppm=1_000_000, **more
    )


class Person:
    """An account with money, a client, and a reader of all its channels."""

    def __init__(self, server: Server, name: str, token: str, stack: ExitStack) -> None:
        server.credit(name, token, "3000")
        self.key: Key = server.key_of(name, "trade", "provide")
        self.client = Client(server.url, self.key.id, self.key.secret, http=server.http, retries=0)
        self.reader = stack.enter_context(Reader(server, self.key))
        self.reader.subscribe(*PRIVATE)

    def assert_told(self) -> None:
        """Check that the tables are what GET answers, once both stand still."""
        client, tables = self.client, self.reader.tables

        def is_equal() -> bool:
            self.reader.catch_up()
            account: Account = client.account()
            known, requests = tables["requests"], by_id(plain(client.requests()))
            return (
                plain(tables["account"].values()) == plain(account.balances)
                and by_id(plain(tables["positions"].values())) == by_id(plain(client.positions()))
                and still_open(known) == still_open(requests)
                and all(row["status"] == requests[key]["status"] for key, row in known.items())
            )

        until(is_equal)
        assert by_id(plain(tables["orders"].values())) == by_id(plain(client.orders()))
        lines = sorted(plain(client.ledger()), key=place)
        paid_in, *since = lines
        assert paid_in["flow"] == "credit"  # before the reader came
        assert self.reader.rows("ledger") == since


class Doings:
    """Things that people do at random."""

    def __init__(self, people: list[Person], token: str) -> None:
        self.random = random.Random(7)  # noqa: S311
        self.people = people
        self.token = token
        self.done = 0

    def _amount(self, most: int) -> str:
        return str(Decimal(self.random.randint(1, most * 10**4)).scaleb(-4))

    def _open(self, client: Client) -> None:
        strike, kind = self.random.choice((95_000, 100_000)), self.random.choice("CP")
        client.open(f"BTC-{self.token}-{strike}-{kind}", self._amount(900), limit_total="1000")

    def _close(self, client: Client) -> None:
        held = list(client.positions())
        if held:
            client.close(self.random.choice(held).id)

    def _deposit(self, client: Client) -> None:
        client.deposit(self.token, "main", self._amount(500))

    def _redeem(self, client: Client) -> None:
        client.redeem(self.token, "main", self._amount(400))

    def _cancel(self, client: Client) -> None:
        for each in [each for each in client.requests() if each.status == "open"][:1]:
            client.cancel_request(each.id)

    def _withdraw(self, client: Client) -> None:
        client.withdraw(self.token, self._amount(100))

    def __call__(self) -> None:
        """Do something; the rules may refuse it."""
        acts: list[Callable[[Client], None]] = [
            self._open,
            self._open,
            self._open,
            self._close,
            self._deposit,
            self._redeem,
            self._cancel,
            self._withdraw,
        ]
        with suppress(RefusedError, ConflictError):
            self.random.choice(acts)(self.random.choice(self.people).client)
            self.done += 1


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def test_snapshots_and_deltas_are_what_a_get_answers(
    server: Server, token: str, stack: ExitStack
) -> None:
    """Through trades, requests, flushes and a split, for two accounts and for everybody."""
    people = [Person(server, f"stream-{name}", token, stack) for name in ("tara", "lara")]
    call, seen = CALL.format(token), stack.enter_context(Reader(server))
    channels = (f"ticker.{call}", f"pool.{token}", f"trades.{token}", "index.BTC")
    seen.subscribe(*channels)
    doings = Doings(people, token)
    for step in range(STEPS):
        doings()
        if step == STEPS // 2:
            soon = now_ms() + 30
            server.operator.operator.announce_split(token, 1, 2, soon)
            until(lambda soon=soon: now_ms() > soon + 10)
            server.operator.operator.apply_action(token)
        for person in people:
            person.reader.catch_up()
        seen.catch_up()
    assert doings.done > STEPS // 3
    server.retire(token)
    with server.pusher.held():
        for person in people:
            person.assert_told()
        client = server.operator

        def is_public_equal() -> bool:
            seen.catch_up()
            pools = [each for each in client.pools() if each.token == token]
            ticker = client.instrument(call).ticker
            return (
                plain(seen.tables[channels[1]].values()) == plain(pools)
                and plain(seen.tables[channels[0]].values()) == plain([ticker])
                and plain(seen.tables["index.BTC"].values()) == plain([client.index("BTC")])
            )

        until(is_public_equal)
        trades = plain(client.public_trades(token))[::-1]
        assert seen.rows(channels[2]) == trades
        assert len(trades) > 10


def test_nobody_hears_of_another_account(server: Server, token: str, stack: ExitStack) -> None:
    trader = Person(server, "stream-open", token, stack)
    other = Person(server, "stream-other", token, stack)
    nobody = stack.enter_context(Reader(server))
    for channel in PRIVATE:
        refused = nobody.ask("subscribe", channels=["index.BTC", channel])
        assert refused["error"]["code"] == "SIGNATURE_MISSING"
        assert nobody.ask("subscribe", channels=[f"{channel}.stream-open"])["error"]["code"] == (
            "NOT_FOUND"
        )
    assert nobody.tables == {}
    bought = trader.client.open(CALL.format(token), "10", limit_total="1000")
    trader.client.deposit(token, "main", "5")
    trader.reader.until(lambda: trader.reader.tables["positions"])
    trader.reader.until(lambda: trader.reader.tables["requests"])
    assert [each["id"] for each in trader.reader.rows("orders")] == [bought.id]
    other.reader.catch_up()
    told = [each for each in other.reader.heard if each["type"] == "delta"]
    assert [each for each in told if each["channel"] != "account"] == []
    assert other.reader.tables["positions"] == other.reader.tables["orders"] == {}
    mine = plain(other.client.account().balances)
    assert plain(other.reader.tables["account"].values()) == mine


def test_a_queued_close_is_told_when_it_is_filled(
    server: Server, token: str, stack: ExitStack
) -> None:
    person = Person(server, "stream-queued", token, stack)
    server.pusher.push("ETH", age_ms=AGE_MAX_MS - 700)
    bought = person.client.open(PUT.format(token), "10", limit_total="1000")
    until(lambda: not server.operator.index("ETH").fresh)
    asked = person.client.close(bought.position_id or "")
    assert asked.status == "queued"
    orders = person.reader.tables["orders"]
    person.reader.until(lambda: orders.get(asked.id))
    assert orders[asked.id] == msgspec.to_builtins(asked)
    with Reader(server, person.key) as late:
        late.subscribe("orders")
        assert late.tables["orders"] == {asked.id: msgspec.to_builtins(asked)}
    server.pusher.push("ETH")
    person.reader.until(lambda: orders[asked.id]["status"] == "filled")
    assert orders[asked.id] == msgspec.to_builtins(person.client.order(asked.id))
    person.reader.until(lambda: person.reader.tables["positions"] == {})
