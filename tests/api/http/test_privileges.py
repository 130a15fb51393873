"""Who may do what: every route of the document, asked by everybody."""

from dataclasses import dataclass
from typing import Any, get_args

import httpx
import pytest

from api.client import Client
from api.wire import Role
from tests.api.http.harness import (
    CALL,
    Server,
    Watch,
    Wire,
    assert_problem,
    fresh,
    order,
)

TOKEN = "PRIV.M"
ROLES: tuple[Role, ...] = get_args(Role)
ANYBODY: frozenset[str] = frozenset()
ALL = frozenset(ROLES)
TRADE, PROVIDE, RISK, OPERATOR = (
    frozenset({each}) for each in ("trade", "provide", "risk", "operator")
)

WHO = {
    "GET /healthz": ANYBODY,
    "GET /readyz": ANYBODY,
    "GET /metrics": ANYBODY,
    "GET /v1/time": ANYBODY,
    "GET /v1/status": ANYBODY,
    "GET /v1/problems": ANYBODY,
    "GET /v1/underlyings": ANYBODY,
    "GET /v1/indices/{symbol}": ANYBODY,
    "GET /v1/tokens": ANYBODY,
    "GET /v1/parameters": ANYBODY,
    "GET /v1/corporate-actions": ANYBODY,
    "GET /v1/instruments": ANYBODY,
    "GET /v1/instruments/{instrument}": ANYBODY,
    "GET /v1/instruments/{instrument}/history": ANYBODY,
    "GET /v1/tickers": ANYBODY,
    "GET /v1/pools": ANYBODY,
    "GET /v1/pools/{token}": ANYBODY,
    "GET /v1/pools/{token}/history": ANYBODY,
    "GET /v1/pools/{token}/flushes": ANYBODY,
    "GET /v1/pools/{token}/flushes/{number}": ANYBODY,
    "GET /v1/pools/{token}/scenarios": ANYBODY,
    "GET /v1/trades": ANYBODY,
    "GET /v1/limits": ANYBODY,
    "POST /v1/quotes": ANYBODY,
    "POST /v1/orders": TRADE,
    "POST /v1/orders/batch": TRADE,
    "GET /v1/orders": ALL,
    "GET /v1/orders/{order_id}": ALL,
    "GET /v1/account/trades": ALL,
    "GET /v1/positions": ALL,
    "GET /v1/positions/{position_id}": ALL,
    "POST /v1/positions/{position_id}/close": TRADE,
    "PATCH /v1/positions/{position_id}": TRADE,
    "GET /v1/premium-payments": ALL,
    "GET /v1/account": ALL,
    "GET /v1/ledger": ALL,
    "GET /v1/deposits": ALL,
    "POST /v1/withdrawals": TRADE | PROVIDE,
    "GET /v1/withdrawals": ALL,
    "GET /v1/withdrawal-destinations": ALL,
    "POST /v1/withdrawal-destinations": TRADE | PROVIDE,
    "DELETE /v1/withdrawal-destinations/{destination_id}": TRADE | PROVIDE,
    "GET /v1/withdrawal-list": ALL,
    "POST /v1/withdrawal-list": TRADE | PROVIDE,
    "POST /v1/transfers": TRADE | PROVIDE,
    "POST /v1/pools/{token}/{pool}/deposits": PROVIDE,
    "POST /v1/pools/{token}/{pool}/redemptions": PROVIDE,
    "GET /v1/requests": ALL,
    "GET /v1/requests/{request_id}": ALL,
    "DELETE /v1/requests/{request_id}": PROVIDE,
    "GET /v1/provider": ALL,
    "POST /v1/risk/simulations": RISK,
    "GET /v1/risk/simulations": ALL,
    "GET /v1/risk/simulations/{simulation_id}": ALL,
    "GET /v1/risk/simulations/{simulation_id}/report": ALL,
    "GET /v1/risk/simulations/{simulation_id}/statistics": ALL,
    "DELETE /v1/risk/simulations/{simulation_id}": RISK,
    "POST /v1/login/challenge": ANYBODY,
    "POST /v1/login": ANYBODY,
    "GET /v1/keys": ALL,
    "POST /v1/keys": ALL,
    "POST /v1/keys/rotate": ALL,
    "DELETE /v1/keys/{key_id}": ALL,
    "POST /v1/operator/deposits": OPERATOR,
    "GET /v1/operator/withdrawals": OPERATOR,
    "POST /v1/operator/withdrawals/{withdrawal_id}/complete": OPERATOR,
    "POST /v1/operator/tokens": OPERATOR,
    "POST /v1/operator/parameters": OPERATOR,
    "POST /v1/operator/corporate-actions": OPERATOR,
    "DELETE /v1/operator/corporate-actions/{token}": OPERATOR,
    "POST /v1/operator/corporate-actions/{token}/apply": OPERATOR,
    "POST /v1/operator/pause": OPERATOR,
    "POST /v1/operator/resume": OPERATOR,
    "POST /v1/operator/underlyings": OPERATOR,
    "POST /v1/operator/prices": OPERATOR,
    "POST /v1/operator/stock-prices": OPERATOR,
    "POST /v1/operator/allow-deposits": OPERATOR,
    "POST /v1/operator/surfaces": OPERATOR,
    "POST /v1/operator/flush": OPERATOR,
    "POST /v1/operator/keys": OPERATOR,
    "GET /v1/operator/keys": OPERATOR,
    "POST /v1/operator/keys/{key_id}/rotate": OPERATOR,
    "DELETE /v1/operator/keys/{key_id}": OPERATOR,
    "GET /v1/operator/audit": OPERATOR,
}
"""Every route, and the roles of which one is enough."""
UNDONE = "/v1/risk/simulations/{simulation_id}"
"""Here it was cancelled."""


@dataclass
class Owner:
    """An account with one of everything."""

    server: Server
    client: Client
    order: str
    position: str
    request: str
    simulation: str

    def target(self, route: str) -> str:
        """Return a route's target with resources of the account."""
        path = route.partition(" ")[2]
        places = {
            "symbol": "BTC",
            "instrument": CALL.format(TOKEN),
            "token": TOKEN,
            "number": "1",
            "pool": "main",
            "order_id": self.order,
            "position_id": self.position,
            "request_id": self.request,
            "simulation_id": self.simulation,
            "withdrawal_id": f"{TOKEN}-1",
            "key_id": "eg_none",
            "destination_id": "wd_none",
        }
        query = f"?token={TOKEN}" if path == "/v1/trades" else ""
        return path.format(**places) + query


@pytest.fixture(scope="module")
def owner(server: Server) -> Owner:
    """Hold a position, and wait for a flush."""
    server.list_token(TOKEN)
    server.credit("olga", TOKEN, "100")
    client = server.client("olga")
    bought = client.open(CALL.format(TOKEN), "10", limit_total="1")
    asked = client.deposit(TOKEN, "main", "5")
    assert bought.position_id is not None
    risk = server.client("olga", "risk")
    simulation = risk.simulate({"name": "privileges", "paths": 1, "days": 1})
    risk.cancel_simulation(simulation.id)
    return Owner(server, client, bought.id, bought.position_id, asked.id, simulation.id)


@pytest.fixture(scope="module")
def keys(server: Server) -> dict[str, Wire]:
    """A key of the owner for each role by itself."""
    return {role: server.wire("olga", role) for role in ROLES}


def ask(wire: Wire, owner: Owner, route: str, **headers: str | None) -> httpx.Response:
    """Ask for a route; whoever is let through has a body that none of them takes."""
    method = route.partition(" ")[0]
    body = b"[]" if method in {"POST", "PATCH"} else None
    target = owner.target(route)
    if method == "GET":
        return wire.send(method, target, **headers)
    if method == "DELETE":
        target = target.replace(owner.request, f"{TOKEN}-999").replace(owner.simulation, "none")
    return wire.send(method, target, body, fresh("key"), **headers)


def assert_let_through(answer: httpx.Response, route: str) -> None:
    """Check that a request came as far as its route: what a test asks for there does no harm."""
    method = route.partition(" ")[0]
    if route == "GET /v1/pools/{token}/flushes/{number}":
        assert_problem(answer, 404, "NOT_FOUND")
    elif route in {f"GET {UNDONE}/report", f"GET {UNDONE}/statistics"}:
        assert_problem(answer, 409, "SIMULATION_NOT_DONE")
    elif method == "GET":
        assert answer.status_code == 200, answer.text
    elif method == "DELETE":
        assert answer.status_code == 404, answer.text
    else:
        assert_problem(answer, 400, "MALFORMED")


def test_the_table_has_every_route(server: Server) -> None:
    paths = server.http.get(f"{server.url}/openapi.json").json()["paths"]
    found = {
        f"{method.upper()} {path}" for path, operations in paths.items() for method in operations
    }
    assert found == set(WHO)


def test_the_document_says_what_must_be_signed(server: Server) -> None:
    paths = server.http.get(f"{server.url}/openapi.json").json()["paths"]
    for route, roles in WHO.items():
        method, _, path = route.partition(" ")
        operation = paths[path][method.lower()]
        assert bool(operation.get("security")) == bool(roles), route
        assert ("403" in operation["responses"]) >= bool(roles), route


@pytest.mark.parametrize("route", WHO)
def test_without_a_key(owner: Owner, route: str) -> None:
    answer = ask(Wire(owner.server), owner, route)
    if WHO[route]:
        assert_problem(answer, 401, "SIGNATURE_MISSING")
    else:
        assert_let_through(answer, route)


@pytest.fixture(scope="module")
def revoked(server: Server) -> Wire:
    """A key with every role that is no more good."""
    wire = server.wire("olga", *ROLES)
    assert wire.send("GET", "/v1/account").status_code == 200
    assert wire.key is not None
    assert server.operator.operator.revoke_key(wire.key.id).revoked is not None
    return wire


@pytest.mark.parametrize("route", WHO)
def test_with_a_key_that_was_revoked(owner: Owner, revoked: Wire, route: str) -> None:
    """What is public is refused too: a caller who signs is told that the key is not good."""
    assert_problem(ask(revoked, owner, route), 401, "KEY_REVOKED")


@pytest.mark.parametrize("route", WHO)
def test_with_a_signature_of_another_secret(
    owner: Owner, keys: dict[str, Wire], route: str
) -> None:
    good, other = keys["read"].key, keys["trade"].key
    assert good is not None
    assert other is not None
    answer = ask(keys["trade"], owner, route, EG_Key=good.id)
    assert_problem(answer, 401, "SIGNATURE_WRONG")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("route", WHO)
def test_with_one_role(owner: Owner, keys: dict[str, Wire], route: str, role: str) -> None:
    answer = ask(keys[role], owner, route)
    if WHO[route] and role not in WHO[route]:
        document = assert_problem(answer, 403, "ROLE_MISSING")
        assert document["detail"].endswith(" or ".join(sorted(WHO[route])) + ".")
    else:
        assert_let_through(answer, route)


# -- what is somebody else's


FOREIGN: list[tuple[str, str, Any, str, int]] = [
    ("GET", "/v1/orders/{order_id}", None, "NOT_FOUND", 0),
    ("GET", "/v1/positions/{position_id}", None, "POSITION_UNKNOWN", 0),
    ("GET", "/v1/requests/{request_id}", None, "REQUEST_UNKNOWN", 0),
    ("GET", UNDONE, None, "NOT_FOUND", 0),
    ("GET", f"{UNDONE}/report", None, "NOT_FOUND", 0),
    ("GET", f"{UNDONE}/statistics", None, "NOT_FOUND", 0),
    ("DELETE", UNDONE, None, "NOT_FOUND", 0),
    ("POST", "/v1/positions/{position_id}/close", {"notional": "10"}, "POSITION_UNKNOWN", 1),
    ("PATCH", "/v1/positions/{position_id}", {"self_funding": True}, "POSITION_UNKNOWN", 1),
    ("DELETE", "/v1/requests/{request_id}", None, "REQUEST_UNKNOWN", 0),
    ("POST", "/v1/orders", order(TOKEN, "close"), "POSITION_UNKNOWN", 1),
]


@pytest.fixture(scope="module")
def stranger(server: Server) -> Wire:
    """Somebody else, with a balance of the same token and every role."""
    server.credit("otto", TOKEN, "100")
    return server.wire("otto", *ROLES)


@pytest.mark.parametrize(("method", "path", "body", "code", "records"), FOREIGN)
def test_what_is_another_account_s_is_not_there(
    owner: Owner, stranger: Wire, method: str, path: str, body: object, code: str, records: int
) -> None:
    """Nobody is told that it exists, whatever their roles; and it stays as it is."""
    target = owner.target(f"{method} {path}")
    with owner.server.pusher.held():
        watch = Watch(owner.server, TOKEN, owner.client)
        key = None if method == "GET" else fresh("key")
        assert_problem(stranger.send(method, target, body, key), 404, code)
        watch.assert_unchanged(records)


@pytest.mark.usefixtures("stranger")
def test_lists_are_one_s_own(owner: Owner, server: Server) -> None:
    other = server.client("otto", *ROLES)
    assert list(owner.client.positions())
    assert list(owner.client.requests())
    for listed in (
        other.positions(),
        other.requests(),
        other.trades(),
        other.withdrawals(),
        other.simulations(),
    ):
        assert list(listed) == []
    assert [line.amount for line in other.ledger()] == ["100"]


@pytest.mark.parametrize("path", ["/v1/account", "/v1/ledger", "/v1/provider"])
def test_only_risk_and_operator_read_another_account(
    owner: Owner, server: Server, path: str
) -> None:
    del owner
    for role in ROLES:
        answer = server.wire("otto", role).send("GET", f"{path}?account=olga")
        if role in {"risk", "operator"}:
            assert answer.status_code == 200
            assert answer.json().get("account", "olga") == "olga"
        else:
            assert_problem(answer, 403, "ACCOUNT_FOREIGN")


def test_a_quote_for_another_account(owner: Owner, server: Server) -> None:
    del owner
    asked = {
        "instrument": CALL.format(TOKEN),
        "side": "open",
        "notional": "1",
        "account": "olga",
    }
    for role in ROLES:
        answer = server.wire("otto", role).send("POST", "/v1/quotes", asked)
        if role in {"risk", "operator"}:
            assert answer.status_code == 200
        else:
            assert_problem(answer, 403, "ACCOUNT_FOREIGN")


def test_secrets_are_shown_once(server: Server) -> None:
    made = server.key_of("olga", "read")
    assert made.secret
    listed = server.operator.operator.keys()
    (found,) = [each for each in listed if each.id == made.id]
    assert (found.account, found.roles, found.secret) == ("olga", ["read"], None)
