"""`evergamma simulate suggest`: how far a setting may go before a limit of drawdowns is broken."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.inputs import BROKEN, BadInputError, data_folder
from api.commands.running import Count, Data, Scenario, Settings, workers_of
from api.commands.sweeping import (
    Dask,
    Output,
    Paths,
    Resume,
    Seed,
    Token,
    show,
    shown,
    told,
    with_options,
)
from sims.scenarios.reading import find_scenario


def suggest(
    scenario: Scenario,
    setting: Annotated[str, typer.Option(help="Such as buyers.size or pools.insurance.")],
    low: Annotated[float, typer.Option(help="Least value.")],
    high: Annotated[float, typer.Option(help="Largest value.")],
    drawdown: Annotated[float, typer.Option(help="Depth, as a part: 0.1 is 10 %.")] = 0.1,
    probability: Annotated[float, typer.Option(help="How likely it may be exceeded.")] = 0.05,
    confidence: Annotated[float, typer.Option(help="Of the upper bound.")] = 0.95,
    halvings: Annotated[int, typer.Option(min=1, max=30, help="Of the range.")] = 5,
    log: Annotated[bool, typer.Option(help="Halve ratios, not distances.")] = False,
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
    """Find how far a setting may go: the largest capacity, or the least cover, that keeps a limit.

    The limit is P(drawdown > DEPTH) <= PROBABILITY. Exit status 1 if no value keeps it.
    """
    from sims.sweeps.axes import Axis  # noqa: PLC0415 - slow to load
    from sims.sweeps.findings import suggestion_report  # noqa: PLC0415 - slow to load
    from sims.sweeps.suggest import Found, Limit  # noqa: PLC0415 - slow to load
    from sims.sweeps.suggest import suggest as search  # noqa: PLC0415 - slow to load
    from sims.sweeps.sweep import pool_number  # noqa: PLC0415 - slow to load

    folder = output or Path("run") / f"{Path(scenario).stem}-suggest"
    with told(folder):
        base = with_options(find_scenario(scenario), settings, paths, seed)
        pool, workers = pool_number(base, token), workers_of(threads, processes, dask)
        limit = Limit(drawdown, probability, confidence)
        try:
            axis = Axis(setting, low=low, high=high, log=log)
        except ValueError as error:
            raise BadInputError(error) from None
        with shown() as tell:
            found = search(
                base, axis, limit, folder, pool, data_folder(data), workers, tell,
                halvings=halvings, resume=resume,
            )  # fmt: skip
        show(suggestion_report(base, setting, limit, found, pool), folder)
    if found.found in {Found.NONE, Found.TURNS}:
        raise typer.Exit(BROKEN)
