"""The rows are those of one moment; whatever came after it is in the journal."""

import pytest

from api import checkpoint
from api.exchange import Exchange
from api.recovery import check_database, checkpoint_of
from api.replay import state_digest
from api.storage.store import open_store
from api.storage.url import DatabaseUrl
from tests.api.conftest import START_MS, TOKEN, tick
from tests.api.databases import ask
from vaults.commands import Close, Credit, Open, Pause, Withdraw

pytestmark = pytest.mark.databases
ONE = 10**8
LOT = ONE // 10
MINUTE_MS = 60_000


def trade(exchange: Exchange, first: int, count: int) -> None:
    """Open, sell, credit and withdraw, with a tick between; one commit for each."""
    for number in range(first, first + count):
        now_ms = START_MS + (number + 2) * MINUTE_MS
        tick(exchange, now_ms, btc=100_000 + number)
        order = Open(TOKEN, "buyer", "BTC", "call", 100_000 * ONE, LOT, ONE, now_ms)
        bought = exchange.execute(order, f"open-{number}").outcome
        assert bought.code == 0
        exchange.execute(Close(TOKEN, "buyer", bought.row, LOT // 2, now_ms), f"close-{number}")
        exchange.execute(Credit(TOKEN, f"new-{number}", ONE, now_ms, f"0x{number}"), f"c-{number}")
        exchange.execute(Withdraw(TOKEN, "buyer", ONE, now_ms), f"withdraw-{number}")
        exchange.commit()


def reopened(exchange: Exchange) -> Exchange:
    """Return another writer on the database of one that ends here."""
    path = exchange.store.url
    exchange.store.close()
    return Exchange(open_store(path))


@pytest.mark.parametrize("every", [1, 3, 7, 20_000])
def test_a_restart_ends_in_the_same_state_however_old_the_rows_are(
    exchange: Exchange, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every commit, at some, or at none before the restart."""
    monkeypatch.setattr(checkpoint, "RECORDS_MAX", every)
    trade(exchange, 0, 4)
    exchange.execute(Pause(TOKEN, START_MS + 6 * MINUTE_MS), "pause")
    exchange.commit()
    digest, known = state_digest(exchange), exchange.memory
    restarted = reopened(exchange)
    assert state_digest(restarted) == digest
    assert restarted.memory.differences(known) == []
    assert check_database(restarted.store).faults == []
    restarted.store.close()


def test_what_is_closed_after_the_rows_were_saved_is_closed_after_a_restart(
    exchange: Exchange,
) -> None:
    """One of three series, opened before: the journal closes what the rows have open."""
    now_ms = START_MS + 2 * MINUTE_MS
    tick(exchange, now_ms, btc=100_000)
    rows, part = [], LOT // 4
    for thousands in (95, 100, 105):
        order = Open(TOKEN, "buyer", "BTC", "call", thousands * 1_000 * ONE, part, ONE, now_ms)
        bought = exchange.execute(order, f"open-{thousands}").outcome
        assert bought.code == 0
        rows.append(bought.row)
    exchange.commit()
    exchange.checkpoint()
    for row in (rows[2], rows[0]):
        assert (
            exchange.execute(Close(TOKEN, "buyer", row, part, now_ms), f"{row}").outcome.code == 0
        )
        exchange.commit()
        digest, live = state_digest(exchange), exchange.memory.tokens[TOKEN].state.live.tolist()
        exchange = reopened(exchange)
        assert state_digest(exchange) == digest
        state = exchange.memory.tokens[TOKEN].state
        assert state.live[: state.pool[0].live_series].tolist() == live[: state.pool[0].live_series]
    assert check_database(exchange.store).faults == []
    exchange.store.close()


def test_rows_are_saved_when_the_journal_has_grown_enough(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before; and what was saved is what the next one is compared with."""
    monkeypatch.setattr(checkpoint, "RECORDS_MAX", 10)
    exchange.checkpoint()
    first = checkpoint_of(exchange.store)
    assert first == exchange.journal_length
    trade(exchange, 0, 1)
    assert checkpoint_of(exchange.store) == first
    trade(exchange, 1, 1)
    assert checkpoint_of(exchange.store) == exchange.journal_length == first + 12
    assert check_database(exchange.store).faults == []


def test_a_restart_in_the_middle_saves_what_the_rows_had_not(
    exchange: Exchange, database: DatabaseUrl
) -> None:
    """Rows that only the journal had are written by the next checkpoint, after a restart too."""
    exchange.checkpoint()
    trade(exchange, 0, 2)
    restarted = reopened(exchange)
    trade(restarted, 2, 1)
    restarted.checkpoint()
    digest = state_digest(restarted)
    restarted.store.close()
    rows = ask(database, "SELECT count(*) FROM account")
    assert rows == 5  # the buyer, the provider and three new ones
    again = Exchange(open_store(database))
    assert state_digest(again) == digest
    assert check_database(again.store).faults == []
    again.store.close()


def test_a_checkpoint_that_cannot_be_written_loses_nothing(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read again as it was, and saved the next time."""
    trade(exchange, 0, 1)
    digest = state_digest(exchange)
    with monkeypatch.context() as patch:
        patch.setattr(exchange.store, "stage", _disk_full)
        with pytest.raises(OSError, match="full"):
            exchange.checkpoint()
    assert state_digest(exchange) == digest
    exchange.checkpoint()
    assert checkpoint_of(exchange.store) == exchange.journal_length
    assert check_database(exchange.store).faults == []


def _disk_full(*_: object) -> None:
    raise OSError("disk full")
