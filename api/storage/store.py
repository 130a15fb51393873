"""Opening a database: to write to it, or to read it beside its writer."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from api.storage.base import Store
from api.storage.errors import StoreError, reason_of
from api.storage.postgresql import PostgresStore
from api.storage.reading import Snapshot
from api.storage.schema import require_schema
from api.storage.sqlite import SqliteStore
from api.storage.url import DatabaseUrl
from api.storage.waiting import Tell

__all__ = ["Store", "open_snapshot", "open_store"]


def open_store(
    url: str | Path | DatabaseUrl,
    *,
    shard: str | None = None,
    must_exist: bool = False,
    wait: Tell | None = None,
    replica: DatabaseUrl | None = None,
    superseded: Callable[[], None] | None = None,
) -> Store:
    """Return a database that this process alone writes to from now on.

    Where another one does, `wait` is told so, once, and its end is waited for; without `wait` it
    is an error. Tables are made where there are none, and brought up to this release.

    Args:
        url: A path, or what `DatabaseUrl.parse` takes.
        shard: Which writer's part of a server is meant.
        must_exist: An empty database is an error.
        wait: Whom to tell that another process has the database.
        replica: A server that follows this one, for queries of history.
        superseded: Called, from any thread, when another process has become the writer.

    Raises:
        StoreError: It cannot be used.
        DatabaseUrlError: It is no address, or a shard of a file.
    """
    place = _place(url, shard)
    if place.server is None:
        return SqliteStore(place, must_exist=must_exist, wait=wait)
    of_replica = None if replica is None else replica.of_shard(place.shard)
    return PostgresStore(
        place, must_exist=must_exist, wait=wait, replica=of_replica, superseded=superseded
    )


def open_snapshot(url: str | Path | DatabaseUrl, *, shard: str | None = None) -> Snapshot:
    """Return a database as it is now, to be read while its writer goes on.

    Raises:
        StoreError: There is none, or it is not of this release.
        DatabaseUrlError: It is no address, or a shard of a file.
    """
    place = _place(url, shard)
    if place.path is not None and not place.path.is_file():
        kind = "is a folder, not a database" if place.path.is_dir() else "no such file"
        raise StoreError(f"{place}: {kind}")
    try:
        snapshot = Snapshot(place)
        try:
            require_schema(snapshot.connection, place)
        except BaseException:
            snapshot.close()
            raise
    except SQLAlchemyError as error:
        raise StoreError(f"{place} cannot be used as a database: {reason_of(error)}") from None
    return snapshot


def _place(url: str | Path | DatabaseUrl, shard: str | None) -> DatabaseUrl:
    place = DatabaseUrl.parse(url)
    return place if shard is None else place.of_shard(shard)
