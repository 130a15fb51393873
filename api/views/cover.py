"""How insurance stands behind main: what it could pay, and what main owes it."""

from typing import Any

from amm.units import DAY_MS
from api.memory import Token
from api.views.numbers import fixed
from api.wire import Advance, Cover, Owed
from vaults.insurance import claim_of, cover_of
from vaults.nav import Nav
from vaults.state import State

WRITE_OFF_DAYS = (1, 7, 30, 60, 90)
"""Days from now for which it is said what will be left of advances."""


def advance_lots(state: State) -> list[Any]:
    """Return the rows of the advances that are owed, the oldest first."""
    rows = state.advance_lots[state.advance_lots.remaining > 0]
    return sorted(rows, key=lambda row: int(row.day))


def advances(state: State) -> list[Advance]:
    """Return the advances that are owed, the oldest first."""
    return [
        Advance(
            day=int(row.day),
            amount=fixed(row.amount),
            since=int(row.since_ms),
            until=int(row.until_ms),
            remaining=fixed(row.remaining),
        )
        for row in advance_lots(state)
    ]


def owed_at(state: State, at_ms: int) -> int:
    """Return what main will owe once all that is due by then is written off; parts round up."""
    owed = 0
    for row in advance_lots(state):
        since_ms, until_ms = int(row.since_ms), int(row.until_ms)
        left_ms = max(until_ms - max(at_ms, since_ms), 0)
        owed += min(-(-int(row.amount) * left_ms // (until_ms - since_ms)), int(row.remaining))
    return owed


def cover(token: Token, nav: Nav, now_ms: int) -> Cover:
    """Return the cover period at a valuation."""
    state, parameters, pool = token.state, token.rules.parameters[0], token.state.pool[0]
    stands = cover_of(state, token.rules, int(nav.mid) - int(pool.nav_after))
    lost = max(-stands.pnl, 0)
    period = int(parameters.cover_period_flushes)
    left = -int(pool.flushes) % period
    return Cover(
        pnl=fixed(stands.pnl),
        deductible=fixed(stands.deductible),
        deductible_left=fixed(max(stands.deductible - lost, 0)),
        layer=fixed(stands.layer),
        claimed=fixed(stands.claimed),
        available=fixed(stands.available),
        claim=fixed(0 if pool.exhausted else claim_of(stands)),
        period_end=int(pool.next_flush_ms) + left * int(parameters.flush_period_ms),
        owed=fixed(pool.advances),
        advances=advances(state),
        write_off=[
            Owed(exchange_time=at_ms, amount=fixed(owed_at(state, at_ms)))
            for at_ms in (now_ms + days * DAY_MS for days in WRITE_OFF_DAYS)
        ],
    )
