"""The command that runs the exchange: `evergamma serve`."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.inputs import DATA_VARIABLE, BadInputError, day, fail, token_names
from api.commands.keys import MasterKey
from api.serving import UNUSABLE, run_server
from api.settings import DEFAULT_DATABASE, DEMO_DATABASE, FeedName, Settings, usual_master_key


def serve(
    demo: Annotated[
        bool,
        typer.Option("--demo", envvar="EVERGAMMA_DEMO", help="Begin with an example; print keys."),
    ] = False,
    database: Annotated[
        Path | None,
        typer.Option(
            envvar="EVERGAMMA_DATABASE",
            help=f"SQLite file. Default: {DEFAULT_DATABASE}; of a demo {DEMO_DATABASE}.",
            show_default=False,
        ),
    ] = None,
    master_key: MasterKey = None,
    host: Annotated[
        str, typer.Option(envvar="EVERGAMMA_HOST", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="EVERGAMMA_PORT", help="0: any that is free.")] = 8080,
    feed: Annotated[
        str, typer.Option(envvar="EVERGAMMA_FEED", help="Prices: simulated, replay or push.")
    ] = "simulated",
    data: Annotated[
        Path | None,
        typer.Option(envvar=DATA_VARIABLE, help="Price history to replay; see docs/data.md."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", envvar="EVERGAMMA_FROM", help="First day replayed (UTC)."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", envvar="EVERGAMMA_TO", help="Day after the last.")
    ] = None,
    speed: Annotated[
        float,
        typer.Option(envvar="EVERGAMMA_SPEED", help="Exchange time over wall time; 1 to 600."),
    ] = 1.0,
    seed: Annotated[int, typer.Option(envvar="EVERGAMMA_SEED", help="Of the simulation.")] = 7,
    fill_delay: Annotated[
        int,
        typer.Option(
            envvar="EVERGAMMA_FILL_DELAY", help="Milliseconds from an order to the index it gets."
        ),
    ] = 250,
    rate: Annotated[
        int,
        typer.Option(envvar="EVERGAMMA_RATE", help="Requests per second and key; 0: no limit."),
    ] = 100,
    rate_burst: Annotated[
        int, typer.Option(envvar="EVERGAMMA_RATE_BURST", help="Requests at once; 0: no limit.")
    ] = 500,
    body_max: Annotated[
        int, typer.Option(envvar="EVERGAMMA_BODY_MAX", help="Longest request body, in bytes.")
    ] = 262_144,
    tokens: Annotated[
        str | None,
        typer.Option(
            envvar="EVERGAMMA_TOKENS",
            help="Stock tokens, listed if they are not; as TSLA.M,NVDA.M.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run the exchange, with its HTTP API, until it is interrupted.

    Options can be given as variables too; the command line goes first.

    It prints `listening on URL` when it answers. Only --host lets other machines in.
    """
    try:
        place = database or (DEMO_DATABASE if demo else DEFAULT_DATABASE)
        settings = Settings(
            database=place,
            master_key=master_key or usual_master_key(place, demo=demo),
            host=host,
            port=port,
            feed=_feed_name(feed),
            data=data,
            start_ms=None if start is None else day(start),
            end_ms=None if end is None else day(end),
            speed=speed,
            seed=seed,
            fill_delay_ms=fill_delay,
            rate_per_second=rate,
            rate_burst=rate_burst,
            body_max=body_max,
            demo=demo,
            tokens=() if tokens is None else token_names(tokens),
        )
        run_server(settings, typer.echo)
    except (BadInputError, *UNUSABLE) as error:
        raise fail(error) from None


def _feed_name(text: str) -> FeedName:
    for name in ("simulated", "replay", "push"):
        if text == name:
            return name
    raise BadInputError(f"--feed {text!r} is not simulated, replay or push")
