"""The exact price under a smile, against an independent integral and what every smile keeps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from amm.mixture import smile_value
from amm.perpetual import perpetual_value
from amm.ssvi import BTC_SURFACE, ETH_SURFACE, Ssvi, at_level

WEEK = 7.0 / 365.0
SURFACES = (
    BTC_SURFACE,
    ETH_SURFACE,
    Ssvi(1.1, 0.6, 10.0, 0.4, 1.2),
    Ssvi(0.4, 0.8, 3.0, -0.6, 1.0),
)
POINTS, POINT_WEIGHTS = np.polynomial.legendre.leggauss(600)


def slow_value(
    surface: Ssvi, is_call: bool, moneyness: float, period: float, rate: float, carry: float
) -> float:
    """Integrate Europeans over their expiries in NumPy, both options directly, without parity."""
    y = 4.0 * (POINTS + 1.0)
    years = period * y * y
    density = np.exp(-years / period - rate * years) * 2.0 * y * 4.0 * POINT_WEIGHTS
    blend = -np.expm1(-surface.reversion * years) / surface.reversion
    theta = surface.long_vol**2 * years + (surface.short_vol**2 - surface.long_vol**2) * blend
    k = -math.log(moneyness) - carry * years
    phi = surface.curvature / np.sqrt(theta * (1.0 + theta))
    rho = surface.skew
    w = theta / 2 * (1 + rho * phi * k + np.sqrt((phi * k + rho) ** 2 + 1 - rho**2))
    d1 = (-k + w / 2) / np.sqrt(w)
    d2 = d1 - np.sqrt(w)
    side = 1.0 if is_call else -1.0
    forward = moneyness * np.exp(carry * years)
    return float((density * side * (forward * ndtr(side * d1) - ndtr(side * d2))).sum())


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize(("rate", "carry"), [(0.0, 0.0), (0.04, -0.1), (0.0, 0.3)])
def test_it_is_the_integral_over_expiries(
    surface: Ssvi, is_call: bool, rate: float, carry: float
) -> None:
    for moneyness in (0.6, 0.8, 0.95, 1.0, 1.02, 1.2, 1.6):
        exact = slow_value(surface, is_call, moneyness, WEEK, rate, carry)
        value = smile_value(surface, is_call, moneyness, WEEK, rate, carry)
        assert value == pytest.approx(exact, rel=1e-8, abs=1e-9)


@given(
    st.floats(0.1, 2.0),
    st.floats(-1.0, 1.0),
    st.booleans(),
    st.floats(1 / 365, 90 / 365),
    st.floats(-0.1, 0.1),
    st.floats(-0.3, 0.3),
)
def test_on_a_flat_surface_it_is_the_closed_form(
    vol: float, log_moneyness: float, is_call: bool, period: float, rate: float, carry: float
) -> None:
    flat = at_level(Ssvi(0.5, 0.5, 0.0, 0.0, 0.0), vol)
    x = math.exp(log_moneyness)
    closed = perpetual_value(is_call, x, vol, period, rate, carry, math.inf)
    value = smile_value(flat, is_call, x, period, rate, carry)
    assert value == pytest.approx(closed, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("surface", SURFACES)
def test_it_is_decreasing_and_convex_in_the_strike(surface: Ssvi) -> None:
    """Per unit of index: what holds for every expiry holds for their mixture."""
    strikes = np.linspace(0.5, 2.0, 301)
    per_index = np.array([k * smile_value(surface, True, 1 / k, WEEK, 0.0, 0.05) for k in strikes])
    assert np.all(np.diff(per_index) < 0.0)
    assert np.all(np.diff(per_index, 2) > -1e-9)


@pytest.mark.parametrize("surface", SURFACES)
def test_call_less_put_is_the_forward(surface: Ssvi) -> None:
    for x in (0.7, 1.0, 1.3):
        call = smile_value(surface, True, x, WEEK, 0.03, 0.1)
        put = smile_value(surface, False, x, WEEK, 0.03, 0.1)
        rate = 1.0 / WEEK
        forward = x * rate / (rate + 0.03 - 0.1) - rate / (rate + 0.03)
        assert call - put == pytest.approx(forward, abs=1e-9)


def test_the_smile_is_not_optional_out_of_the_money() -> None:
    """Quoting the wing at the vol of the money would give most of its value away."""
    surface = at_level(BTC_SURFACE, 0.5)
    flat = perpetual_value(False, 1.25, 0.5, WEEK, 0.0, 0.0, math.inf)
    assert smile_value(surface, False, 1.25, WEEK, 0.0, 0.0) > 1.5 * flat
