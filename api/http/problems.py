"""Why a request is not carried out: one closed table of codes, one document for all of them."""

import logging
from itertools import count
from secrets import token_hex
from typing import Any, NamedTuple

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.openapi.datastructures import ResponseSpec
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from api.access.records import KeyRingError, LoginsFullError, RotatedError
from api.exchange import BatchLostError, KeyConflictError, QuarantinedError
from api.journal import MalformedCommandError
from api.refusals import TITLES, deciding_numbers, status_of
from api.signing import IDEMPOTENCY_KEY, REQUEST_ID
from api.storage.errors import StoreError, TokenElsewhereError, reason_of
from api.wire import Problem
from vaults.commands import Outcome
from vaults.rejects import Reject

_log = logging.getLogger("evergamma")
PROBLEM_JSON = "application/problem+json"


_PROCESS = token_hex(4)
_requests = count()


def new_request_id() -> str:
    """Return an id no other request has: of this process, and counted in it."""
    return f"{_PROCESS}{next(_requests):08x}"


class Code(NamedTuple):
    """A stable code: its status, and in words."""

    status: int
    title: str


CODES: dict[str, Code] = {
    "MALFORMED": Code(400, "The request is not what the documentation describes"),
    "IDEMPOTENCY_KEY_MALFORMED": Code(400, "An Idempotency-Key of 1 to 128 characters is needed"),
    "SIGNATURE_MISSING": Code(401, "The request must be signed with a key"),
    "KEY_UNKNOWN": Code(401, "No such key"),
    "KEY_REVOKED": Code(401, "The key was revoked"),
    "KEY_EXPIRED": Code(401, "The key has expired"),
    "TIMESTAMP_OUT_OF_WINDOW": Code(401, "The timestamp is more than 30 seconds off"),
    "SIGNATURE_WRONG": Code(401, "The signature does not belong to this request"),
    "SIGNATURE_USED": Code(401, "This very request was sent before; sign a retry anew"),
    "MESSAGE_NOT_ISSUED": Code(401, "The message to log in is not as it was issued"),
    "MESSAGE_EXPIRED": Code(401, "The message to log in has expired"),
    "MESSAGE_USED": Code(401, "The message to log in was used before"),
    "ROLE_MISSING": Code(403, "The key does not have the role this needs"),
    "ACCOUNT_FOREIGN": Code(403, "The key is another account's"),
    "ADDRESS_NOT_ALLOWED": Code(403, "The key may not be used from this address"),
    "RIGHTS_EXCEEDED": Code(403, "A key cannot give or take what it does not have itself"),
    "WITHDRAWAL_NOT_ALLOWED": Code(403, "The key has no right to withdraw"),
    "NOT_FOUND": Code(404, "There is no such thing"),
    "SIMULATIONS_OFF": Code(404, "This server runs no simulations"),
    "METHOD_NOT_ALLOWED": Code(405, "The resource does not do this"),
    "TOO_SLOW": Code(408, "The request did not come in time"),
    "IDEMPOTENCY_CONFLICT": Code(409, "The key was used for another request"),
    "KEY_ROTATED": Code(409, "The key has a successor already"),
    "KEY_LIMIT": Code(409, "The account has as many keys as it may"),
    "DESTINATION_TAKEN": Code(409, "The account has a destination of this label"),
    "DESTINATION_LIMIT": Code(409, "The account has as many destinations as it may"),
    "SIMULATION_LIMIT": Code(409, "The account has as many simulations as it may"),
    "SIMULATION_NOT_DONE": Code(409, "The simulation has no results, or none yet"),
    "QUARANTINED": Code(409, "The exchange failed on this very request and will not try again"),
    "BODY_TOO_LARGE": Code(413, "The body is too large"),
    "TOKEN_ELSEWHERE": Code(421, "The token is not traded at this server"),
    "DESTINATION_NEEDED": Code(422, "The account withdraws to its destinations only"),
    "DESTINATION_UNKNOWN": Code(422, "The account has no such destination"),
    "DESTINATION_HELD": Code(422, "The destination is too new to be used"),
    "SCENARIO_REFUSED": Code(422, "The scenario cannot be run here"),
    "NO_HISTORY": Code(422, "The server has no price history for the scenario's market"),
    "SIMULATION_TOO_LARGE": Code(422, "The simulation is larger than this server takes"),
    "RATE_LIMITED": Code(429, "Too many requests"),
    "HEADERS_TOO_LARGE": Code(431, "Target and headers are too large"),
    "INTERNAL": Code(500, "The exchange has a fault"),
    "LOGINS_FULL": Code(503, "As many wallets are logged in as can be; try again later"),
    "SIMULATIONS_FULL": Code(503, "There is no room for another simulation; try again later"),
    "UNAVAILABLE": Code(503, "Not done as far as is known; send it again with the same key"),
}
"""Codes of the service."""

CODES |= {each.name: Code(status_of(each), title) for each, title in TITLES.items()}


class ProblemError(Exception):
    """A request that is not carried out; `code` is one of `CODES`."""

    def __init__(self, code: str, detail: str, **more: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.more = more
        self.headers: dict[str, str] = {}

    def with_headers(self, headers: dict[str, str]) -> "ProblemError":
        """Return itself, to be answered with more headers."""
        self.headers |= headers
        return self


def refusal(outcome: Outcome, order_id: int = 0) -> ProblemError:
    """Return the error of a command the rules refused."""
    reject = Reject(outcome.code)
    more = {"order_id": str(order_id)} if order_id else {}
    title = CODES[reject.name].title
    if status_of(reject) == 404 or outcome.limit == outcome.actual == 0:
        return ProblemError(reject.name, f"{title}.", **more)
    limit, actual = deciding_numbers(outcome)
    detail = f"{title}: {actual}, where the limit is {limit}."
    return ProblemError(reject.name, detail, limit=limit, actual=actual, **more)


def problem_of(error: ProblemError, request_id: str) -> Problem:
    """Return the document of an error."""
    status, title = CODES[error.code]
    return Problem(
        type=f"/v1/problems#{error.code}",
        title=title,
        status=status,
        code=error.code,
        detail=error.detail,
        request_id=request_id,
        **error.more,
    )


def _respond(request: Request[Any, Any, Any], error: ProblemError) -> Response[bytes]:
    state = request.scope["state"]
    is_inside = "request_id" in state
    request_id = state.setdefault("request_id", new_request_id())
    state["code"] = error.code
    headers = error.headers if is_inside else {**error.headers, REQUEST_ID: request_id}
    document = problem_of(error, request_id)
    if document.status in {401, 503}:
        _log.warning("refused", extra=_about(request) | {"code": document.code})
    return Response(
        msgspec.json.encode(document),
        status_code=document.status,
        media_type=PROBLEM_JSON,
        headers=headers,
    )


def on_problem(request: Request[Any, Any, Any], error: ProblemError) -> Response[bytes]:
    """Answer with the problem of an error of ours."""
    return _respond(request, error)


def on_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer with the problem of an error of the framework."""
    if isinstance(error, ValidationException):
        return _respond(request, _malformed(error))
    if isinstance(error, NotFoundException):
        return _respond(request, ProblemError("NOT_FOUND", f"{request.url.path} does not exist."))
    if isinstance(error, MethodNotAllowedException):
        headers = dict(error.headers or {})
        detail = f"{request.method} is not among {headers.get('allow', 'its methods')}."
        return _respond(request, ProblemError("METHOD_NOT_ALLOWED", detail).with_headers(headers))
    code = "MALFORMED" if error.status_code < 500 else "INTERNAL"
    return _respond(request, ProblemError(code, error.detail))


def _about(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Return what the log says of a request: nothing its caller can choose."""
    client = request.scope.get("client")
    return {
        "request_id": request.scope["state"].get("request_id", ""),
        "method": request.method,
        "route": request.scope.get("path_template", ""),
        "client": client[0] if client else "",
    }


def on_bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer that something is wrong here; the log says what."""
    _log.error("fault", extra=_about(request), exc_info=error)
    return _respond(request, ProblemError("INTERNAL", "The fault was logged."))


def _malformed(error: ValidationException) -> ProblemError:
    """Return what is wrong with the first part of a request that is not as documented."""
    extra = error.extra if isinstance(error.extra, list) else []
    first = extra[0] if extra and isinstance(extra[0], dict) else {}
    field, message = first.get("key"), first.get("message") or error.detail
    if field == "idempotency_key":
        return ProblemError("IDEMPOTENCY_KEY_MALFORMED", f"Idempotency-Key: {message}.")
    if field is None and f"parameter '{IDEMPOTENCY_KEY}'" in error.detail:
        return ProblemError("IDEMPOTENCY_KEY_MALFORMED", "An Idempotency-Key is needed.")
    if field == "data":  # all the framework says of a missing body is the name it has for one
        return ProblemError("MALFORMED", "A JSON object is needed.", field="body")
    more = {"field": str(field)} if field else {}
    return ProblemError("MALFORMED", str(message), **more)


def on_conflict(request: Request[Any, Any, Any], _error: KeyConflictError) -> Response[bytes]:
    """Answer that an idempotency key is taken."""
    detail = "The Idempotency-Key was used for another request; nothing was done."
    return _respond(request, ProblemError("IDEMPOTENCY_CONFLICT", detail))


def on_malformed(request: Request[Any, Any, Any], error: ValueError) -> Response[bytes]:
    """Answer that a value is beyond what the exchange can keep."""
    return _respond(request, ProblemError("MALFORMED", str(error)))


def on_rotated(request: Request[Any, Any, Any], error: RotatedError) -> Response[bytes]:
    """Answer that a key was rotated before."""
    return _respond(request, ProblemError("KEY_ROTATED", f"{error} has a successor; rotate that."))


def on_logins_full(request: Request[Any, Any, Any], _error: LoginsFullError) -> Response[bytes]:
    """Answer that there is no room for a key that comes of a login."""
    problem = ProblemError("LOGINS_FULL", "There is no room for a key of a login just now.")
    return _respond(request, problem.with_headers({"Retry-After": "60"}))


def on_quarantined(request: Request[Any, Any, Any], _error: QuarantinedError) -> Response[bytes]:
    """Answer that this request made a kernel fail."""
    detail = "This request made the exchange fail and was dropped; the fault was logged."
    return _respond(request, ProblemError("QUARANTINED", detail))


def on_lost(request: Request[Any, Any, Any], _error: BatchLostError) -> Response[bytes]:
    """Answer that it was not done as far as is known; only the same key may be sent again."""
    detail = "It was not done as far as is known. Send it again with the same Idempotency-Key."
    return _respond(request, ProblemError("UNAVAILABLE", detail).with_headers({"Retry-After": "1"}))


def on_elsewhere(request: Request[Any, Any, Any], error: TokenElsewhereError) -> Response[bytes]:
    """Answer that a token is another shard's."""
    return _respond(request, ProblemError("TOKEN_ELSEWHERE", f"{error}."))


def on_unreadable(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer that the database is away just now; the log says why."""
    _log.error("the database cannot be read: %s", reason_of(error), extra=_about(request))
    detail = "The database cannot be reached just now; try again."
    return _respond(request, ProblemError("UNAVAILABLE", detail).with_headers({"Retry-After": "1"}))


HANDLERS: dict[int | type[Exception], Any] = {
    ProblemError: on_problem,
    KeyConflictError: on_conflict,
    MalformedCommandError: on_malformed,
    KeyRingError: on_malformed,
    RotatedError: on_rotated,
    LoginsFullError: on_logins_full,
    QuarantinedError: on_quarantined,
    BatchLostError: on_lost,
    TokenElsewhereError: on_elsewhere,
    StoreError: on_unreadable,
    OperationalError: on_unreadable,
    InterfaceError: on_unreadable,
    PoolTimeoutError: on_unreadable,
    HTTPException: on_http,
    Exception: on_bug,
}


def response_to(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Return the answer to any error, as the framework would."""
    respond = next(HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS)
    response: Response[bytes] = respond(request, error)
    return response


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the problem answers of a route, for the OpenAPI document."""
    return {
        status: ResponseSpec(
            Problem,
            generate_examples=False,
            media_type=PROBLEM_JSON,
            description=", ".join(name for name, code in CODES.items() if code.status == status),
        )
        for status in sorted(set(statuses))
    }
