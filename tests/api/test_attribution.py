"""Why pools have changed since the last flush, as LPs are told at any time."""

from decimal import Decimal

import pytest

from amm.units import MINUTE_MS, ONE
from api.exchange import Exchange
from api.views import pools
from api.wire import Attribution, PoolDetail
from tests.api.conftest import tick
from tests.api.test_verification import ODD, TOKEN, Book
from vaults.commands import DIVIDEND, AnnounceAction, ApplyAction, Close, Open


@pytest.fixture
def book(exchange: Exchange) -> Book:
    """LPs and a position, then an hour in which everything happens that may."""
    made = Book(exchange)
    index = 100_000
    for minute in range(1, 11):
        made.now_ms += MINUTE_MS
        index += 1_000 if minute < 5 else -500
        tick(exchange, made.now_ms, index)
    opened = Open(TOKEN, "buyer", "BTC", "put", 95_000 * ONE, 20 * ONE, 9 * ONE, made.now_ms)
    position = made.do(opened)
    made.do(Close(TOKEN, "buyer", position, 5 * ONE, made.now_ms))
    made.do(AnnounceAction(TOKEN, DIVIDEND, made.now_ms, made.now_ms, amount=ODD))
    made.do(ApplyAction(TOKEN, made.now_ms, "paid"))
    return made


def told(book: Book) -> PoolDetail:
    """Return what anybody is told of the pools."""
    return pools.detail(book.exchange.memory, TOKEN, [], None, book.now_ms)


def total(found: Attribution) -> Decimal:
    """Return the sum of the lines."""
    return sum((Decimal(each) for each in found.lines.values()), Decimal(0))


def assert_whole(pool: PoolDetail) -> None:
    """Check that every unit of the changes has a line."""
    main, insurance = pool.main_attribution, pool.insurance_attribution
    assert main.closed == pool.main.nav_mid
    assert insurance.closed == pool.insurance.cash
    for each in (main, insurance):
        assert total(each) == Decimal(each.closed) - Decimal(each.opened)


def test_every_unit_since_the_last_flush_has_a_line(book: Book) -> None:
    pool = told(book)
    assert_whole(pool)
    lines = {name: Decimal(each) for name, each in pool.main_attribution.lines.items()}
    assert min(lines["premium"], lines["spread"], lines["dividends"]) > 0
    assert 0 not in (lines["delta"], lines["gamma"])
    assert lines["deposits"] == lines["redemptions"] == 0
    book.split(7, 2)
    assert_whole(told(book))


def test_a_flush_begins_anew_and_ends_with_the_same_causes(book: Book) -> None:
    """At the same marks: premium is settled by then, the rest is to the unit as it was told."""
    book.flush(104_000)
    done, now = book.bundle(3).main, told(book).main_attribution
    assert now.opened == done.closed
    assert total(now) == 0
    assert Decimal(done.lines["spread"]) > 0


def test_a_provider_is_told_the_pools(book: Book) -> None:
    """Of each pool there are shares of, with the part that is the account's."""
    pool = told(book)
    shares = pools.provider(book.exchange.memory, "provider", {TOKEN: []}, book.now_ms)
    main, insurance = shares.holdings
    assert main.attribution == pool.main_attribution
    assert insurance.attribution == pool.insurance_attribution
