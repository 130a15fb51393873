"""The tables of access: beside those of the exchange, and not part of its journal."""

from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Index,
    MetaData,
    Table,
    Text,
    inspect,
    text,
    update,
)

from api.access.records import FORGET_MS, LOGIN, KeyRingError
from api.storage.engines import SCHEMA_LOCK
from api.tables import Word

ACCESS = MetaData()


def _table(name: str, *columns: Any) -> Table:
    return Table(name, ACCESS, *columns, sqlite_strict=True)


KEYS = _table(
    "api_key",
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("roles", Text, CheckConstraint("roles <> ''"), nullable=False),
    Column("label", Text),
    Column("created_ms", Word, nullable=False),
    Column("revoked_ms", Word, CheckConstraint("revoked_ms >= created_ms")),
    Column("expires_ms", Word),
    Column("networks", Text, nullable=False, server_default=""),
    Column("may_withdraw", Word, nullable=False, server_default="1"),
    Column("rotated_from", Text),
    Column("made_by", Text, nullable=False, server_default=""),
    Column("forget_ms", Word, index=True),
    Column("change", Word, nullable=False, server_default="0", index=True),
)
"""Keys without their secrets; `networks` separated by commas, none: any.

From `forget_ms` on, which only keys that come of logins have, a row may be deleted. `change` is
the version at which it became what it is.
"""
MASTER = _table(
    "api_master",
    Column("one", Word, CheckConstraint("one = 1"), primary_key=True, autoincrement=False),
    Column("mark", Text, nullable=False),
)
"""What tells whether a master key is the one the keys were made with."""
VERSION = _table(
    "access_version",
    Column("one", Word, CheckConstraint("one = 1"), primary_key=True, autoincrement=False),
    Column("version", Word, nullable=False),
)
"""Counts the changes of keys, so that others see that there was one."""
DESTINATIONS = _table(
    "withdrawal_destination",
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False, index=True),
    Column("label", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("created_ms", Word, nullable=False),
    Column("usable_ms", Word, nullable=False),
    Column("removed_ms", Word),
)
"""Where accounts have their withdrawals sent; what was removed stays, for the record."""
_LISTED = DESTINATIONS.c.removed_ms.is_(None)
Index(
    "withdrawal_destination_label",
    DESTINATIONS.c.account,
    DESTINATIONS.c.label,
    unique=True,
    sqlite_where=_LISTED,
    postgresql_where=_LISTED,
)
LISTS = _table(
    "withdrawal_list",
    Column("account", Text, primary_key=True),
    Column("on_ms", Word, nullable=False),
    Column("off_ms", Word),
)
"""Accounts that withdraw to their destinations only, and from when on they no longer do."""
AUDIT = _table(
    "audit",
    Column("number", Word, primary_key=True),
    Column("at_ms", Word, nullable=False),
    Column("account", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("body_digest", Text, nullable=False),
    Column("status", Word, nullable=False),
    Column("code", Text, nullable=False),
    Column("shard", Text, nullable=False),
    Column("journal", Word),
)
"""What operators and owners of keys did or tried; only appended to."""
Index("audit_account", AUDIT.c.account, AUDIT.c.number)


def bring_up_to_date(engine: Engine) -> None:
    """Create the tables that are missing, and the columns that keys did not have once.

    Raises:
        KeyRingError: A newer release has made them.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # on SQLite a transaction has the whole file
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": SCHEMA_LOCK})
        missing_columns(connection)
        ACCESS.create_all(connection)
        missing = missing_columns(connection)[KEYS.name]
        for column in missing:
            default = "" if column.nullable else f" NOT NULL DEFAULT '{_default_of(column)}'"
            kind = column.type.compile(engine.dialect)
            connection.execute(text(f"ALTER TABLE {KEYS.name} ADD {column.name} {kind}{default}"))
        for index in KEYS.indexes:
            index.create(connection, checkfirst=True)
        if KEYS.c.forget_ms.name in {each.name for each in missing}:
            of_logins = update(KEYS).where(KEYS.c.made_by == LOGIN)
            connection.execute(of_logins.values(forget_ms=KEYS.c.expires_ms + FORGET_MS))


def missing_columns(connection: Connection) -> dict[str, list[Column[Any]]]:
    """Return the columns that each table lacks: all of them where there is no table.

    Raises:
        KeyRingError: One has columns this release does not know.
    """
    looked = inspect(connection)
    columns = looked.get_multi_columns(filter_names=list(ACCESS.tables))
    found = {name: {each["name"] for each in of} for (_, name), of in columns.items()}
    for name, table in ACCESS.tables.items():
        if not found.get(name, set()) <= set(table.columns.keys()):
            raise KeyRingError(f"the table {name} is of a newer release than this one")
    return {
        name: [each for each in table.columns if each.name not in found.get(name, set())]
        for name, table in ACCESS.tables.items()
    }


def _default_of(column: Column[Any]) -> str:
    default: Any = column.server_default
    return str(default.arg)
