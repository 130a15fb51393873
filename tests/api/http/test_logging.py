"""What a server logs of its callers: their requests by route, key and id, never their words."""

import json
from typing import Any

import pytest

from tests.api.http.harness import CALL, Server, Wire, assert_problem, fresh, order, until

SECRET = "hunter2-hunter2-hunter2"


def lines(server: Server) -> list[dict[str, Any]]:
    """Return the events a server has logged."""
    text = (server.folder / "log").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def logged(server: Server, request_id: str) -> list[dict[str, Any]]:
    """Return the events of a request, once its access line, the last of them, is there."""

    def found() -> list[dict[str, Any]]:
        events = [each for each in lines(server) if each.get("request_id") == request_id]
        return events if events and events[-1]["event"] == "request" else []

    events: list[dict[str, Any]] = until(found)
    return events


def test_a_request_has_a_line(watched_server: Server) -> None:
    wire = watched_server.wire("logged", "read")
    answer = wire.send("GET", "/v1/orders/17?x=1")
    (event,) = logged(watched_server, answer.headers["EG-Request"])
    assert wire.key is not None
    assert event.pop("time").endswith("Z")
    assert 0 < event.pop("ms") < 30_000
    assert event == {
        "level": "info",
        "event": "request",
        "method": "GET",
        "route": "/v1/orders/{order_id}",
        "status": answer.status_code,
        "key": wire.key.id,
        "account": "logged",
        "request_id": answer.headers["EG-Request"],
    }


def test_a_refused_signature_is_logged_with_its_request(watched_server: Server) -> None:
    wire = watched_server.wire("suspect", "read")
    answer = wire.send("GET", "/v1/account", EG_Signature="0" * 64)
    assert_problem(answer, 401, "SIGNATURE_WRONG")
    refused, request = logged(watched_server, answer.headers["EG-Request"])
    assert (refused["level"], refused["event"]) == ("warning", "refused")
    assert (refused["code"], refused["route"]) == ("SIGNATURE_WRONG", "/v1/account")
    assert refused["client"] == "127.0.0.1"
    assert request["status"] == 401
    assert request["key"] == request["account"] == ""


def test_nothing_a_caller_says_is_logged(watched_server: Server) -> None:
    """A secret may end up in any place of a request by mistake."""
    server = watched_server
    token = server.list_token("LOG.M")
    server.credit("careless", token, "100")
    wire, nobody = server.wire("careless", "trade"), Wire(server)
    body = order(token) | {"client_id": SECRET[:20]}
    answers = [
        wire.change("POST", "/v1/orders", body),
        wire.change("POST", "/v1/orders", {SECRET: SECRET}),
        wire.change("POST", "/v1/orders", SECRET.encode()),
        wire.send("POST", "/v1/orders", order(token), SECRET),
        wire.send("POST", "/v1/orders", order(token), SECRET + "\x7f"),
        *[
            nobody.send("GET", f"/v1/account{where}", **{name: SECRET})
            for where in ("", f"/{SECRET}", f"?cursor={SECRET}", f"?{SECRET}=1")
            for name in ("EG_Key", "EG_Signature", "EG_Timestamp", "Authorization", "Cookie")
        ],
        nobody.send("GET", "/v1/account", EG_Key=SECRET, EG_Timestamp="1", EG_Signature=SECRET),
        wire.send("GET", "/v1/account", EG_Timestamp=SECRET),
        wire.send("GET", "/v1/account", EG_Signature=SECRET),
        nobody.send("GET", f"/{SECRET}"),
        nobody.send("GET", f"/v1/orders/{SECRET}"),
        nobody.send("GET", f"/v1/indices/{SECRET}"),
        nobody.send("GET", f"/tokens/{SECRET}/v1/time"),
        nobody.send("GET", "/v1/time", User_Agent=SECRET, Referer=SECRET, X_Forwarded_For=SECRET),
        nobody.change("POST", "/v1/quotes", {"instrument": SECRET, "side": SECRET}),
    ]
    assert {each.status_code // 100 for each in answers} == {2, 4}
    last = nobody.send("GET", "/v1/time")
    logged(server, last.headers["EG-Request"])
    text = (server.folder / "log").read_text()
    assert wire.key is not None
    assert SECRET[:20] not in text
    assert (wire.key.secret or "none") not in text
    assert (server.key.secret or "none") not in text
    used = [each.request.headers.get("EG-Signature", "none")[:32] for each in answers]
    assert not any(each in text for each in used if each != "none" and SECRET not in each)


def test_a_proxy_that_is_trusted_says_who_asks(watched_server: Server) -> None:
    """Addresses have buckets of their own; the first address of a chain is anybody's word."""
    nobody = Wire(watched_server)

    def left(chain: str) -> int:
        answer = nobody.send("POST", "/v1/orders/batch", [], "key", X_Forwarded_For=chain)
        return int(answer.headers["ratelimit-remaining"])

    assert left("203.0.113.1") == left("203.0.113.2") == 490
    # What was taken comes back within a tenth of a second; not between all of these.
    assert min(left("203.0.113.3") for _ in range(30)) < 490
    assert min(left(f"198.51.100.{number}, 203.0.113.4") for number in range(30)) < 490


@pytest.mark.parametrize("words", ["listening", "request"])
def test_lines_are_json_objects_with_a_time_and_a_level(watched_server: Server, words: str) -> None:
    found = [each for each in lines(watched_server) if each["event"] == words]
    assert found
    assert all(each["level"] == "info" and each["time"].endswith("Z") for each in found)


def test_an_order_of_another_shard_is_sent_elsewhere(watched_server: Server) -> None:
    """What is signed is the path as it was sent."""
    token = watched_server.list_token(fresh("SHARD").upper().replace("-", ".") + ".M")
    watched_server.credit("routed", token, "100")
    wire = watched_server.wire("routed", "trade")
    answer = wire.change("POST", f"/tokens/{token}/v1/orders", order(token))
    assert answer.status_code == 201, answer.text
    assert answer.json()["instrument"] == CALL.format(token)
    for path in ("/v1/orders", "/v1/nothing", "/v1/"):
        elsewhere = wire.change("POST", f"/tokens/ELSE.M{path}", order(token))
        assert_problem(elsewhere, 421, "TOKEN_ELSEWHERE")
    assert_problem(wire.send("GET", f"/tokens/{token}/healthz"), 404, "NOT_FOUND")
    signed_otherwise = wire.send("GET", "/v1/account").request.headers
    names = ("EG-Key", "EG-Timestamp", "EG-Signature")
    moved = {name.replace("-", "_"): signed_otherwise[name] for name in names}
    answer = wire.send("GET", f"/tokens/{token}/v1/account", **moved)
    assert_problem(answer, 401, "SIGNATURE_WRONG")
