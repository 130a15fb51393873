"""History is what was done: by account, token, flush and queued order, from any thread."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from amm.units import MINUTE_MS, ONE
from api.exchange import Exchange, fill_key
from api.history import Entry, entry, ledger_lines, read_entries
from api.journal import read_command, read_moves, read_outcome
from api.recovery import check_database
from api.storage.store import open_store
from api.storage.url import DatabaseUrl
from api.tables import ENTRIES, SAMPLES, SERIES_SAMPLES
from tests.api.conftest import START_MS, TOKEN, tick
from tests.api.test_exchange import opening, run_a_life
from vaults.commands import Cancel, Close, Credit, Debit, Flush, Open, Request, Tick, Withdraw
from vaults.moves import Bucket, Move, RequestKind
from vaults.rejects import Reject

pytestmark = pytest.mark.databases
NOW = START_MS + MINUTE_MS + 1_000
ALL = 10_000


def kinds(entries: list[Entry]) -> list[type]:
    """Return what was done, the oldest first."""
    return [type(each.command) for each in reversed(entries)]


@pytest.fixture
def lived(exchange: Exchange) -> Exchange:
    """An exchange where something of every kind has happened."""
    run_a_life(exchange)
    return exchange


def test_an_account_finds_what_it_asked_and_what_was_done_to_it(lived: Exchange) -> None:
    """Refused commands are in it, and the flush that took a deposit; nothing of others."""
    provider = read_entries(lived.store, "account/provider", None, ALL)
    assert kinds(provider) == [Credit, Request, Request, Cancel, Flush]
    buyer = read_entries(lived.store, "account/buyer", None, ALL)
    assert [kind for kind in kinds(buyer) if kind is not Tick][:3] == [Credit, Open, Open]
    orders = [each.outcome.code for each in reversed(buyer) if isinstance(each.command, Open)]
    assert orders == [0, Reject.SERIES_SHARE]
    assert {Withdraw, Debit, Close} <= set(kinds(buyer))
    assert read_entries(lived.store, "account/nobody", None, ALL) == []


def test_trades_and_flushes_are_those_that_were_done(lived: Exchange) -> None:
    """No refusal, nothing that was only queued, and the filling of what was."""
    trades = read_entries(lived.store, f"trades/{TOKEN}", None, ALL)
    assert kinds(trades) == [Open, Close, Close]
    assert all(each.outcome.notional > 0 for each in trades)
    (flushed,) = read_entries(lived.store, f"flushes/{TOKEN}", None, ALL)
    assert flushed.outcome.done
    queued = lived.recall("wait")
    assert queued is not None
    (filled,) = read_entries(lived.store, f"fill/{queued.sequence}", None, ALL)
    assert filled.sequence == trades[0].sequence
    assert isinstance(filled.command, Close)
    assert filled.command.order == queued.sequence


def test_entries_come_newest_first_in_pages(lived: Exchange) -> None:
    """Page by page they are all of them, each as the journal has it."""
    whole = read_entries(lived.store, "account/buyer", None, ALL)
    pages: list[Entry] = []
    before = None
    while page := read_entries(lived.store, "account/buyer", before, 2):
        assert len(page) <= 2
        pages += page
        before = page[-1].sequence
    assert [each.sequence for each in pages] == [each.sequence for each in whole]
    for each in pages:
        record = lived.store.record(each.sequence)
        assert record is not None
        assert (each.command, each.outcome) == (read_command(record), read_outcome(record.outcome))
        assert each.moves.keys() == read_moves(record).keys()
    assert entry(lived.store, 10**6) is None
    first = entry(lived.store, 1)
    assert first is not None
    assert first.sequence == 1


@pytest.mark.parametrize("account", ["buyer", "provider"])
def test_the_ledger_of_an_account_sums_to_its_balance(lived: Exchange, account: str) -> None:
    """Every base unit that came or went is a line, and premium is among them."""
    slot = lived.memory.slot_of(TOKEN, account)
    lines = [
        line
        for each in read_entries(lived.store, f"account/{account}", None, ALL)
        for line in ledger_lines(each, account, lived.memory.slot_of)
    ]
    into = sum(line.amount for line in lines if line.target == Bucket.BALANCES.name)
    out = sum(line.amount for line in lines if line.source == Bucket.BALANCES.name)
    assert into - out == lived.memory.tokens[TOKEN].state.accounts[slot].balance
    places = [(line.sequence, line.line) for line in lines]
    assert len(set(places)) == len(places)
    premium = [line for line in lines if line.is_premium]
    assert bool(premium) == (account == "buyer")
    assert {line.flow for line in premium} <= {"PREMIUM_MAIN", "PREMIUM_INSURANCE"}


def test_no_move_of_money_is_left_out(lived: Exchange) -> None:
    """Whatever transfer the journal has for an account is found under its name."""
    found = {
        name: {each.sequence for each in read_entries(lived.store, f"account/{name}", None, ALL)}
        for name in lived.memory.names
    }
    transfers = 0
    for record in lived.store.journal():
        for token, rows in read_moves(record).items():
            for kind, _, _, slot, *_ in rows.tolist():
                if kind == Move.TRANSFER and slot >= 0:
                    transfers += 1
                    assert record.sequence in found[lived.memory.account_name(token, slot)]
    assert transfers > 10


def test_what_was_not_committed_is_no_history(exchange: Exchange) -> None:
    """Readers see the last commit, while the writer goes on and in the middle of its work."""
    exchange.execute(opening(), "order")
    assert read_entries(exchange.store, f"trades/{TOKEN}", None, ALL) == []
    with exchange.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE setting SET value = value")
        assert read_entries(exchange.store, f"trades/{TOKEN}", None, ALL) == []
    exchange.commit()
    assert len(read_entries(exchange.store, f"trades/{TOKEN}", None, ALL)) == 1


def test_threads_read_while_the_writer_writes(exchange: Exchange) -> None:
    """Each reading is of some commit: whole batches of ten, in order."""

    def look(_: int) -> int:
        found = read_entries(exchange.store, "account/buyer", None, ALL)
        numbers = [each.sequence for each in found]
        assert numbers == sorted(numbers, reverse=True)
        assert len(found) % 10 == 1  # and the first credit
        return len(found)

    with ThreadPoolExecutor(8) as pool:
        looks = []
        for batch in range(10):
            for number in range(10):
                credit = Credit(TOKEN, "buyer", 1, NOW)
                exchange.execute(credit, f"{batch}-{number}")
            exchange.commit()
            looks += [pool.submit(look, each) for each in range(8)]
        counts = [each.result(timeout=60) for each in looks]
    assert look(0) == 101
    assert max(counts) == 101


def test_readers_cannot_write(exchange: Exchange) -> None:
    """The second engine is for looking only."""
    with (
        exchange.store._engine.connect() as connection,  # noqa: SLF001 - nothing public could try
        pytest.raises(DBAPIError, match=r"readonly|read-only"),
    ):
        connection.execute(ENTRIES.delete())


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM entry WHERE sequence = 5",
        "DELETE FROM entry WHERE sequence = (SELECT max(sequence) FROM entry)",
        "INSERT INTO entry VALUES ('account/buyer', 999)",
        "INSERT INTO entry VALUES ('account/buyer', 1)",
        "INSERT INTO entry VALUES ('account/provider', 4)",
        "UPDATE entry SET topic = 'trades/NVDA.M' WHERE topic LIKE 'trades/%'",
    ],
)
def test_history_changed_by_hand_is_found(exchange: Exchange, change: str) -> None:
    """`db check` finds entries that are missing, of another record, or of none."""
    exchange.execute(opening(), "order")
    exchange.commit()
    assert check_database(exchange.store).faults == []
    with exchange.store.transaction() as connection:
        assert connection.execute(text(change)).rowcount > 0
    (fault,) = check_database(exchange.store).faults
    assert fault.startswith("history ")


def test_readings_are_found_by_time(exchange: Exchange, database: DatabaseUrl) -> None:
    """Of a token, and of one of its series; committed with the batch, and not before."""
    names = [column.name for column in SAMPLES.columns][2:]
    for hour in range(4):
        totals = dict.fromkeys(names, hour)
        exchange.sample(SAMPLES, {"token": TOKEN, "now_ms": hour, **totals})
        for slot in range(2):
            of_series = dict.fromkeys((c.name for c in SERIES_SAMPLES.columns), hour)
            keys = {"token": TOKEN, "slot": slot}
            exchange.sample(SERIES_SAMPLES, of_series | keys)
    assert exchange.store.samples(TOKEN) == []
    exchange.commit()
    exchange.store.close()
    store = open_store(database)
    assert [row.now_ms for row in store.samples(TOKEN)] == [0, 1, 2, 3]
    assert [row.nav for row in store.samples(TOKEN, 1, 2)] == [1, 2]
    assert store.samples("NVDA.M") == []
    found = store.series_samples(TOKEN, 1, 2, 5)
    assert [(row.slot, row.value_e15) for row in found] == [(1, 2), (1, 3)]
    store.close()


def test_a_queued_close_is_not_a_trade_until_it_is_filled(exchange: Exchange) -> None:
    """And a refused filling is found under its order all the same."""
    bought = exchange.execute(opening(), "open").outcome.row
    stale = START_MS + 3 * MINUTE_MS
    order = Close(TOKEN, "buyer", bought, ONE // 10, stale, expires_ms=stale)
    number = exchange.execute(order, "sell").record.sequence
    exchange.commit()
    assert kinds(read_entries(exchange.store, f"trades/{TOKEN}", None, ALL)) == [Open]
    assert read_entries(exchange.store, f"fill/{number}", None, ALL) == []
    tick(exchange, stale + MINUTE_MS)
    (late,) = exchange.waiting("BTC")
    exchange.execute(late, f"/fill/{number}")
    exchange.commit()
    assert kinds(read_entries(exchange.store, f"trades/{TOKEN}", None, ALL)) == [Open]
    (refused,) = read_entries(exchange.store, f"fill/{number}", None, ALL)
    assert refused.outcome.code != 0
    assert check_database(exchange.store).faults == []


def test_a_tick_that_pays_a_position_its_cap_is_in_the_history_of_its_account(
    exchange: Exchange,
) -> None:
    """And in nobody else's; a close that waited for that tick finds nothing to sell."""
    bought = exchange.execute(opening(), "open").outcome.row
    late = START_MS + 3 * MINUTE_MS
    waits = exchange.execute(Close(TOKEN, "buyer", bought, ONE // 10, late), "sell").record
    for second in range(4):
        tick(exchange, late + 2_000 * second, btc=151_000)
    (gone,) = exchange.waiting("BTC")
    assert exchange.execute(gone, fill_key(waits.sequence)).outcome.code == Reject.POSITION_UNKNOWN
    exchange.commit()
    newest = read_entries(exchange.store, "account/buyer", None, ALL)
    assert kinds(newest) == [Credit, Open, Close, Tick, Close]
    lines = ledger_lines(newest[1], "buyer", exchange.memory.slot_of)
    assert [line.flow for line in lines if not line.is_premium] == ["CASH_OUT"]
    assert lines[0].amount == ONE // 20
    assert kinds(read_entries(exchange.store, "account/provider", None, ALL)) == [Credit]
    assert check_database(exchange.store).faults == []


def test_a_deposit_is_named_by_its_request(exchange: Exchange) -> None:
    """Commands name their account themselves, moves or none."""
    asked = Request(TOKEN, "provider", RequestKind.DEPOSIT_MAIN, ONE, NOW)
    exchange.execute(asked, "ask")
    exchange.commit()
    newest, *_ = read_entries(exchange.store, "account/provider", None, 1)
    assert newest.command == asked
    (line,) = ledger_lines(newest, "provider", exchange.memory.slot_of)
    assert (line.flow, line.source, line.target) == ("DEPOSIT_ASKED", "BALANCES", "ESCROW_MAIN")
    assert line.amount == ONE
    assert ledger_lines(newest, "buyer", exchange.memory.slot_of) == []
