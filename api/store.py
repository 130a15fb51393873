"""The database of one writer: group commits, one transaction each, and reading back.

SQLite is opened without the driver's own transactions; every transaction begins with an explicit
BEGIN IMMEDIATE. `synchronous=FULL` with a write-ahead log means that what was committed survives
the machine. A lock beside the file keeps a second writer out.
"""

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Table,
    bindparam,
    create_engine,
    event,
    inspect,
    select,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError

from api.journal import Record
from api.tables import JOURNAL, METADATA, SAMPLES, SETTINGS

Words = npt.NDArray[np.int64]


class StoreError(Exception):
    """The database cannot be used; the message says why in one line."""


def _open_engine(path: Path) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)))

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA busy_timeout=5000")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

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
        self._engine = _open_engine(self.path)
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
        self._engine.dispose()
        self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commit what is done inside as one, or nothing of it."""
        with self._engine.begin() as connection:
            yield connection

    def setting(self, name: str) -> str | None:
        """Return a stored setting."""
        with self._engine.connect() as connection:
            query = select(SETTINGS.c.value).where(SETTINGS.c.name == name)
            return connection.execute(query).scalar_one_or_none()

    def rows(self, table: Table) -> list[Any]:
        """Return all rows of a table in the order of its key."""
        with self._engine.connect() as connection:
            return list(connection.execute(select(table).order_by(*table.primary_key)))

    def samples(self, token: str) -> list[Any]:
        """Return the hourly readings of a token in order of time."""
        with self._engine.connect() as connection:
            query = select(SAMPLES).where(SAMPLES.c.token == token).order_by(SAMPLES.c.now_ms)
            return list(connection.execute(query))

    def last_record(self) -> Record | None:
        """Return the newest record of the journal."""
        with self._engine.connect() as connection:
            query = select(JOURNAL).order_by(JOURNAL.c.sequence.desc()).limit(1)
            row = connection.execute(query).one_or_none()
            return None if row is None else Record(*row)

    def record_of(self, key: str) -> Record | None:
        """Return the record with an idempotency key."""
        with self._engine.connect() as connection:
            row = connection.execute(select(JOURNAL).where(JOURNAL.c.key == key)).one_or_none()
            return None if row is None else Record(*row)

    def keys(self) -> set[str]:
        """Return every idempotency key used so far."""
        with self._engine.connect() as connection:
            return set(connection.execute(select(JOURNAL.c.key)).scalars())

    def journal(self, batch: int = 2_000) -> Iterator[Record]:
        """Yield every record in order, reading a batch at a time."""
        with self._engine.connect() as connection:
            query = select(JOURNAL).order_by(JOURNAL.c.sequence)
            for row in connection.execution_options(yield_per=batch).execute(query):
                yield Record(*row)

    def orders(self) -> Iterator[Record]:
        """Yield the records of everything that was asked by or for an account of a token."""
        with self._engine.connect() as connection:
            others = ("Tick", "Restart", "StartUnderlying", "PublishSurface")
            query = (
                select(JOURNAL).where(JOURNAL.c.kind.not_in(others)).order_by(JOURNAL.c.sequence)
            )
            for row in connection.execute(query):
                yield Record(*row)


def upsert(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows, replacing those with the same key."""
    values = list(rows)
    if not values:
        return
    statement = insert(table)
    keys = list(table.primary_key.columns)
    changed = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if not column.primary_key
    }
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), values)


def delete(connection: Connection, table: Table, keys: Iterable[int]) -> None:
    """Delete the rows with these keys."""
    key, *_ = table.primary_key.columns
    gone = [{"gone": each} for each in keys]
    if gone:
        connection.execute(table.delete().where(key == bindparam("gone")), gone)


def append(connection: Connection, records: list[Record]) -> None:
    """Append records to the journal; a sequence or key that exists is an error."""
    if records:
        connection.execute(JOURNAL.insert(), [record._asdict() for record in records])


def rows_that_differ(words: Words, saved: Words | None) -> list[int]:
    """Return the rows that are new or not as they were saved; both of shape (rows, fields)."""
    if saved is None:
        return list(range(len(words)))
    known = min(len(words), len(saved))
    differs = np.flatnonzero((words[:known] != saved[:known]).any(axis=1))
    return [*differs.tolist(), *range(known, len(words))]


def as_rows(
    token: str, table: Table, words: Words, slots: Iterable[int]
) -> Iterator[dict[str, Any]]:
    """Yield rows of a state array, given as words, as the table wants them."""
    names = [column.name for column in table.columns if not column.primary_key]
    for slot in slots:
        yield {"token": token, "slot": slot, **dict(zip(names, words[slot].tolist(), strict=True))}
