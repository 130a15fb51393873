"""The command that recomputes a flush: `evergamma verify-flush`."""

import json
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from api.client import Client, EvergammaError
from api.commands.inputs import Url, fail
from api.verification import Checks
from api.verification.public import download, verify_published

DIFFERS = 1


def verify_flush(
    token: Annotated[str, typer.Argument(help="A token, as TSLA.M.")],
    number: Annotated[int, typer.Argument(min=1, help="Number of the flush; the first is 1.")],
    url: Url = "http://127.0.0.1:8080",
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON.")] = False,
) -> None:
    """Compute a flush again from what the public API says of it, and compare every figure.

    Prices, fills, cover, shares and the attribution are counted in plain integers, values of
    options with the pricing model. Where something differs the exit status is 1.
    """
    try:
        with Client(url) as client:
            published = download(client, token, number)
        checks = verify_published(token, number, published)
    except EvergammaError as error:
        raise fail(error) from None
    except msgspec.DecodeError as error:
        raise fail(f"the bundle of flush {number} is none: {error}", DIFFERS) from None
    if as_json:
        typer.echo(json.dumps(_as_json(token, number, checks), indent=2))
    else:
        _print(token, number, checks)
    if checks.first is not None:
        raise typer.Exit(DIFFERS)


def _as_json(token: str, number: int, checks: Checks) -> dict[str, object]:
    first = checks.first
    return {
        "token": token,
        "flush": number,
        "agrees": first is None,
        "checks": [
            {"name": group.name, "compared": group.compared, "agrees": group.first is None}
            for group in checks.groups
        ],
        "first_difference": None if first is None else first._asdict(),
    }


def _print(token: str, number: int, checks: Checks) -> None:
    console = Console(highlight=False)
    table = Table(title=f"{token}, flush {number}")
    table.add_column("what")
    table.add_column("compared", justify="right")
    table.add_column("result")
    for group in checks.groups:
        result = "agrees" if group.first is None else f"differs: {group.first.where}"
        table.add_row(group.name, str(group.compared), result)
    console.print(table)
    total, first = sum(group.compared for group in checks.groups), checks.first
    if first is None:
        console.print(f"{total} figures computed again, all agree")
    else:
        console.print(f"{first.where}: it says {first.said}, computed {first.computed}")
