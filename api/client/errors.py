"""What can go wrong, as a tree.

EvergammaError
  TransportError            no answer, however often it was asked for
    RequestTimeoutError     ... within the time allowed; a TimeoutError too
    MalformedAnswerError    an answer, but not one of the exchange
  ProblemError              the exchange says no, and why
    BadRequestError         400  not understood
    UnauthorizedError       401  key, signature or timestamp
    ForbiddenError          403  the key has not got the role
    NotFoundError           404
    ConflictError           409  the idempotency key, or the state, is against it
    RefusedError            422  the rules refuse it; `code` says which
    RateLimitedError        429  `retry_after` says how long
    UnavailableError        502, 503, 504
"""

from typing import ClassVar

import msgspec
from msgspec import UNSET

from api.signing import REQUEST_ID
from api.wire import Problem

RETRY_AFTER = "Retry-After"
_TEXT_MAX = 200


class EvergammaError(Exception):
    """Whatever a client raises about a request it has sent."""


class TransportError(EvergammaError):
    """No answer came. A mutation may have happened: the same idempotency key finds out."""


class RequestTimeoutError(TransportError, TimeoutError):
    """No answer came within the time allowed."""


class MalformedAnswerError(TransportError):
    """What came is not an answer of the exchange: a proxy's page, or another version's."""


class ProblemError(EvergammaError):
    """The exchange did not carry out a request; nothing has changed.

    Attributes:
        status: The HTTP status.
        code: Stable code to branch on; empty where something else than the exchange answered.
        detail: What happened, for people.
        field: Where in the request, or None.
        limit: What would have been allowed, or None.
        actual: What it was, or None.
        request_id: The exchange's name of the request, or None.
        order_id: The refused order, or None.
        retry_after: Seconds after which it may be tried again, or None.
    """

    kinds: ClassVar[dict[int, type["ProblemError"]]] = {}
    statuses: ClassVar[tuple[int, ...]] = ()

    def __init_subclass__(cls) -> None:
        for status in cls.statuses:
            ProblemError.kinds[status] = cls

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(f"{problem.status} {problem.code or problem.title}: {problem.detail}")
        self.status = problem.status
        self.code = problem.code
        self.detail = problem.detail
        self.request_id = problem.request_id or None
        self.field = None if problem.field is UNSET else problem.field
        self.limit = None if problem.limit is UNSET else problem.limit
        self.actual = None if problem.actual is UNSET else problem.actual
        self.order_id = None if problem.order_id is UNSET else problem.order_id
        self.retry_after = retry_after


class BadRequestError(ProblemError):
    """400: it was not understood; `field` says where."""

    statuses = (400,)


class UnauthorizedError(ProblemError):
    """401: no key, an unknown one, or a signature that does not fit."""

    statuses = (401,)


class ForbiddenError(ProblemError):
    """403: the key has not got the role."""

    statuses = (403,)


class NotFoundError(ProblemError):
    """404: there is nothing of that name."""

    statuses = (404,)


class ConflictError(ProblemError):
    """409: the idempotency key was used for something else, or the state is against it."""

    statuses = (409,)


class RefusedError(ProblemError):
    """422: the rules refuse it; `code`, `limit` and `actual` say why."""

    statuses = (422,)


class RateLimitedError(ProblemError):
    """429: too many requests; `retry_after` says how long to wait."""

    statuses = (429,)


class UnavailableError(ProblemError):
    """503, or 502 and 504 of a proxy: for now nobody can carry it out."""

    statuses = (502, 503, 504)


def problem_of(status: int, headers: dict[str, str], body: bytes) -> ProblemError:
    """Return the error an answer stands for; header names are in lower case.

    Proxies answer in their own way: their text is the detail then, and there is no code.
    """
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.DecodeError:
        text = " ".join(body[: 4 * _TEXT_MAX].decode(errors="replace").split())
        problem = Problem(
            type="about:blank",
            title="not an answer of the exchange",
            status=status,
            code="",
            detail=text[:_TEXT_MAX] or "no body",
            request_id=headers.get(REQUEST_ID.lower(), ""),
        )
    kind = ProblemError.kinds.get(status, ProblemError)
    return kind(problem, _seconds(headers.get(RETRY_AFTER.lower())))


def _seconds(text: str | None) -> float | None:
    """Return a Retry-After in seconds; None without one, or where it is a date."""
    return float(text) if text is not None and text.isdecimal() else None
