"""What an order would cost or bring now."""

from litestar import post
from litestar.params import JSONBody

from amm.units import AMOUNT_MAX
from api.http.context import (
    Asking,
    account_of,
    amount,
    series,
    service_of,
)
from api.http.problems import ProblemError, documented
from api.views import accounts, market, orders
from api.wire import (
    Quote,
    QuoteRequest,
)
from vaults.commands import Open
from vaults.state import NONE


@post(
    "/quotes",
    status_code=200,
    responses=documented(400, 401, 403, 404, 413, 422, 429, 503),
    tags=["quote"],
    opt={"weight": 2, "changes": False},
)
async def post_quote(request: Asking, data: JSONBody[QuoteRequest]) -> Quote:
    """Say what an order would cost or bring now; nothing is reserved.

    No key is needed without an account. A close is quoted for a position of an account.
    """
    account = None
    if data.account is not None:
        if request.scope.get("auth") is None:
            raise ProblemError("SIGNATURE_MISSING", "A quote for an account must be signed.")
        account = account_of(request, data.account)
    service, chosen = service_of(request), series(data.instrument)
    memory, now_ms = await service.settled(), service.clock.now_ms()
    notional = amount(data.notional, "notional")
    if not market.is_series(memory, chosen):
        raise ProblemError("NOT_FOUND", f"There is no instrument {data.instrument}.")
    if market.ticker(memory, chosen) is None:
        raise ProblemError("MARK_STALE", f"{chosen.underlying} has no index yet.")
    if data.side == "open":
        asked = Open(
            chosen.token,
            account or "",
            chosen.underlying,
            chosen.kind,
            chosen.strike_e8,
            notional,
            AMOUNT_MAX,
            now_ms,
        )
        return orders.quote_open(memory, chosen, asked, has_account=account is not None)
    if account is None:
        raise ProblemError("SIGNATURE_MISSING", "A close is quoted for an account's position.")
    position_id = accounts.position_in(memory, account, chosen)
    if position_id == NONE:
        raise ProblemError("POSITION_UNKNOWN", f"The account has no position in {chosen.name}.")
    return orders.quote_close(memory, chosen, account, position_id, notional, now_ms)


ROUTES = [post_quote]
