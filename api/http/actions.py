"""Corporate actions: what was announced and done, and how operators do so."""

from litestar import delete, get, post
from litestar.params import JSONBody

from api.http.context import (
    Asking,
    Cursor,
    IdempotencyKey,
    Limit,
    TokenPath,
    accepted,
    amount,
    carry_out,
    page_of,
    service_of,
)
from api.http.problems import documented
from api.http.security import OPERATED
from api.views import terms
from api.wire import Accepted, ApplicationRequest, CorporateAction, CorporateActionRequest, Page
from vaults.commands import AnnounceAction, ApplyAction, WithdrawAction


@get("/corporate-actions", responses=documented(400, 401, 413, 429, 503), tags=["public"])
async def get_corporate_actions(
    request: Asking, limit: Limit = 100, cursor: Cursor = None
) -> Page[CorporateAction]:
    """List corporate actions, announced, done, withdrawn and lapsed, newest first."""
    service = service_of(request)
    memory, now_ms = await service.settled(), service.clock.now_ms()
    numbers = range(1, len(memory.actions) + 1)
    page = page_of(numbers, int, int, cursor, limit, backwards=True)
    return Page(items=[terms.action(memory, n, now_ms) for n in page.items], next=page.next)


@post("/corporate-actions", **OPERATED)
async def post_corporate_action(
    request: Asking, data: JSONBody[CorporateActionRequest], idempotency_key: IdempotencyKey
) -> CorporateAction:
    """Announce a split or a dividend; trading waits for it from its time on, 10 minutes at most."""
    command = AnnounceAction(
        data.token,
        data.action,
        data.effective_at,
        service_of(request).clock.now_ms(),
        data.numerator,
        data.denominator,
        amount(data.amount, "amount"),
    )
    return terms.action_announced(await carry_out(request, command, idempotency_key))


@delete("/corporate-actions/{token:str}", status_code=200, **OPERATED)
async def delete_corporate_action(
    request: Asking, token: TokenPath, idempotency_key: IdempotencyKey
) -> Accepted:
    """Take the announced action of a token back; where its window is open, it ends."""
    command = WithdrawAction(token, service_of(request).clock.now_ms())
    return accepted(await carry_out(request, command, idempotency_key))


@post("/corporate-actions/{token:str}/apply", status_code=200, **OPERATED)
async def post_application(
    request: Asking,
    token: TokenPath,
    data: JSONBody[ApplicationRequest],
    idempotency_key: IdempotencyKey,
) -> Accepted:
    """Carry out the announced action of a token, in all its generations, within its window."""
    now_ms = service_of(request).clock.now_ms()
    command = ApplyAction(token, now_ms, data.reference or "")
    return accepted(await carry_out(request, command, idempotency_key))
