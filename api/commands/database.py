"""The commands that look after a database: `evergamma db check`, `verify`, `export`, `backup` ...

None of them but `migrate` and `restore` writes; the others run beside a server, on the database as
it was when they began.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from sqlalchemy.exc import SQLAlchemyError

from api.access.records import KeyRingError
from api.access.tables import bring_up_to_date
from api.anchor import Anchor
from api.commands.inputs import BROKEN, address, fail
from api.recovery import check_database, check_journal
from api.storage.backup import back_up, restore_from
from api.storage.engines import access_engine
from api.storage.errors import StoreError, reason_of
from api.storage.migrations import HEAD
from api.storage.reading import Snapshot
from api.storage.store import open_snapshot, open_store
from api.storage.url import MAIN

SYMBOLS = ("BTC", "ETH")
QUIET_S = 2.0
"""What takes longer shows how far it is."""

RESTORED = """\
evergamma: keys and destinations ended since the copy are good again, withdrawals paid since are
evergamma: pending again: before anybody is served, follow "After a restore" in docs/storage.md\
"""

app = typer.Typer(no_args_is_help=True, help="Look after a database; a server need not stop.")
errors = Console(stderr=True)

VARIABLE = "EVERGAMMA_DATABASE"
Place = Annotated[
    str,
    typer.Argument(
        metavar="DATABASE",
        envvar=VARIABLE,
        help="SQLite file or postgresql:// URL.",
        show_default=False,
    ),
]
Shard = Annotated[str, typer.Option(envvar="EVERGAMMA_SHARD", help="Which writer's part.")]
AsJson = Annotated[bool, typer.Option("--json", help="Result as JSON.")]
Count = Callable[[int], None]


@contextmanager
def _told() -> Iterator[None]:
    """Tell in one line why a database cannot be used."""
    try:
        yield
    except (StoreError, KeyRingError) as error:
        raise fail(error) from None
    except SQLAlchemyError as error:
        raise fail(f"the database failed: {reason_of(error)}") from None
    except OSError as error:
        raise fail(f"{error.filename}: {error.strerror}") from None


@contextmanager
def _snapshot(place: str, shard: str) -> Iterator[Snapshot]:
    url = address(place, shard)
    with _told():
        snapshot = open_snapshot(url)
        try:
            yield snapshot
        finally:
            snapshot.close()


def _told_apart(context: typer.Context, database: str, target: Path | None) -> tuple[str, Path]:
    """Return the database and the path that goes with it.

    Where the variable names the database, a single argument is the path: whoever keeps a password
    off the command line needs to give no more.
    """
    if target is not None:
        return database, target
    source = context.get_parameter_source("database")
    if VARIABLE not in os.environ or source is None or source.name == "ENVIRONMENT":
        raise fail(f"two arguments are needed, or one where {VARIABLE} names the database")
    return os.environ[VARIABLE], Path(database)


@contextmanager
def _progress(what: str, total: int) -> Iterator[Count]:
    """Show on standard error how many are done, once that has taken a while."""
    began = time.monotonic()
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=errors, transient=True)
    task = progress.add_task(what, total=total)

    def count(done: int) -> None:
        if not progress.live.is_started and time.monotonic() - began > QUIET_S:
            progress.start()
        progress.update(task, completed=done)

    try:
        yield count
    finally:
        if progress.live.is_started:
            progress.stop()


def _say(result: dict[str, Any], sentence: str, as_json: bool) -> None:
    typer.echo(json.dumps(result, indent=2) if as_json else sentence)


def _report(result: dict[str, Any], sentence: str, faults: list[str], as_json: bool) -> None:
    """Print what was found; where something is wrong, the exit status says so too."""
    for fault in faults:
        typer.echo(f"evergamma: {fault}", err=True)
    if as_json or not faults:
        _say(result | {"faults": faults}, sentence, as_json)
    if faults:
        raise typer.Exit(BROKEN)


@app.command()
def check(database: Place, shard: Shard = MAIN, as_json: AsJson = False) -> None:
    """Rebuild the state from the journal and compare it with the tables."""
    with _snapshot(database, shard) as snapshot:
        last = snapshot.last_record()
        with _progress("records", 0 if last is None else last.sequence) as count:
            checked = check_database(snapshot, SYMBOLS, count)
    result = {"records": checked.records, "tokens": checked.tokens}
    sentence = f"{checked.records} records rebuild the state of {checked.tokens} tokens: equal"
    _report(result, sentence, checked.faults, as_json)


@app.command()
def verify(
    database: Place,
    expect: Annotated[
        str,
        typer.Option(
            metavar="NUMBER:DIGEST",
            help="Last record of an earlier time, as it was printed or logged then.",
            show_default=False,
        ),
    ] = "",
    shard: Shard = MAIN,
    as_json: AsJson = False,
) -> None:
    """Follow the chain of digests from the first record to the last, and rebuild nothing."""
    try:
        kept = Anchor.parse(expect) if expect else None
    except ValueError as error:
        raise fail(f"--expect {error}") from None
    with _snapshot(database, shard) as snapshot:
        last = snapshot.last_record()
        with _progress("records", 0 if last is None else last.sequence) as count:
            verified = check_journal(snapshot, count, kept)
    number, digest = verified.last
    result = {"records": number, "digest": digest.hex(), "last": str(verified.last)}
    sentence = f"{number} records, each as it was written; the last is {verified.last}"
    _report(result, sentence, verified.faults, as_json)


@app.command()
def export(
    context: typer.Context,
    database: Place,
    target: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Where the Parquet files go; made if missing."),
    ] = None,
    shard: Shard = MAIN,
    as_json: AsJson = False,
) -> None:
    """Write journal, trades, ledger, flushes and readings as Parquet; see docs/storage.md."""
    database, folder = _told_apart(context, database, target)
    with _snapshot(database, shard) as snapshot:
        # Only this command needs it, and loading it takes longer than most of them.
        from api.export import export_tables  # noqa: PLC0415

        last = snapshot.last_record()
        folder.mkdir(parents=True, exist_ok=True)
        with _progress("records", 0 if last is None else last.sequence) as count:
            rows = export_tables(snapshot, folder, count)
    told = ", ".join(f"{number} {name}" for name, number in rows.items())
    _say({"folder": str(folder), "rows": rows}, f"{told} in {folder}", as_json)


@app.command()
def migrate(database: Place, shard: Shard = MAIN, as_json: AsJson = False) -> None:
    """Bring the tables to this release, as a server does at its start; none may be running."""
    url = address(database, shard)
    with _told():
        open_store(url, must_exist=True).close()
        engine = access_engine(url)
        try:
            bring_up_to_date(engine)
        finally:
            engine.dispose()
    _say({"revision": HEAD}, f"{url} has the tables of revision {HEAD}", as_json)


@app.command()
def backup(
    context: typer.Context,
    database: Place,
    target: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Where the copy goes; it must not exist."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy a whole database, all shards and keys, as it is at one moment."""
    database, file = _told_apart(context, database, target)
    url = address(database)
    with _told(), _progress("copied", 100) as count:
        size = back_up(url, file, count)
    _say({"file": str(file), "bytes": size}, f"{file} has {size} bytes", as_json)


@app.command()
def restore(
    context: typer.Context,
    database: Place,
    target: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A copy that `backup` made.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fill an empty database from a copy."""
    database, file = _told_apart(context, database, target)
    url = address(database)
    with _told(), _progress("copied", 100) as count:
        restore_from(url, file, count)
    _say({"file": str(file)}, f"{url} is what {file} has", as_json)
    typer.echo(RESTORED, err=True)
