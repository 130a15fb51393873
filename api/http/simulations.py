"""Simulations over HTTP: drawdown studies that the server runs beside its trading.

Their folder is read and written by threads.
"""

import asyncio
from typing import Any

from litestar import MediaType, Response, delete, get, post
from litestar.params import JSONBody

from api.http.context import (
    Asking,
    Cursor,
    IdempotencyKey,
    IdPath,
    Limit,
    journal_key,
    page_of,
    principal_of,
)
from api.http.problems import ProblemError, documented
from api.http.security import READERS, RISK_TEAMS, SIGNED
from api.simulations.admission import AdmissionError
from api.simulations.desk import Desk, KeyTakenError
from api.simulations.jobs import PAGE, STATISTICS, Job
from api.views.simulations import asked_for, simulation
from api.wire import Page, Simulation
from sims.scenarios.file import ScenarioFile

SUBMIT_WEIGHT = 20
FULL_S = 60
"""Seconds after which there may be room again."""
_WRITE: dict[str, Any] = {"tags": ["risk"], "security": SIGNED}
_READ: dict[str, Any] = {"opt": {"roles": READERS}, "tags": ["risk"], "security": SIGNED}
_FOUND = documented(400, 401, 403, 404, 413, 429)
_RESULT = documented(400, 401, 403, 404, 409, 413, 429)
_STILL = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "sandbox",
    "X-Content-Type-Options": "nosniff",
}
"""What a report may do in a browser: be looked at."""


def _desk_of(request: Asking) -> Desk:
    desk: Desk = request.app.state.simulations
    if not desk.is_open:
        raise ProblemError("SIMULATIONS_OFF", "This server runs no simulations.")
    return desk


async def _job(request: Asking, name: str) -> Job:
    """Return a job of the account.

    Raises:
        ProblemError: There is no such job of it.
    """
    account = principal_of(request).account
    job = await asyncio.to_thread(_desk_of(request).find, account, name)
    if job is None:
        raise ProblemError("NOT_FOUND", f"There is no simulation {name}.")
    return job


def _problem(error: AdmissionError) -> ProblemError:
    problem = ProblemError(error.code, error.detail, **error.more)
    is_full = error.code == "SIMULATIONS_FULL"
    return problem.with_headers({"Retry-After": str(FULL_S)}) if is_full else problem


@post(
    "/risk/simulations",
    status_code=202,
    responses=documented(400, 401, 403, 404, 409, 413, 422, 429, 503),
    opt={"roles": RISK_TEAMS, "weight": SUBMIT_WEIGHT},
    **_WRITE,
)
async def post_simulation(
    request: Asking, data: JSONBody[ScenarioFile], idempotency_key: IdempotencyKey
) -> Response[Simulation]:
    """Have a scenario run; answered once that is on disk."""
    desk, account = _desk_of(request), principal_of(request).account
    key = journal_key(request, idempotency_key)
    try:
        job = await asyncio.to_thread(desk.submit, key, account, data)
    except AdmissionError as error:
        raise _problem(error) from None
    except KeyTakenError:
        text = "The Idempotency-Key was used for another scenario; nothing was done."
        raise ProblemError("IDEMPOTENCY_CONFLICT", text) from None
    desk.wake()
    place = {"Location": f"/v1/risk/simulations/{job.id}"}
    return Response(asked_for(job), status_code=202, headers=place)


@get("/risk/simulations", responses=_FOUND, **_READ)
async def get_simulations(
    request: Asking, limit: Limit = 100, cursor: Cursor = None
) -> Page[Simulation]:
    """List the account's simulations, newest first."""
    desk, account = _desk_of(request), principal_of(request).account

    def page() -> Page[Simulation]:
        jobs = {(job.created_ms, job.id): job for job in desk.of(account)}
        found = page_of(jobs, _itself, tuple[int, str], cursor, limit, backwards=True)
        shown = [simulation(desk, jobs[place]) for place in found.items]
        return Page(items=shown, next=found.next)

    return await asyncio.to_thread(page)


def _itself(place: tuple[int, str]) -> tuple[int, str]:
    return place


@get("/risk/simulations/{simulation_id:str}", responses=_FOUND, **_READ)
async def get_simulation(request: Asking, simulation_id: IdPath) -> Simulation:
    """Return a simulation of the account, how far it is, and what it came to."""
    job = await _job(request, simulation_id)
    return await asyncio.to_thread(simulation, _desk_of(request), job)


async def _result(request: Asking, simulation_id: str, name: str) -> bytes:
    """Return a file of what a simulation came to.

    Raises:
        ProblemError: There is no such simulation of the account, or it is not done.
    """
    job = await _job(request, simulation_id)
    content = await asyncio.to_thread(_desk_of(request).result, job, name)
    if content is None:
        raise ProblemError("SIMULATION_NOT_DONE", f"{simulation_id} is not done.")
    return content


@get(
    "/risk/simulations/{simulation_id:str}/report",
    media_type=MediaType.HTML,
    responses=_RESULT,
    **_READ,
)
async def get_report(request: Asking, simulation_id: IdPath) -> Response[bytes]:
    """Return the report of a simulation that is done: a page by itself."""
    content = await _result(request, simulation_id, PAGE)
    return Response(content, media_type=MediaType.HTML, headers=_STILL)


@get("/risk/simulations/{simulation_id:str}/statistics", responses=_RESULT, **_READ)
async def get_statistics(request: Asking, simulation_id: IdPath) -> Response[dict[str, Any]]:
    """Return all statistics of a simulation that is done, as its report has them."""
    content: Any = await _result(request, simulation_id, STATISTICS)
    return Response(content, media_type=MediaType.JSON)


@delete(
    "/risk/simulations/{simulation_id:str}",
    responses=_RESULT,
    opt={"roles": RISK_TEAMS},
    **_WRITE,
)
async def delete_simulation(
    request: Asking, simulation_id: IdPath, idempotency_key: IdempotencyKey
) -> None:
    """Cancel a simulation; one that has ended stays as it is."""
    del idempotency_key  # this one is the same however often it is done
    desk, job = _desk_of(request), await _job(request, simulation_id)
    await asyncio.to_thread(desk.cancel, job)
    desk.wake()


ROUTES = [
    post_simulation,
    get_simulations,
    get_simulation,
    get_report,
    get_statistics,
    delete_simulation,
]
