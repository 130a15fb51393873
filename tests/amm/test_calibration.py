"""A fit finds the surface that made a chain, misses no more than noise, and has no arbitrage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amm.arbitrage import (
    Shape,
    curvature_bound,
)
from amm.calibration import LEVEL_SHARE, ChainFit, calibrate
from amm.chain import (
    CalibrationError,
    Floats,
    Smile,
    vega_weights,
)
from amm.misfit import misfit, quotes_of, rms, surface_misfit
from amm.ssvi import Ssvi, at_level, atm_variance, level_of, total_variance

YEARS = np.array([2.0, 9.0, 30.0, 91.0, 270.0]) / 365.0


def smile_from(
    years: float, theta: float, shape: Shape, noise: Floats | None = None, count: int = 21
) -> Smile:
    """Return quotes of a model from -2 to 2 deviations of log strike, each vol times exp(noise)."""
    log_strikes = np.linspace(-2.0, 2.0, count) * math.sqrt(theta)
    variances = [total_variance(theta, *shape, each) for each in log_strikes.tolist()]
    vols = np.sqrt(np.array(variances) / years)
    if noise is not None:
        vols = vols * np.exp(noise)
    names = tuple(f"{365 * years:.0f}d-{place}" for place in range(count))
    return Smile(years, 100.0, log_strikes, vols, vega_weights(years, log_strikes, vols), names)


def chain_from(years: Floats, thetas: Floats, shape: Shape, noise: float = 0.0) -> list[Smile]:
    random = np.random.default_rng(5)
    return [
        smile_from(each, theta, shape, noise * random.standard_normal(21))
        for each, theta in zip(years.tolist(), thetas.tolist(), strict=True)
    ]


def thetas_of(fit: ChainFit) -> Floats:
    return np.array([expiry.theta for expiry in fit.expiries])


@st.composite
def models(draw: st.DrawFn) -> tuple[Floats, Floats, Shape]:
    """Draw expiries and an arbitrage-free model of them: either skew, calm or inverted or flat."""
    count = draw(st.integers(1, len(YEARS)))
    years = np.sort(draw(st.permutations(YEARS.tolist()))[:count])
    vol = draw(st.floats(0.2, 2.0))
    inversion = draw(st.sampled_from([-0.2, 0.0, 0.3, 0.5]))
    thetas = np.maximum.accumulate(vol**2 * years * (years / years[0]) ** (-2.0 * inversion))
    skew, power = draw(st.floats(-0.8, 0.8)), draw(st.floats(0.1, 0.9))
    bound = curvature_bound(float(thetas[0]), float(thetas[-1]), skew, power)
    return years, thetas, Shape(skew, draw(st.floats(0.05, 1.0)) * bound, power)


# The fit by expiry


@settings(max_examples=25)
@given(models())
def test_a_model_is_found_again(model: tuple[Floats, Floats, Shape]) -> None:
    years, thetas, shape = model
    fit = calibrate(chain_from(years, thetas, shape))
    assert fit.error < 0.03
    assert np.sqrt(thetas_of(fit) / years) == pytest.approx(np.sqrt(thetas / years), rel=5e-3)
    assert fit.shape.skew == pytest.approx(shape.skew, abs=0.03)
    assert fit.quotes == 21 * years.size


@pytest.mark.compiled
@settings(max_examples=25)
@given(models(), st.floats(0.002, 0.3))
def test_noise_is_missed_by_no_more_than_the_truth(
    model: tuple[Floats, Floats, Shape], noise: float
) -> None:
    years, thetas, shape = model
    chain = chain_from(years, thetas, shape, noise)
    fit = calibrate(chain)
    truth = rms(misfit(quotes_of(chain), thetas, shape))
    assert 0.3 * truth < fit.error <= truth + 1e-3
    assert math.isfinite(fit.surface_error)
    assert all(math.isfinite(value) for value in (*fit.shape, *fit.surface, fit.level))


@pytest.mark.compiled
@settings(max_examples=25)
@given(models(), st.floats(0.0, 0.5))
def test_no_fit_has_arbitrage(model: tuple[Floats, Floats, Shape], noise: float) -> None:
    years, thetas, shape = model
    fit = calibrate(chain_from(years, thetas, shape, noise))
    assert fit.no_arbitrage
    assert fit.arbitrage.slack >= 0.0
    assert np.all(np.diff(thetas_of(fit)) >= 0.0)
    assert 0.0 < fit.shape.power < 1.0
    assert fit.surface.curvature * (1.0 + abs(fit.surface.skew)) <= 2.0
    assert fit.surface.reversion >= 0.0


def test_variance_that_falls_is_fitted_by_variance_that_stays() -> None:
    """A market with a calendar spread to sell: the fit does not quote it."""
    thetas = 0.8**2 * YEARS * (YEARS / YEARS[0]) ** -1.3
    assert np.all(np.diff(thetas) < 0.0)
    fit = calibrate(
        [smile_from(t, v, Shape(-0.3, 0.5, 0.5)) for t, v in zip(YEARS, thetas, strict=True)]
    )
    assert fit.error > 1.0
    assert np.all(np.diff(thetas_of(fit)) >= 0.0)
    assert fit.no_arbitrage


def test_wings_too_dear_are_fitted_up_to_the_bound() -> None:
    thetas = 0.6**2 * YEARS
    wide = Shape(-0.2, 2.5 * curvature_bound(thetas[0], thetas[-1], -0.2, 0.5), 0.5)
    fit = calibrate(chain_from(YEARS, thetas, wide))
    assert fit.no_arbitrage
    assert 0.0 <= fit.arbitrage.slack < 0.01


def test_the_error_is_the_weighted_rms() -> None:
    """Computed from the definition, not from the code that minimises it."""
    chain = chain_from(YEARS, 0.5**2 * YEARS, Shape(-0.2, 0.8, 0.5), noise=0.05)
    fit = calibrate(chain)
    total, own = 0.0, []
    for smile, expiry in zip(chain, fit.expiries, strict=True):
        squares = []
        for k, vol in zip(smile.log_strikes, smile.vols, strict=True):
            model = math.sqrt(total_variance(expiry.theta, *fit.shape, k) / smile.years)
            d1 = (-k + 0.5 * vol * vol * smile.years) / (vol * math.sqrt(smile.years))
            density = math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
            squares.append((100.0 * 2.5 * density * (model - vol)) ** 2)
        own.append(math.sqrt(sum(squares) / len(squares)))
        total += sum(squares)
    assert fit.error == pytest.approx(math.sqrt(total / fit.quotes), rel=1e-9)
    assert [expiry.error for expiry in fit.expiries] == pytest.approx(own, rel=1e-9)


# The live surface


@pytest.mark.parametrize(
    "surface",
    [
        Ssvi(0.4, 0.55, 4.0, -0.15, 0.8),
        Ssvi(1.3, 0.6, 25.0, -0.4, 1.0),
        Ssvi(0.7, 0.5, 8.0, 0.35, 0.9),
        Ssvi(2.0, 1.0, 3.0, 0.6, 1.2),
        Ssvi(0.8, 0.7, 60.0, -0.05, 0.2),
    ],
)
def test_a_live_surface_is_found_again(surface: Ssvi) -> None:
    thetas = np.array([atm_variance(surface, each) for each in YEARS.tolist()])
    fit = calibrate(chain_from(YEARS, thetas, Shape(surface.skew, surface.curvature, 0.5)))
    assert fit.surface_error < 0.02
    assert fit.surface_level == pytest.approx(level_of(surface), rel=2e-3)
    assert fit.surface.skew == pytest.approx(surface.skew, abs=5e-3)
    assert fit.surface.curvature == pytest.approx(surface.curvature, rel=1e-2)
    assert fit.surface.long_vol == pytest.approx(surface.long_vol, rel=2e-2)


def test_the_live_surface_is_a_least_square() -> None:
    """No small change of any of its numbers comes closer to the quotes and the level."""
    chain = chain_from(YEARS, 0.5**2 * YEARS**0.9, Shape(-0.3, 0.7, 0.6), noise=0.03)
    fit = calibrate(chain)
    quotes = quotes_of(chain)

    def distance(surface: Ssvi) -> float:
        thetas = [atm_variance(surface, each) for each in YEARS.tolist()]
        # 30 days is an expiry of this chain.
        miss = 100.0 * (math.sqrt(thetas[2] / YEARS[2]) - fit.level)
        return rms(surface_misfit(quotes, surface)) ** 2 + LEVEL_SHARE * miss * miss

    for place in range(5):
        for change in (0.98, 1.02):
            values = list(fit.surface)
            values[place] *= change
            assert distance(Ssvi(*values)) > distance(fit.surface) - 1e-4


def test_a_surface_moved_to_the_level_holds_together() -> None:
    """A term structure that five numbers cannot follow: the level is met first."""
    vols = np.array([0.75, 0.52, 0.44, 0.45, 0.49])
    chain = chain_from(YEARS, vols**2 * YEARS, Shape(-0.3, 0.6, 0.57))
    fit = calibrate(chain)
    moved = rms(surface_misfit(quotes_of(chain), at_level(fit.surface, fit.level)))
    assert fit.surface_error > 1.0
    assert moved < 1.6 * fit.surface_error


def test_one_expiry_says_nothing_of_a_term_structure() -> None:
    fit = calibrate([smile_from(7.0 / 365.0, 0.6**2 * 7.0 / 365.0, Shape(-0.2, 0.7, 0.5))])
    assert fit.surface_error < 0.02
    assert fit.surface.short_vol == pytest.approx(fit.surface.long_vol, rel=1e-2)
    assert fit.level == pytest.approx(0.6, rel=1e-2)


def test_the_level_lies_between_expiries() -> None:
    """Total variance, not vol, is a straight line."""
    years = np.array([20.0, 40.0]) / 365.0
    fit = calibrate(chain_from(years, np.array([0.02, 0.05]), Shape(-0.2, 0.7, 0.5)))
    assert fit.level == pytest.approx(math.sqrt(0.035 * 365.0 / 30.0), rel=1e-3)


# Outliers


def test_an_outlier_is_named_and_still_counts() -> None:
    chain = chain_from(YEARS, 0.5**2 * YEARS, Shape(-0.2, 0.8, 0.5), noise=0.002)
    clean = calibrate(chain)
    fit = calibrate(with_error(chain, 0.2))
    assert [outlier.name for outlier in fit.outliers] == ["30d-6"]
    assert fit.outliers[0].misfit < -10.0
    assert not clean.outliers
    assert fit.error > 5.0 * clean.error
    # Far from the others, yet within what nobody would call an error.
    assert not calibrate(with_error(chain, 0.012)).outliers


def with_error(chain: list[Smile], error: float) -> list[Smile]:
    """Return the chain with one vol raised."""
    vols = chain[2].vols.copy()
    vols[6] += error
    return [*chain[:2], chain[2]._replace(vols=vols), *chain[3:]]


def test_no_chain_and_an_unordered_chain_are_refused() -> None:
    with pytest.raises(CalibrationError, match="no expiry"):
        calibrate([])
    chain = chain_from(YEARS, 0.5**2 * YEARS, Shape(-0.2, 0.8, 0.5))
    with pytest.raises(CalibrationError, match="not in order"):
        calibrate(chain[::-1])
