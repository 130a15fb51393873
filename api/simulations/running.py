"""What the process of a job does: it runs the scenario and leaves a report."""

import shutil
from importlib.metadata import version
from pathlib import Path

import msgspec

from api.clock import Clock
from api.simulations.jobs import REPORT, RUN, Job, Jobs, Progress
from api.simulations.outcome import write_outcome
from sims.reports.replays import ReplayError
from sims.runs.results import RECORD, read_record
from sims.runs.run import Progress as Reached
from sims.runs.run import run
from sims.runs.workers import Threads, WorkersError
from sims.scenarios.file import ScenarioError, ScenarioFile, scenario_of


class JobError(Exception):
    """A job that cannot be done; the message is for whoever asked for it."""


def run_job(place: Path, data: Path | None) -> None:
    """Run the job of a folder to its end, and write what it came to.

    Args:
        place: Folder of the job.
        data: Folder of price history, for markets that draw from one.

    Raises:
        JobError: It cannot be done.
    """
    jobs = Jobs(place.parent)
    job = jobs.find(place.name)
    assert job is not None, "a job is begun once it is on disk"
    try:
        file = _scenario(job)
        _clear(place / RUN)
        noted = _Noted(jobs, job.id)
        results = run(file, data, place / RUN, Threads(1), noted.reached, resume=True)
        write_outcome(results, place / REPORT, data)
    except (ScenarioError, WorkersError, ReplayError, MemoryError, OSError) as error:
        raise JobError(_without(data, str(error) or type(error).__name__)) from None


def _scenario(job: Job) -> ScenarioFile:
    return scenario_of(msgspec.json.decode(job.scenario))


def _clear(folder: Path) -> None:
    """Remove a run that was hardly begun, or that another version began."""
    is_ours = (folder / RECORD).exists() and read_record(folder)["version"] == version("evergamma")
    if not is_ours:
        shutil.rmtree(folder, ignore_errors=True)


def _without(data: Path | None, message: str) -> str:
    """Return a message that does not tell where the server has its history."""
    return message if data is None else message.replace(str(data), "history")


class _Noted:
    """Writes down how far the job is."""

    def __init__(self, jobs: Jobs, name: str) -> None:
        self._jobs = jobs
        self._name = name
        self._clock = Clock()
        self._begun_ms = self._clock.wall_ms()
        self._first: int | None = None

    def reached(self, reached: Reached) -> None:
        """Note so many paths."""
        if self._first is None:
            self._first, self._begun_ms = reached.done, self._clock.wall_ms()
        now_ms = self._clock.wall_ms()
        progress = Progress(self._begun_ms, self._first, now_ms, reached.done)
        self._jobs.note(self._name, progress)
