"""What the operator does: money in and out, listings, prices, flushes."""

from litestar import post
from litestar.params import JSONBody

from amm.oracle import OracleVerdict
from amm.units import ONE
from api.depeg import Move, StockPrice
from api.http.actions import delete_corporate_action, post_application, post_corporate_action
from api.http.context import (
    Asking,
    IdempotencyKey,
    IdPath,
    accepted,
    amount,
    carry_out,
    listed_token,
    memory_of,
    service_of,
    settled,
    stocks_of,
)
from api.http.parameters import changed, explained, post_parameters
from api.http.problems import ProblemError
from api.http.security import OPERATED, OPERATED_OFTEN
from api.instruments import parse_numbered
from api.views import accounts, market
from api.wire import (
    Accepted,
    CompletionRequest,
    Deposit,
    DepositRequest,
    FlushResult,
    ListingRequest,
    PriceRequest,
    PriceResult,
    StockPriceRequest,
    StockPriceResult,
    SurfaceRequest,
    TokenRequest,
    UnderlyingRequest,
    Withdrawal,
)
from api.wire import Token as TokenGiven
from vaults.commands import (
    AllowDeposits,
    Credit,
    Debit,
    Flush,
    HoldDeposits,
    ListToken,
    Pause,
    PublishSurface,
    Resume,
    StartUnderlying,
    Tick,
)
from vaults.generations import base_of
from vaults.params import VOL_MAX, Parameters


@post("/deposits", **OPERATED)
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


@post("/withdrawals/{withdrawal_id:str}/complete", status_code=200, **OPERATED)
async def post_completion(
    request: Asking,
    withdrawal_id: IdPath,
    data: JSONBody[CompletionRequest],
    idempotency_key: IdempotencyKey,
) -> Withdrawal:
    """Book that a withdrawal has left custody."""
    memory, now_ms = memory_of(request), service_of(request).clock.now_ms()
    # Every shard counts from 1: the token says whose number it is.
    token, number = parse_numbered(withdrawal_id) or ("", 0)
    is_known = 1 <= number <= len(memory.withdrawals)
    if not is_known or memory.withdrawals[number - 1].token != token:
        raise ProblemError("WITHDRAWAL_UNKNOWN", f"There is no withdrawal {withdrawal_id}.")
    command = Debit(token, number, now_ms, data.reference or "")
    await carry_out(request, command, idempotency_key)
    return accounts.withdrawal(await settled(request), number)


@post("/tokens", **OPERATED)
async def post_token(
    request: Asking, data: JSONBody[ListingRequest], idempotency_key: IdempotencyKey
) -> TokenGiven:
    """List a token; its pools open with a seed nobody can redeem."""
    now_ms = service_of(request).clock.now_ms()
    command = ListToken(data.token, now_ms, changed(Parameters(), data.parameters))
    try:
        await carry_out(request, command, idempotency_key)
    except ProblemError as error:
        raise explained(error, command.parameters, command.terms) from None
    session = await service_of(request).session()
    return market.token(await settled(request), data.token, session, stocks_of(request))


@post("/pause", status_code=200, **OPERATED)
async def post_pause(
    request: Asking, data: JSONBody[TokenRequest], idempotency_key: IdempotencyKey
) -> Accepted:
    """Take no openings in a token; closes, cancels and requests go on."""
    now_ms = service_of(request).clock.now_ms()
    return accepted(await carry_out(request, Pause(data.token, now_ms), idempotency_key))


@post("/resume", status_code=200, **OPERATED)
async def post_resume(
    request: Asking, data: JSONBody[TokenRequest], idempotency_key: IdempotencyKey
) -> Accepted:
    """Take openings in a token again."""
    now_ms = service_of(request).clock.now_ms()
    return accepted(await carry_out(request, Resume(data.token, now_ms), idempotency_key))


@post("/underlyings", status_code=200, **OPERATED)
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
    return accepted(await carry_out(request, command, idempotency_key))


@post("/prices", status_code=200, **OPERATED_OFTEN)
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


@post("/stock-prices", status_code=200, **OPERATED)
async def post_stock_price(
    request: Asking, data: JSONBody[StockPriceRequest], idempotency_key: IdempotencyKey
) -> StockPriceResult:
    """Say what a token's stock costs: shown, and LPs' deposits wait while the token is far off."""
    del idempotency_key  # demanded of every mutation; said again, a price is what it was
    service, stocks = service_of(request), stocks_of(request)
    base = base_of(listed_token(request, data.token))
    price = StockPrice(
        _positive(data.stock, "stock"),
        _positive(data.multiplier, "multiplier"),
        0 if data.token_price is None else _positive(data.token_price, "token_price"),
        data.published_at,
        data.halted,
    )
    session = await service.session()
    if not stocks.is_timely(base, price, service.clock.now_ms()):
        raise ProblemError(
            "OBSERVATION_REFUSED", "A stock's price is of the last hour, and never goes back."
        )
    move = stocks.take(base, price, session)
    if move is not None:
        await _move_deposits(request, base, move, f"/deposits/{base}/{price.published_ms}")
    memory = await settled(request)
    held = data.token in memory.held
    return StockPriceResult(token=data.token, deposits_held=held, stock=market.stock_price(price))


def _positive(text: str, field: str) -> int:
    value = amount(text, field)
    if value == 0:
        raise ProblemError("MALFORMED", "A price is more than 0.", field=field)
    return value


async def _move_deposits(request: Asking, base: str, move: Move, key: str) -> None:
    """Hold or allow the deposits of all generations of a token where they are not so yet."""
    service, memory = service_of(request), memory_of(request)
    for name in memory.generations(base):
        if (name in memory.held) != (move == "hold"):
            now_ms = service.clock.now_ms()
            command = (HoldDeposits if move == "hold" else AllowDeposits)(name, now_ms)
            await service.submit(command, f"{key}/{move}/{name}")


@post("/allow-deposits", status_code=200, **OPERATED)
async def post_deposits_allowed(
    request: Asking, data: JSONBody[TokenRequest], idempotency_key: IdempotencyKey
) -> Accepted:
    """Take LPs' deposits in a token again; what its price does from now on counts anew."""
    now_ms = service_of(request).clock.now_ms()
    done = await carry_out(request, AllowDeposits(data.token, now_ms), idempotency_key)
    stocks_of(request).forget(base_of(data.token))
    return accepted(done)


@post("/surfaces", status_code=200, **OPERATED)
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
    return accepted(await carry_out(request, command, idempotency_key))


@post("/flush", status_code=200, **OPERATED)
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


ROUTES = [
    post_external_deposit,
    post_completion,
    post_token,
    post_pause,
    post_resume,
    post_underlying,
    post_price,
    post_stock_price,
    post_deposits_allowed,
    post_surface,
    post_flush,
    post_parameters,
    post_corporate_action,
    delete_corporate_action,
    post_application,
]
