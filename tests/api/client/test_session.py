"""The client without a connection: pauses, amounts, the shape of calls, and what it imports."""

import inspect
import json
import math
import subprocess
import sys
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from api import wire
from api.client import Client, RateLimitedError, TransportError, UnavailableError
from api.client.amounts import amount_text
from api.client.calls import Blocking, Call, Items, Listing, Operation, T
from api.client.operations import TIME, Operations, OperatorOperations
from api.client.session import PAUSE_MAX, Pause, Reply, Request, Session, back_off
from api.wire import Order, OrderRequest, Page, SurfaceRequest
from sims.scenarios.file import ScenarioFile

HEAVY = ("numba", "numpy", "scipy", "litestar", "sqlalchemy", "matplotlib", "uvicorn")
CALL = Call("GET", "/v1/orders/1", Order)


def problem(status: int, **headers: str) -> Reply:
    """Return a problem as it comes in."""
    body = {"type": "t", "title": "t", "status": status, "code": "C", "detail": "d"}
    return Reply(status, headers, json.dumps({**body, "request_id": "r"}).encode())


def pauses_of(session: Session, reply: Reply | None) -> list[float]:
    """Return the pauses a session makes that always meets the same."""
    steps = session.steps(CALL)
    pauses = []
    step = next(steps)
    while True:
        assert isinstance(step, Request)
        try:
            pause = steps.throw(TransportError("none")) if reply is None else steps.send(reply)
        except (TransportError, UnavailableError, RateLimitedError):
            return pauses
        assert isinstance(pause, Pause)
        pauses.append(pause.seconds)
        step = next(steps)


@pytest.mark.parametrize("reply", [None, problem(503)])
def test_each_pause_is_up_to_twice_the_last(reply: Reply | None) -> None:
    pauses = pauses_of(Session(retries=12), reply)
    assert len(pauses) == 12
    for number, pause in enumerate(pauses):
        longest = min(0.1 * 2**number, PAUSE_MAX)
        assert longest / 2 <= pause <= longest


@pytest.mark.parametrize("failed", [60, 1_100, 10**9])
def test_a_pause_is_the_longest_however_long_it_goes_on(failed: int) -> None:
    """A stream whose server is away for hours has failed more often than a float can double."""
    assert 7.5 <= back_off(failed, 0.2, 15.0) <= 15.0


def test_callers_who_failed_together_do_not_come_back_together() -> None:
    assert len({pauses_of(Session(retries=1), None)[0] for _ in range(20)}) > 1


@pytest.mark.parametrize("status", [429, 503])
def test_the_server_says_how_long_to_wait(status: int) -> None:
    assert pauses_of(Session(retries=2), problem(status, **{"retry-after": "7"})) == [7.0, 7.0]


def test_a_date_to_retry_after_is_passed_over() -> None:
    dated = problem(503, **{"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"})
    (pause,) = pauses_of(Session(retries=1), dated)
    assert pause <= 0.1


def test_the_clock_is_set_from_half_way() -> None:
    ticks = iter([1_000, 2_000, 2_600, 3_000])
    session = Session("k", "s", clock=lambda: next(ticks))
    steps = session.steps(CALL)
    next(steps)
    wrong = problem(401)
    wrong = Reply(401, {}, wrong.body.replace(b'"C"', b'"TIMESTAMP_OUT_OF_WINDOW"'))
    asked = steps.send(wrong)
    assert isinstance(asked, Request)
    assert asked.target == TIME.target
    again = steps.send(Reply(200, {}, b'{"time": 12300, "exchange_time": 5}'))
    assert isinstance(again, Request)
    assert session.clock_offset_ms == 12_300 - 2_300
    assert again.headers["EG-Timestamp"] == "13000"


def test_a_secret_is_not_shown() -> None:
    assert "hush" not in repr(Session("k", "hush"))


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1.50", "1.50"),
        ("nonsense", "nonsense"),
        (7, "7"),
        (0, "0"),
        (100, "100"),
        (Decimal("2.50"), "2.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-8"), "0.00000001"),
        (Decimal("0.500000000000"), "0.5"),
        (Decimal(100), "100"),
        (Decimal(-1), "-1"),
    ],
)
def test_amounts_are_plain_decimals(amount: Any, text: str) -> None:
    assert amount_text(amount) == text


@pytest.mark.parametrize("amount", [1.5, 0.0, math.nan, True, None, b"1"])
def test_a_float_is_no_amount(amount: Any) -> None:
    with pytest.raises(TypeError, match=r"is not an amount|is a float"):
        amount_text(amount)


@pytest.mark.parametrize("amount", [Decimal("NaN"), Decimal("Infinity")])
def test_an_amount_is_finite(amount: Decimal) -> None:
    with pytest.raises(ValueError, match="finite"):
        amount_text(amount)


ORDER = OrderRequest(instrument="BTC-TSLA.M-1-C", side="open", notional="1", limit_total="1")
SURFACE = SurfaceRequest(symbol="BTC", long_vol="0.5", reversion="1", skew="-0.1", curvature="1")
WALLET = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
ARGUMENTS: dict[str, Any] = {
    "stock": "100",
    "symbol": "BTC",
    "token": "TSLA.M",
    "instrument": "BTC-TSLA.M-100000-C",
    "number": 1,
    "notional": 1,
    "limit_total": "1",
    "position_id": "1",
    "order": ORDER,
    "orders": [ORDER],
    "order_id": "1",
    "self_funding": True,
    "amount": 1,
    "pool": "main",
    "shares": 1,
    "request_id": "1",
    "account": "ann",
    "reference": "r-1",
    "withdrawal_id": "TSLA.M-1",
    "price": 1,
    "vol": Decimal("0.5"),
    "published_at": 1_760_011_200_000,
    "surface": SURFACE,
    "roles": ["read"],
    "key_id": "k",
    "parameters": {"fee": 0.001},
    "effective_at": 1_760_011_200_000,
    "numerator": 3,
    "denominator": 2,
    "target": "TSLA.M~2",
    "address": WALLET,
    "message": "m",
    "signature": "0x" + 130 * "0",
    "label": "cold",
    "destination_id": "wd_1",
    "scenario": {"name": "calm"},
    "simulation_id": "sim_1",
}
BODIES = {
    "POST /v1/quotes": "QuoteRequest",
    "POST /v1/orders": "OrderRequest",
    "POST /v1/orders/batch": "BatchRequest",
    "POST /v1/positions/1/close": "CloseRequest",
    "PATCH /v1/positions/1": "PositionPatch",
    "POST /v1/withdrawals": "WithdrawalRequest",
    "POST /v1/withdrawal-destinations": "DestinationRequest",
    "DELETE /v1/withdrawal-destinations/wd_1": None,
    "POST /v1/withdrawal-list": "ListSwitch",
    "POST /v1/transfers": "TransferRequest",
    "POST /v1/login/challenge": "ChallengeRequest",
    "POST /v1/login": "LoginRequest",
    "POST /v1/keys": "OwnKeyRequest",
    "POST /v1/keys/rotate": "RotationRequest",
    "DELETE /v1/keys/k": None,
    "POST /v1/pools/TSLA.M/main/deposits": "PoolDepositRequest",
    "POST /v1/pools/TSLA.M/main/redemptions": "RedemptionRequest",
    "DELETE /v1/requests/1": None,
    "POST /v1/risk/simulations": "ScenarioFile",
    "DELETE /v1/risk/simulations/sim_1": None,
    "POST /v1/operator/deposits": "DepositRequest",
    "POST /v1/operator/withdrawals/TSLA.M-1/complete": "CompletionRequest",
    "POST /v1/operator/tokens": "ListingRequest",
    "POST /v1/operator/parameters": "ParametersRequest",
    "POST /v1/operator/corporate-actions": "CorporateActionRequest",
    "DELETE /v1/operator/corporate-actions/TSLA.M": None,
    "POST /v1/operator/corporate-actions/TSLA.M/apply": "ApplicationRequest",
    "POST /v1/operator/pause": "TokenRequest",
    "POST /v1/operator/resume": "TokenRequest",
    "POST /v1/operator/underlyings": "UnderlyingRequest",
    "POST /v1/operator/prices": "PriceRequest",
    "POST /v1/operator/stock-prices": "StockPriceRequest",
    "POST /v1/operator/allow-deposits": "TokenRequest",
    "POST /v1/operator/surfaces": "SurfaceRequest",
    "POST /v1/operator/flush": "TokenRequest",
    "POST /v1/operator/keys": "KeyRequest",
    "POST /v1/operator/keys/k/rotate": "RotationRequest",
    "DELETE /v1/operator/keys/k": None,
}
"""What each request that is not a GET must be able to be read as."""
NO_KEY = {"POST /v1/quotes", "POST /v1/login/challenge", "POST /v1/login"}
"""What needs no idempotency key."""


class Recorder(Blocking):
    """Carries nothing out; keeps the last call."""

    def perform(self, call: Call[T]) -> T:
        """Keep a call; answer an empty page."""
        self.call: Call[Any] = call
        return msgspec.convert({"items": [], "next": None}, Page[Any])


class RecordedOperations(Operations, Recorder):
    """Everybody's methods."""


class RecordedOperatorOperations(OperatorOperations, Recorder):
    """The operator's methods."""


def methods(client: Recorder) -> list[str]:
    """Return the names of a client's operations and listings."""
    kind = type(client).__mro__[1]
    return [name for name, each in vars(kind).items() if isinstance(each, Operation | Listing)]


def recorded(client: Recorder, name: str, **more: Any) -> Call[Any]:
    """Return the call of a method, given what it must be given."""
    method = getattr(client, name)
    required = {
        parameter.name: ARGUMENTS[parameter.name]
        for parameter in inspect.signature(method).parameters.values()
        if parameter.default is parameter.empty
    }
    answer = method(**required, **more)
    if isinstance(answer, Items):
        assert list(answer) == []
    return client.call


CLIENTS = [RecordedOperations(), RecordedOperatorOperations()]
METHODS = [(client, name) for client in CLIENTS for name in methods(client)]


@pytest.mark.parametrize(("client", "name"), METHODS, ids=[name for _, name in METHODS])
def test_every_method_sends_what_the_contract_takes(client: Recorder, name: str) -> None:
    call = recorded(client, name)
    assert getattr(type(client), name).__doc__
    assert call.target.startswith("/v1/")
    msgspec.json.Decoder(call.answer)  # it is a type that can be read
    request = f"{call.method} {call.target}"
    if call.method == "GET":
        assert not call.body
        assert not call.idempotency_key
        return
    body = BODIES[request]
    if body is not None:
        kind = ScenarioFile if body == "ScenarioFile" else getattr(wire, body)
        msgspec.json.decode(call.body, type=kind)
    if request not in NO_KEY:
        assert call.idempotency_key
        assert recorded(client, name, idempotency_key="mine").idempotency_key == "mine"


def test_every_request_that_is_not_a_get_is_made_by_a_method() -> None:
    made = {f"{call.method} {call.target}" for call in (recorded(*each) for each in METHODS)}
    assert {each for each in made if not each.startswith("GET")} == set(BODIES)


def test_a_float_is_refused_before_anything_is_sent() -> None:
    client = Client("http://127.0.0.1:1")
    with pytest.raises(TypeError, match="float"):
        client.open("BTC-TSLA.M-1-C", 0.1, limit_total="1")


def test_a_limit_is_not_optional() -> None:
    with pytest.raises(TypeError, match="limit_total"):
        Client("http://127.0.0.1:1").open("BTC-TSLA.M-1-C", 1)


def test_the_import_is_light() -> None:
    code = "import sys, api.client; print(*sys.modules)"
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name.partition(".")[0] for name in ran.stdout.split()}
    assert "httpx" in loaded
    assert not loaded.intersection(HEAVY)
