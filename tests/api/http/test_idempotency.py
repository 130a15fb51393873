"""The same key with the same request happens once, however often and whenever it comes."""

import json
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from api.client import Client
from tests.api.http.harness import (
    CALL,
    Server,
    Watch,
    Wire,
    assert_problem,
    balance_of,
    fresh,
    now_ms,
    order,
    signature,
    signed,
)

TOKEN, RACE = "IDEM.M", "RACE.M"
AT_ONCE = 10


@dataclass
class Once:
    """An account that asks for something again and again, and what it has asked for."""

    server: Server
    wire: Wire
    client: Client
    answers: list[tuple[Wire, tuple[str, str, Any, str], httpx.Response]] = field(
        default_factory=list
    )

    def ask(
        self, method: str, target: str, body: object = None, wire: Wire | None = None
    ) -> httpx.Response:
        """Send a mutation under a new key, and remember it."""
        by = wire or self.wire
        asked = (method, target, body, fresh("once"))
        answer = by.send(*asked)
        self.answers.append((by, asked, answer))
        return answer

    def assert_repeated(self) -> None:
        """Check that whatever was asked for is answered again, and is not done again."""
        watch = Watch(self.server, TOKEN, self.client)
        for by, asked, answer in self.answers:
            again = by.send(*asked)
            assert again.status_code == answer.status_code, asked
            assert without_request(again) == without_request(answer), asked
        watch.assert_unchanged()


def without_request(answer: httpx.Response) -> bytes:
    """Return an answer's body without the names of requests: a retry is another one."""
    return re.sub(rb'"request_id":"[0-9a-f]+"', b"", answer.content)


@pytest.fixture(scope="module")
def once(server: Server) -> Once:
    """Somebody with a thousand tokens."""
    server.list_token(TOKEN)
    server.credit("ida", TOKEN, "1000")
    return Once(server, server.wire("ida", "trade", "provide"), server.client("ida"))


def place(number: int, **changes: object) -> dict[str, Any]:
    """Return one of many orders that differ."""
    strike = 90_000 + 1_000 * (number % 20)
    asked = {"instrument": f"BTC-{TOKEN}-{strike}-C", "notional": "1"}
    return order(TOKEN, **(asked | changes))


def test_every_mutation_is_answered_again_and_done_once(once: Once) -> None:
    """Also by a server that was killed and started again."""
    operator = Wire(once.server, once.server.key)
    with once.server.pusher.held():
        once.server.pusher.push("BTC")
        opened = once.ask("POST", "/v1/orders", order(TOKEN)).json()
        position = f"/v1/positions/{opened['position_id']}"
        once.ask("POST", f"{position}/close", {"notional": "3"})
        once.ask("POST", "/v1/orders", order(TOKEN, "close", notional="2"))
        once.ask("POST", f"{position}/close", {})
        once.ask("POST", f"{position}/close", {})  # what is refused is kept too
        once.ask("POST", "/v1/orders", order(TOKEN, limit_total="0"))
        once.ask("POST", "/v1/orders/batch", {"orders": [place(0), place(1, limit_total="0")]})
        once.ask("POST", "/v1/withdrawals", {"token": TOKEN, "amount": "1"})
        asked = once.ask("POST", f"/v1/pools/{TOKEN}/main/deposits", {"amount": "1"})
        once.ask("POST", f"/v1/pools/{TOKEN}/insurance/deposits", {"amount": "2"})
        once.ask("POST", f"/v1/pools/{TOKEN}/main/redemptions", {"shares": "1"})
        once.ask("DELETE", f"/v1/requests/{once.client.deposit(TOKEN, 'main', '3').id}")
        paid = {"account": "ida", "token": TOKEN, "amount": "4", "reference": fresh("paid")}
        once.ask("POST", "/v1/operator/deposits", paid, operator)
        for what in ("pause", "resume"):
            once.ask("POST", f"/v1/operator/{what}", {"token": TOKEN}, operator)
        once.ask("POST", "/v1/operator/tokens", {"token": "AGAIN.M"}, operator)
        price = {"symbol": "BTC", "price": "100000", "published_at": now_ms(), "sources": 2}
        once.ask("POST", "/v1/operator/prices", price, operator)
        once.ask("POST", "/v1/operator/prices", price | {"published_at": 1}, operator)
        smile = {"long_vol": "0.6", "reversion": "4", "skew": "-0.3", "curvature": "0.5"}
        once.ask("POST", "/v1/operator/surfaces", smile | {"symbol": "ETH"}, operator)
        made = {"account": "ida", "roles": ["read"]}
        key = once.ask("POST", "/v1/operator/keys", made, operator).json()
        once.ask(
            "DELETE", f"/v1/operator/keys/{once.server.key_of('ida', 'read').id}", None, operator
        )
        moved = {"token": TOKEN, "target": f"{TOKEN}~2", "amount": "1"}
        once.ask("POST", "/v1/transfers", moved)
        later = {"token": "AGAIN.M", "effective_at": 2_000_000_000_000}
        fee = later | {"parameters": {"fee": 0.001}}
        once.ask("POST", "/v1/operator/parameters", fee, operator)
        split = later | {"action": "split", "numerator": 3, "denominator": 2}
        once.ask("POST", "/v1/operator/corporate-actions", split, operator)
        once.ask("POST", "/v1/operator/corporate-actions/AGAIN.M/apply", {}, operator)
        once.ask("DELETE", "/v1/operator/corporate-actions/AGAIN.M", None, operator)
        risk = once.server.wire("ida", "risk")
        study = {"name": "once", "paths": 1, "days": 1}
        simulated = once.ask("POST", "/v1/risk/simulations", study, risk)
        once.ask("DELETE", simulated.headers["Location"], None, risk)
        statuses = [answer.status_code for _, _, answer in once.answers]
        assert statuses == [
            *(201, 201, 201, 201, 404, 422, 200, 201, 201, 201, 422, 200),
            *(201, 200, 200, 201, 200, 422, 200, 201, 200),
            *(422, 201, 201, 422, 200),
            *(202, 204),
        ]
        assert key["secret"]
        assert asked.json()["status"] == "open"
        for _ in range(2):
            once.assert_repeated()
        once.server.begin_again()
        once.assert_repeated()
    once.server.assert_conserved(TOKEN, [once.client])


def test_a_retry_is_answered_as_it_was_whatever_has_happened_since(once: Once) -> None:
    asked = ("POST", "/v1/withdrawals", {"token": TOKEN, "amount": "1"}, fresh("once"))
    first = once.wire.send(*asked)
    once.server.operator.operator.complete_withdrawal(first.json()["id"])
    assert once.wire.send(*asked).content == first.content
    asked = ("POST", f"/v1/pools/{TOKEN}/main/deposits", {"amount": "1"}, fresh("once"))
    first = once.wire.send(*asked)
    once.client.cancel_request(first.json()["id"])
    assert once.wire.send(*asked).content == first.content


def test_a_position_is_shown_as_it_is_by_now(once: Once) -> None:
    """It is at the mark, which has moved on; the switch is not turned again."""
    position = once.client.open(CALL.format(TOKEN), "1", limit_total="1").position_id
    switch = ("PATCH", f"/v1/positions/{position}", {"self_funding": True}, fresh("once"))
    for _ in range(2):
        answer = once.wire.send(*switch)
        assert (answer.status_code, answer.json()["self_funding"]) == (200, True)
    once.client.set_self_funding(position or "", self_funding=False)
    assert not once.wire.send(*switch).json()["self_funding"]


# -- batches


def test_a_batch_of_a_hundred_is_done_once(once: Once) -> None:
    orders = [place(number, client_id=f"n{number}") for number in range(100)]
    asked = ("POST", "/v1/orders/batch", {"orders": orders}, fresh("batch"))
    first = once.wire.send(*asked)
    assert first.status_code == 200
    results = first.json()["results"]
    assert [each["status"] for each in results] == [201] * 100
    assert [each["order"]["client_id"] for each in results] == [f"n{n}" for n in range(100)]
    ids = [int(each["order"]["id"]) for each in results]
    assert ids == sorted(set(ids))
    with once.server.pusher.held():
        watch = Watch(once.server, TOKEN, once.client)
        assert once.wire.send(*asked).content == first.content
        for changed in (
            orders[:99],
            [*orders, place(100)][1:],
            orders[:1],
            [*orders[:99], place(99, client_id="other")],
        ):
            answer = once.wire.send(*asked[:2], {"orders": changed}, asked[3])
            assert_problem(answer, 409, "IDEMPOTENCY_CONFLICT")
        answer = once.wire.send("POST", "/v1/orders", orders[0], asked[3])
        assert_problem(answer, 409, "IDEMPOTENCY_CONFLICT")
        watch.assert_unchanged()


def test_a_key_of_one_order_is_not_taken_for_a_batch(once: Once) -> None:
    key = fresh("once")
    assert once.wire.send("POST", "/v1/orders", place(0), key).status_code == 201
    with once.server.pusher.held():
        watch = Watch(once.server, TOKEN, once.client)
        answer = once.wire.send("POST", "/v1/orders/batch", {"orders": [place(0), place(1)]}, key)
        assert_problem(answer, 409, "IDEMPOTENCY_CONFLICT")
        watch.assert_unchanged()


def test_each_order_of_a_batch_has_its_own_result(once: Once) -> None:
    """A refused one stops none of the others, and changes nothing itself."""
    orders = [
        place(0),
        place(0, limit_total="0"),
        place(0, side="close", limit_total="0"),
        place(19, side="close", instrument=f"BTC-{TOKEN}-120000-C", limit_total="0"),
        place(1),
    ]
    answer = once.wire.change("POST", "/v1/orders/batch", {"orders": orders})
    results = answer.json()["results"]
    assert [each["status"] for each in results] == [201, 422, 201, 404, 201]
    codes = [each["problem"] and each["problem"]["code"] for each in results]
    assert codes == [None, "PRICE_LIMIT", None, "POSITION_UNKNOWN", None]
    refused = results[1]["problem"]
    assert refused["request_id"] == answer.headers["EG-Request"]
    assert once.client.order(refused["order_id"]).code == "PRICE_LIMIT"


def test_a_batch_with_one_that_is_malformed_is_not_begun(once: Once) -> None:
    with once.server.pusher.held():
        watch = Watch(once.server, TOKEN, once.client)
        orders = [place(0), place(1, notional="1.123456789")]
        answer = once.wire.change("POST", "/v1/orders/batch", {"orders": orders})
        assert assert_problem(answer, 400, "MALFORMED")["field"] == "orders[1].notional"
        watch.assert_unchanged()


# -- at the same time


def at_once(calls: Iterable[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """Make all calls at the same time."""
    with ThreadPoolExecutor(32) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


def signed_at(wire: Wire, target: str, body: bytes, key: str, at_ms: int) -> dict[str, str]:
    """Return headers of a time of their own: the same signature is not taken twice."""
    assert wire.key is not None
    stamp = str(at_ms)
    text = signature(wire.key.secret or "", stamp, "POST", target, key, body)
    given = signed(wire.key, "POST", target, body, key)
    return given | {"EG-Timestamp": stamp, "EG-Signature": text}


def retries(
    wire: Wire, server: Server, target: str, body: object, key: str
) -> list[httpx.Response]:
    """Send the same request ten times at once."""
    content, now = json.dumps(body).encode(), now_ms()

    def send(number: int) -> httpx.Response:
        headers = signed_at(wire, target, content, key, now - 10 * number)
        return server.http.post(server.url + target, content=content, headers=headers)

    return at_once(lambda number=number: send(number) for number in range(AT_ONCE))


def test_retries_in_parallel_are_one(once: Once) -> None:
    trades = len(list(once.client.trades()))
    answers = retries(once.wire, once.server, "/v1/orders", place(0), fresh("once"))
    assert {each.status_code for each in answers} == {201}
    assert len({each.content for each in answers}) == 1
    assert len(list(once.client.trades())) == trades + 1

    requests = len(list(once.client.requests()))
    target = f"/v1/pools/{TOKEN}/main/deposits"
    answers = retries(once.wire, once.server, target, {"amount": "1"}, fresh("once"))
    assert {each.status_code for each in answers} == {201}
    assert len(list(once.client.requests())) == requests + 1

    batch = {"orders": [place(number) for number in range(5)]}
    answers = retries(once.wire, once.server, "/v1/orders/batch", batch, fresh("once"))
    assert {each.status_code for each in answers} == {200}
    assert len({each.content for each in answers}) == 1
    assert len(list(once.client.trades())) == trades + 6
    once.server.assert_conserved(TOKEN, [once.client])


def test_retries_of_different_requests_in_parallel_are_one(once: Once) -> None:
    """One of them is done, whichever; the others are told."""
    key = fresh("once")

    def send(number: int) -> httpx.Response:
        return once.wire.send("POST", "/v1/orders", place(number), key)

    answers = at_once(lambda number=number: send(number) for number in range(AT_ONCE))
    statuses = sorted(each.status_code for each in answers)
    assert statuses == [201] + [409] * (AT_ONCE - 1)


def test_two_accounts_may_use_the_same_key(once: Once) -> None:
    server = once.server
    server.credit("ivo", TOKEN, "10")
    key = fresh("once")
    mine = once.wire.send("POST", "/v1/orders", place(0), key)
    other = server.wire("ivo", "trade").send("POST", "/v1/orders", place(0), key)
    assert (mine.status_code, other.status_code) == (201, 201)
    assert mine.json()["id"] != other.json()["id"]
    # Two keys of one account are one account.
    same = server.wire("ida", "trade").send("POST", "/v1/orders", place(0), key)
    assert same.content == mine.content
    server.assert_conserved(TOKEN, [once.client, server.client("ivo")])


# -- races


@pytest.fixture(scope="module")
def racers(server: Server) -> list[Client]:
    """Eight accounts in a token that has room for one of their orders."""
    server.list_token(
        RACE,
        seed=10 * 10**8,
        series_share_ppm=1_000_000,
        account_share_ppm=1_000_000,
        stress_share_ppm=1_000_000,
    )
    names = [f"racer{number}" for number in range(8)]
    for name in names:
        server.credit(name, RACE, "100")
    return [server.client(name) for name in names]


def test_of_those_who_race_for_the_last_capacity_one_wins(
    server: Server, racers: list[Client]
) -> None:
    wires = [server.wire(f"racer{number}", "trade") for number in range(8)]

    def send(number: int) -> httpx.Response:
        strike = f"BTC-{RACE}-{100_000 + 1_000 * number}-C"
        body = order(RACE, instrument=strike, notional="20", limit_total="20")
        return wires[number].change("POST", "/v1/orders", body)

    answers = at_once(lambda number=number: send(number) for number in range(8))
    statuses = sorted(each.status_code for each in answers)
    assert statuses == [201] + [422] * 7
    assert {each.json()["code"] for each in answers if each.status_code == 422} == {"CAPACITY"}
    won = next(number for number, each in enumerate(answers) if each.status_code == 201)
    for number, each in enumerate(racers):
        untouched = balance_of(each.account(), RACE)["balance"] == "100"
        assert untouched == (number != won)
    assert server.operator.pool(RACE).locked == "10"
    server.assert_conserved(RACE, racers)


def test_of_those_who_race_to_sell_a_position_one_does(server: Server, once: Once) -> None:
    position = once.client.open(f"BTC-{TOKEN}-115000-C", "4", limit_total="1").position_id
    target = f"/v1/positions/{position}/close"
    answers = at_once(
        lambda: once.wire.change("POST", target, {"notional": "4"}) for _ in range(AT_ONCE)
    )
    statuses = sorted(each.status_code for each in answers)
    assert statuses == [201] + [404] * (AT_ONCE - 1)
    sold = [each for each in once.client.trades() if each.position_id == position]
    assert [each.side for each in sold] == ["close", "open"]
    server.assert_conserved(TOKEN, [once.client, server.client("ivo")])


def test_of_those_who_race_for_the_last_balance_one_gets_it(server: Server, once: Once) -> None:
    server.credit("iris", TOKEN, "10")
    wire, client = server.wire("iris", "trade"), server.client("iris")
    answers = at_once(
        lambda: wire.change("POST", "/v1/withdrawals", {"token": TOKEN, "amount": "6"})
        for _ in range(AT_ONCE)
    )
    statuses = sorted(each.status_code for each in answers)
    assert statuses == [201] + [422] * (AT_ONCE - 1)
    assert balance_of(client.account(), TOKEN)["balance"] == "4"
    server.assert_conserved(TOKEN, [once.client, server.client("ivo"), client])
