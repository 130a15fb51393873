"""Rate limits: a bucket for each caller, told in headers."""

import time

import pytest

from api.client import Client, RateLimitedError
from api.http.buckets import Buckets
from tests.api.http.harness import Server, Wire, assert_problem, fresh

CAPACITY, PER_SECOND = 500, 100


def level(answer_headers: dict[str, str]) -> tuple[int, int]:
    return int(answer_headers["ratelimit-limit"]), int(answer_headers["ratelimit-remaining"])


def test_a_request_takes_its_weight(waiting_server: Server) -> None:
    wire = waiting_server.wire("lim", "read")
    limits = wire.send("GET", "/v1/limits").json()
    assert (limits["capacity"], limits["per_second"]) == (CAPACITY, PER_SECOND)
    assert limits["weights"]["GET /v1/orders"] == 5
    assert limits["weights"]["POST /v1/orders/batch"] == 10
    before = level(dict(wire.send("GET", "/v1/account").headers))
    after = level(dict(wire.send("GET", "/v1/orders").headers))
    assert before[0] == after[0] == CAPACITY
    # Some of it has come back in the meantime, but never more than the bucket holds.
    assert before[1] - 5 <= after[1] < CAPACITY


def test_who_asks_too_much_is_told_when_to_come_back(waiting_server: Server) -> None:
    """And nobody else is kept waiting for it."""
    wire, other = waiting_server.wire("greedy", "read"), waiting_server.wire("modest", "read")
    answers = []
    while not answers or answers[-1].status_code == 200:
        answers.append(wire.send("GET", "/v1/ledger"))
    refused = answers[-1]
    assert_problem(refused, 429, "RATE_LIMITED")
    assert int(refused.headers["Retry-After"]) >= 1
    assert int(refused.headers["ratelimit-remaining"]) < 5
    assert len(answers) > CAPACITY // 5
    assert other.send("GET", "/v1/ledger").status_code == 200
    assert Wire(waiting_server).send("GET", "/v1/time").status_code == 200
    assert wire.key is not None
    key = (wire.key.id, wire.key.secret)
    hasty = Client(waiting_server.url, *key, retries=0, http=waiting_server.http)
    with pytest.raises(RateLimitedError) as told:
        ask_too_much(hasty)
    assert told.value.retry_after is not None
    with Client(waiting_server.url, *key, retries=1) as patient:
        assert list(patient.ledger()) == []


def test_a_wrong_request_takes_nothing_from_a_key(waiting_server: Server) -> None:
    """Who has not shown to hold a key cannot use it up."""
    wire = waiting_server.wire("victim", "read")
    time.sleep(0.1)
    full = wire.send("GET", "/v1/limits").json()["remaining"]
    for _ in range(50):
        answer = wire.send("GET", "/v1/ledger", EG_Signature="0" * 64)
        assert_problem(answer, 401, "SIGNATURE_WRONG")
    assert wire.send("GET", "/v1/limits").json()["remaining"] >= full - 1


def ask_too_much(client: Client) -> None:
    for _ in range(CAPACITY):
        list(client.ledger())


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_who_watches_the_server_is_not_limited(waiting_server: Server, path: str) -> None:
    wire = Wire(waiting_server)
    before = int(wire.send("GET", "/v1/time").headers["ratelimit-remaining"])
    for _ in range(20):
        assert wire.send("GET", path).status_code == 200
    after = int(wire.send("GET", "/v1/time").headers["ratelimit-remaining"])
    assert after >= before - 1


def test_every_answer_names_its_request(waiting_server: Server) -> None:
    wire = Wire(waiting_server)
    names = {wire.send("GET", "/v1/time").headers["EG-Request"] for _ in range(5)}
    names |= {wire.change("GET", f"/{fresh('nothing')}").headers["EG-Request"] for _ in range(5)}
    assert len(names) == 10


def test_a_request_heavier_than_the_bucket_takes_all_of_it() -> None:
    """It would be told to come back for ever."""
    small = Buckets(capacity=5, per_second=1)
    first, second = small.take("caller", 20), small.take("caller", 20)
    assert first is not None
    assert second is not None
    assert (first.wait, first.remaining) == (0, 0)
    assert 1 <= second.wait <= 5
