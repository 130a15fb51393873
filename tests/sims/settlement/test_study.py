"""Pools of the exchange's kernels through a gap, against what is computed by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from amm.perpetual import perpetual_price
from amm.ssvi import FLAT
from amm.units import DAY_MS, HOUR_MS, ONE, YEAR_MS, units_up
from sims.drawdown.blocks import Desk, draw_market, draw_pool, path_of
from sims.drawdown.orders import HOLD, Orders
from sims.drawdown.scenario import Buyers, PoolPlan, Scenario
from sims.drawdown.trace import trace_path
from sims.markets.block import Clock
from sims.settlement.gaps import draw_prices
from sims.settlement.morning import (
    INDEX_MOVES,
    Mornings,
    last_weekend,
    run_mornings,
    standing_of,
)
from sims.settlement.settling import COIN, DOLLAR, asked_of, pay
from sims.settlement.study import (
    scenario_of,
    through_gap,
)
from sims.settlement.weekends import through_weekends
from sims.statistics import estimate_of
from tests.sims.drawdown.markets import PRICES, Drifting
from vaults.params import Parameters

pytestmark = pytest.mark.compiled

MONDAY_MS = 1_768_780_800_000
"""2026-01-19."""
PERIOD = 7 * DAY_MS / YEAR_MS
UNLIMITED = Parameters(
    risk_tolerance=1e6,
    spread_floor=0.0,
    vol_spread=0.0,
    correlation_spread=0.0,
    fee=0.0,
    series_share_ppm=1_000_000,
    account_share_ppm=1_000_000,
    stress_share_ppm=1_000_000,
    cover_least_ppm=2_000_000,
)


def _known_book() -> Mornings:
    """Return a pool that sold one call for twice its size at the money, and nothing moved since."""
    plan = PoolPlan(parameters=UNLIMITED, surfaces=(FLAT, FLAT))
    scenario = Scenario(
        "known", Drifting(vol=0.0, level=0.6, wick=0.0), pools=(plan,), days=1, paths=1
    )
    one, none, nought = np.ones(1, dtype=np.int64), np.zeros(1, dtype=np.int64), np.zeros(1)
    orders = Orders(
        np.array([0, 1]), one, 1_000 * one, HOLD * one, none, nought, nought, 2.0 * np.ones(1), none
    )
    drawn = draw_pool(scenario, 0, 0, draw_market(scenario, 0))
    desk = Desk(scenario, 0)
    desk.run(path_of(drawn, 0, -1)._replace(orders=orders, bounds=np.array([0, 1])))
    main, insurance, backed, locked, *moved = (np.array([each]) for each in standing_of(desk))
    return Mornings(
        main, insurance, backed, locked, moved[1], np.stack(moved, axis=1), np.zeros((1, 2))
    )


def test_a_known_book_falls_short_by_what_is_computed_by_hand() -> None:
    pools = _known_book()
    notional = 20_000 * ONE
    unit = [
        perpetual_price(True, 1.0 + move, 0.6, PERIOD, 0.0, 0.0, 0.5).value for move in INDEX_MOVES
    ]
    assert PRICES[0] % 2_000.0 == 0.0  # the strike is the index
    assert pools.locked[0] == notional // 2
    assert pools.marked[0] == units_up(notional * unit[1])
    assert pools.moved[0] == pytest.approx([notional * each for each in unit], rel=1e-6)
    assert pools.insurance[0] == 1_501 * ONE
    premium = pools.main[0] - 10_001 * ONE - pools.marked[0]
    assert 0 < premium < pools.marked[0] / 7  # of a day at most

    # 10,000 tokens at the old price are 16,666.66... at six tenths of it.
    asked = asked_of(DOLLAR, pools.locked, np.array([0.6]))
    assert asked[0] == 1_666_666_666_667
    paid = pay(asked, pools.main, pools.insurance)
    assert paid.by_main[0] == pools.main[0]
    assert paid.by_insurance[0] == 1_501 * ONE
    assert paid.missing[0] == 1_666_666_666_667 - 1_501 * ONE - pools.main[0] > 0
    whole = pay(asked_of(COIN, pools.locked, np.array([0.6])), pools.main, pools.insurance)
    assert whole.missing[0] == 0


def _three_pools() -> tuple[Scenario, Mornings]:
    scenario = replace(
        scenario_of(3, seed=5),
        market=Drifting(),
        buyers=Buyers(orders_per_day=60.0, size=0.015),
        start_ms=MONDAY_MS,
        days=8,
    )
    told: list[int] = []
    found = run_mornings(scenario, told.append)
    assert told == [1, 2, 3]
    return scenario, found


def test_the_pools_are_those_of_the_drawdown_study_on_the_last_row_before_the_opening() -> None:
    scenario, found = _three_pools()
    weekend = last_weekend(scenario.clock)
    hours = weekend.clock.times_ms[[0, -2, -1]] - MONDAY_MS
    # From Friday 21:00 UTC; New York opens at 14:30, between the last two rows.
    assert hours.tolist() == [(4 * 24 + 21) * HOUR_MS, (7 * 24 + 14) * HOUR_MS, 183 * HOUR_MS]
    for number in range(3):
        trace = trace_path(scenario, number)[0]
        assert found.locked[number] / ONE == trace.locked[weekend.before]
        moves = np.log(trace.prices[weekend.closed : weekend.before + 2, 0])
        np.testing.assert_allclose(found.bitcoin[number], moves - moves[0], atol=1e-12)
    assert np.all(found.locked <= found.backed)
    assert np.all(found.marked <= found.locked)
    assert np.all(found.moved <= found.locked[:, None])


def test_promises_in_the_token_are_covered_through_any_gap_and_those_in_dollars_are_not() -> None:
    _, pools = _three_pools()
    had = pools.main + pools.insurance
    for gap in (-0.9, -0.4, 1.0):
        coin = through_gap(pools, COIN, 0.0, gap)
        assert coin.uncovered.value == coin.missing.value == coin.forced.value == 0.0
        assert coin.extra.value == 0.0
        assert coin.cover.value == pytest.approx(float((had / pools.locked).mean()))
        assert coin.holder_dollars.value == pytest.approx(1.0 + gap)
    fall = through_gap(pools, DOLLAR, 0.0, -0.4)
    assert fall.cover.value == pytest.approx(0.6 * float((had / pools.locked).mean()))
    missing = np.maximum(pools.locked / 0.6 - had, 0.0) / had
    assert fall.missing.value == pytest.approx(float(missing.mean()), rel=1e-9)
    assert fall.missing_dollars.value == pytest.approx(0.6 * fall.missing.value)
    total = fall.by_main.value + fall.by_insurance.value + fall.missing.value
    assert total == pytest.approx(float((pools.locked / 0.6 / had).mean()), rel=1e-9)
    rise = through_gap(pools, DOLLAR, 0.0, 0.25)
    assert rise.extra.value < 0.0 < fall.extra.value  # main gains where the stock rises
    assert rise.holder_dollars.value == pytest.approx(1.0)
    calmer = through_gap(pools, DOLLAR, 0.4, -0.4)
    assert calmer.uncovered.value == 0.0


def test_weekends_count_the_gaps_beyond_what_each_pool_bears() -> None:
    _, pools = _three_pools()
    had = pools.main + pools.insurance
    edge = (pools.locked / had)[:, None]
    prices = np.array([[0.5, 0.99], [1.4, 0.999], [0.2, 0.3]]) * edge
    found = through_weekends(pools, DOLLAR, "TSLA", 0.0, prices)
    by_path = np.array([1.0, 0.5, 1.0])
    assert found.uncovered.value == pytest.approx(by_path.mean())
    assert found.uncovered.error == pytest.approx(estimate_of(by_path).error)
    falls = np.array([0.5 + 0.01, 0.001, 0.8 + 0.7]) / 2.0
    assert found.missing.value == pytest.approx(falls.mean(), rel=1e-6)
    coin = through_weekends(pools, COIN, "TSLA", 0.0, prices)
    assert coin.uncovered.value == coin.missing.value == coin.forced.value == 0.0


def test_gaps_are_drawn_without_drift_and_follow_bitcoin() -> None:
    clock = last_weekend(scenario_of(20, 1).clock).clock
    random = np.random.Generator(np.random.Philox(7))
    calm = draw_prices("MSTR", clock, np.zeros((20, clock.steps + 1)), 1_000, random)
    found = estimate_of(calm.ravel())
    assert abs(found.value - 1.0) < 3.0 * found.error
    fallen = np.zeros((20, clock.steps + 1))
    fallen[:, 10:] = math.log(0.8)
    moved = draw_prices("MSTR", clock, fallen, 1_000, random)
    assert float(np.median(moved)) < 0.9
    with pytest.raises(ValueError, match="stock: 'GME' is not one of TSLA"):
        draw_prices("GME", clock, fallen, 1, random)


def test_a_clock_without_a_weekend_is_refused() -> None:
    with pytest.raises(ValueError, match="days: no weekend"):
        last_weekend(Clock(MONDAY_MS, HOUR_MS, 48))
