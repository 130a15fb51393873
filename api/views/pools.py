"""Pools: their worth, their history, and what a provider holds of them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Any

from api.dispatch import Executed
from api.instruments import position_name
from api.journal import read_moves
from api.memory import Memory, Token
from api.views import market
from api.views.attribution import attribution_now
from api.views.cover import cover
from api.views.names import KINDS, STATUSES
from api.views.numbers import fixed, quotient, rounded
from api.views.performance import growth, performance, premium_rate
from api.views.queue import Place, Standing, insurance_low, places, standing, unsettled
from api.wire import (
    FlushRecord,
    Holding,
    Pool,
    PoolDetail,
    PoolName,
    PoolPoint,
    PoolRequest,
    PoolSide,
    Provider,
    Scenarios,
    StateName,
    StockSession,
    TokenState,
)
from vaults.capacity import backing, rent_rate_e15, utilisation
from vaults.commands import Request
from vaults.condition import Condition, condition, is_stale
from vaults.moves import Move, RequestKind, RequestStatus
from vaults.nav import Nav, accrued_to_insurance, net_asset_value
from vaults.risk import SPOT_MOVES, VOL_MOVES, loss_table
from vaults.state import NONE, Ints, RequestRow

RequestKey = tuple[int, str, int]
"""When a request was made, its token and its number there: the order of an account's requests."""


def share_price(nav: int, shares: int) -> str:
    """Return what a share is worth, as minting and redeeming count."""
    return quotient(nav + 1, shares + 1)


def state_of(memory: Memory, name: str, found: Condition, now_ms: int) -> StateName:
    """Return the state of a token in a condition; an index that is not fresh makes it stale."""
    if memory.is_halted(name, now_ms):
        return "HALTED"
    if found is Condition.EXHAUSTED:
        return "EXHAUSTED"
    if name in memory.paused:
        return "PAUSED"
    fresh = (market.is_fresh(memory, slot, now_ms) for slot in range(len(memory.underlyings)))
    return found.name if all(fresh) else "STALE"  # type: ignore[return-value]


def token_state(memory: Memory, name: str, now_ms: int) -> TokenState:
    """Return the line of a token in the status."""
    token = memory.tokens[name]
    found = Condition(int(condition(token.state, token.rules, memory.market, now_ms)))
    return TokenState(token=name, state=state_of(memory, name, found, now_ms))


def _waiting(held: Token, kind: RequestKind) -> int:
    rows = unsettled(held)
    is_open = (rows.status == RequestStatus.OPEN) & (rows.kind == kind)
    return int(rows.amount[is_open].sum())


def _navs(held: Token, nav: Nav) -> dict[PoolName, tuple[int, int, int]]:
    """Return low, mid and high of both pools; the insurance pool is worth its cash and claims."""
    pool = held.state.pool[0]
    cash = int(pool.insurance)
    accrued = cash + int(accrued_to_insurance(held.state))
    return {
        "main": (int(nav.low), int(nav.mid), int(nav.high)),
        "insurance": (insurance_low(held.state), accrued, accrued + int(pool.advances)),
    }


def standing_of(memory: Memory, name: str, now_ms: int) -> Standing:
    """Return how a token's pools stand at the marks."""
    token = memory.tokens[name]
    stale = bool(is_stale(token.state, memory.market, now_ms))
    return standing(memory, token, now_ms, is_stale=stale)


def _pool_fields(memory: Memory, name: str, stands: Standing, now_ms: int) -> dict[str, Any]:
    """Return what a pool's line and its whole description share."""
    held = memory.tokens[name]
    row = held.state.pool[0]
    navs = _navs(held, stands.nav)
    backed = int(backing(held.rules, row.main, row.insurance))
    used = float(utilisation(row.locked, backed))

    def side(which: PoolName, cash: int, shares: int, free: int) -> PoolSide:
        low, mid, high = navs[which]
        is_main = which == "main"
        deposit = RequestKind.DEPOSIT_MAIN if is_main else RequestKind.DEPOSIT_INSURANCE
        redeem = RequestKind.REDEEM_MAIN if is_main else RequestKind.REDEEM_INSURANCE
        return PoolSide(
            cash=fixed(cash),
            nav_low=fixed(low),
            nav_mid=fixed(mid),
            nav_high=fixed(high),
            shares=fixed(shares),
            share_price=share_price(mid, shares),
            deposits_waiting=fixed(_waiting(held, deposit)),
            redemptions_waiting=fixed(_waiting(held, redeem)),
            free=fixed(free),
        )

    return {
        "token": name,
        "state": state_of(memory, name, stands.condition, now_ms),
        "condition": stands.condition.name,
        "main": side("main", int(row.main), int(row.main_shares), stands.free_main),
        "insurance": side(
            "insurance", int(row.insurance), int(row.insurance_shares), stands.free_insurance
        ),
        "locked": fixed(row.locked),
        "backing": fixed(backed),
        "utilisation": rounded(used),
        "rent": fixed(rent_rate_e15(held.rules, used, row.rent_doubled), 15),
        "insurance_share": fixed(row.phi_ppm, 6),
        "live_series": int(row.live_series),
        "flushes": int(row.flushes),
        "next_flush": int(row.next_flush_ms),
        "cutoff": int(row.cutoff_ms),
    }


def pool(memory: Memory, name: str, now_ms: int) -> Pool:
    """Return both pools of a token now."""
    return Pool(**_pool_fields(memory, name, standing_of(memory, name, now_ms), now_ms))


def detail(
    memory: Memory,
    name: str,
    flushes: Sequence[Any],
    session: StockSession | None,
    now_ms: int,
) -> PoolDetail:
    """Return both pools of a token, and what its LPs have had and can expect.

    Args:
        memory: The exchange's.
        name: The token.
        flushes: Its newest flushes as the store has them, the newest first.
        session: Of its stock.
        now_ms: Exchange time.
    """
    token, stands = memory.tokens[name], standing_of(memory, name, now_ms)
    changes = attribution_now(token, stands.nav)
    return PoolDetail(
        **_pool_fields(memory, name, stands, now_ms),
        session=session,
        stress=fixed(stands.stress),
        premium=fixed(round(premium_rate(token.state))),
        main_performance=performance(memory, token, flushes, "main", now_ms),
        insurance_performance=performance(memory, token, flushes, "insurance", now_ms),
        cover=cover(token, stands.nav, now_ms),
        main_attribution=changes["main"],
        insurance_attribution=changes["insurance"],
    )


def pool_point(row: Any) -> PoolPoint:
    """Return a stored reading of a pool."""
    return PoolPoint(
        exchange_time=row.now_ms,
        nav_mid=fixed(row.nav),
        shares=fixed(row.main_shares),
        share_price=share_price(row.nav, row.main_shares),
        locked=fixed(row.locked),
        utilisation=quotient(row.locked, max(row.backing, 1)),
        insurance=fixed(row.insurance),
    )


def flush_record(row: Any) -> FlushRecord:
    """Return a flush that was done, as the store has it."""
    insurance = (row.insurance_opened, row.insurance_shares)
    insurance_after = (row.insurance_after, row.insurance_shares_after)
    main, main_after = (row.nav_opened, row.main_shares), (row.nav_after, row.main_shares_after)
    return FlushRecord(
        flush=row.number,
        exchange_time=row.now_ms,
        nav_mid=fixed(row.nav),
        shares=fixed(row.main_shares),
        share_price=share_price(row.nav, row.main_shares),
        nav_mid_after=fixed(row.nav_after),
        shares_after=fixed(row.main_shares_after),
        share_price_after=share_price(*main_after),
        share_growth=rounded(growth(*main, *main_after)),
        insurance=fixed(row.insurance_after),
        insurance_shares=fixed(row.insurance_shares_after),
        insurance_share_price=share_price(*insurance_after),
        insurance_share_growth=rounded(growth(*insurance, *insurance_after)),
        bundle=row.digest,
    )


def scenarios(memory: Memory, name: str) -> Scenarios:
    """Return the loss table of a token."""
    held = memory.tokens[name]
    losses = loss_table(held.state, held.rules, memory.market, SPOT_MOVES, VOL_MOVES)
    return Scenarios(
        token=name,
        spot_moves=[rounded(each) for each in SPOT_MOVES.tolist()],
        vol_moves=[rounded(each) for each in VOL_MOVES.tolist()],
        losses=[[rounded(loss) for loss in row] for row in losses.tolist()],
    )


def requests(memory: Memory, name: str, numbers: Sequence[int], now_ms: int) -> list[PoolRequest]:
    """Return requests of a token by their numbers; how its pools stand is looked up once."""
    held = memory.tokens[name]
    rows = {number: RequestRow(*held.state.requests[number].item()) for number in numbers}
    waiting = [number for number, row in rows.items() if row.status == RequestStatus.OPEN]
    found: dict[int, Place] = {}
    if waiting:
        stands = standing_of(memory, name, now_ms)
        found = dict(zip(waiting, places(held, waiting, stands), strict=True))
    return [_request(held, name, number, rows[number], found.get(number)) for number in numbers]


def _request(
    held: Token, name: str, number: int, row: RequestRow, waits: Place | None
) -> PoolRequest:
    """Return a request and, of one that is open, its place."""
    which, kind = KINDS[RequestKind(row.kind)]
    asked = PoolRequest(
        id=position_name(name, number),
        token=name,
        pool=which,
        kind=kind,
        amount=fixed(row.amount + row.filled),
        filled=fixed(row.filled),
        received=fixed(row.paid),
        min_out=fixed(row.min_out),
        status=STATUSES[RequestStatus(row.status)],
        requested=row.created_ms,
        flush=row.flush + 1,
        expected=None,
    )
    if waits is not None:
        pool, period = held.state.pool[0], int(held.rules.parameters[0].flush_period_ms)
        asked.expected = int(pool.next_flush_ms) + max(row.flush - int(pool.flushes), 0) * period
        asked.ahead, asked.beside = fixed(waits.ahead), fixed(waits.beside)
        asked.fill_flush = waits.flush or None
        asked.fill_expected = waits.at_ms or None
    return asked


def request_asked(executed: Executed) -> PoolRequest:
    """Return a request as it was when it was made."""
    command, record = executed.command, executed.record
    assert isinstance(command, Request)
    which, kind = KINDS[RequestKind(command.kind)]
    moves = read_moves(record)[command.token]
    ((_, _, kind_and_flush, *_),) = moves[moves[:, 0] == Move.REQUEST].tolist()
    return PoolRequest(
        id=position_name(command.token, executed.outcome.row),
        token=command.token,
        pool=which,
        kind=kind,
        amount=fixed(command.amount),
        filled="0",
        received="0",
        min_out=fixed(command.min_out),
        status="open",
        requested=record.now_ms,
        flush=kind_and_flush // 4 + 1,
        expected=executed.outcome.expected_ms or None,  # 0 in what older releases recorded
    )


def _is_before(name: str, made_ms: Ints, numbers: Ints, before: RequestKey) -> Any:
    """Return which requests of a token come before another in the order of `RequestKey`."""
    then_ms, token, number = before
    if name == token:
        return (made_ms < then_ms) | ((made_ms == then_ms) & (numbers < number))
    return made_ms <= then_ms if name < token else made_ms < then_ms


def newest_requests(
    memory: Memory, account: str, count: int | None, before: RequestKey | None = None
) -> list[RequestKey]:
    """Return the newest requests of an account, newest first.

    Args:
        memory: The exchange's.
        account: Whose.
        count: How many at most; `None` for all that are open and no others.
        before: Only what was made before this.
    """

    def made(name: str, held: Token, slot: int) -> Iterator[RequestKey]:
        pool = held.state.pool[0]
        first = int(pool.request_first) if count is None else 0
        rows = held.state.requests[first : pool.request_count]
        mine = rows.account == slot
        if count is None:
            mine &= rows.status == RequestStatus.OPEN
        numbers = mine.nonzero()[0]
        made_ms = rows.created_ms[numbers]
        if before is not None:
            is_before = _is_before(name, made_ms, numbers + first, before)
            numbers, made_ms = numbers[is_before], made_ms[is_before]
        # rows are in the order of their time
        newest = (numbers[::-1] + first)[:count].tolist()
        for at_ms, number in zip(made_ms[::-1][:count].tolist(), newest, strict=True):
            yield at_ms, name, number

    slots = ((name, held, memory.slot_of(name, account)) for name, held in memory.tokens.items())
    lists = (made(name, held, slot) for name, held, slot in slots if slot != NONE)
    return list(islice(merge(*lists, reverse=True), count))


def requests_at(memory: Memory, keys: Sequence[RequestKey], now_ms: int) -> list[PoolRequest]:
    """Return requests in the order given."""
    numbers = defaultdict(list)
    for _, name, number in keys:
        numbers[name].append(number)
    found = {name: iter(requests(memory, name, rows, now_ms)) for name, rows in numbers.items()}
    return [next(found[name]) for _, name, _ in keys]


def tokens_provided(memory: Memory, account: str) -> list[str]:
    """Return the tokens an account has had something of."""
    return [name for name in memory.tokens if memory.slot_of(name, account) != NONE]


def provider(
    memory: Memory, account: str, flushes: Mapping[str, Sequence[Any]], now_ms: int
) -> Provider:
    """Return everything an account holds of pools.

    Args:
        memory: The exchange's.
        account: Whose.
        flushes: The newest of each of `tokens_provided`, the newest first.
        now_ms: Exchange time.
    """
    waiting = requests_at(memory, newest_requests(memory, account, None), now_ms)
    holdings = []
    for name, newest in flushes.items():
        held, slot = memory.tokens[name], memory.slot_of(name, account)
        row, pools = held.state.accounts[slot], held.state.pool[0]
        nav = net_asset_value(held.state, held.rules, memory.market, now_ms)
        navs, changes = _navs(held, nav), attribution_now(held, nav)
        totals: dict[PoolName, tuple[int, int]] = {
            "main": (int(row.main_shares), int(pools.main_shares)),
            "insurance": (int(row.insurance_shares), int(pools.insurance_shares)),
        }
        for which, (shares, total) in totals.items():
            leaving = _redeeming(held, slot, which)
            if shares or leaving:
                low, mid, _ = navs[which]
                holdings.append(
                    Holding(
                        token=name,
                        pool=which,
                        shares=fixed(shares),
                        shares_waiting=fixed(leaving),
                        share_price=share_price(mid, total),
                        value=fixed((shares + leaving) * (low + 1) // (total + 1)),
                        share_of_pool=quotient(shares + leaving, max(total, 1)),
                        performance=performance(memory, held, newest, which, now_ms),
                        attribution=changes[which],
                    )
                )
    return Provider(account=account, exchange_time=now_ms, holdings=holdings, requests=waiting)


def _redeeming(held: Token, slot: int, which: str) -> int:
    kind = RequestKind.REDEEM_MAIN if which == "main" else RequestKind.REDEEM_INSURANCE
    rows = unsettled(held)
    mine = (rows.account == slot) & (rows.kind == kind) & (rows.status == RequestStatus.OPEN)
    return int(rows.amount[mine].sum())
