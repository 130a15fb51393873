"""Parameters: those in force and announced, and how operators announce others."""

from typing import Any

from litestar import get, post
from litestar.params import JSONBody

from api.http.context import (
    Asking,
    Cursor,
    IdempotencyKey,
    Limit,
    carry_out,
    journal_key,
    memory_of,
    page_of,
    service_of,
    settled,
)
from api.http.problems import ProblemError, documented
from api.http.security import OPERATED
from api.journal import read_command
from api.operating import FIXED
from api.views import terms
from api.wire import Page, ParametersRequest, ParametersVersion, TokenParameters
from vaults.commands import SetParameters
from vaults.params import ParameterError, Parameters
from vaults.params import Terms as TokenTerms
from vaults.rules import make_rules

_INTEGERS = {name for name, kind in Parameters.__annotations__.items() if kind is int}


def changed(parameters: Parameters, given: dict[str, float]) -> Parameters:
    """Return parameters, changed where others are given.

    Raises:
        ProblemError: There is no such parameter, or it counts in whole units.
    """
    changes: dict[str, Any] = {}
    for name, value in given.items():
        field = f"parameters.{name}"
        if name not in Parameters._fields:
            raise ProblemError("MALFORMED", f"There is no parameter {name}.", field=field)
        if name in _INTEGERS and (value != int(value) or abs(value) > 2**53):
            raise ProblemError("MALFORMED", f"{name} is a whole number.", field=field)
        changes[name] = int(value) if name in _INTEGERS else float(value)
    return parameters._replace(**changes)


def explained(
    error: ProblemError, parameters: Parameters, its_terms: tuple[TokenTerms, ...]
) -> ProblemError:
    """Return a refusal, saying which parameter cannot be where that is why."""
    if error.code != "PARAMETERS_INVALID":
        return error
    try:
        make_rules(parameters, its_terms)
    except ParameterError as fault:
        return ProblemError(error.code, f"{fault}.", **error.more)
    return error


@get("/parameters", responses=documented(400, 401, 413, 429, 503), tags=["public"])
async def get_parameters(
    request: Asking, limit: Limit = 100, cursor: Cursor = None
) -> Page[TokenParameters]:
    """List the parameters of every token, the fees among them, and those announced."""
    memory = await settled(request)
    page = page_of(memory.tokens, str, str, cursor, limit)
    return Page(items=[terms.parameters(memory, name) for name in page.items], next=page.next)


def _before(request: Asking, token: str, key: str) -> Parameters:
    """Return what changes are made to: what is in force, or was when the key was used first."""
    record = service_of(request).exchange.recall(key)
    command = None if record is None else read_command(record)
    if isinstance(command, SetParameters):
        return command.parameters
    held = memory_of(request).tokens.get(token)
    return Parameters() if held is None else held.versions.in_force.parameters


def _refused(
    request: Asking, error: ProblemError, command: SetParameters, before: Parameters
) -> ProblemError:
    """Return why parameters cannot be announced, by their names where they are the reason."""
    if error.code != "PARAMETERS_INVALID" or error.more:
        return error
    after = command.parameters
    fixed = [name for name in FIXED if getattr(before, name) != getattr(after, name)]
    if fixed:
        return ProblemError(error.code, f"{' and '.join(fixed)} cannot be changed.")
    unbound = after._replace(seed=Parameters().seed)  # what splits have made of it is no fault
    return explained(error, unbound, memory_of(request).tokens[command.token].listing.terms)


@post("/parameters", **OPERATED)
async def post_parameters(
    request: Asking, data: JSONBody[ParametersRequest], idempotency_key: IdempotencyKey
) -> ParametersVersion:
    """Announce changes of a token's parameters; in force from then on, capacity allowing."""
    before = _before(request, data.token, journal_key(request, idempotency_key))
    now_ms = service_of(request).clock.now_ms()
    after = changed(before, data.parameters)
    named = tuple(sorted(data.parameters))
    command = SetParameters(data.token, after, data.effective_at, now_ms, named)
    try:
        executed = await carry_out(request, command, idempotency_key)
    except ProblemError as error:
        raise _refused(request, error, command, before) from None
    return terms.announced(executed)
