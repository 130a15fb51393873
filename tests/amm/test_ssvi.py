"""The live surface: its level, its term structure, its wings."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm.ssvi import (
    LEVEL_YEARS,
    SHORT_VOL_MIN,
    Ssvi,
    at_level,
    atm_variance,
    butterfly_slack,
    level_of,
    total_variance,
)

surfaces = st.builds(
    Ssvi,
    short_vol=st.floats(0.1, 2.0),
    long_vol=st.floats(0.1, 2.0),
    reversion=st.floats(0.0, 30.0),
    skew=st.floats(-0.9, 0.9),
    curvature=st.floats(0.0, 1.05),
)


@given(surfaces, st.floats(0.05, 5.0))
def test_a_moved_surface_has_the_level_asked_for(surface: Ssvi, level: float) -> None:
    moved = at_level(surface, level)
    assert level_of(moved) == pytest.approx(level, rel=1e-9)
    assert moved.short_vol >= SHORT_VOL_MIN * level * (1 - 1e-12)
    if moved.short_vol > SHORT_VOL_MIN * level * (1 + 1e-9):
        assert moved.long_vol == pytest.approx(surface.long_vol, rel=1e-15)


@given(surfaces)
def test_moving_to_its_own_level_changes_nothing(surface: Ssvi) -> None:
    level = level_of(surface)
    if surface.short_vol > SHORT_VOL_MIN * level * 1.01:
        assert at_level(surface, level) == pytest.approx(surface, rel=1e-9)


@given(st.floats(0.05, 3.0), st.floats(-2.0, 2.0), st.floats(1e-4, 5.0))
def test_without_curvature_and_reversion_it_is_flat(vol: float, k: float, years: float) -> None:
    flat = Ssvi(vol, 0.7, 0.0, 0.0, 0.0)
    theta = atm_variance(flat, years)
    assert theta == pytest.approx(vol * vol * years, rel=1e-14)
    assert total_variance(theta, 0.0, 0.0, 0.5, k) == pytest.approx(theta, rel=1e-15)
    assert level_of(flat) == pytest.approx(vol, rel=1e-14)


@given(surfaces)
def test_variance_at_the_money_reverts_from_short_to_long(surface: Ssvi) -> None:
    near = math.sqrt(atm_variance(surface, 1e-8) / 1e-8)
    assert near == pytest.approx(surface.short_vol, rel=1e-3)
    if surface.reversion > 0.1:
        far = math.sqrt(atm_variance(surface, 1e6) / 1e6)
        assert far == pytest.approx(surface.long_vol, rel=1e-3)
    years = np.linspace(1e-4, 5.0, 200)
    assert np.all(np.diff([atm_variance(surface, t) for t in years]) > 0.0)


def test_the_level_is_the_30_day_vol() -> None:
    surface = Ssvi(0.5, 0.62, 6.0, -0.14, 0.65)
    weight = (1.0 - math.exp(-6.0 * LEVEL_YEARS)) / (6.0 * LEVEL_YEARS)
    variance = 0.62**2 + (0.5**2 - 0.62**2) * weight
    assert level_of(surface) == pytest.approx(math.sqrt(variance), rel=1e-14)


def durrleman(theta: float, skew: float, curvature: float, power: float) -> float:
    """Return the least density factor g on a wide grid of log strikes, by differences."""
    k = np.linspace(-3.0, 3.0, 6001)
    w = np.array([total_variance(theta, skew, curvature, power, each) for each in k])
    slope, bend = np.gradient(w, k), np.gradient(np.gradient(w, k), k)
    g = (1 - k * slope / (2 * w)) ** 2 - slope**2 / 4 * (1 / w + 0.25) + bend / 2
    return float(g[3:-3].min())


@pytest.mark.parametrize("skew", [-0.6, -0.1, 0.0, 0.4])
@pytest.mark.parametrize("theta", [1e-3, 0.02, 0.5, 6.0])
def test_bounded_curvature_leaves_no_butterfly(theta: float, skew: float) -> None:
    curvature = 2.0 / (1.0 + abs(skew))
    assert butterfly_slack(theta, skew, curvature, 0.5) >= 0.0
    assert durrleman(theta, skew, curvature, 0.5) >= -1e-6


def test_too_much_curvature_is_told() -> None:
    assert butterfly_slack(1e-3, -0.5, 5.0, 0.5) < 0.0
    assert durrleman(1e-3, -0.5, 5.0, 0.5) < 0.0
