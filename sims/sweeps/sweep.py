"""A sweep: the points of a design, run on the same paths, and what they come to."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sims.runs.parts import write_whole
from sims.runs.results import Results
from sims.runs.workers import Workers
from sims.scenarios.file import ScenarioError, ScenarioFile, scenario_of
from sims.statistics import Estimate
from sims.sweeps.design import Settings
from sims.sweeps.figures import FIGURES, Measured, difference
from sims.sweeps.points import Points, Reached, Tell, changed, check, find_results, run_name

RECORD = "design.json"


class Sweep(NamedTuple):
    """Points of a scenario and their results.

    Attributes:
        base: The scenario as it is.
        settings: What each point changes; the first changes nothing.
        results: Of each point; none where it has not been run whole.
    """

    base: ScenarioFile
    settings: list[Settings]
    results: list[Results | None]

    @property
    def names(self) -> list[str]:
        """Every setting some point that has been run changes, in order."""
        return list(dict.fromkeys(name for point, _ in self.done for name in point))

    @property
    def done(self) -> list[tuple[Settings, Results]]:
        """Points that have been run whole."""
        both = zip(self.settings, self.results, strict=True)
        return [(point, results) for point, results in both if results is not None]


def run_sweep(
    base: ScenarioFile,
    settings: Sequence[Settings],
    folder: Path,
    data: Path | None = None,
    workers: Workers | None = None,
    tell: Tell = lambda _: None,
    *,
    resume: bool = False,
) -> Sweep:
    """Run every point on the paths of the scenario's seed (common random numbers).

    Args:
        base: The scenario.
        settings: What each point changes, from `sims.sweeps.design`; first `{}`, the reference.
        folder: Where the runs are written, each in a folder of its own.
        data: Folder of price history, for markets that draw from one.
        workers: Who runs the blocks; as many threads as there are cores.
        tell: Told as the runs go on.
        resume: Whether points found in the folder are taken as they are.

    Raises:
        ScenarioError: For settings that cannot be, before anything is run or written.
        sims.sweeps.points.InterruptedSweepError: It was interrupted; what is done stays.
        sims.runs.workers.WorkersError: Nobody could run some blocks.
    """
    check(base, settings, data)
    if resume and (folder / RECORD).exists() and _read_base(folder).digest() != base.digest():
        raise ScenarioError(f"{folder}: the sweep there is of another scenario")
    points = Points(base, folder, data, workers, resume=resume)
    record = {
        "scenario": msgspec.to_builtins(base, enc_hook=str),
        "points": [{"settings": each, "run": run_name(changed(base, each))} for each in settings],
    }
    write_whole(folder / RECORD, json.dumps(record, indent=1).encode() + b"\n")
    results: list[Results | None] = []
    for number, each in enumerate(settings):
        results.append(
            points.run(each, lambda run, n=number: tell(Reached(len(settings), n, run)))  # type: ignore[misc]
        )
    return Sweep(base, list(settings), results)


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        raise ScenarioError(f"{folder}: no sweep is there") from None
    return record


def _read_base(folder: Path) -> ScenarioFile:
    return scenario_of(_read_record(folder)["scenario"])


def read_sweep(folder: Path) -> Sweep:
    """Return what a sweep left in a folder, all of it or some.

    Raises:
        ScenarioError: There is no sweep, or less of it than can be compared.
    """
    points = _read_record(folder)["points"]
    results = [find_results(folder, each["run"]) for each in points]
    if results[0] is None or not any(each is not None for each in results[1:]):
        raise ScenarioError(f"{folder}: not two points of this sweep have been run whole")
    return Sweep(_read_base(folder), [each["settings"] for each in points], results)


class Row(NamedTuple):
    """A point and its figures.

    Attributes:
        settings: What it changes.
        measured: By name of the figure.
        more: How much more each figure is than at the first point, with its paired error.
    """

    settings: Settings
    measured: dict[str, Measured]
    more: dict[str, Estimate]


def rows_of(sweep: Sweep, pool: int = 0) -> list[Row]:
    """Return every point that has been run whole with all figures of a pool."""
    rows: list[Row] = []
    for settings, results in sweep.done:
        measured = {name: each.measure(results, pool) for name, each in FIGURES.items()}
        first = rows[0].measured if rows else measured
        more = {name: difference(each, first[name]) for name, each in measured.items()}
        rows.append(Row(settings, measured, more))
    return rows


def pool_number(base: ScenarioFile, token: str | None) -> int:
    """Return the number of a token's pools; the first where none is named.

    Raises:
        ScenarioError: The scenario has no such token.
    """
    tokens = [pool.token for pool in base.pools]
    if token is None:
        return 0
    if token not in tokens:
        raise ScenarioError(f"token {token} is none of {', '.join(tokens)}")
    return tokens.index(token)
