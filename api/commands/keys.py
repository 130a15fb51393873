"""The commands about API keys: `evergamma keys create`, `list`, `rotate` and `revoke`."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine
from sqlalchemy import Table as AnyTable
from sqlalchemy.exc import SQLAlchemyError

from amm.units import HOUR_MS
from api.access.opening import has_exchange, open_access
from api.access.records import ROLES, KeyRecord, KeyRingError, Limits, RotatedError, read_networks
from api.access.ring import KeyRing
from api.access.rows import read_keys
from api.access.tables import KEYS
from api.access.trail import AuditEvent, Trail
from api.clock import Clock
from api.commands.inputs import BadInputError, Database, address, day, fail
from api.settings import DEFAULT_DATABASE, SettingsError, read_master_key, usual_master_key
from api.storage.engines import access_engine
from api.storage.errors import StoreError, reason_of
from api.storage.store import open_store
from api.storage.url import DatabaseUrl
from api.views import access
from sims.markets.table import iso_second

app = typer.Typer(no_args_is_help=True, help="Make and end API keys; a server need not stop.")

OVERLAP_MAX_H = 24.0

MasterKey = Annotated[
    Path | None,
    typer.Option(
        envvar="EVERGAMMA_MASTER_KEY",
        help="File that secrets are derived from. Default: DATABASE with the ending .key where "
        "that exists or with --demo, else ~/.evergamma/master.key.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Result as JSON.")]


@contextmanager
def _key_ring(database: str, master_key: Path | None, must_exist: bool = True) -> Iterator[KeyRing]:
    """Open the keys of a database, telling in one line why they cannot be."""
    url = address(database)
    try:
        if not has_exchange(url, may_be_empty=not must_exist) and url.path is not None:
            open_store(url).close()
        key = read_master_key(master_key or usual_master_key(url))
        ring = KeyRing(access_engine(url), key)
    except (SettingsError, StoreError, KeyRingError) as error:
        raise fail(error) from None
    try:
        yield ring
    except (KeyRingError, BadInputError) as error:
        raise fail(error) from None
    except RotatedError as error:
        raise fail(f"{error} has a successor already; rotate that") from None
    except SQLAlchemyError as error:
        raise fail(f"{url}: {reason_of(error)}") from None
    finally:
        ring.close()


def _write_down(ring: KeyRing, command: str, key: KeyRecord) -> None:
    """Say in the audit trail what was done; who did it is whom the machine lets do so."""
    subject, now_ms = f"{key.id} of {key.account}", Clock().wall_ms()
    user = f"uid {os.getuid()}"
    event = AuditEvent(now_ms, f"evergamma keys {command}", address=user, subject=subject)
    Trail(ring.engine).append([event])


def _as_json(record: KeyRecord, *, with_secret: bool = False) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(access.key(record, with_secret=with_secret))
    if not with_secret:
        del values["secret"]
    return values


def _show(key: KeyRecord, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_as_json(key, with_secret=True), indent=2))
    else:
        typer.echo(f"key     {key.id}\nsecret  {key.secret}")


@app.command()
def create(
    account: Annotated[str, typer.Option(help="Whose key it is.")],
    role: Annotated[
        list[str], typer.Option(help=f"What it may do, once each: {', '.join(ROLES)}.")
    ],
    label: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="Day it ends, at 0:00 UTC, as 2030-12-31. Default: none.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(help="Where it may be used from, once each, as 203.0.113.0/24. Default: any."),
    ] = None,
    withdraw: Annotated[
        bool, typer.Option(help="Whether it may take money out, where its roles may.")
    ] = True,
    database: Database = str(DEFAULT_DATABASE),
    master_key: MasterKey = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show its secret, this once; a database that is missing is made too."""
    with _key_ring(database, master_key, must_exist=False) as ring:
        ends_ms = None if expires is None else day(expires)
        limits = Limits(ends_ms, read_networks(network or ()), withdraw)
        key = ring.create(
            account, role, label, Clock().wall_ms(), limits=limits, made_by="command line"
        )
        _write_down(ring, "create", key)
        _show(key, as_json)


@contextmanager
def reading_access(database: str, table: AnyTable) -> Iterator[Engine]:
    """Open a database to read keys or the audit trail, telling in one line why it cannot be."""
    url = address(database)
    try:
        engine = open_access(url, table)
    except StoreError as error:
        raise fail(error) from None
    try:
        yield engine
    except SQLAlchemyError as error:
        raise fail(f"{url}: {reason_of(error)}") from None
    finally:
        engine.dispose()


@app.command("list")
def list_keys(
    database: Database = str(DEFAULT_DATABASE),
    master_key: MasterKey = None,
    as_json: AsJson = False,
) -> None:
    """Show all keys, without their secrets; the master key is not needed."""
    del master_key  # taken as by the other commands
    with reading_access(database, KEYS) as engine:
        keys = read_keys(engine)
    if as_json:
        typer.echo(json.dumps([_as_json(key) for key in keys], indent=2))
        return
    table = Table("key", "account", "roles", "label", "created", "until", "from where")
    for key in keys:
        roles = ", ".join(sorted(key.roles)) + ("" if key.limits.may_withdraw else ", no payout")
        networks = ", ".join(map(str, key.limits.networks))
        created = iso_second(key.created_ms)
        table.add_row(key.id, key.account, roles, key.label or "", created, _until(key), networks)
    Console(soft_wrap=True, highlight=False, width=max(Console().width, 200)).print(table)


def _until(key: KeyRecord) -> str:
    if key.revoked_ms is not None:
        return f"revoked {iso_second(key.revoked_ms)}"
    return "" if key.limits.expires_ms is None else iso_second(key.limits.expires_ms)


@app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(help="Id of the key.")],
    overlap: Annotated[
        float, typer.Option(min=0.0, max=OVERLAP_MAX_H, help="Hours the old key stays good.")
    ] = 1.0,
    database: Database = str(DEFAULT_DATABASE),
    master_key: MasterKey = None,
    as_json: AsJson = False,
) -> None:
    """Make the successor of a key, with the same rights, and show its secret, this once."""
    with _key_ring(database, master_key) as ring:
        overlap_ms = round(overlap * HOUR_MS)
        key = ring.rotate(key_id, Clock().wall_ms(), overlap_ms, made_by="command line")
        if key is None:
            raise KeyRingError(f"{key_id} is no key of {DatabaseUrl.parse(database)}")
        _write_down(ring, f"rotate {key_id}", key)
        _show(key, as_json)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id of the key.")],
    descendants: Annotated[
        bool,
        typer.Option("--with-descendants", help="Keys it made for other accounts end too."),
    ] = False,
    database: Database = str(DEFAULT_DATABASE),
    master_key: MasterKey = None,
) -> None:
    """Revoke a key and what it made for its account; servers refuse them within a second."""
    with _key_ring(database, master_key) as ring:
        ended = ring.revoke(key_id, Clock().wall_ms(), of_all=descendants)
        if not ended:
            raise KeyRingError(f"{key_id} is no key of {DatabaseUrl.parse(database)}")
        key, *others = ended
        assert key.revoked_ms is not None
        for each in ended:
            _write_down(ring, "revoke", each)
        typer.echo(f"{key.id} is revoked since {iso_second(key.revoked_ms)}")
        for each in others:
            typer.echo(f"{each.id} of {each.account}, made with it, too")
