"""The client and the server together: a day of a trader, of a provider and of an operator."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from decimal import Decimal
from uuid import uuid4

import msgspec
import pytest

from api.client import (
    AsyncClient,
    BadRequestError,
    Client,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    UnauthorizedError,
)
from api.client.calls import Listing
from api.client.operations import Operations
from api.wire import Key, OrderRequest, SurfaceRequest
from tests.benchmarks.serving import TOKEN, Server

SURFACE = SurfaceRequest(
    symbol="BTC", long_vol="0.5", reversion="12", skew="-0.1", curvature="0.05"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a simulated feed."""
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running
        running.assert_conserved()


@pytest.fixture(scope="module")
def operator(server: Server) -> Iterator[Client]:
    """The operator's client."""
    with server.operator_client() as client:
        yield client


@pytest.fixture
def key(operator: Client) -> Key:
    """A key of a new account with 100 tokens, that may do everything but operate."""
    account = f"someone-{uuid4()}"
    operator.operator.credit(account, TOKEN, 100, f"deposit-{account}")
    return operator.operator.make_key(account, ["read", "trade", "provide"], "test")


@pytest.fixture
def client(server: Server, key: Key) -> Iterator[Client]:
    """A client of the new account."""
    with Client(server.url, key.id, key.secret) as made:
        yield made


@pytest.fixture
def series(client: Client) -> str:
    """A call near the money."""
    index = client.index("BTC")
    strike = round(float(index.price or 0) / 1_000) * 1_000
    return f"BTC-{TOKEN}-{strike}-C"


def test_a_trader_quotes_opens_and_closes(client: Client, series: str) -> None:
    quote = client.quote(series, Decimal("0.50"))
    assert quote.valid
    bought = client.open(series, "0.5", limit_total="0.25", client_id="first")
    assert (bought.status, bought.filled, bought.client_id) == ("filled", "0.5", "first")
    assert bought.position_id is not None
    (held,) = client.positions()
    assert (held.id, held.instrument, held.notional) == (bought.position_id, series, "0.5")
    assert client.position(held.id).notional == "0.5"
    assert client.set_self_funding(held.id, True).self_funding
    part = client.close(held.id, Decimal("0.2"))
    rest = client.close(held.id, limit_total="0.0001")
    assert [part.filled, rest.filled] == ["0.2", "0.3"]
    assert list(client.positions()) == []
    assert [trade.side for trade in client.trades()] == ["close", "close", "open"]
    assert client.order(bought.id) == bought
    assert next(client.public_trades(TOKEN)).id == rest.id


def test_money_comes_in_and_goes_out(client: Client, operator: Client, key: Key) -> None:
    (balance,) = client.account().balances
    assert (balance.token, balance.balance) == (TOKEN, "100")
    (deposit,) = client.deposits()
    assert deposit.amount == "100"
    asked = client.withdraw(TOKEN, "12.5")
    assert asked.status == "pending"
    paid = operator.operator.complete_withdrawal(asked.id, "paid-out-1")
    assert (paid.status, paid.reference) == ("completed", "paid-out-1")
    assert [each.id for each in client.withdrawals()] == [asked.id]
    assert operator.account(key.account).balances[0].balance == "87.5"
    assert len(list(client.ledger())) >= 2


def test_a_provider_offers_and_takes_back(client: Client) -> None:
    asked = client.deposit(TOKEN, "main", "10", "0.000001")
    assert (asked.kind, asked.amount, asked.status) == ("deposit", "10", "open")
    seen = client.request(asked.id)
    assert (seen.ahead, seen.beside) == ("0", "0")  # its place is not in the first answer
    place = ("ahead", "beside", "fill_flush", "fill_expected")
    assert msgspec.structs.replace(seen, **dict.fromkeys(place)) == asked
    assert [each.id for each in client.requests()] == [asked.id]
    assert client.cancel_request(asked.id).status == "cancelled"
    with pytest.raises(RefusedError, match="SHARES_EXCEED_HOLDING"):
        client.redeem(TOKEN, "insurance", 1)
    assert client.provider().account == client.account().account


def test_orders_in_one_request_have_results_of_their_own(client: Client, series: str) -> None:
    good = OrderRequest(instrument=series, side="open", notional="0.1", limit_total="0.1")
    bad = msgspec.structs.replace(good, limit_total="0.0001")
    filled, refused = client.place_all([good, bad]).results
    assert filled.order is not None
    assert filled.order.status == "filled"
    assert (refused.status, refused.order) == (422, None)
    assert refused.problem is not None
    assert refused.problem.code == "PRICE_LIMIT"
    sold = client.place(msgspec.structs.replace(good, side="close", limit_total="0"))
    assert sold.filled == "0.1"


def test_the_same_key_is_done_once(client: Client, series: str) -> None:
    mine = str(uuid4())
    first = client.open(series, "0.1", limit_total="0.1", idempotency_key=mine)
    assert client.open(series, "0.1", limit_total="0.1", idempotency_key=mine) == first
    with pytest.raises(ConflictError) as raised:
        client.open(series, "0.2", limit_total="0.1", idempotency_key=mine)
    assert raised.value.code == "IDEMPOTENCY_CONFLICT"
    assert len(list(client.trades())) == 1


def test_a_refusal_has_its_numbers_and_its_order(client: Client, series: str) -> None:
    with pytest.raises(RefusedError) as raised:
        client.open(series, "1", limit_total="0.000001")
    refused = raised.value
    assert (refused.code, refused.limit) == ("PRICE_LIMIT", "0.000001")
    assert float(refused.actual or 0) > 0.001
    assert refused.order_id is not None
    assert client.order(refused.order_id).status == "refused"


def test_what_is_malformed_or_nowhere_is_told_so(client: Client, series: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.open(series, "-1", limit_total="1")
    assert raised.value.request_id
    with pytest.raises(NotFoundError):
        client.order("999999999")


def test_keys_have_roles_and_an_end(server: Server, operator: Client, key: Key) -> None:
    with Client(server.url, key.id, "0" * 64) as forger, pytest.raises(UnauthorizedError):
        forger.account()
    with Client(server.url, key.id, key.secret) as client:
        with pytest.raises(ForbiddenError):
            client.operator.pause(TOKEN)
        assert key.id in {each.id for each in operator.operator.keys()}  # noqa: SIM118 - no dictionary
        assert operator.operator.revoke_key(key.id).revoked is not None
        with pytest.raises(UnauthorizedError) as raised:
            client.account()
    assert raised.value.code == "KEY_REVOKED"


def test_an_operator_pauses_lists_and_publishes(
    operator: Client, client: Client, series: str
) -> None:
    operator.operator.pause(TOKEN)
    assert client.pool(TOKEN).state == "PAUSED"
    with pytest.raises(RefusedError):
        client.open(series, "0.1", limit_total="0.1")
    operator.operator.resume(TOKEN)
    listed = operator.operator.list_token("NVDA.M", {"notional_min": 2_000_000})
    assert listed.notional_min == "0.02"
    assert [each.token for each in client.pools()] == ["NVDA.M", TOKEN]
    assert int(operator.operator.publish_surface(SURFACE).id) > 0
    price, now = client.index("BTC").price, client.time().exchange_time
    assert price is not None
    assert operator.operator.publish_price("BTC", price, now).symbol == "BTC"


def test_a_wrong_clock_is_set_by_the_servers(server: Server, key: Key) -> None:
    with Client(server.url, key.id, key.secret) as client:
        client.session.clock = lambda: time.time_ns() // 1_000_000 - 86_400_000
        assert client.account().account == key.account
        assert abs(client.session.clock_offset_ms - 86_400_000) < 60_000


WHOLE = {"problems", "underlyings"}
"""Lists that are never longer than a page."""
OF_A_TOKEN = {"pool_history", "flushes", "public_trades"}
LISTINGS = [name for name, each in vars(Operations).items() if isinstance(each, Listing)]


@pytest.mark.parametrize("name", LISTINGS)
def test_every_list_can_be_read_in_pages(client: Client, series: str, name: str) -> None:
    client.open(series, "0.1", limit_total="0.1")
    client.open(series, "0.1", limit_total="0.1")
    method = getattr(client, name)
    given = [TOKEN] if name in OF_A_TOKEN else [series] if name == "mark_history" else []
    limit = None if name in WHOLE else 1
    first = list(itertools.islice(method(*given).pages(limit=limit), 3))
    whole = list(itertools.islice(method(*given), 300))
    assert len({type(each) for each in whole}) <= 1
    if name not in WHOLE:
        assert all(len(page.items) <= 1 for page in first)
    assert len(first) > 1 or len(whole) == len(first[0].items)


def test_asyncio_trades_as_well(server: Server, key: Key, series: str) -> None:
    async def day() -> list[str]:
        async with AsyncClient(server.url, key.id, key.secret) as client:
            opened = await asyncio.gather(
                *(client.open(series, "0.1", limit_total="0.1") for _ in range(10))
            )
            assert len({order.id for order in opened}) == 10
            (held,) = [position async for position in client.positions()]
            assert held.notional == "1"
            await client.close(held.id)
            return [trade.side async for trade in client.trades()]

    assert asyncio.run(day()) == ["close", *["open"] * 10]
