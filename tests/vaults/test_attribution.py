"""Profit and loss by its causes: against the same book revalued, and across a restart."""

import pytest

from amm.units import MINUTE_MS, ONE
from tests.vaults.harness import BTC, ETH, Bench, funded
from vaults.invariants import states_are_equal
from vaults.moves import FLOWS, Flow
from vaults.params import Parameters
from vaults.state import STORED, empty_state
from vaults.tick import remark
from vaults.valuation import mark_series


def book_of(bench: Bench) -> Bench:
    """Buy calls and puts on both underlyings, and measure from there."""
    account = bench.account()
    bench.open(account, 120 * ONE, 105_000)
    bench.open(account, 80 * ONE, 95_000, is_call=False)
    bench.open(account, 60 * ONE, 4_100, underlying=ETH)
    bench.tick()
    return bench


def liability(bench: Bench) -> float:
    """Return what the open book is worth at the mark, in base units."""
    total = 0.0
    for slot in range(int(bench.pool.series_count)):
        mark_series(bench.state, bench.rules, bench.market, slot)
        notional = float(bench.state.series[slot].open_notional)
        total += notional * float(bench.state.marks[slot].value)
    return total


def parts(bench: Bench) -> tuple[int, int, int]:
    """Return the totals of delta, gamma and vega."""
    return bench.flow(Flow.DELTA), bench.flow(Flow.GAMMA), bench.flow(Flow.VEGA)


@pytest.mark.parametrize(
    ("btc", "eth", "btc_vol", "eth_vol", "unexplained"),
    [
        (100_300.0, 4_000.0, 0.5, 0.6, 0.002),
        (99_500.0, 4_020.0, 0.5, 0.6, 0.005),
        (100_000.0, 4_000.0, 0.505, 0.59, 0.02),
        (100_400.0, 3_990.0, 0.495, 0.605, 0.02),
    ],
)
def test_slopes_explain_a_small_move(
    btc: float, eth: float, btc_vol: float, eth_vol: float, unexplained: float
) -> None:
    """What the book's value has changed by is delta, gamma and vega, to a higher order."""
    bench = book_of(funded())
    before, worth = parts(bench), liability(bench)
    bench.tick(btc, eth, btc_vol=btc_vol, eth_vol=eth_vol)
    gained = worth - liability(bench)
    told = [now - then for now, then in zip(parts(bench), before, strict=True)]
    largest = max(abs(each) for each in told)
    assert largest > ONE // 200
    assert abs(gained - sum(told)) < unexplained * largest


def test_main_is_short_what_holders_hold() -> None:
    """Holders' calls gain when the index rises, their convexity always, and all by vol."""
    bench = funded()
    bench.open(bench.account(), 100 * ONE, 100_000)
    bench.tick()
    bench.tick(btc=100_500.0)
    rise = parts(bench)
    assert rise[0] < 0
    assert rise[1] < 0
    assert rise[2] == 0
    bench.tick(btc=100_000.0, btc_vol=0.52)
    fall = parts(bench)
    assert fall[0] > rise[0]
    assert fall[1] < rise[1]
    assert fall[2] < 0


def test_a_small_move_in_steps_is_told_like_one_in_one() -> None:
    """Measured every minute or after an hour: the sum is the same, to the order of the move."""
    often = book_of(funded())
    seldom = book_of(funded(parameters=Parameters(measure_ms=60 * MINUTE_MS)))
    worth = liability(often)
    for step in range(1, 61):
        for bench in (often, seldom):
            bench.tick(btc=100_000.0 + 5.0 * step)
    gained = worth - liability(often)
    seldom.warm(60)
    for bench in (often, seldom):
        assert sum(parts(bench)) == pytest.approx(gained, rel=5e-3)


def test_it_is_measured_no_more_often_than_asked() -> None:
    """Each underlying by its own time; with 0, never."""
    bench = book_of(funded(parameters=Parameters(measure_ms=5 * MINUTE_MS)))
    measured = int(bench.state.books[BTC].measured_ms)
    ticks = 0
    while int(bench.state.books[BTC].measured_ms) == measured:
        bench.tick(btc=100_500.0)
        ticks += 1
    assert int(bench.state.books[BTC].measured_ms) - measured == 5 * MINUTE_MS
    never = book_of(funded(parameters=Parameters(measure_ms=0)))
    never.tick(btc=100_500.0)
    assert parts(never) == (0, 0, 0)
    assert int(never.state.books[BTC].measured_ms) == 0


def test_a_state_read_back_goes_on_measuring_where_it_was() -> None:
    """Only what is stored counts: rebuilt from moves, the next tick tells the same."""
    bench = book_of(funded())
    again = bench.copy()
    again.state = empty_state(FLOWS)
    for part in STORED:
        getattr(again.state, part)[:] = getattr(bench.state, part)
    remark(again.state, again.rules, again.market)
    for each in (bench, again):
        each.tick(btc=100_500.0)
    assert parts(again)[0] != 0
    assert states_are_equal(bench.state, again.state)


def test_an_empty_book_gains_nothing() -> None:
    """Nor does one whose underlying has not moved."""
    bench = funded()
    bench.tick(btc=90_000.0)
    assert parts(bench) == (0, 0, 0)
    still = book_of(funded())
    before = parts(still)
    still.warm(3)
    assert parts(still) == before
