"""The check accepts a market's own history and finds what is wrong with others."""

import json
from dataclasses import replace

import numpy as np
import pytest

from amm.units import HOUR_MS
from sims.markets.block import Clock
from sims.markets.check_report import markdown, page, picture, to_json, verdict
from sims.markets.model_checks import Checks, check_market, fit_of, two_sided
from sims.markets.recorded_hours import Hours, hours_of
from sims.markets.regime_law import calibrated_law, scaled_law
from sims.markets.regimes import Regimes

START_MS = 1_704_067_200_000
PATHS = 200


@pytest.fixture(scope="module")
def recorded() -> Hours:
    """Twenty-one weeks of the model's own."""
    clock = Clock(START_MS, HOUR_MS, 24 * 147)
    return hours_of(Regimes().draw(clock, 1, np.random.Generator(np.random.Philox(77))), 0)


@pytest.fixture(scope="module")
def own(recorded: Hours) -> Checks:
    return check_market(Regimes(), recorded, PATHS)


def failed(checks: Checks) -> set[str]:
    return {each.name for each in (*checks.rows, *checks.fits) if each.fails}


def test_a_model_passes_on_its_own_history(own: Checks) -> None:
    assert len(failed(own)) <= 2
    for row in own.rows:
        assert row.error > 0.0
        assert row.spread > 0.0
    for fit in own.fits:
        assert sum(fit.transform) == pytest.approx(1.0, abs=0.01)


def test_too_much_vol_is_found(recorded: Hours) -> None:
    names = failed(check_market(Regimes(scaled_law(calibrated_law(), 3.0)), recorded, PATHS))
    assert {"BTC hour 5 %", "BTC hour 95 %", "BTC hour", "BTC 30-day drawdown, median"} <= names


def test_a_market_without_jumps_and_wicks_is_found(recorded: Hours) -> None:
    bare = replace(calibrated_law(), jump_rates=(0.0, 0.0, 0.0), wick_scale=0.8, wick_rate=0.0)
    names = failed(check_market(Regimes(bare), recorded, PATHS))
    assert {"BTC hour over local vol, kurtosis", "BTC range variance over close"} <= names


def test_independent_indices_are_found(recorded: Hours) -> None:
    apart = replace(calibrated_law(), correlations=(0.0, 0.0, 0.0), jump_beta=0.0)
    names = failed(check_market(Regimes(apart), recorded, PATHS))
    assert {"BTC-ETH day correlation, calm", "BTC-ETH day correlation, stressed"} <= names


def test_p_values_are_uniform_where_the_model_is_right() -> None:
    random = np.random.default_rng(1)
    drawn = random.standard_normal(999)
    values = random.standard_normal(2_000)
    p = np.array([two_sided(float(value), drawn) for value in values])
    for level in (0.05, 0.2, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=0.04)
    assert two_sided(9.0, drawn) == pytest.approx(2.0 / 1_000.0)
    assert two_sided(0.0, np.zeros(10)) == 1.0


def test_dependent_samples_do_not_make_a_distribution_fail() -> None:
    random = np.random.default_rng(2)

    def sample(scale: float = 1.0) -> np.ndarray:
        # A hundred numbers, each forty times: a test that takes them for independent rejects.
        return np.repeat(scale * random.standard_normal(100), 40)

    samples = [sample() for _ in range(200)]
    p = [fit_of("x", sample(), samples).p for _ in range(40)]
    assert np.mean(np.array(p) < 0.05) < 0.2
    assert fit_of("x", sample(2.0), samples).fails


def test_the_report_says_what_was_found(own: Checks) -> None:
    told = json.loads(to_json(own))
    assert [each["name"] for each in told["figures"]] == [row.name for row in own.rows]
    assert told["seed"] == 1
    text = page(own._replace(rows=(own.rows[0]._replace(p=0.001), *own.rows[1:])))
    assert "class=fails" in text
    assert 'src="data:image/png;base64,' in text
    assert "http" not in text
    drawn = picture(own)
    assert drawn.startswith(b"\x89PNG")
    assert len(drawn) < 200_000
    wrong = own._replace(rows=(own.rows[0]._replace(p=0.001), *own.rows[1:]))
    assert own.rows[0].name in verdict(wrong)
    assert "0.001 fails" in markdown(wrong)
