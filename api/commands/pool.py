"""The command that shows LPs a token's pools: `evergamma pool`."""

import json
from typing import Annotated, Any

import msgspec
import typer

from api.bundles import FlushBundle
from api.client import Client, EvergammaError
from api.commands.inputs import Url, fail
from api.commands.pool_tables import print_pool
from api.wire import FlushRecord, PoolDetail, Scenarios

FLUSHES_SHOWN = 60


class Shown(msgspec.Struct):
    """All that is shown of a token's pools.

    Attributes:
        pool: The pools now.
        scenarios: The loss table.
        flushes: The newest, the newest first.
        last: The bundle of the last one; None before there was one.
    """

    pool: PoolDetail
    scenarios: Scenarios
    flushes: list[FlushRecord]
    last: FlushBundle | None


def read_pool(client: Client, token: str) -> Shown:
    """Return all that is shown of a token's pools.

    Raises:
        EvergammaError: The server does not say; `NotFoundError` where there is no such token.
    """
    found, losses = client.pool(token), client.scenarios(token)
    page = next(client.flushes(token).pages(limit=FLUSHES_SHOWN))
    last = client.flush(token, page.items[0].flush) if page.items else None
    return Shown(found, losses, page.items, last)


def pool(
    token: Annotated[str, typer.Argument(help="A token, as TSLA.M.")],
    url: Url = "http://127.0.0.1:8080",
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON.")] = False,
) -> None:
    """Show what liquidity providers have had of a token's pools and can expect of them."""
    try:
        with Client(url) as client:
            shown = read_pool(client, token)
    except EvergammaError as error:
        raise fail(error) from None
    if as_json:
        typer.echo(json.dumps(_as_json(shown), indent=2))
    else:
        print_pool(shown.pool, shown.scenarios, shown.flushes, shown.last)


def _as_json(shown: Shown) -> Any:
    last = shown.last
    attribution = None
    if last is not None:
        attribution = {"flush": last.flush, "main": last.main, "insurance": last.insurance}
    return msgspec.to_builtins(
        {
            "pool": shown.pool,
            "scenarios": shown.scenarios,
            "flushes": shown.flushes,
            "attribution": attribution,
        }
    )
