"""Splitting trades and going around in loops: the same search on our rule and on known mistakes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.amm.mutants import (
    MARKET,
    POOL,
    SERIES,
    Desk,
    EndPointVol,
    Leg,
    SharedUtilisation,
    Uncapped,
    best_loop,
    best_split,
    random_loop,
)

ROUNDING = 1e-12
"""Of a token per token traded: far below the base unit that every part is rounded by."""

SIZES = st.floats(-3, 0).map(lambda power: POOL * 10**power)
OTHERS = st.lists(st.just(0.0) | SIZES, max_size=len(SERIES))


@pytest.mark.parametrize("rule", [Desk, Uncapped])
def test_no_closed_loop_gains(rule: type[Desk]) -> None:
    """At one state of the market every loop costs more than its fees, by U alone too."""
    assert best_loop(rule, 400) < 0.0


@pytest.mark.parametrize("rule", [Desk, Uncapped])
def test_no_split_saves(rule: type[Desk]) -> None:
    """An opening in parts costs at least what it costs at once."""
    assert best_split(rule, 200) <= ROUNDING


def test_one_multiplier_for_all_series_is_looped() -> None:
    """The mutant sells cheap series to push the price of dear ones, in the same search."""
    assert best_loop(SharedUtilisation, 400) > 0.001


def test_pricing_at_the_vol_after_the_trade_is_split() -> None:
    """The mutant charges parts less than the whole, in the same search."""
    assert best_split(EndPointVol, 200) > 0.01


def test_loops_of_the_search_are_loops() -> None:
    """2 to 8 legs that sell only what is held, end flat, and cross accounts and series."""
    random = np.random.default_rng(1)
    crossing = longest = 0
    for _ in range(200):
        legs = random_loop(random)
        held: dict[tuple[int, int], float] = {}
        for account, series, notional in legs:
            held[account, series] = held.get((account, series), 0.0) + notional
            assert held[account, series] >= -1e-9
        assert max(map(abs, held.values())) <= 1e-9
        assert 2 <= len(legs) <= 8
        crossing += len({leg.account for leg in legs}) > 1 and len({leg.series for leg in legs}) > 1
        longest = max(longest, len(legs))
    assert crossing > 50
    assert longest == 8


@given(OTHERS, st.integers(0, len(SERIES) - 1), st.lists(SIZES, min_size=2, max_size=6))
def test_splitting_never_helps(others: list[float], number: int, parts: list[float]) -> None:
    """Openings in parts cost no less, and closings in parts bring no more while all pay their fee.

    A bid is never negative: who sells a position in parts keeps what the first ones bring even
    where the last ones would cost. To open it cost more than that, as the loops show.
    """
    whole, split = (Desk(MARKET, SERIES, others) for _ in range(2))
    size = sum(parts)
    at_once = whole.open(0, number, size).total
    in_parts = sum(split.open(0, number, part).total for part in parts)
    assert in_parts >= at_once * (1 - 1e-12)
    bid = whole.close(0, number, size)
    bids = [split.close(0, number, part) for part in parts]
    if all(each.gross > each.fee for each in bids):
        got = sum(each.gross - each.fee for each in bids)
        assert got <= (bid.gross - bid.fee) + 1e-12 * size


@given(OTHERS, st.permutations(range(len(SERIES))), st.lists(SIZES, min_size=2, max_size=5))
def test_openings_cost_at_least_the_charge_of_where_they_end(
    others: list[float], numbers: list[int], sizes: list[float]
) -> None:
    """In any order a sequence of openings pays at least the difference of U, and value and fees."""
    desk, ordered = (Desk(MARKET, SERIES, others) for _ in range(2))
    legs = [Leg(0, number, size) for number, size in zip(numbers, sizes, strict=False)]
    quotes = [desk.open(*leg) for leg in legs]
    differences = []
    for _, number, size in reversed(legs):
        differences.append(ordered.charge(number, size))
        ordered.open_notional[number] += size
    assert sum(quote.impact for quote in quotes) >= sum(differences) - 1e-11 * sum(sizes)
    assert all(quote.impact >= -quote.spread for quote in quotes)
