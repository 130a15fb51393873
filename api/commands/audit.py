"""The command that shows the audit trail: `evergamma audit`."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from api.access.tables import AUDIT
from api.access.trail import Trail
from api.commands.inputs import Database
from api.commands.keys import AsJson, reading_access
from api.settings import DEFAULT_DATABASE
from api.views.access import audit_line
from api.wire import AuditLine
from sims.markets.table import iso_second

_PAGE = 1_000


def audit(
    database: Database = str(DEFAULT_DATABASE),
    account: Annotated[str | None, typer.Option(help="Actions of one account only.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show what operators and owners of keys did and others tried; a server need not stop."""
    with reading_access(database, AUDIT) as engine:
        lines = [audit_line(row) for row in _rows(Trail(engine), account, limit)]
    if as_json:
        typer.echo(json.dumps([msgspec.to_builtins(line) for line in lines], indent=2))
    else:
        _show(lines)


def _rows(trail: Trail, account: str | None, limit: int) -> Iterator[Any]:
    """Yield the newest rows, a page at a time."""
    before = None
    while limit > 0:
        rows = trail.page(before, min(limit, _PAGE), account)
        yield from rows
        if not rows:
            return
        before, limit = rows[-1].number, limit - len(rows)


def _show(lines: list[AuditLine]) -> None:
    table = Table("time", "account", "key", "from", "action", "about", "answer", "journal")
    for line in lines:
        answer = f"{line.status or ''} {line.code}".strip()
        table.add_row(
            iso_second(line.time),
            line.account,
            line.key,
            line.address,
            line.action,
            line.subject,
            answer,
            line.journal_id or "",
        )
    Console(soft_wrap=True, highlight=False, width=max(Console().width, 200)).print(table)
