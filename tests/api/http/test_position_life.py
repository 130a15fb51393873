"""A position from its quote to the money's way out, every number against the ledger's."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from amm.units import DAY_MS
from api.client import Client, ConflictError, NotFoundError, RefusedError
from api.wire import LedgerLine, OrderRequest, Position
from tests.api.http.harness import CALL, Server, balance_of, fresh, order, total, until

TOKEN = "LIFE.M"
SERIES = CALL.format(TOKEN)


@dataclass
class Trader:
    """An account of its own in the token, and a client for it."""

    server: Server
    name: str
    client: Client

    @property
    def balance(self) -> Decimal:
        """What is free, premium owed included."""
        return Decimal(balance_of(self.client.account(), TOKEN)["balance"])

    @property
    def ledger(self) -> list[LedgerLine]:
        """Every line, newest first."""
        return list(self.client.ledger())

    def assert_booked(self) -> None:
        """Check that the lines of the ledger add up to the balance."""
        with self.server.pusher.held():
            lines, balance = self.ledger, self.balance
        received = total(line.amount for line in lines if line.credited == "balances")
        paid = total(line.amount for line in lines if line.debited == "balances")
        assert received - paid == balance

    def lines_of(self, order_id: str | None) -> dict[str, str]:
        """Return what an order moved, by what for."""
        lines = [line for line in self.ledger if line.id.split(".")[0] == order_id]
        return {line.flow: line.amount for line in lines if not line.flow.startswith("premium")}


@pytest.fixture(scope="module")
def _token(server: Server) -> Iterator[list[Client]]:
    """List the token; afterwards whatever came in is somewhere."""
    server.list_token(TOKEN)
    clients: list[Client] = []
    yield clients
    server.assert_conserved(TOKEN, clients)


@pytest.fixture
def trader(server: Server, _token: list[Client]) -> Trader:
    """Give somebody new a hundred tokens."""
    name = fresh("trader")
    server.credit(name, TOKEN, "100")
    client = server.client(name)
    _token.append(client)
    return Trader(server, name, client)


def pool_cash(server: Server) -> tuple[Decimal, Decimal]:
    pool = server.operator.pool(TOKEN)
    return Decimal(pool.main.cash), Decimal(pool.insurance.cash)


def test_from_the_quote_to_the_way_out(trader: Trader) -> None:
    client = trader.client
    held = buy(trader)
    hold(client, held)
    sell_a_part(trader, held)

    more = client.open(SERIES, "7.5", limit_total="1")
    assert more.position_id == held.id
    assert client.position(held.id).notional == "22.5"
    assert len(list(client.positions())) == 1

    rest = client.close(held.id)
    assert (rest.filled, rest.position_id) == ("22.5", held.id)
    assert list(client.positions()) == []
    for ask in (client.position, client.close):
        with pytest.raises(NotFoundError, match="POSITION_UNKNOWN"):
            ask(held.id)
    trader.assert_booked()

    paid = total(each.total for each in client.trades() if each.side == "open")
    received = total(each.total for each in client.trades() if each.side == "close")
    settled = total(each.amount for each in client.premium_payments())
    assert trader.balance == 100 - paid + received - settled
    lines = (each for each in trader.ledger if each.flow.startswith("premium"))
    assert settled == total(each.amount for each in lines)
    leave(trader, str(trader.balance))


def buy(trader: Trader) -> Position:
    """Open twenty at what was quoted, and see it everywhere."""
    server, client = trader.server, trader.client
    with server.pusher.held():
        server.pusher.push("BTC")
        main, insurance = pool_cash(server)
        quote = client.quote(SERIES, "20", account=trader.name)
        opened = client.open(SERIES, "20", limit_total="1", client_id="first")
        part = Decimal(opened.total) - Decimal(opened.fee)
        assert pool_cash(server) == (main + part, insurance)
    assert (quote.valid, quote.lock, opened.status) == (True, "10", "filled")
    assert (opened.client_id, opened.index, opened.filled) == ("first", quote.index, "20")
    assert float(opened.total) == pytest.approx(float(quote.total), rel=0.05)
    parts = total([quote.mid, quote.impact, quote.spread, quote.fee])
    assert abs(parts - Decimal(quote.total)) <= Decimal("0.00000003")
    assert trader.lines_of(opened.id) == {"open": str(part), "fee": opened.fee}
    assert trader.balance == 100 - Decimal(opened.total)
    trader.assert_booked()
    assert opened.position_id is not None
    held = client.position(opened.position_id)
    assert (held.instrument, held.notional, held.lock) == (SERIES, "20", "10")
    assert (held.self_funding, held.id) == (False, opened.position_id)
    assert [each.id for each in client.positions()] == [held.id]
    assert [each.id for each in client.trades()] == [opened.id]
    return held


def hold(client: Client, held: Position) -> None:
    """Let premium stream as prices come, at the rate that is told; then change how it is paid."""
    owed = Decimal(held.premium_owed)
    begun_ms = client.account().exchange_time
    streamed = until(lambda: Decimal(client.position(held.id).premium_owed) - owed)
    # What was owed may be that of the last price, before it was asked for.
    taken_ms = client.account().exchange_time - begun_ms + 10_000
    assert 0 < float(streamed) <= 1.1 * float(held.premium_per_day) * taken_ms / DAY_MS
    assert client.set_self_funding(held.id, self_funding=True).self_funding
    assert client.position(held.id).self_funding
    assert not client.set_self_funding(held.id, self_funding=False).self_funding


def sell_a_part(trader: Trader, held: Position) -> None:
    """Sell five for what the order says; premium is settled on the way."""
    before = trader.balance
    sold = trader.client.close(held.id, "5", client_id="some")
    premium = premium_of(trader, sold.id)
    assert (sold.side, sold.filled, sold.client_id) == ("close", "5", "some")
    assert premium > 0
    assert trader.balance == before + Decimal(sold.total) - premium
    assert trader.lines_of(sold.id) == {"close": sold.total, "fee": sold.fee}
    assert trader.client.position(held.id).notional == "15"
    trader.assert_booked()


def premium_of(trader: Trader, order_id: str) -> Decimal:
    """Return the premium that was settled with an order."""
    lines = trader.client.premium_payments()
    return total(line.amount for line in lines if line.id.split(".")[0] == order_id)


def leave(trader: Trader, amount: str) -> None:
    """Withdraw all there is; nothing of it can be withdrawn, or paid out, twice."""
    client, operator = trader.client, trader.server.operator.operator
    asked = client.withdraw(TOKEN, amount)
    assert (asked.status, asked.amount, asked.completed) == ("pending", amount, None)
    assert trader.balance == 0
    with pytest.raises(RefusedError, match="BALANCE"):
        client.withdraw(TOKEN, "0.00000001")
    reference = fresh("paid")
    done = operator.complete_withdrawal(asked.id, reference)
    assert (done.status, done.reference, done.amount) == ("completed", reference, amount)
    assert done.completed is not None
    assert list(client.withdrawals()) == [done]
    with pytest.raises(ConflictError, match="WITHDRAWAL_COMPLETED"):
        operator.complete_withdrawal(asked.id, fresh("paid"))
    with pytest.raises(ConflictError, match="DUPLICATE_REFERENCE"):
        operator.credit(trader.name, TOKEN, "1", reference)
    trader.assert_booked()


def test_a_close_by_instrument_is_a_close_of_the_position(trader: Trader) -> None:
    client = trader.client
    opened = client.open(SERIES, "4", limit_total="1")
    for notional in ("1", "3"):
        sold = client.place(msgspec.convert(order(TOKEN, "close", notional=notional), OrderRequest))
        assert (sold.status, sold.position_id) == ("filled", opened.position_id)
    assert list(client.positions()) == []
    trader.assert_booked()


def test_what_would_be_left_below_the_minimum_is_sold_too(trader: Trader) -> None:
    opened = trader.client.open(SERIES, "1", limit_total="1")
    sold = trader.client.close(opened.position_id or "", "0.995")
    assert (sold.notional, sold.filled) == ("0.995", "1")
    assert list(trader.client.positions()) == []


def test_what_is_kept_for_premium_cannot_be_withdrawn(trader: Trader) -> None:
    client = trader.client
    client.open(SERIES, "50", limit_total="10")
    (balance,) = client.account().balances
    kept = float(balance.balance) - float(balance.withdrawable)
    hour = float(balance.premium_per_day) / 24
    assert kept == pytest.approx(hour + float(balance.premium_owed), rel=1e-3)
    with pytest.raises(RefusedError, match="BALANCE") as refused:
        client.withdraw(TOKEN, balance.balance)
    assert refused.value.actual == balance.balance


def test_the_account_adds_up(trader: Trader) -> None:
    trader.client.open(SERIES, "10", limit_total="1")
    with trader.server.pusher.held():
        (balance,) = trader.client.account().balances
        (held,) = trader.client.positions()
    assert balance.positions_value == held.value
    equity = Decimal(balance.balance) - Decimal(balance.premium_owed) + Decimal(held.value)
    assert Decimal(balance.equity) == equity
    assert balance.premium_per_day == held.premium_per_day
    days = (float(balance.balance) - float(balance.premium_owed)) / float(held.premium_per_day)
    assert float(balance.days_covered or 0) == pytest.approx(days, rel=1e-4)
    assert float(held.value) == pytest.approx(10 * float(held.mark), abs=1e-7)


# -- lists


@pytest.fixture(scope="module")
def busy(server: Server, _token: list[Client]) -> Client:
    """Somebody who has traded a lot, in several series, and been refused now and then."""
    server.credit("busy", TOKEN, "500")
    client = server.client("busy")
    _token.append(client)
    for number in range(12):
        client.open(f"BTC-{TOKEN}-{95_000 + 1_000 * number}-C", "1", limit_total="1")
        time.sleep(0.002)
        if number % 4 == 0:
            with pytest.raises(RefusedError):
                client.open(SERIES, "1", limit_total="0")
    for each in list(client.positions())[:5]:
        client.close(each.id, "0.5")
    for number in range(4):
        client.withdraw(TOKEN, f"0.{number + 1}")
        server.credit("busy", TOKEN, f"0.{number + 1}")
    for number in range(5):
        asked = client.deposit(TOKEN, "insurance" if number % 2 else "main", "1")
        if number > 2:
            client.cancel_request(asked.id)
    return client


LISTS: dict[str, Callable[[Client], Any]] = {
    "orders": lambda client: client.orders(),
    "trades": lambda client: client.trades(),
    "positions": lambda client: client.positions(),
    "premium-payments": lambda client: client.premium_payments(),
    "ledger": lambda client: client.ledger(),
    "deposits": lambda client: client.deposits(),
    "withdrawals": lambda client: client.withdrawals(),
    "requests": lambda client: client.requests(),
    "public trades": lambda client: client.public_trades(TOKEN),
    "instruments": lambda client: client.instruments(token=TOKEN),
    "tickers": lambda client: client.tickers(token=TOKEN),
}


def _number(identity: str) -> tuple[int, ...]:
    return tuple(int(each) for each in identity.rpartition("-")[2].split("."))


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("limit", [1, 3, 500])
def test_page_by_page_each_item_comes_once_and_in_order(
    server: Server, busy: Client, name: str, limit: int
) -> None:
    with server.pusher.held():
        whole = [each for page in LISTS[name](busy).pages(limit=500) for each in page.items]
        pages = list(LISTS[name](busy).pages(limit=limit))
    assert len(whole) >= 4
    ids = [getattr(each, "id", None) or each.instrument for each in whole]
    paged = [getattr(each, "id", None) or each.instrument for page in pages for each in page.items]
    assert paged == ids
    assert len(set(ids)) == len(ids)
    assert all(len(page.items) == limit for page in pages[:-1])
    assert pages[-1].next is None
    if name in {"instruments", "tickers"}:
        return
    numbers = [_number(each) for each in ids]
    if name == "positions":
        assert numbers == sorted(numbers)
    elif name in {"ledger", "premium-payments"}:
        # The newest record first; the lines of one in the order they were made.
        records = [number for number, _ in numbers]
        assert records == sorted(records, reverse=True)
        assert all(a < b for a, b in itertools.pairwise(numbers) if a[0] == b[0])
    else:
        assert numbers == sorted(numbers, reverse=True)


def test_what_comes_in_between_does_not_shift_a_page(busy: Client) -> None:
    """A cursor is a place of the list, not a count of items."""
    first = next(iter(busy.orders().pages(limit=4)))
    whole = [each.id for each in busy.orders()]
    busy.open(SERIES, "1", limit_total="1")
    rest = [each.id for page in busy.orders().pages(first.next, 4) for each in page.items]
    assert [each.id for each in first.items] + rest == whole


def test_refused_orders_are_listed_and_are_no_trades(busy: Client) -> None:
    orders = list(busy.orders())
    refused = [each for each in orders if each.status == "refused"]
    assert {each.code for each in refused} == {"PRICE_LIMIT"}
    assert [each.id for each in busy.trades()] == [
        each.id for each in orders if each.status == "filled"
    ]
    for each in orders:
        assert busy.order(each.id) == each


def test_everybody_sees_the_trades_and_nobody_whose_they_are(busy: Client) -> None:
    public = {each.id: each for each in busy.public_trades(TOKEN)}
    for each in busy.trades():
        seen = public[each.id]
        assert (seen.notional, seen.total, seen.side) == (each.notional, each.total, each.side)
        assert not hasattr(seen, "client_id")
        assert not hasattr(seen, "account")
