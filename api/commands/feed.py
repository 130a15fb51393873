"""The command that looks at sources of prices without an exchange: `evergamma feed watch`."""

import asyncio
import json
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from amm.units import format_amount
from api.clock import Clock
from api.commands.inputs import BadInputError, fail
from api.feeds import Observation
from api.feeds.health import FeedHealth
from api.feeds.median import MedianFeed
from api.feeds.outside import outside_feed
from api.feeds.places import (
    DERIBIT_URL,
    PYTH_IDS,
    PYTH_URL,
    PlaceError,
    PythSettings,
    parse_ids,
    read_pyth_key,
)
from api.settings import SOURCES, SettingsError, check_feed

app = typer.Typer(no_args_is_help=True, help="Look at outside sources of prices.")
SECONDS_MAX = 86_400.0
NOTHING_SEEN = 1

PythUrl = Annotated[str, typer.Option(envvar="EVERGAMMA_PYTH_URL", help="Hermes server of Pyth.")]
PythKeyFile = Annotated[
    Path | None,
    typer.Option(
        envvar="EVERGAMMA_PYTH_KEY_FILE",
        help="File with the key for Hermes; else EVERGAMMA_PYTH_KEY is the key.",
        show_default=False,
    ),
]
PythIds = Annotated[
    str | None,
    typer.Option(
        envvar="EVERGAMMA_PYTH_IDS",
        help="Ids of Pyth's prices, as BTC=e62d...,ETH=ff61....",
        show_default=False,
    ),
]
DeribitUrl = Annotated[
    str, typer.Option(envvar="EVERGAMMA_DERIBIT_URL", help="WebSocket of Deribit.")
]


def pyth_settings(url: str, key_file: Path | None, ids: str | None) -> PythSettings:
    """Return where Hermes is and what it is asked for.

    Raises:
        PlaceError: One of these cannot be used.
    """
    symbols = tuple(PYTH_IDS)
    return PythSettings(
        url=url,
        key=read_pyth_key(key_file),
        ids=dict(PYTH_IDS) if ids is None else parse_ids(ids, symbols),
    )


@app.callback()
def _feed() -> None:
    """Look at outside sources of prices."""


@app.command()
def watch(
    feed: Annotated[str, typer.Option(help="pyth, deribit or pyth,deribit.")] = "pyth,deribit",
    seconds: Annotated[float, typer.Option(help="How long to look.")] = 30.0,
    pyth_url: PythUrl = PYTH_URL,
    pyth_key_file: PythKeyFile = None,
    pyth_ids: PythIds = None,
    deribit_url: DeribitUrl = DERIBIT_URL,
    as_json: Annotated[bool, typer.Option("--json", help="Each line as JSON.")] = False,
) -> None:
    """Print what an exchange would be told of the prices, then how each source was.

    The status is 1 where there was no price at all.
    """
    try:
        pyth = pyth_settings(pyth_url, pyth_key_file, pyth_ids)
        check_feed(feed, pyth, deribit_url)
        names = _names(feed, seconds)
    except (BadInputError, PlaceError, SettingsError) as error:
        raise fail(error) from None
    is_seen = asyncio.run(_watch(outside_feed(names, pyth, deribit_url), seconds, as_json))
    raise typer.Exit(0 if is_seen else NOTHING_SEEN)


def _names(feed: str, seconds: float) -> tuple[str, ...]:
    """Return the sources to watch, where they can be, and for so long."""
    names = tuple(feed.split(","))
    if not set(names) <= set(SOURCES):
        raise BadInputError(f"--feed {feed!r}: only pyth and deribit can be watched")
    if not 0.0 < seconds <= SECONDS_MAX:
        raise BadInputError(f"--seconds {seconds:g} is not between 0 and {SECONDS_MAX:g}")
    return names


async def _watch(feed: MedianFeed, seconds: float, as_json: bool) -> bool:
    """Print for a while; return whether there was a price."""
    clock, is_seen = Clock(), False
    try:
        async with asyncio.timeout(seconds), aclosing(feed.observations(clock)) as stream:
            async for moment in stream:
                is_seen = True
                for seen in moment:
                    _print(seen._asdict(), _price_line(seen), as_json)
    except TimeoutError:
        pass  # that was long enough
    for health in feed.health(clock.now_ms()):
        _print(health._asdict(), _health_line(health), as_json)
    return is_seen


def _print(values: dict[str, Any], line: str, as_json: bool) -> None:
    typer.echo(json.dumps(values) if as_json else line)


def _price_line(seen: Observation) -> str:
    at = datetime.fromtimestamp(seen.published_ms / 1_000, UTC).time().isoformat("milliseconds")
    vol = f"vol {seen.vol_e9 / 1e7:.2f} %" if seen.vol_e9 else "vol to be estimated"
    price, width = format_amount(seen.price_e8), format_amount(seen.confidence_e8)
    return f"{at} {seen.symbol} {price} +- {width}, {vol}, sources {seen.sources}"


def _health_line(health: FeedHealth) -> str:
    fault = health.last_error or "nothing"
    return (
        f"{health.name}: {health.state}, {health.messages} messages, {health.failures} failures,"
        f" {health.reconnects} reconnects; last wrong: {fault}"
    )
