"""Pools: their worth, their history, and what a provider holds of them."""

from typing import Any, Literal

from api.dispatch import Executed
from api.history import Entry
from api.instruments import position_name
from api.journal import read_moves
from api.memory import Memory, Token
from api.views import market
from api.views.numbers import fixed, quotient, rounded
from api.wire import (
    FlushRecord,
    Holding,
    Pool,
    PoolName,
    PoolPoint,
    PoolRequest,
    PoolSide,
    Provider,
    Scenarios,
    TokenState,
)
from vaults.capacity import backing, rent_rate_e15, utilisation
from vaults.commands import Request
from vaults.flush import next_flush
from vaults.moves import Move, RequestKind, RequestStatus
from vaults.nav import accrued_to_insurance, net_asset_value
from vaults.risk import SPOT_MOVES, VOL_MOVES, loss_table
from vaults.state import NONE

KINDS: dict[RequestKind, tuple[PoolName, Literal["deposit", "redemption"]]] = {
    RequestKind.DEPOSIT_MAIN: ("main", "deposit"),
    RequestKind.REDEEM_MAIN: ("main", "redemption"),
    RequestKind.DEPOSIT_INSURANCE: ("insurance", "deposit"),
    RequestKind.REDEEM_INSURANCE: ("insurance", "redemption"),
}
_STATUSES: dict[RequestStatus, Literal["open", "filled", "cancelled", "returned"]] = {
    RequestStatus.OPEN: "open",
    RequestStatus.FILLED: "filled",
    RequestStatus.CANCELLED: "cancelled",
    RequestStatus.RETURNED: "returned",
}


def share_price(nav: int, shares: int) -> str:
    """Return what a share is worth, as minting and redeeming count."""
    return quotient(nav + 1, shares + 1)


def state_of(memory: Memory, name: str, now_ms: int) -> Literal["NORMAL", "STALE", "PAUSED"]:
    """Return the state of a token; no fresh index of one underlying makes it stale."""
    if name in memory.paused:
        return "PAUSED"
    fresh = (market.is_fresh(memory, slot, now_ms) for slot in range(len(memory.underlyings)))
    return "NORMAL" if all(fresh) else "STALE"


def token_state(memory: Memory, name: str, now_ms: int) -> TokenState:
    """Return the line of a token in the status."""
    return TokenState(token=name, state=state_of(memory, name, now_ms))


def _waiting(held: Token, kind: RequestKind) -> int:
    rows = held.state.requests[: held.state.pool[0].request_count]
    is_open = (rows.status == RequestStatus.OPEN) & (rows.kind == kind)
    return int(rows.amount[is_open].sum())


def _navs(memory: Memory, held: Token, now_ms: int) -> dict[PoolName, tuple[int, int, int]]:
    """Return low, mid and high of both pools; the insurance pool is worth its cash and claims."""
    pool = held.state.pool[0]
    nav = net_asset_value(held.state, held.rules, memory.market, now_ms)
    cash = int(pool.insurance)
    accrued = cash + int(accrued_to_insurance(held.state))
    return {
        "main": (int(nav.low), int(nav.mid), int(nav.high)),
        "insurance": (cash, accrued, accrued + int(pool.advances)),
    }


def pool(memory: Memory, name: str, now_ms: int) -> Pool:
    """Return both pools of a token now."""
    held = memory.tokens[name]
    row = held.state.pool[0]
    navs = _navs(memory, held, now_ms)
    backed = int(backing(held.rules, row.main, row.insurance))
    used = float(utilisation(row.locked, backed))

    def side(which: PoolName, cash: int, shares: int) -> PoolSide:
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
        )

    return Pool(
        token=name,
        state=state_of(memory, name, now_ms),
        main=side("main", int(row.main), int(row.main_shares)),
        insurance=side("insurance", int(row.insurance), int(row.insurance_shares)),
        locked=fixed(row.locked),
        backing=fixed(backed),
        utilisation=rounded(used),
        rent=fixed(rent_rate_e15(held.rules, used, row.rent_doubled), 15),
        insurance_share=fixed(row.phi_ppm, 6),
        live_series=int(row.live_series),
        flushes=int(row.flushes),
        next_flush=int(row.next_flush_ms),
        cutoff=int(row.cutoff_ms),
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


def flush_record(entry: Entry, number: int) -> FlushRecord:
    """Return a flush that was done, by its number from 1."""
    before, after = entry.outcome.nav
    shares, shares_after = entry.outcome.shares
    return FlushRecord(
        flush=number,
        exchange_time=entry.now_ms,
        nav_mid=fixed(before),
        shares=fixed(shares),
        share_price=share_price(before, shares),
        nav_mid_after=fixed(after),
        shares_after=fixed(shares_after),
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


def request(memory: Memory, name: str, number: int) -> PoolRequest:
    """Return a provider's request by its number in a token."""
    state = memory.tokens[name].state
    row, pools = state.requests[number], state.pool[0]
    which, kind = KINDS[RequestKind(int(row.kind))]
    is_open = int(row.status) == RequestStatus.OPEN
    later = max(int(row.flush) - int(pools.flushes), 0)
    period = int(memory.tokens[name].rules.parameters[0].flush_period_ms)
    return PoolRequest(
        id=position_name(name, number),
        token=name,
        pool=which,
        kind=kind,
        amount=fixed(row.amount + row.filled),
        filled=fixed(row.filled),
        received=fixed(row.paid),
        min_out=fixed(row.min_out),
        status=_STATUSES[RequestStatus(int(row.status))],
        requested=int(row.created_ms),
        flush=int(row.flush) + 1,
        expected=int(pools.next_flush_ms) + later * period if is_open else None,
    )


def request_asked(memory: Memory, executed: Executed) -> PoolRequest:
    """Return a request as it was when it was made."""
    command, record = executed.command, executed.record
    assert isinstance(command, Request)
    which, kind = KINDS[RequestKind(command.kind)]
    moves = read_moves(record)[command.token]
    ((_, _, kind_and_flush, *_),) = moves[moves[:, 0] == Move.REQUEST].tolist()
    parameters = memory.tokens[command.token].rules.parameters[0]
    expected = int(next_flush(parameters, record.now_ms))
    if record.now_ms > expected - int(parameters.cutoff_ms):
        expected += int(parameters.flush_period_ms)
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
        expected=expected,
    )


def requests_of(memory: Memory, account: str, *, only_open: bool) -> list[PoolRequest]:
    """Return the requests of an account, newest first."""
    found = []
    for name, held in memory.tokens.items():
        slot = memory.slot_of(name, account)
        if slot == NONE:
            continue
        rows = held.state.requests[: held.state.pool[0].request_count]
        mine = rows.account == slot
        if only_open:
            mine &= rows.status == RequestStatus.OPEN
        found += [request(memory, name, int(number)) for number in mine.nonzero()[0]]
    return sorted(found, key=lambda each: (each.requested, each.id), reverse=True)


def provider(memory: Memory, account: str, now_ms: int) -> Provider:
    """Return everything an account holds of pools."""
    requests = requests_of(memory, account, only_open=True)
    holdings = []
    for name, held in memory.tokens.items():
        slot = memory.slot_of(name, account)
        if slot == NONE:
            continue
        row, pools = held.state.accounts[slot], held.state.pool[0]
        navs = _navs(memory, held, now_ms)
        for which, shares, total in (
            ("main", int(row.main_shares), int(pools.main_shares)),
            ("insurance", int(row.insurance_shares), int(pools.insurance_shares)),
        ):
            waiting = _redeeming(held, slot, which)
            if shares or waiting:
                low, mid, _ = navs[which]  # type: ignore[index]
                holdings.append(_holding(name, which, (shares, waiting), total, (low, mid)))
    return Provider(account=account, exchange_time=now_ms, holdings=holdings, requests=requests)


def _redeeming(held: Token, slot: int, which: str) -> int:
    kind = RequestKind.REDEEM_MAIN if which == "main" else RequestKind.REDEEM_INSURANCE
    rows = held.state.requests[: held.state.pool[0].request_count]
    mine = (rows.account == slot) & (rows.kind == kind) & (rows.status == RequestStatus.OPEN)
    return int(rows.amount[mine].sum())


def _holding(
    name: str, which: str, shares: tuple[int, int], total: int, navs: tuple[int, int]
) -> Holding:
    free, waiting = shares
    low, mid = navs
    return Holding(
        token=name,
        pool="main" if which == "main" else "insurance",
        shares=fixed(free),
        shares_waiting=fixed(waiting),
        share_price=share_price(mid, total),
        value=fixed((free + waiting) * (low + 1) // (total + 1)),
        share_of_pool=quotient(free + waiting, max(total, 1)),
    )
