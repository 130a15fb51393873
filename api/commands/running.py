"""What commands that run scenarios share: options, who runs the blocks, progress."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from api.commands.inputs import BadInputError

if TYPE_CHECKING:
    from sims.runs import run as runs
    from sims.runs.workers import Workers

INTERRUPTED = 130
"""Exit status of a run ended by Ctrl-C; what is done stays."""
LOCAL = "local"

Scenario = Annotated[str, typer.Argument(help="A .toml file, or the name of a shipped scenario.")]
Data = Annotated[Path | None, typer.Option(help="Price history; see docs/data.md.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a field: buyers.size=0.01, pools.parameters.fee=5e-4."),
]
Count = Annotated[int | None, typer.Option(min=1, max=1024)]


def settings_of(given: list[str] | None) -> dict[str, object]:
    """Return fields and values of options such as `buyers.size=0.01`; values are those of TOML.

    Raises:
        BadInputError: For what is no such thing.
    """
    found: dict[str, object] = {}
    for text in given or []:
        name, is_given, value = text.partition("=")
        if not is_given or not name.strip():
            raise BadInputError(f"--set {text!r} is not such as buyers.size=0.01")
        try:
            found[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[name.strip()] = value.strip()  # a word, unquoted: the shell took its quotes
    return found


def workers_of(threads: int | None, processes: int | None, dask: str | None) -> "Workers":
    """Return who runs the blocks; as many threads as there are cores where nothing is said.

    Raises:
        BadInputError: For threads and processes, or threads and a cluster, at once.
    """
    from sims.runs.workers import Dask, Processes, Threads, cores  # noqa: PLC0415 - slow to load

    if threads and (processes or dask):
        raise BadInputError("--threads goes with neither --processes nor --dask")
    if dask:
        return Dask(None if dask == LOCAL else dask, processes or cores())
    return Processes(processes) if processes else Threads(threads or cores())


@contextmanager
def shown(name: str) -> Iterator["runs.Tell"]:
    """Show how far a run is, its rate and when it will be done, on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{name}: paths", total=None, rate="")

        def tell(reached: "runs.Progress") -> None:
            speed = progress.tasks[0].speed
            rate = f"{speed:,.0f}/s" if speed else ""
            progress.update(task, total=reached.paths, completed=reached.done, rate=rate)

        yield tell
