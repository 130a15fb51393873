"""Buying where impact is small and selling where it is large: refunds are capped by payments."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.amm.mutants import MARKET, POOL, SERIES, Desk, Market, Uncapped, series_of

TRADED = [SERIES[number] for number in (2, 4, 7, 12, 19)]
"""An ATM and an OTM call, an ATM put, on BTC; an ATM call and an ITM put on ETH."""


class Move(NamedTuple):
    """Go to other indices, relative to the first ones, and vols."""

    indices: tuple[float, float]
    vols: tuple[float, float]


class Trade(NamedTuple):
    """Open `size` tokens where `opens`, else close this share of what is held."""

    account: int
    number: int
    opens: bool
    size: float
    share: float


PAIRS = {"first": st.floats(0.6, 1.6), "vol": st.floats(0.2, 1.5)}
STEPS = st.builds(
    Move,
    indices=st.tuples(PAIRS["first"], PAIRS["first"]),
    vols=st.tuples(PAIRS["vol"], PAIRS["vol"]),
) | st.builds(
    Trade,
    account=st.integers(0, 2),
    number=st.integers(0, len(TRADED) - 1),
    opens=st.booleans(),
    size=st.floats(-3, 0.3).map(lambda power: POOL * 10**power),
    share=st.floats(0.01, 1) | st.just(1.0),
)


class Ledger:
    """Impact paid and refunded of every position of a desk, as it trades along a path."""

    def __init__(self, rule: type[Desk]) -> None:
        self.desk = rule(MARKET, TRADED)
        self.paid: dict[tuple[int, int], list[float]] = {}
        self.refunded: dict[tuple[int, int], list[float]] = {}

    def do(self, step: Move | Trade) -> None:
        """Move the market, or trade; a closing of nothing does nothing."""
        if isinstance(step, Move):
            pairs = zip(step.indices, MARKET.indices, strict=True)
            first, second = (factor * index for factor, index in pairs)
            self.desk.move(Market((first, second), step.vols))
            return
        key = step.account, step.number
        if step.opens:
            quote = self.desk.open(*key, step.size)
            self.paid.setdefault(key, []).append(quote.impact)
        elif key in self.paid and self.desk.positions[key].notional > 0.0:
            bid = self.desk.close(*key, step.share * self.desk.positions[key].notional)
            self.refunded.setdefault(key, []).append(bid.refund)

    def close_all(self) -> None:
        """Return every account to flat."""
        for account, number in list(self.paid):
            self.do(Trade(account, number, False, 0.0, 1.0))


@given(st.lists(STEPS, max_size=20))
def test_no_position_is_refunded_more_than_it_paid(steps: list[Move | Trade]) -> None:
    """On any path of the market, of any accounts, at any time; signed, once it is flat."""
    ledger = Ledger(Desk)
    for step in steps:
        ledger.do(step)
        for key, refunded in ledger.refunded.items():
            paid = sum(max(impact, 0.0) for impact in ledger.paid[key])
            assert sum(refunded) <= paid * (1 + 1e-12) + 1e-12
    ledger.close_all()
    for key, position in ledger.desk.positions.items():
        assert (position.notional, position.impact_paid) == (0.0, 0.0)
        paid = ledger.paid[key]
        slack = 1e-12 * sum(map(abs, paid))
        assert sum(ledger.refunded[key]) <= sum(paid) + slack


def test_without_the_cap_a_path_refunds_more() -> None:
    """The mutant, in the same ledger: bought far from the strike, sold at it."""
    farmed = {}
    for rule in (Desk, Uncapped):
        ledger = Ledger(rule)
        ledger.do(Move((0.9, 1.0), MARKET.vols))
        ledger.do(Trade(0, 0, True, POOL, 0.0))
        ledger.do(Move((1.0, 1.0), MARKET.vols))
        ledger.close_all()
        farmed[rule] = sum(ledger.refunded[0, 0]) / sum(ledger.paid[0, 0])
    assert farmed[Desk] == pytest.approx(1.0, rel=1e-12)
    assert farmed[Uncapped] > 2.0


def test_parts_are_refunded_in_proportion() -> None:
    """A quarter takes a quarter of what was paid, later openings blend in, and nothing is left."""
    desk = Desk(MARKET, TRADED)
    first = desk.open(0, 0, POOL).impact
    desk.close(0, 0, 0.25 * POOL)
    assert desk.positions[0, 0].impact_paid == pytest.approx(0.75 * first, rel=1e-14)
    second = desk.open(0, 0, 0.25 * POOL).impact
    assert desk.positions[0, 0].impact_paid == pytest.approx(0.75 * first + second, rel=1e-14)
    desk.close(0, 0, POOL)
    assert desk.positions[0, 0].impact_paid == 0.0


def test_a_rebate_is_paid_back() -> None:
    """Who was spared the spread for relieving the book owes it when the book is empty again."""
    desk = Desk(MARKET, TRADED, [POOL])
    hedge = desk.open(0, 2, 0.1 * POOL)
    assert hedge.impact == -hedge.spread
    desk.open_notional[0] = 0.0
    bid = desk.close(0, 2, 0.1 * POOL)
    assert bid.refund == -hedge.spread
    assert bid.gross == pytest.approx(bid.mid - 2.0 * bid.spread, rel=1e-14)


def farming_profits(rule: type[Desk], paths: int = 400) -> np.ndarray:
    """Buy a call 15 % out of the money for twice N_ref, sell at the strike or after five days.

    Returned is the profit beyond the change in value: with its premium a position's value is a
    martingale, so the rest decides whether this gains.
    """
    random = np.random.default_rng(11)
    vol, strike, hours = 0.7, 1.15 * MARKET.indices[0], 120
    hourly = vol * np.sqrt(1 / (365 * 24))
    steps = hourly * random.standard_normal((paths, hours)) - 0.5 * hourly**2
    indices = MARKET.indices[0] * np.exp(np.cumsum(steps, axis=1))
    reached = indices >= strike
    stop = np.where(reached.any(axis=1), reached.argmax(axis=1), hours - 1)
    profits = np.empty(paths)
    for path, index in enumerate(indices[np.arange(paths), stop].tolist()):
        desk = rule(Market(MARKET.indices, (vol, 0.65)), [series_of(0, True, strike)])
        ask = desk.open(0, 0, 2.0 * POOL)
        desk.move(Market((index, MARKET.indices[1]), (vol, 0.65)))
        bid = desk.close(0, 0, 2.0 * POOL)
        profits[path] = (bid.gross - bid.fee - bid.mid) - (ask.total - ask.mid)
    return profits


def test_farming_loses_on_every_path() -> None:
    """With capped refunds not one path brings back its spreads and fees."""
    assert farming_profits(Desk).max() < 0.0


def test_without_the_cap_farming_gains() -> None:
    """The mutant gains in expectation, after spreads and fees: four standard errors above 0."""
    profits = farming_profits(Uncapped)
    assert profits.mean() - 4.0 * profits.std() / np.sqrt(profits.size) > 0.0
