"""Orders that wait for an index: the first published late enough fills them, as they came."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from api.client import Client
from api.client.errors import RefusedError
from tests.api.http.harness import (
    AGE_MAX_MS,
    CALL,
    PRICES,
    PUT,
    Server,
    Watch,
    Wire,
    assert_problem,
    fresh,
    now_ms,
    order,
    until,
)

TOKEN, STALE = "WAIT.M", "STALE.M"
FILL_DELAY_MS = 250


@dataclass
class Later:
    """A request under way."""

    thread: threading.Thread
    answers: list[httpx.Response]

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer yet."""
        return bool(self.answers)

    @property
    def answer(self) -> httpx.Response:
        """Wait for the answer."""
        self.thread.join(30)
        (answer,) = self.answers
        return answer


@dataclass
class Hall:
    """Two accounts at a server that fills nothing at once."""

    server: Server
    wires: list[Wire]
    clients: list[Client]

    def send_later(self, ask: Callable[[], httpx.Response]) -> Later:
        """Send an order and return once it waits."""
        answers: list[httpx.Response] = []
        waiting = self.waiting
        thread = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
        thread.start()
        until(lambda: self.waiting > waiting)
        return Later(thread, answers)

    def open_later(self, who: int, **changes: object) -> Later:
        """Send an order to buy."""
        wire, body = self.wires[who], order(TOKEN, **changes)
        return self.send_later(lambda: wire.change("POST", "/v1/orders", body))

    def close_later(self, who: int, position: str, notional: str) -> Later:
        """Send an order to sell."""
        wire, target = self.wires[who], f"/v1/positions/{position}/close"
        return self.send_later(lambda: wire.change("POST", target, {"notional": notional}))

    @property
    def waiting(self) -> int:
        """How many orders wait."""
        return self.server.operator.status().waiting

    def push(self, price: str) -> None:
        """Push a price that an order of before is late enough for."""
        time.sleep((FILL_DELAY_MS + 10) / 1e3)
        self.server.pusher.prices["BTC"] = price
        self.server.pusher.push("BTC")


@pytest.fixture(scope="module")
def hall(waiting_server: Server) -> Iterator[Hall]:
    """Give two accounts a hundred tokens."""
    server = waiting_server
    server.list_token(TOKEN)
    names = ("wanda", "willy")
    for name in names:
        server.credit(name, TOKEN, "100")
    wires = [server.wire(name, "trade") for name in names]
    clients = [server.client(name) for name in names]
    yield Hall(server, wires, clients)
    server.assert_conserved(TOKEN, clients)


@pytest.fixture(autouse=True)
def _usual_prices(hall: Hall) -> Iterator[None]:
    yield
    hall.server.pusher.prices = dict(PRICES)


def test_an_order_is_filled_at_the_first_index_published_after_its_delay(hall: Hall) -> None:
    operator = hall.server.operator.operator
    with hall.server.pusher.held():
        before_ms = now_ms()
        asked = hall.open_later(0)
        # Published before the order came: whoever sees the market earlier gains nothing.
        operator.publish_price("BTC", "100100", before_ms, vol="0.5", sources=2)
        assert hall.server.operator.index("BTC").price == "100100"
        assert hall.waiting == 1
        assert not asked.is_answered
        hall.push("100200")
        done = asked.answer.json()
        published = hall.server.operator.index("BTC").published
    assert (done["status"], done["index"]) == ("filled", "100200")
    assert published >= before_ms + FILL_DELAY_MS
    assert done["exchange_time"] >= published
    assert hall.waiting == 0


def test_orders_are_filled_as_they_came(hall: Hall) -> None:
    """All at one index, with those of a batch one after another."""
    with hall.server.pusher.held():
        asked = [hall.open_later(who, notional=str(2 + who)) for who in (0, 1, 1, 0)]
        batch = {"orders": [order(TOKEN, notional="1", client_id=f"b{n}") for n in range(3)]}
        wire = hall.wires[1]
        later = hall.send_later(lambda: wire.change("POST", "/v1/orders/batch", batch))
        last = hall.open_later(0, notional="7")
        assert hall.waiting == 8
        hall.push("99900")
        answers = [each.answer.json() for each in asked]
        answers += [each["order"] for each in later.answer.json()["results"]]
        answers.append(last.answer.json())
    assert {each["index"] for each in answers} == {"99900"}
    numbers = [int(each["id"]) for each in answers]
    assert numbers == sorted(numbers)


def test_a_limit_is_held_against_the_price_of_the_fill(hall: Hall) -> None:
    with hall.server.pusher.held():
        quoted = hall.clients[0].quote(CALL.format(TOKEN), "10").total
        asked = hall.open_later(0, limit_total=quoted)
        hall.push("100900")
        document = assert_problem(asked.answer, 422, "PRICE_LIMIT")
    assert document["limit"] == quoted
    assert float(document["actual"]) > float(quoted)
    assert hall.clients[0].order(document["order_id"]).code == "PRICE_LIMIT"


def test_what_expires_while_it_waits_is_refused(hall: Hall) -> None:
    with hall.server.pusher.held():
        asked = hall.open_later(0, expires_at=now_ms() + 50)
        hall.push("100000")
        assert_problem(asked.answer, 422, "EXPIRED")


def test_without_prices_opens_are_refused_and_closes_kept_over_a_kill(hall: Hall) -> None:
    positions = [
        client.open(CALL.format(TOKEN), "10", limit_total="5").position_id or ""
        for client in hall.clients
    ]
    with hall.server.pusher.held():
        watch = Watch(hall.server, TOKEN, hall.clients[0])
        opening = hall.open_later(0)
        closing = [
            hall.close_later(0, positions[0], "4"),
            hall.close_later(1, positions[1], "3"),
            hall.close_later(0, positions[0], "2"),
        ]
        document = assert_problem(opening.answer, 422, "NO_FRESH_INDEX")
        queued = [each.answer for each in closing]
        assert [each.status_code for each in queued] == [202] * 3
        orders = [each.json() for each in queued]
        assert {each["status"] for each in orders} == {"queued"}
        assert {each["total"] for each in orders} == {"0"}
        watch.assert_unchanged(records=4)
        assert hall.clients[0].order(document["order_id"]).code == "NO_FRESH_INDEX"

        owners = [hall.clients[0], hall.clients[1], hall.clients[0]]
        hall.server.begin_again()
        assert hall.waiting == 3
        for each, client in zip(orders, owners, strict=True):
            assert client.order(each["id"]).status == "queued"
        watch.assert_unchanged(records=4)
        hall.push("100300")
        assert hall.waiting == 0
        now = [client.order(each["id"]) for each, client in zip(orders, owners, strict=True)]
    assert [(each.status, each.filled, each.index) for each in now] == [
        ("filled", "4", "100300"),
        ("filled", "3", "100300"),
        ("filled", "2", "100300"),
    ]
    trades = [each.total for each in list(hall.server.operator.public_trades(TOKEN))[:3]]
    assert trades == [each.total for each in reversed(now)]


# -- at a server without a delay, an underlying whose index is old


@pytest.fixture(scope="module")
def held(server: Server) -> tuple[Client, str, Wire]:
    """Somebody with a position in a series whose mark is stale by now."""
    server.list_token(STALE)
    server.credit("sue", STALE, "100")
    client, wire = server.client("sue"), server.wire("sue", "trade")
    positions: list[str | None] = []

    def is_open() -> bool:
        """Whether the order came while the index was still fresh."""
        server.pusher.push("ETH", age_ms=AGE_MAX_MS - 1_500)
        try:
            positions.append(client.open(PUT.format(STALE), "10", limit_total="5").position_id)
        except RefusedError as error:
            if error.code != "MARK_STALE":
                raise
        return bool(positions)

    until(is_open)
    until(lambda: not server.operator.index("ETH").fresh)
    (position,) = positions
    assert position is not None
    return client, position, wire


def test_a_close_on_a_stale_mark_is_queued_and_answered_so_again(
    server: Server, held: tuple[Client, str, Wire]
) -> None:
    client, position, wire = held
    asked: tuple[Any, ...] = (
        "POST",
        f"/v1/positions/{position}/close",
        {"notional": "4"},
        fresh("key"),
    )
    answer = wire.send(*asked)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    number = answer.json()["id"]
    assert wire.send(*asked).content == answer.content
    assert [each.id for each in client.trades()] != [number]
    assert client.order(number).status == "queued"
    assert server.operator.status().waiting == 1
    assert_problem(wire.change("POST", "/v1/orders", order(STALE, instrument=PUT.format(STALE))),
                   422, "MARK_STALE")  # fmt: skip
    server.pusher.push("ETH")
    filled = client.order(number)
    assert (filled.status, filled.filled, filled.index) == ("filled", "4", PRICES["ETH"])
    assert client.position(position).notional == "6"
    assert wire.send(*asked).content == answer.content
    server.assert_conserved(STALE, [client])
