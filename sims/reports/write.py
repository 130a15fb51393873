"""A run's report on disk: `report.html`, its charts as PNG, and `statistics.json`."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from sims.reports.page import Picture, render
from sims.reports.pool_part import pool_part
from sims.reports.replays import traces_of
from sims.reports.step_check import StepCheck
from sims.reports.summary import Summary, summarise, to_json
from sims.reports.tornado import Tornado
from sims.runs.parts import write_whole
from sims.runs.results import Results

PAGE, STATISTICS = "report.html", "statistics.json"
WORST = 5


class Report(NamedTuple):
    """What was written: figures, the sentences of each pool's verdict, and where the page is."""

    summary: Summary
    verdicts: tuple[list[str], ...]
    page: Path


def write_report(
    results: Results,
    folder: Path,
    data: Path | None = None,
    worst: int = WORST,
    tornados: Sequence[Tornado] = (),
    step: StepCheck | None = None,
) -> Report:
    """Write the report of a run, whole or partial; that of an earlier time is replaced.

    Args:
        results: Of the run.
        folder: Where to; it is made.
        data: Folder of price history, for markets that draw from one.
        worst: How many paths of each pool are run again; 0 runs none, and leaves out what is told
            of single paths.
        tornados: What moves a figure, where a sweep has found it.
        step: What shorter steps change, where it was measured.

    Raises:
        sims.scenarios.file.ScenarioError: Paths cannot be run again: price history is missing.
        sims.reports.replays.ReplayError: A path is no longer what it was.
    """
    summary = summarise(results, version("evergamma"), step)
    traces = traces_of(results, data) if worst else None
    parts = [pool_part(results, summary, pool, worst, traces) for pool in range(len(summary.pools))]
    swept = _tornado_pictures(tornados)
    page = render(summary, parts, swept)
    pictures = [*swept, *(each for part in parts for each in part.all_pictures())]
    folder.mkdir(parents=True, exist_ok=True)
    for each in pictures:
        write_whole(folder / f"{each.name}.png", each.png)
    write_whole(folder / STATISTICS, to_json(summary, tornados).encode())
    write_whole(folder / PAGE, page.encode())
    _remove_replaced(folder, {f"{each.name}.png" for each in pictures}, summary)
    return Report(summary, tuple(each.verdict for each in parts), folder / PAGE)


def _tornado_pictures(tornados: Sequence[Tornado]) -> list[Picture]:
    from sims.reports.bars import draw_tornado  # noqa: PLC0415 - slow to load

    return [
        Picture(
            f"tornado-{place}",
            f"Tornado of {each.token}: {each.figure}. Each parameter at two settings, all others "
            "as they are; whiskers are one standard error of what it changes, on the same paths.",
            draw_tornado(each),
        )
        for place, each in enumerate(tornados, 1)
    ]


def _remove_replaced(folder: Path, written: set[str], summary: Summary) -> None:
    """Remove pictures an earlier report had and this one has not: fewer paths, no sweep."""
    stems = ["tornado", *(pool.token for pool in summary.pools)]
    for stem in stems:
        for path in folder.glob(f"{stem}-*.png"):
            if path.name not in written:
                path.unlink()
