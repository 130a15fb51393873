"""Insurance of the twin: claims, repayments, write-offs, and what cover costs."""

from fractions import Fraction
from math import ceil, floor

from tests.twin.books import MILLION, Books, down, up
from vaults.moves import Flow

NEVER = 2**60
"""After any time."""


def peak(books: Books) -> int:
    """I_peak: the best insurance per share of the period, for today's shares, at least I."""
    cover = books.cover
    best = down(cover.peak, books.insurance_shares, cover.peak_shares)
    return max(books.insurance, best)


def available(books: Books, claimed: int) -> int:
    """Return what a claim could take: 30 % of the peak stays, at most half goes in a period."""
    parameters, cover = books.parameters, books.cover
    reserve = down(peak(books), parameters.insurance_reserve_ppm, MILLION)
    in_period = down(cover.insurance, parameters.cover_epoch_ppm, MILLION) - claimed
    return max(0, min(books.insurance - reserve, in_period))


def covered(books: Books, loss: int, claimed: int) -> int:
    """Return the claim of a loss within the period, before what is available: the layer of it."""
    parameters, nav = books.parameters, max(0, books.cover.nav)
    deductible = down(nav, parameters.cover_deductible_ppm, MILLION)
    layer = down(nav, parameters.cover_layer_ppm, MILLION)
    return min(max(0, loss - deductible - claimed), layer - claimed)


def claim_of(books: Books, pnl: int) -> int:
    """Return what insurance pays main at a flush, the period's P&L being `pnl`."""
    claimed = books.cover.claimed
    return max(0, min(covered(books, -pnl, claimed), available(books, claimed)))


def pay_claim(books: Books, claim: int) -> None:
    """Move a claim to main, which owes it from now on."""
    books.insurance -= claim
    books.main += claim
    books.flows[Flow.CLAIM] += claim
    books.advance(claim)


def repay(books: Books, amount: int) -> None:
    """Pay advances back, oldest first; what is left of a lot keeps its end."""
    if amount == 0:
        return
    books.main -= amount
    books.insurance += amount
    books.flows[Flow.REPAYMENT] += amount
    left = amount
    for day in sorted(books.lots):
        lot = books.lots[day]
        part = min(left, lot.remaining)
        if part > 0:
            lot.remaining -= part
            lot.amount = lot.remaining
            lot.since = max(lot.since, books.written_off)
            left -= part
    assert left == 0


def write_off(books: Books) -> None:
    """Write every lot off evenly: nothing is left at its end."""
    for lot in books.lots.values():
        left = max(0, lot.until - max(books.now, lot.since))
        remaining = ceil(Fraction(lot.amount * left, lot.until - lot.since))
        books.flows[Flow.ADVANCE_WRITTEN_OFF] += lot.remaining - remaining
        assert 0 <= remaining <= lot.remaining
        lot.remaining = remaining
    books.written_off = books.now


def write_off_all(books: Books) -> None:
    """Write off whatever is still owed."""
    if books.advances == 0:
        return
    books.written_off = NEVER
    books.flows[Flow.ADVANCE_WRITTEN_OFF] += books.advances
    for lot in books.lots.values():
        lot.amount = lot.remaining = 0


def price_of(books: Books, stress: int) -> int:
    """phi: by what the base stress would claim from here over what is available."""
    cover = books.cover
    there = available(books, cover.claimed)
    if there <= 0 or there < down(books.main, books.parameters.cover_least_ppm, MILLION):
        return 0
    loss = stress - cover.pnl
    need = max(0, covered(books, loss, cover.claimed)) / there
    return floor(_curve(need) * MILLION)


def _curve(need: float) -> float:
    """1 %, 1.5 %, 3 %, 8 % at a need of 0, 0.5, 1, 2 times what is available; a model's figure."""
    if need <= 0.5:
        return 0.010 + (0.015 - 0.010) * need / 0.5
    if need <= 1.0:
        return 0.015 + (0.030 - 0.015) * (need - 0.5) / 0.5
    return 0.030 + (0.080 - 0.030) * min(need - 1.0, 1.0)


def note_peak(books: Books) -> None:
    """Keep the highest insurance per share of the period."""
    cover = books.cover
    if books.insurance * cover.peak_shares > cover.peak * books.insurance_shares:
        cover.peak, cover.peak_shares = books.insurance, books.insurance_shares


def keep_track(books: Books, nav: int, gain: int, claim: int, is_new: bool) -> None:
    """Add a flush to the running period, or begin a new one with it."""
    cover = books.cover
    books.nav_after = nav
    cover.pnl += gain
    cover.claimed += claim
    if is_new:
        cover.insurance, cover.nav, cover.pnl, cover.claimed = books.insurance, nav, 0, 0
        cover.peak, cover.peak_shares = books.insurance, books.insurance_shares
    note_peak(books)


def redeemable(books: Books) -> int:
    """Return what insurance LPs can take: the reserve and what backs locks beyond M stay."""
    parameters = books.parameters
    reserve = up(peak(books), parameters.insurance_reserve_ppm, MILLION)
    beyond = max(0, books.locked - books.main)
    backs = up(beyond, MILLION, max(1, parameters.insurance_backing_ppm))
    return max(0, books.insurance - max(reserve, backs))


def next_flush(books: Books) -> int:
    """Return the first scheduled time after now."""
    period, offset = books.parameters.flush_period_ms, books.parameters.flush_offset_ms
    return ((books.now - offset) // period + 1) * period + offset
