"""Problems told to callers who are refused before the framework sees their request."""

from typing import NamedTuple

import msgspec
from litestar.enums import ScopeType
from litestar.types import Scope, Send

from api.http.headers import name_of
from api.http.problems import PROBLEM_JSON, ProblemError, new_request_id, problem_of
from api.signing import REQUEST_ID


class Refusal(NamedTuple):
    """A problem as it is on the wire; no header is there twice."""

    status: int
    headers: dict[str, str]
    body: bytes


def refusal_of(error: ProblemError) -> Refusal:
    """Return the answer to a request that is refused with an error; it gets an id of its own."""
    document = problem_of(error, new_request_id())
    body = msgspec.json.encode(document)
    headers = {
        "content-type": PROBLEM_JSON,
        "content-length": str(len(body)),
        REQUEST_ID: document.request_id,
        **error.headers,
    }
    return Refusal(document.status, headers, body)


async def refuse(scope: Scope, send: Send, error: ProblemError) -> None:
    """Answer with a problem; a WebSocket that is asked for is refused with the same."""
    kind = "http"
    if scope["type"] == ScopeType.WEBSOCKET:
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": 1008, "reason": error.code})
            return
        kind = "websocket.http"
    status, given, body = refusal_of(error)
    headers = [(name_of(name), value.encode()) for name, value in given.items()]
    start = {"type": f"{kind}.response.start", "status": status, "headers": headers}
    await send(start)  # type: ignore[arg-type]
    await send({"type": f"{kind}.response.body", "body": body, "more_body": False})  # type: ignore[arg-type,misc]
