"""Whether a database is an exchange's, and one that can be read for keys; nothing is made here."""

from sqlalchemy import Connection, Engine, Table, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from api.access.records import KeyRingError
from api.access.tables import missing_columns
from api.storage.engines import SHARED, reading_engine
from api.storage.errors import StoreError, reason_of
from api.storage.store import open_snapshot
from api.storage.url import MAIN, DatabaseUrl

_SHARDS = "SELECT substr(nspname, 11) FROM pg_namespace WHERE nspname ~ '^evergamma_[a-z]'"
_TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'"


def has_exchange(url: DatabaseUrl, *, may_be_empty: bool = False) -> bool:
    """Whether there is an exchange in a database; else there is nothing, where that may be.

    Raises:
        StoreError: It holds something else, or is not of this release, or cannot be read.
    """
    if may_be_empty and url.path is not None and not url.path.exists():
        return False
    if url.path is not None and not url.path.is_file():
        open_snapshot(url)  # which says why it cannot be
    engine = reading_engine(url)
    try:
        with engine.connect() as connection:
            is_empty, shards = _contents(connection, url)
    except SQLAlchemyError as error:
        raise StoreError(f"{url} cannot be used as a database: {reason_of(error)}") from None
    finally:
        engine.dispose()
    if is_empty and may_be_empty:
        return False
    for shard in shards:
        open_snapshot(url, shard=shard).close()
    return True


def _contents(connection: Connection, url: DatabaseUrl) -> tuple[bool, list[str]]:
    """Return whether a database has no tables, and the shards that are to be looked at."""
    if url.server is None:
        return not inspect(connection).get_table_names(), [MAIN]
    shards = list(connection.execute(text(_SHARDS)).scalars())
    if not shards and inspect(connection).has_schema(SHARED):
        return False, []  # keys were made before the first server
    return connection.execute(text(_TABLES)).scalar_one() == 0, shards or [MAIN]


def open_access(url: DatabaseUrl, table: Table) -> Engine:
    """Return an engine that reads one of the tables of access.

    Raises:
        StoreError: It is not there, or not of this release.
    """
    has_exchange(url)
    engine = reading_engine(url, SHARED)
    why = ""
    try:
        with engine.connect() as connection:
            missing = missing_columns(connection)[table.name]
        if len(missing) == len(table.columns):
            why = "has no keys and no audit trail yet"
        elif missing:
            why = "is of an older release: evergamma db migrate"
    except SQLAlchemyError as error:
        why = f"cannot be read: {reason_of(error)}"
    except KeyRingError as error:
        why = f"cannot be read: {error}"
    if why:
        engine.dispose()
        raise StoreError(f"{url} {why}")
    return engine
