"""One shard of a PostgreSQL server as its writer has it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from api.storage.arrays import prepared
from api.storage.base import Store
from api.storage.errors import StoreError, reason_of
from api.storage.owners import Owners
from api.storage.schema import prepare_schema
from api.storage.session import WriterSession
from api.storage.url import DatabaseUrl
from api.storage.waiting import Tell, become_writer
from api.storage.writes import Writes

GRACE_S = 1.0
"""Seconds the server may take to see that a writer has gone."""


class PostgresStore(Store):
    """A schema of a PostgreSQL database, held by one process.

    Raises:
        StoreError: The server cannot be reached, the schema is not one of an exchange, or another
            process writes to it and `wait` is not given.
    """

    may_wait = True

    def __init__(
        self,
        url: DatabaseUrl,
        *,
        must_exist: bool = False,
        wait: Tell | None = None,
        replica: DatabaseUrl | None = None,
        superseded: Callable[[], None] | None = None,
    ) -> None:
        self._session = WriterSession(url, superseded)
        try:
            become_writer(url, self._session.try_lock, wait, GRACE_S)
            with self.transaction() as connection:
                prepare_schema(connection, url, must_exist=must_exist)
            self._owners = Owners(url)
        except SQLAlchemyError as error:
            self._session.close()
            raise StoreError(f"{url} cannot be used as a database: {reason_of(error)}") from None
        except BaseException:
            self._session.close()
            raise
        super().__init__(url, replica)

    def close(self) -> None:
        """Close the database and let the next writer in."""
        super().close()
        self._owners.close()
        self._session.close()

    def hold(self) -> None:
        """Make sure that this process is the one that writes; wait for nothing."""
        self._session.hold()

    def look(self) -> None:
        """Ask the server whether it still has the session; where not, it is made again."""
        self._session.look()

    def break_off(self) -> None:
        """Shut the writer's connection; whoever waits for it in another thread fails."""
        self._session.break_off()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commit what is done inside as one, or nothing of it; it may take long."""
        connection = self._session.connection()
        connection.execution_options(isolation_level="READ COMMITTED")
        try:
            with self._session.patient(), connection.begin():
                yield connection
        finally:
            connection.execution_options(isolation_level="AUTOCOMMIT")

    def stage(self, writes: Writes) -> Callable[[], None]:
        """Return what writes all rows in one transaction and one round trip.

        It may be called from another thread; here nothing is done that waits.

        Raises:
            StoreError: The session is lost, and not made again yet.
        """
        driver = self._session.driver()

        def commit() -> None:
            try:
                statements = [prepared(*write) for write in writes]
                with driver.pipeline(), driver.cursor() as cursor, driver.cursor() as last:
                    cursor.execute("BEGIN")
                    for text, columns in statements:
                        cursor.execute(text, columns, prepare=True)
                    last.execute("COMMIT")
                assert last.statusmessage == "COMMIT"
            except BaseException:
                with suppress(psycopg.Error):
                    driver.execute("ROLLBACK")
                self._session.survive()
                raise

        return commit

    def claim_token(self, token: str) -> None:
        """Make a token this shard's."""
        self._owners.claim(token)

    def release_token(self, token: str) -> None:
        """Let any shard list a token that this one has claimed and not listed."""
        self._owners.release(token)
