"""The premium stream of the twin: indices, what is owed, settlements, allowances."""

from fractions import Fraction
from math import floor

from tests.twin.books import E15, LARGEST, MILLION, YEAR, Books, Position, down, up
from vaults.moves import Flow


def index_now(books: Books, row: int) -> int:
    """Return a series' index now: read from its last tick on, at most one gap ahead."""
    series = books.series[row]
    since = books.now - books.sampled[series.underlying].tick_ms
    elapsed = min(max(0, since), books.parameters.accrual_gap_ms)
    return max(series.index, series.tick_index + up(series.rate, elapsed, YEAR))


def accrue(books: Books, row: int, index: int) -> None:
    """Advance a series' index, counting premium and its rent part by whole units."""
    series = books.series[row]
    notional, added = books.notional(row), index - series.index
    before = series.receivable
    series.owed_e15 += notional * added
    series.index = index
    whole = series.receivable - before
    of_rent = floor(Fraction(added * min(series.rent, series.rate), series.rate or 1))
    rent = down(notional, of_rent, E15)
    books.flows[Flow.RENT_ACCRUED] += rent
    books.flows[Flow.PREMIUM_ACCRUED] += whole - rent


def owed(books: Books, position: Position) -> int:
    """Return what a position owes now: the ceiling of its part of the stream."""
    return up(position.notional, index_now(books, position.series) - position.entry, E15)


def owed_by(books: Books, account: int) -> int:
    """Return what an account owes now."""
    return sum(owed(books, each) for each in books.held_by(account))


def premium_over(notional: int, rate: int, duration: int) -> int:
    """Return the premium of some notional at a steady rate."""
    return up(notional, up(rate, duration, YEAR), E15)


def reserve_of(books: Books, account: int, duration: int) -> int:
    """Return what an account's positions will cost over a duration."""
    held = books.held_by(account)
    return sum(
        premium_over(each.notional, books.series[each.series].rate, duration) for each in held
    )


def _pay(books: Books, account: int, paid: int, due: int) -> None:
    """Split a premium between the pools; what is not paid is written off."""
    to_insurance = down(paid, books.phi, MILLION)
    books.accounts[account].balance -= paid
    books.insurance += to_insurance
    books.main += paid - to_insurance
    books.flows[Flow.PREMIUM_INSURANCE] += to_insurance
    books.flows[Flow.PREMIUM_MAIN] += paid - to_insurance
    books.flows[Flow.WRITTEN_OFF] += due - paid


def _bring_up(books: Books, position: Position) -> None:
    """Take what a position owed off its series' receivable."""
    index = index_now(books, position.series)
    accrue(books, position.series, index)
    passed = index - position.entry
    books.series[position.series].owed_e15 -= E15 * down(position.notional, passed, E15)
    position.entry = index


def settle(books: Books, account: int) -> None:
    """Take an account's premium up to now from its balance."""
    due = owed_by(books, account)
    _pay(books, account, min(due, books.accounts[account].balance), due)
    for each in books.held_by(account):
        _bring_up(books, each)


def settle_seller(books: Books, position: Position, proceeds: int) -> None:
    """Settle an account that was just paid for a position; if it cannot pay, the position alone."""
    balance = books.accounts[position.account].balance
    if owed_by(books, position.account) <= balance:
        settle(books, position.account)
        return
    due = owed(books, position)
    means = min(position.allowance + proceeds, balance)
    _pay(books, position.account, min(due, means), due)
    _bring_up(books, position)


def endow(books: Books, position: Position, allowance: int) -> None:
    """Put an allowance behind a position: key = entry + floor(b / N)."""
    del books
    position.allowance = allowance
    position.key = position.entry + min(down(allowance, E15, position.notional), LARGEST)


def allot(books: Books, account: int) -> None:
    """Divide a balance among an account's positions in proportion to their premium.

    A proportion is a whole number: 64ths of a unit of premium a year, and one more.
    """
    held = books.held_by(account)
    weights = [up(each.notional, books.series[each.series].rate, 64 * E15) + 1 for each in held]
    balance = books.accounts[account].balance
    for each, weight in zip(held, weights, strict=True):
        endow(books, each, down(balance, weight, sum(weights)))
    assert sum(each.allowance for each in held) <= balance


def is_due(books: Books, position: Position) -> bool:
    """Whether the premium of the next gap could pass a position's key."""
    series = books.series[position.series]
    return series.index + up(series.rate, books.parameters.accrual_gap_ms, YEAR) > position.key


def spendable(books: Books, account: int) -> int:
    """Return what an account can take out now: all but premium owed and an hour's reserve."""
    kept = owed_by(books, account) + reserve_of(books, account, books.parameters.keep_reserve_ms)
    return max(0, books.accounts[account].balance - kept)


def stream_rate(stream: int, rent: int, cap_ppm: int) -> tuple[int, int]:
    """Return a series' yearly rate in 1e-15, and rent's part of it: both round up."""
    of_rent = up(rent, cap_ppm, MILLION)
    return stream + of_rent, of_rent
