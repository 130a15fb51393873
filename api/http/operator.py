"""What the operator does: money in and out, listings, prices, flushes, keys."""

from typing import Any

from litestar import delete, get, post
from litestar.params import JSONBody

from amm.oracle import OracleVerdict
from amm.units import ONE
from api.dispatch import Executed
from api.http.context import (
    Asking,
    Cursor,
    IdempotencyKey,
    IdPath,
    Limit,
    amount,
    carry_out,
    journal_key,
    memory_of,
    page_of,
    service_of,
    settled,
)
from api.http.problems import ProblemError
from api.http.security import OPERATORS, READ, SIGNED, WRITE
from api.keys import KeyRecord, KeyRing
from api.views import accounts, market
from api.wire import (
    Accepted,
    CompletionRequest,
    Deposit,
    DepositRequest,
    FlushResult,
    Key,
    KeyRequest,
    ListingRequest,
    Page,
    PriceRequest,
    PriceResult,
    SurfaceRequest,
    TokenRequest,
    UnderlyingRequest,
    Withdrawal,
)
from api.wire import Token as TokenGiven
from vaults.commands import (
    Credit,
    Debit,
    Flush,
    ListToken,
    Pause,
    PublishSurface,
    Resume,
    StartUnderlying,
    Tick,
)
from vaults.params import VOL_MAX, ParameterError, Parameters
from vaults.rules import make_rules

_OPERATOR: dict[str, Any] = {
    "responses": WRITE,
    "opt": {"roles": OPERATORS},
    "tags": ["operator"],
    "security": SIGNED,
}
_INTEGERS = {name for name, kind in Parameters.__annotations__.items() if kind is int}


def _accepted(executed: Executed) -> Accepted:
    record = executed.record
    return Accepted(id=str(record.sequence), exchange_time=record.now_ms)


@post("/deposits", **_OPERATOR)
async def post_external_deposit(
    request: Asking, data: JSONBody[DepositRequest], idempotency_key: IdempotencyKey
) -> Deposit:
    """Book a confirmed external deposit; an account exists from its first one on."""
    now_ms = service_of(request).clock.now_ms()
    command = Credit(
        data.token, data.account, amount(data.amount, "amount"), now_ms, data.reference
    )
    executed = await carry_out(request, command, idempotency_key)
    return accounts.deposit(executed.record.sequence, executed.command)


@post("/withdrawals/{withdrawal_id:str}/complete", status_code=200, **_OPERATOR)
async def post_completion(
    request: Asking,
    withdrawal_id: IdPath,
    data: JSONBody[CompletionRequest],
    idempotency_key: IdempotencyKey,
) -> Withdrawal:
    """Book that a withdrawal has left custody."""
    memory, now_ms = memory_of(request), service_of(request).clock.now_ms()
    is_number = withdrawal_id.isascii() and withdrawal_id.isdigit() and len(withdrawal_id) <= 15
    number = int(withdrawal_id) if is_number else 0
    if not 1 <= number <= len(memory.withdrawals):
        raise ProblemError("WITHDRAWAL_UNKNOWN", f"There is no withdrawal {withdrawal_id}.")
    token = memory.withdrawals[number - 1].token
    command = Debit(token, number, now_ms, data.reference or "")
    await carry_out(request, command, idempotency_key)
    return accounts.withdrawal(await settled(request), number)


@post("/tokens", **_OPERATOR)
async def post_token(
    request: Asking, data: JSONBody[ListingRequest], idempotency_key: IdempotencyKey
) -> TokenGiven:
    """List a token; its pools open with a seed nobody can redeem."""
    now_ms = service_of(request).clock.now_ms()
    command = ListToken(data.token, now_ms, _parameters(data.parameters))
    try:
        await carry_out(request, command, idempotency_key)
    except ProblemError as error:
        raise _explained(error, command) from None
    return market.token(await settled(request), data.token)


def _explained(error: ProblemError, command: ListToken) -> ProblemError:
    """Return a refusal, saying which parameter cannot be where that is why."""
    if error.code != "PARAMETERS_INVALID":
        return error
    try:
        make_rules(command.parameters, command.terms)
    except ParameterError as fault:
        return ProblemError(error.code, f"{fault}.", **error.more)
    return error


def _parameters(given: dict[str, float]) -> Parameters:
    """Return the default parameters, changed where others are given.

    Raises:
        ProblemError: There is no such parameter, or it counts in whole units.
    """
    changed: dict[str, Any] = {}
    for name, value in given.items():
        field = f"parameters.{name}"
        if name not in Parameters._fields:
            raise ProblemError("MALFORMED", f"There is no parameter {name}.", field=field)
        if name in _INTEGERS and (value != int(value) or abs(value) > 2**53):
            raise ProblemError("MALFORMED", f"{name} is a whole number.", field=field)
        changed[name] = int(value) if name in _INTEGERS else float(value)
    return Parameters()._replace(**changed)


@post("/pause", status_code=200, **_OPERATOR)
async def post_pause(
    request: Asking, data: JSONBody[TokenRequest], idempotency_key: IdempotencyKey
) -> Accepted:
    """Take no openings in a token; closes, cancels and requests go on."""
    now_ms = service_of(request).clock.now_ms()
    return _accepted(await carry_out(request, Pause(data.token, now_ms), idempotency_key))


@post("/resume", status_code=200, **_OPERATOR)
async def post_resume(
    request: Asking, data: JSONBody[TokenRequest], idempotency_key: IdempotencyKey
) -> Accepted:
    """Take openings in a token again."""
    now_ms = service_of(request).clock.now_ms()
    return _accepted(await carry_out(request, Resume(data.token, now_ms), idempotency_key))


@post("/underlyings", status_code=200, **_OPERATOR)
async def post_underlying(
    request: Asking, data: JSONBody[UnderlyingRequest], idempotency_key: IdempotencyKey
) -> Accepted:
    """Say how volatile an underlying has been, before its first price: once."""
    now_ms = service_of(request).clock.now_ms()
    vol = amount(data.vol, "vol")
    if vol > VOL_MAX * ONE:
        raise ProblemError("MALFORMED", f"A vol is at most {VOL_MAX:g}.", field="vol")
    variance_e12 = vol**2 // 10**4
    command = StartUnderlying(data.symbol, now_ms, variance_e12, variance_e12, variance_e12)
    return _accepted(await carry_out(request, command, idempotency_key))


@post("/prices", status_code=200, **_OPERATOR)
async def post_price(
    request: Asking, data: JSONBody[PriceRequest], idempotency_key: IdempotencyKey
) -> PriceResult:
    """Push an observation of an underlying."""
    now_ms = service_of(request).clock.now_ms()
    vol = 0 if data.vol is None else amount(data.vol, "vol") * 10
    command = Tick(
        data.symbol,
        amount(data.price, "price"),
        data.published_at,
        now_ms,
        amount(data.confidence, "confidence"),
        vol,
        data.sources,
    )
    executed = await carry_out(request, command, idempotency_key)
    is_used = executed.outcome.verdict == OracleVerdict.USED
    return PriceResult(
        symbol=data.symbol,
        verdict="USED" if is_used else "JUMP_PENDING",
        exchange_time=executed.record.now_ms,
    )


@post("/surfaces", status_code=200, **_OPERATOR)
async def post_surface(
    request: Asking, data: JSONBody[SurfaceRequest], idempotency_key: IdempotencyKey
) -> Accepted:
    """Publish the smile of an underlying; in force from its next price, for a day."""
    now_ms = service_of(request).clock.now_ms()
    skew = amount(data.skew.removeprefix("-"), "skew") * 10
    command = PublishSurface(
        data.symbol,
        amount(data.long_vol, "long_vol") * 10,
        amount(data.reversion, "reversion") * 10,
        -skew if data.skew.startswith("-") else skew,
        amount(data.curvature, "curvature") * 10,
        now_ms,
    )
    return _accepted(await carry_out(request, command, idempotency_key))


@post("/flush", status_code=200, **_OPERATOR)
async def post_flush(
    request: Asking, data: JSONBody[TokenRequest], idempotency_key: IdempotencyKey
) -> FlushResult:
    """Price and fill a token's requests, once that is due; the exchange does so by itself."""
    now_ms = service_of(request).clock.now_ms()
    executed = await carry_out(request, Flush(data.token, now_ms), idempotency_key)
    pool = (await settled(request)).tokens[data.token].state.pool[0]
    return FlushResult(
        token=data.token,
        done=executed.outcome.done,
        next_flush=int(pool.next_flush_ms),
    )


# -- keys


def _ring(request: Asking) -> KeyRing:
    ring: KeyRing = request.app.state["keys"]  # `keys` is a method of the state
    return ring


def _key(record: KeyRecord, *, with_secret: bool = False) -> Key:
    return Key(
        id=record.id,
        account=record.account,
        roles=sorted(record.roles),  # type: ignore[arg-type]
        label=record.label,
        created=record.created_ms,
        revoked=record.revoked_ms,
        secret=record.secret if with_secret else None,
    )


@post("/keys", **_OPERATOR)
async def post_key(
    request: Asking, data: JSONBody[KeyRequest], idempotency_key: IdempotencyKey
) -> Key:
    """Make a key of an account; its secret is shown here and nowhere else."""
    wall_ms = service_of(request).clock.wall_ms()
    asked = journal_key(request, idempotency_key)
    record = _ring(request).create(data.account, data.roles, data.label, wall_ms, asked)
    return _key(record, with_secret=True)


@get("/keys", responses=READ, opt={"roles": OPERATORS}, tags=["operator"], security=SIGNED)
async def get_keys(request: Asking, limit: Limit = 100, cursor: Cursor = None) -> Page[Key]:
    """List all keys, revoked ones too, without their secrets."""
    keys = {each.id: each for each in _ring(request).all()}
    page = page_of(keys, str, str, cursor, limit)
    return Page(items=[_key(keys[name]) for name in page.items], next=page.next)


@delete("/keys/{key_id:str}", status_code=200, **_OPERATOR)
async def delete_key(request: Asking, key_id: IdPath, idempotency_key: IdempotencyKey) -> Key:
    """Revoke a key, at once and for good; doing so again changes nothing."""
    del idempotency_key  # demanded of every mutation; this one is the same however often it is done
    record = _ring(request).revoke(key_id, service_of(request).clock.wall_ms())
    if record is None:
        raise ProblemError("NOT_FOUND", f"There is no key {key_id}.")
    return _key(record)


ROUTES = [
    post_external_deposit,
    post_completion,
    post_token,
    post_pause,
    post_resume,
    post_underlying,
    post_price,
    post_surface,
    post_flush,
    post_key,
    get_keys,
    delete_key,
]
