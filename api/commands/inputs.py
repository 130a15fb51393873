"""What several commands are given alike, and how bad input is told."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.settings import TOKEN_NAME
from api.storage.url import MAIN, DatabaseUrl, DatabaseUrlError

DATA_VARIABLE = "EVERGAMMA_DATA"
DATA_DEFAULT = Path("../shared/data")
FIRST_YEAR, LAST_YEAR = 2009, 2190
BAD_INPUT, BROKEN = 2, 1
"""Exit statuses."""

Database = Annotated[
    str,
    typer.Option(
        envvar="EVERGAMMA_DATABASE", help="SQLite file or postgresql:// URL of the exchange."
    ),
]
Url = Annotated[str, typer.Option(envvar="EVERGAMMA_URL", help="Where the exchange answers.")]


class BadInputError(ValueError):
    """Something on the command line cannot be used."""


def fail(message: object, status: int = BAD_INPUT) -> typer.Exit:
    """Say in one line on standard error what is wrong; return what ends the command."""
    typer.echo(f"evergamma: {message}", err=True)
    return typer.Exit(status)


def address(text: str, shard: str = MAIN) -> DatabaseUrl:
    """Return the address of a database, or end the command where it is none."""
    try:
        return DatabaseUrl.parse(text).of_shard(shard)
    except DatabaseUrlError as error:
        raise fail(error) from None


def data_folder(given: Path | None) -> Path | None:
    """Return the folder of price history: the one given, the environment's, the usual one."""
    if given is not None and not given.is_dir():
        raise fail(f"{given}: no such folder")
    if given is not None:
        return given
    if DATA_VARIABLE in os.environ:
        return Path(os.environ[DATA_VARIABLE])
    return DATA_DEFAULT if DATA_DEFAULT.is_dir() else None


def day(text: str) -> int:
    """Return when a day begins, in milliseconds UTC."""
    try:
        begins = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise BadInputError(f"{text!r} is not a day such as 2025-10-01") from None
    if not FIRST_YEAR <= begins.year <= LAST_YEAR:
        raise BadInputError(f"{text} is not between {FIRST_YEAR} and {LAST_YEAR}")
    return int(begins.timestamp() * 1000)


def token_names(text: str) -> tuple[str, ...]:
    """Return the names of stock tokens in a list separated by commas."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(TOKEN_NAME.fullmatch(name) for name in names) or len(set(names)) < len(names):
        raise BadInputError(f"--tokens {text!r} is not a list of different names such as TSLA.M")
    return names
