"""A series at the mark: the values the book is marked with, of any series."""

import pytest

from amm.units import E15, ONE
from tests.vaults.harness import BTC, ETH, Bench, clone, funded
from vaults.invariants import states_are_equal
from vaults.ticker import Ticker, ticker


def shown(bench: Bench, strike: float, underlying: int = BTC, is_call: bool = True) -> Ticker:
    inputs = (bench.state, bench.rules, bench.market, underlying, is_call)
    return ticker(*inputs, round(strike * ONE))


def test_a_live_series_shows_its_mark() -> None:
    """Value and premium are those it is marked with, rent included."""
    bench = funded()
    account = bench.account()
    bench.open(account, 300 * ONE, 105_000)
    bench.open(account, 200 * ONE, 4_100, underlying=ETH, is_call=False)
    bench.change(rent_from=0.0)
    bench.tick()
    for slot, (strike, underlying, is_call, held) in enumerate(
        [(105_000, BTC, True, 300), (4_100, ETH, False, 200)]
    ):
        mark, told = bench.state.marks[slot], shown(bench, strike, underlying, is_call)
        assert told.value == mark.value
        assert told.premium_rate == mark.rate_e15 / E15
        assert mark.rent_e15 > 0
        assert (told.open_notional, told.is_listed) == (held * ONE, True)


def test_one_that_was_never_traded_shows_what_it_would_be() -> None:
    """On the terms it would be listed on; nothing is listed by looking."""
    bench = funded()
    before = clone(bench.state)
    told = shown(bench, 105_000)
    assert states_are_equal(before, bench.state)
    assert (told.open_notional, told.is_listed) == (0, False)
    bench.open(bench.account(), ONE // 10, 105_000)
    assert shown(bench, 105_000) == told._replace(open_notional=ONE // 10, is_listed=True)
    assert shown(bench, 105_000, is_call=False).is_listed is False


def test_greeks_are_slopes_of_the_value() -> None:
    """Delta and gamma against bumps of the index at an unchanged vol, per unit of moneyness."""
    bench, strike, bump = funded(), 105_000, 10.0
    here = shown(bench, strike)
    values = []
    for price in (100_000 + bump, 100_000 - bump):
        bench.publish(BTC, price, 0.5)
        values.append(shown(bench, strike))
    up, down = values
    moneyness = bump / strike
    assert (up.value - down.value) / (2 * moneyness) == pytest.approx(here.delta, rel=1e-4)
    assert (up.delta - down.delta) / (2 * moneyness) == pytest.approx(here.gamma, rel=1e-3)
    bench.publish(BTC, 100_000, 0.5001)
    more = shown(bench, strike)
    assert more.vol - here.vol == pytest.approx(1e-4, rel=1e-6)
    assert (more.value - here.value) / 1e-4 == pytest.approx(here.vega, rel=1e-2)
