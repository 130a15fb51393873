"""Points of a sweep as runs of their own: one folder, in it a folder of each run.

A run's folder is named by what its outcome depends on, so a point that is there is not run again:
not when a sweep is taken up, not for a setting that changes nothing, not for another design.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sims.drawdown.outcome import BlockOutcome
from sims.drawdown.scenario import Scenario
from sims.runs.results import Results, read_results
from sims.runs.run import Progress, run
from sims.runs.workers import Stop, Threads, Workers, cores
from sims.scenarios.file import ScenarioError, ScenarioFile
from sims.sweeps.design import Settings

RUNS = "points"
_NAME_DIGITS = 16


class InterruptedSweepError(RuntimeError):
    """A sweep ended by an interrupt; what is done stays, and can be taken up."""


class Reached(NamedTuple):
    """How far a sweep is.

    Attributes:
        points: How many it has; of a search at most.
        point: Which is run, from 0.
        run: How far that is.
    """

    points: int
    point: int
    run: Progress


Tell = Callable[[Reached], None]


def changed(base: ScenarioFile, settings: Settings) -> ScenarioFile:
    """Return the scenario of a point.

    Raises:
        ScenarioError: For settings that cannot be; the message names them.
    """
    try:
        return base.with_settings(settings)
    except ScenarioError as error:
        raise ScenarioError(f"{told(settings)}: {error}") from None


def told(settings: Settings) -> str:
    """Return settings in words."""
    return ", ".join(f"{name} = {value}" for name, value in settings.items()) or "as it is"


def check(base: ScenarioFile, points: Sequence[Settings], data: Path | None) -> None:
    """Refuse points that could not be run, before any is.

    Raises:
        ScenarioError: For the first such.
    """
    if base.paths < 2:
        raise ScenarioError(f"paths is {base.paths}: errors need at least 2")
    for settings in points:
        file = changed(base, settings)
        try:
            file.scenario(data)
        except ScenarioError as error:
            raise ScenarioError(f"{told(settings)}: {error}") from None


def run_name(file: ScenarioFile) -> str:
    """Return the name of the folder the run of a point is in."""
    return file.digest()[:_NAME_DIGITS]


def find_results(folder: Path, name: str) -> Results | None:
    """Return the results of a point, if all of its paths have been run."""
    try:
        found = read_results(folder / RUNS / name)
    except ScenarioError:  # no run, or not one block of it
        return None
    return found if found.is_whole else None


@dataclass
class _Watched:
    """Workers that remember an interrupt: one in a run's last block leaves the run whole."""

    workers: Workers
    is_stopped: bool = False

    def outcomes(
        self, scenario: Scenario, numbers: Iterable[int], stop: Stop
    ) -> Iterator[BlockOutcome]:
        """Return blocks as they are done."""
        yield from self.workers.outcomes(scenario, numbers, stop)
        self.is_stopped = stop()


class Points:
    """Runs points of a scenario, each once."""

    def __init__(
        self,
        base: ScenarioFile,
        folder: Path,
        data: Path | None = None,
        workers: Workers | None = None,
        *,
        resume: bool = False,
    ) -> None:
        """Make ready the folder.

        Raises:
            ScenarioError: It has something already, and nothing is to be taken up.
        """
        if not resume and folder.exists() and any(folder.iterdir()):
            raise ScenarioError(f"{folder}: is not empty; resume it, or name another folder")
        (folder / RUNS).mkdir(parents=True, exist_ok=True)
        self.base = base
        self.folder = folder
        self._data = data
        self._workers = workers or Threads(cores())

    def run(self, settings: Settings, tell: Callable[[Progress], None]) -> Results:
        """Return the results of a point, run as far as it has not been.

        Raises:
            ScenarioError: For a point that cannot be run.
            InterruptedSweepError: It was interrupted.
            sims.runs.workers.WorkersError: Nobody could run some blocks.
        """
        file = changed(self.base, settings)
        place = self.folder / RUNS / run_name(file)
        workers = _Watched(self._workers)
        results = run(file, self._data, place, workers, tell, resume=True)
        if workers.is_stopped or not results.is_whole:
            raise InterruptedSweepError(told(settings))
        return results
