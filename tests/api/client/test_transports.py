"""Both clients against a server that misbehaves: what is sent again, and how it ends."""

import itertools
import json
import threading
from decimal import Decimal
from typing import Any

import pytest

from api.client import (
    BadRequestError,
    Client,
    ConflictError,
    EvergammaError,
    ForbiddenError,
    MalformedAnswerError,
    NotFoundError,
    ProblemError,
    RateLimitedError,
    RefusedError,
    RequestTimeoutError,
    TransportError,
    UnauthorizedError,
    UnavailableError,
)
from api.signing import KEY
from api.wire import Order, Trade
from tests.api.client.conftest import (
    KEY_ID,
    ORDER,
    SECRET,
    Answering,
    Ask,
    Script,
    give,
    give_bytes,
    give_problem,
    hang_up,
    hang_up_in_the_middle,
)

SERIES = "BTC-TSLA.M-100000-C"
ONCE_FAILED = {
    "hung up": hang_up,
    "hung up in the middle": hang_up_in_the_middle,
    "503": give_problem(503, "NO_WRITER"),
    "503 of a proxy": give_bytes(b"<h1>busy</h1>", "text/html", 503),
    "504 of a proxy": give_bytes(b"", "text/html", 504),
    "429": give_problem(429, "RATE_LIMIT", retry_after="0"),
    "a page": give_bytes(b"<h1>Welcome to the hotel</h1>", "text/html"),
    "half of a body that ends with the connection": give_bytes(b'{"id": "1', "application/json"),
}


def buy(ask: Ask, **more: Any) -> Order:
    """Open a position."""
    return ask("open", SERIES, Decimal("2.50"), limit_total=1, **more)


@pytest.mark.parametrize("failure", ONCE_FAILED)
def test_what_failed_is_sent_again_under_the_same_key(
    ask: Ask, server: Script, failure: str
) -> None:
    server.acts = [ONCE_FAILED[failure], ONCE_FAILED[failure], give(ORDER, 201)]
    order = buy(ask)
    assert isinstance(order, Order)
    assert (order.id, order.filled, order.position_id) == ("17", "2", "3")
    assert len(server.got) == 3
    assert len({got.idempotency_key for got in server.got}) == 1
    assert server.got[0].idempotency_key
    assert len({got.body for got in server.got}) == 1
    assert all(got.is_signed_well for got in server.got)


def test_two_orders_have_two_keys(ask: Ask, server: Script) -> None:
    server.acts = [give(ORDER), give(ORDER)]
    buy(ask)
    buy(ask)
    assert server.got[0].idempotency_key != server.got[1].idempotency_key


def test_a_key_of_the_callers_is_used(ask: Ask, server: Script) -> None:
    server.acts = [hang_up, give(ORDER)]
    buy(ask, idempotency_key="mine-7")
    assert [got.idempotency_key for got in server.got] == ["mine-7", "mine-7"]


def test_a_late_answer_is_not_waited_for(ask: Ask, server: Script) -> None:
    is_over = threading.Event()

    def be_late(connection: Answering) -> None:
        is_over.wait(30)
        hang_up(connection)

    server.acts = [be_late, give(ORDER)]
    assert buy(ask, with_={"timeout": 0.2}).id == "17"
    is_over.set()
    first, second = server.got
    assert first.idempotency_key == second.idempotency_key


def test_silence_is_a_timeout_in_the_end(ask: Ask, server: Script) -> None:
    is_over = threading.Event()

    def be_silent(connection: Answering) -> None:
        is_over.wait(30)
        hang_up(connection)

    server.acts = [be_silent] * 2
    with pytest.raises(RequestTimeoutError) as raised:
        buy(ask, with_={"timeout": 0.1, "retries": 1})
    is_over.set()
    assert isinstance(raised.value, TransportError)
    assert isinstance(raised.value, TimeoutError)
    assert len(server.got) == 2


def test_nobody_there(ask: Ask, server: Script) -> None:
    server.acts = [hang_up] * 3
    with pytest.raises(TransportError, match="POST /v1/orders") as raised:
        buy(ask, with_={"retries": 2})
    assert raised.value.__cause__ is not None
    assert len(server.got) == 3


def test_what_keeps_failing_is_told(ask: Ask, server: Script) -> None:
    server.acts = [give_problem(503, "BATCH_LOST")] * 2
    with pytest.raises(UnavailableError) as raised:
        buy(ask, with_={"retries": 1})
    assert raised.value.code == "BATCH_LOST"
    assert len(server.got) == 2


def test_a_page_is_no_answer(ask: Ask, server: Script) -> None:
    server.acts = [give({"something": "else"})]
    with pytest.raises(MalformedAnswerError, match="Order"):
        buy(ask, with_={"retries": 0})


def test_a_long_ban_is_not_waited_for(ask: Ask, server: Script) -> None:
    server.acts = [give_problem(429, "RATE_LIMIT", retry_after="3600")]
    with pytest.raises(RateLimitedError) as raised:
        buy(ask)
    assert raised.value.retry_after == 3600
    assert len(server.got) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, UnauthorizedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (422, RefusedError),
        (418, ProblemError),
        (500, ProblemError),
    ],
)
def test_a_problem_is_told_at_once(
    ask: Ask, server: Script, status: int, kind: type[ProblemError]
) -> None:
    server.acts = [give_problem(status, "CAPACITY", limit="1", actual="2", order_id="8")]
    with pytest.raises(kind, match="because of CAPACITY") as raised:
        buy(ask)
    problem = raised.value
    assert type(problem) is kind
    assert isinstance(problem, EvergammaError)
    assert (problem.status, problem.code, problem.request_id) == (status, "CAPACITY", "r-9")
    assert (problem.field, problem.limit, problem.actual) == (None, "1", "2")
    assert (problem.order_id, problem.retry_after) == ("8", None)
    assert len(server.got) == 1


def test_an_error_without_a_document_keeps_its_text(ask: Ask, server: Script) -> None:
    page = give_bytes(b"<b>no\n  way</b>", "text/html", 403, EG_Request="r-1")
    server.acts = [page]
    with pytest.raises(ForbiddenError) as raised:
        buy(ask)
    problem = raised.value
    assert (problem.code, problem.detail, problem.request_id) == ("", "<b>no way</b>", "r-1")


def test_a_wrong_clock_is_set_once(ask: Ask, server: Script) -> None:
    server.checks_time = True
    server.ahead_ms = -3_600_000
    server.acts = [give(ORDER)]
    assert buy(ask).id == "17"
    first, clock, again = server.got
    assert clock.target == "/v1/time"
    assert KEY not in clock.headers
    assert first.idempotency_key == again.idempotency_key
    assert first.is_signed_well
    assert again.is_signed_well


def test_a_clock_that_stays_wrong_is_told(ask: Ask, server: Script) -> None:
    server.acts = [give_problem(401, "TIMESTAMP_OUT_OF_WINDOW")] * 2
    with pytest.raises(UnauthorizedError):
        buy(ask)
    assert [got.target for got in server.got] == ["/v1/orders", "/v1/time", "/v1/orders"]


def test_the_clock_is_kept_right_for_later_calls(server: Script) -> None:
    server.checks_time = True
    server.ahead_ms = 60_000
    server.acts = [give(ORDER), give(ORDER)]
    with Client(server.url, KEY_ID, SECRET) as client:
        client.order("17")
        client.order("17")
    assert len(server.got) == 4


def test_reads_are_sent_again_too(ask: Ask, server: Script) -> None:
    server.acts = [hang_up, give(ORDER)]
    assert ask("order", "17").status == "filled"
    assert [got.idempotency_key for got in server.got] == ["", ""]


def test_a_queued_close_is_an_answer(ask: Ask, server: Script) -> None:
    server.acts = [give({**ORDER, "status": "queued", "side": "close"}, 202)]
    assert ask("close", "3", "0.5").status == "queued"
    (got,) = server.got
    assert got.target == "/v1/positions/3/close"
    assert json.loads(got.body)["notional"] == "0.5"


def trade(number: int) -> dict[str, Any]:
    """Return a trade."""
    names = ("instrument", "side", "notional", "total", "fee", "index", "position_id", "client_id")
    return {
        **{name: ORDER[name] for name in names},
        "id": str(number),
        "exchange_time": number,
        "price": "0.025",
    }


def test_a_list_goes_across_its_pages(ask: Ask, server: Script) -> None:
    server.acts = [
        give({"items": [trade(5), trade(4)], "next": "a b&c=/é"}),
        hang_up,
        give({"items": [trade(3)], "next": "x"}),
        give({"items": [], "next": None}),
    ]
    found = ask("trades")
    assert all(isinstance(each, Trade) for each in found)
    assert [each.id for each in found] == ["5", "4", "3"]
    cursor = "/v1/account/trades?cursor=a+b%26c%3D%2F%C3%A9"
    assert [got.target for got in server.got] == [
        "/v1/account/trades",
        cursor,
        cursor,
        "/v1/account/trades?cursor=x",
    ]
    assert all(got.is_signed_well for got in server.got)


def test_a_page_is_asked_for_when_it_is_come_to(server: Script) -> None:
    server.acts = [give({"items": [trade(5), trade(4)], "next": "n"})]
    with Client(server.url) as client:
        trades = client.trades()
        assert not server.got
        assert [each.id for each in itertools.islice(trades, 2)] == ["5", "4"]
    assert len(server.got) == 1


def test_whole_pages_from_a_cursor_on(server: Script) -> None:
    server.acts = [give({"items": [trade(1)], "next": None})]
    with Client(server.url) as client:
        (page,) = client.public_trades("TSLA.M").pages("c-4", limit=50)
    assert (page.items[0].id, page.next) == ("1", None)
    assert server.got[0].target == "/v1/trades?token=TSLA.M&cursor=c-4&limit=50"


def test_without_a_key_nothing_is_signed(server: Script) -> None:
    server.acts = [give(ORDER)]
    with Client(server.url) as client:
        client.order("17")
    assert KEY not in server.got[0].headers


def test_what_is_sent_is_what_is_signed_whatever_the_name(ask: Ask, server: Script) -> None:
    server.acts = [give(ORDER)]
    ask("order", "a/../b?c=%41#é ~;@:'")
    (got,) = server.got
    assert got.target == "/v1/orders/a%2F..%2Fb%3Fc%3D%2541%23%C3%A9%20~%3B%40%3A%27"
    assert got.is_signed_well


def test_the_api_may_be_below_a_path(server: Script) -> None:
    server.acts = [give(ORDER)]
    with Client(server.url + "/evergamma/", KEY_ID, SECRET) as client:
        client.order("17")
    assert server.got[0].target == "/evergamma/v1/orders/17"
    assert server.got[0].is_signed_well


def test_operator_calls_go_the_same_way(server: Script) -> None:
    accepted = {"id": "1", "exchange_time": 2}
    server.acts = [hang_up, give(accepted)]
    with Client(server.url, KEY_ID, SECRET) as client:
        assert client.operator.pause("TSLA.M").id == "1"
    first, second = server.got
    assert first.target == "/v1/operator/pause"
    assert first.idempotency_key == second.idempotency_key != ""


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://"])
def test_an_address_must_be_one(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Client(url)


def test_a_key_goes_with_its_secret() -> None:
    with pytest.raises(ValueError, match="secret"):
        Client(key="k-1")
