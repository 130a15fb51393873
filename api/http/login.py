"""Logins with a wallet: a message to sign, and a key for a day for having signed it."""

import asyncio

from litestar import post
from litestar.params import JSONBody

from amm.units import DAY_MS
from api.access.logins import LoginError, Logins, Proof
from api.access.ring import KeyRing
from api.http.context import Asking, service_of
from api.http.keys import ring_of, shown
from api.http.problems import ProblemError, documented
from api.wire import Challenge, ChallengeRequest, Key, LoginRequest

LASTS_MS = DAY_MS
"""How long a key of a login is good."""
_RESPONSES = documented(400, 401, 413, 429, 503)


def _logins_of(request: Asking) -> Logins:
    logins: Logins = request.app.state.logins
    return logins


def _refused(error: LoginError) -> ProblemError:
    field, colon, detail = error.detail.partition(": ")
    if error.code == "MALFORMED" and colon:
        return ProblemError(error.code, detail[:1].upper() + detail[1:], field=field)
    return ProblemError(error.code, error.detail)


@post(
    "/login/challenge",
    status_code=200,
    responses=_RESPONSES,
    opt={"weight": 5, "changes": False},
    tags=["keys"],
)
async def post_challenge(request: Asking, data: JSONBody[ChallengeRequest]) -> Challenge:
    """Return a message (EIP-4361) for a wallet to sign within five minutes."""
    logins, now_ms = _logins_of(request), service_of(request).clock.wall_ms()
    try:
        message, expires_ms = await asyncio.to_thread(
            logins.challenge, data.address, data.chain_id, now_ms
        )
    except LoginError as error:
        raise _refused(error) from None
    return Challenge(message=message.text, account=message.address, expires=expires_ms)


@post(
    "/login",
    responses=_RESPONSES,
    opt={"weight": 20, "changes": False, "audited": True},
    tags=["keys"],
)
async def post_login(request: Asking, data: JSONBody[LoginRequest]) -> Key:
    """Make a key for a day for a signed message, once; it cannot withdraw."""
    logins, clock = _logins_of(request), service_of(request).clock
    state, now_ms = request.scope["state"], clock.wall_ms()
    try:
        proof: Proof = await asyncio.to_thread(logins.check, data.message, data.signature, now_ms)
        state["account"] = proof.account
        logins.use(proof, now_ms)
    except LoginError as error:
        raise _refused(error) from None
    ring: KeyRing = ring_of(request)
    record = await asyncio.to_thread(ring.log_in, proof.account, now_ms, now_ms + LASTS_MS)
    return shown(request, record, with_secret=True)


OPEN_ROUTES = [post_challenge]
ROUTES = [post_login]
