"""Jobs as files: what was asked for, how far it is, how it ended.

A job is a folder. What was asked for is there before the caller is answered, and never changes;
how it ended is written once. So whoever looks at the folder knows the same.
"""

import hashlib
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from sims.scenarios.file import ScenarioFile

_ID = re.compile(r"sim_[0-9a-f]{32}")
_JOB, _PROGRESS, _END = "job.json", "progress.json", "end.json"
RUN = "run"
"""Folder of the parts of a run."""
REPORT = "report"
"""Folder of what a job that is done leaves."""
SUMMARY, STATISTICS, PAGE = "summary.json", "statistics.json", "report.html"
"""What is in it: the figures that are looked at first, all of them, and a page to read."""
ERRORS = "errors.txt"
"""What the process of a job says at its end."""
Ended = Literal["done", "failed", "cancelled"]
Kind = TypeVar("Kind", bound=Struct)


class Job(Struct, frozen=True):
    """What was asked for.

    Attributes:
        id: Of account and idempotency key, so that a retry finds it.
        account: Who asked.
        created_ms: When.
        name: Of the scenario.
        tokens: Of its pools.
        paths: Of the scenario.
        size: Bytes it may write.
        scenario: What is run, as JSON: a later version may take it no more, but knows of the job.
    """

    id: str
    account: str
    created_ms: int
    name: str
    tokens: tuple[str, ...]
    paths: int
    size: int
    scenario: msgspec.Raw


class Progress(Struct, frozen=True):
    """How far a job is.

    Attributes:
        begun_ms: When its process began; 0: it has none now.
        first: Paths that were there then.
        at_ms: When this was written.
        done: Paths that were there then.
    """

    begun_ms: int
    first: int
    at_ms: int
    done: int

    @property
    def is_running(self) -> bool:
        """Whether it has a process."""
        return self.begun_ms > 0


class End(Struct, frozen=True):
    """How a job ended.

    Attributes:
        state: How.
        at_ms: When.
        done: Paths that were run.
        reason: Why it failed.
    """

    state: Ended
    at_ms: int
    done: int
    reason: str | None = None


def job_of(key: str, account: str, created_ms: int, file: ScenarioFile, size: int) -> Job:
    """Return the job of a scenario, under an account's idempotency key."""
    return Job(
        job_id(key),
        account,
        created_ms,
        file.name,
        tuple(pool.token for pool in file.pools),
        file.paths,
        size,
        msgspec.Raw(msgspec.json.encode(file)),
    )


def job_id(key: str) -> str:
    """Return the id of the job that was asked for under an account's idempotency key."""
    return f"sim_{hashlib.sha256(key.encode()).hexdigest()[:32]}"


class Jobs:
    """The jobs of a folder; several servers may have the same.

    Args:
        folder: Made with the first job.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Neither is ever changed.
        self._known: dict[str, Job] = {}
        self._ends: dict[str, End] = {}

    def place(self, name: str) -> Path:
        """Return the folder of a job."""
        return self.folder / name

    def add(self, job: Job) -> bool:
        """Write a job to disk; returns whether there was none of its id.

        Raises:
            OSError: It cannot be written.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.place(job.id).mkdir(exist_ok=True)
        is_new = _write_once(self.place(job.id) / _JOB, job)
        for folder in (self.place(job.id), self.folder, self.folder.parent):
            _settle(folder)
        return is_new

    def find(self, name: str) -> Job | None:
        """Return a job by its id."""
        if name not in self._known and _ID.fullmatch(name):
            found = _read(self.place(name) / _JOB, Job)
            if found is not None:
                self._known[name] = found
        return self._known.get(name)

    def all(self) -> list[Job]:
        """Return all jobs, oldest first."""
        try:
            names = {each.name for each in os.scandir(self.folder) if each.is_dir()}
        except FileNotFoundError:
            names = set()
        for gone in self._known.keys() - names:
            self._drop(gone)
        found = (self.find(name) for name in names)
        return sorted(
            (each for each in found if each is not None), key=lambda job: (job.created_ms, job.id)
        )

    def progress(self, name: str) -> Progress:
        """Return how far a job is."""
        return _read(self.place(name) / _PROGRESS, Progress) or Progress(0, 0, 0, 0)

    def note(self, name: str, progress: Progress) -> None:
        """Write down how far a job is."""
        path = self.place(name) / _PROGRESS
        begun = path.with_suffix(f".{os.getpid()}")
        begun.write_bytes(msgspec.json.encode(progress))
        begun.replace(path)

    def ending(self, name: str) -> End | None:
        """Return how a job ended; None: it has not."""
        if name not in self._ends:
            found = _read(self.place(name) / _END, End)
            if found is not None:
                self._ends[name] = found
        return self._ends.get(name)

    def end(self, name: str, end: End) -> bool:
        """Write down how a job ended; returns whether it has not before, else that stays.

        Raises:
            OSError: It cannot be written.
        """
        is_new = _write_once(self.place(name) / _END, end)
        _settle(self.place(name))
        return is_new

    def tidy(self, name: str) -> None:
        """Remove what a job needs no more once it has ended."""
        shutil.rmtree(self.place(name) / RUN, ignore_errors=True)

    def forget(self, name: str) -> None:
        """Remove a job."""
        with suppress(OSError):
            (self.place(name) / _JOB).unlink()  # first: half a job is none
        shutil.rmtree(self.place(name), ignore_errors=True)
        self._drop(name)

    def _drop(self, name: str) -> None:
        self._known.pop(name, None)
        self._ends.pop(name, None)


def _read(path: Path, kind: type[Kind]) -> Kind | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):  # what is damaged is not there
        return None


def _write_once(path: Path, content: Struct) -> bool:
    """Write a file, whole and durable; returns whether there was none, else that one stays."""
    begun = path.with_name(f".{path.name}.{os.getpid()}")
    with begun.open("wb") as file:
        file.write(msgspec.json.encode(content))
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(begun)
    except FileExistsError:
        return False
    finally:
        begun.unlink()
    return True


def _settle(folder: Path) -> None:
    """Have the names in a folder on disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
