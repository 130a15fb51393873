"""Databases by their URL: named, migrated, refused, and looked after while they are written to."""

import json
import os
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from amm.units import MINUTE_MS
from api.exchange import Exchange
from api.history import ledger_lines, read_entries
from api.journal import HEAD, head_of
from api.recovery import check_database
from api.storage import migrations
from api.storage.engines import writing_engine
from api.storage.errors import StoreError
from api.storage.store import open_snapshot, open_store
from api.storage.url import DatabaseUrl, DatabaseUrlError
from api.tables import FLUSHES, JOURNAL, METADATA, SETTINGS
from tests.api.conftest import START_MS, TOKEN, Call, prepare, tick
from tests.api.databases import ask, change, drop_tables
from tests.api.test_exchange import run_a_life

both = pytest.mark.databases


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("run/x.sqlite", "run/x.sqlite"),
        ("sqlite:///run/x.sqlite", "run/x.sqlite"),
        ("sqlite:////var/x.sqlite", "/var/x.sqlite"),
        ("postgresql://eg:secret@db:5433/eg", "postgresql://eg:***@db:5433/eg"),
        ("postgres://db/eg?sslmode=require", "postgresql://db/eg?sslmode=require"),
        ("postgresql://db/eg?sslpassword=secret", "postgresql://db/eg?sslpassword=***"),
    ],
)
def test_an_address_is_shown_without_its_password(given: str, shown: str) -> None:
    url = DatabaseUrl.parse(given)
    assert str(url) == shown
    assert "secret" not in repr(url)
    assert DatabaseUrl.parse(url.with_password) == url


@pytest.mark.parametrize(
    "given",
    [
        "",
        "sqlite://",
        "sqlite:///",
        "mysql://eg:secret@db/eg",
        "postgresql://eg:secret@db",
        "postgresql://eg:secret@db:x/eg",
        "postgresql://db/eg?password=secret",
    ],
)
def test_what_is_no_address_is_refused_in_one_line(given: str, call: Call) -> None:
    with pytest.raises(DatabaseUrlError) as caught:
        DatabaseUrl.parse(given)
    assert "secret" not in str(caught.value)
    status, _, errors = call("db", "check", given)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "secret" not in errors


def shape(connection: Connection, schema: str) -> list[object]:
    """Return all that a database says of its tables but the one of revisions."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE tbl_name <> 'alembic_version' ORDER BY 1"
        return [(name, " ".join((sql or "").split())) for name, sql in exec_all(connection, query)]
    columns = (
        "SELECT table_name, column_name, ordinal_position, data_type, collation_name, is_nullable, "
        "column_default FROM information_schema.columns WHERE table_schema = :schema "
        "AND table_name <> 'alembic_version' ORDER BY 1, 3"
    )
    constraints = (
        "SELECT conrelid::regclass::text, pg_get_constraintdef(c.oid) FROM pg_constraint c "
        "JOIN pg_namespace n ON n.oid = connamespace WHERE nspname = :schema "
        "AND conrelid::regclass::text <> 'alembic_version' ORDER BY 1, 2"
    )
    return [*exec_all(connection, columns, schema), *exec_all(connection, constraints, schema)]


def exec_all(connection: Connection, query: str, schema: str = "") -> list[tuple[str, ...]]:
    names = {"schema": schema} if schema else {}
    return [tuple(row) for row in connection.execute(text(query), names)]


@both
def test_revisions_end_in_the_tables_of_this_release(database: DatabaseUrl, tmp_path: Path) -> None:
    """What a database went through to get there makes no difference."""
    store = open_store(database)
    with store.transaction() as connection:
        migrated = shape(connection, database.schema)
    store.close()
    made = DatabaseUrl(tmp_path / "made.sqlite") if database.server is None else database
    if database.server is not None:
        drop_tables(database)
        change(made, f"CREATE SCHEMA {made.schema}")
    engine = writing_engine(made)
    with engine.begin() as connection:
        METADATA.create_all(connection)
        assert shape(connection, database.schema) == migrated
    engine.dispose()
    if database.server is not None:
        drop_tables(database)


def test_every_revision_is_known() -> None:
    folder = Path(migrations.__file__).parent
    script = ScriptDirectory(str(folder))
    found = [each.revision for each in script.walk_revisions()]
    assert tuple(reversed(found)) == migrations.KNOWN


@both
def test_a_database_is_of_this_release_or_refused(database: DatabaseUrl, call: Call) -> None:
    """One from before revisions is brought up to it; a newer one is left alone, by readers too."""
    store = open_store(database)
    prepare(Exchange(store))
    store.close()
    change(database, "DROP TABLE alembic_version")
    for table, columns in migrations.ADDED.items():
        for column in columns:
            change(database, f"ALTER TABLE {table} DROP COLUMN {column}")
    status, output, _ = call("db", "migrate", database.with_password, "--json")
    assert (status, json.loads(output)) == (0, {"revision": migrations.HEAD})
    assert call("db", "check", database.with_password)[0] == 0
    change(database, "UPDATE alembic_version SET version_num = '9999'")
    for command in ("migrate", "check", "verify"):
        status, output, errors = call("db", command, database.with_password)
        assert (status, output) == (2, "")
        assert "newer release" in errors
        assert len(errors.splitlines()) == 1
    change(database, f"UPDATE alembic_version SET version_num = '{migrations.HEAD}'")  # noqa: S608
    if database.server is not None:
        drop_tables(database)


@both
def test_tables_of_something_else_are_left_alone(database: DatabaseUrl) -> None:
    if database.server is not None:
        drop_tables(database)
        change(database, f"CREATE SCHEMA {database.schema}")
    change(database, "CREATE TABLE diary (day TEXT)")
    for opened in (open_store, open_snapshot):
        with pytest.raises(StoreError, match="not a database of this exchange"):
            opened(database)
    assert ask(database, "SELECT count(*) FROM diary") == 0
    if database.server is not None:
        drop_tables(database)


@both
def test_a_database_is_looked_after_while_it_is_written_to(
    exchange: Exchange, database: DatabaseUrl, call: Call, tmp_path: Path
) -> None:
    """Whatever only reads needs no lock; whatever writes says who has it, in one line."""
    run_a_life(exchange)
    place, folder = database.with_password, tmp_path / "out"
    with exchange.store.transaction() as connection:
        connection.execute(text("UPDATE setting SET value = value"))
        status, output, _ = call("db", "check", place, "--json")
        assert (status, json.loads(output)["records"]) == (0, exchange.journal_length)
        status, output, _ = call("db", "verify", place, "--json")
        last = exchange.store.last_record()
        assert last is not None
        assert json.loads(output)["digest"] == last.digest.hex()
        assert call("db", "export", place, folder)[0] == 0
        assert call("db", "backup", place, tmp_path / "copy")[0] == 0
        assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    assert_exported(exchange, folder)
    status, _, errors = call("db", "migrate", place)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "in use by another process" in errors
    exchange.store.close()
    if database.server is not None:
        assert "holds an exchange" in call("db", "restore", place, tmp_path / "copy")[2]
        drop_tables(database)
    else:
        place = str(tmp_path / "restored.sqlite")
    status, _, errors = call("db", "restore", place, tmp_path / "copy")
    assert (status, len(errors.splitlines())) == (0, 2)
    assert "are good again" in errors
    assert "pending again" in errors
    assert call("db", "check", place)[0] == 0
    restored = open_store(place, must_exist=True)
    assert restored.last_record() == last
    restored.close()


def test_a_copy_is_not_restored_beside_the_log_of_a_lost_file(
    exchange: Exchange, database: DatabaseUrl, call: Call, tmp_path: Path
) -> None:
    """SQLite would write into it what the log of the other has."""
    assert database.path is not None
    copy, lost = tmp_path / "copy", database.path
    exchange.commit()
    assert call("db", "backup", lost, copy)[0] == 0
    tick(exchange, START_MS + MINUTE_MS)
    exchange.commit()
    log = lost.with_name(lost.name + "-wal").read_bytes()
    exchange.store.close()
    for end in ("-wal", "-journal"):
        lost.unlink(missing_ok=True)
        left = lost.with_name(lost.name + end)
        left.write_bytes(log)
        status, _, errors = call("db", "restore", lost, copy)
        assert (status, len(errors.splitlines())) == (2, 1)
        assert f"{left} exists" in errors
        assert not lost.exists()
        left.unlink()
    assert call("db", "restore", lost, copy)[0] == 0
    assert call("db", "check", lost)[0] == 0


def test_what_root_restores_is_the_servers(
    exchange: Exchange, database: DatabaseUrl, call: Call, tmp_path: Path
) -> None:
    exchange.store.close()
    folder = tmp_path / "state"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, 12_345, 12_346)
    assert call("db", "backup", database, tmp_path / "copy")[0] == 0
    restored = folder / "exchange.sqlite"
    assert call("db", "restore", restored, tmp_path / "copy")[0] == 0
    found, owner = restored.stat(), folder.stat()
    assert (found.st_uid, found.st_gid) == (owner.st_uid, owner.st_gid)


def units(amount: Decimal) -> int:
    return int(amount.scaleb(8))


def assert_exported(exchange: Exchange, folder: Path) -> None:
    """Check that files hold what the exchange says of itself."""
    journal = pq.read_table(folder / "journal.parquet").to_pylist()
    assert [row["digest"] for row in journal] == [r.digest for r in exchange.store.journal()]
    trades = read_entries(exchange.store, f"trades/{TOKEN}", None, 100)
    rows = pq.read_table(folder / "trades.parquet").to_pylist()
    assert [row["sequence"] for row in reversed(rows)] == [each.sequence for each in trades]
    assert [units(row["total"]) for row in reversed(rows)] == [
        each.outcome.amount for each in trades
    ]
    ledger = pq.read_table(folder / "ledger.parquet").to_pylist()
    for account in ("buyer", "provider"):
        entries = reversed(read_entries(exchange.store, f"account/{account}", None, 100))
        lines = [
            (line.sequence, line.source, line.target, line.flow, line.amount)
            for each in entries
            for line in ledger_lines(each, account, exchange.memory.slot_of)
        ]
        exported = [
            (row["sequence"], row["source"], row["target"], row["flow"], units(row["amount"]))
            for row in ledger
            if row["account"] == account
        ]
        assert lines == exported
    assert pq.read_table(folder / "flushes.parquet").num_rows == 1


@both
def test_a_broken_chain_is_found_without_rebuilding(
    exchange: Exchange, database: DatabaseUrl, call: Call
) -> None:
    run_a_life(exchange)
    change(database, "UPDATE journal SET now_ms = now_ms + 1 WHERE sequence IN (7, 9)")
    status, output, errors = call("db", "verify", database.with_password)
    assert (status, output) == (1, "")
    assert errors == "evergamma: record 7 does not match its digest\n"
    status, output, _ = call("db", "verify", database.with_password, "--json")
    assert (status, json.loads(output)["records"]) == (1, 6)


@both
def test_a_chain_that_was_cut_is_found_by_what_was_kept_of_it(
    exchange: Exchange, database: DatabaseUrl, call: Call
) -> None:
    """Nothing in the database itself tells: what is left of it is whole."""
    place, head = database.with_password, exchange.store.last_record()
    assert head is not None
    tick(exchange, head.now_ms + MINUTE_MS)
    exchange.commit()
    last = json.loads(call("db", "verify", place, "--json")[1])["last"]
    for kept in (f"0:{bytes(32).hex()}", f"{head.sequence}:{head.digest.hex().upper()}", last):
        assert call("db", "verify", place, "--expect", kept)[0] == 0
    number, digest = last.split(":")
    assert int(number) == head.sequence + 2
    with exchange.store.transaction() as connection:
        connection.execute(JOURNAL.delete().where(JOURNAL.c.sequence > head.sequence))
        ended = {"value": head_of(head.sequence, head.digest)}
        connection.execute(SETTINGS.update().where(SETTINGS.c.name == HEAD).values(ended))
    status, output, _ = call("db", "verify", place)
    assert status == 0
    assert output.endswith(f"the last is {head.sequence}:{head.digest.hex()}\n")
    for kept, fault in {
        last: f"record {number} is missing, which was expected",
        f"{head.sequence}:{digest}": f"record {head.sequence} is not the one that was expected",
        f"0:{digest}": "record 0 is not the one that was expected",
    }.items():
        status, output, errors = call("db", "verify", place, "--expect", kept)
        assert (status, output) == (1, "")
        assert errors == f"evergamma: {fault}\n"


def test_what_was_kept_is_a_number_and_a_digest(call: Call) -> None:
    for kept in ("7", "7:0", f"-1:{'0' * 64}", f"x:{'0' * 64}", f"7:{'0' * 65}"):
        status, output, errors = call("db", "verify", "d.sqlite", f"--expect={kept}")
        assert (status, output) == (2, "")
        assert errors.startswith("evergamma: --expect ")
        assert len(errors.splitlines()) == 1


TAMPERED = {
    "is not what record {} made: nav_opened, insurance_after": {
        "nav_opened": FLUSHES.c.nav_opened + 1,
        "insurance_after": FLUSHES.c.insurance_after * 2,
    },
    "is not what record {} made: bundle": {"bundle": b"{}"},
    "is not what record {} made: digest": {"digest": sha256(b"{}").hexdigest()},
    "is missing, of which there is a record; flushes wrong beside it: 1": {"number": 2},
}
"""What is said of the row of a flush, and what was done to it."""


@both
def test_a_row_of_a_flush_is_what_its_record_made(
    exchange: Exchange, database: DatabaseUrl, call: Call
) -> None:
    """All of it, its bundle too: of these the state that the journal rebuilds has nothing."""
    run_a_life(exchange)
    (record,) = (each for each in exchange.store.journal() if each.kind == "Flush")
    row = exchange.store.flush(TOKEN, 1)
    assert row is not None
    for fault, values in TAMPERED.items():
        with exchange.store.transaction() as connection:
            connection.execute(FLUSHES.update().values(values))
        status, output, errors = call("db", "check", database.with_password)
        assert (status, output) == (1, "")
        assert errors == f"evergamma: flush 1 of {TOKEN} {fault.format(record.sequence)}\n"
        with exchange.store.transaction() as connection:
            connection.execute(FLUSHES.update().values(row._asdict()))
    assert check_database(exchange.store).faults == []
    with exchange.store.transaction() as connection:
        connection.execute(FLUSHES.insert().values(row._asdict() | {"number": 2}))
    assert check_database(exchange.store).faults == [f"flush 2 of {TOKEN} has no record"]


def test_a_file_is_not_sharded(call: Call) -> None:
    for shard in ("eu", "Main", "a-b"):
        status, _, errors = call("db", "check", "d.sqlite", "--shard", shard)
        assert (status, len(errors.splitlines())) == (2, 1)
        assert "shard" in errors
