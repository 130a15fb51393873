"""The commands about API keys: `evergamma keys create`, `list` and `revoke`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from api.clock import Clock
from api.commands.inputs import fail
from api.keys import ROLES, KeyRecord, KeyRing, KeyRingError
from api.settings import DEFAULT_DATABASE, SettingsError, read_master_key, usual_master_key
from api.store import Store, StoreError
from sims.markets.table import iso_second

app = typer.Typer(no_args_is_help=True, help="Make and revoke API keys; a server need not stop.")

Database = Annotated[
    Path, typer.Option(envvar="EVERGAMMA_DATABASE", help="Database of the exchange.")
]
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
def _key_ring(
    database: Path, master_key: Path | None, must_exist: bool = True
) -> Iterator[KeyRing]:
    """Open the keys of a database, telling in one line why they cannot be."""
    try:
        if not database.is_file():
            Store(database, must_exist=must_exist).close()
        ring = KeyRing(database, read_master_key(master_key or usual_master_key(database)))
    except (SettingsError, StoreError, KeyRingError) as error:
        raise fail(error) from None
    try:
        yield ring
    except KeyRingError as error:
        raise fail(error) from None
    finally:
        ring.close()


def _as_json(key: KeyRecord) -> dict[str, Any]:
    return {
        "id": key.id,
        "account": key.account,
        "roles": sorted(key.roles),
        "label": key.label,
        "created": key.created_ms,
        "revoked": key.revoked_ms,
    }


@app.command()
def create(
    account: Annotated[str, typer.Option(help="Whose key it is.")],
    role: Annotated[
        list[str], typer.Option(help=f"What it may do, once each: {', '.join(ROLES)}.")
    ],
    label: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    database: Database = DEFAULT_DATABASE,
    master_key: MasterKey = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show its secret, this once; a database that is missing is made too."""
    with _key_ring(database, master_key, must_exist=False) as ring:
        key = ring.create(account, role, label, Clock().wall_ms())
        if as_json:
            typer.echo(json.dumps(_as_json(key) | {"secret": key.secret}, indent=2))
        else:
            typer.echo(f"key     {key.id}\nsecret  {key.secret}")


@app.command("list")
def list_keys(
    database: Database = DEFAULT_DATABASE, master_key: MasterKey = None, as_json: AsJson = False
) -> None:
    """Show all keys, without their secrets."""
    with _key_ring(database, master_key) as ring:
        keys = ring.all()
    if as_json:
        typer.echo(json.dumps([_as_json(key) for key in keys], indent=2))
        return
    table = Table("key", "account", "roles", "label", "created", "revoked")
    for key in keys:
        revoked = "" if key.revoked_ms is None else iso_second(key.revoked_ms)
        created = iso_second(key.created_ms)
        roles = ", ".join(sorted(key.roles))
        table.add_row(key.id, key.account, roles, key.label or "", created, revoked)
    Console(soft_wrap=True, highlight=False, width=max(Console().width, 140)).print(table)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id of the key.")],
    database: Database = DEFAULT_DATABASE,
    master_key: MasterKey = None,
) -> None:
    """Revoke a key for good; servers refuse it within a second."""
    with _key_ring(database, master_key) as ring:
        key = ring.revoke(key_id, Clock().wall_ms())
        if key is None or key.revoked_ms is None:
            raise KeyRingError(f"{key_id} is no key of {database}")
        typer.echo(f"{key.id} is revoked since {iso_second(key.revoked_ms)}")
