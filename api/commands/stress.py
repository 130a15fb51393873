"""`evergamma simulate stress`: the stress library, each stress with claims that the run checks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.commands.inputs import BROKEN, data_folder, fail
from api.commands.running import INTERRUPTED, Data, shown
from sims.scenarios.file import ScenarioError, ScenarioFile
from sims.scenarios.reading import read_scenario, stress_scenarios

if TYPE_CHECKING:
    from sims.stress.library import Stressed

WIDTH_MIN = 150
FIGURES = "stress.json"


def stress(
    names: Annotated[
        list[str] | None, typer.Argument(help="Stresses, or .toml files with claims; all without.")
    ] = None,
    paths: Annotated[
        int | None, typer.Option(min=1, help="Of each stress, instead of its own number.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of each stress's own.")] = None,
    data: Data = None,
    output: Annotated[Path, typer.Option(help=f"Folder of {FIGURES}.")] = Path("run") / "stress",
    page: Annotated[
        Path | None, typer.Option(help="Write the figures of docs/stresses.md anew.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the library, run nothing.")] = False,
) -> None:
    """Run stresses and check their claims: exit status 1 where one does not hold.

    History is replayed where there is some (--data, EVERGAMMA_DATA or ../shared/data); elsewhere a
    script of its shape is run. The column "market" says which.
    """
    if listed:
        _list()
        return
    if page is not None and names:
        raise fail("--page is written of the whole library: name no stresses")
    from sims.stress import library, report  # noqa: PLC0415 - slow to load

    told = {"paths": paths, "seed": seed}
    given = {name: value for name, value in told.items() if value is not None}
    try:
        files = [file.with_settings(given) for file in library.find_stresses(names or [])]
        text = None if page is None else page.read_text("utf-8")
        every = [_run(file, data_folder(data)) for file in files]
        report.write_json(output / FIGURES, every)
        if page is not None and text is not None:
            page.write_text(report.with_figures(text, every), "utf-8")
    except (ScenarioError, OSError) as error:
        raise fail(error) from None
    except KeyError as error:
        raise fail(f"{page}: has not the figures {error}") from None
    _show(every)
    typer.echo(f"wrote {output / FIGURES}")
    if not all(stressed.holds for stressed in every):
        raise typer.Exit(BROKEN)


def _list() -> None:
    for name, path in stress_scenarios().items():
        typer.echo(f"{name:16}{' '.join(read_scenario(path).description.split())}")


def _run(file: ScenarioFile, data: Path | None) -> "Stressed":
    from sims.stress.library import run_stress  # noqa: PLC0415 - slow to load

    with shown(file.name) as tell:
        stressed = run_stress(file, data, tell=tell)
    if not stressed.is_whole:
        raise fail(f"{file.name}: interrupted, nothing is said of its claims", INTERRUPTED)
    return stressed


def _show(every: "list[Stressed]") -> None:
    from sims.stress.report import HEAD, rows_of  # noqa: PLC0415 - slow to load

    console = Console(soft_wrap=True, highlight=False, width=max(Console().width, WIDTH_MIN))
    shown_table = Table(*HEAD)
    for stressed in every:
        for verdict, row in zip(stressed.verdicts, rows_of(stressed), strict=True):
            shown_table.add_row(*row, style=None if verdict.holds else "red")
        shown_table.add_section()
    console.print(shown_table)
    failed = [each.file.name for each in every if not each.holds]
    said = f"do not hold in {', '.join(failed)}" if failed else "all hold"
    claims = sum(len(each.verdicts) for each in every)
    console.print(f"{claims} claims of {len(every)} stresses: {said}")
