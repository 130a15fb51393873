"""Databases of tests: files, and PostgreSQL's, made on a real server and dropped afterwards.

`EVERGAMMA_TEST_POSTGRESQL` is the URL of that server; the database it names is left as it is.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from threading import Thread
from time import sleep

import pytest
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from api.storage.engines import SHARED, writing_engine
from api.storage.session import LOCKS, number_of
from api.storage.url import DatabaseUrl

SERVER = os.environ.get(
    "EVERGAMMA_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres"
)
_NUMBERS = count(1)
LOCKED = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
"""How many locks there are in a database, not on its server; whether they are held is left open."""
_CUT = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE application_name LIKE 'evergamma % writer' AND datname = current_database() "
    "AND pid <> pg_backend_pid()"
)


def drop_tables(url: DatabaseUrl) -> None:
    """Leave a database of PostgreSQL as it was when it was made."""
    with _asked(url) as connection:
        for schema in (SHARED, url.schema):
            connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))


def empty_tables(url: DatabaseUrl) -> None:
    """Delete all rows of a database of PostgreSQL, which is faster than to make tables again."""
    query = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN (:ours, :shared)"
    with _asked(url) as connection:
        tables = list(connection.execute(text(query), {"ours": url.schema, "shared": SHARED}))
        for schema, table in tables:
            if table != "alembic_version":
                connection.execute(text(f"DELETE FROM {schema}.{table}"))  # noqa: S608


@contextmanager
def _asked(url: DatabaseUrl, *, autocommit: bool = False) -> Iterator[Connection]:
    """Yield a connection to a server, closed to the last byte afterwards."""
    assert url.server is not None
    engine = create_engine(url.server, poolclass=NullPool)
    with engine.begin() if not autocommit else engine.connect() as connection:
        if autocommit:
            connection.execution_options(isolation_level="AUTOCOMMIT")
        yield connection


@contextmanager
def postgresql_database(template: DatabaseUrl | None = None) -> Iterator[DatabaseUrl]:
    """Make a database, or a copy of one; drop it at the end, whoever still uses it."""
    name = f"evergamma_test_{os.getpid()}_{next(_NUMBERS)}"
    server = DatabaseUrl.parse(SERVER)
    if not _answers(server):
        pytest.skip(f"no PostgreSQL answers at {server}")
    with _asked(server, autocommit=True) as connection:
        source = "template1" if template is None else _name_of(template)
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {source}"))
    try:
        assert server.server is not None
        yield DatabaseUrl(server=server.server.set(database=name))
    finally:
        with _asked(server, autocommit=True) as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def _answers(url: DatabaseUrl) -> bool:
    try:
        with _asked(url):
            return True
    except OperationalError:
        return False


def _name_of(url: DatabaseUrl) -> str:
    assert url.server is not None
    return str(url.server.database)


def change(url: DatabaseUrl, statement: str) -> int:
    """Change a database behind its writer's back; return how many rows were."""
    engine = writing_engine(url)
    with engine.begin() as connection:
        rows = connection.execute(text(statement)).rowcount
    engine.dispose()
    return rows


def ask(url: DatabaseUrl, query: str) -> object:
    """Return the one value a query has."""
    engine = writing_engine(url)
    with engine.begin() as connection:
        found: object = connection.execute(text(query)).scalar_one()
    engine.dispose()
    return found


def cut_writers(url: DatabaseUrl) -> None:
    """End the sessions of a database's one writer."""
    assert ask(url, _CUT) == 1


@contextmanager
def place_taken(url: DatabaseUrl) -> Iterator[None]:
    """Wait in line for the lock of a writer, cut its session, and keep the lock inside."""
    lock = text(f"SELECT pg_advisory_lock({LOCKS}, {number_of(url.shard)})")
    waiting = f"{LOCKED} AND NOT granted"
    with _asked(url) as connection:
        waiter = Thread(target=connection.execute, args=(lock,))
        waiter.start()
        while ask(url, waiting) != 1:
            sleep(0.02)
        cut_writers(url)
        waiter.join()
        yield
