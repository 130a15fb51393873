"""Simulations as they cross the wire."""

import msgspec

from api.simulations.desk import Desk
from api.simulations.jobs import SUMMARY, Job, Progress
from api.wire import SimulatedPool, Simulation


def asked_for(job: Job) -> Simulation:
    """Return a job as it was when it was asked for, which a retry is told too."""
    return Simulation(
        id=job.id,
        name=job.name,
        state="queued",
        tokens=list(job.tokens),
        paths=job.paths,
        done=0,
        created=job.created_ms,
    )


def simulation(desk: Desk, job: Job) -> Simulation:
    """Return a job as it is now."""
    shown, end = asked_for(job), desk.jobs.ending(job.id)
    if end is None:
        progress = desk.jobs.progress(job.id)
        shown.done = progress.done
        if progress.is_running:
            shown.state, shown.begun = "running", progress.begun_ms
            shown.remaining = _remaining(job, progress)
        return shown
    shown.state, shown.ended, shown.done, shown.reason = end.state, end.at_ms, end.done, end.reason
    summary = desk.result(job, SUMMARY)
    if summary is not None:
        shown.pools = msgspec.json.decode(summary, type=list[SimulatedPool])
    return shown


def _remaining(job: Job, progress: Progress) -> int | None:
    """Return the seconds a job will take, at the rate it has had since its process began."""
    run, taken_ms = progress.done - progress.first, progress.at_ms - progress.begun_ms
    if run <= 0:
        return None
    return -(-(job.paths - progress.done) * taken_ms // (1_000 * run))
