"""The writer's session on PostgreSQL: the one connection that holds the lock, and that writes.

The lock belongs to the session. So whoever lost it cannot write any more, and whoever has it knows
that every transaction of the one before has ended: committed, or rolled back.
"""

import math
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, RLock, Thread
from typing import Any, NamedTuple
from zlib import crc32

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from api.storage.arrays import teach
from api.storage.engines import writing_engine
from api.storage.errors import StoreError, SupersededError, reason_of
from api.storage.silence import Driver
from api.storage.url import DatabaseUrl

LOCKS = 0x4547
"""The first half of every writer's advisory lock; the second is its shard's."""
TRY_AGAIN_S = 0.25
"""Seconds between two attempts to reach a server that is away."""

_HOLDER = text(
    "SELECT pid, backend_start FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND objsubid = 2 "
    "AND classid::bigint = :locks AND objid::bigint = :shard "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_SELF = text("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
_LOCK = text("SELECT pg_try_advisory_lock(:locks, :shard)")
_MARK = text("SELECT pg_logical_emit_message(true, 'evergamma', '')")
"""It is durable after all that was committed before, on the standbys that commits wait for too."""


def number_of(shard: str) -> int:
    """Return the second half of a shard's lock."""
    return crc32(shard.encode()) & 0x7FFF_FFFF


class _Backend(NamedTuple):
    """The server's process for a session."""

    pid: int
    started: Any


class WriterSession:
    """A connection that is made again when it is lost, with its lock.

    Raises:
        StoreError: The server cannot be reached, or refuses.
    """

    def __init__(self, url: DatabaseUrl, superseded: Callable[[], None] | None = None) -> None:
        self.url = url
        self._engine = writing_engine(url)
        self._names = {"locks": LOCKS, "shard": number_of(url.shard)}
        self._connection: Connection | None = None
        self._own: _Backend | None = None
        self._before: _Backend | None = None
        self._turn = RLock()
        self._ended = Event()
        self._again: Thread | None = None
        self._superseded = superseded
        self._is_superseded = False
        self._has_lock = False
        self._times = self._times_read = 0
        try:
            self._connect()
        except SQLAlchemyError as error:
            raise StoreError(f"{url} cannot be used as a database: {reason_of(error)}") from None

    def _connect(self) -> None:
        connection = self._engine.connect()
        try:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            backend = _Backend(*connection.execute(_SELF).one())
            waits = connection.execute(text("SHOW synchronous_commit")).scalar_one()
            if waits in {"off", "local"}:  # acknowledged is durable, whatever the server is used to
                connection.execute(text("SET synchronous_commit TO on"))
            connection.commit()
        except BaseException:
            connection.close()
            raise
        teach(_driver_of(connection))
        self._connection, self._own = connection, backend

    def close(self) -> None:
        """End the session, and with it the lock."""
        self._ended.set()
        again = self._again
        if again is not None:
            self.break_off()
            again.join()
        with self._turn:
            self._drop()
        self._engine.dispose()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._has_lock = False
        if connection is not None:
            connection.invalidate()  # it is closed, with no more talk to the server
            connection.close()

    # -- the lock

    def try_lock(self) -> bool:
        """Take the writer's lock where nobody else has it."""
        with self._turn:
            try:
                if self._connection is None:
                    self._connect()
                return self._try_lock()
            except SQLAlchemyError:  # the server is away: whoever waits goes on waiting
                self._drop()
                return False

    def _try_lock(self) -> bool:
        assert self._connection is not None
        is_ours = bool(self._connection.execute(_LOCK, self._names).scalar_one())
        if is_ours:
            is_again, self._before = self._before is not None, self._own
            if is_again:  # what was cut off may have been done, and be on no standby yet
                self._connection.execute(_MARK)
            self._times += 1
            self._has_lock = True
        self._connection.commit()
        return is_ours

    def hold(self) -> None:
        """Make sure that the lock is held; what is read from now on is what batches stand on.

        Raises:
            StoreError: It is not now; the session is being made again.
            SupersededError: Another process has it.
        """
        times = self._times
        if self._is_superseded:
            raise SupersededError(f"another process writes to {self.url} now; this one has to end")
        if not self._has_lock:
            raise StoreError(f"{self.url} cannot be reached; trying again")
        self._times_read = times

    def connection(self) -> Connection:
        """Return the connection.

        Raises:
            StoreError: It is lost.
        """
        connection = self._connection
        if connection is None or not self._has_lock:
            raise StoreError(f"{self.url} cannot be reached; trying again")
        return connection

    def driver(self) -> Driver:
        """Return the driver's connection.

        Raises:
            StoreError: It is lost; or it was, and what a batch stands on was not read again since.
        """
        driver = _driver_of(self.connection())
        if self._times_read != self._times:
            raise StoreError(f"{self.url} was lost for a moment; it has to be read again")
        return driver

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Inside, the server may take as long as it wants."""
        driver = _driver_of(self.connection())
        usual, driver.silence_max = driver.silence_max, math.inf
        try:
            yield
        finally:
            driver.silence_max = usual

    # -- losing it, and taking it again

    def break_off(self) -> None:
        """Shut the connection under whoever waits for it; it is theirs to close."""
        connection = self._connection
        if connection is not None:
            with (
                suppress(OSError, psycopg.Error),
                socket.socket(fileno=os.dup(_driver_of(connection).pgconn.socket)) as line,
            ):
                line.shutdown(socket.SHUT_RDWR)

    def look(self) -> None:
        """Ask the server whether the session still is."""
        with self._turn:
            if self._connection is not None:
                with suppress(psycopg.Error):
                    _driver_of(self._connection).execute("SELECT 1")
                self.survive()

    def survive(self) -> None:
        """Where the connection has not survived a failure, make it again meanwhile."""
        with self._turn:
            if self._connection is None or not _driver_of(self._connection).closed:
                return
            self._drop()
            if self._again is None and not self._ended.is_set():
                self._again = Thread(target=self._return, name="reconnecting", daemon=True)
                self._again.start()

    def _return(self) -> None:
        """Take the lock again, unless another process was faster."""
        while not self._ended.wait(TRY_AGAIN_S):
            with self._turn:
                if not self.try_lock() and self._connection is not None:
                    self._is_superseded = self._is_held_elsewhere(self._connection)
                if self._has_lock or self._is_superseded:
                    self._again = None
                    break
        if self._is_superseded and self._superseded is not None:
            self._superseded()

    def _is_held_elsewhere(self, connection: Connection) -> bool:
        """Whether another process has the lock; our own session of before is asked to end."""
        try:
            found = connection.execute(_HOLDER, self._names).one_or_none()
            if found is not None:
                if self._before != _Backend(*found):
                    return True
                connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": found.pid})
            connection.commit()
        except SQLAlchemyError:
            self._drop()
        return False


def _driver_of(connection: Connection) -> Driver:
    driver: Driver = connection.connection.driver_connection  # type: ignore[assignment]
    return driver
