"""Who runs jobs: of all servers that have a folder of jobs, one, in processes of its own."""

import asyncio
import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from api.clock import Clock
from api.simulations.counts import Counts
from api.simulations.jobs import End, Ended, Job, Jobs, Progress
from api.simulations.limits import KEPT_MAX, Limits
from api.simulations.processes import JobProcess

BUSY_S, IDLE_S = 0.2, 1.0
"""How often jobs are looked at: while some run, and while none does."""
_LOCK = "lock"

_log = logging.getLogger("evergamma")


class Dispatcher:
    """Begins jobs, sees how they end, and forgets them in time.

    A thread does so, again and again: the loop that trades waits for none of it. Jobs of accounts
    take turns.
    """

    def __init__(self, jobs: Jobs, limits: Limits, data: Path | None, counts: Counts) -> None:
        self._jobs = jobs
        self._limits = limits
        self._data = data
        self._counts = counts
        self._clock = Clock()
        self._running: dict[str, tuple[Job, JobProcess]] = {}
        self._reached: dict[str, int] = {}
        self._turns: dict[str, int] = {}
        self._begun = 0
        self._lock: int | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Have jobs looked at now."""
        self._wake.set()

    async def stop(self) -> None:
        """End all processes; their jobs go on when a server starts."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await asyncio.to_thread(self._end_all)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            turn = asyncio.create_task(asyncio.to_thread(self._turn))
            try:
                await asyncio.shield(turn)
            except asyncio.CancelledError:
                await turn  # a process that has just begun is not to be lost
                raise
            except Exception:  # noqa: BLE001 - the next turn may do better
                _log.exception("simulations")
            with suppress(TimeoutError):
                async with asyncio.timeout(BUSY_S if self._running else IDLE_S):
                    await self._wake.wait()

    def _turn(self) -> None:
        """Look at all jobs once."""
        if not self._has_lock():
            return
        for name in list(self._running):
            self._look_at(name)
        waiting: list[Job] = []
        ended: list[tuple[Job, End]] = []
        for job in self._jobs.all():
            end = self._jobs.ending(job.id)
            if end is not None:
                ended.append((job, end))
            elif job.id not in self._running:
                waiting.append(job)
        while waiting and len(self._running) < self._limits.processes:
            job = min(waiting, key=lambda each: self._turns.get(each.account, 0))
            waiting.remove(job)
            self._begin(job)
        self._counts.queued, self._counts.running = len(waiting), len(self._running)
        self._forget(ended)

    def _has_lock(self) -> bool:
        """Whether this server is the one that runs jobs; nobody is before there is one."""
        if self._lock is not None:
            return True
        if not self._jobs.folder.is_dir():
            return False
        lock = os.open(self._jobs.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        for job in self._jobs.all():
            self._pause(job.id)  # its server was killed, and so was its process
        return True

    def _begin(self, job: Job) -> None:
        self._begun += 1
        self._turns[job.account] = self._begun
        done, now_ms = self._jobs.progress(job.id).done, self._clock.wall_ms()
        self._reached[job.id] = done
        process = JobProcess(self._jobs.place(job.id), self._limits.nice, self._data)
        self._running[job.id] = (job, process)
        self._jobs.note(job.id, Progress(now_ms, done, now_ms, done))

    def _pause(self, name: str) -> None:
        """Note that a job has no process, where it has not ended."""
        progress = self._jobs.progress(name)
        if progress.is_running and self._jobs.ending(name) is None:
            self._jobs.note(name, msgspec.structs.replace(progress, begun_ms=0))

    def _look_at(self, name: str) -> None:
        """See how far a job is, whether it has ended, and whether it is wanted any more."""
        job, process = self._running[name]
        is_over = process.is_over
        self._count_paths(name)
        if not is_over and self._jobs.ending(name) is not None:
            process.stop()
            self._leave(name)
        elif is_over:
            process.close()
            reason = process.failure
            state: Ended = "done" if reason is None else "failed"
            done = job.paths if reason is None else self._reached[name]
            if self._jobs.end(name, End(state, self._clock.wall_ms(), done, reason)):
                self._counts.ended[state] += 1
            self._leave(name)

    def _leave(self, name: str) -> None:
        self._jobs.tidy(name)
        del self._running[name], self._reached[name]

    def _count_paths(self, name: str) -> None:
        done = self._jobs.progress(name).done
        self._counts.paths += max(done - self._reached[name], 0)
        self._reached[name] = done

    def _forget(self, ended: list[tuple[Job, End]]) -> None:
        """Forget jobs that ended long ago, or before many others of their account."""
        kept: dict[str, int] = {}
        too_old_ms = self._clock.wall_ms() - self._limits.keep_ms
        for job, end in sorted(ended, key=lambda each: each[1].at_ms, reverse=True):
            kept[job.account] = kept.get(job.account, 0) + 1
            if end.at_ms < too_old_ms or kept[job.account] > KEPT_MAX:
                self._jobs.forget(job.id)

    def _end_all(self) -> None:
        for name, (_, process) in self._running.items():
            process.stop()
            self._pause(name)
        self._running.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
