"""The database of one writer: group commits, one transaction each, and reading back.

SQLite is opened without the driver's own transactions; every transaction begins with an explicit
BEGIN IMMEDIATE. `synchronous=FULL` with a write-ahead log means that what was committed survives
the machine, and that reading waits for no writing: it has connections of its own, from any thread.
A lock beside the file keeps a second writer out.
"""

import fcntl
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Select,
    Table,
    create_engine,
    event,
    inspect,
    select,
)
from sqlalchemy.dialects.sqlite import dialect, insert
from sqlalchemy.exc import SQLAlchemyError

from api.journal import Record
from api.tables import ENTRIES, JOURNAL, METADATA, SAMPLES, SERIES_SAMPLES, SETTINGS

Words = npt.NDArray[np.int64]
Writes = list[tuple[str, list[tuple[Any, ...]]]]
"""Statements, each with the rows it is to be run for."""
CHECKPOINT_PAGES = 8_000
"""Length of the write-ahead log, 32 MB, at which a commit also writes it back."""
READERS_MAX = 64
"""Threads that read history at once; more wait for each other."""


class StoreError(Exception):
    """The database cannot be used; the message says why in one line."""


def _writing_engine(path: Path) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)))

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        connection.execute("PRAGMA busy_timeout=5000")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _reading_engine(path: Path) -> Engine:
    """Return an engine for any thread: each statement sees the last commit, and none can write."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)), pool_size=READERS_MAX, max_overflow=0
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA query_only=1")
        connection.execute("PRAGMA busy_timeout=5000")

    return engine


class Store:
    """One SQLite database, held by one process.

    Raises:
        StoreError: Where the file is not a database of an exchange, or another process writes to
            it; with `must_exist`, also where there is none.
    """

    def __init__(self, path: Path, *, must_exist: bool = False) -> None:
        # Two names of one file must meet at one lock.
        self.path = path.resolve()
        if self.path.is_dir():
            raise StoreError(f"{path} is a folder, not a database")
        if must_exist and not self.path.is_file():
            raise StoreError(f"{path}: no such file")
        try:
            self._lock = self.path.with_name(self.path.name + ".lock").open("w")
        except OSError as error:
            raise StoreError(f"cannot write beside {path}: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise StoreError(f"{path} is in use by another process") from None
        self._engine = _writing_engine(self.path)
        self._reading = _reading_engine(self.path)
        try:
            self._claim_file(must_exist)
        except SQLAlchemyError as error:
            self.close()
            reason = str(getattr(error, "orig", error)).splitlines()[0]
            raise StoreError(f"{path} cannot be used as a database: {reason}") from None
        except StoreError:
            self.close()
            raise

    def _claim_file(self, must_exist: bool) -> None:
        """Create the tables in an empty database; leave one that holds something else alone."""
        inspector = inspect(self._engine)
        found = set(inspector.get_table_names())
        if not found and not must_exist:
            METADATA.create_all(self._engine)
            return
        for name, table in METADATA.tables.items():
            columns = (
                {each["name"] for each in inspector.get_columns(name)} if name in found else {}
            )
            if columns != {column.name for column in table.columns}:
                raise StoreError(f"{self.path} is not a database of this exchange")

    def close(self) -> None:
        """Close the database and let the next writer in."""
        self._reading.dispose()
        self._engine.dispose()
        self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commit what is done inside as one, or nothing of it."""
        with self._engine.begin() as connection:
            yield connection

    def stage(self, writes: Writes) -> Callable[[], None]:
        """Do all writes in one transaction, straight through the driver.

        What is returned commits it; it may be called from another thread. Only that waits for the
        disk, and takes no turn of the interpreter's lock but the last.
        """
        connection = self._engine.raw_connection()
        try:
            with closing(connection.cursor()) as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                for text, rows in writes:
                    cursor.executemany(text, rows)
        except BaseException:
            connection.close()  # which rolls back
            raise

        def commit() -> None:
            with closing(connection):
                connection.commit()

        return commit

    def setting(self, name: str) -> str | None:
        """Return a stored setting."""
        with self._reading.connect() as connection:
            query = select(SETTINGS.c.value).where(SETTINGS.c.name == name)
            return connection.execute(query).scalar_one_or_none()

    def rows(self, table: Table) -> list[Any]:
        """Return all rows of a table in the order of its key."""
        return self._all(select(table).order_by(*table.primary_key))

    def samples(self, token: str, since_ms: int = 0, limit: int | None = None) -> list[Any]:
        """Return the readings of a token from a time on, in order of time."""
        return self._samples(SAMPLES, {"token": token}, since_ms, limit)

    def series_samples(
        self, token: str, slot: int, since_ms: int = 0, limit: int | None = None
    ) -> list[Any]:
        """Return the readings of a series, given by its row, from a time on, in order of time."""
        return self._samples(SERIES_SAMPLES, {"token": token, "slot": slot}, since_ms, limit)

    def _samples(
        self, table: Table, keys: dict[str, Any], since_ms: int, limit: int | None
    ) -> list[Any]:
        query = select(table).filter_by(**keys).where(table.c.now_ms >= since_ms)
        return self._all(query.order_by(table.c.now_ms).limit(limit))

    def _all(self, query: Select[Any]) -> list[Any]:
        with self._reading.connect() as connection:
            return list(connection.execute(query))

    def last_record(self) -> Record | None:
        """Return the newest record of the journal."""
        return self._one_record(select(JOURNAL).order_by(JOURNAL.c.sequence.desc()).limit(1))

    def record_of(self, key: str) -> Record | None:
        """Return the record with an idempotency key."""
        return self._one_record(select(JOURNAL).where(JOURNAL.c.key == key))

    def record(self, sequence: int) -> Record | None:
        """Return the record of a number."""
        return self._one_record(select(JOURNAL).where(JOURNAL.c.sequence == sequence))

    def _one_record(self, query: Select[Any]) -> Record | None:
        found = self._all(query)
        return Record(*found[0]) if found else None

    def records_on(self, topic: str, before: int | None, limit: int) -> list[Record]:
        """Return the newest records of a topic before a number, the newest first."""
        query = select(JOURNAL).join(ENTRIES, ENTRIES.c.sequence == JOURNAL.c.sequence)
        query = query.where(ENTRIES.c.topic == topic)
        if before is not None:
            query = query.where(ENTRIES.c.sequence < before)
        found = self._all(query.order_by(ENTRIES.c.sequence.desc()).limit(limit))
        return [Record(*row) for row in found]

    def entries(self, batch: int = 2_000) -> Generator[Any]:
        """Yield every topic of history with its record's number, in the order of the numbers."""
        with self._reading.connect() as connection:
            query = select(ENTRIES).order_by(ENTRIES.c.sequence)
            yield from connection.execution_options(yield_per=batch).execute(query)

    def keys(self) -> set[str]:
        """Return every idempotency key used so far."""
        with self._reading.connect() as connection:
            return set(connection.execute(select(JOURNAL.c.key)).scalars())

    def journal(self, batch: int = 2_000, after: int = 0) -> Generator[Record]:
        """Yield every record after one in order, reading a batch at a time."""
        with self._reading.connect() as connection:
            query = select(JOURNAL).where(JOURNAL.c.sequence > after).order_by(JOURNAL.c.sequence)
            for row in connection.execution_options(yield_per=batch).execute(query):
                yield Record(*row)

    def orders(self) -> Iterator[Record]:
        """Yield the records of everything that was asked by or for an account of a token."""
        with self._reading.connect() as connection:
            others = ("Tick", "Restart", "StartUnderlying", "PublishSurface")
            query = (
                select(JOURNAL).where(JOURNAL.c.kind.not_in(others)).order_by(JOURNAL.c.sequence)
            )
            for row in connection.execute(query):
                yield Record(*row)


@cache
def _upsert_text(table: Table) -> str:
    """Return the statement that inserts or replaces rows given as tuples of all columns."""
    statement = insert(table)
    keys = list(table.primary_key.columns)
    changed = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if not column.primary_key
    }
    full = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    return str(full.compile(dialect=dialect()))


@cache
def _insert_text(table: Table) -> str:
    return str(table.insert().compile(dialect=dialect()))


@cache
def _delete_text(table: Table) -> str:
    key, *_ = table.primary_key.columns
    return f"DELETE FROM {table.name} WHERE {key.name} = ?"  # noqa: S608 - names of our own


def put(writes: Writes, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    """Have rows inserted, given as tuples of all columns, replacing those with the same key."""
    values = list(rows)
    if values:
        writes.append((_upsert_text(table), values))


def upsert(writes: Writes, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Have rows inserted, given by the names of columns, replacing those with the same key."""
    names = [column.name for column in table.columns]
    put(writes, table, (tuple(row[name] for name in names) for row in rows))


def delete(writes: Writes, table: Table, keys: Iterable[int]) -> None:
    """Have the rows with these keys deleted."""
    gone = [(key,) for key in keys]
    if gone:
        writes.append((_delete_text(table), gone))


def append(writes: Writes, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    """Have rows inserted, given as tuples of all columns; a key that exists is an error."""
    values = list(rows)
    if values:
        writes.append((_insert_text(table), values))


def rows_that_differ(words: Words, saved: Words | None) -> list[int]:
    """Return the rows that are new or not as they were saved; both of shape (rows, fields)."""
    if saved is None:
        return list(range(len(words)))
    known = min(len(words), len(saved))
    differs = np.flatnonzero((words[:known] != saved[:known]).any(axis=1))
    return [*differs.tolist(), *range(known, len(words))]


def as_rows(token: str, words: Words, slots: Iterable[int]) -> Iterator[tuple[Any, ...]]:
    """Yield rows of a state array, given as words, as its table wants them."""
    for slot in slots:
        yield (token, slot, *words[slot].tolist())
