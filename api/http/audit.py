"""The audit trail over HTTP: what is written into it, and how operators read it."""

import asyncio
import hashlib
from typing import Annotated, cast

from litestar import get
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.params import QueryParameter
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from litestar.utils.scope.state import ScopeState

from api.access.records import KEY_ID
from api.access.trail import AuditEvent, Trail
from api.clock import Clock
from api.exchange import Exchange
from api.http import headers
from api.http.buckets import Buckets
from api.http.context import NAME, Asking, Cursor, Limit, Place, decode_cursor, encode_cursor
from api.http.gate import READ_ONLY, Principal, address_of
from api.http.problems import CODES
from api.http.security import OPERATED_READ, SOON
from api.views import access
from api.wire import AuditLine, Page

STRANGERS_AT_ONCE, STRANGERS_PER_SECOND = 100, 1
"""Refused attempts without a good signature that are written down: the trail is not flooded."""
HEADER_MAX = 128
"""Characters of a header that are written down."""


class Auditor:
    """Writes down who asked for what, and what the answer was."""

    def __init__(self, trail: Trail, clock: Clock, exchange: Exchange) -> None:
        self._trail = trail
        self._clock = clock
        self._exchange = exchange
        self._strangers = Buckets(STRANGERS_AT_ONCE, STRANGERS_PER_SECOND)

    def refused(self, scope: Scope, principal: Principal | None, code: str) -> None:
        """Note an attempt that was not let through to its route."""
        if principal is None:
            level = self._strangers.take("", 1)
            if level is not None and level.wait:
                return
        self._trail.note(self._action(scope, principal, CODES[code].status, code))

    async def answered(self, scope: Scope, status: int) -> None:
        """Write down what was done, and wait for that where it is not only to be soon."""
        principal: Principal | None = scope.get("auth")
        action = self._action(scope, principal, status, scope["state"].get("code", ""))
        if principal is None and status >= 400:
            self.refused(scope, principal, action.code)
        elif scope["route_handler"].opt["audited"] == SOON:
            self._trail.note(action)
        else:
            await self._trail.keep(action)

    def _action(
        self, scope: Scope, principal: Principal | None, status: int, code: str
    ) -> AuditEvent:
        state, held = scope["state"], ScopeState.from_scope(scope).body
        body = held if isinstance(held, bytes) else b""
        key, idempotency_key = (
            headers.value_of(scope, name)[:HEADER_MAX]
            for name in (headers.KEY, headers.IDEMPOTENCY_KEY)
        )
        record = f"{principal.account}/{idempotency_key}" if principal else ""
        return AuditEvent(
            at_ms=self._clock.wall_ms(),
            action=f"{_method(scope)} {scope.get('path_template', '')}",
            account=principal.account if principal else state.get("account", ""),
            key=key if KEY_ID.fullmatch(key) else "",  # whatever else was sent might be a secret
            address=address_of(scope),
            subject=_subject(scope),
            request_id=state.get("request_id", ""),
            idempotency_key=idempotency_key if principal else "",
            body_digest=hashlib.sha256(body).hexdigest() if body else "",
            status=status,
            code=code,
            record=record if self._exchange.knows(record) else "",
        )


def _method(scope: Scope) -> str:
    return cast("HTTPScope", scope)["method"]


def _subject(scope: Scope) -> str:
    """Return what a request is about: what its path names, and what was made."""
    named = [str(each) for each in scope["path_params"].values()]
    made = scope["state"].get("subject", "")
    return " ".join([*(each for each in named if each not in made), made]).rstrip()


class Audited(ASGIMiddleware):
    """Has what goes through written down before its answer goes out; reading is not."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Hand a request on; write down how it was answered."""
        if _method(scope) in READ_ONLY:
            await next_app(scope, receive, send)
            return

        auditor: Auditor = scope["litestar_app"].state.auditor

        async def send_when_written(message: Message) -> None:
            if message["type"] == "http.response.start":
                await auditor.answered(scope, message["status"])
            await send(message)

        await next_app(scope, receive, send_when_written)


@get("/audit", **OPERATED_READ)
async def get_audit(
    request: Asking,
    account: Annotated[
        str | None,
        QueryParameter(pattern=NAME, max_length=64, description="Actions of one account only."),
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[AuditLine]:
    """List what operators and owners of keys did and others tried, newest first."""
    trail: Trail = request.app.state.trail
    before = decode_cursor(cursor, Place)
    rows = await asyncio.to_thread(trail.page, before, limit + 1, account)
    more = len(rows) > limit
    lines = [access.audit_line(row) for row in rows[:limit]]
    return Page(items=lines, next=encode_cursor(rows[limit - 1].number) if more else None)


ROUTES = [get_audit]
