"""The single writer: answers, keys, durability, and the journal that rebuilds the state."""

import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from sqlalchemy import Connection, Table
from sqlalchemy.exc import OperationalError

from amm.units import DAY_MS, MINUTE_MS, ONE
from api import exchange as writer
from api.exchange import (
    PASSING,
    BatchLostError,
    Exchange,
    KeyConflictError,
    QuarantinedError,
)
from api.journal import MalformedCommandError
from api.recovery import check_database
from api.replay import state_digest
from api.storage.errors import StoreError
from api.storage.store import open_store
from api.storage.url import DatabaseUrl
from api.storage.writes import Writes, append, upsert
from api.tables import JOURNAL, SETTINGS, STATE
from tests.api.conftest import START_MS, TOKEN, prepare, tick
from tests.api.databases import change as change_behind
from vaults.commands import (
    Cancel,
    Check,
    Close,
    Credit,
    Debit,
    Flush,
    ListToken,
    Open,
    Pause,
    Request,
    Restart,
    Resume,
    SetSelfFunding,
    StartUnderlying,
    Tick,
    Withdraw,
)
from vaults.moves import RequestKind
from vaults.params import Parameters
from vaults.rejects import Reject

pytestmark = pytest.mark.databases
NOW = START_MS + MINUTE_MS + 1_000


def opening(notional: int = ONE // 10, **changes: object) -> Open:
    """Return an order that a pool with nothing but its seed can take."""
    values = {
        "token": TOKEN,
        "account": "buyer",
        "underlying": "BTC",
        "kind": "call",
        "strike_e8": 100_000 * ONE,
        "notional": notional,
        "limit_total": ONE,
        "now_ms": NOW,
    }
    return Open(**(values | changes))  # type: ignore[arg-type]


def run_a_life(exchange: Exchange) -> None:
    """Deposit, flush, trade, refuse, close, withdraw: every kind of command once."""
    do = exchange.execute
    do(Request(TOKEN, "provider", RequestKind.DEPOSIT_MAIN, 900 * ONE, NOW), "deposit")
    asked = do(Request(TOKEN, "provider", RequestKind.DEPOSIT_INSURANCE, ONE, NOW), "insure")
    do(Cancel(TOKEN, "provider", asked.outcome.row, NOW), "cancel")
    due = int(exchange.memory.tokens[TOKEN].state.pool[0].next_flush_ms)
    for minute in range(30, -1, -1):
        tick(exchange, due - minute * MINUTE_MS)
    assert do(Flush(TOKEN, due), "flush").outcome.done
    bought = do(opening(10 * ONE, now_ms=due + 1_000, self_funding=True), "open").outcome
    assert bought.code == 0
    assert do(opening(10**6 * ONE, now_ms=due + 1_000), "too-much").outcome.code != 0
    tick(exchange, due + MINUTE_MS, btc=100_500)
    do(Check(TOKEN, bought.row, due + MINUTE_MS), "check")
    do(Close(TOKEN, "buyer", bought.row, 4 * ONE, due + MINUTE_MS), "close")
    taken = do(Withdraw(TOKEN, "buyer", ONE, due + MINUTE_MS), "withdraw").outcome
    assert do(Debit(TOKEN, taken.row, due + MINUTE_MS, "0x1"), "debit").outcome.code == 0
    do(Pause(TOKEN, due + MINUTE_MS), "pause")
    do(Resume(TOKEN, due + MINUTE_MS), "resume")
    do(SetSelfFunding(TOKEN, "buyer", bought.row, False, due + MINUTE_MS), "fund")
    do(Restart("BTC", due + 2 * MINUTE_MS), "restart")
    later = due + 2 * MINUTE_MS
    assert do(Close(TOKEN, "buyer", bought.row, ONE, later), "wait").outcome.queued
    tick(exchange, due + 3 * MINUTE_MS)
    (waited,) = exchange.waiting("BTC")
    assert do(waited, f"/fill/{waited.order}").outcome.code == 0
    exchange.commit()


def test_the_journal_rebuilds_the_state_that_the_rows_hold(
    exchange: Exchange, database: DatabaseUrl
) -> None:
    """I13: applying the recorded integers gives the state of memory and of the tables."""
    run_a_life(exchange)
    digest = state_digest(exchange)
    exchange.store.close()
    store = open_store(database)
    checked = check_database(store)
    assert checked.faults == []
    assert checked.records == exchange.journal_length
    assert state_digest(Exchange(store)) == digest
    store.close()


def test_a_restarted_exchange_decides_as_if_it_had_never_stopped(
    exchange: Exchange, tmp_path: Path
) -> None:
    """What is derived from marks comes back with the state: both go on to the same integers."""
    other_store = open_store(tmp_path / "other.sqlite")
    other = Exchange(other_store)
    prepare(other)
    for each in (exchange, other):
        run_a_life(each)
    other_store.close()
    other_store = open_store(tmp_path / "other.sqlite")
    restarted = Exchange(other_store)
    later = int(exchange.memory.tokens[TOKEN].state.pool[0].now_ms) + MINUTE_MS
    for each in (exchange, restarted):
        tick(each, later, btc=100_300)
        again = opening(5 * ONE, now_ms=later, limit_total=5 * ONE)
        assert each.execute(again, "again").outcome.code == 0
        tick(each, later + MINUTE_MS, btc=100_900)
    assert state_digest(exchange) == state_digest(restarted)
    other_store.close()


def test_a_quote_is_what_the_order_then_costs(exchange: Exchange) -> None:
    """Every component of it; asking changes nothing, and needs no account."""
    run_a_life(exchange)
    now = int(exchange.memory.tokens[TOKEN].state.pool[0].now_ms)
    order = opening(10 * ONE, now_ms=now, limit_total=ONE)
    before = state_digest(exchange)
    quoted = exchange.quote(order)
    stranger = exchange.quote(replace(order, account="stranger"))
    assert state_digest(exchange) == before
    assert quoted.refusal.code == 0
    parts = quoted.quote
    assert parts.total == pytest.approx(parts.mid + parts.impact + parts.spread + parts.fee)
    assert quoted.lock == 5.0
    assert quoted.utilisation_after > quoted.utilisation
    assert quoted.days_covered > 0 == stranger.days_covered
    assert stranger.quote == parts
    filled = exchange.execute(order, "quoted").outcome
    assert 0 <= filled.amount - parts.total * ONE < 1
    held = exchange.memory.tokens[TOKEN].state
    assert exchange.quote(order).utilisation == pytest.approx(quoted.utilisation_after, rel=1e-3)
    assert quoted.premium_per_day == pytest.approx(10 * 0.0035, rel=0.2)
    assert int(held.pool[0].now_ms) == now


def test_a_quote_says_what_speaks_against_the_order(exchange: Exchange) -> None:
    """With the code the order would be refused with, and the numbers that decide."""
    assert exchange.quote(opening(10 * ONE)).refusal.code == Reject.SERIES_SHARE
    assert exchange.quote(opening(strike_e8=1)).refusal.code == Reject.STRIKE_OFF_LADDER
    with pytest.raises(MalformedCommandError):
        exchange.quote(opening(0.5))  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        exchange.quote(opening(token="NVDA.M"))


def test_a_key_repeats_its_answer_and_does_nothing_twice(exchange: Exchange) -> None:
    """In the running batch and after the commit alike, accepted or refused, whenever it comes."""
    first = exchange.execute(opening(), "order").outcome
    refused = exchange.execute(opening(limit_total=1), "mean").outcome
    assert first.code == 0
    assert refused.code == Reject.PRICE_LIMIT
    length = exchange.journal_length
    for later in (0, 500, 60_000):
        again = replace(opening(), now_ms=NOW + later)
        assert exchange.execute(again, "order").outcome == first
        assert exchange.execute(opening(limit_total=1), "mean").outcome == refused
        exchange.commit()
    assert exchange.journal_length == length


def test_a_key_cannot_be_used_for_another_command(exchange: Exchange) -> None:
    """Neither for other numbers nor for another kind of command."""
    exchange.execute(opening(), "order")
    with pytest.raises(KeyConflictError):
        exchange.execute(opening(limit_total=2 * ONE), "order")
    exchange.commit()
    with pytest.raises(KeyConflictError):
        exchange.execute(Debit(TOKEN, 1, NOW), "order")


def test_what_was_not_committed_did_not_happen(exchange: Exchange, database: DatabaseUrl) -> None:
    """A writer that dies leaves the state of its last commit."""
    before = state_digest(exchange)
    exchange.execute(opening(), "order")
    assert state_digest(exchange) != before
    exchange.store.close()
    store = open_store(database)
    again = Exchange(store)
    assert state_digest(again) == before
    assert again.execute(opening(), "order").outcome.code == 0
    store.close()


def test_a_batch_the_database_refuses_is_lost_as_a_whole(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The callers are told, the state is that of the last commit, and the same keys work again."""
    before = state_digest(exchange)
    exchange.execute(opening(), "order")

    def full_disk(*_: object) -> None:
        raise OperationalError("insert", {}, sqlite3.OperationalError("disk full"))

    with monkeypatch.context() as patch:
        patch.setattr(writer, "append", full_disk)
        with pytest.raises(BatchLostError):
            exchange.commit()
    assert state_digest(exchange) == before
    assert exchange.execute(opening(), "order").outcome.code == 0
    exchange.commit()


def test_a_batch_that_fails_at_its_last_row_is_lost_as_a_whole(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that were written before are not believed to be there afterwards."""
    before = state_digest(exchange)
    exchange.execute(opening(), "order")
    exchange.note("last", "row")

    def upsert_all_but(connection: Connection, table: Table, rows: Iterable[Any]) -> None:
        if table is SETTINGS:
            raise OperationalError("insert", {}, sqlite3.OperationalError("disk full"))
        upsert(connection, table, rows)

    with monkeypatch.context() as patch:
        patch.setattr(writer, "upsert", upsert_all_but)
        with pytest.raises(BatchLostError):
            exchange.commit()
    assert state_digest(exchange) == before
    assert exchange.execute(opening(), "order").outcome.code == 0
    exchange.commit()
    assert check_database(exchange.store).faults == []


def test_a_row_that_is_refused_undoes_its_batch(exchange: Exchange) -> None:
    """Whatever was written before it in the same transaction; and the next one is as any."""
    first = exchange.store.record(1)
    assert first is not None
    writes: Writes = []
    upsert(writes, SETTINGS, [{"name": "stray", "value": "row"}])
    append(writes, JOURNAL, [first])
    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError)):
        exchange.store.stage(writes)()
    assert exchange.store.setting("stray") is None
    assert exchange.execute(opening(), "order").outcome.code == 0
    exchange.commit()
    assert check_database(exchange.store).faults == []


def test_a_kernel_that_fails_costs_its_batch_and_its_key(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug is quarantined: the state is rebuilt, others go on, the command is not tried again."""
    before = state_digest(exchange)
    exchange.execute(Credit(TOKEN, "buyer", ONE, NOW), "innocent")

    def bug(*_: object) -> None:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(writer, "execute", bug)
        with pytest.raises(QuarantinedError):
            exchange.execute(opening(), "culprit")
    assert state_digest(exchange) == before
    with pytest.raises(QuarantinedError):
        exchange.execute(opening(), "culprit")
    with pytest.raises(BatchLostError):
        exchange.commit()  # who waits for "innocent" is told
    assert exchange.execute(Credit(TOKEN, "buyer", ONE, NOW), "innocent").outcome.code == 0
    exchange.commit()
    assert exchange.store.record_of("innocent") is not None


def test_a_disk_that_fails_twice_leaves_rows_and_journal_agreeing(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the commit nor the reading back works; once the disk does again, all is well."""

    def broken_disk(*_: object) -> None:
        raise OSError("input/output error")

    exchange.execute(opening(), "order")
    with monkeypatch.context() as patch:
        patch.setattr(writer, "append", broken_disk)
        patch.setattr(writer, "load_rows", broken_disk)
        with pytest.raises(BatchLostError):
            exchange.commit()
        with pytest.raises(OSError, match="input/output"):
            exchange.execute(opening(), "order")
    assert exchange.execute(opening(), "order").outcome.code == 0
    exchange.commit()
    assert check_database(exchange.store).faults == []


def test_a_second_writer_is_kept_out(exchange: Exchange, database: DatabaseUrl) -> None:
    """Two processes on one database would each believe in their own state."""
    with pytest.raises(StoreError, match="in use"):
        open_store(database)
    exchange.store.close()
    open_store(database).close()


def test_two_names_of_a_file_have_one_writer(tmp_path: Path) -> None:
    """The lock is beside the file itself."""
    store, link = open_store(tmp_path / "d.sqlite"), tmp_path / "link.sqlite"
    link.symlink_to(tmp_path / "d.sqlite")
    with pytest.raises(StoreError, match="in use"):
        open_store(link)
    store.close()


def test_a_name_is_a_name_and_no_address(tmp_path: Path) -> None:
    """Characters that mean something in an URL are part of the file's name."""
    open_store(tmp_path / "a?b#c.sqlite").close()
    assert (tmp_path / "a?b#c.sqlite").is_file()


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """With other tables, or with a journal that is not ours; empty only where it may be created."""
    for name, table in (("other", "poems (line TEXT)"), ("diary", "journal (day TEXT)")):
        connection = sqlite3.connect(tmp_path / name)
        connection.execute(f"CREATE TABLE {table}")
        connection.close()
        with pytest.raises(StoreError, match="not a database of this exchange"):
            open_store(tmp_path / name)
        connection = sqlite3.connect(tmp_path / name)
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)
        connection.close()
    (tmp_path / "empty").touch()
    with pytest.raises(StoreError, match="not a database of this exchange"):
        open_store(tmp_path / "empty", must_exist=True)


@pytest.mark.parametrize("content", [b"not a database, but long enough to look at", b"\0" * 5000])
def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    """And the file is left as it was."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        open_store(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE journal SET outcome = moves WHERE sequence = 4", "record 4 does not match"),
        ("UPDATE journal SET now_ms = now_ms + 1 WHERE sequence = 2", "record 2 does not match"),
        ("DELETE FROM journal WHERE sequence = 3", "record 3 is missing"),
        ("UPDATE account SET balance = balance + 1 WHERE slot = 0", f"state of {TOKEN}"),
        ("UPDATE oracle SET mark_vol_e9 = mark_vol_e9 + 1", "market oracle"),
        ("DELETE FROM journal WHERE sequence > 6", "the journal ends at record 6"),
        ("DELETE FROM journal WHERE sequence > 7", "rows of record 8, which is missing"),
        ("UPDATE pool SET live_series = live_series + 1", f"state of {TOKEN}"),
        ("UPDATE series SET open_notional = 0", f"state of {TOKEN}"),
    ],
)
def test_whatever_is_changed_by_hand_is_found(
    exchange: Exchange, database: DatabaseUrl, change: str, fault: str
) -> None:
    """`db check` names a changed record, a lost one, and rows that the journal does not explain."""
    exchange.execute(opening(), "order")
    exchange.checkpoint()
    exchange.store.close()
    assert change_behind(database, change) > 0
    store = open_store(database)
    assert any(fault in each for each in check_database(store).faults)
    store.close()


def test_tokens_keep_the_order_of_their_listing(exchange: Exchange, database: DatabaseUrl) -> None:
    """Ticks reach them in it, before a restart and after."""
    exchange.execute(ListToken("NVDA.M", NOW), "second")
    exchange.execute(ListToken("AAPL.M", NOW), "third")
    exchange.commit()
    digest = state_digest(exchange)
    exchange.store.close()
    store = open_store(database)
    restarted = Exchange(store)
    assert list(restarted.memory.tokens) == [TOKEN, "NVDA.M", "AAPL.M"]
    assert state_digest(restarted) == digest
    assert check_database(store).faults == []
    store.close()


def test_a_restarted_underlying_leaves_positions_with_their_last_mark(exchange: Exchange) -> None:
    """No index is fresh then, but nothing divides by it either."""
    run_a_life(exchange)
    now = int(exchange.memory.tokens[TOKEN].state.pool[0].now_ms)
    exchange.execute(Restart("BTC", now), "break")
    order = opening(ONE, now_ms=now, limit_total=ONE)
    assert exchange.execute(order, "no-index").outcome.code == Reject.MARK_STALE
    on_eth = opening(ONE, now_ms=now, limit_total=ONE, underlying="ETH", strike_e8=4_000 * ONE)
    assert exchange.execute(on_eth, "fresh-index").outcome.code == 0
    exchange.commit()
    assert check_database(exchange.store).faults == []


def test_tables_refuse_what_is_not_an_integer(exchange: Exchange) -> None:
    """A float in a balance is an error of the database, or of the writer, and not a rounding."""
    exchange.checkpoint()
    row = {column.name: 1 for column in STATE["accounts"].columns} | {"token": TOKEN}
    writes: Writes = []
    upsert(writes, STATE["accounts"], [row | {"balance": 1.5}])
    with pytest.raises((sqlite3.IntegrityError, TypeError)):
        exchange.store.stage(writes)()
    assert check_database(exchange.store).faults == []


MALFORMED = {
    "beyond 64 bits": opening(2**80),
    "beyond meaning": opening(-(2**63)),
    "float": opening(0.5),  # type: ignore[arg-type]
    "not a number": opening(float("nan")),  # type: ignore[arg-type]
    "truth as amount": Credit(TOKEN, "buyer", True, NOW),
    "number as truth": opening(self_funding=1),
    "numpy": Credit(TOKEN, "buyer", np.int64(ONE), NOW),  # type: ignore[arg-type]
    "half a character": opening(kind="\ud800"),
    "float parameter": ListToken("NVDA.M", NOW, Parameters(seed=1.9 * ONE)),  # type: ignore[arg-type]
    "parameter not a number": ListToken("NVDA.M", NOW, Parameters(fee=float("nan"))),
    "a time of its own": Credit(TOKEN, "buyer", ONE, NOW * 10**6),
    "time before time": Credit(TOKEN, "buyer", ONE, -1),
}


@pytest.mark.parametrize("command", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_the_journal_could_not_give_back_is_never_executed(
    exchange: Exchange, command: Open
) -> None:
    """Neither executed nor journalled: the next command follows the last as if nothing was."""
    before, length = state_digest(exchange), exchange.journal_length
    with pytest.raises(MalformedCommandError):
        exchange.execute(command, "malformed")
    assert state_digest(exchange) == before
    assert exchange.journal_length == length
    exchange.execute(opening(), "order")
    exchange.commit()
    assert check_database(exchange.store).faults == []


@pytest.mark.parametrize("key", ["", "x" * 256, "half \ud800", "line\n"])
def test_a_key_is_short_and_printable(exchange: Exchange, key: str) -> None:
    """It is text in a database and in logs."""
    with pytest.raises(MalformedCommandError):
        exchange.execute(opening(), key)


REFUSALS = [
    (opening(token="NVDA.M"), Reject.TOKEN_UNKNOWN),
    (opening(underlying="DOGE"), Reject.SERIES_UNKNOWN),
    (opening(kind="straddle"), Reject.SERIES_UNKNOWN),
    (opening(account="stranger"), Reject.ACCOUNT_UNKNOWN),
    (opening(0), Reject.AMOUNT_NOT_POSITIVE),
    (opening(-ONE), Reject.AMOUNT_NOT_POSITIVE),
    (opening(2**53), Reject.AMOUNT_TOO_LARGE),
    (opening(now_ms=NOW + 60_000), Reject.MARK_STALE),
    (opening(strike_e8=100_001 * ONE), Reject.STRIKE_OFF_LADDER),
    (opening(strike_e8=-100_000 * ONE), Reject.STRIKE_OFF_LADDER),
    (opening(strike_e8=60_000 * ONE), Reject.STRIKE_WINDOW),
    (opening(strike_e8=150_000 * ONE), Reject.STRIKE_WINDOW),
    (opening(ONE // 1_000), Reject.NOTIONAL_MIN),
    (opening(10 * ONE), Reject.SERIES_SHARE),
    (opening(ONE // 2), Reject.ACCOUNT_SHARE),
    (opening(limit_total=0), Reject.PRICE_LIMIT),
    (Close(TOKEN, "buyer", 99, ONE, NOW), Reject.POSITION_UNKNOWN),
    (Close(TOKEN, "stranger", 1, ONE, NOW), Reject.ACCOUNT_UNKNOWN),
    (Check(TOKEN, 99, NOW), Reject.POSITION_UNKNOWN),
    (Credit(TOKEN, "buyer", 0, NOW), Reject.AMOUNT_NOT_POSITIVE),
    (Credit(TOKEN, "buyer", 2**53 // 64 + 1, NOW), Reject.SUPPLY_LIMIT),
    (Withdraw(TOKEN, "buyer", 1_001 * ONE, NOW), Reject.BALANCE),
    (Withdraw(TOKEN, "stranger", 1, NOW), Reject.ACCOUNT_UNKNOWN),
    (Debit(TOKEN, 1, NOW), Reject.WITHDRAWAL_UNKNOWN),
    (Debit(TOKEN, 0, NOW), Reject.WITHDRAWAL_UNKNOWN),
    (Debit(TOKEN, -1, NOW), Reject.WITHDRAWAL_UNKNOWN),
    (opening(account="stranger", expires_ms=NOW - 1), Reject.EXPIRED),
    (opening(fill_after_ms=NOW), Reject.NO_FRESH_INDEX),
    (Close(TOKEN, "stranger", 1, ONE, NOW, expires_ms=NOW - 1), Reject.EXPIRED),
    (Pause("NVDA.M", NOW), Reject.TOKEN_UNKNOWN),
    (SetSelfFunding(TOKEN, "buyer", 1, True, NOW), Reject.POSITION_UNKNOWN),
    (SetSelfFunding(TOKEN, "stranger", 1, True, NOW), Reject.ACCOUNT_UNKNOWN),
    (Request(TOKEN, "provider", RequestKind.DEPOSIT_MAIN, 1_001 * ONE, NOW), Reject.BALANCE),
    (
        Request(TOKEN, "provider", RequestKind.REDEEM_MAIN, 1, NOW),
        Reject.SHARES_EXCEED_HOLDING,
    ),
    (Request(TOKEN, "provider", 7, ONE, NOW), Reject.REQUEST_UNKNOWN),
    (Cancel(TOKEN, "provider", 0, NOW), Reject.REQUEST_UNKNOWN),
    (Flush(TOKEN, NOW), Reject.NOT_DUE),
    (ListToken(TOKEN, NOW), Reject.DUPLICATE_REFERENCE),
    (ListToken("NVDA.M", NOW, Parameters(seed=0)), Reject.PARAMETERS_INVALID),
    (ListToken("NVDA.M", NOW, Parameters(fee=float("inf"))), Reject.PARAMETERS_INVALID),
    (StartUnderlying("BTC", NOW, 1, 1, 1), Reject.DUPLICATE_REFERENCE),
    (Tick("DOGE", ONE, NOW, NOW), Reject.UNDERLYING_UNKNOWN),
    (Tick("BTC", -ONE, NOW, NOW), Reject.OBSERVATION_REFUSED),
    (Tick("BTC", 100_000 * ONE, NOW - DAY_MS, NOW), Reject.OBSERVATION_REFUSED),
    (Tick("BTC", 100_000 * ONE, NOW, NOW, sources=0), Reject.OBSERVATION_REFUSED),
    (Tick("BTC", 100_000 * ONE, NOW, NOW, vol_e9=-1), Reject.OBSERVATION_REFUSED),
    (Tick("BTC", 100_000 * ONE, NOW, NOW - 2_000), Reject.TIME_NOT_INCREASING),
    (opening(now_ms=NOW - 2_000), Reject.TIME_NOT_INCREASING),
]


@pytest.mark.parametrize(("command", "code"), REFUSALS, ids=lambda each: getattr(each, "name", ""))
def test_a_refusal_has_its_code_and_changes_nothing(
    exchange: Exchange, command: Open, code: Reject
) -> None:
    """I12 through the writer: only the journal knows of a refused command."""
    before = state_digest(exchange)
    executed = exchange.execute(command, "refused")
    assert Reject(executed.outcome.code) is code
    assert executed.moves == {}
    assert state_digest(exchange) == before
    exchange.commit()
    assert check_database(exchange.store).faults == []


def test_keys_of_ticks_are_not_kept(exchange: Exchange) -> None:
    """There is one every second, and none comes again."""
    seen = Tick("BTC", 100_000 * ONE, NOW, NOW)
    for key, is_kept in ((f"{PASSING}BTC/1/2", False), ("house/price", True)):
        exchange.execute(seen, key)
        assert exchange.knows(key)
        exchange.commit()
        assert exchange.knows(key) == is_kept
    again = Exchange(exchange.store)
    assert [again.knows(key) for key in (f"{PASSING}BTC/1/2", "house/price")] == [False, True]
