"""An epoch, from one flush to the next: what a pool has gained, line by line, to the unit.

The lines of each pool sum exactly to the change of what it is worth: of N_mid for main, of its
cash for insurance. What no line has a cause for is main's `other`: moves that are beyond the second
derivative or between two measurements, and new surfaces.
"""

from collections.abc import Callable
from typing import NamedTuple

from vaults.moves import Flow
from vaults.state import State


class Books(NamedTuple):
    """What a flush closed its books with, in base units; totals by flow since the listing.

    A split since then has changed them as it has changed everything.
    """

    nav: int
    insurance: int
    accrued: int
    refundable: int
    flows: tuple[int, ...]


class MainLines(NamedTuple):
    """Why N_mid has changed."""

    premium: int
    spread: int
    impact: int
    delta: int
    gamma: int
    vega: int
    other: int
    insurance: int
    exit_fees: int
    deposits: int
    redemptions: int
    dividends: int
    split_dust: int


class InsuranceLines(NamedTuple):
    """Why the insurance pool's cash has changed."""

    premium: int
    claims: int
    repayments: int
    payouts: int
    exit_fees: int
    deposits: int
    redemptions: int
    dividends: int
    split_dust: int


class Visits(NamedTuple):
    """What LPs brought to and took from one pool in the flush that ends the epoch."""

    deposits: int
    paid: int


def books_of(state: State) -> Books:
    """Return what the last flush closed its books with."""
    pool = state.pool[0]
    return Books(
        int(pool.closed_nav),
        int(pool.closed_insurance),
        int(pool.closed_accrued),
        int(pool.closed_refundable),
        tuple(state.closed_flows.tolist()),
    )


def _change_of(opened: Books, closed: Books) -> Callable[[Flow], int]:
    return lambda flow: closed.flows[flow] - opened.flows[flow]


def main_lines(opened: Books, closed: Books, dividends: int, visits: Visits) -> MainLines:
    """Return why N_mid has changed.

    Args:
        opened: Books of the flush before.
        closed: Books of the flush that ends the epoch.
        dividends: What came to main and was no gain.
        visits: Of main LPs.
    """
    change = _change_of(opened, closed)
    fees = change(Flow.EXIT_FEE)
    released = opened.refundable - closed.refundable
    lines = MainLines(
        premium=change(Flow.PREMIUM_MAIN) + closed.accrued - opened.accrued,
        spread=change(Flow.SPREAD),
        impact=change(Flow.IMPACT_PAID) - change(Flow.IMPACT_REFUNDED) + released,
        delta=change(Flow.DELTA),
        gamma=change(Flow.GAMMA),
        vega=change(Flow.VEGA),
        other=0,
        insurance=change(Flow.CLAIM) - change(Flow.REPAYMENT) + change(Flow.PAID_BY_INSURANCE),
        exit_fees=fees,
        deposits=visits.deposits,
        redemptions=-visits.paid - fees,
        dividends=dividends,
        split_dust=change(Flow.SPLIT_DUST),
    )
    return lines._replace(other=closed.nav - opened.nav - sum(lines))


def insurance_lines(opened: Books, closed: Books, visits: Visits) -> InsuranceLines:
    """Return why the insurance pool's cash has changed.

    Beside the flows that are its own there are dividends and the dust of splits alone.
    """
    change = _change_of(opened, closed)
    fees = change(Flow.EXIT_FEE_INSURANCE)
    lines = InsuranceLines(
        premium=change(Flow.PREMIUM_INSURANCE),
        claims=-change(Flow.CLAIM),
        repayments=change(Flow.REPAYMENT),
        payouts=-change(Flow.PAID_BY_INSURANCE),
        exit_fees=fees,
        deposits=visits.deposits,
        redemptions=-visits.paid - fees,
        dividends=0,
        split_dust=0,
    )
    rest = closed.insurance - opened.insurance - sum(lines)
    if change(Flow.DIVIDEND):
        return lines._replace(dividends=rest)
    return lines._replace(split_dust=rest)
