"""What a flush promises its providers, whatever happened: checked on the books around it.

Named as in the research the rules rest on: nobody is diluted, claims keep their bounds, the queue
is in order.
"""

from itertools import pairwise

from tests.twin import cover
from tests.twin.books import Books, Request, down
from tests.twin.flushing import Flushed, dates_of
from tests.twin.worth import Condition, accrued_to_main, receivable
from vaults.moves import Flow, RequestKind, RequestStatus


def _holds(nav: int, shares: int, later_nav: int, later_shares: int) -> bool:
    """Whether a share is worth no less than before, one virtual unit and share included."""
    return (later_nav + 1) * (shares + 1) >= (nav + 1) * (later_shares + 1)


def _insurance_high(books: Books) -> int:
    return books.insurance + books.advances + receivable(books) - accrued_to_main(books)


def nobody_is_diluted(before: Books, after: Books, done: Flushed) -> None:
    """N_lo/S, N_mid/S and N_hi/S do not fall by who comes and goes at frozen marks."""
    for nav, later in zip(done.nav, done.after, strict=True):
        if nav >= 0:
            assert _holds(nav, before.main_shares, later, after.main_shares)
    started = before.insurance - done.claim + done.repaid
    assert _holds(started, before.insurance_shares, after.insurance, after.insurance_shares)


def claims_keep_their_bounds(before: Books, after: Books, done: Flushed) -> None:
    """A claim is within layer, half of the period's start, and leaves the reserve."""
    rules, running = before.parameters, before.cover
    pnl = running.pnl + done.gain
    deductible = down(max(0, running.nav), rules.cover_deductible_ppm, 10**6)
    if done.claim:
        claimed = running.claimed + done.claim
        assert claimed <= -pnl - deductible
        assert claimed <= down(running.nav, rules.cover_layer_ppm, 10**6)
        assert claimed <= down(running.insurance, rules.cover_epoch_ppm, 10**6)
        premium = after.flows[Flow.PREMIUM_INSURANCE] - before.flows[Flow.PREMIUM_INSURANCE]
        cash = before.insurance + premium
        reserve = down(max(cover.peak(before), cash), rules.insurance_reserve_ppm, 10**6)
        assert cash - done.claim >= reserve
    assert done.claim == after.flows[Flow.CLAIM] - before.flows[Flow.CLAIM]
    assert -pnl > deductible or done.claim == 0
    assert done.claim == 0 or done.repaid == 0


def the_queue_is_in_order(before: Books, after: Books, done: Flushed) -> None:
    """Nobody younger is filled before all that is worth anything of the older is."""
    del done
    kind = RequestKind.REDEEM_MAIN
    rows = [row for row, each in enumerate(before.requests) if each.kind == kind]
    pairs = [
        (before.requests[row], after.requests[row])
        for row in rows
        if before.requests[row].status == RequestStatus.OPEN
        and after.requests[row].status in (RequestStatus.OPEN, RequestStatus.FILLED)
    ]
    dates = dates_of([one for one, _ in pairs])
    filled = {id(one): other.filled - one.filled for one, other in pairs}
    for older, younger in pairwise(dates):
        if sum(filled[id(each)] for each in younger) > 0:
            worthless = 1 + (after.main_shares + 1) // max(1, after.main)
            assert all(each.amount - filled[id(each)] <= 2 * worthless for each in older)
    for date in dates:
        _is_pro_rata(date, filled, 4 + 4 * (after.main_shares + 1) // max(1, after.main))


def _is_pro_rata(date: list[Request], filled: dict[int, int], units: int) -> None:
    """Whether all of a date got the same part, a few units of rounding apart."""
    for one in date:
        for other in date:
            apart = filled[id(one)] * other.amount - filled[id(other)] * one.amount
            assert abs(apart) <= units * (one.amount + other.amount)


def exits_are_gated(before: Books, after: Books, done: Flushed) -> None:
    """A stressed pool lets a fifth go at most, one that winds down none but by crossing."""
    if done.condition == Condition.WINDDOWN:
        assert after.main_shares == before.main_shares
        assert after.insurance_shares == before.insurance_shares
    if done.condition == Condition.STRESSED:
        gone = before.main_shares - after.main_shares
        assert gone <= down(before.main_shares, before.parameters.stressed_share_ppm, 10**6)


def limits_are_kept(before: Books, after: Books, done: Flushed) -> None:
    """Whoever was filled whole in this flush got at least what was asked for."""
    del done
    for one, other in zip(before.requests, after.requests, strict=True):
        is_whole = one.status == RequestStatus.OPEN and one.filled == 0
        if is_whole and other.status == RequestStatus.FILLED:
            assert other.paid >= one.min_out


def check_flush(before: Books, after: Books, done: Flushed) -> None:
    """Check every promise of a flush that was done and did not end the pool."""
    if not done.done or after.is_exhausted:
        return
    nobody_is_diluted(before, after, done)
    claims_keep_their_bounds(before, after, done)
    the_queue_is_in_order(before, after, done)
    exits_are_gated(before, after, done)
    limits_are_kept(before, after, done)
