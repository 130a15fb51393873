"""What every request passes before its route: size, signature, role, rate, a request id."""

import hmac
from collections.abc import Callable, Iterable, Mapping
from time import monotonic, perf_counter
from typing import Any, ClassVar, NamedTuple, cast

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from litestar.utils.scope.state import ScopeState

from api import signing
from api.access.records import KeyRecord, read_address
from api.access.ring import KeyRing
from api.http import headers
from api.http.buckets import Buckets, Level
from api.http.metrics import Metrics
from api.http.problems import CODES, ProblemError, new_request_id
from api.http.proxies import place_of
from api.service import Service

_NAMES = (headers.KEY, headers.TIMESTAMP, headers.SIGNATURE, headers.IDEMPOTENCY_KEY)
_CONTENT_TYPE = b"content-type"
_JSON = b"application/json"
READ_ONLY = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


class Principal(NamedTuple):
    """Who asks: a key, its account and its roles."""

    key_id: str
    account: str
    roles: frozenset[str]


Refused = Callable[[Scope, Principal | None, str], None]
"""What is told of requests that were not let through to a route that is audited."""


def address_of(scope: Scope) -> str:
    """Return where a request comes from: the peer, or what a trusted proxy says."""
    client = scope.get("client")
    return client[0] if client else ""


def caller_of(principal: Principal | None, address: str) -> str:
    """Return whose bucket a request is taken from: its key's, or its address's."""
    return principal.key_id if principal else f"@{place_of(address)}"


def rate_limited(level: Level) -> ProblemError:
    """Return the problem of a request there is not enough in the bucket for."""
    problem = ProblemError("RATE_LIMITED", f"Try again in {level.wait} seconds.")
    return problem.with_headers({"Retry-After": str(level.wait)})


def is_audited(opt: Mapping[str, Any]) -> bool:
    """Whether it is written down who asked for a route."""
    return "audited" in opt


class UsedSignatures:
    """The signatures of mutations seen within the window; none is taken twice."""

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._older: set[int] = set()
        self._turned_at = 0.0

    def take(self, signature: str) -> bool:
        """Return whether a signature is new, and remember it for at least both halves."""
        now = monotonic()
        if now - self._turned_at > 2 * signing.WINDOW_MS / 1000:
            is_idle = now - self._turned_at > 4 * signing.WINDOW_MS / 1000
            self._older = set() if is_idle else self._recent
            self._recent, self._turned_at = set(), now
        mark = int(signature[:16], 16)
        if mark in self._recent or mark in self._older:
            return False
        self._recent.add(mark)
        return True


class _Upgrade:
    """Stands for the route of an upgrade, which changes nothing."""

    opt: ClassVar[dict[str, Any]] = {"changes": False}


class Gate(ASGIMiddleware):
    """Lets a request through to its route, or answers with a problem.

    Routes say in `opt` which roles they need (`roles`; none: public), what they weigh (`weight`),
    and whether they change anything (`changes`), where their method does not.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(
        self,
        service: Service,
        keys: KeyRing,
        buckets: Buckets,
        metrics: Metrics,
        body_max: int,
        refused: Refused,
    ) -> None:
        self._service = service
        self._clock = service.clock
        self._keys = keys
        self._buckets = buckets
        self._metrics = metrics
        self._body_max = body_max
        self._refused = refused
        self._used = UsedSignatures()

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Check a request, then hand it on with its body read."""
        begun = perf_counter()
        state = scope["state"]
        state["service"] = self._service
        request_id = state["request_id"] = new_request_id()
        extra: list[tuple[bytes, bytes]] = []

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = (headers.REQUEST_ID, request_id.encode())
                message["headers"] = [*message["headers"], *extra, own]
                path = scope["path_template"]
                self._metrics.answered(path, message["status"], perf_counter() - begun)
            await send(message)

        opt = scope["route_handler"].opt
        principal: Principal | None = None
        try:
            body = await self._read(scope, receive)
            _check_type(scope, body)
            weight = opt.get("weight", 1)
            try:
                principal = self._authenticate(cast("HTTPScope", scope), body)
            except ProblemError:
                self._admit(scope, None, weight, extra)  # guessing is not free
                raise
            self._admit(scope, principal, weight, extra)
            if roles := opt.get("roles"):
                _permit(principal, roles)
        except ProblemError as error:
            error.headers.update({name.decode(): value.decode() for name, value in extra})
            error.headers[signing.REQUEST_ID] = request_id
            status = CODES[error.code].status
            self._metrics.answered(scope["path_template"], status, perf_counter() - begun)
            if is_audited(opt):
                self._refused(scope, principal, error.code)
            raise
        scope["auth"] = principal

        # The framework need not read the body again.
        ScopeState.from_scope(scope).body = body
        await next_app(scope, receive, send_with_headers)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body.

        Raises:
            ProblemError: Where it is longer than this exchange takes.
        """
        for name, value in scope["headers"]:
            if name == b"content-length" and int(value) > self._body_max:
                raise self._too_large()
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ProblemError("MALFORMED", "The request ended before its body.")
            part = message.get("body", b"")
            size += len(part)
            if size > self._body_max:
                raise self._too_large()
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self) -> ProblemError:
        detail = f"A body has at most {self._body_max} bytes."
        return ProblemError("BODY_TOO_LARGE", detail).with_headers({"Connection": "close"})

    def _authenticate(self, scope: HTTPScope, body: bytes) -> Principal | None:
        """Return who signed a request, None where nobody did.

        Raises:
            ProblemError: Where the signature is not good.
        """
        key_id, timestamp, given, idempotency_key = _headers(scope)
        if not (key_id or timestamp or given):
            return None
        if not (key_id and timestamp and given):
            detail = "EG-Key, EG-Timestamp and EG-Signature belong together."
            raise ProblemError("SIGNATURE_MISSING", detail)
        key = self._keys.find(key_id)
        if key is None:
            raise ProblemError("KEY_UNKNOWN", "EG-Key names no key of this exchange.")
        if key.is_narrow:
            self._check_key(key, scope)
        self._check_time(timestamp)
        query = scope["query_string"]
        target = scope["raw_path"].decode("latin-1") + (
            f"?{query.decode('latin-1')}" if query else ""
        )
        expected = signing.signature(
            key.secret, timestamp, scope["method"], target, idempotency_key, body
        )
        if not hmac.compare_digest(expected.encode(), given.encode("latin-1")):
            raise ProblemError("SIGNATURE_WRONG", "The signature is not that of this request.")
        opt = scope["route_handler"].opt
        changes = opt.get("changes", scope["method"] not in READ_ONLY)
        if changes and not self._used.take(given):
            raise ProblemError("SIGNATURE_USED", "Sign a retry anew; its Idempotency-Key stays.")
        return _principal_of(key)

    def _check_key(self, key: KeyRecord, scope: HTTPScope) -> None:
        """Let a key pass now, from here.

        Raises:
            ProblemError: It was revoked, has expired, or is not to be used from this address.
        """
        if key.revoked_ms is not None:
            raise ProblemError("KEY_REVOKED", "The key was revoked.")
        if not key.is_good(self._clock.wall_ms()):
            raise ProblemError("KEY_EXPIRED", f"The key was good until {key.limits.expires_ms}.")
        if key.limits.networks:
            text = address_of(scope)
            address = read_address(text)
            if address is None or not key.limits.admit(address):
                raise ProblemError("ADDRESS_NOT_ALLOWED", f"The key is not for {text or 'this'}.")

    def who(
        self, target: str, headers: list[tuple[bytes, bytes]], address: str
    ) -> Principal | None:
        """Return who signed an upgrade to a WebSocket, or a login in one; None where nobody did.

        Raises:
            ProblemError: The signature is not good.
        """
        path, _, query = target.partition("?")
        scope: Any = {
            "method": "GET",
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "headers": headers,
            "client": (address, 0),
            "route_handler": _Upgrade,
        }
        return self._authenticate(scope, b"")

    def _check_time(self, timestamp: str) -> None:
        is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15
        now_ms = self._clock.wall_ms()
        if not is_number or abs(int(timestamp) - now_ms) > signing.WINDOW_MS:
            raise ProblemError(
                "TIMESTAMP_OUT_OF_WINDOW",
                f"EG-Timestamp is milliseconds UTC; here it is {now_ms}.",
                limit=str(now_ms),
            )

    def _admit(
        self,
        scope: Scope,
        principal: Principal | None,
        weight: int,
        extra: list[tuple[bytes, bytes]],
    ) -> None:
        """Take a request's weight from its caller's bucket.

        Raises:
            ProblemError: Where there is not enough in it.
        """
        caller = caller_of(principal, address_of(scope))
        scope["state"]["caller"] = caller
        level = self._buckets.take(caller, weight)
        if level is None:
            return
        for name, value in level.headers():
            extra.append((name, value))
        if level.wait > 0:
            raise rate_limited(level)


def _headers(scope: Scope) -> list[str]:
    """Return key, timestamp, signature and idempotency key, empty where they are not given.

    Raises:
        ProblemError: One of them is given twice: what is signed could be another than what counts.
    """
    found: dict[bytes, bytes | None] = dict.fromkeys(_NAMES)
    for name, value in scope["headers"]:
        if name in found:
            if found[name] is not None:
                raise ProblemError("MALFORMED", f"The header {name.decode()} is given twice.")
            found[name] = value
    return [(value or b"").decode("latin-1") for value in found.values()]


def _check_type(scope: Scope, body: bytes) -> None:
    """Let a body pass that is said to be JSON, or not said to be anything.

    Raises:
        ProblemError: It is said to be something else.
    """
    if not body:
        return
    for name, value in scope["headers"]:
        if name == _CONTENT_TYPE and value.partition(b";")[0].strip().lower() != _JSON:
            raise ProblemError("MALFORMED", "A body is application/json.", field="Content-Type")


def _principal_of(key: KeyRecord) -> Principal:
    return Principal(key.id, key.account, key.roles)


def _permit(principal: Principal | None, roles: Iterable[str]) -> None:
    """Let pass who has one of the roles.

    Raises:
        ProblemError: For everybody else.
    """
    if principal is None:
        raise ProblemError("SIGNATURE_MISSING", "EG-Key, EG-Timestamp and EG-Signature are needed.")
    if principal.roles.isdisjoint(roles):
        needed = " or ".join(sorted(roles))
        raise ProblemError("ROLE_MISSING", f"This needs the role {needed}.")
