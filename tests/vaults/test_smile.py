"""Quotes, marks and scenarios on a smile: one surface, at the level each of them is due."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm.mixture import smile_value
from amm.perpetual import perpetual_value
from amm.scenarios import contract_value
from amm.ssvi import BTC_SURFACE, ETH_SURFACE, Ssvi, at_level
from amm.surface import strike_vol
from amm.units import MINUTE_MS, ONE
from tests.vaults.harness import BTC, BTC_TERMS, ETH, ETH_TERMS, Bench, funded
from vaults.nav import net_asset_value
from vaults.opening import price_opening
from vaults.risk import book_greeks, loss_table
from vaults.smile import buy_surface, mark_surface, sell_surface
from vaults.valuation import contract_of, value_book

pytestmark = pytest.mark.compiled

WEEK = 7.0 / 365.0
STRIKES = (72_000, 90_000, 100_000, 110_000, 135_000)


def smiling() -> Bench:
    """A funded bench on the default surfaces."""
    bench = funded()
    bench.reshape(BTC_SURFACE, ETH_SURFACE)
    bench.tick()
    return bench


def test_marks_are_the_exact_mixture_at_the_vol_level() -> None:
    """Of the notional to 1e-7; the cap is too far away to matter at a tenth of a strike."""
    bench = smiling()
    account = bench.account()
    for strike in (95_000, 100_000, 106_000):
        bench.open(account, 50 * ONE, strike)
    bench.tick(btc=101_000.0, btc_vol=0.45)
    surface = at_level(BTC_SURFACE, 0.45)
    for slot, strike in enumerate((95_000, 100_000, 106_000)):
        exact = smile_value(surface, True, 101_000 / strike, WEEK, 0.0, 0.0)
        assert bench.state.marks[slot].value == pytest.approx(exact, abs=1e-7)


def test_the_wings_cost_more_than_at_one_vol_and_the_money_the_same() -> None:
    flat, smile = funded(), smiling()
    flat.tick()
    for strike in (72_000, 100_000, 140_000):
        is_call = strike >= 100_000
        costs = [
            price_opening(
                each.state, each.rules, each.market, BTC, is_call, strike * ONE, ONE, each.now
            ).quote.mid
            for each in (flat, smile)
        ]
        ratio = costs[1] / costs[0]
        assert ratio > 1.3 if strike != 100_000 else ratio == pytest.approx(1.0, abs=0.05)


def test_carry_moves_the_smile_with_the_forward() -> None:
    """A quanto term of a token shifts forwards along the smile; the table follows it."""
    terms = BTC_TERMS._replace(correlation=0.4, funding_carry_e9=50_000_000)
    bench = Bench(terms=(terms, ETH_TERMS))
    bench.reshape(BTC_SURFACE, ETH_SURFACE)
    bench.tick()
    carry = 0.05 + 0.4 * 0.5 * bench.parameters.token_vol
    surface = mark_surface(bench.state, bench.rules, bench.market, BTC)
    for x in (0.8, 0.97, 1.0, 1.1):
        vol = strike_vol(surface, -math.log(x))
        value = perpetual_value(x < 1.0, x, vol, WEEK, 0.0, carry, math.inf)
        exact = smile_value(at_level(BTC_SURFACE, 0.5), x < 1.0, x, WEEK, 0.0, carry)
        assert value == pytest.approx(exact, abs=1e-8)


def test_buyers_and_sellers_meet_the_level_that_is_worse_for_them() -> None:
    bench = smiling()
    bench.market.oracle[BTC].target_vol_e9 = 550_000_000
    arguments = bench.state, bench.rules, bench.market, BTC
    mark, buy, sell = (each(*arguments) for each in (mark_surface, buy_surface, sell_surface))
    assert (mark.level, buy.level, sell.level) == (0.5, 0.55, 0.5)
    bench.market.oracle[BTC].target_vol_e9 = 450_000_000
    assert (buy_surface(*arguments).level, sell_surface(*arguments).level) == (0.5, 0.45)
    assert not np.array_equal(mark_surface(*arguments).ratios, sell_surface(*arguments).ratios)


def test_scenarios_move_along_the_smile() -> None:
    """Every loss is a revaluation on the surface of its state."""
    bench = smiling()
    bench.open(bench.account(), 50 * ONE, 105_000)
    state, rules, market = bench.state, bench.rules, bench.market
    value_book(state, rules, market)
    contract = contract_of(state, rules, market, 0)
    daily = 0.5 / math.sqrt(365.0)
    values = np.empty((2, 9))
    for (regime, move), sigmas in np.ndenumerate(rules.scenarios.sigmas):
        level = 0.5 * rules.scenarios.vol_factors[regime]
        other = smiling()
        other.tick(btc_vol=level)
        surface = mark_surface(other.state, other.rules, other.market, BTC)
        values[regime, move] = contract_value(
            contract, 100_000.0 * math.exp(sigmas * daily), surface
        )
    mean = (rules.scenarios.marginal * values).sum()
    assert np.asarray(state.losses[0]) == pytest.approx(values - mean, rel=1e-9, abs=1e-14)


def test_greeks_are_slopes_of_the_losses_on_a_smile_too() -> None:
    bench = smiling()
    account = bench.account()
    bench.open(account, 120 * ONE, 105_000)
    bench.open(account, 80 * ONE, 92_000, is_call=False)
    bench.open(account, 60 * ONE, 4_100, underlying=ETH)
    arguments = bench.state, bench.rules, bench.market
    greeks = [book_greeks(*arguments, each) for each in (BTC, ETH)]
    up, down = loss_table(*arguments, np.array([1e-4, -1e-4]), np.array([0.0]))[:, 0]
    assert (up - down) / 2e-2 == pytest.approx(sum(each.delta for each in greeks), rel=1e-4)
    more, less = loss_table(*arguments, np.array([0.0]), np.array([1e-4, -1e-4]))[0]
    by_level = sum(each.vega * level for each, level in zip(greeks, bench.vols, strict=True))
    assert (more - less) / 2e-2 == pytest.approx(by_level, rel=1e-4)


def quanto_book(carry: float, correlation: float, token_vol: float) -> Bench:
    """A call at the money whose carry has all its parts."""
    terms = BTC_TERMS._replace(correlation=correlation, funding_carry_e9=round(carry * 1e9))
    bench = funded()
    bench.terms = (terms, ETH_TERMS)
    bench.change(token_vol=token_vol)
    bench.reshape(BTC_SURFACE, ETH_SURFACE)
    bench.tick()
    bench.open(bench.account(), 100 * ONE, 100_000)
    bench.tick()
    return bench


def test_quanto_greeks_are_slopes_too() -> None:
    """By carry, by correlation and by the token's vol: a hundredth each, against a tenth of it."""
    first = quanto_book(0.05, 0.4, 0.6)
    moved = [
        quanto_book(0.051, 0.4, 0.6),
        quanto_book(0.05, 0.401, 0.6),
        quanto_book(0.05, 0.4, 0.601),
    ]
    values = [float(bench.state.marks[0].value) for bench in (first, *moved)]
    greeks = book_greeks(first.state, first.rules, first.market, BTC)
    slopes = [1_000.0 * (value - values[0]) for value in values[1:]]
    assert slopes == pytest.approx([greeks.carry, greeks.correlation, greeks.token_vol], rel=0.02)
    assert greeks.carry > 0.0


@given(st.data())
def test_trading_on_a_smile_keeps_every_invariant(data: st.DataObject) -> None:
    """The bench checks all of them after each command; NAV stays within its bounds."""
    bench = smiling()
    bench.reshape(Ssvi(0.9, 0.6, 5.0, data.draw(st.floats(-0.7, 0.7)), 1.0), ETH_SURFACE)
    accounts = [bench.account() for _ in range(2)]
    held: list[int] = []
    for _ in range(data.draw(st.integers(3, 8))):
        account = data.draw(st.sampled_from(accounts))
        strike = data.draw(st.sampled_from(STRIKES))
        fill = bench.open(account, 20 * ONE, strike, is_call=data.draw(st.booleans()))
        if fill.refusal.code == 0:
            held.append((account, int(fill.position_id)))
        bench.tick(
            btc=100_000.0 * data.draw(st.floats(0.8, 1.25)),
            btc_vol=data.draw(st.floats(0.3, 1.5)),
            after_ms=MINUTE_MS,
        )
        nav = net_asset_value(bench.state, bench.rules, bench.market, bench.now)
        assert nav.low <= nav.mid <= nav.high
