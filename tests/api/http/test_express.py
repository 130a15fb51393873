"""Orders are answered in front of the framework, and by it under another spelling: both agree."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.http.harness import CALL, Server, Wire, fresh, order

TOKEN = "EXPR.M"
ORDER = order(TOKEN)
BODIES = [
    b"",
    b"[]",
    b"{",
    b"[" * 100_000,
    b"\xff",
    {},
    ORDER,
    order(TOKEN, notional="1.123456789"),
    order(TOKEN, notional=10),
    order(TOKEN, notional="-1"),
    order(TOKEN, notional="0.001"),
    order(TOKEN, side="steal"),
    order(TOKEN, instrument="BTC-NONE.M-100000-C"),
    order(TOKEN, instrument="BTC"),
    order(TOKEN, more=1),
    order(TOKEN, limit_total="0.0001"),
    order(TOKEN, side="close", notional="1"),
    order(TOKEN, expires_at="soon"),
]
KEYS = [None, "", "a b", "a" * 129]
SAME = ("status", "code", "title", "field", "limit", "type")


@pytest.fixture(scope="module")
def position(server: Server) -> str:
    """Hold ten calls."""
    server.list_token(TOKEN)
    server.credit("erin", TOKEN, "1000")
    bought = server.client("erin").open(CALL.format(TOKEN), "10", limit_total="1")
    assert bought.position_id is not None
    return bought.position_id


@pytest.fixture(scope="module")
def wire(server: Server) -> Wire:
    """Return the requests of who holds them."""
    return server.wire("erin", "trade")


def answers(wire: Wire, target: str, body: object, key: str | None) -> Iterator[dict[str, Any]]:
    """Yield what is answered under both spellings, but for what names the request."""
    for spelling in (target, f"{target}/"):
        answer = wire.send("POST", spelling, body, key if key in KEYS else fresh(str(key)))
        content = answer.json()
        assert answer.headers["EG-Request"]
        names = SAME if answer.status_code >= 400 else ("status", "side", "notional", "filled")
        kind = answer.headers["content-type"]
        yield {"http": answer.status_code, "kind": kind} | {n: content.get(n) for n in names}


@pytest.mark.parametrize("body", BODIES)
def test_orders_are_answered_alike(wire: Wire, position: str, body: object) -> None:
    express, framework = answers(wire, "/v1/orders", body, "key")
    assert position
    assert express == framework


@pytest.mark.parametrize("body", [b"", {"notional": "0"}, {"notional": "1"}, {"more": 1}])
@pytest.mark.parametrize("which", ["own", "EXPR.M-999999", "nothing", "%20", "x%2Fy"])
def test_closes_are_answered_alike(wire: Wire, position: str, body: object, which: str) -> None:
    name = position if which == "own" else which
    express, framework = answers(wire, f"/v1/positions/{name}/close", body, "key")
    assert express == framework


@pytest.mark.parametrize("key", KEYS)
def test_idempotency_keys_are_judged_alike(wire: Wire, position: str, key: str | None) -> None:
    assert position
    express, framework = answers(wire, "/v1/orders", ORDER, key)
    assert express["code"] == framework["code"] == "IDEMPOTENCY_KEY_MALFORMED"


def test_a_signature_is_checked_before_either(server: Server, position: str) -> None:
    assert position
    express, framework = answers(Wire(server), "/v1/orders", ORDER, "key")
    assert express == framework
    assert express["code"] == "SIGNATURE_MISSING"
