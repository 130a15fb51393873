"""Commands on their way to the writer, and the orders that have to wait for an index first."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from api.dispatch import Executed
from vaults.commands import Command

WAIT_MAX = 5.0
"""Seconds an order waits for its index."""
WAITING_MAX = 10_000
"""Requests that may wait for an index at a time."""

Answer = Executed | Exception


def taken_at(command: Command, now_ms: int) -> Command:
    """Enter the time in a command, and return it.

    A copy would take as long as signing its request; whoever hands a command in has it no longer.
    """
    object.__setattr__(command, "now_ms", now_ms)
    return command


@dataclass(slots=True, eq=False)
class Job:
    """Commands that are executed together, with the keys of their answers.

    All of them are executed or none: not where some of their keys were used and others not, or
    `sentinel`, the key of one more, was. Orders may wait: for an index of `underlyings` published
    at or after `fill_after_ms`, at most until `deadline` of the loop's clock.
    """

    commands: list[tuple[Command, str]]
    answers: "asyncio.Future[list[Answer]]"
    sentinel: str = ""
    underlyings: frozenset[str] = frozenset()
    fill_after_ms: int = 0
    deadline: float = 0.0
    results: list[Answer] = field(default_factory=list)

    def is_ready(self, times: dict[str, int]) -> bool:
        """Whether every index it waits for was published late enough."""
        return all(times.get(name, 0) >= self.fill_after_ms for name in self.underlyings)

    def answer(self, answers: list[Answer]) -> None:
        """Give whoever still waits for them the answers."""
        if not self.answers.done():
            self.answers.set_result(answers)


class WaitingRoom:
    """Jobs that wait for an index, in order of arrival."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def is_full(self) -> bool:
        """Whether no more can wait."""
        return len(self._jobs) >= WAITING_MAX

    @property
    def orders(self) -> int:
        """How many orders wait."""
        return sum(len(job.commands) for job in self._jobs)

    def enter(self, job: Job) -> None:
        """Let a job wait from now on."""
        job.deadline = asyncio.get_running_loop().time() + WAIT_MAX
        self._jobs.append(job)

    def leave_all(self) -> list[Job]:
        """Return everything that waits, and empty the room."""
        return self._leave(list(self._jobs))

    def leave_ready(self, times: dict[str, int]) -> list[Job]:
        """Return the jobs whose indices came late enough; `times` are those they count from."""
        return self._leave([job for job in self._jobs if job.is_ready(times)])

    def leave_those(self, is_meant: Callable[[Command], bool]) -> list[Job]:
        """Return the jobs with a command that is meant; they wait no longer."""
        return self._leave(
            [job for job in self._jobs if any(is_meant(command) for command, _ in job.commands)]
        )

    def leave_overdue(self) -> list[Job]:
        """Return the jobs that have waited too long, to be refused or queued."""
        if not self._jobs:
            return []
        now = asyncio.get_running_loop().time()
        return self._leave([job for job in self._jobs if job.deadline <= now])

    def _leave(self, jobs: list[Job]) -> list[Job]:
        if jobs:
            leaving = {id(job) for job in jobs}
            self._jobs = deque(job for job in self._jobs if id(job) not in leaving)
        return jobs
