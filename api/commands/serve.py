"""The command that runs the exchange: `evergamma serve`."""

from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from amm.units import HOUR_MS
from api.commands.config import (
    blamed,
    effective_settings,
    is_given,
    refuse_passwords,
    take_config,
)
from api.commands.feed import DeribitUrl, PythIds, PythKeyFile, PythUrl, pyth_settings
from api.commands.inputs import BROKEN, DATA_VARIABLE, BadInputError, day, fail, token_names
from api.commands.keys import MasterKey
from api.feeds.places import DERIBIT_URL, PYTH_URL, PlaceError
from api.serving import UNUSABLE, run_server
from api.settings import (
    DEFAULT_DATABASE,
    DEMO_DATABASE,
    LogFormat,
    LogLevel,
    Settings,
    SettingsError,
    usual_master_key,
    usual_simulations,
)
from api.simulations.limits import Limits
from api.storage.errors import SupersededError
from api.storage.url import MAIN, DatabaseUrl, DatabaseUrlError


def serve(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar="EVERGAMMA_CONFIG",
            help="TOML file of these settings; see docs/operations.md.",
            callback=take_config,
            is_eager=True,
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Print the settings in force, and end.")
    ] = False,
    demo: Annotated[
        bool,
        typer.Option("--demo", envvar="EVERGAMMA_DEMO", help="Begin with an example; print keys."),
    ] = False,
    database: Annotated[
        str | None,
        typer.Option(
            envvar="EVERGAMMA_DATABASE",
            help="SQLite file or postgresql:// URL. Default: "
            f"{DEFAULT_DATABASE}; of a demo {DEMO_DATABASE}.",
            show_default=False,
        ),
    ] = None,
    shard: Annotated[
        str,
        typer.Option(envvar="EVERGAMMA_SHARD", help="Which of several writers on one PostgreSQL."),
    ] = MAIN,
    replica: Annotated[
        str | None,
        typer.Option(
            envvar="EVERGAMMA_REPLICA",
            help="postgresql:// URL of a server that follows the database; history is read there.",
            show_default=False,
        ),
    ] = None,
    master_key: MasterKey = None,
    host: Annotated[
        str, typer.Option(envvar="EVERGAMMA_HOST", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="EVERGAMMA_PORT", help="0: any that is free.")] = 8080,
    feed: Annotated[
        str,
        typer.Option(
            envvar="EVERGAMMA_FEED",
            help="Prices: simulated, replay, push, pyth, deribit; of pyth,deribit the median.",
        ),
    ] = "simulated",
    pyth_url: PythUrl = PYTH_URL,
    pyth_key_file: PythKeyFile = None,
    pyth_ids: PythIds = None,
    deribit_url: DeribitUrl = DERIBIT_URL,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar=DATA_VARIABLE,
            help="Price history, to replay and for simulations; see docs/data.md.",
        ),
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
    domain: Annotated[
        str | None,
        typer.Option(
            envvar="EVERGAMMA_DOMAIN",
            help="Public host, with its port, that wallets log in to. Default: where it listens.",
            show_default=False,
        ),
    ] = None,
    withdrawal_hold: Annotated[
        float,
        typer.Option(
            envvar="EVERGAMMA_WITHDRAWAL_HOLD",
            help="Hours until a new withdrawal destination can be used.",
        ),
    ] = 24.0,
    log_format: Annotated[
        str,
        typer.Option(
            envvar="EVERGAMMA_LOG_FORMAT", help="json, text, or auto: text on a terminal."
        ),
    ] = "auto",
    log_level: Annotated[
        str, typer.Option(envvar="EVERGAMMA_LOG_LEVEL", help="debug, info, warning or error.")
    ] = "info",
    access_log: Annotated[
        bool,
        typer.Option(
            "--access-log", envvar="EVERGAMMA_ACCESS_LOG", help="A line for every request."
        ),
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            envvar="EVERGAMMA_METRICS_PORT",
            help="Port of 127.0.0.1 that has /metrics, which is then nowhere else. 0: any.",
        ),
    ] = None,
    trusted_proxies: Annotated[
        str | None,
        typer.Option(
            envvar="EVERGAMMA_TRUSTED_PROXIES",
            help="Addresses whose X-Forwarded-For is believed; as 127.0.0.1,10.0.0.0/8.",
            show_default=False,
        ),
    ] = None,
    connections_max: Annotated[
        int, typer.Option(envvar="EVERGAMMA_CONNECTIONS_MAX", help="Connections at a time.")
    ] = 16_384,
    patience: Annotated[
        float,
        typer.Option(
            envvar="EVERGAMMA_PATIENCE", help="Seconds a request's head may take, and its body."
        ),
    ] = 10.0,
    drain: Annotated[
        float,
        typer.Option(
            envvar="EVERGAMMA_DRAIN", help="Seconds from SIGTERM until no connection is accepted."
        ),
    ] = 0.1,
    simulations: Annotated[
        Path | None,
        typer.Option(
            envvar="EVERGAMMA_SIMULATIONS",
            help="Folder of simulations asked for over HTTP. Default: beside a SQLite file; "
            "on PostgreSQL none, and no simulations.",
            show_default=False,
        ),
    ] = None,
    simulation_processes: Annotated[
        int,
        typer.Option(
            envvar="EVERGAMMA_SIMULATION_PROCESSES",
            help="Simulations run at a time, a process each; 0: none.",
        ),
    ] = 1,
    simulation_steps: Annotated[
        int,
        typer.Option(
            envvar="EVERGAMMA_SIMULATION_STEPS",
            help="Steps of a simulation, of all its paths and pools.",
        ),
    ] = 100_000_000,
    simulation_jobs: Annotated[
        int,
        typer.Option(
            envvar="EVERGAMMA_SIMULATION_JOBS",
            help="Simulations of an account that have not ended.",
        ),
    ] = 4,
    simulation_keep: Annotated[
        int,
        typer.Option(
            envvar="EVERGAMMA_SIMULATION_KEEP",
            help="Days a simulation is kept after its end.",
        ),
    ] = 30,
    simulation_disk: Annotated[
        int,
        typer.Option(
            envvar="EVERGAMMA_SIMULATION_DISK",
            help="Megabytes that simulations which have not ended may write together.",
        ),
    ] = 4_096,
    simulation_nice: Annotated[
        int,
        typer.Option(
            envvar="EVERGAMMA_SIMULATION_NICE",
            help="How far simulations stand back for others: 0 not at all, 19 all the way.",
        ),
    ] = 19,
) -> None:
    """Run the exchange, with its HTTP API, until it is interrupted.

    Options can be given as variables too, or in a file; the command line goes first.

    It prints `listening on URL` when it answers. Only --host lets other machines in.
    """
    del config  # its contents are defaults by now
    try:
        refuse_passwords(context)
        usual = str(DEMO_DATABASE if demo else DEFAULT_DATABASE)
        place = DatabaseUrl.parse(database or usual).of_shard(shard)
        settings = Settings(
            database=place,
            master_key=master_key or usual_master_key(place, demo=demo),
            replica=None if replica is None else DatabaseUrl.parse(replica),
            host=host,
            port=port,
            feed=feed,
            data=data,
            start_ms=None if start is None else _day("--from", start),
            end_ms=None if end is None else _day("--to", end),
            speed=speed,
            seed=seed,
            fill_delay_ms=fill_delay,
            rate_per_second=rate,
            rate_burst=rate_burst,
            body_max=body_max,
            demo=demo,
            tokens=() if tokens is None else token_names(tokens),
            domain=domain,
            withdrawal_hold_ms=round(withdrawal_hold * HOUR_MS),
            log_format=cast("LogFormat", _one_of("--log-format", log_format, get_args(LogFormat))),
            log_level=cast("LogLevel", _one_of("--log-level", log_level, get_args(LogLevel))),
            access_log=access_log,
            metrics_port=metrics_port,
            trusted_proxies=tuple(trusted_proxies.split(",")) if trusted_proxies else (),
            connections_max=connections_max,
            patience_s=patience,
            drain_s=drain,
            simulations=simulations or usual_simulations(place),
            simulation_limits=Limits(
                simulation_processes,
                simulation_steps,
                simulation_jobs,
                simulation_keep,
                simulation_disk,
                simulation_nice,
            ),
            pyth=pyth_settings(pyth_url, pyth_key_file, pyth_ids),
            deribit_url=deribit_url,
        )
        if not demo and not is_given(context, "feed"):
            _refuse_made_up_prices(settings)
        if check:
            places = {
                "database": settings.database,
                "master_key": settings.master_key,
                "simulations": settings.simulations,
            }
            for line in effective_settings(context, **places):
                typer.echo(line)
            return
        run_server(settings, typer.echo)
    except SupersededError as error:
        raise fail(error, BROKEN) from None
    except (BadInputError, PlaceError, SettingsError) as error:
        raise fail(blamed(context, error)) from None
    except (DatabaseUrlError, *UNUSABLE) as error:
        raise fail(error) from None


def _refuse_made_up_prices(settings: Settings) -> None:
    """Let nobody trade at simulated prices because no feed was thought of.

    Raises:
        BadInputError: The server is for others than its own machine.
    """
    for option, text, is_public in (
        ("--host", settings.host, not settings.is_loopback),
        ("--domain", settings.domain, settings.domain is not None),
        ("--trusted-proxies", ",".join(settings.trusted_proxies), settings.trusted_proxies),
    ):
        if is_public:
            raise BadInputError(
                f"{option} {text} is for a public server, whose prices would be made up:"
                " give --feed push, pyth or deribit, or --feed simulated if that is meant"
            )


def _one_of(option: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        words = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise BadInputError(f"{option} {text!r} is not {words}")
    return text


def _day(option: str, text: str) -> int:
    try:
        return day(text)
    except BadInputError as error:
        raise BadInputError(f"{option}: {error}") from None
