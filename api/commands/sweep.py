"""`evergamma simulate sweep`, `tornado` and `frontier`: one scenario at many settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.inputs import BadInputError, data_folder
from api.commands.running import Count, Data, Scenario, Settings, workers_of
from api.commands.sweeping import (
    Dask,
    Output,
    Paths,
    Ranges,
    Resume,
    Seed,
    Token,
    axis_of,
    show,
    shown,
    told,
    with_options,
)
from sims.scenarios.reading import find_scenario

if TYPE_CHECKING:
    from sims.sweeps.axes import Axis
    from sims.sweeps.sweep import Sweep


def sweep(
    file: Annotated[Path | None, typer.Argument(help="A sweep file; see docs/sweeps.md.")] = None,
    scenario: Annotated[str, typer.Option(help="What --set-range is of.")] = "default",
    ranges: Ranges = None,
    sobol: Annotated[
        int | None, typer.Option(help="So many points evenly spread, not all combinations.")
    ] = None,
    settings: Settings = None,
    token: Token = None,
    paths: Paths = None,
    seed: Seed = None,
    data: Data = None,
    output: Output = None,
    threads: Count = None,
    processes: Count = None,
    dask: Dask = None,
    resume: Resume = False,
) -> None:
    """Run a scenario at many settings, on the same paths, and compare.

    Give a sweep file, or the settings by --set-range.
    """
    from sims.sweeps.file import SweepFile, base_of, read_sweep_file  # noqa: PLC0415 - slow to load
    from sims.sweeps.findings import sweep_report, tornado_report  # noqa: PLC0415 - slow to load
    from sims.sweeps.sweep import pool_number, run_sweep  # noqa: PLC0415 - slow to load

    folder = output or Path("run") / (f"{scenario}-sweep" if file is None else file.stem)
    with told(folder):
        if (file is None) == (not ranges):
            raise BadInputError("give either a sweep file or --set-range")
        if file is None:
            axes = tuple(map(axis_of, ranges or ()))
            asked = SweepFile(
                axes, scenario, design="sobol" if sobol else "grid", points=sobol or 1
            )
        else:
            asked = read_sweep_file(file)
        base = with_options(base_of(asked, file and file.parent), settings, paths, seed)
        pool, workers = pool_number(base, token), workers_of(threads, processes, dask)
        points = asked.all_settings(base)
        with shown() as tell:
            found = run_sweep(base, points, folder, data_folder(data), workers, tell, resume=resume)
        show(sweep_report(found, pool), folder, tables=2)
        if asked.design == "tornado":
            show(tornado_report(found, pool=pool), folder)


def tornado(
    scenario: Scenario,
    only: Annotated[
        str | None, typer.Option("--settings", help="Of the shipped list, separated by commas.")
    ] = None,
    ranges: Ranges = None,
    figures: Annotated[
        str, typer.Option(help="pnl, shortfall, drawdown, deep, insurance_pnl, claim, phi ...")
    ] = "pnl,shortfall",
    report: Annotated[
        bool, typer.Option(help="Write the scenario's own report, too, with what moves it.")
    ] = False,
    settings: Settings = None,
    token: Token = None,
    paths: Paths = None,
    seed: Seed = None,
    data: Data = None,
    output: Output = None,
    threads: Count = None,
    processes: Count = None,
    dask: Dask = None,
    resume: Resume = False,
) -> None:
    """Move one setting at a time to both ends of its range: which matters most?

    Without --set-range the settings of a shipped list are moved.
    """
    from sims.sweeps.design import one_at_a_time  # noqa: PLC0415 - slow to load
    from sims.sweeps.figures import FIGURES  # noqa: PLC0415 - slow to load
    from sims.sweeps.findings import tornado_report  # noqa: PLC0415 - slow to load
    from sims.sweeps.sweep import pool_number, run_sweep  # noqa: PLC0415 - slow to load

    folder = output or Path("run") / f"{Path(scenario).stem}-tornado"
    with told(folder):
        wanted = [name.strip() for name in figures.split(",")]
        unknown = [name for name in wanted if name not in FIGURES]
        if unknown:
            raise BadInputError(f"--figures {unknown[0]} is none of {', '.join(FIGURES)}")
        base = with_options(find_scenario(scenario), settings, paths, seed)
        axes = [axis_of(each) for each in ranges] if ranges else _shipped(only)
        pool, workers = pool_number(base, token), workers_of(threads, processes, dask)
        points = [{}, *one_at_a_time(axes, base)]
        with shown() as tell:
            found = run_sweep(base, points, folder, data_folder(data), workers, tell, resume=resume)
        show(tornado_report(found, wanted, pool), folder, tables=len(wanted))
        if report:
            _write_report(found, wanted, pool, folder, data_folder(data))


def _write_report(
    found: "Sweep", figures: list[str], pool: int, folder: Path, data: Path | None
) -> None:
    """Write the report of the scenario as it is, with what moves it."""
    from sims.reports.write import write_report  # noqa: PLC0415 - slow to load
    from sims.sweeps.sweep import rows_of  # noqa: PLC0415 - slow to load
    from sims.sweeps.tornado import for_report, swings_of  # noqa: PLC0415 - slow to load

    (_, results), rows = found.done[0], rows_of(found, pool)
    token = found.base.pools[pool].token
    bars = [for_report(swings_of(rows, figure), token, figure) for figure in figures]
    written = write_report(results, folder / "report", data, tornados=bars)
    typer.echo(f"wrote {written.page}")


def _shipped(only: str | None) -> "list[Axis]":
    """Return the axes of the shipped list, or some of them."""
    from sims.sweeps.file import SHIPPED_TORNADO, read_sweep_file  # noqa: PLC0415 - slow to load

    axes = {axis.setting: axis for axis in read_sweep_file(SHIPPED_TORNADO).sweep}
    if only is None:
        return list(axes.values())
    names = [name.strip() for name in only.split(",")]
    unknown = [name for name in names if name not in axes]
    if unknown:
        raise BadInputError(f"--settings {unknown[0]} is none of {', '.join(axes)}")
    return [axes[name] for name in names]


def frontier(
    folder: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    token: Token = None,
) -> None:
    """Show which points of a sweep are efficient: main LPs' mean P&L against its shortfall."""
    from sims.sweeps.findings import frontier_report  # noqa: PLC0415 - slow to load
    from sims.sweeps.sweep import pool_number, read_sweep  # noqa: PLC0415 - slow to load

    with told(folder):
        found = read_sweep(folder)
        show(frontier_report(found, pool_number(found.base, token)), folder)
