"""What a job that is done leaves: its report, all statistics, and a summary of them."""

from pathlib import Path

import msgspec

from api.simulations.jobs import SUMMARY
from api.views.numbers import rounded
from api.wire import SimulatedPool, SimulationFigure
from sims.reports.figures import Figure
from sims.reports.summary import PoolSummary
from sims.reports.write import write_report
from sims.runs.parts import write_whole
from sims.runs.results import Results

SHOWN = {
    "main_pnl": ("distribution", "main_pnl", "mean"),
    "main_pnl_es95": ("tails", "main_pnl", "es95"),
    "main_apr": ("distribution", "main_apr", "mean"),
    "drawdown": ("distribution", "drawdown", "mean"),
    "drawdown_q95": ("distribution", "drawdown", "q95"),
    "insurance_pnl": ("distribution", "insurance_pnl", "mean"),
    "claim": ("events", "claim", "paths"),
}
"""The figures of a summary: table, row and column of the statistics each is from."""


def write_outcome(results: Results, folder: Path, data: Path | None) -> None:
    """Write report, statistics and summary of a run that is whole.

    Args:
        results: Of the run.
        folder: Where to; it is made.
        data: Folder of price history, for markets that draw from one.

    Raises:
        sims.scenarios.file.ScenarioError: Price history is missing.
        sims.reports.replays.ReplayError: Price history is not what it was.
    """
    report = write_report(results, folder, data)
    for picture in folder.glob("*.png"):  # the page has them all
        picture.unlink()
    pools = [_summary(pool) for pool in report.summary.pools]
    write_whole(folder / SUMMARY, msgspec.json.encode(pools))


def _summary(pool: PoolSummary) -> SimulatedPool:
    """Return the figures of a pool that are looked at first."""
    return SimulatedPool(
        token=pool.token,
        figures=[
            _given(name, pool.tables[table].figure(row, column))
            for name, (table, row, column) in SHOWN.items()
        ],
    )


def _given(name: str, figure: Figure) -> SimulationFigure:
    error = None if figure.error is None else rounded(figure.error)
    return SimulationFigure(name=name, value=rounded(figure.value), error=error)
