"""`evergamma simulate report`: what a run of a scenario came to, as a page and on the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as Shown

from api.commands.inputs import BROKEN, data_folder, fail
from api.commands.running import shown
from sims.scenarios.file import ScenarioError

if TYPE_CHECKING:
    from sims.reports.tables import Table
    from sims.reports.write import Report

PRINTED = {
    "distribution": ("mean", "q05", "q50", "q95"),
    "tails": ("var95", "es95", "var99", "es99"),
    "survival": ("paths",),
    "events": ("paths", "flushes"),
}
"""Tables and columns that are printed; the page has all."""
WIDTH_MIN = 110
"""Narrower terminals wrap lines rather than leave out digits."""


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    output: Annotated[Path | None, typer.Option(help="Where to; the run's folder.")] = None,
    data: Annotated[Path | None, typer.Option(help="Price history; see docs/data.md.")] = None,
    worst: Annotated[
        int, typer.Option(min=0, max=50, help="Worst paths of each pool, run again step by step.")
    ] = 5,
    check_step: Annotated[
        int, typer.Option(min=0, help="Paths to run with shorter steps, to see what they change.")
    ] = 0,
) -> None:
    """Write the report of a run, whole or partial: page, charts and statistics."""
    from sims.reports.replays import ReplayError  # noqa: PLC0415 - slow to load
    from sims.reports.step_check import check_step as run_check  # noqa: PLC0415 - slow to load
    from sims.reports.write import write_report  # noqa: PLC0415 - slow to load
    from sims.runs.results import read_results  # noqa: PLC0415 - slow to load
    from sims.runs.workers import WorkersError  # noqa: PLC0415 - slow to load

    history, step = data_folder(data), None
    try:
        results = read_results(run)
        if check_step:
            with shown("shorter steps") as tell:
                step = run_check(results, check_step, history, tell=tell)
        written = write_report(results, output or run, history, worst, step=step)
    except (ScenarioError, OSError) as error:
        raise fail(error) from None
    except (WorkersError, ReplayError) as error:
        raise fail(error, BROKEN) from None
    print_report(written)


def print_report(report: "Report") -> None:
    """Print what is read first: what to be careful of, the verdict, the main tables."""
    from sims.reports.page import paths_told  # noqa: PLC0415 - slow to load
    from sims.reports.verdict import cautions  # noqa: PLC0415 - slow to load

    summary = report.summary
    console = Console(soft_wrap=True, highlight=False, width=max(Console().width, WIDTH_MIN))
    console.print(f"{summary.run['scenario']}: seed {summary.run['seed']}, {paths_told(summary)}")
    for text in cautions(summary):
        console.print(text, style="yellow")
    for pool, sentences in zip(summary.pools, report.verdicts, strict=True):
        console.print(f"\n[bold]{pool.token}[/bold]")
        console.print("\n".join(sentences))
        for name, columns in PRINTED.items():
            console.print(_shown(pool.tables[name], columns))
    console.print(f"wrote {report.page}, its charts and statistics.json", markup=False)


def _shown(table: "Table", columns: tuple[str, ...]) -> Shown:
    chosen = table._replace(columns={name: table.columns[name] for name in columns})
    found = Shown(title=table.title, title_justify="left")
    found.add_column("")
    for column in chosen.columns.values():
        found.add_column(column.head, justify="right")
    for line in chosen.lines():
        found.add_row(*line)
    return found
