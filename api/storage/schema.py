"""The tables of a database: found, made, brought up to this release, or left alone.

A database that holds something else, or was written by a newer release, is never touched.
"""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text

from api.storage.engines import create_schema
from api.storage.errors import StoreError
from api.storage.migrations import ADDED, FIRST, HEAD, KNOWN
from api.storage.url import DatabaseUrl
from api.tables import METADATA

VERSIONS = "alembic_version"
"""The table that says which revision a database has."""


def prepare_schema(connection: Connection, url: DatabaseUrl, *, must_exist: bool) -> str | None:
    """Bring the tables to this release, with the writer's lock held; return what they were of.

    Raises:
        StoreError: It is no database of this exchange, or of a newer release.
    """
    if url.server is not None and not must_exist:
        create_schema(connection, url.schema)
    revision, is_marked = _revision_of(connection, url)
    if revision is None and must_exist:
        raise _foreign(url)
    if revision != HEAD or not is_marked:
        _upgrade(connection, None if is_marked else revision)
    return revision


def require_schema(connection: Connection, url: DatabaseUrl) -> None:
    """Make sure that the tables are those of this release.

    Raises:
        StoreError: They are not.
    """
    revision, _ = _revision_of(connection, url)
    if revision is None:
        raise _foreign(url)
    if revision != HEAD:
        raise StoreError(f"{url} is of an older release: evergamma db migrate")


def _foreign(url: DatabaseUrl) -> StoreError:
    return StoreError(f"{url} is not a database of this exchange")


def _revision_of(connection: Connection, url: DatabaseUrl) -> tuple[str | None, bool]:
    """Return a database's revision, None for an empty one, and whether it says so itself.

    Before there were revisions, databases had the tables of the first and did not say so.
    """
    schema = None if url.server is None else url.schema
    columns = inspect(connection).get_multi_columns(schema=schema)
    found = {name: {each["name"] for each in of} for (_, name), of in columns.items()}
    if not found:
        return None, True
    if VERSIONS in found:
        revision = str(connection.execute(text(f"SELECT version_num FROM {VERSIONS}")).scalar())  # noqa: S608
        if revision not in KNOWN:
            raise StoreError(f"{url} is of a newer release than this one")
        if revision != HEAD:
            return revision, True
    for name, table in METADATA.tables.items():
        added = set() if VERSIONS in found else ADDED.get(name, set())
        if found.get(name) != {column.name for column in table.columns} - added:
            raise _foreign(url)
    return (HEAD, True) if VERSIONS in found else (FIRST, False)


def _upgrade(connection: Connection, unmarked: str | None) -> None:
    """Run what is missing, in the transaction of the connection."""
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every start
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    if unmarked is not None:
        command.stamp(config, unmarked)
    command.upgrade(config, HEAD)
