"""Arbitrage is found where there is some, from derivatives that are the surface's own."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm.arbitrage import (
    Shape,
    check_expiries,
    check_live,
    curvature_bound,
    density_factor,
    theta_slope,
)
from amm.ssvi import Ssvi, butterfly_slack, total_variance
from tests.amm.test_calibration import YEARS


@given(
    st.floats(1e-4, 4.0),
    st.floats(-0.95, 0.95),
    st.floats(0.01, 3.0),
    st.floats(0.05, 0.95),
    st.floats(-2.0, 2.0),
)
def test_derivatives_are_those_of_total_variance(
    theta: float, skew: float, curvature: float, power: float, deviation: float
) -> None:
    shape, k = Shape(skew, curvature, power), deviation * math.sqrt(theta)
    step = 1e-4 * math.sqrt(theta) / max(1.0, curvature)

    def variance(at: float, of: float = theta) -> float:
        return total_variance(of, *shape, at)

    middle, up, down = variance(k), variance(k + step), variance(k - step)
    slope, bend = (up - down) / (2.0 * step), (up - 2.0 * middle + down) / step**2
    expected = (1 - k * slope / (2 * middle)) ** 2 - slope**2 / 4 * (1 / middle + 0.25) + bend / 2
    found = density_factor(np.array(theta), shape, np.array(k))
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
    higher, lower = variance(k, theta * (1 + 1e-5)), variance(k, theta * (1 - 1e-5))
    growth = theta_slope(np.array(theta), shape, np.array(k))
    assert growth == pytest.approx((higher - lower) / (2e-5 * theta), rel=1e-4, abs=1e-6)


def test_arbitrage_is_found_where_there_is_some() -> None:
    thetas = 0.6**2 * YEARS
    butterfly = check_expiries(YEARS, thetas, Shape(-0.5, 6.0, 0.5))
    assert not butterfly.no_butterfly
    assert butterfly.slack < 0.0
    falling = check_expiries(YEARS, thetas[[0, 1, 3, 2, 4]], Shape(-0.5, 0.5, 0.5))
    assert not falling.no_calendar
    assert falling.no_butterfly
    # theta phi falls with theta where the power is beyond 1.
    crossing = check_expiries(YEARS, thetas, Shape(-0.5, 0.3, 1.6))
    assert not crossing.no_calendar
    steep = check_live(Ssvi(1.5, 0.5, 60.0, -0.5, 8.0), 1.0 / 365.0, 1.0)
    assert not steep.no_butterfly
    assert check_live(Ssvi(1.5, 0.5, 60.0, -0.5, 1.3), 1.0 / 365.0, 1.0).no_butterfly


@given(st.floats(1e-4, 2.0), st.floats(1.0, 50.0), st.floats(-0.95, 0.95), st.floats(0.02, 0.98))
def test_the_bound_of_curvature_is_the_bound(
    low: float, span: float, skew: float, power: float
) -> None:
    thetas = np.geomspace(low, low * span, 200)
    bound = curvature_bound(low, low * span, skew, power)
    slack = min(butterfly_slack(theta, skew, bound, power) for theta in thetas.tolist())
    assert slack >= 0.0
    beyond = 1.02 * bound
    assert min(butterfly_slack(theta, skew, beyond, power) for theta in thetas.tolist()) < 0.0
