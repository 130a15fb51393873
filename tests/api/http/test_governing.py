"""What operators decide over: parameters, corporate actions, generations, as callers see it."""

from typing import Any

import pytest

from api.client import Client
from api.wire import CorporateAction
from tests.api.http.harness import (
    CALL,
    Server,
    Wire,
    assert_problem,
    balance_of,
    fresh,
    now_ms,
    order,
    until,
)

FAR_MS = 2_000_000_000_000
"""The year 2033."""


@pytest.fixture(scope="module")
def operator(server: Server) -> Wire:
    """The operator without a client in between."""
    return Wire(server, server.key)


def parameters_of(server: Server, token: str) -> Any:
    """Return a token's entry in the list of parameters."""
    (found,) = [each for each in server.operator.parameters() if each.token == token]
    return found


def wait_for(server: Server, at_ms: int) -> None:
    """Wait for a time of the exchange."""
    until(lambda: server.operator.time().exchange_time >= at_ms)


def last_action(server: Server) -> CorporateAction:
    """Return the action that was announced last."""
    return next(iter(server.operator.corporate_actions()))


def test_parameters_are_announced_and_come_into_force(server: Server, operator: Wire) -> None:
    token = server.list_token("PARA.M")
    before = parameters_of(server, token)
    assert (before.version, before.announced) == (1, None)
    later = server.operator.operator.set_parameters(token, {"fee": 0.002}, FAR_MS)
    assert (later.version, later.effective, later.parameters["fee"]) == (2, FAR_MS, 0.002)
    waiting = parameters_of(server, token)
    assert waiting.announced == later
    assert waiting.parameters == before.parameters
    key, soon = fresh("set"), now_ms() + 300
    body = {"token": token, "parameters": {"fee": 0.001}, "effective_at": soon}
    first = operator.send("POST", "/v1/operator/parameters", body, key)
    assert first.status_code == 201, first.text
    assert first.json()["version"] == 3
    until(lambda: parameters_of(server, token).version == 3)
    after = parameters_of(server, token)
    assert after.announced is None
    assert after.effective >= soon
    assert after.parameters == {**before.parameters, "fee": 0.001}
    again = operator.send("POST", "/v1/operator/parameters", body, key)
    assert (again.status_code, again.json()) == (201, first.json())
    for others in ({"fee": 0.003}, {}, {"fee": 0.001, "vest_days": before.parameters["vest_days"]}):
        body["parameters"] = others
        other = operator.send("POST", "/v1/operator/parameters", body, key)
        assert_problem(other, 409, "IDEMPOTENCY_CONFLICT")


@pytest.mark.parametrize(
    ("given", "status", "code", "said"),
    [
        ({"parameters": {"seed": 1e8}}, 422, "PARAMETERS_INVALID", "seed cannot be changed."),
        ({"parameters": {"fee": 7}}, 422, "PARAMETERS_INVALID", "fee is 7.0"),
        ({"parameters": {"fees": 0.1}}, 400, "MALFORMED", "fees"),
        ({"parameters": {"cutoff_ms": 0.5}}, 400, "MALFORMED", "whole"),
        ({"effective_at": 1}, 422, "PARAMETERS_INVALID", "limit"),
        ({"token": "NONE.M"}, 422, "TOKEN_UNKNOWN", "not listed"),
    ],
)
def test_parameters_that_are_refused(
    server: Server,
    operator: Wire,
    example: str,
    given: dict[str, Any],
    status: int,
    code: str,
    said: str,
) -> None:
    body = {"token": example, "parameters": {"fee": 0.001}, "effective_at": FAR_MS} | given
    answer = operator.change("POST", "/v1/operator/parameters", body)
    assert said in assert_problem(answer, status, code)["detail"]
    assert parameters_of(server, example).announced is None


def test_a_split_and_a_dividend(server: Server, operator: Wire) -> None:
    token = server.list_token("SPLIT.M")
    server.credit("sam", token, "100")
    client = server.client("sam")
    bought = client.open(CALL.format(token), "10", limit_total="1")
    assert bought.position_id is not None
    client.withdraw(token, "1")
    soon = now_ms() + 400
    said = server.operator.operator.announce_split(token, 3, 2, soon)
    assert (said.status, said.numerator, said.denominator, said.amount) == ("announced", 3, 2, None)
    assert last_action(server) == said
    apply = f"/v1/operator/corporate-actions/{token}/apply"
    wait_for(server, soon)
    assert last_action(server).status == "open"
    assert server.operator.pool(token).state == "HALTED"
    (listed,) = [each for each in server.operator.status().tokens if each.token == token]
    assert listed.state == "HALTED"
    halted = server.wire("sam", "trade").change("POST", "/v1/orders", order(token))
    assert_problem(halted, 409, "CORPORATE_ACTION")
    held = balance_of(client.account(), token)["balance"]
    assert operator.change("POST", apply, {}).status_code == 200
    assert_problem(operator.change("POST", apply, {}), 404, "ACTION_UNKNOWN")
    assert last_action(server).status == "applied"
    (position,) = client.positions()
    assert position.notional == "15"
    assert [each.amount for each in client.withdrawals()] == ["1.5"]
    assert float(balance_of(client.account(), token)["balance"]) == pytest.approx(
        1.5 * float(held), abs=1e-3
    )
    client.close(bought.position_id, "15")
    pay_a_dividend(server, token, client)


def test_an_announcement_is_withdrawn(server: Server, operator: Wire) -> None:
    token = server.list_token("BACK.M")
    server.operator.operator.announce_split(token, 3, 2, FAR_MS)
    server.operator.operator.withdraw_action(token)
    assert last_action(server).status == "withdrawn"
    target = f"/v1/operator/corporate-actions/{token}"
    assert_problem(operator.change("DELETE", target), 404, "ACTION_UNKNOWN")


def pay_a_dividend(server: Server, token: str, client: Client) -> None:
    """Announce ten tokens for everybody and pay them, once."""
    soon, reference = now_ms() + 300, fresh("0xd")
    server.operator.operator.announce_dividend(token, "10", soon)
    wait_for(server, soon)
    before = float(balance_of(client.account(), token)["balance"])
    server.operator.operator.apply_action(token, reference)
    after = float(balance_of(client.account(), token)["balance"])
    assert 0 < after - before < 10
    (line, *_) = client.ledger()
    assert (line.flow, line.credited) == ("dividend", "balances")
    body = {"token": token, "account": "sam", "amount": "1", "reference": reference}
    used = Wire(server, server.key).change("POST", "/v1/operator/deposits", body)
    assert_problem(used, 409, "DUPLICATE_REFERENCE")


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"action": "merger"}, 400, "MALFORMED"),
        ({"numerator": 1_001}, 400, "MALFORMED"),
        ({"numerator": 1}, 422, "RATIO"),
        ({"numerator": 130, "denominator": 2}, 422, "RATIO"),
        ({"effective_at": 1}, 422, "PARAMETERS_INVALID"),
        ({"token": "NONE.M"}, 422, "TOKEN_UNKNOWN"),
        ({"action": "dividend"}, 422, "AMOUNT_NOT_POSITIVE"),
        ({"action": "dividend", "amount": "2000000"}, 422, "SUPPLY_LIMIT"),
    ],
)
def test_actions_that_are_refused(
    server: Server, operator: Wire, example: str, given: dict[str, Any], status: int, code: str
) -> None:
    before = server.journal
    body: dict[str, Any] = {"token": example, "action": "split", "effective_at": FAR_MS}
    answer = operator.change("POST", "/v1/operator/corporate-actions", body | given)
    assert_problem(answer, status, code)
    assert server.journal >= before
    assert all(each.token != example for each in server.operator.corporate_actions())


def test_generations_have_names_but_must_be_due(server: Server, operator: Wire) -> None:
    """Their names are names everywhere; none can be listed while the one before is good."""
    token = server.list_token("GEN.M")
    body = {"token": f"{token}~2", "parameters": {}}
    refused = operator.change("POST", "/v1/operator/tokens", body)
    assert_problem(refused, 422, "GENERATION")
    for name in (f"{token}~1", f"{token}~02", f"{token}~", f"{token}~x"):
        malformed = operator.change("POST", "/v1/operator/tokens", {"token": name})
        assert_problem(malformed, 400, "MALFORMED")
    server.credit("gena", token, "10")
    wire = server.wire("gena", "trade")
    moved = {"token": token, "target": f"{token}~2", "amount": "1"}
    assert_problem(wire.change("POST", "/v1/transfers", moved), 422, "TOKEN_UNKNOWN")
    same = {**moved, "target": token}
    assert_problem(wire.change("POST", "/v1/transfers", same), 422, "GENERATION")
    missing = wire.send("GET", f"/v1/instruments/{CALL.format(token + '~2')}")
    assert_problem(missing, 404, "NOT_FOUND")
