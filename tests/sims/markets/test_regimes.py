"""The regime-switching market has the laws it says, and weights that make up for a tilt."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import kstest

from amm.units import DAY_MS, HOUR_MS, MINUTE_MS
from sims.markets.block import Clock, Floats, MarketBlock
from sims.markets.jump_law import JumpLaw, beyond, draw_jumps, log_density, mean_gain
from sims.markets.regime_law import (
    HOURS_A_YEAR,
    STRESSED,
    RegimeLaw,
    calibrated_law,
    daily_variances,
    scaled_law,
    seasons,
    stationary,
    transition,
)
from sims.markets.regime_start import draw_start, level_logs
from sims.markets.regimes import Regimes

START_MS = 1_767_571_200_000
ERRORS_MAX = 4.0
CLOCK = Clock(START_MS, HOUR_MS, 48)


def random(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def plain_law() -> RegimeLaw:
    """Two Brownian motions: no jumps, no clustering, no hours of the day."""
    return replace(
        calibrated_law(),
        rates=((0.0,) * 3,) * 3,
        activity_spread=0.0,
        hours=(1.0,) * 24,
        weekend=(1.0, 1.0),
        jump_rates=(0.0, 0.0, 0.0),
        wick_scale=1.0,
        wick_rate=0.0,
        era_spread=0.0,
    )


def is_near(samples: Floats, value: float) -> bool:
    """Whether a mean is within 4 standard errors of a value."""
    error = samples.std(ddof=1) / np.sqrt(samples.size)
    return bool(abs(samples.mean() - value) <= ERRORS_MAX * error)


def moves_of(block: MarketBlock, column: int) -> Floats:
    return np.diff(np.log(block.prices[:, :, column]), axis=1)


def test_a_block_is_what_the_contract_says() -> None:
    block = Regimes().draw(CLOCK, 30, random())
    assert block.times_ms.tolist() == CLOCK.times_ms.tolist()
    ends = np.stack([block.prices[:, :-1], block.prices[:, 1:]])
    assert (block.lows[:, 1:] <= ends.min(axis=0)).all()
    assert (block.highs[:, 1:] >= ends.max(axis=0)).all()
    assert (block.lows > 0.0).all()
    for each in (block.prices, block.lows, block.highs):
        assert each.shape == (30, 49, 2)
        assert np.allclose(each[:, 0], (100_000.0, 3_500.0), rtol=1e-12)
    assert ((block.levels >= 0.1) & (block.levels <= 3.0 + 1e-12)).all()
    assert block.weights.tolist() == [1.0] * 30
    assert block.stocks.shape == (30, 49, 0)
    assert block.is_open.shape == (49,)


def test_equal_seeds_draw_equal_paths() -> None:
    first, again, other = (Regimes().draw(CLOCK, 5, random(seed)) for seed in (1, 1, 2))
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one, two)
    assert not np.array_equal(first.prices, other.prices)


@pytest.mark.parametrize("start", [0, 1, STRESSED])
@pytest.mark.parametrize("minutes", [5, 60])
def test_nobody_gains_by_holding(start: int, minutes: int) -> None:
    clock = Clock(START_MS, minutes * MINUTE_MS, 24)
    block = Regimes(start=start, prices=(1.0, 1.0)).draw(clock, 20_000, random(7))
    for column in range(2):
        assert is_near(block.prices[:, -1, column], 1.0)


def test_a_drift_is_what_holding_gains() -> None:
    market = Regimes(plain_law(), prices=(1.0, 1.0), drift=5.0, start=0)
    ends = market.draw(CLOCK, 20_000, random()).prices[:, -1, 0]
    assert is_near(ends, np.exp(5.0 * 48 / HOURS_A_YEAR))
    assert not is_near(ends, 1.0)


@pytest.mark.parametrize("regime", [0, 1, STRESSED])
def test_vols_and_correlation_are_those_of_the_regime(regime: int) -> None:
    law = plain_law()
    block = Regimes(law, start=regime).draw(CLOCK, 2_000, random(3))
    btc, eth = (moves_of(block, column).ravel() for column in range(2))
    vols = law.btc_vols[regime], law.eth_vols[regime]
    for moves, vol in zip((btc, eth), vols, strict=True):
        assert is_near(moves**2 * HOURS_A_YEAR, vol**2)
    assert is_near(btc * eth * HOURS_A_YEAR, law.correlations[regime] * vols[0] * vols[1])


def test_vol_is_that_of_activity_hours_and_jumps_together() -> None:
    law = replace(calibrated_law(), rates=((0.0,) * 3,) * 3, era_spread=0.0)
    block = Regimes(law, start=1).draw(Clock(START_MS, HOUR_MS, 168), 8_000, random(5))
    an_hour = law.btc_vols[1] ** 2 / HOURS_A_YEAR
    jump = (draw_jumps(law.jumps(1), 400_000, random(1)) ** 2).mean()
    week = (moves_of(block, 0) ** 2).mean(axis=1)
    assert is_near(week, an_hour + law.jump_rates[1] / 24.0 * jump)


def test_hours_of_the_week_have_their_activity() -> None:
    law = replace(plain_law(), hours=calibrated_law().hours, weekend=calibrated_law().weekend)
    clock = Clock(START_MS, HOUR_MS, 168)
    block = Regimes(law, start=0).draw(clock, 4_000, random(4))
    active = seasons(law, clock.times_ms[:-1])
    seen = moves_of(block, 0).std(axis=0) / law.btc_vols[0] * np.sqrt(HOURS_A_YEAR)
    assert np.allclose(seen, active, rtol=0.06)
    saturday = seasons(law, np.array([1_767_484_800_000 - DAY_MS]))  # 2026-01-03
    assert saturday[0] == law.hours[0] * law.weekend[0]
    assert abs((active**2).mean() - 1.0) < 1e-4


def test_moves_cluster_by_the_activity_alone() -> None:
    def lagged(law: RegimeLaw) -> float:
        size = np.abs(moves_of(Regimes(law, start=0).draw(CLOCK, 3_000, random(6)), 0))
        return float(np.corrcoef(size[:, 24:-1].ravel(), size[:, 25:].ravel())[0, 1])

    assert abs(lagged(plain_law())) < 0.01
    assert lagged(replace(plain_law(), activity_spread=0.3)) > 0.05


def test_regimes_switch_as_their_rates_say() -> None:
    law = calibrated_law()
    rates = np.array(law.rates)
    exact = expm((rates - np.diag(rates.sum(axis=1))) * 3.0)
    assert np.abs(transition(law, 3.0) - exact).max() < 1e-6
    shares = stationary(law)
    assert np.abs(shares @ exact - shares).max() < 1e-9
    market = Regimes(law)
    steps = Clock(START_MS, DAY_MS, 10)
    first = draw_start(law, -1, 0.0, 20_000, random()).regimes
    untilted = np.zeros((20_000, 10), dtype=np.bool_)
    regimes, ratios = market.draw_regimes(steps, first, untilted, random(2))
    assert not ratios.any()
    for each in range(3):
        assert is_near((regimes[:, 0] == each) * 1.0, shares[each])
        assert is_near((regimes[:, -1] == each) * 1.0, shares[each])
    stayed = regimes[:, 3][regimes[:, 0] == STRESSED] == STRESSED
    assert is_near(stayed * 1.0, exact[STRESSED, STRESSED])


def test_jumps_have_their_law() -> None:
    law = JumpLaw(0.01, 0.02, 3.0, 0.3)
    sizes = draw_jumps(law, 200_000, random())
    assert np.abs(sizes - law.mean).max() <= law.cut
    grid = np.linspace(law.mean - law.cut, law.mean + law.cut, 200_001)
    density = np.exp(log_density(law, grid))
    shares = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2) * np.diff(grid)])
    assert abs(shares[-1] - 1.0) < 1e-6
    assert kstest(sizes, lambda each: np.interp(each, grid, shares)).pvalue > 1e-3
    assert is_near(np.expm1(sizes), mean_gain(law))
    own = 1.3 * sizes + 0.05 * random(2).standard_normal(sizes.size)
    assert is_near(np.expm1(own), mean_gain(law, 1.3, 0.05))
    assert is_near((np.abs(sizes - law.mean) > 0.05) * 1.0, float(beyond(law, np.array([0.05]))[0]))
    assert log_density(law, np.array([0.5]))[0] == -np.inf


def test_extremes_are_those_of_a_bridge_and_excursions_go_beyond() -> None:
    def reach(law: RegimeLaw) -> Floats:
        block = Regimes(law, start=0).draw(CLOCK, 2_000, random(8))
        before, move = np.log(block.prices[:, :-1, 0]), moves_of(block, 0)
        low = np.log(block.lows[:, 1:, 0]) - before
        return np.asarray(low * (low - move))

    law = plain_law()
    inner = reach(law).ravel()
    assert is_near(inner, law.btc_vols[0] ** 2 / HOURS_A_YEAR / 2.0)
    assert reach(replace(law, wick_scale=1.2)).mean() == pytest.approx(1.44 * inner.mean(), 0.03)
    assert reach(replace(law, wick_rate=2.0)).mean() > 1.2 * inner.mean()


def test_levels_settle_where_their_regime_says_and_answer_to_moves() -> None:
    law = replace(plain_law(), level_slope=-1.0)
    own = law.level_noise / np.sqrt(2.0 * law.level_reversion)
    begins, _ = level_logs(law)
    assert begins[0, 1] - begins[0, 0] == pytest.approx(np.log(law.level_ratio))
    clock = Clock(START_MS, HOUR_MS, 24 * 30)
    block = Regimes(law, start=0).draw(clock, 300, random(9))
    logs = np.log(block.levels)
    assert is_near(logs[:, 0, 0], begins[0, 0])
    assert logs[:, 0, 0].std() == pytest.approx(own, rel=0.2)
    ends = logs[:, -1]
    for column in range(2):
        error = ends[:, column].std() / np.sqrt(300)
        assert abs(ends[:, column].mean() - begins[0, column]) < ERRORS_MAX * error + 0.01
    moved = np.diff(logs[:, :, 0], axis=1)
    quiet = replace(law, level_noise=0.0)
    changes = np.diff(np.log(Regimes(quiet, start=0).draw(clock, 300, random(9)).levels), axis=1)
    assert np.corrcoef(changes[:, :, 0].ravel(), moves_of(block, 0).ravel())[0, 1] < -0.9
    assert moved.std() > changes[:, :, 0].std()


def test_a_scaled_law_scales_moves_and_levels() -> None:
    law, half = calibrated_law(), scaled_law(calibrated_law(), 0.5)
    begins, _ = level_logs(law)
    assert np.allclose(level_logs(half)[0], begins + np.log(0.5))
    assert half.jumps(0).scale == pytest.approx(0.5 * law.jumps(0).scale)


def test_an_era_scales_every_vol_of_a_path_and_keeps_their_mean_square() -> None:
    law = replace(plain_law(), era_spread=0.4, jump_rates=(3.0, 3.0, 3.0), level_noise=0.0)
    block = Regimes(law, start=0, prices=(1.0, 1.0)).draw(CLOCK, 20_000, random(3))
    eras = np.log(block.levels[:, 0, 0]) - level_logs(law)[0][0, 0]
    assert is_near(eras, -(law.era_spread**2))
    assert eras.std() == pytest.approx(law.era_spread, rel=0.03)
    squares = (moves_of(block, 0) ** 2).mean(axis=1)
    assert is_near(squares * HOURS_A_YEAR, 365.0 * daily_variances(law)[0])
    high, low = squares[eras > 0.3].mean(), squares[eras < -0.6].mean()
    ratio = np.exp(2.0 * eras[eras > 0.3]).mean() / np.exp(2.0 * eras[eras < -0.6]).mean()
    assert high / low == pytest.approx(ratio, rel=0.1)
    for column in range(2):
        assert is_near(block.prices[:, -1, column], 1.0)


def test_a_start_given_its_level_is_one_of_those_that_happen_to_have_it() -> None:
    law = replace(calibrated_law(), era_spread=0.3)
    whole = draw_start(law, -1, 0.0, 400_000, random())
    near = np.abs(whole.levels[:, 0] - np.log(0.9)) < 0.03
    told = draw_start(law, -1, 0.9, 40_000, random(2))
    assert np.allclose(told.levels[:, 0], np.log(0.9))
    for regime in range(3):
        shares = [(each == regime) * 1.0 for each in (whole.regimes[near], told.regimes)]
        assert are_near(*shares)
    assert are_near(whole.eras[near], told.eras)
    assert whole.eras[near].std() == pytest.approx(told.eras.std(), rel=0.05)
    assert are_near(whole.levels[near, 1], told.levels[:, 1])


def are_near(one: Floats, other: Floats) -> bool:
    """Whether two means are within 4 standard errors of their difference."""
    error = np.hypot(*(each.std() / np.sqrt(each.size) for each in (one, other)))
    return bool(abs(one.mean() - other.mean()) <= ERRORS_MAX * error)


def test_a_low_level_at_the_start_is_a_quiet_month() -> None:
    clock = Clock(START_MS, HOUR_MS, 24 * 10)
    quiet, wild = (
        (moves_of(Regimes(level=level).draw(clock, 400, random()), 0) ** 2).mean()
        for level in (0.3, 0.9)
    )
    assert wild > 3.0 * quiet


@pytest.mark.parametrize("fields", [{"start": 3}, {"start": -2}, {"level": 0.05}, {"level": 4.0}])
def test_a_start_that_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        Regimes(**fields)
