"""The list of withdrawal destinations: new ones are held, what is taken away is so at once."""

from collections.abc import Iterator

import pytest

from api.access.destinations import (
    DESTINATIONS_MAX,
    AddressBook,
    DestinationError,
    Rule,
)
from api.access.tables import bring_up_to_date
from api.exchange import Exchange, KeyConflictError
from api.journal import is_same_request, make_record, normal_form, read_command
from api.recovery import check_database
from api.storage.engines import access_engine
from api.storage.store import open_store
from api.storage.url import DatabaseUrl
from tests.api.conftest import START_MS, TOKEN
from vaults.commands import Outcome, Withdraw

pytestmark = pytest.mark.databases
NOW, HOLD = 1_760_000_000_000, 1_000


@pytest.fixture
def book(database: DatabaseUrl) -> Iterator[AddressBook]:
    """An empty one, with a holding period of a second."""
    engine = access_engine(database)
    bring_up_to_date(engine)
    yield AddressBook(engine, HOLD)
    engine.dispose()


def refused(book: AddressBook, name: str | None, now_ms: int = NOW, account: str = "ann") -> str:
    with pytest.raises(DestinationError) as error:
        book.address_of(account, name, now_ms)
    return error.value.code


def test_a_destination_is_held_before_it_can_be_used(book: AddressBook) -> None:
    cold = book.add("ann", "cold", "0xC01d", NOW, "ann/1")
    assert book.all("ann") == [cold]
    assert cold.usable_ms == NOW + HOLD
    assert refused(book, "cold", NOW + HOLD - 1) == "DESTINATION_HELD"
    for name in ("cold", cold.id):
        assert book.address_of("ann", name, NOW + HOLD) == "0xC01d"
    assert refused(book, "cold", NOW + HOLD, "bob") == "DESTINATION_UNKNOWN"
    assert refused(book, "warm", NOW + HOLD) == "DESTINATION_UNKNOWN"


def test_a_destination_is_removed_at_once_and_held_anew(book: AddressBook) -> None:
    cold = book.add("ann", "cold", "0xC01d", NOW, "ann/1")
    assert book.remove("bob", cold.id, NOW) is None
    removed = book.remove("ann", cold.id, NOW + HOLD)
    assert removed == cold._replace(removed_ms=NOW + HOLD)
    assert book.remove("ann", cold.id, NOW + 2 * HOLD) == removed
    assert refused(book, "cold", NOW + HOLD) == "DESTINATION_UNKNOWN"
    again = book.add("ann", "cold", "0xBad", NOW + HOLD, "ann/2")
    assert book.all("ann") == [removed, again]
    assert refused(book, "cold", NOW + HOLD) == "DESTINATION_HELD"
    assert book.was("ann", "cold", "0xC01d")
    assert not book.was("ann", "warm", "0xC01d")
    assert (book.was("ann", None, ""), book.was("ann", None, "0xC01d")) == (True, False)


def test_a_destination_is_listed_once(book: AddressBook) -> None:
    cold = book.add("ann", "cold", "0xC01d", NOW, "ann/1")
    assert book.add("ann", "cold", "0xC01d", NOW + 5, "ann/1") == cold
    with pytest.raises(KeyConflictError):
        book.add("ann", "cold", "0xBad", NOW, "ann/1")
    with pytest.raises(DestinationError, match="There is a destination cold"):
        book.add("ann", "cold", "0xBad", NOW, "ann/2")
    for number in range(DESTINATIONS_MAX - 1):
        book.add("ann", f"n{number}", "0x", NOW, f"ann/n{number}")
    with pytest.raises(DestinationError, match="remove one"):
        book.add("ann", "last", "0x", NOW, "ann/last")
    assert book.all("bob") == []


def test_who_keeps_to_the_list_names_a_destination(book: AddressBook) -> None:
    assert book.address_of("ann", None, NOW) == ""
    assert book.switch("ann", True, NOW) == Rule(NOW)
    assert refused(book, None) == "DESTINATION_NEEDED"
    assert book.address_of("bob", None, NOW) == ""
    # To end it takes its time, which does not begin anew, and is over when it is taken up again.
    off = book.switch("ann", False, NOW + 10)
    assert off == Rule(NOW, NOW + 10 + HOLD)
    assert book.switch("ann", False, NOW + 20) == book.rule("ann") == off
    assert refused(book, None, NOW + 9 + HOLD) == "DESTINATION_NEEDED"
    assert book.address_of("ann", None, NOW + 10 + HOLD) == ""
    assert book.switch("ann", True, NOW + 30) == Rule(NOW)
    assert refused(book, None, NOW + 10 + HOLD) == "DESTINATION_NEEDED"
    book.switch("ann", False, NOW + 40)
    late = NOW + 41 + HOLD
    assert book.switch("ann", False, late).off_ms == NOW + 40 + HOLD
    assert book.switch("ann", True, late) == Rule(late)


def test_the_journal_has_the_destination(exchange: Exchange) -> None:
    now_ms = START_MS + 120_000
    command = Withdraw(TOKEN, "buyer", 5, now_ms, "0xC01d")
    exchange.execute(command, "buyer/1")
    exchange.execute(Withdraw(TOKEN, "buyer", 6, now_ms), "buyer/2")
    exchange.checkpoint()
    exchange.store.close()
    store = open_store(exchange.store.url)
    assert [each.destination for each in Exchange(store).memory.withdrawals] == ["0xC01d", ""]
    record = store.record_of("buyer/1")
    assert record is not None
    assert read_command(record) == command
    assert not is_same_request(record, Withdraw(TOKEN, "buyer", 5, now_ms))
    assert check_database(store).faults == []
    store.close()


def test_a_withdrawal_of_before_is_read_without_one() -> None:
    command, written = normal_form(Withdraw(TOKEN, "buyer", 5, NOW))
    field = b"\xabdestination\xa0"
    assert field in written
    before = b"\x84" + written[1:].replace(field, b"")  # four fields
    record = make_record(b"", 1, "buyer/1", command, before, Outcome(), {}, ())
    assert read_command(record) == command
    assert is_same_request(record, command)
