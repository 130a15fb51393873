"""Where a request stands among the others, and when its turn can be expected."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amm.units import mul_div_down
from api.memory import Memory, Token
from vaults.condition import Condition, condition_at, stress_of_book
from vaults.flush import free_main, gate
from vaults.insurance import free_insurance
from vaults.moves import RequestKind, RequestStatus
from vaults.nav import Nav, net_asset_value
from vaults.state import Ints, Records, RequestRow, State
from vaults.valuation import value_book

_REDEMPTIONS = {RequestKind.REDEEM_MAIN, RequestKind.REDEEM_INSURANCE}
_OF_MAIN = (RequestKind.DEPOSIT_MAIN, RequestKind.REDEEM_MAIN)
FLUSHES_MAX = 10_000
"""Who would have to wait for more flushes than this is told no number."""


class Standing(NamedTuple):
    """A pool's condition, base stress and NAV, and what redemptions of both pools could take."""

    condition: Condition
    stress: int
    nav: Nav
    free_main: int
    free_insurance: int


def standing(memory: Memory, token: Token, now_ms: int, *, is_stale: bool) -> Standing:
    """Return how a token's pools stand at the marks, as a flush now would find them."""
    state, rules, pool = token.state, token.rules, token.state.pool[0]
    value_book(state, rules, memory.market)
    stress = int(stress_of_book(state))
    nav = net_asset_value(state, rules, memory.market, now_ms)
    found = Condition(int(condition_at(state, rules, nav, stress)))
    free = int(free_main(state, rules, nav.low, stress))
    cash = int(pool.insurance)
    if found is Condition.EXHAUSTED:
        return Standing(found, stress, nav, 0, insurance_low(state))
    return Standing(
        Condition.STALE if is_stale else found,
        stress,
        nav,
        int(gate(rules, int(found), int(pool.main_shares), nav.low, free)),
        int(
            gate(
                rules,
                int(found),
                int(pool.insurance_shares),
                cash,
                int(free_insurance(state, rules)),
            )
        ),
    )


def insurance_low(state: State) -> int:
    """Return what insurance is redeemed at: of an exhausted pool as if all locks were paid out."""
    pool = state.pool[0]
    owed = max(int(pool.locked) - int(pool.main), 0) if pool.exhausted else 0
    return max(int(pool.insurance) - owed, 0)


class Place(NamedTuple):
    """A request's place; `flush` is the number of the one expected to fill it, 0 for never."""

    ahead: int
    beside: int
    flush: int
    at_ms: int


class Line(NamedTuple):
    """The open requests of a kind by the flush they were made for.

    `flushes` ascends; of `sums`, one longer, number i is what all before flush i ask for.
    """

    flushes: Ints
    sums: Ints


def unsettled(token: Token) -> Records:
    """Return the requests from the first that may be open on."""
    pool = token.state.pool[0]
    return token.state.requests[pool.request_first : pool.request_count]


def line_of(token: Token, kind: RequestKind) -> Line:
    """Return the line of a kind."""
    rows = unsettled(token)
    rows = rows[(rows.status == RequestStatus.OPEN) & (rows.kind == kind)]
    flushes, where = np.unique(rows.flush, return_inverse=True)
    asked = np.zeros(len(flushes) + 1, dtype=np.int64)
    np.add.at(asked[1:], where, rows.amount)
    return Line(flushes, np.cumsum(asked))


def places(token: Token, numbers: Sequence[int], stands: Standing) -> list[Place]:
    """Return the places of open requests, each in the line of its kind."""
    rows = [RequestRow(*token.state.requests[number].item()) for number in numbers]
    kinds = {RequestKind(row.kind) for row in rows}
    lines = {kind: line_of(token, kind) for kind in kinds}
    fills = {kind: _shares_each_flush(token, kind, stands) for kind in kinds & _REDEMPTIONS}
    return [_place(token, row, lines[RequestKind(row.kind)], fills) for row in rows]


def _place(token: Token, row: RequestRow, line: Line, fills: dict[RequestKind, int]) -> Place:
    """Return the place of a request in a line.

    A deposit is filled in its first flush. Of redemptions every flush is taken to fill as many
    shares as what is free now pays for at the low NAV: nobody comes, and no lock is set or freed.
    """
    pool, parameters, kind = token.state.pool[0], token.rules.parameters[0], RequestKind(row.kind)
    at = int(np.searchsorted(line.flushes, row.flush))
    ahead, wanted = int(line.sums[at]), int(line.sums[at + 1])
    beside = wanted - ahead - row.amount
    period, next_ms = int(parameters.flush_period_ms), int(pool.next_flush_ms)
    first = max(row.flush - int(pool.flushes), 0)
    if kind is RequestKind.REDEEM_INSURANCE:
        cooled_ms = row.created_ms + int(parameters.cooldown_ms)
        first = max(first, -((next_ms - cooled_ms) // period) if cooled_ms > next_ms else 0)
    waits = first
    if kind in _REDEMPTIONS:
        if fills[kind] == 0 or wanted // fills[kind] > FLUSHES_MAX:
            return Place(ahead, beside, 0, 0)
        waits = max(first, -(-wanted // fills[kind]) - 1)
    return Place(ahead, beside, int(pool.flushes) + 1 + waits, next_ms + waits * period)


def _shares_each_flush(token: Token, kind: RequestKind, stands: Standing) -> int:
    """Return the shares that what is free now pays for."""
    pool = token.state.pool[0]
    if kind in _OF_MAIN:
        free, nav, shares = stands.free_main, int(stands.nav.low), int(pool.main_shares)
    else:
        free, nav = stands.free_insurance, insurance_low(token.state)
        shares = int(pool.insurance_shares)
    return max(mul_div_down(free, shares + 1, nav + 1), 0) if nav >= 0 else 0
