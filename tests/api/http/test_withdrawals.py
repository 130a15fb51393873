"""Withdrawals over HTTP: to listed destinations, by keys that may, as the operator sees them."""

import sqlite3
from contextlib import closing

import pytest

from api.client import Client
from api.client.errors import ProblemError
from tests.api.http.harness import Server, Wire, assert_problem, balance_of, fresh

pytestmark = pytest.mark.file
TOKEN = "DEST.M"


@pytest.fixture(scope="module")
def wire(server: Server) -> Wire:
    """Requests of Dora, who has a hundred tokens."""
    server.list_token(TOKEN)
    server.credit("dora", TOKEN, "100")
    return server.wire("dora", "trade")


def a_day_later(server: Server) -> None:
    """Have every destination held long enough."""
    with closing(sqlite3.connect(server.folder / "d.sqlite", timeout=30)) as connection, connection:
        connection.execute("UPDATE withdrawal_destination SET usable_ms = created_ms")


def asked(amount: str, destination: str | None = None) -> dict[str, str]:
    body = {"token": TOKEN, "amount": amount}
    return body if destination is None else body | {"destination": destination}


def assert_named_by_its_token(server: Server, name: str) -> None:
    """Whose number it is, is said: another server has a withdrawal of that number too."""
    token, _, number = name.rpartition("-")
    assert token == TOKEN
    for other in (number, f"ELSE.M-{number}", f"-{number}", TOKEN, f"{TOKEN}-{number}-"):
        with pytest.raises(ProblemError, match="WITHDRAWAL_UNKNOWN"):
            server.operator.operator.complete_withdrawal(other, "paid-to-somebody-else")


def test_a_withdrawal_goes_to_a_destination(server: Server, wire: Wire) -> None:
    assert wire.key is not None
    client = Client(server.url, wire.key.id, wire.key.secret, http=server.http, retries=0)
    cold = client.add_destination("cold", "0xC01d")
    assert cold.usable - cold.created == 86_400_000
    answer = wire.change("POST", "/v1/withdrawals", asked("1", "cold"))
    document = assert_problem(answer, 422, "DESTINATION_HELD")
    assert int(document["limit"]) == cold.usable
    a_day_later(server)
    key = fresh("withdrawal")
    body = asked("2", "cold")
    first = wire.send("POST", "/v1/withdrawals", body, key)
    made = first.json()
    assert (made["destination"], made["account"], made["status"]) == ("0xC01d", "dora", "pending")
    pending = list(server.operator.operator.withdrawals("pending"))
    assert [each.destination for each in pending if each.account == "dora"] == ["0xC01d"]

    # A retry is answered as it was, whatever became of the destination; another name is another.
    client.remove_destination(cold.id)
    client.add_destination("cold", "0xBad")
    assert wire.send("POST", "/v1/withdrawals", body, key).content == first.content
    for other in (asked("2"), asked("2", "warm"), asked("3", "cold")):
        answer = wire.send("POST", "/v1/withdrawals", other, key)
        assert_problem(answer, 409, "IDEMPOTENCY_CONFLICT")
    answer = wire.change("POST", "/v1/withdrawals", body)
    assert_problem(answer, 422, "DESTINATION_HELD")
    answer = wire.change("POST", "/v1/withdrawals", asked("2", cold.id))
    assert_problem(answer, 422, "DESTINATION_UNKNOWN")

    assert_named_by_its_token(server, made["id"])
    server.operator.operator.complete_withdrawal(made["id"], "paid-dora")
    assert [each.destination for each in client.withdrawals()] == ["0xC01d"]
    listed = list(server.operator.operator.withdrawals("completed"))
    assert made["id"] in {each.id for each in listed}
    assert all(each.status == "completed" for each in listed)
    assert {each.label for each in client.destinations() if each.removed is None} == {"cold"}


def test_who_keeps_to_the_list_withdraws_to_it_alone(server: Server, wire: Wire) -> None:
    assert wire.key is not None
    client = Client(server.url, wire.key.id, wire.key.secret, http=server.http, retries=0)
    assert client.withdrawal_list().on is False
    switched = client.keep_to_list()
    assert (switched.on, switched.until) == (True, None)
    answer = wire.change("POST", "/v1/withdrawals", asked("1"))
    assert_problem(answer, 422, "DESTINATION_NEEDED")
    ending = client.keep_to_list(on=False)
    assert ending.on
    assert ending.until is not None
    assert client.withdrawal_list() == ending
    answer = wire.change("POST", "/v1/withdrawals", asked("1"))
    assert_problem(answer, 422, "DESTINATION_NEEDED")
    held = balance_of(client.account(), TOKEN)["balance"]
    client.add_destination("bank", "DE02-1203-0000-0000-2020-51")
    a_day_later(server)
    client.withdraw(TOKEN, "1", "bank")
    assert float(balance_of(client.account(), TOKEN)["balance"]) == float(held) - 1


def test_a_key_without_the_right_takes_nothing_out(server: Server, wire: Wire) -> None:
    """It may still make things safer."""
    del wire
    key = server.operator.operator.make_key("dora", ["trade", "provide"], withdraw=False)
    without = Wire(server, key)
    for target, body in (
        ("/v1/withdrawals", asked("1", "bank")),
        ("/v1/withdrawal-destinations", {"label": "mine", "address": "0xEve"}),
        ("/v1/withdrawal-list", {"on": False}),
    ):
        answer = without.change("POST", target, body)
        assert_problem(answer, 403, "WITHDRAWAL_NOT_ALLOWED")
    client = Client(server.url, key.id, key.secret, http=server.http, retries=0)
    assert client.keep_to_list().on
    (bank,) = (each for each in client.destinations() if each.label == "bank")
    assert client.remove_destination(bank.id).removed is not None
    with pytest.raises(ProblemError) as unknown:
        client.remove_destination("wd_none")
    assert unknown.value.code == "NOT_FOUND"


@pytest.mark.parametrize("address", ["", "a b", "x" * 129, "0x\n", "0xé"])
def test_what_is_no_address_is_refused(wire: Wire, address: str) -> None:
    body = {"label": "odd", "address": address}
    answer = wire.change("POST", "/v1/withdrawal-destinations", body)
    assert_problem(answer, 400, "MALFORMED")
