"""What the pools of the twin are worth, can lock, and would lose."""

from enum import StrEnum
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple, Protocol

from tests.twin.books import DAY, E15, LARGEST, MILLION, Books, down, up


class UnitPrice(NamedTuple):
    """A model's figures for one unit of notional, in tokens."""

    value: float
    spread: float
    fee: float


class Values(NamedTuple):
    """A model's values of one unit of a series over the valuation window."""

    middle: float
    low: float
    high: float


class Window(NamedTuple):
    """How good the marks of an underlying are."""

    marks: int
    is_fresh: bool
    move: float


class Model(Protocol):
    """The numbers that come from prices: floats, and nothing that counts money."""

    def stream_e15(self, underlying: int, is_call: bool, strike_e8: int) -> int:
        """Return the yearly stream of one unit in 1e-15, rounded up, rent left out."""

    def values(self, row: int) -> Values:
        """Return the values of a series over the window."""

    def stress(self, row: int) -> tuple[float, float]:
        """Return what one unit gains in the base stress, index down and up."""

    def window(self, underlying: int) -> Window:
        """Return how good the marks of an underlying are."""

    def index_e8(self, underlying: int) -> int:
        """Return the index."""


class Condition(StrEnum):
    """How a pool whose marks are fresh stands."""

    NORMAL = "normal"
    STRESSED = "stressed"
    WINDDOWN = "winddown"
    EXHAUSTED = "exhausted"


class Nav(NamedTuple):
    """The three values of the main pool."""

    mid: int
    low: int
    high: int


def unvested(books: Books) -> int:
    """V: spread of each day vests evenly over the days after it."""
    term = books.parameters.vest_days * DAY
    total = 0
    for day, amount in books.spreads.items():
        left = min(max(0, (day + 1) * DAY + term - books.now), term)
        total += up(amount, left, term)
    return total


def receivable(books: Books) -> int:
    """Premium accrued and not settled."""
    return sum(each.receivable for each in books.series)


def accrued_to_main(books: Books) -> int:
    """A: main's share of it."""
    return down(receivable(books), MILLION - books.phi, MILLION)


def _liability(books: Books, model: Model) -> tuple[float, float, float]:
    """Return the book at middle, low and high values: models' figures, summed as such."""
    middle = low = high = 0.0
    exact = Fraction(0)
    for underlying in (0, 1):
        for row in books.live(underlying):
            notional, values = books.notional(row), model.values(row)
            assert values.low <= values.middle <= values.high
            middle += notional * values.middle
            low += notional * values.low
            high += notional * values.high
            exact += notional * Fraction(values.middle)
    assert abs(Fraction(middle) - exact) <= 1 + exact * Fraction(1, 10**13)
    return middle, low, high


def net_asset_value(books: Books, model: Model) -> Nav:
    """N_mid, N_lo and N_hi, by their definitions."""
    middle, low, high = _liability(books, model)
    cash = books.main + accrued_to_main(books)
    return Nav(
        mid=cash - ceil(middle) - books.refundable,
        low=cash - unvested(books) - books.advances - ceil(high) - books.refundable,
        high=cash - floor(low),
    )


def stress_of(
    books: Books, model: Model, extra: tuple[int, tuple[float, float], int] | None = None
) -> int:
    """RC: each underlying moves the worse way; `extra` is a position about to be added."""
    total = 0.0
    for underlying in (0, 1):
        fall = rise = 0.0
        for row in books.live(underlying):
            notional, (by_fall, by_rise) = books.notional(row), model.stress(row)
            fall += notional * by_fall
            rise += notional * by_rise
        if extra is not None and extra[0] == underlying:
            fall += extra[2] * extra[1][0]
            rise += extra[2] * extra[1][1]
        total += max(fall, rise, 0.0)
    return ceil(min(total, float(LARGEST)))


def capacity(books: Books, main: int, insurance: int) -> int:
    """M + K."""
    of_insurance = down(insurance, books.parameters.insurance_backing_ppm, MILLION)
    of_main = down(main, books.parameters.main_backing_ppm, MILLION)
    return main + min(of_insurance, of_main)


def used(locked: int, backed: int) -> float:
    """Return u."""
    return locked / backed if backed > 0 else 1.0


def rent_now(books: Books) -> int:
    """Return the yearly price of a locked token in 1e-15, doubled where redemptions wait."""
    parameters = books.parameters
    above = used(books.locked, capacity(books, books.main, books.insurance)) - parameters.rent_from
    part = min(max(above / (1.0 - parameters.rent_from), 0.0), 1.0)
    return ceil(parameters.rent_max * part * E15) * (2 if books.is_rent_doubled else 1)


def needed_for(books: Books, stress: int) -> int:
    """Return what NAV a base stress asks for: 1.25 times it, rounded up."""
    return ceil(stress * Fraction(str(books.parameters.free_stress)))


def condition_of(books: Books, nav: Nav, stress: int) -> Condition:
    """Return the condition of a pool at a valuation."""
    if books.is_exhausted:
        return Condition.EXHAUSTED
    if nav.mid < stress:
        return Condition.WINDDOWN
    return Condition.STRESSED if nav.low < needed_for(books, stress) else Condition.NORMAL
