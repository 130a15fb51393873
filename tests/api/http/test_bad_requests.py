"""What is refused, with which status and code; and that nothing has changed then."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from api.client import Client
from tests.api.http.harness import (
    CALL,
    PUT,
    Server,
    Watch,
    Wire,
    assert_problem,
    fresh,
    now_ms,
    order,
    signed,
)

TOKEN, SMALL = "BAD.M", "SMALL.M"
LADDER = "BTC-BAD.M-{}-C"
BODY_MAX = 262_144


@dataclass
class Desk:
    """An account with a position, and everything that must stay as it is."""

    server: Server
    wire: Wire
    client: Client
    position: str
    request: str

    def refuse(
        self, ask: Callable[[], httpx.Response], status: int, code: str, records: int = 0
    ) -> dict[str, Any]:
        """Check that an answer is a problem, and that it changes nothing; return its document."""
        with self.server.pusher.held():
            watch = Watch(self.server, TOKEN, self.client)
            document = assert_problem(ask(), status, code)
            watch.assert_unchanged(records)
        return document


@pytest.fixture(scope="module")
def desk(server: Server) -> Iterator[Desk]:
    """Hold ten calls, and wait for a flush with five tokens."""
    server.list_token(TOKEN)
    server.list_token(
        SMALL,
        seed=10 * 10**8,
        series_share_ppm=1_000_000,
        account_share_ppm=1_000_000,
        stress_share_ppm=1_000_000,
    )
    for account, token, amount in (
        ("carl", TOKEN, "1000"),
        ("carl", SMALL, "1000"),
        ("paula", SMALL, "1000"),
        ("pauper", TOKEN, "0.2"),
    ):
        server.credit(account, token, amount)
    client = server.client("carl")
    bought = client.open(CALL.format(TOKEN), "10", limit_total="1")
    asked = client.deposit(TOKEN, "main", "5")
    assert bought.position_id is not None
    wire = server.wire("carl", "trade", "provide")
    yield Desk(server, wire, client, bought.position_id, asked.id)
    server.assert_conserved(TOKEN, [client, server.client("pauper")])


# -- bodies

ORDER = json.dumps(order(TOKEN))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf" + ORDER.encode(),
        ORDER.encode("utf-16"),
        ORDER.encode() + b"{}",
        ORDER.replace('"10"', "10").encode(),
        ORDER.replace('"10"', "1e400").encode(),
        ORDER.replace('"10"', "NaN").encode(),
        ORDER.replace('"10"', "Infinity").encode(),
        ORDER.replace('"10"', "null").encode(),
        ORDER.replace('"10"', '{"amount": "10"}').encode(),
        ORDER.replace("notional", "Notional").encode(),
        ORDER.replace('"open"', '"buy"').encode(),
        json.dumps(order(TOKEN, more="1")).encode(),
        json.dumps(order(TOKEN, self_funding=1)).encode(),
        json.dumps(order(TOKEN, client_id="a b")).encode(),
        json.dumps(order(TOKEN, client_id="a\n")).encode(),
        json.dumps(order(TOKEN, client_id="a" * 65)).encode(),
        json.dumps(order(TOKEN, expires_at=0)).encode(),
        json.dumps(order(TOKEN, expires_at=2**63)).encode(),
        json.dumps(order(TOKEN, expires_at="soon")).encode(),
        json.dumps(order(TOKEN, expires_at=str(2 * 10**12))).encode(),
        json.dumps(order(TOKEN, self_funding="true")).encode(),
        json.dumps([order(TOKEN)]).encode(),
        json.dumps(order(TOKEN, "close", self_funding=True)).encode(),
        b"[" * 100_000,
        b'{"a":' * 50_000,
    ],
    ids=lambda body: body[:48].decode("latin-1"),
)
def test_a_body_that_is_no_order(desk: Desk, body: bytes) -> None:
    send = lambda: desk.wire.change("POST", "/v1/orders", body)  # noqa: E731 - a request to come
    desk.refuse(send, 400, "MALFORMED")


@pytest.mark.parametrize(
    "amount",
    [
        "-1", "+1", "1e3", "1E3", "01", "00", ".5", "1.", "1,5", "0x10", " 1", "1 ", "1\n", "",
        "NaN", "Infinity", "-0", "1_000", "\u0661", "1.123456789", "0.000000001",
        "90071992.54740992", "9999999999999999", "9" * 17, "9" * 65,
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["notional", "limit_total"])
def test_a_number_that_is_no_amount(desk: Desk, field: str, amount: str) -> None:
    body = order(TOKEN, **{field: amount})
    document = desk.refuse(lambda: desk.wire.change("POST", "/v1/orders", body), 400, "MALFORMED")
    assert document["field"] == field


def test_where_it_is_wrong_is_told(desk: Desk) -> None:
    for body, field in (
        ({"orders": []}, "orders"),
        ({"orders": [order(TOKEN)] * 101}, "orders"),
        ({"orders": [order(TOKEN), order(TOKEN, notional=1)]}, "orders[1].notional"),
        ({"orders": [order(TOKEN), order(TOKEN, notional="-1")]}, "orders[1].notional"),
        (
            {"orders": [order(TOKEN), order(TOKEN, "close", self_funding=True)]},
            "orders[1].self_funding",
        ),
        ({}, "body"),
        (None, "body"),
    ):

        def send(body: object = body) -> Any:
            return desk.wire.change("POST", "/v1/orders/batch", body)

        assert desk.refuse(send, 400, "MALFORMED")["field"] == field


def test_how_many_decimals_are_kept_is_told(desk: Desk) -> None:
    body = order(TOKEN, notional="1.123456789")
    document = desk.refuse(lambda: desk.wire.change("POST", "/v1/orders", body), 400, "MALFORMED")
    assert document["detail"] == "'1.123456789' has 9 decimals, at most 8 are kept."


@pytest.mark.parametrize(
    "name",
    [
        "",
        "BTC",
        "btc-BAD.M-100000-C",
        "BTC-BAD.M-100000-X",
        "BTC-BAD.M-100000",
        "BTC-BAD.M-100000-C-C",
        "BTC-BAD.M-0100000-C",
        "BTC-BAD.M-100000.0-C",
        "BTC-BAD.M--100000-C",
        "BTC-BAD.M-1e5-C",
        "BTC-BAD.M-100000-C\n",
        "BTC-BAD.M-9999999999999999-C",
        "BTC-BAD.M-100000-C" + "C" * 64,
    ],
)
def test_a_name_that_is_no_instrument(desk: Desk, name: str) -> None:
    body = order(TOKEN, instrument=name)
    document = desk.refuse(lambda: desk.wire.change("POST", "/v1/orders", body), 400, "MALFORMED")
    assert document["field"] == "instrument"


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("deposits", {"account": "al\n", "token": TOKEN, "amount": "1", "reference": "r"}),
        ("deposits", {"account": "al", "token": TOKEN, "amount": "1", "reference": "r\n"}),
        ("deposits", {"account": "/al", "token": TOKEN, "amount": "1", "reference": "r"}),
        ("tokens", {"token": "NEW.M\n"}),
        ("tokens", {"token": "new.m"}),
        ("tokens", {"token": "NEW.M", "parameters": {"no_such": 1}}),
        ("tokens", {"token": "NEW.M", "parameters": {"seed": 1.5}}),
        ("tokens", {"token": "NEW.M", "parameters": {"seed": 1e300}}),
        ("tokens", b'{"token": "NEW.M", "parameters": {"fee": 1e400}}'),
        ("prices", {"symbol": "BTC", "price": "-1", "published_at": 1}),
        ("prices", {"symbol": "BTC\n", "price": "1", "published_at": 1}),
        ("prices", {"symbol": "BTC", "price": "1", "published_at": 1, "sources": 0}),
        ("underlyings", {"symbol": "BTC", "vol": "9999999"}),
        ("keys", {"account": "al", "roles": []}),
        ("keys", {"account": "al", "roles": ["owner"]}),
        ("keys", {"account": "al\n", "roles": ["read"]}),
    ],
)
def test_what_an_operator_must_not_write(desk: Desk, target: str, body: object) -> None:
    operator = Wire(desk.server, desk.server.key)
    keys = len(list(desk.server.operator.operator.keys())) if target == "keys" else 0
    desk.refuse(lambda: operator.change("POST", f"/v1/operator/{target}", body), 400, "MALFORMED")
    if target == "keys":
        assert len(list(desk.server.operator.operator.keys())) == keys


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/x-msgpack", "json"]
)
def test_a_body_that_is_said_to_be_something_else(desk: Desk, kind: str) -> None:
    document = desk.refuse(
        lambda: desk.wire.send("POST", "/v1/orders", order(TOKEN), fresh("key"), Content_Type=kind),
        400,
        "MALFORMED",
    )
    assert document["field"] == "Content-Type"


@pytest.mark.parametrize("kind", [None, "Application/JSON; charset=utf-8"])
def test_a_body_that_is_json_is_read(desk: Desk, kind: str | None) -> None:
    body = order(TOKEN, notional="0.001")
    desk.refuse(
        lambda: desk.wire.send("POST", "/v1/orders", body, fresh("key"), Content_Type=kind),
        422,
        "NOTIONAL_MIN",
        records=1,
    )


def test_of_a_name_that_comes_twice_the_last_counts(desk: Desk) -> None:
    """The signature is over the bytes, so nobody in between can have added one."""
    body = ORDER.replace('"notional": "10"', '"notional": "bad", "notional": "0.001"').encode()
    desk.refuse(
        lambda: desk.wire.change("POST", "/v1/orders", body), 422, "NOTIONAL_MIN", records=1
    )


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_that_is_too_long(desk: Desk, is_chunked: bool) -> None:
    body = ORDER.encode() + b" " * BODY_MAX

    def parts() -> Iterator[bytes]:
        for start in range(0, len(body), 8_192):
            yield body[start : start + 8_192]

    def send() -> httpx.Response:
        headers = signed(desk.wire.key, "POST", "/v1/orders", body, fresh("key"))
        content = parts() if is_chunked else body
        return httpx.post(f"{desk.server.url}/v1/orders", content=content, headers=headers)

    desk.refuse(send, 413, "BODY_TOO_LARGE")


def test_a_chunked_body_is_read(desk: Desk) -> None:
    body = json.dumps(order(TOKEN, notional="0.001")).encode()

    def send() -> httpx.Response:
        headers = signed(desk.wire.key, "POST", "/v1/orders", body, fresh("key"))
        parts = iter([body[:20], body[20:]])
        return httpx.post(f"{desk.server.url}/v1/orders", content=parts, headers=headers)

    desk.refuse(send, 422, "NOTIONAL_MIN", records=1)


# -- targets


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/v1/nothing", 404, "NOT_FOUND"),
        ("/v2/time", 404, "NOT_FOUND"),
        ("/nothing", 404, "NOT_FOUND"),
        ("/nothing/", 404, "NOT_FOUND"),
        ("/nothing.html", 404, "NOT_FOUND"),
        ("/v1/orders/abc", 404, "NOT_FOUND"),
        ("/v1/orders/1", 404, "NOT_FOUND"),
        ("/v1/orders/-1", 404, "NOT_FOUND"),
        ("/v1/orders/99999999999999999999", 404, "NOT_FOUND"),
        ("/v1/positions/BAD.M-999", 404, "POSITION_UNKNOWN"),
        ("/v1/positions/NO.M-1", 404, "POSITION_UNKNOWN"),
        ("/v1/positions/BAD.M-99999999999999999999", 404, "POSITION_UNKNOWN"),
        ("/v1/requests/BAD.M-999", 404, "REQUEST_UNKNOWN"),
        ("/v1/indices/DOGE", 404, "NOT_FOUND"),
        ("/v1/pools/NO.M", 404, "NOT_FOUND"),
        ("/v1/pools/BAD.M/flushes/1", 404, "NOT_FOUND"),
        ("/v1/pools/BAD.M/flushes/0", 400, "MALFORMED"),
        ("/v1/pools/BAD.M/flushes/99999999999", 400, "MALFORMED"),
        ("/v1/instruments/x", 400, "MALFORMED"),
        ("/v1/instruments/BTC-BAD.M-100500-C", 404, "NOT_FOUND"),
        ("/v1/instruments/BTC-BAD.M-0-C", 404, "NOT_FOUND"),
        ("/v1/instruments?token=NO.M", 404, "NOT_FOUND"),
        ("/v1/instruments?underlying=DOGE", 404, "NOT_FOUND"),
        ("/v1/trades", 400, "MALFORMED"),
        ("/v1/trades?token=NO.M", 404, "NOT_FOUND"),
        ("/v1/pools/BAD.M/history?since=-1", 400, "MALFORMED"),
        ("/v1/pools/BAD.M/history?since=1e400", 400, "MALFORMED"),
        ("/v1/instruments/%ff%fe", 400, "MALFORMED"),
        ("/v1/instruments/%00", 400, "MALFORMED"),
        ("/v1/trades?token=%ff", 400, "MALFORMED"),
        ("/v1/pools/..%2f..%2fetc", 404, "NOT_FOUND"),
        ("/docs/assets/..%2fapp.py", 404, "NOT_FOUND"),
        ("/v1/account?account=somebody", 403, "ACCOUNT_FOREIGN"),
        ("/v1/ledger?account=somebody", 403, "ACCOUNT_FOREIGN"),
        ("/v1/provider?account=somebody", 403, "ACCOUNT_FOREIGN"),
    ],
)
def test_a_target_that_is_none(desk: Desk, target: str, status: int, code: str) -> None:
    desk.refuse(lambda: desk.wire.send("GET", target), status, code)


PAGED = [
    "/v1/orders",
    "/v1/account/trades",
    "/v1/positions",
    "/v1/premium-payments",
    "/v1/ledger",
    "/v1/deposits",
    "/v1/withdrawals",
    "/v1/requests",
    "/v1/instruments",
    "/v1/tickers",
    "/v1/pools",
    "/v1/tokens",
    "/v1/parameters",
    "/v1/trades?token=BAD.M",
    "/v1/pools/BAD.M/flushes",
    "/v1/pools/BAD.M/history",
    "/v1/instruments/BTC-BAD.M-100000-C/history",
]


@pytest.mark.parametrize("target", PAGED)
def test_a_page_that_is_none(desk: Desk, target: str) -> None:
    """Cursors are texts of the exchange's own; whatever else comes is told to be none."""
    join = "&" if "?" in target else "?"
    for query, field in (
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=501", "limit"),
        ("limit=ten", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("cursor=%20", "cursor"),
        ("cursor=abc", "cursor"),
        ("cursor=e30", "cursor"),  # {}
        ("cursor=bnVsbA", "cursor"),  # null
        ("cursor=" + "a" * 201, "cursor"),
    ):
        answer = desk.wire.send("GET", f"{target}{join}{query}")
        assert assert_problem(answer, 400, "MALFORMED")["field"] == field
    for query in ("limit=1", "limit=500"):
        assert desk.wire.send("GET", f"{target}{join}{query}").status_code == 200


@pytest.mark.parametrize("target", PAGED)
@pytest.mark.parametrize(
    "cursor",
    [
        "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk",  # 99999999999999999999999
        "LTE",  # -1
        "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OTksMF0",  # [99999999999999999999999,0]
        "WzksLTFd",  # [9,-1]
        "WyIiLDk5OTk5OTk5OTk5OTk5OTk5OTk5OTld",  # ["",99999999999999999999999]
    ],
)
def test_a_cursor_that_was_made_up_is_no_fault(desk: Desk, target: str, cursor: str) -> None:
    """It may be read as a place of the list; it is never more than that."""
    join = "&" if "?" in target else "?"
    answer = desk.wire.send("GET", f"{target}{join}cursor={cursor}")
    if answer.status_code != 200:
        assert_problem(answer, 400, "MALFORMED")


@pytest.mark.parametrize(
    ("method", "target"), [("PUT", "/v1/orders"), ("GET", "/v1/quotes"), ("DELETE", "/v1/time")]
)
def test_a_method_that_is_none(desk: Desk, method: str, target: str) -> None:
    answer = desk.wire.change(method, target)
    assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert method not in answer.headers["allow"]


@pytest.mark.parametrize("pool", ["senior", "MAIN", "main%20"])
def test_a_pool_that_is_none(desk: Desk, pool: str) -> None:
    target = f"/v1/pools/{TOKEN}/{pool}/deposits"
    desk.refuse(lambda: desk.wire.change("POST", target, {"amount": "1"}), 400, "MALFORMED")


# -- idempotency keys and signatures


@pytest.mark.parametrize("key", [None, "", "a b", "a\tb", "a" * 129])
def test_an_idempotency_key_that_is_none(desk: Desk, key: str | None) -> None:
    desk.refuse(
        lambda: desk.wire.send("POST", "/v1/orders", order(TOKEN), key),
        400,
        "IDEMPOTENCY_KEY_MALFORMED",
    )


def test_an_idempotency_key_outside_ascii(desk: Desk) -> None:
    def send() -> httpx.Response:
        headers: dict[Any, Any] = signed(
            desk.wire.key, "POST", "/v1/orders", ORDER.encode(), "\xe9"
        )
        headers["Idempotency-Key"] = b"\xe9"
        return httpx.post(f"{desk.server.url}/v1/orders", content=ORDER, headers=headers)

    with desk.server.pusher.held():
        watch = Watch(desk.server, TOKEN, desk.client)
        answer = send()
        assert answer.status_code in {400, 401}
        watch.assert_unchanged()


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"EG_Key": None}, "SIGNATURE_MISSING"),
        ({"EG_Timestamp": None}, "SIGNATURE_MISSING"),
        ({"EG_Signature": None}, "SIGNATURE_MISSING"),
        ({"EG_Key": "eg_nobody"}, "KEY_UNKNOWN"),
        ({"EG_Key": "' OR 1=1"}, "KEY_UNKNOWN"),
        ({"EG_Signature": "0" * 64}, "SIGNATURE_WRONG"),
        ({"EG_Signature": "zz"}, "SIGNATURE_WRONG"),
        ({"EG_Timestamp": "soon"}, "TIMESTAMP_OUT_OF_WINDOW"),
        ({"EG_Timestamp": "-1"}, "TIMESTAMP_OUT_OF_WINDOW"),
        ({"EG_Timestamp": "9" * 16}, "TIMESTAMP_OUT_OF_WINDOW"),
        ({"EG_Timestamp": "1e12"}, "TIMESTAMP_OUT_OF_WINDOW"),
        ({"Idempotency_Key": "another"}, "SIGNATURE_WRONG"),
    ],
)
def test_a_signature_that_is_none(desk: Desk, changed: dict[str, str | None], code: str) -> None:
    desk.refuse(
        lambda: desk.wire.send("POST", "/v1/orders", order(TOKEN), fresh("key"), **changed),
        401,
        code,
    )


@pytest.mark.parametrize("name", ["EG-Key", "EG-Timestamp", "EG-Signature", "Idempotency-Key"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_header_that_comes_twice(desk: Desk, name: str, is_first: bool) -> None:
    """Else somebody in between could add a key of theirs, and have a retry done again."""
    good = signed(desk.wire.key, "POST", "/v1/orders", ORDER.encode(), fresh("key"))
    added = [(name, "another")]
    headers = added + list(good.items()) if is_first else list(good.items()) + added

    def send() -> httpx.Response:
        return httpx.post(f"{desk.server.url}/v1/orders", content=ORDER, headers=headers)

    desk.refuse(send, 400, "MALFORMED")


@pytest.mark.parametrize("off_ms", [-31_000, 31_000])
def test_a_clock_that_is_wrong(desk: Desk, monkeypatch: pytest.MonkeyPatch, off_ms: int) -> None:
    """What time it is here is told, so that it can be set."""
    with monkeypatch.context() as changed:
        changed.setattr("tests.api.http.harness.now_ms", lambda: now_ms() + off_ms)
        headers = signed(desk.wire.key, "POST", "/v1/orders", ORDER.encode(), "clock")
    document = desk.refuse(
        lambda: httpx.post(f"{desk.server.url}/v1/orders", content=ORDER, headers=headers),
        401,
        "TIMESTAMP_OUT_OF_WINDOW",
    )
    assert abs(int(document["limit"]) - now_ms()) < 30_000


@pytest.mark.parametrize(
    ("target", "body", "method"),
    [
        ("/v1/orders", ORDER.replace('"10"', '"11"'), "POST"),
        ("/v1/orders", ORDER + " ", "POST"),
        ("/v1/orders?more=1", ORDER, "POST"),
        ("/v1/orders?", ORDER, "POST"),
        ("/v1/orders/batch", ORDER, "POST"),
        ("/v1//orders", ORDER, "POST"),
        ("/v1/orders", ORDER, "GET"),
    ],
)
def test_a_request_that_was_changed_on_its_way(
    desk: Desk, target: str, body: str, method: str
) -> None:
    """An empty query is no change: it asks for the same."""
    headers = signed(desk.wire.key, "POST", "/v1/orders", ORDER.encode(), fresh("key"))

    def send() -> httpx.Response:
        url = desk.server.url + target
        return httpx.request(method, url, content=body, headers=headers)

    if target == "/v1/orders?":
        assert send().status_code == 201
    else:
        desk.refuse(send, 401, "SIGNATURE_WRONG")


def test_a_query_that_was_changed_on_its_way(desk: Desk) -> None:
    headers = signed(desk.wire.key, "GET", "/v1/orders?limit=1")
    for target in ("/v1/orders?limit=2", "/v1/orders", "/v1/orders?limit=%31"):
        answer = httpx.get(desk.server.url + target, headers=headers)
        assert_problem(answer, 401, "SIGNATURE_WRONG")


def test_a_mutation_is_taken_once_and_a_read_again_and_again(desk: Desk) -> None:
    body = json.dumps(order(TOKEN, notional="0.5")).encode()
    headers = signed(desk.wire.key, "POST", "/v1/orders", body, fresh("key"))
    url = f"{desk.server.url}/v1/orders"
    assert httpx.post(url, content=body, headers=headers).status_code == 201
    desk.refuse(lambda: httpx.post(url, content=body, headers=headers), 401, "SIGNATURE_USED")
    asked = json.dumps({"instrument": CALL.format(TOKEN), "side": "open", "notional": "1"}).encode()
    for method, target, content in (
        ("GET", "/v1/orders", b""),
        ("POST", "/v1/quotes", asked),
    ):
        headers = signed(desk.wire.key, method, target, content)
        for _ in range(2):
            answer = httpx.request(
                method, desk.server.url + target, content=content, headers=headers
            )
            assert answer.status_code == 200, answer.text


def test_a_key_that_is_used_for_something_else(desk: Desk) -> None:
    key = fresh("key")
    first = desk.wire.send("POST", "/v1/orders", order(TOKEN, notional="0.5"), key)
    assert first.status_code == 201
    position = f"/v1/positions/{desk.position}"
    for method, target, body in (
        ("POST", "/v1/orders", order(TOKEN, notional="0.6")),
        ("POST", "/v1/orders", order(TOKEN, notional="0.5", limit_total="2")),
        ("POST", "/v1/orders", order(TOKEN, notional="0.5", self_funding=True)),
        ("POST", "/v1/orders", order(TOKEN, notional="0.5", client_id="mine")),
        ("POST", "/v1/orders", order(TOKEN, "close", notional="0.5")),
        ("POST", f"{position}/close", {"notional": "0.5"}),
        ("PATCH", position, {"self_funding": True}),
        ("POST", "/v1/withdrawals", {"token": TOKEN, "amount": "1"}),
        ("POST", f"/v1/pools/{TOKEN}/main/deposits", {"amount": "1"}),
        ("DELETE", f"/v1/requests/{desk.request}", None),
    ):

        def send(method: str = method, target: str = target, body: object = body) -> Any:
            return desk.wire.send(method, target, body, key)

        desk.refuse(send, 409, "IDEMPOTENCY_CONFLICT")


# -- refusals of the rules: each is in the journal, and nothing else is


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"notional": "0"}, "AMOUNT_NOT_POSITIVE"),
        ({"notional": "0.00999999"}, "NOTIONAL_MIN"),
        ({"instrument": LADDER.format(100_500)}, "STRIKE_OFF_LADDER"),
        ({"instrument": LADDER.format(200_000)}, "STRIKE_WINDOW"),
        ({"instrument": LADDER.format(1_000)}, "STRIKE_WINDOW"),
        ({"instrument": "XRP-BAD.M-100000-C"}, "SERIES_UNKNOWN"),
        ({"instrument": "BTC-NO.M-100000-C"}, "TOKEN_UNKNOWN"),
        ({"instrument": PUT.format(TOKEN)}, "MARK_STALE"),
        ({"instrument": LADDER.format(130_000)}, "TOTAL_MIN"),
        ({"limit_total": "0.00000001"}, "PRICE_LIMIT"),
        ({"limit_total": "0"}, "PRICE_LIMIT"),
        ({"notional": "3000", "limit_total": "1000"}, "ACCOUNT_SHARE"),
        ({"notional": "7000", "limit_total": "1000"}, "SERIES_SHARE"),
        ({"expires_at": 1_700_000_000_000}, "EXPIRED"),
        ({"side": "close", "notional": "1000", "limit_total": "0"}, "SIZE_EXCEEDS_POSITION"),
        ({"side": "close", "notional": "1", "limit_total": "1"}, "PRICE_LIMIT"),
        ({"side": "close", "expires_at": 1_700_000_000_000, "limit_total": "0"}, "EXPIRED"),
    ],
)
def test_an_order_the_rules_refuse(desk: Desk, changes: dict[str, Any], code: str) -> None:
    """It is recorded, and can be asked for."""
    document = desk.refuse(
        lambda: desk.wire.change("POST", "/v1/orders", order(TOKEN, **changes)),
        422,
        code,
        records=1,
    )
    kept = desk.client.order(document["order_id"])
    assert (kept.status, kept.code, kept.filled) == ("refused", code, "0")
    both = {"limit", "actual"} & set(document)
    assert len(both) in {0, 2}


def test_the_numbers_that_decided_are_told(desk: Desk) -> None:
    asked = order(TOKEN, notional="3000", limit_total="1000")
    document = desk.refuse(
        lambda: desk.wire.change("POST", "/v1/orders", asked), 422, "ACCOUNT_SHARE", records=1
    )
    # A tenth of what 10,000 in main and at most a quarter of that in insurance can back.
    pool = desk.server.operator.pool(TOKEN)
    assert float(document["limit"]) == pytest.approx(float(pool.backing) / 10)
    assert float(document["actual"]) > float(document["limit"])


def test_a_pool_that_is_full(desk: Desk) -> None:
    """What one account may lock at most, another has nearly taken."""
    desk.server.client("paula").open("BTC-SMALL.M-101000-C", "20", limit_total="10")
    asked = order(SMALL, notional="15", limit_total="10")
    document = desk.refuse(
        lambda: desk.wire.change("POST", "/v1/orders", asked), 422, "CAPACITY", records=1
    )
    assert document["actual"] == "17.5"
    assert float(desk.server.operator.pool(SMALL).backing) <= float(document["limit"]) < 17.5


def test_who_has_too_little_or_nothing_at_all(desk: Desk) -> None:
    for account, code in (("pauper", "BALANCE"), ("nobody", "ACCOUNT_UNKNOWN")):
        wire = desk.server.wire(account, "trade", "provide")
        for target, body in (
            ("/v1/orders", order(TOKEN)),
            ("/v1/withdrawals", {"token": TOKEN, "amount": "1"}),
            (f"/v1/pools/{TOKEN}/main/deposits", {"amount": "1"}),
        ):

            def send(wire: Wire = wire, target: str = target, body: object = body) -> Any:
                return wire.change("POST", target, body)

            desk.refuse(send, 422, code, records=1)


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "code", "records"),
    [
        ("POST", "/v1/positions/BAD.M-999/close", {}, 404, "POSITION_UNKNOWN", 1),
        ("POST", "/v1/positions/NO.M-1/close", {}, 404, "POSITION_UNKNOWN", 0),
        ("PATCH", "/v1/positions/BAD.M-999", {"self_funding": True}, 404, "POSITION_UNKNOWN", 1),
        ("POST", "/v1/withdrawals", {"token": TOKEN, "amount": "999999"}, 422, "BALANCE", 1),
        ("POST", "/v1/withdrawals", {"token": "NO.M", "amount": "1"}, 422, "TOKEN_UNKNOWN", 1),
        ("POST", "/v1/withdrawals", {"token": TOKEN, "amount": "0"}, 422, "AMOUNT_NOT_POSITIVE", 1),
        ("POST", f"/v1/pools/{TOKEN}/main/deposits", {"amount": "99999"}, 422, "BALANCE", 1),
        (
            "POST",
            f"/v1/pools/{TOKEN}/main/deposits",
            {"amount": "0"},
            422,
            "AMOUNT_NOT_POSITIVE",
            1,
        ),
        ("POST", "/v1/pools/NO.M/main/deposits", {"amount": "1"}, 404, "NOT_FOUND", 0),
        (
            "POST",
            f"/v1/pools/{TOKEN}/main/redemptions",
            {"shares": "1"},
            422,
            "SHARES_EXCEED_HOLDING",
            1,
        ),
        ("DELETE", "/v1/requests/BAD.M-999", None, 404, "REQUEST_UNKNOWN", 0),
        ("DELETE", "/v1/requests/BAD.M--1", None, 404, "REQUEST_UNKNOWN", 0),
    ],
)
def test_what_else_the_rules_refuse(
    desk: Desk,
    method: str,
    target: str,
    body: object,
    status: int,
    code: str,
    records: int,
) -> None:
    desk.refuse(lambda: desk.wire.change(method, target, body), status, code, records)


@pytest.mark.parametrize(
    ("target", "body", "status", "code", "records"),
    [
        ("tokens", {"token": TOKEN}, 409, "DUPLICATE_REFERENCE", 1),
        ("tokens", {"token": "N.M", "parameters": {"fee": -1}}, 422, "PARAMETERS_INVALID", 1),
        ("tokens", {"token": "N.M", "parameters": {"seed": 0}}, 422, "PARAMETERS_INVALID", 1),
        ("tokens", {"token": "N.M", "parameters": {"stress_vol": 0}}, 422, "PARAMETERS_INVALID", 1),
        ("flush", {"token": TOKEN}, 422, "NOT_DUE", 1),
        ("flush", {"token": "NO.M"}, 422, "TOKEN_UNKNOWN", 1),
        ("pause", {"token": "NO.M"}, 422, "TOKEN_UNKNOWN", 1),
        ("resume", {"token": "NO.M"}, 422, "TOKEN_UNKNOWN", 1),
        ("underlyings", {"symbol": "BTC", "vol": "0.6"}, 409, "DUPLICATE_REFERENCE", 1),
        ("underlyings", {"symbol": "DOGE", "vol": "0.6"}, 422, "UNDERLYING_UNKNOWN", 1),
        (
            "prices",
            {"symbol": "BTC", "price": "1", "published_at": 1},
            422,
            "OBSERVATION_REFUSED",
            1,
        ),
        (
            "prices",
            {"symbol": "DOGE", "price": "1", "published_at": 1},
            422,
            "UNDERLYING_UNKNOWN",
            1,
        ),
        ("withdrawals/0/complete", {}, 404, "WITHDRAWAL_UNKNOWN", 0),
        ("withdrawals/999/complete", {}, 404, "WITHDRAWAL_UNKNOWN", 0),
        ("withdrawals/x/complete", {}, 404, "WITHDRAWAL_UNKNOWN", 0),
        (f"withdrawals/{TOKEN}-0/complete", {}, 404, "WITHDRAWAL_UNKNOWN", 0),
        (f"withdrawals/{TOKEN}-999/complete", {}, 404, "WITHDRAWAL_UNKNOWN", 0),
        (
            "deposits",
            {"account": "carl", "token": TOKEN, "amount": "90000000", "reference": "whale"},
            422,
            "SUPPLY_LIMIT",
            1,
        ),
        (
            "deposits",
            {"account": "carl", "token": "NO.M", "amount": "1", "reference": "lost"},
            422,
            "TOKEN_UNKNOWN",
            1,
        ),
    ],
)
def test_what_the_rules_refuse_an_operator(
    desk: Desk, target: str, body: object, status: int, code: str, records: int
) -> None:
    operator = Wire(desk.server, desk.server.key)
    desk.refuse(
        lambda: operator.change("POST", f"/v1/operator/{target}", body), status, code, records
    )


@pytest.mark.parametrize(
    ("parameters", "detail"),
    [
        ({"stress_vol": 0}, "stress_vol is 0.0, must be from 0.5 to 5.0."),
        ({"stale_sigmas": 1e15}, "stale_sigmas is 1000000000000000.0, must be from 0.0 to 5.0."),
        ({"exit_fee_ppm": 7_000}, "exit_fee_ppm is more than exit_fee_max_ppm."),
    ],
)
def test_a_parameter_that_cannot_be_is_named(
    desk: Desk, parameters: dict[str, float], detail: str
) -> None:
    """One by itself, or two that do not go together."""
    operator = Wire(desk.server, desk.server.key)
    body = {"token": "N.M", "parameters": parameters}
    document = desk.refuse(
        lambda: operator.change("POST", "/v1/operator/tokens", body), 422, "PARAMETERS_INVALID", 1
    )
    assert document["detail"] == detail


def test_a_reference_is_booked_once(desk: Desk) -> None:
    operator = Wire(desk.server, desk.server.key)
    body = {"account": "carl", "token": TOKEN, "amount": "1", "reference": fresh("ref")}
    assert operator.change("POST", "/v1/operator/deposits", body).status_code == 201
    desk.refuse(
        lambda: operator.change("POST", "/v1/operator/deposits", body),
        409,
        "DUPLICATE_REFERENCE",
        records=1,
    )


def test_a_paused_token_takes_no_opens(desk: Desk) -> None:
    operator = desk.server.operator.operator
    operator.pause(TOKEN)
    try:
        desk.refuse(
            lambda: desk.wire.change("POST", "/v1/orders", order(TOKEN)), 422, "PAUSED", records=1
        )
        sold = desk.client.close(desk.position, "1")
        assert sold.status == "filled"
    finally:
        operator.resume(TOKEN)


def test_a_quote_says_why_not(desk: Desk) -> None:
    """It is an answer all the same, with the numbers that decided it."""
    quote = desk.client.quote(CALL.format(TOKEN), "3000", account="carl")
    assert (quote.valid, quote.reason) == (False, "ACCOUNT_SHARE")
    assert float(quote.actual or 0) > float(quote.limit or 0)
    most = desk.client.quote(CALL.format(TOKEN), quote.maximum_notional or "0", account="carl")
    assert most.valid


def test_a_quote_that_is_none(desk: Desk) -> None:
    asked = {"instrument": CALL.format(TOKEN), "side": "open", "notional": "1"}
    for changes, status, code in (
        ({"instrument": LADDER.format(100_500)}, 404, "NOT_FOUND"),
        ({"notional": "-1"}, 400, "MALFORMED"),
        ({"account": "somebody"}, 403, "ACCOUNT_FOREIGN"),
        ({"side": "close"}, 401, "SIGNATURE_MISSING"),
        ({"side": "close", "account": "carl", "instrument": LADDER.format(99_000)}, 404,
         "POSITION_UNKNOWN"),
    ):  # fmt: skip
        answer = desk.wire.send("POST", "/v1/quotes", asked | changes)
        assert_problem(answer, status, code)
    unsigned = Wire(desk.server)
    assert unsigned.send("POST", "/v1/quotes", asked).status_code == 200
    answer = unsigned.send("POST", "/v1/quotes", asked | {"account": "carl"})
    assert_problem(answer, 401, "SIGNATURE_MISSING")
