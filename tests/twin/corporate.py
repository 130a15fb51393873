"""Corporate actions of the twin: a split multiplies every amount; a dividend is everybody's."""

from collections import Counter
from fractions import Fraction
from math import floor

from tests.twin.books import E15, LARGEST, MILLION, Books, Position, down
from tests.twin.premium import allot, endow, settle
from vaults.moves import Flow, RequestStatus


def _settle_all(books: Books, now: int) -> None:
    """Take every account's premium, so that nothing is owed in tokens that have changed."""
    books.now = now
    for row in range(len(books.accounts)):
        if books.held_by(row):
            settle(books, row)
            allot(books, row)


def _times(amount: int, ratio: Fraction) -> int:
    """Return an amount after a split: the floor, of what is negative too."""
    return floor(amount * ratio)


def _all_times(flows: Counter[Flow], ratio: Fraction) -> Counter[Flow]:
    """Return totals by flow after a split."""
    return Counter({flow: _times(total, ratio) for flow, total in flows.items()})


def _whole_lock(notional: int, cap_ppm: int) -> int:
    """Return the largest notional up to one whose lock is a whole number without rounding."""
    step = Fraction(cap_ppm, MILLION).denominator
    return notional // step * step


def split(books: Books, ratio: Fraction, now: int) -> None:
    """Multiply every amount by p/q: floors, and main has what they leave."""
    _settle_all(books, now)
    custody = _times(books.custody, ratio)
    own = _times(books.main, ratio)
    books.insurance = _times(books.insurance, ratio)
    books.fees = _times(books.fees, ratio)
    books.withdrawals = [(who, _times(amount, ratio)) for who, amount in books.withdrawals]
    for holder in books.accounts:
        holder.balance = _times(holder.balance, ratio)
    _split_requests(books, ratio)
    for position in list(books.positions.values()):
        _split_position(books, position, ratio)
    _split_records(books, ratio)
    others = books.balances + sum(_escrowed(books)) + books.pending + books.fees
    books.custody = custody
    books.main = custody - books.insurance - others
    books.flows = _all_times(books.flows, ratio)
    books.flows[Flow.SPLIT_DUST] += books.main - own


def _escrowed(books: Books) -> list[int]:
    """Return the tokens of every open deposit."""
    rows = [each for each in books.requests if each.is_deposit]
    return [each.amount for each in rows if each.status == RequestStatus.OPEN]


def _split_requests(books: Books, ratio: Fraction) -> None:
    """Scale what of a request is in tokens: shares stay as many."""
    for asked in books.requests:
        if asked.is_deposit:
            asked.amount = _times(asked.amount, ratio)
            asked.filled = _times(asked.filled, ratio)
        else:
            asked.min_out = _times(min(asked.min_out, LARGEST), ratio)
            asked.paid = _times(asked.paid, ratio)


def _split_position(books: Books, position: Position, ratio: Fraction) -> None:
    cap_ppm = books.series[position.series].terms.cap_ppm
    position.notional = _whole_lock(_times(position.notional, ratio), cap_ppm)
    position.impact = _times(position.impact, ratio)
    endow(books, position, _times(position.allowance, ratio))


def _split_records(books: Books, ratio: Fraction) -> None:
    """Scale what is remembered in tokens: spread, advances, the cover period, parameters."""
    books.spreads = {day: _times(amount, ratio) for day, amount in books.spreads.items()}
    for lot in books.lots.values():
        if lot.remaining > 0:  # begun again where it was last looked at, as by a repayment
            lot.amount = lot.remaining = _times(lot.remaining, ratio)
            lot.since = max(lot.since, books.written_off)
    books.nav_reference = _times(books.nav_reference, ratio)
    books.nav_after = _times(books.nav_after, ratio)
    cover = books.cover
    cover.insurance, cover.nav = _times(cover.insurance, ratio), _times(cover.nav, ratio)
    cover.pnl, cover.claimed = _times(cover.pnl, ratio), _times(cover.claimed, ratio)
    cover.peak = _times(cover.peak, ratio)
    closed = books.closed
    closed.nav, closed.insurance = _times(closed.nav, ratio), _times(closed.insurance, ratio)
    closed.accrued = _times(closed.accrued, ratio)
    closed.refundable = _times(closed.refundable, ratio)
    closed.flows = _all_times(closed.flows, ratio)
    for series in books.series:
        series.owed_e15 = E15 * _times(series.receivable, ratio)  # whole units are the amounts


def dividend(books: Books, amount: int, now: int) -> None:
    """Share tokens from outside among all custody; main has its part and the dust."""
    _settle_all(books, now)
    custody, left = books.custody, amount
    to_insurance = down(amount, books.insurance, custody)
    to_fees = down(amount, books.fees, custody)
    claims = [_claim(books, row) for row in range(len(books.accounts))]
    for row, claim in enumerate(claims):
        part = down(amount, claim, custody)
        books.accounts[row].balance += part
        left -= part
        allot(books, row)
    books.insurance += to_insurance
    books.fees += to_fees
    left -= to_insurance + to_fees
    books.main += left
    books.custody += amount
    books.nav_after += left
    books.flows[Flow.DIVIDEND] += amount


def _claim(books: Books, row: int) -> int:
    """Return what is an account's own: balance, deposits that wait, withdrawals on their way."""
    waiting = [each for each in books.requests if each.is_deposit and each.account == row]
    escrowed = sum(each.amount for each in waiting if each.status == RequestStatus.OPEN)
    leaving = sum(amount for who, amount in books.withdrawals if who == row)
    return books.accounts[row].balance + escrowed + leaving


def rescale(books: Books, ratio: Fraction) -> None:
    """Scale the parameters that are amounts."""
    parameters = books.parameters
    books.parameters = parameters._replace(
        seed=_times(parameters.seed, ratio), notional_min=_times(parameters.notional_min, ratio)
    )
