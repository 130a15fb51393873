"""A token that does not follow its stock takes no deposits; nobody who wants to leave is kept."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm.units import MINUTE_MS, ONE
from api.depeg import AGE_MAX_MS, GAP_MAX_MS, LASTS_MS, StockPrice, Stocks
from api.exchange import Exchange
from api.recovery import check_database
from api.sessions import Session
from api.storage.store import open_store
from tests.api.conftest import START_MS, TOKEN
from vaults.commands import AllowDeposits, Cancel, HoldDeposits, Open, Request, Withdraw
from vaults.moves import RequestKind
from vaults.rejects import Reject

NOW = START_MS + MINUTE_MS
OPEN = Session("REGULAR", "EXTENDED", 0)
CLOSED = Session("CLOSED", "OVERNIGHT", 0)


def price(token: float, minute: float, *, halted: bool = False) -> StockPrice:
    """Return the price of a token whose stock is at 100, and which stands for two of it."""
    at_ms = NOW + round(minute * MINUTE_MS)
    return StockPrice(100 * ONE, 2 * ONE, round(token * ONE), at_ms, halted)


def moves(
    *prices: tuple[float, float], session: Session | None = OPEN, stocks: Stocks | None = None
) -> list[str | None]:
    stocks = stocks or Stocks()
    return [stocks.take("T", price(*each), session) for each in prices]


@pytest.mark.parametrize(
    ("token", "is_away"),
    [(200.0, False), (206.0, False), (206.00000001, True), (194.0, False), (193.99999999, True)],
)
def test_three_per_cent_is_near(token: float, is_away: bool) -> None:
    assert price(token, 0).is_away == is_away
    assert price(token, 0).reference_e8 == 200 * ONE


def test_ten_minutes_away_hold_and_ten_near_allow() -> None:
    away = [(190.0, float(minute)) for minute in range(0, 12, 2)]
    near = [(201.0, float(minute)) for minute in range(12, 24, 2)]
    assert moves(*away, *near) == [*[None] * 5, "hold", *[None] * 5, "allow"]


def test_one_price_between_begins_anew() -> None:
    assert moves((190, 0), (190, 4), (199, 8), (190, 9), (190, 13), (190, 18)) == [None] * 6


def test_a_silence_begins_anew() -> None:
    gap = GAP_MAX_MS / MINUTE_MS
    assert moves((190, 0), (190, gap), (190, 2 * gap)) == [None, None, "hold"]
    assert moves((190, 0), (190, gap), (190, 2 * gap + 0.1)) == [None] * 3


def test_no_price_of_the_token_begins_anew() -> None:
    assert moves((190, 0), (190, 4), (0, 8), (190, 9), (190, 11), (190, 15)) == [None] * 6


@pytest.mark.parametrize("session", [CLOSED, None])
def test_while_the_stock_is_closed_deposits_are_held_but_not_allowed(
    session: Session | None,
) -> None:
    stocks = Stocks()
    away = [(190.0, float(minute)) for minute in range(0, 12, 2)]
    near = [(200.0, float(minute)) for minute in range(12, 60, 4)]
    assert moves(*away, session=session, stocks=stocks)[-1] == "hold"
    assert moves(*near, session=session, stocks=stocks) == [None] * len(near)
    opened = [(200.0, float(minute)) for minute in range(60, 74, 4)]
    # The last price while it was closed is the first of the ten minutes.
    assert moves(*opened, stocks=stocks)[-1] == "allow"


def test_a_stock_that_is_halted_says_little() -> None:
    stocks = Stocks()
    for minute in range(0, 40, 4):
        assert stocks.take("T", price(200, minute, halted=True), OPEN) is None
    assert stocks.is_halted("T")
    assert not stocks.is_halted("U")


def test_the_operator_s_word_begins_anew() -> None:
    stocks = Stocks()
    moves((190, 0), (190, 4), (190, 8), stocks=stocks)
    stocks.forget("T")
    assert moves((190, 10), (190, 14), (190, 18), stocks=stocks) == [None] * 3


def test_what_is_timely() -> None:
    stocks = Stocks()
    assert stocks.is_timely("T", price(200, 0), NOW + AGE_MAX_MS)
    assert not stocks.is_timely("T", price(200, 0), NOW + AGE_MAX_MS + 1)
    assert not stocks.is_timely("T", price(200, 1), NOW)
    stocks.take("T", price(200, 2), OPEN)
    assert stocks.is_timely("T", price(200, 2), NOW + 3 * MINUTE_MS)
    assert not stocks.is_timely("T", price(200, 1), NOW + 3 * MINUTE_MS)


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 8)), max_size=40))
def test_nothing_changes_in_less_than_ten_minutes(steps: list[tuple[int, int]]) -> None:
    """And a change is what the last price says."""
    stocks, minute, told = Stocks(), 0, list[tuple[int, str]]()
    for token, later in steps:
        minute += later
        move = stocks.take("T", price(token, minute), OPEN)
        if move is not None:
            told.append((minute, move))
            assert (move == "hold") == price(token, minute).is_away
    for (first, one), (second, other) in pairwise([(0, ""), *told]):
        if one != other:
            assert (second - first) * MINUTE_MS >= LASTS_MS


# -- deposits


def code(exchange: Exchange, command: object, key: str) -> int:
    return exchange.execute(command, key).outcome.code  # type: ignore[arg-type]


def test_held_deposits_are_refused_and_nothing_else_is(exchange: Exchange) -> None:
    """Also after the writer has died, by the tables and by the journal."""

    def deposit(kind: RequestKind, key: str) -> int:
        return code(exchange, Request(TOKEN, "provider", kind, ONE, NOW), key)

    assert deposit(RequestKind.DEPOSIT_MAIN, "before") == Reject.NONE
    assert code(exchange, HoldDeposits(TOKEN, NOW), "hold") == Reject.NONE
    assert deposit(RequestKind.DEPOSIT_MAIN, "main") == Reject.DEPOSITS_HELD
    assert deposit(RequestKind.DEPOSIT_INSURANCE, "insurance") == Reject.DEPOSITS_HELD
    assert deposit(RequestKind.REDEEM_MAIN, "redeem") == Reject.SHARES_EXCEED_HOLDING
    assert code(exchange, Cancel(TOKEN, "provider", 0, NOW), "cancel") == Reject.NONE
    assert code(exchange, Withdraw(TOKEN, "provider", ONE, NOW), "withdraw") == Reject.NONE
    bought = Open(TOKEN, "buyer", "BTC", "call", 100_000 * ONE, ONE // 10, ONE, NOW)
    assert code(exchange, bought, "open") == Reject.NONE
    exchange.checkpoint()
    assert check_database(exchange.store).faults == []
    path = exchange.store.url
    exchange.store.close()
    again = Exchange(open_store(path))
    try:
        assert again.memory.held == {TOKEN}
        asked = Request(TOKEN, "provider", RequestKind.DEPOSIT_MAIN, ONE, NOW)
        assert code(again, asked, "again") == Reject.DEPOSITS_HELD
        assert code(again, AllowDeposits(TOKEN, NOW), "allow") == Reject.NONE
        assert code(again, asked, "allowed") == Reject.NONE
        again.commit()
        assert check_database(again.store).faults == []
    finally:
        again.store.close()
