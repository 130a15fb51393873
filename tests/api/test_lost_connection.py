"""A writer whose connection to PostgreSQL is lost: in COMMIT, for a while, or to another writer."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.exchange import BatchLostError, Exchange
from api.recovery import check_database
from api.replay import state_digest
from api.storage.errors import StoreError, SupersededError
from api.storage.postgresql import PostgresStore
from api.storage.url import DatabaseUrl
from tests.api.conftest import TOKEN, prepare
from tests.api.databases import (
    LOCKED,
    ask,
    cut_writers,
    empty_tables,
    place_taken,
    postgresql_database,
)
from tests.api.http.harness import until
from tests.api.proxy import Proxy
from tests.api.test_exchange import NOW, ONE, opening
from vaults.commands import Credit


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseUrl]:
    """A database of this module's."""
    with postgresql_database() as made:
        yield made


@pytest.fixture
def proxy(server: DatabaseUrl) -> Iterator[Proxy]:
    """A door to its server."""
    assert server.server is not None
    address = server.server
    with Proxy(address.host or "127.0.0.1", address.port or 5432) as made:
        yield made


@pytest.fixture
def exchange(server: DatabaseUrl, proxy: Proxy) -> Iterator[Exchange]:
    """An exchange behind the door."""
    assert server.server is not None
    far = DatabaseUrl(server=server.server.set(host="127.0.0.1", port=proxy.port))
    store = PostgresStore(far)
    made = Exchange(store)
    prepare(made)
    yield made
    store.close()
    empty_tables(server)


def is_held(exchange: Exchange) -> bool:
    """Whether the exchange has its session again."""
    try:
        exchange.store.hold()
    except StoreError:
        return False
    return True


def test_a_commit_whose_answer_was_lost_has_happened(exchange: Exchange, proxy: Proxy) -> None:
    """Its callers are told to send it again; then they get the answer it had."""
    done = exchange.execute(opening(), "order")
    length, digest = exchange.journal_length, state_digest(exchange)
    proxy.loses_answers = True
    with pytest.raises(BatchLostError):
        exchange.commit()
    proxy.loses_answers = False
    until(lambda: is_held(exchange))
    again = exchange.execute(opening(), "order")
    assert again.outcome == done.outcome
    assert (exchange.journal_length, state_digest(exchange)) == (length, digest)
    exchange.commit()
    assert check_database(exchange.store).faults == []


def test_a_commit_that_did_not_arrive_has_not_happened(exchange: Exchange, proxy: Proxy) -> None:
    """While the server is away nothing is done; when it is back, everything can be."""
    length, digest = exchange.journal_length, state_digest(exchange)
    exchange.execute(opening(), "order")
    proxy.is_shut = True
    proxy.cut()
    with pytest.raises(BatchLostError):
        exchange.commit()
    with pytest.raises(StoreError, match="cannot be reached"):
        exchange.execute(opening(), "order")
    proxy.is_shut = False
    until(lambda: is_held(exchange))
    credit = Credit(TOKEN, "buyer", ONE, NOW)
    assert exchange.execute(credit, "credit").outcome.code == 0
    assert exchange.journal_length == length + 1
    exchange.commit()
    assert state_digest(exchange) != digest
    assert exchange.execute(opening(), "order").outcome.code == 0
    exchange.commit()
    assert check_database(exchange.store).faults == []


def test_a_commit_that_is_broken_off_may_still_arrive(exchange: Exchange, proxy: Proxy) -> None:
    """A server that says nothing is waited for no longer; what it then does counts, once."""
    done = exchange.execute(opening(), "order")
    proxy.hold()
    with ThreadPoolExecutor(1) as thread:
        lost = thread.submit(exchange.commit)
        until(lambda: proxy.is_holding)
        exchange.store.break_off()
        assert isinstance(lost.exception(), BatchLostError)
    proxy.let_go()
    until(lambda: is_held(exchange))
    assert exchange.execute(opening(), "order").outcome == done.outcome
    exchange.commit()
    assert check_database(exchange.store).faults == []


def test_an_idle_writer_looks_after_its_session(exchange: Exchange, server: DatabaseUrl) -> None:
    """A session that ended meanwhile is made again; nothing is written on what was read before."""
    cut_writers(server)
    exchange.store.look()
    with pytest.raises(StoreError):
        exchange.store.hold()
    until(lambda: is_held(exchange))
    assert exchange.execute(opening(), "order").outcome.code == 0
    exchange.commit()
    assert check_database(exchange.store).faults == []


def _holds(store: PostgresStore) -> bool:
    """Whether the store knows that the lock it has again is its own."""
    try:
        store.hold()
    except StoreError:
        return False
    return True


def test_what_was_read_before_a_loss_is_not_built_on(
    exchange: Exchange, server: DatabaseUrl
) -> None:
    """Another writer may have come and gone: the batch is lost, and all is read again first."""
    store = exchange.store
    assert isinstance(store, PostgresStore)
    exchange.execute(opening(), "order")
    cut_writers(server)
    store.look()
    until(lambda: ask(server, f"{LOCKED} AND granted") == 1)
    with pytest.raises(BatchLostError):
        exchange.commit()
    until(lambda: _holds(store))
    assert exchange.execute(opening(), "order").outcome.code == 0
    exchange.commit()
    assert check_database(store).faults == []


def test_a_writer_whose_place_is_taken_gives_up(server: DatabaseUrl) -> None:
    """Whoever waited for the lock has it at once; the one before says so, and writes no more."""
    superseded = threading.Event()
    store = PostgresStore(server, superseded=superseded.set)
    exchange = Exchange(store)
    prepare(exchange)
    exchange.execute(opening(), "order")
    with place_taken(server):
        with pytest.raises(BatchLostError):
            exchange.commit()
        assert superseded.wait(30)
        with pytest.raises(SupersededError, match="another process writes"):
            exchange.execute(opening(), "order")
    store.close()
    empty_tables(server)
