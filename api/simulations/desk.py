"""Where simulations are asked for, looked at and cancelled."""

import threading
from pathlib import Path

from api.clock import Clock
from api.simulations.admission import AdmissionError, admit
from api.simulations.counts import Counts
from api.simulations.dispatcher import Dispatcher
from api.simulations.jobs import REPORT, End, Job, Jobs, job_of
from api.simulations.limits import Limits, bytes_of
from sims.scenarios.file import ScenarioFile


class KeyTakenError(Exception):
    """An idempotency key under which another scenario was asked for."""


class Desk:
    """The simulations of a server; its methods wait for files, so threads call them.

    Args:
        folder: Of the jobs; none: there are no simulations.
        limits: Of them.
        data: Folder of price history, if there is one.

    Attributes:
        is_open: Whether there are simulations.
        jobs: All of them.
        counts: What is counted.
    """

    def __init__(
        self, folder: Path | None = None, limits: Limits | None = None, data: Path | None = None
    ) -> None:
        limits = limits or Limits()
        self.is_open = folder is not None and limits.processes > 0
        self.jobs = Jobs((folder or Path()).absolute())
        self._limits = limits
        self._data = None if data is None else data.absolute()
        self.counts = Counts()
        self._clock = Clock()
        self._turn = threading.Lock()
        self._dispatcher = Dispatcher(self.jobs, limits, self._data, self.counts)

    def start(self) -> None:
        """Begin to run jobs, where there are simulations."""
        if self.is_open:
            self._dispatcher.start()

    def wake(self) -> None:
        """Have jobs looked at now; for the loop."""
        self._dispatcher.wake()

    async def stop(self) -> None:
        """End the processes of jobs; those go on when a server starts."""
        await self._dispatcher.stop()

    def submit(self, key: str, account: str, file: ScenarioFile) -> Job:
        """Take a job: it is on disk when this returns. A retry gets the job of the first time.

        Args:
            key: The account's idempotency key, with the account.
            account: Who asks.
            file: What to run.

        Raises:
            AdmissionError: It is not run here, or not now.
            KeyTakenError: Under this key another scenario was asked for.
            OSError: It cannot be written.
        """
        job = job_of(key, account, self._clock.wall_ms(), file, bytes_of(file))
        with self._turn:
            before = self.jobs.find(job.id)
            if before is None:
                admit(file, self._data, self._limits)
                self._check_room(job)
                if self.jobs.add(job):
                    return job
                before = self.jobs.find(job.id)  # another server was faster
        if before is None or bytes(before.scenario) != bytes(job.scenario):
            raise KeyTakenError(job.id)
        return before

    def _check_room(self, job: Job) -> None:
        open_jobs = [each for each in self.jobs.all() if self.jobs.ending(each.id) is None]
        own = sum(each.account == job.account for each in open_jobs)
        if own >= self._limits.jobs:
            text = f"The account has {own} simulations that have not ended; wait or cancel one."
            more = {"limit": str(self._limits.jobs), "actual": str(own)}
            raise AdmissionError("SIMULATION_LIMIT", text, **more)
        if sum(each.size for each in open_jobs) + job.size > self._limits.disk:
            text = "Simulations that have not ended need all the room there is; try again later."
            raise AdmissionError("SIMULATIONS_FULL", text)

    def find(self, account: str, name: str) -> Job | None:
        """Return an account's job by its id."""
        job = self.jobs.find(name)
        return job if job is not None and job.account == account else None

    def of(self, account: str) -> list[Job]:
        """Return an account's jobs, oldest first."""
        return [job for job in self.jobs.all() if job.account == account]

    def cancel(self, job: Job) -> None:
        """End a job, where it has not ended; its process ends soon after.

        Raises:
            OSError: It cannot be written.
        """
        done = self.jobs.progress(job.id).done
        if self.jobs.end(job.id, End("cancelled", self._clock.wall_ms(), done)):
            self.counts.ended["cancelled"] += 1
            if not self.jobs.progress(job.id).is_running:
                self.jobs.tidy(job.id)

    def result(self, job: Job, name: str) -> bytes | None:
        """Return a file of what a job came to; None where it is not done."""
        end = self.jobs.ending(job.id)
        if end is None or end.state != "done":
            return None
        return (self.jobs.place(job.id) / REPORT / name).read_bytes()
