"""`evergamma simulate run`, `... scenarios`, `... show`: drawdown studies of scenario files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.inputs import BROKEN, BadInputError, data_folder, fail
from api.commands.running import (
    INTERRUPTED,
    LOCAL,
    Count,
    Data,
    Scenario,
    Settings,
    settings_of,
    shown,
    workers_of,
)
from sims.scenarios.file import ScenarioError
from sims.scenarios.reading import (
    find_scenario,
    read_scenario,
    shipped_scenarios,
    stress_scenarios,
)

if TYPE_CHECKING:
    from sims.runs.results import Results


def run(
    scenario: Scenario,
    data: Data = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the run; run/NAME without it.")
    ] = None,
    paths: Annotated[int | None, typer.Option(help="How many, instead of the file's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the file's.")] = None,
    settings: Settings = None,
    threads: Count = None,
    processes: Count = None,
    dask: Annotated[
        str | None, typer.Option(help=f"Address of a Dask scheduler, or {LOCAL}: start one here.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Take up the run of the folder.")] = False,
    worst: Annotated[
        int, typer.Option(min=0, max=50, help="Worst paths of each pool told step by step.")
    ] = 5,
) -> None:
    """Run a scenario, write its report, and check its claims: exit status 1 where one fails.

    Ctrl-C ends it after the blocks under way; what is done stays, and --resume goes on.
    """
    from api.commands.report import print_report  # noqa: PLC0415 - slow to load
    from sims.reports.replays import ReplayError  # noqa: PLC0415 - slow to load
    from sims.reports.write import write_report  # noqa: PLC0415 - slow to load
    from sims.runs.run import run as run_file  # noqa: PLC0415 - slow to load
    from sims.runs.workers import WorkersError  # noqa: PLC0415 - slow to load

    try:
        file = find_scenario(scenario)
        told = {"paths": paths, "seed": seed}
        given = {name: value for name, value in told.items() if value is not None}
        file = file.with_settings(given | settings_of(settings))
        workers = workers_of(threads, processes, dask)
        folder, history = output or Path("run") / file.name, data_folder(data)
        with shown(file.name) as tell:
            results = run_file(file, history, folder, workers, tell, resume=resume)
        written = write_report(results, folder, history, worst)
    except KeyboardInterrupt:
        raise fail("interrupted before one block was done", INTERRUPTED) from None
    except (ScenarioError, BadInputError, OSError) as error:
        raise fail(error) from None
    except (WorkersError, ReplayError) as error:
        raise fail(error, BROKEN) from None
    print_report(written)
    if not results.is_whole:
        typer.echo(f"{results.paths:,} of {file.paths:,} paths: go on with --resume", err=True)
        raise typer.Exit(INTERRUPTED)
    if not _claims_hold(results):
        raise typer.Exit(BROKEN)


def _claims_hold(results: "Results") -> bool:
    """Say which claims of the scenario hold; whether all do."""
    from sims.stress.verdicts import check_claims  # noqa: PLC0415 - slow to load

    verdicts = check_claims(results)
    for verdict in verdicts:
        said = "holds" if verdict.holds else "FAILS"
        typer.echo(f"{said}: {verdict.token}: {verdict.claim.says}")
    return all(verdict.holds for verdict in verdicts)


def _shipped() -> dict[str, Path]:
    return shipped_scenarios() | stress_scenarios()


def scenarios() -> None:
    """List the scenarios shipped with the package; those of the stress library come last."""
    for name, path in _shipped().items():
        file = read_scenario(path)
        typer.echo(f"{name:16}{' '.join(file.description.split())}")


def show(name: Annotated[str, typer.Argument(help="Of a shipped scenario or stress.")]) -> None:
    """Print the file of a shipped scenario, to begin one's own with."""
    found = _shipped().get(name)
    if found is None:
        raise fail(f"{name} is none of {', '.join(_shipped())}")
    typer.echo(found.read_text("utf-8"), nl=False)
