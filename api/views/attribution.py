"""Why pools are worth what they are: from one flush to the next, or up to now."""

from api.memory import Token
from api.views.numbers import fixed
from api.wire import Attribution, PoolName
from vaults.epoch import (
    Books,
    InsuranceLines,
    MainLines,
    Visits,
    books_of,
    insurance_lines,
    main_lines,
)
from vaults.nav import Nav, accrued_to_main


def attribution(opened: int, closed: int, lines: MainLines | InsuranceLines) -> Attribution:
    """Return what has made `closed` of `opened`."""
    return Attribution(
        opened=fixed(opened),
        closed=fixed(closed),
        lines={name: fixed(amount) for name, amount in lines._asdict().items()},
    )


def attribution_now(token: Token, nav: Nav) -> dict[PoolName, Attribution]:
    """Return what has happened to both pools since the last flush; LPs come and go in flushes."""
    state, pool = token.state, token.state.pool[0]
    opened, nobody = books_of(state), Visits(0, 0)
    now = Books(
        int(nav.mid),
        int(pool.insurance),
        int(accrued_to_main(state)),
        int(pool.impact_refundable),
        tuple(state.flows.tolist()),
    )
    main = main_lines(opened, now, int(pool.nav_after) - opened.nav, nobody)
    insurance = insurance_lines(opened, now, nobody)
    return {
        "main": attribution(opened.nav, now.nav, main),
        "insurance": attribution(opened.insurance, now.insurance, insurance),
    }
