"""Keys as rows and back, and whose master key they were made with."""

from typing import Any

from sqlalchemy import Engine, Row, insert, select
from sqlalchemy.exc import IntegrityError

from api.access.records import KeyRecord, KeyRingError, Limits, read_networks
from api.access.tables import KEYS, MASTER, VERSION
from api.signing import secret_of


def claim(engine: Engine, master_key: bytes) -> None:
    """Note which master key the keys of a database are of, or make sure that it is this one.

    Raises:
        KeyRingError: It is another one.
    """
    mark = secret_of(master_key, "evergamma master key")
    reading = engine.execution_options(reading=True)
    for table, values in ((MASTER, {"mark": mark}), (VERSION, {"version": 0})):
        with reading.connect() as connection:
            if connection.execute(select(table)).first() is not None:
                continue
        try:
            with engine.begin() as connection:
                connection.execute(insert(table).values(one=1, **values))
        except IntegrityError:
            continue  # another process was faster
    with reading.connect() as connection:
        found = connection.execute(select(MASTER.c.mark)).scalar_one()
    if found != mark:
        raise KeyRingError("the keys of this database were made with another master key")


def read_keys(engine: Engine) -> list[KeyRecord]:
    """Return all keys of a database, oldest first; of no use to sign with."""
    query = select(KEYS).order_by(KEYS.c.created_ms, KEYS.c.id)
    with engine.connect() as connection:
        return [record_of(row, b"") for row in connection.execute(query)]


def record_of(row: Row[Any], master_key: bytes) -> KeyRecord:
    """Return the key of a row."""
    networks = read_networks(row.networks.split(",") if row.networks else ())
    return KeyRecord(
        row.id,
        row.account,
        frozenset(row.roles.split(",")),
        row.label,
        row.created_ms,
        row.revoked_ms,
        master_key,
        Limits(row.expires_ms, networks, bool(row.may_withdraw)),
        row.rotated_from,
        row.made_by,
        row.forget_ms is not None,
    )


def columns_of(record: KeyRecord, change: int) -> dict[str, Any]:
    """Return a key as its table has it from a change on."""
    return {
        "id": record.id,
        "account": record.account,
        "roles": ",".join(sorted(record.roles)),
        "label": record.label,
        "created_ms": record.created_ms,
        "revoked_ms": record.revoked_ms,
        "expires_ms": record.limits.expires_ms,
        "networks": ",".join(map(str, record.limits.networks)),
        "may_withdraw": int(record.limits.may_withdraw),
        "rotated_from": record.rotated_from,
        "made_by": record.made_by,
        "forget_ms": record.forget_ms,
        "change": change,
    }
