"""Returns with their error, drawdowns, and places in the queue: by hand on small cases."""

import json
import math
from hashlib import sha256

import pytest

from amm.units import DAY_MS, ONE
from api.exchange import Exchange
from api.journal import read_outcome
from api.views import pools
from api.views.numbers import fixed
from api.views.performance import Growth, drawdown, growth, realised
from api.views.queue import Standing, places
from tests.api.conftest import START_MS, TOKEN
from tests.api.test_verification import TOKEN as ODD_TOKEN
from tests.api.test_verification import Book
from vaults.commands import Flush, Request
from vaults.condition import Condition
from vaults.ledger import post
from vaults.moves import Move, RequestKind
from vaults.nav import Nav


def days(*factors: float) -> list[Growth]:
    """Return one growth a day."""
    return [Growth(day * DAY_MS, factor) for day, factor in enumerate(factors)]


def test_a_rate_is_the_logarithm_of_growth_a_year() -> None:
    """What the first flush brought took nobody knows how long, so it does not count."""
    found = realised(days(7.0, 1.01, 1.01, 1.01))
    assert found.rate == pytest.approx(math.log(1.01) * 365)
    assert found.error == pytest.approx(0.0, abs=1e-9)


def test_its_error_comes_from_the_changes() -> None:
    """It is s sqrt(n) over the years: two days of +1 and -1 per cent say nothing about a year."""
    found = realised(days(1.0, math.exp(0.01), math.exp(-0.01)))
    assert found.rate == pytest.approx(0.0, abs=1e-12)
    assert found.error == pytest.approx(math.sqrt(2.0) * 0.01 * math.sqrt(2.0) / (2 / 365))


@pytest.mark.parametrize(
    ("found", "has_rate"),
    [([], False), (days(1.0), False), (days(1.0, 1.1), True), (days(1.0, 1.1, 0.0), False)],
)
def test_too_few_changes_have_no_error(found: list[Growth], has_rate: bool) -> None:
    """And a pool that has lost everything no rate."""
    rate = realised(found)
    assert math.isnan(rate.rate) is not has_rate
    assert math.isnan(rate.error)


def test_drawdown_is_from_the_highest() -> None:
    assert drawdown([1.1, 0.9, 0.9, 1.2]) == (
        pytest.approx(1 - 0.9 * 0.9 * 1.2),
        pytest.approx(1 - 0.81),
    )
    assert drawdown([]) == (0.0, 0.0)
    assert drawdown([1.2, 0.0]) == (1.0, 1.0)


def test_growth_counts_by_share() -> None:
    """A deposit at the NAV changes nothing; a pool under water has grown to nothing."""
    assert growth(100 * ONE, 100 * ONE, 150 * ONE, 150 * ONE) == pytest.approx(1.0)
    assert growth(100 * ONE, 100 * ONE, 110 * ONE, 100 * ONE) == pytest.approx(1.1, rel=1e-6)
    assert growth(100 * ONE, 100 * ONE, -ONE, 100 * ONE) == 0.0


@pytest.fixture
def queued(exchange: Exchange) -> Exchange:
    """A provider with 500 shares who redeems 100, and after the cut-off 50 more."""
    due = int(exchange.memory.tokens[TOKEN].state.pool[0].next_flush_ms)
    deposit, redeem = int(RequestKind.DEPOSIT_MAIN), int(RequestKind.REDEEM_MAIN)
    exchange.execute(Request(TOKEN, "provider", deposit, 500 * ONE, START_MS + 60_001), "in")
    exchange.execute(Flush(TOKEN, due), "flush")
    exchange.execute(Request(TOKEN, "provider", redeem, 100 * ONE, due + 1), "out")
    late = due + DAY_MS - 1
    exchange.execute(Request(TOKEN, "provider", redeem, 50 * ONE, late), "late")
    exchange.commit()
    return exchange


@pytest.mark.parametrize(
    ("free", "first", "second"),
    [(1_000, 2, 3), (100, 2, 3), (60, 3, 4), (50, 3, 4), (20, 6, 9), (0, 0, 0)],
)
def test_a_place_and_when_its_turn_comes(
    queued: Exchange, free: int, first: int, second: int
) -> None:
    """Flush 1 is over; every flush is taken to pay what is free now, the older request first."""
    token = queued.memory.tokens[TOKEN]
    supply = int(token.state.pool[0].main_shares)
    stands = Standing(Condition.NORMAL, 0, Nav(supply, supply, supply), free * ONE, 0)
    older, younger = places(token, [1, 2], stands)
    assert (older.ahead, older.beside, older.flush) == (0, 0, first)
    assert (younger.ahead, younger.beside, younger.flush) == (100 * ONE, 0, second)
    next_ms = int(token.state.pool[0].next_flush_ms)
    assert older.at_ms == (next_ms + (first - 2) * DAY_MS if first else 0)


def test_insurers_of_an_exhausted_pool_are_told_what_they_get(exchange: Exchange) -> None:
    """What no payout can take any more, at the next flush: not nothing, and not all its cash."""
    book = Book(exchange)
    state = exchange.memory.tokens[ODD_TOKEN].state
    post(state, int(Move.EXHAUST), 0, 0, 0, 0, 0)
    state.pool[0].main = 10 * ONE
    asked = book.request(RequestKind.REDEEM_INSURANCE, int(state.accounts[1].insurance_shares))
    provider = pools.provider(exchange.memory, "provider", {ODD_TOKEN: []}, book.now_ms)
    value = {each.pool: each.value for each in provider.holdings}["insurance"]
    told = pools.detail(exchange.memory, ODD_TOKEN, [], None, book.now_ms)
    left = int(state.pool[0].insurance) - int(state.pool[0].locked) + 10 * ONE
    assert 0 < left < int(state.pool[0].insurance)
    assert told.insurance.nav_low == told.insurance.free == fixed(left)
    (place,) = pools.requests(exchange.memory, ODD_TOKEN, [asked], book.now_ms)
    assert (place.fill_flush, place.fill_expected) == (told.flushes + 1, told.next_flush)
    book.flush()
    (done,) = pools.requests(exchange.memory, ODD_TOKEN, [asked], book.now_ms)
    assert done.status == "filled"
    fee = book.bundle(told.flushes + 1).results.insurance.exit_fee
    expected = float(value) * (1 - float(fee))  # and the premium of an hour
    assert float(done.received) == pytest.approx(expected, rel=1e-4)


def test_the_journal_commits_to_the_bundle(queued: Exchange) -> None:
    """Its digest is in the outcome of the flush, and both are written as one."""
    found = queued.store.bundle(TOKEN, 1)
    record = queued.store.record_of("flush")
    assert found is not None
    assert record is not None
    body, digest = found
    assert sha256(body).hexdigest() == digest == read_outcome(record.outcome).bundle
    assert json.loads(body)["results"]["nav_after"]["mid"] == "501"
    (row,) = queued.store.flushes(TOKEN)
    assert (row.nav_opened, row.nav_after) == (ONE, 501 * ONE)
    assert queued.store.bundle(TOKEN, 2) is None


def test_a_flush_that_is_not_committed_has_no_bundle(queued: Exchange) -> None:
    """It did not happen, and the next one has its number."""
    due = int(queued.memory.tokens[TOKEN].state.pool[0].next_flush_ms)
    queued.execute(Flush(TOKEN, due), "lost")
    queued.begin_commit()
    queued.abandon_commit()
    assert queued.store.bundle(TOKEN, 2) is None
    queued.execute(Flush(TOKEN, due), "again")
    queued.commit()
    assert len(queued.store.flushes(TOKEN)) == 2
