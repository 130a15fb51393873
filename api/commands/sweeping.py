"""What commands about many settings of a scenario share: options, progress, what is shown."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from api.commands.inputs import BROKEN, BadInputError, fail
from api.commands.running import INTERRUPTED, settings_of
from sims.scenarios.file import ScenarioError, ScenarioFile

if TYPE_CHECKING:
    from sims.sweeps import points as sweeps
    from sims.sweeps.axes import Axis
    from sims.sweeps.report import Report

GRID_STEPS = 3
"""Of a range, where --set-range does not say."""
Ranges = Annotated[
    list[str] | None,
    typer.Option(
        "--set-range",
        help="SETTING=LOW:HIGH, then :STEPS, :log or :times; or SETTING=A,B,C. Can be repeated.",
    ),
]
Token = Annotated[str | None, typer.Option(help="Whose pools; the scenario's first without it.")]
Paths = Annotated[int | None, typer.Option(help="Of each point, instead of the file's.")]
Seed = Annotated[int | None, typer.Option(help="Instead of the file's.")]
Dask = Annotated[str | None, typer.Option(help="Address of a Dask scheduler, or local.")]
Resume = Annotated[bool, typer.Option(help="Take what is in the folder as it is, and go on.")]
Output = Annotated[Path | None, typer.Option(help="Folder of the runs and the report.")]


def axis_of(text: str) -> "Axis":
    """Return the axis an option such as `buyers.size=0.004:0.03:5:log` says.

    Raises:
        BadInputError: For what is no such thing.
    """
    from sims.sweeps.axes import Axis  # noqa: PLC0415 - slow to load

    setting, _, given = (part.strip() for part in text.partition("="))
    low, *rest = given.split(":")
    try:
        if not rest:
            return Axis(setting, values=tuple(_values(given)))
        high, *more = rest
        steps = [int(word) for word in more if word not in {"log", "times"}]
        return Axis(
            setting,
            low=float(low),
            high=float(high),
            steps=steps[0] if steps else GRID_STEPS,
            log="log" in more,
            times="times" in more,
        )
    except ValueError as error:
        raise BadInputError(f"--set-range {text!r}: {error}") from None


def _values(given: str) -> list[int | float | str | bool]:
    try:
        return list(tomllib.loads(f"value = [{given}]")["value"])
    except tomllib.TOMLDecodeError:
        return [word.strip() for word in given.split(",")]  # words: the shell took their quotes


@contextmanager
def shown() -> Iterator["sweeps.Tell"]:
    """Show how far a sweep is, by points and paths, on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[paths]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("points", total=None, paths="")

        def tell(reached: "sweeps.Reached") -> None:
            done, paths = reached.run.done, reached.run.paths
            progress.update(
                task,
                description=f"point {reached.point + 1} of {reached.points}",
                total=reached.points * paths,
                completed=reached.point * paths + done,
                paths=f"{done:,}/{paths:,} paths",
            )

        yield tell


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Tell in a line what is wrong, or how to go on."""
    from sims.runs.workers import WorkersError  # noqa: PLC0415 - slow to load
    from sims.sweeps.points import InterruptedSweepError  # noqa: PLC0415 - slow to load

    try:
        yield
    except (ScenarioError, BadInputError, OSError) as error:
        raise fail(error) from None
    except WorkersError as error:
        raise fail(error, BROKEN) from None
    except (InterruptedSweepError, KeyboardInterrupt):
        raise fail(f"interrupted; go on with --resume --output {folder}", INTERRUPTED) from None


def with_options(
    base: ScenarioFile, settings: list[str] | None, paths: int | None, seed: int | None
) -> ScenarioFile:
    """Return a scenario as the options change it.

    Raises:
        ScenarioError: For what cannot be.
    """
    given = {name: value for name, value in (("paths", paths), ("seed", seed)) if value is not None}
    return base.with_settings(given | settings_of(settings))


def show(report: "Report", folder: Path, tables: int = 1) -> None:
    """Write a report into a folder, and show its sentences and first tables."""
    from sims.sweeps.report import write_report  # noqa: PLC0415 - slow to load

    written = write_report(report, folder)
    console = Console(soft_wrap=True, highlight=False, width=max(Console().width, 120))
    for sentence in report.sentences:
        console.print(sentence, markup=False)
    for each in report.tables[:tables]:
        table = Table(title=each.title, title_justify="left")
        for number, name in enumerate(each.head):
            table.add_column(name, justify="right" if number else "left", overflow="fold")
        for row in each.rows:
            table.add_row(*row)
        console.print(table)
    typer.echo(f"wrote {', '.join(map(str, written))}")
