"""Calibration finds the parameters histories were drawn with, and the shipped file is its work."""

import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

from amm.units import DAY_MS, HOUR_MS
from sims.markets.block import Clock, Floats
from sims.markets.calibrated_file import (
    bootstrap_errors,
    corrected,
    fit_market,
    read_recorded,
    to_toml,
)
from sims.markets.calibration import FalseAlarms, Levels, fit_law, jump_size_of, stages_of
from sims.markets.era_fit import ERA_HOURS, era_spread_of
from sims.markets.jump_law import JumpLaw, beyond, draw_jumps
from sims.markets.market_statistics import drawdowns, weekend_moves, whole_days
from sims.markets.recorded_hours import Hours, hours_of
from sims.markets.regime_fit import fit_chain, rates_of
from sims.markets.regime_law import RegimeLaw, calibrated_law, law_of, shipped, stationary
from sims.markets.regimes import Regimes
from sims.markets.stock_days import StockDays
from sims.markets.stock_fit import Usual, fit_gap, fit_stocks
from sims.markets.stock_slopes import ERA_DAYS
from sims.markets.table import read_day

START_MS = 1_577_836_800_000
ONE_ERA = replace(calibrated_law(), era_spread=0.0)
YEARS = 5


def history(law: RegimeLaw, seed: int) -> tuple[Hours, Levels]:
    """Return drawn hours, and their vol level at the end of each day."""
    clock = Clock(START_MS, HOUR_MS, 24 * 365 * YEARS)
    block = Regimes(law).draw(clock, 1, np.random.Generator(np.random.Philox(seed)))
    ends = np.arange(24, clock.steps + 1, 24)
    return hours_of(block, 0), Levels(block.times_ms[ends], block.levels[0, ends, 0])


@pytest.fixture(scope="module")
def found() -> tuple[RegimeLaw, RegimeLaw]:
    """A law, and what is found of it from five years."""
    law = replace(ONE_ERA, level_slope=-0.8)
    return law, fit_market(*history(law, 4))[0]


ERRORS_MAX = 5.0
"""Largest of some eighty parameters, and the correction adds noise that the errors are without."""


APART = {"jump_cut", "jump_scale", "jump_freedom", "rates", "era_spread"}
"""Given; two that no five years tell apart (a wide law with thin tails looks like the other);
transitions that come a few times in five years; and one that is found last, by itself."""


def large_jumps(law: RegimeLaw) -> Floats:
    """Return jumps a day beyond six vols of an hour."""
    size = JumpLaw(0.0, law.jump_scale, law.jump_freedom, 100.0 * law.jump_scale)
    return np.asarray(np.array(law.jump_rates) * beyond(size, np.array([6.0])))


def test_the_rate_of_large_jumps_is_recovered_within_a_factor(
    found: tuple[RegimeLaw, RegimeLaw],
) -> None:
    true, fitted = (large_jumps(law) for law in found)
    assert np.abs(np.log(fitted / true)).max() < np.log(3.0)


def test_time_is_spent_in_each_regime_as_it_was(found: tuple[RegimeLaw, RegimeLaw]) -> None:
    true, fitted = (stationary(law) for law in found)
    assert np.abs(fitted - true).max() < 0.25


@pytest.mark.parametrize("name", sorted(shipped()["errors"].keys() - APART))
def test_parameters_are_recovered_within_their_errors(
    found: tuple[RegimeLaw, RegimeLaw], name: str
) -> None:
    true, fitted = (np.array(getattr(law, name)) for law in found)
    errors = np.array(shipped()["errors"][name])
    assert (np.abs(fitted - true) <= ERRORS_MAX * errors).all()


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("btc_vols", 0.12), ("correlations", 0.06), ("activity_spread", 0.2), ("wick_scale", 0.1)],
)
def test_parameters_that_matter_most_are_recovered_closely(
    found: tuple[RegimeLaw, RegimeLaw], name: str, tolerance: float
) -> None:
    true, fitted = (np.array(getattr(law, name)) for law in found)
    assert np.abs(fitted / true - 1.0).max() < tolerance


def test_the_correction_takes_out_what_estimators_get_wrong() -> None:
    """Without it small jumps pass for diffusion, which is then less correlated."""
    told = FalseAlarms(np.full(3, 0.0012), 2e-5)
    law = ONE_ERA
    plain = fit_law(*history(law, 4), told)
    better = corrected(plain, told)
    for name in ("correlations", "activity_spread", "wick_scale"):
        true, before, after = (np.array(getattr(each, name)) for each in (law, plain, better))
        assert np.abs(after / true - 1.0).mean() < np.abs(before / true - 1.0).mean()


def test_a_chain_is_found_again() -> None:
    random = np.random.default_rng(5)
    told = np.array([[0.95, 0.05, 0.0], [0.04, 0.92, 0.04], [0.0, 0.1, 0.9]])
    states = [0]
    for rank in random.random(4_000):
        states.append(int(np.searchsorted(np.cumsum(told[states[-1]])[:2], rank, side="right")))
    means = np.array([-1.0, 0.0, 1.5])
    seen = means[states] + 0.4 * random.standard_normal(len(states))
    begins = np.zeros(seen.size, dtype=np.bool_)
    begins[0] = True
    chain = fit_chain(seen, begins)
    assert np.abs(chain.means - means).max() < 0.1
    assert np.abs(chain.spreads - 0.4).max() < 0.05
    assert np.abs(chain.transitions - told).max() < 0.03
    assert (chain.shares.argmax(axis=1) == states).mean() > 0.9
    assert np.allclose(chain.shares.sum(axis=1), 1.0)
    one = fit_chain(np.concatenate([seen, seen]), np.concatenate([begins, begins]))
    assert one.log_likelihood == pytest.approx(2.0 * chain.log_likelihood, rel=1e-3)
    assert np.all(rates_of(chain.transitions) >= 0.0)


def test_jump_sizes_are_found_from_what_is_beyond_a_bound() -> None:
    law = JumpLaw(0.0, 1.5, 3.0, 150.0)
    sizes = np.abs(draw_jumps(law, 40_000, np.random.default_rng(1)))
    bounds = np.where(np.arange(sizes.size) % 2, 3.0, 6.0)
    seen = sizes > bounds
    scale, freedom = jump_size_of(sizes[seen], bounds[seen])
    assert scale == pytest.approx(1.5, rel=0.15)
    assert freedom == pytest.approx(3.0, abs=0.4)


def gap_days(beta: float, count: int, spread: float = 0.0) -> StockDays:
    """Return days of gaps, as many after a pause of BTC; slopes are what both vols make of beta."""
    random = np.random.default_rng(2)
    days = START_MS + DAY_MS * np.arange(count)
    sigma, btc = np.exp(random.normal((-3.5, -3.2), 0.4, (count, 2))).T
    pause = btc * random.standard_normal(count)
    eras = days // (ERA_DAYS * DAY_MS)
    slopes = (
        beta + spread * random.standard_normal(1 + int(eras.max() - eras.min()))[eras - eras.min()]
    )
    followed = slopes * sigma / USUAL.sigma / (btc / USUAL.btc_sigma) * pause
    gaps = sigma * (0.05 + 0.4 * student.rvs(2.8, size=count, random_state=random)) + followed
    none: Floats = np.zeros(count)
    return StockDays(days, gaps, sigma, btc, pause, none > 0.0, none, none)


USUAL = Usual(0.03, 0.04)


def test_the_law_of_gaps_is_found_within_its_errors() -> None:
    fit = fit_gap(gap_days(0.6, 3_000), USUAL)
    truth = {"mean": 0.05, "scale": 0.4, "freedom": 2.8, "beta": 0.6}
    assert fit.errors.keys() == truth.keys()
    for name, true in truth.items():
        assert abs(getattr(fit.law, name) - true) < 4.0 * fit.errors[name]
        assert 0.0 < fit.errors[name] < 0.1 * max(true, 0.3) + 0.15
    fewer = fit_gap(gap_days(0.6, 750), USUAL)
    assert fewer.errors["scale"] == pytest.approx(2.0 * fit.errors["scale"], rel=0.25)


def test_slopes_of_eras_are_told_from_luck() -> None:
    steady, changing = (fit_gap(gap_days(0.6, 7_000, each), USUAL) for each in (0.0, 0.4))
    assert steady.law.beta_spread < 0.1
    assert changing.law.beta_spread == pytest.approx(0.4, rel=0.35)
    assert abs(changing.law.beta - 0.6) < 4.0 * changing.errors["beta"]
    assert changing.errors["beta"] > 2.0 * steady.errors["beta"]


def test_eras_of_vol_are_told_from_luck() -> None:
    """Twenty-four half-years, each in an era of its own: the spread is known to a fifth.

    Where there are no eras a spread is found by luck now and then: of three histories, in one.
    """
    clock = Clock(START_MS, HOUR_MS, ERA_HOURS)

    def half_years(law: RegimeLaw, seed: int) -> Hours:
        block = Regimes(law).draw(clock, 24, np.random.Generator(np.random.Philox(seed)))
        parts = [hours_of(block, path) for path in range(24)]
        return Hours(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    found = era_spread_of(half_years(replace(ONE_ERA, era_spread=0.3), 5), ONE_ERA)
    assert abs(found.value - 0.3) < 3.0 * found.error
    assert 0.02 < found.error < 0.1
    by_luck = [era_spread_of(half_years(ONE_ERA, seed), ONE_ERA).value for seed in (5, 6, 7)]
    assert float(np.median(by_luck)) < 0.1


def test_bootstrap_errors_are_those_of_other_histories() -> None:
    law = ONE_ERA
    told = FalseAlarms(np.full(3, 0.0012), 2e-5)
    hours, levels = history(law, 4)
    errors = bootstrap_errors(hours, levels, told, 4)
    assert errors.keys() == asdict(law).keys()
    assert 0.003 < errors["wick_scale"] < 0.05
    assert 0.0 < errors["btc_vols"][0] < 0.1
    assert errors["jump_cut"] == 0.0


def test_the_shipped_file_is_what_is_read_and_written() -> None:
    table = shipped()
    assert tomllib.loads(to_toml(table)) == table
    assert law_of(table["market"]) == calibrated_law()
    assert table["errors"].keys() == table["market"].keys()


def test_the_shipped_market_is_what_the_data_gives(market_data: Path) -> None:
    hours, levels = read_recorded(market_data)
    end = read_day("split", shipped()["about"]["split"])
    hours, known = hours.between(0, end), levels.times_ms < end
    assert hours.times_ms.size == shipped()["about"]["hours"]
    law, _ = fit_market(hours, Levels(levels.times_ms[known], levels.levels[known]))
    law = replace(law, era_spread=era_spread_of(hours, law).value)
    again = tomllib.loads(to_toml({"market": asdict(law)}))["market"]
    for name, value in again.items():
        shipped_value = np.array(shipped()["market"][name])
        assert np.allclose(value, shipped_value, rtol=2e-5, atol=1e-9), name


def test_the_shipped_stocks_are_what_the_data_gives(market_data: Path) -> None:
    hours, _ = read_recorded(market_data)
    end = read_day("split", shipped()["about"]["split"])
    before = hours.between(0, end)
    stages, _ = stages_of(before)
    days = np.unique(before.times_ms // DAY_MS) * DAY_MS
    tense = (stages.chain.shares[:, 2] > 0.5).tolist()
    table = fit_stocks(market_data, before, end, dict(zip(days.tolist(), tense, strict=True)))
    told = shipped()["stocks"]
    assert table["correlation"] == pytest.approx(told["correlation"], rel=1e-4)
    for name, stock in told["each"].items():
        for kind in ("overnight", "weekend"):
            for key, value in stock[kind].items():
                assert table["each"][name][kind][key] == pytest.approx(value, rel=1e-3, abs=1e-5)


def test_figures_of_a_history_that_is_known() -> None:
    clock = Clock(1_704_067_200_000, HOUR_MS, 24 * 35)  # Monday, 1 January 2024
    moves = np.zeros((clock.steps, 2))
    moves[24 * 5 + 3] = 0.04, 0.08  # Saturday the 6th
    moves[24 * 10] = -0.1, 0.0
    lows = np.minimum(moves, 0.0)
    lows[24 * 11] = -0.2
    hours = Hours(clock.times_ms[:-1], moves, lows, np.maximum(moves, 0.0))
    days = whole_days(hours)
    assert days.moves.shape == (35, 2)
    assert np.flatnonzero(days.moves[:, 0]).tolist() == [5, 10]
    assert weekend_moves(hours).sum(axis=0) == pytest.approx((0.04, 0.08))
    assert drawdowns(hours)[0] == pytest.approx(-np.expm1(-0.3))
