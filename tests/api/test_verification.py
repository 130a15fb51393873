"""A flush computed again though the epoch had splits, a dividend, requests taken back."""

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest

from amm.units import MINUTE_MS, ONE
from api.bundles import FlushBundle
from api.exchange import Exchange
from api.verification import verify
from tests.api.conftest import START_MS, tick
from vaults.commands import (
    DIVIDEND,
    SPLIT,
    AdoptParameters,
    AnnounceAction,
    ApplyAction,
    Cancel,
    Command,
    Credit,
    Flush,
    ListToken,
    Open,
    Request,
    SetParameters,
)
from vaults.moves import RequestKind
from vaults.params import Parameters

TOKEN = "ODD.M"
HOUR_MS = 3_600_000
RULES = Parameters(
    flush_period_ms=HOUR_MS,
    flush_offset_ms=0,
    cutoff_ms=0,
    cooldown_ms=0,
    window_marks_min=0,
    unsettled_move=1.0,
    cover_period_flushes=2,
    cover_least_ppm=0,
    cover_deductible_ppm=0,
)
ODD = 33_333_333_337
"""An amount that no ratio here divides."""
OUT_OF_REACH = 2**53 - 1


class Book:
    """A token with LPs in both pools and a position, after two flushes."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.now_ms = START_MS + 120_000
        self.rules = RULES
        self.do(ListToken(TOKEN, self.now_ms, RULES))
        for account in ("buyer", "provider"):
            self.do(Credit(TOKEN, account, 5_000 * ONE, self.now_ms))
        self.request(RequestKind.DEPOSIT_MAIN, 3 * ODD)
        self.request(RequestKind.DEPOSIT_INSURANCE, ODD)
        self.flush()
        strike, cost = 100_000 * ONE, 100 * ONE
        self.do(Open(TOKEN, "buyer", "BTC", "call", strike, 50 * ONE, cost, self.now_ms))
        self.request(RequestKind.REDEEM_MAIN, ODD // 7, OUT_OF_REACH)
        self.flush()

    def do(self, command: Command) -> int:
        """Execute a command; return the row it made."""
        outcome = self.exchange.execute(command, f"k{self.exchange.journal_length}").outcome
        assert outcome.code == 0, (command, outcome)
        return outcome.row

    def request(self, kind: RequestKind, amount: int, min_out: int = 0) -> int:
        """Let the provider ask for something."""
        return self.do(Request(TOKEN, "provider", int(kind), amount, self.now_ms, min_out))

    def split(self, numerator: int, denominator: int) -> None:
        """Split the token."""
        self.do(AnnounceAction(TOKEN, SPLIT, self.now_ms, self.now_ms, numerator, denominator))
        self.do(ApplyAction(TOKEN, self.now_ms))

    def flush(self, btc: int = 100_000) -> None:
        """Flush when it is due; a jump of the index is believed once it has lasted."""
        self.now_ms = int(self.exchange.memory.tokens[TOKEN].state.pool[0].next_flush_ms)
        for minutes in (3, 2, 1, 0):
            tick(self.exchange, self.now_ms - minutes * MINUTE_MS, btc)
        self.do(Flush(TOKEN, self.now_ms))
        self.exchange.commit()

    def bundle(self, number: int) -> FlushBundle:
        """Return a bundle as anybody gets it."""
        found = self.exchange.store.bundle(TOKEN, number)
        assert found is not None
        return msgspec.json.decode(found[0], type=FlushBundle)

    def assert_verified(self) -> None:
        """Compute every flush again."""
        previous = None
        for number in range(1, int(self.exchange.memory.tokens[TOKEN].state.pool[0].flushes) + 1):
            bundle = self.bundle(number)
            first = verify(bundle, previous).first
            assert first is None, (number, first)
            previous = bundle


@pytest.fixture
def book(exchange: Exchange) -> Book:
    return Book(exchange)


@pytest.mark.parametrize(
    "ratios", [[(1, 3)], [(7, 2)], [(1, 3), (7, 2)], [(3, 1), (1, 3)], [(1, 61), (64, 1), (1, 7)]]
)
def test_splits_round_every_amount_down_one_after_another(
    book: Book, ratios: list[tuple[int, int]]
) -> None:
    """With a position, requests that wait, an advance and a loss; two splits are not their product.

    The second epoch has a split too: the flush before it knows of the first ones.
    """
    book.flush(btc=112_000)
    assert book.bundle(3).advances_after
    for numerator, denominator in ratios:
        book.request(RequestKind.DEPOSIT_MAIN, ODD // 11, OUT_OF_REACH)
        book.split(numerator, denominator)
    book.flush(btc=111_000)
    book.split(2, 3)
    book.flush(btc=105_000)
    book.assert_verified()
    assert [(each.numerator, each.denominator) for each in book.bundle(5).splits] == [
        *ratios,
        (2, 3),
    ]


def test_the_least_notional_stays_within_its_range(book: Book) -> None:
    """Beyond it splits change the amounts and not the parameter; the next is from what it was."""
    for ratio in ((1, 1000), (1, 7), (3, 2)):
        book.split(*ratio)
    book.flush()
    assert book.bundle(3).parameters["notional_min"] == 1_500
    book.assert_verified()


def test_a_split_in_the_millisecond_of_a_flush_belongs_to_the_epoch_it_is_in(book: Book) -> None:
    """Before the flush or after it: a time does not tell."""
    book.split(1, 3)
    book.flush()
    book.split(7, 2)
    book.flush()
    book.assert_verified()
    assert [len(book.bundle(number).splits) for number in (2, 3, 4)] == [0, 1, 2]


def test_a_dividend_and_new_parameters_beside_splits(book: Book) -> None:
    book.do(AnnounceAction(TOKEN, DIVIDEND, book.now_ms, book.now_ms, amount=7 * ODD))
    book.do(ApplyAction(TOKEN, book.now_ms, "paid"))
    book.split(1, 3)
    book.flush()
    seed, least = (int(book.bundle(3).parameters[name]) for name in ("seed", "notional_min"))
    changed = RULES._replace(seed=seed, notional_min=least, fee=0.001)
    number = book.do(SetParameters(TOKEN, changed, book.now_ms, book.now_ms))
    book.do(AdoptParameters(TOKEN, number, book.now_ms))
    book.split(7, 2)
    book.flush()
    book.assert_verified()
    assert book.bundle(4).parameters["fee"] == 0.001


def test_deposits_taken_back_are_no_difference(book: Book) -> None:
    """Whole ones, and one that came too late for the flush."""
    taken = book.request(RequestKind.DEPOSIT_MAIN, ODD // 5)
    book.do(Cancel(TOKEN, "provider", taken, book.now_ms))
    book.request(RequestKind.DEPOSIT_INSURANCE, ODD // 5, OUT_OF_REACH)
    book.flush()
    book.assert_verified()


def more(text: str, by: int = 1) -> str:
    """Return an amount and a few base units."""
    return format(Decimal(text) + Decimal(by).scaleb(-8), "f")


def lie_about_a_split(bundle: FlushBundle) -> None:
    bundle.splits[-1].numerator += 1


def hide_the_splits(bundle: FlushBundle) -> None:
    bundle.splits.clear()


def change_the_order(bundle: FlushBundle) -> None:
    bundle.splits.reverse()


def move_a_unit(bundle: FlushBundle) -> None:
    bundle.opened.nav = more(bundle.opened.nav)


def lie_about_the_cover(bundle: FlushBundle) -> None:
    bundle.before.peak_insurance = more(bundle.before.peak_insurance)


def lie_about_the_seed(bundle: FlushBundle) -> None:
    bundle.parameters["seed"] += 1


@pytest.mark.parametrize(
    "forge",
    [
        lie_about_a_split,
        hide_the_splits,
        change_the_order,
        move_a_unit,
        lie_about_the_cover,
        lie_about_the_seed,
    ],
)
def test_a_unit_more_than_the_splits_leave_is_a_difference(
    book: Book, forge: Callable[[FlushBundle], None]
) -> None:
    book.split(1, 3)
    book.split(7, 2)
    book.flush()
    bundle = book.bundle(3)
    assert verify(bundle, book.bundle(2)).first is None
    forge(bundle)
    assert verify(bundle, book.bundle(2)).first is not None


def test_more_given_back_than_was_asked_for_is_a_difference(book: Book) -> None:
    bundle = book.bundle(2)
    flows = bundle.closed.flows
    flows["deposit_returned"] = more(flows["deposit_returned"])
    first = verify(bundle, book.bundle(1)).first
    assert first is not None
    assert first.where == "deposits that wait"
