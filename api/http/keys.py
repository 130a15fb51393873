"""Keys: an operator's over all of them, an owner's over those of the account."""

import asyncio
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody, QueryParameter

from api.access.records import KeyRecord, Limits, read_networks
from api.access.ring import KeyRing
from api.http.context import (
    Asking,
    Cursor,
    IdempotencyKey,
    IdPath,
    Limit,
    journal_key,
    page_of,
    principal_of,
    service_of,
)
from api.http.problems import ProblemError, documented
from api.http.security import OPERATED, OPERATED_READ, READ, READERS, SIGNED
from api.views import access
from api.wire import EndedKey, Key, KeyRequest, OwnKeyRequest, Page, RotationRequest

KEYS_MAX = 100
"""Good keys that an account may have for its owner to make another."""
_OWNED: dict[str, Any] = {
    "responses": documented(400, 401, 403, 404, 409, 413, 429, 503),
    "opt": {"roles": READERS, "audited": True, "weight": 5},
    "tags": ["keys"],
    "security": SIGNED,
}


def ring_of(request: Asking) -> KeyRing:
    """Return all keys."""
    ring: KeyRing = request.app.state["keys"]  # `keys` is a method of the state
    return ring


def signing_key(request: Asking) -> KeyRecord:
    """Return the key that signed a request."""
    record = ring_of(request).find(principal_of(request).key_id)
    if record is None:
        raise ProblemError("KEY_UNKNOWN", "EG-Key names no key of this exchange.")
    return record


def shown(request: Asking, record: KeyRecord, *, with_secret: bool = False) -> Key:
    """Return a key as it crosses the wire; the trail shall say which one it was."""
    request.scope["state"]["subject"] = record.id
    return access.key(record, with_secret=with_secret)


def _page(records: list[KeyRecord], cursor: str | None, limit: int) -> Page[Key]:
    keys = {each.id: each for each in records}
    page = page_of(keys, str, str, cursor, limit)
    return Page(items=[access.key(keys[name]) for name in page.items], next=page.next)


async def _create(
    request: Asking, asked: KeyRequest | OwnKeyRequest, account: str, limits: Limits, key: str
) -> Key:
    """Make a key; the database is waited for by a thread."""
    ring, wall_ms = ring_of(request), service_of(request).clock.wall_ms()
    record = await asyncio.to_thread(
        ring.create,
        account,
        asked.roles,
        asked.label,
        wall_ms,
        journal_key(request, key),
        limits=limits,
        made_by=principal_of(request).key_id,
    )
    return shown(request, record, with_secret=True)


async def _rotate(request: Asking, key_id: str, overlap: int, key: str) -> Key:
    ring, wall_ms = ring_of(request), service_of(request).clock.wall_ms()
    asked, maker = journal_key(request, key), principal_of(request).key_id
    record = await asyncio.to_thread(ring.rotate, key_id, wall_ms, overlap * 1000, asked, maker)
    if record is None:
        raise ProblemError("NOT_FOUND", f"There is no key {key_id}.")
    return shown(request, record, with_secret=True)


async def _revoke(request: Asking, key_id: str, *, of_all: bool = False) -> EndedKey:
    """End a key and what was made with it, but for the key that says so."""
    revoke = partial(ring_of(request).revoke, of_all=of_all, spared=principal_of(request).key_id)
    ended = await asyncio.to_thread(revoke, key_id, service_of(request).clock.wall_ms())
    if not ended:
        raise ProblemError("NOT_FOUND", f"There is no key {key_id}.")
    record, *others = ended
    answer = EndedKey(**msgspec.structs.asdict(shown(request, record)), ended=len(others))
    if others:
        request.scope["state"]["subject"] = f"{key_id} and {len(others)} made with it"
    return answer


# -- the operator's


@post("/keys", **OPERATED)
async def post_key(
    request: Asking, data: JSONBody[KeyRequest], idempotency_key: IdempotencyKey
) -> Key:
    """Make a key of an account; its secret is shown here and nowhere else."""
    limits = Limits(data.expires_at, read_networks(data.networks), data.withdraw)
    maker = signing_key(request).limits
    is_within = limits.is_within(maker) if "operator" in data.roles else maker.may_withdraw
    if not is_within and (data.withdraw or "operator" in data.roles):
        raise ProblemError("RIGHTS_EXCEEDED", "The key that signs has not all of these rights.")
    return await _create(request, data, data.account, limits, idempotency_key)


@get("/keys", **OPERATED_READ)
async def get_keys(request: Asking, limit: Limit = 100, cursor: Cursor = None) -> Page[Key]:
    """List all keys, revoked ones too, without their secrets."""
    return _page(ring_of(request).all(), cursor, limit)


@post("/keys/{key_id:str}/rotate", **OPERATED)
async def post_key_rotation(
    request: Asking,
    key_id: IdPath,
    data: JSONBody[RotationRequest],
    idempotency_key: IdempotencyKey,
) -> Key:
    """Make the successor of a key, with the same rights; the old one ends after the overlap."""
    record = ring_of(request).find(key_id)
    if record is not None:
        _check_maker(signing_key(request), record)
    return await _rotate(request, key_id, data.overlap, idempotency_key)


def _check_maker(maker: KeyRecord, record: KeyRecord) -> None:
    """Let an operator have the secret of a key that may do no more than a key could be made for."""
    is_operator = "operator" in record.roles
    if is_operator and not record.limits.is_within(maker.limits):
        raise ProblemError("RIGHTS_EXCEEDED", "The key may do more than the one that signs.")
    if record.limits.may_withdraw and not maker.limits.may_withdraw:
        raise ProblemError("RIGHTS_EXCEEDED", "The key that signs has no right to withdraw.")


@delete("/keys/{key_id:str}", status_code=200, **OPERATED)
async def delete_key(
    request: Asking,
    key_id: IdPath,
    idempotency_key: IdempotencyKey,
    descendants: Annotated[
        bool, QueryParameter(description="Whether keys it made for other accounts end too.")
    ] = False,
) -> EndedKey:
    """Revoke a key and what it made for its account, or for all; again changes nothing."""
    del idempotency_key  # demanded of every mutation; this one is the same however often it is done
    return await _revoke(request, key_id, of_all=descendants)


# -- the owner's


@get(
    "/keys",
    responses=READ,
    opt={"roles": READERS},
    tags=["keys"],
    security=SIGNED,
)
async def get_own_keys(request: Asking, limit: Limit = 100, cursor: Cursor = None) -> Page[Key]:
    """List the account's keys, revoked ones too, without their secrets."""
    account = principal_of(request).account
    return _page(ring_of(request).of(account), cursor, limit)


@post("/keys", **_OWNED)
async def post_own_key(
    request: Asking, data: JSONBody[OwnKeyRequest], idempotency_key: IdempotencyKey
) -> Key:
    """Make another key of the account, which may do no more than the one that signs."""
    maker, wall_ms = signing_key(request), service_of(request).clock.wall_ms()
    theirs = maker.limits
    limits = Limits(
        theirs.expires_ms if data.expires_at is None else data.expires_at,
        theirs.networks if data.networks is None else read_networks(data.networks),
        theirs.may_withdraw if data.withdraw is None else data.withdraw,
    )
    if not (maker.roles.issuperset(data.roles) and limits.is_within(theirs)):
        raise ProblemError("RIGHTS_EXCEEDED", "The key that signs has not all of these rights.")
    good = sum(each.is_good(wall_ms) for each in ring_of(request).of(maker.account))
    if good >= KEYS_MAX:
        raise ProblemError("KEY_LIMIT", f"The account has {good} keys; revoke one.")
    return await _create(request, data, maker.account, limits, idempotency_key)


@post("/keys/rotate", **_OWNED)
async def post_rotation(
    request: Asking, data: JSONBody[RotationRequest], idempotency_key: IdempotencyKey
) -> Key:
    """Make the successor of the key that signs; the old one ends after the overlap."""
    return await _rotate(request, principal_of(request).key_id, data.overlap, idempotency_key)


@delete("/keys/{key_id:str}", status_code=200, **_OWNED)
async def delete_own_key(
    request: Asking, key_id: IdPath, idempotency_key: IdempotencyKey
) -> EndedKey:
    """Revoke a key of the account and what was made with it, at once and for good."""
    del idempotency_key
    maker, record = signing_key(request), ring_of(request).find(key_id)
    if record is None or record.account != maker.account:
        raise ProblemError("NOT_FOUND", f"There is no key {key_id}.")
    is_lesser = record.limits.may_withdraw > maker.limits.may_withdraw
    others = record.roles - maker.roles - {"read"}  # which every role may do
    if key_id != maker.id and (is_lesser or others):
        raise ProblemError("RIGHTS_EXCEEDED", "The key may do more than the one that signs.")
    return await _revoke(request, key_id)


ROUTES = [get_own_keys, post_own_key, post_rotation, delete_own_key]
OPERATOR_ROUTES = [post_key, get_keys, post_key_rotation, delete_key]
