"""The OpenAPI document, and the server held against it by schemathesis."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import count
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from api.http.problems import CODES
from api.wire import Key, SurfaceRequest
from tests.api.http.harness import (
    CALL,
    Server,
    now_ms,
    signature,
)
from tests.api.http.test_privileges import ROLES, WHO

EXAMPLES = 10
SMILE = SurfaceRequest(symbol="BTC", long_vol="0.6", reversion="4", skew="-0.3", curvature="0.5")
CONFORMANCE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_SETTINGS = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Signer(requests.auth.AuthBase):
    """Signs whatever is about to be sent."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._stamp = 0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return a request with the headers of its signature."""
        # The same request twice in a millisecond would be a replay.
        self._stamp = max(self._stamp + 1, now_ms())
        body = request.body or b""
        content = body.encode() if isinstance(body, str) else body
        idempotency_key = request.headers.get("Idempotency-Key", "")
        if isinstance(idempotency_key, bytes):
            idempotency_key = idempotency_key.decode("latin-1")
        stamp = str(self._stamp)
        request.headers["EG-Key"] = self._key.id
        request.headers["EG-Timestamp"] = stamp
        request.headers["EG-Signature"] = signature(
            self._key.secret or "",
            stamp,
            request.method or "",
            request.path_url,
            idempotency_key,
            content,
        )
        return request


@pytest.fixture(scope="module")
def document(server: Server) -> dict[str, Any]:
    """The document."""
    answer = server.http.get(f"{server.url}/openapi.json")
    assert answer.headers["content-type"].startswith("application/")
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
def places(server: Server, example: str) -> Iterator[dict[str, str]]:
    """Real resources of an account, by the names of path parameters."""
    server.credit("fuzz", example, "1000")
    client = server.client("fuzz")
    bought = client.open(CALL.format(example), "10", limit_total="1")
    risk = server.client("fuzz", "risk")
    study = risk.simulate({"name": "fuzz", "paths": 1, "days": 1})
    yield {
        "symbol": "BTC",
        "instrument": CALL.format(example),
        "token": example,
        "pool": "main",
        "order_id": bought.id,
        "position_id": bought.position_id or "",
        "request_id": client.deposit(example, "main", "5").id,
        "withdrawal_id": client.withdraw(example, "1").id,
        "simulation_id": study.id,
    }
    for each in risk.simulations():
        risk.cancel_simulation(each.id)
    # A smile may have been published, and a price be pending.
    server.operator.operator.publish_surface(SMILE)


@pytest.fixture(scope="module")
def schema(server: Server, document: dict[str, Any]) -> Any:
    """The document without what is said of signatures: those are always good here."""
    paths = {
        path: {
            method: {name: part for name, part in operation.items() if name != "security"}
            for method, operation in operations.items()
        }
        for path, operations in document["paths"].items()
    }
    components = {k: v for k, v in document["components"].items() if k != "securitySchemes"}
    loaded = schemathesis.openapi.from_dict(document | {"paths": paths, "components": components})
    loaded.config.update(base_url=server.url)
    return loaded


@pytest.fixture(scope="module")
def signer(server: Server) -> Signer:
    """A key with every role."""
    return Signer(server.key_of("fuzz", *ROLES))


PARAMETERLESS = frozenset(
    {
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        "GET /v1/time",
        "GET /v1/status",
        "GET /v1/problems",
        "GET /v1/underlyings",
        "GET /v1/limits",
        "GET /v1/indices/{symbol}",
        "GET /v1/instruments/{instrument}",
        "GET /v1/pools/{token}",
        "GET /v1/pools/{token}/scenarios",
        "GET /v1/orders/{order_id}",
        "GET /v1/positions/{position_id}",
        "GET /v1/requests/{request_id}",
        "GET /v1/withdrawal-list",
        "GET /v1/risk/simulations/{simulation_id}",
        "GET /v1/risk/simulations/{simulation_id}/report",
        "GET /v1/risk/simulations/{simulation_id}/statistics",
        "DELETE /v1/risk/simulations/{simulation_id}",
        "DELETE /v1/withdrawal-destinations/{destination_id}",
        "DELETE /v1/keys/{key_id}",
        "DELETE /v1/operator/keys/{key_id}",
    }
)
"""Routes that take nothing, or any text: there is no bad input."""


@pytest.mark.parametrize("route", WHO)
def test_good_input_is_answered_as_documented(
    schema: Any, signer: Signer, places: dict[str, str], route: str
) -> None:
    """Every second request is for something that is there."""
    method, _, path = route.partition(" ")
    turn = count()

    @_SETTINGS
    @given(case=schema[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def ask(case: Any) -> None:
        if next(turn) % 2:
            for part in (case.path_parameters, case.query, case.body):
                if isinstance(part, dict):
                    part.update({name: places[name] for name in places.keys() & part.keys()})
        case.validate_response(case.call(auth=signer), checks=CONFORMANCE)

    ask()


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize("route", sorted(WHO.keys() - PARAMETERLESS))
def test_bad_input_is_refused_as_documented(schema: Any, signer: Signer, route: str) -> None:
    method, _, path = route.partition(" ")

    @_SETTINGS
    @given(case=schema[path][method].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def ask(case: Any) -> None:
        checks = [*CONFORMANCE, negative_data_rejection]
        case.validate_response(case.call(auth=signer), checks=checks)

    ask()


def test_nothing_of_it_was_a_fault(server: Server, example: str, signer: Signer) -> None:
    """After all that, the invariants hold and orders are filled."""
    del signer
    assert server.http.get(f"{server.url}/readyz").json() == {"status": "ok"}
    assert server.operator.status().invariants == "hold"
    server.operator.operator.resume(example)
    filled = server.client("fuzz").open(CALL.format(example), "1", limit_total="1")
    assert filled.status == "filled"


# -- the document itself


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_it_is_of_version_3_1_and_says_what_it_is_about(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"] == "Evergamma"
    assert document["info"]["version"]
    assert len(document["info"]["description"]) > 200


def test_every_operation_is_explained_and_documents_its_problems(
    document: dict[str, Any],
) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for route, operation in operations(document):
        assert operation["description"].strip().endswith("."), route
        assert operation["tags"], route
        answers = operation["responses"]
        assert any(status.startswith("2") for status in answers), route
        problems = {status for status in answers if status[0] in "45"}
        assert {"400", "401", "413"} <= problems, route
        for status in problems:
            assert list(answers[status]["content"]) == ["application/problem+json"], (route, status)
            codes = answers[status]["description"].split(", ")
            assert set(codes) == {
                name for name, code in CODES.items() if code.status == int(status)
            }
        is_read = route.startswith(("GET", "POST /v1/quotes", "POST /v1/login"))
        asks_for_key = any(
            each["name"] == "Idempotency-Key" and each["required"]
            for each in operation.get("parameters", [])
        )
        assert asks_for_key != is_read, route


def test_no_body_has_room_for_unknown_fields(document: dict[str, Any]) -> None:
    bodies = set()
    for _, operation in operations(document):
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]
            assert list(content) == ["application/json"]
            bodies.add(content["application/json"]["schema"]["$ref"].rpartition("/")[2])
    assert "OrderRequest" in bodies
    for name in bodies:
        assert document["components"]["schemas"][name]["additionalProperties"] is False, name


# -- the page that shows it


class Links(HTMLParser):
    """What a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember what a tag refers to."""
        del tag
        self.found += [value for name, value in attrs if name in {"src", "href"} and value]


def test_the_page_asks_nobody_else(server: Server) -> None:
    """What it loads is here."""
    page = server.http.get(f"{server.url}/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert re.findall(r"https?://[^\s\"'<>]*", page.text) == []
    links = Links()
    links.feed(page.text)
    local = [each for each in links.found if not each.startswith("data:")]
    assert {each.rpartition(".")[2] for each in local} >= {"js", "css"}
    for each in local:
        assert each.startswith("/docs/assets/")
        asset = server.http.get(server.url + each)
        assert asset.status_code == 200
        assert len(asset.content) > 10_000
    assert server.http.get(f"{server.url}/docs/assets/none.js").status_code == 404
