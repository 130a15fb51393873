"""A SQLite file as the writer has it: one transaction for a batch, a lock beside the file.

Reading waits for no writing: it has connections of its own.
"""

import fcntl
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache, partial
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects.sqlite import dialect, insert
from sqlalchemy.exc import SQLAlchemyError

from api.storage.base import Store
from api.storage.engines import staging_connection, writing_engine
from api.storage.errors import StoreError, reason_of
from api.storage.schema import prepare_schema
from api.storage.url import DatabaseUrl
from api.storage.waiting import Tell, become_writer
from api.storage.writes import Doing, Writes


class SqliteStore(Store):
    """One SQLite database, held by one process.

    Raises:
        StoreError: Where the file is not a database of an exchange, or another process writes to
            it and `wait` is not given; with `must_exist`, also where there is none.
    """

    def __init__(self, url: DatabaseUrl, *, must_exist: bool = False, wait: Tell | None) -> None:
        assert url.path is not None
        # Two names of one file must meet at one lock.
        path = url.path.resolve()
        if path.is_dir():
            raise StoreError(f"{url} is a folder, not a database")
        if must_exist and not path.is_file():
            raise StoreError(f"{url}: no such file")
        try:
            self._lock = path.with_name(path.name + ".lock").open("w")
        except OSError as error:
            raise StoreError(f"cannot write beside {url}: {error.strerror}") from None
        try:
            become_writer(url, self._try_lock, wait)
        except BaseException:
            self._lock.close()
            raise
        super().__init__(DatabaseUrl(path))
        self._writing = writing_engine(self.url)
        self._staging: sqlite3.Connection | None = None
        try:
            with self.transaction() as connection:
                prepare_schema(connection, url, must_exist=must_exist)
            self._staging = staging_connection(self.url)
        except SQLAlchemyError as error:
            self.close()
            raise StoreError(f"{url} cannot be used as a database: {reason_of(error)}") from None
        except BaseException:
            self.close()
            raise

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the database and let the next writer in."""
        super().close()
        if self._staging is not None:
            self._staging.close()
        self._writing.dispose()
        self._lock.close()

    def hold(self) -> None:
        """Do nothing: only the end of this process takes the lock from it."""

    def look(self) -> None:
        """Do nothing, for the same reason."""

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commit what is done inside as one, or nothing of it."""
        with self._writing.begin() as connection:
            yield connection

    def stage(self, writes: Writes) -> Callable[[], None]:
        """Do all writes in one transaction, straight through the driver.

        What is returned commits it; it may be called from another thread. Only that waits for the
        disk, and takes no turn of the interpreter's lock but the last. Where somebody else is
        writing just now, a key or a line of the audit trail, it does all of it.
        """
        connection = self._staging
        assert connection is not None
        if connection.in_transaction:  # what was staged last was given up
            connection.rollback()
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            self.may_wait = True
            return partial(self._write, writes)
        try:
            _carry_out(connection, writes)
        except BaseException:
            connection.rollback()
            raise
        self.may_wait = False
        return partial(_commit, connection)

    def _write(self, writes: Writes) -> None:
        """Do all writes, when it is this writer's turn."""
        with closing(self._writing.raw_connection()) as connection:
            driver = connection.driver_connection
            assert driver is not None
            driver.execute("BEGIN IMMEDIATE")
            _carry_out(driver, writes)
            driver.commit()

    def claim_token(self, token: str) -> None:
        """Do nothing: a file is one shard."""

    def release_token(self, token: str) -> None:
        """Do nothing: a file is one shard."""


def _carry_out(connection: sqlite3.Connection, writes: Writes) -> None:
    for doing, table, rows in writes:
        connection.executemany(_TEXTS[doing](table), rows)


def _commit(connection: sqlite3.Connection) -> None:
    try:
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


@cache
def _put_text(table: Table) -> str:
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
def _append_text(table: Table) -> str:
    return str(table.insert().compile(dialect=dialect()))


@cache
def _delete_text(table: Table) -> str:
    key, *_ = table.primary_key.columns
    return f"DELETE FROM {table.name} WHERE {key.name} = ?"  # noqa: S608 - names of our own


_TEXTS: dict[Doing, Any] = {
    Doing.APPEND: _append_text,
    Doing.PUT: _put_text,
    Doing.DELETE: _delete_text,
}
