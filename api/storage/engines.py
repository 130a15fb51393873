"""Engines: how each database is opened, for the writer, for readers and for API keys.

SQLite is opened without the driver's own transactions; every transaction begins with an explicit
BEGIN IMMEDIATE. `synchronous=FULL` with a write-ahead log means that what was committed survives
the machine. On PostgreSQL a session sees the schema of its shard and no other, and a peer that is
gone is noticed within seconds.
"""

import math
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from api.storage.errors import StoreError, reason_of
from api.storage.silence import bound
from api.storage.url import DatabaseUrl

SHARED = "evergamma"
"""The schema of what all shards of a server share."""
SYNCHRONOUS = "FULL"
"""When SQLite waits for the disk: whatever was committed survives the machine."""
CHECKPOINT_PAGES = 32_000
"""Length of SQLite's write-ahead log, 128 MB, at which a commit also writes it back.

Pages of busy indices are written back once for many commits; each time takes tens of milliseconds.
"""
READERS_MAX = 64
"""Threads that read a file at once; more wait for each other."""
SESSIONS_MAX = 8
"""The same on a server, where each costs a process."""
SCHEMA_LOCK = 0x4547_0001
"""The advisory lock of whoever creates what shards share."""
READ_MAX = 5.0
"""Seconds a server may say nothing to a reader, who may keep all others waiting."""
_SESSION = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_SERVER_SIDE = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"


def writing_engine(url: DatabaseUrl) -> Engine:
    """Return the engine of the one that writes."""
    if url.server is not None:
        arguments = session_arguments(url, url.schema, "writer")
        engine = create_engine(url.server, poolclass=NullPool, connect_args=arguments)
        return bound(engine, silence_of(url))
    assert url.path is not None
    return _writing_file(url.path, f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")


def staging_connection(url: DatabaseUrl) -> sqlite3.Connection:
    """Return a connection to a file that waits for nobody; one thread at a time may use it."""
    assert url.path is not None
    connection = sqlite3.connect(url.path, check_same_thread=False)
    _set_up(connection, f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}", "PRAGMA busy_timeout=0")
    return connection


def _set_up(connection: Any, *more: str) -> None:
    """Have a connection to a file begin transactions when told to, and sync what it commits."""
    connection.isolation_level = None
    for pragma in ("PRAGMA journal_mode=WAL", f"PRAGMA synchronous={SYNCHRONOUS}", *more):
        connection.execute(pragma)


def _writing_file(path: Path, *more: str) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)))

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        _set_up(connection, "PRAGMA busy_timeout=5000", *more)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        is_reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")

    return engine


def reading_engine(
    url: DatabaseUrl, schema: str | None = None, silence_max: float = READ_MAX
) -> Engine:
    """Return an engine for any thread: each statement sees the last commit, and none can write.

    On a server it sees a schema, that of the shard where none is given.
    """
    if url.server is not None:
        arguments = session_arguments(
            url, schema or url.schema, "reader", "-c default_transaction_read_only=on"
        )
        engine = create_engine(
            url.server,
            isolation_level="AUTOCOMMIT",
            pool_size=SESSIONS_MAX,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args=arguments,
        )
        return bound(engine, min(silence_of(url), silence_max))
    engine = create_engine(
        URL.create("sqlite", database=str(url.path)), pool_size=READERS_MAX, max_overflow=0
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA query_only=1")
        connection.execute("PRAGMA busy_timeout=5000")

    return engine


def access_engine(url: DatabaseUrl) -> Engine:
    """Return an engine for what all shards share: API keys and whose a token is.

    On SQLite it is the file of the exchange, and a transaction there begins as a writer's, which
    waits for its batches, but with the execution option `reading`. On PostgreSQL it is a schema
    beside those of the shards, made where it is missing.

    Raises:
        StoreError: The server cannot be reached, or refuses.
    """
    if url.server is None:
        assert url.path is not None
        return _writing_file(url.path, f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    engine = create_engine(
        url.server,
        pool_size=2,
        max_overflow=2,
        pool_pre_ping=True,
        connect_args=session_arguments(url, SHARED, "keys"),
    )
    bound(engine, silence_of(url))
    try:
        with engine.begin() as connection:
            create_schema(connection, SHARED)
    except SQLAlchemyError as error:
        engine.dispose()
        raise StoreError(f"{url} cannot be used as a database: {reason_of(error)}") from None
    return engine


def create_schema(connection: Connection, name: str) -> None:
    """Create a schema of a server where it is missing."""
    found = text("SELECT to_regnamespace(:name) IS NOT NULL")
    if connection.execute(found, {"name": name}).scalar_one():
        return
    be_alone(connection)
    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{name}"'))


def be_alone(connection: Connection) -> None:
    """Wait, before something shared is made, until nobody else does; to the transaction's end.

    Two at once would both find it missing, and one would fail. On SQLite a writer is alone.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": SCHEMA_LOCK})


def silence_of(url: DatabaseUrl) -> float:
    """Return how many seconds a server may say nothing: as long as its network may, if it may."""
    assert url.server is not None
    given = url.server.query.get("tcp_user_timeout", _SESSION["tcp_user_timeout"])
    return int(str(given)) / 1e3 or math.inf


def session_arguments(url: DatabaseUrl, schema: str, role: str, more: str = "") -> dict[str, str]:
    """Return how PostgreSQL's driver opens a session; what the URL says goes first."""
    assert url.server is not None
    given = dict(url.server.query)
    usual = _SESSION | {"application_name": f"evergamma {url.shard} {role}"}
    arguments = {name: value for name, value in usual.items() if name not in given}
    options = f"-c search_path={schema} {_SERVER_SIDE} {more} {given.get('options', '')}"
    return arguments | {"options": options.strip()}
