"""Reading back: what is current from the database, history from a replica if there is one.

Nothing here waits for the writer or keeps it waiting; connections may be used from any thread.
"""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Select, Table, select

from api.journal import Record
from api.storage.engines import reading_engine
from api.storage.url import DatabaseUrl
from api.tables import ENTRIES, FLUSHES, JOURNAL, SAMPLES, SERIES_SAMPLES, SETTINGS


class Reading:
    """What can be asked of a database.

    Args:
        url: The database; what must not lag is read there.
        replica: One that follows it, for queries of history; the same if not given.
    """

    def __init__(self, url: DatabaseUrl, replica: DatabaseUrl | None = None) -> None:
        self.url = url
        self._engine = reading_engine(url)
        self._history = self._engine if replica is None else reading_engine(replica)

    def close(self) -> None:
        """Close all connections."""
        self._history.dispose()
        self._engine.dispose()

    @contextmanager
    def _connected(self, engine: Engine) -> Iterator[Connection]:
        with engine.connect() as connection:
            yield connection

    @contextmanager
    def _moment(self) -> Iterator[Connection]:
        """Yield a connection that sees one moment for as long as it is read from."""
        with self._connected(self._engine) as connection:
            if self.url.server is not None:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def _stream(self, query: Select[Any], batch: int) -> Generator[Any]:
        """Yield rows, reading a batch at a time."""
        with (
            self._moment() as connection,
            connection.execute(query, execution_options={"yield_per": batch}) as rows,
        ):
            yield from rows

    def _all(self, query: Select[Any]) -> list[Any]:
        with self._connected(self._engine) as connection:
            return list(connection.execute(query).all())  # by far the fastest for many rows

    def _past(self, query: Select[Any]) -> list[Any]:
        """Return rows of history, from the replica where there is one."""
        with self._connected(self._history) as connection:
            return list(connection.execute(query))

    def setting(self, name: str) -> str | None:
        """Return a stored setting."""
        found = self._all(select(SETTINGS.c.value).where(SETTINGS.c.name == name))
        return str(found[0].value) if found else None

    def rows(self, table: Table) -> list[Any]:
        """Return all rows of a table in the order of its key."""
        return self._all(select(table).order_by(*table.primary_key))

    def table(self, table: Table, batch: int = 2_000) -> Generator[Any]:
        """Yield all rows of a table in the order of its key, reading a batch at a time."""
        return self._stream(select(table).order_by(*table.primary_key), batch)

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
        return self._past(query.order_by(table.c.now_ms).limit(limit))

    def flushes(self, token: str, before: int | None = None, limit: int | None = None) -> list[Any]:
        """Return the flushes of a token before a number, the newest first, without bundles."""
        columns = [column for column in FLUSHES.columns if column.name != "bundle"]
        query = select(*columns).where(FLUSHES.c.token == token)
        if before is not None:
            query = query.where(FLUSHES.c.number < before)
        return self._past(query.order_by(FLUSHES.c.number.desc()).limit(limit))

    def flush(self, token: str, number: int) -> Any | None:
        """Return the row of a flush with its bundle, None where there is none."""
        found = self._all(select(FLUSHES).filter_by(token=token, number=number))
        return found[0] if found else None

    def flush_numbers(self, batch: int = 2_000) -> Generator[Any]:
        """Yield token and number of every flush in the order of these."""
        return self._stream(select(*FLUSHES.primary_key).order_by(*FLUSHES.primary_key), batch)

    def bundle(self, token: str, number: int) -> tuple[bytes, str] | None:
        """Return the bundle of a flush and its digest, None where there is no such flush."""
        query = select(FLUSHES.c.bundle, FLUSHES.c.digest)
        query = query.where(FLUSHES.c.token == token, FLUSHES.c.number == number)
        found = self._past(query)
        return (bytes(found[0].bundle), str(found[0].digest)) if found else None

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

    def records_on(
        self, topic: str, before: int | None, limit: int, *, is_current: bool = False
    ) -> list[Record]:
        """Return the newest records of a topic before a number, the newest first.

        A replica may not have the very last; who needs them says that it is to be current.
        """
        query = select(JOURNAL).join(ENTRIES, ENTRIES.c.sequence == JOURNAL.c.sequence)
        query = query.where(ENTRIES.c.topic == topic)
        if before is not None:
            query = query.where(ENTRIES.c.sequence < before)
        ask = self._all if is_current else self._past
        found = ask(query.order_by(ENTRIES.c.sequence.desc()).limit(limit))
        return [Record(*row) for row in found]

    def entries(self, batch: int = 2_000) -> Generator[Any]:
        """Yield every topic of history with its record's number, in the order of the numbers."""
        return self._stream(select(ENTRIES).order_by(ENTRIES.c.sequence), batch)

    def keys(self, passing: str, after: int = 0) -> set[str]:
        """Return the idempotency keys used after a record, but those that begin with a text."""
        query = select(JOURNAL.c.key).where(JOURNAL.c.sequence > after)
        query = query.where(JOURNAL.c.key.not_like(f"{passing}%"))
        with self._connected(self._engine) as connection:
            return set(connection.execute(query).scalars())

    def journal(self, batch: int = 2_000, after: int = 0) -> Generator[Record]:
        """Yield every record after one in order, reading a batch at a time."""
        query = select(JOURNAL).where(JOURNAL.c.sequence > after).order_by(JOURNAL.c.sequence)
        return self._records(query, batch)

    def orders(self, batch: int = 2_000) -> Generator[Record]:
        """Yield the records of everything that was asked by or for an account of a token."""
        others = ("Tick", "Restart", "StartUnderlying", "PublishSurface")
        query = select(JOURNAL).where(JOURNAL.c.kind.not_in(others)).order_by(JOURNAL.c.sequence)
        return self._records(query, batch)

    def _records(self, query: Select[Any], batch: int) -> Generator[Record]:
        with closing(self._stream(query, batch)) as rows:
            yield from map(Record._make, rows)


class Snapshot(Reading):
    """All of a database as it was at one moment, while its writer goes on."""

    def __init__(self, url: DatabaseUrl) -> None:
        super().__init__(url)
        try:
            self._connection = self._engine.connect()
            if url.server is not None:
                self._connection.execution_options(isolation_level="REPEATABLE READ")
            else:
                self._connection.exec_driver_sql("BEGIN")
        except BaseException:
            super().close()
            raise

    @property
    def connection(self) -> Connection:
        """What it is read by."""
        return self._connection

    def close(self) -> None:
        """Let the moment go."""
        self._connection.close()
        super().close()

    @contextmanager
    def _connected(self, engine: Engine) -> Iterator[Connection]:
        assert engine is self._engine
        yield self._connection

    @contextmanager
    def _moment(self) -> Iterator[Connection]:
        yield self._connection
