"""Texts that are no names, in every place that takes one: PostgreSQL refuses NUL in any query."""

import base64
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.access.ring import KeyRing
from api.client import Client
from api.settings import read_master_key
from api.storage.engines import access_engine
from api.storage.store import open_store
from api.storage.url import DatabaseUrl
from api.wire import Key
from tests.api.databases import postgresql_database
from tests.api.http.harness import Wire, assert_problem, fresh, now_ms, order, until
from tests.api.http.test_privileges import ROLES
from tests.benchmarks.serving import Process

ODD = ("%00", "a%00b", "%0a", "%ed%a0%80", "%c2%85")
"""NUL, a line feed, half of a surrogate pair, a control character of two bytes."""

NAMES = defaultdict(lambda: "x", token="T.M", pool="main", number="1", instrument="BTC-T.M-1-C")
"""Names that are some."""
ORDER = json.dumps(order("T.M", client_id="#"))


class Bare(Process):
    """A server on PostgreSQL, without tokens and prices, and a key that may ask for anything."""

    def __init__(self, folder: Path, database: DatabaseUrl) -> None:
        open_store(database).close()
        ring = KeyRing(access_engine(database), read_master_key(folder / "k"))
        made = ring.create("everybody", ROLES, None, now_ms())
        ring.close()
        self.key = Key(
            id=made.id,
            account=made.account,
            roles=list(ROLES),
            label=None,
            created=made.created_ms,
            revoked=None,
            secret=made.secret,
        )
        place = ["--database", database.with_password, "--master-key", str(folder / "k")]
        rest = ["--port", "0", "--feed", "push", "--rate", "0"]
        super().__init__(["-m", "api", "serve", *place, *rest], folder / "log")
        self.http = httpx.Client(timeout=30)
        self.operator = Client(self.url, made.id, made.secret, http=self.http)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    """A server of its own: most others are on SQLite, which takes any text."""
    with (
        postgresql_database() as database,
        Bare(tmp_path_factory.mktemp("names"), database) as started,
        started.http,
    ):
        yield started


@pytest.fixture(scope="module")
def everybody(bare: Bare) -> Wire:
    """Requests of the key."""
    return Wire(bare, bare.key)


def operations(server: Bare) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Yield method, path and parameters of what the document has."""
    document = server.http.get(f"{server.url}/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation.get("parameters", [])


def with_odd(server: Bare, odd: str) -> Iterator[tuple[str, str]]:
    """Yield method and target of requests with such a text in one place of each."""
    for method, path, parameters in operations(server):
        for name in re.findall(r"\{(\w+)\}", path):
            if name != "number":
                yield method, path.replace(f"{{{name}}}", odd).format_map(NAMES)
        for each in parameters:
            if each["in"] == "query":
                yield method, f"{path}?{each['name']}={odd}".format_map(NAMES)


def test_what_is_no_name_is_refused(bare: Bare, everybody: Wire) -> None:
    asked = 0
    for odd in ODD:
        for method, target in with_odd(bare, odd):
            body = None if method in {"GET", "DELETE"} else {}
            answer = everybody.send(method, target, body, fresh("odd"))
            if "/docs/" not in target:
                assert_problem(answer, 400, "MALFORMED")
                asked += 1
            assert answer.status_code < 500
    assert asked >= 50 * len(ODD)


@pytest.mark.parametrize("target", ["positions", "requests", "instruments", "parameters", "orders"])
def test_a_cursor_of_no_name_is_refused(everybody: Wire, target: str) -> None:
    for place in (rb'"\u0000"', rb'["\u0000",0]', rb'[1,"\u0000",0]', rb'["\ud800",0]'):
        cursor = base64.urlsafe_b64encode(place).decode().rstrip("=")
        answer = everybody.send("GET", f"/v1/{target}?cursor={cursor}")
        assert assert_problem(answer, 400, "MALFORMED")["field"] == "cursor"


@pytest.mark.parametrize("odd", [r"\u0000", r"\ud800", r"a\u0000"])
@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("operator/deposits", '{"account":"#","token":"T.M","amount":"1","reference":"r"}'),
        ("operator/deposits", '{"account":"al","token":"T.M","amount":"1","reference":"#"}'),
        ("operator/keys", '{"account":"al","roles":["read"],"label":"#"}'),
        ("keys", '{"roles":["read"],"label":"#"}'),
        ("withdrawals", '{"token":"T.M","amount":"1","destination":"#"}'),
        ("withdrawal-destinations", '{"label":"#","address":"a"}'),
        ("withdrawal-destinations", '{"label":"l","address":"#"}'),
        ("orders", ORDER),
        ("login/challenge", '{"address":"#","chain_id":1}'),
    ],
)
def test_a_body_of_no_name_is_refused(everybody: Wire, target: str, body: str, odd: str) -> None:
    answer = everybody.change("POST", f"/v1/{target}", body.replace("#", odd).encode())
    assert_problem(answer, 400, "MALFORMED")


def test_no_request_stops_the_audit_trail(bare: Bare, everybody: Wire) -> None:
    """A stranger's does not, nor an operator's; what they asked for is written down."""
    audit = bare.operator.operator.audit
    route = "DELETE /v1/operator/keys/{key_id}"

    def strangers() -> bool:
        answer = Wire(bare).send("DELETE", "/v1/operator/keys/x%00y")
        assert_problem(answer, 401, "SIGNATURE_MISSING")
        return any((line.action, line.subject) == (route, "x?y") for line in audit(""))

    until(strangers)
    assert_problem(everybody.change("DELETE", "/v1/operator/keys/%00"), 400, "MALFORMED")
    line = next(iter(audit("everybody")))
    assert (line.action, line.subject, line.code) == (route, "?", "MALFORMED")
    done = everybody.change("POST", "/v1/operator/keys", {"account": "al", "roles": ["read"]})
    assert next(iter(audit("everybody"))).subject == done.json()["id"]
