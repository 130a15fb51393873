"""Perpetual vols from the table: against the exact mixture, and smooth along the strike."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from amm.mixture import discounting_period, make_expiries, smile_value
from amm.perpetual import perpetual_price, perpetual_value
from amm.ssvi import BTC_SURFACE, ETH_SURFACE, FLAT, Ssvi, at_level
from amm.surface import (
    CARRIES,
    CENTRE,
    COEFFICIENTS,
    INTERVALS,
    STEP,
    U_MAX,
    Surface,
    fill_surface,
    fill_vols,
    fit_spline,
    flat_surface,
    make_table,
    strike_vol,
)

WEEK = 7.0 / 365.0
SHAPES = (
    BTC_SURFACE,
    ETH_SURFACE,
    Ssvi(1.1, 0.6, 10.0, 0.4, 1.2),
    Ssvi(0.4, 0.8, 3.0, -0.6, 1.0),
)
shapes = st.sampled_from(SHAPES)
levels = st.floats(math.log(0.1), math.log(4.0)).map(math.exp)
betas = st.sampled_from([0.0, 0.03, -0.08, 0.2, -0.6, 1.0])
"""Carry in level / sqrt(period)."""
RELATIVE_ERROR = {0.0: 5e-7, 0.03: 5e-7, 0.08: 5e-7, 0.2: 1e-5, 0.6: 1e-4, 1.0: 5e-4}
"""By the size of the carry, about three times the worst of 12,000 random points."""
CARRY_SANE = 3.0
"""300 % a year."""


def surface_at(shape: Ssvi, level: float, carry: float = 0.0, period: float = WEEK) -> Surface:
    return fill_surface(make_table(shape, period), level, carry, np.empty(COEFFICIENTS))


def quoted(surface: Surface, is_call: bool, x: float, carry: float, rate: float = 0.0) -> float:
    vol = strike_vol(surface, -math.log(x))
    return perpetual_value(is_call, x, vol, WEEK, rate, carry, math.inf)


@pytest.mark.compiled
@given(shapes, levels, betas, st.floats(-0.7, 0.7))
def test_a_quote_is_the_exact_mixture(shape: Ssvi, level: float, beta: float, k: float) -> None:
    """To 1e-7 of the notional; of the value itself by how far the carry is from ordinary."""
    carry = beta * level / math.sqrt(WEEK)
    assume(abs(carry) <= CARRY_SANE)
    x = math.exp(-k)
    exact = smile_value(at_level(shape, level), k >= 0.0, x, WEEK, 0.0, carry)
    value = quoted(surface_at(shape, level, carry), k >= 0.0, x, carry)
    assert value == pytest.approx(exact, abs=1e-7)
    if exact > 1e-6:
        assert value == pytest.approx(exact, rel=RELATIVE_ERROR[abs(beta)])


@pytest.mark.compiled
def test_at_ordinary_levels_a_quote_is_exact_to_1e_7_of_itself() -> None:
    for shape in (BTC_SURFACE, ETH_SURFACE):
        for level in (0.4, 0.55, 0.9):
            surface = surface_at(shape, level)
            for k in np.linspace(-3.0, 3.0, 61) * level * math.sqrt(WEEK):
                x = math.exp(-k)
                exact = smile_value(at_level(shape, level), k >= 0.0, x, WEEK, 0.0, 0.0)
                assert quoted(surface, k >= 0.0, x, 0.0) == pytest.approx(exact, rel=1e-7)


@pytest.mark.compiled
def test_discounting_shortens_the_expiry_and_nothing_else() -> None:
    period = discounting_period(WEEK, 0.5)
    surface = surface_at(BTC_SURFACE, 0.5, 0.1, period)
    for k in (-0.2, -0.01, 0.0, 0.15):
        x = math.exp(-k)
        exact = smile_value(at_level(BTC_SURFACE, 0.5), k >= 0.0, x, WEEK, 0.5, 0.1)
        assert quoted(surface, k >= 0.0, x, 0.1, 0.5) == pytest.approx(exact, abs=1e-8)


@pytest.mark.compiled
def test_one_level_of_the_table_by_itself() -> None:
    """Its vols at the knots invert the mixture, and the spline goes through them."""
    level = 0.5
    knots = np.empty((CARRIES, INTERVALS + 1))
    fill_vols(at_level(BTC_SURFACE, level), WEEK, level, make_expiries(), knots)
    ratios = np.empty(COEFFICIENTS)
    fit_spline(knots[CARRIES // 2], ratios)
    surface = Surface(level, 1.0 / (CENTRE * level * math.sqrt(WEEK)), ratios)
    for knot in (60, 80, 88, 95, 110):
        k = CENTRE * math.sinh(knot * STEP - U_MAX) * level * math.sqrt(WEEK)
        vol = strike_vol(surface, k)
        assert vol == pytest.approx(level * knots[CARRIES // 2, knot], rel=1e-12)
        exact = smile_value(at_level(BTC_SURFACE, level), k >= 0.0, math.exp(-k), WEEK, 0.0, 0.0)
        assert quoted(surface, k >= 0.0, math.exp(-k), 0.0) == pytest.approx(exact, rel=1e-9)


@given(st.floats(0.05, 5.0), st.floats(-1.0, 1.0))
def test_a_flat_surface_gives_back_the_closed_form(level: float, k: float) -> None:
    for surface in (flat_surface(level), surface_at(FLAT, level, 0.02)):
        assert surface.level == level
        assert strike_vol(surface, k) == pytest.approx(level, rel=3e-15)


@pytest.mark.compiled
@given(shapes, levels, st.booleans())
def test_quotes_have_no_butterfly_on_a_fine_grid(shape: Ssvi, level: float, near: bool) -> None:
    """Also across knots, where straight lines between them would leave one."""
    surface = surface_at(shape, level)
    width = 0.5 * level * math.sqrt(WEEK) if near else 0.9
    strikes = np.exp(np.linspace(-width, width, 401))
    calls = np.array([k * quoted(surface, True, 1.0 / k, 0.0) for k in strikes])
    slopes = np.diff(calls) / np.diff(strikes)
    assert np.all(slopes < 1e-12)
    assert np.all(np.diff(slopes) > -1e-9)


@pytest.mark.compiled
def test_vol_is_twice_differentiable_at_the_knots() -> None:
    surface = surface_at(BTC_SURFACE, 0.5)
    step = 1e-3 * STEP

    def vol(u: float) -> float:
        return strike_vol(surface, CENTRE * math.sinh(u) / (CENTRE * surface.stretch))

    for knot in range(40, 120):
        u = knot * STEP - U_MAX
        left = vol(u - 3 * step) - 2 * vol(u - 2 * step) + vol(u - step)
        right = vol(u + step) - 2 * vol(u + 2 * step) + vol(u + 3 * step)
        scale = abs(vol(u + STEP) - 2 * vol(u) + vol(u - STEP)) * 1e-6
        assert left == pytest.approx(right, abs=0.05 * scale + 1e-14)


@pytest.mark.compiled
@given(shapes, levels, st.floats(-0.4, 0.4), betas)
def test_perpetual_vol_round_trips(shape: Ssvi, level: float, k: float, beta: float) -> None:
    """The vol that the table gives prices at the mixture; the mixture inverts to the vol."""
    carry = beta * level / math.sqrt(WEEK)
    assume(abs(carry) <= CARRY_SANE)
    x = math.exp(-k)
    vol = strike_vol(surface_at(shape, level, carry), k)
    price = perpetual_price(k >= 0.0, x, vol, WEEK, 0.0, carry, math.inf)
    exact = smile_value(at_level(shape, level), k >= 0.0, x, WEEK, 0.0, carry)
    if price.value > 1e-6:
        share = 2e-6 if abs(beta) <= 0.2 else 2e-5
        assert (price.value - exact) / price.vega == pytest.approx(0.0, abs=share * level)


@pytest.mark.compiled
@given(shapes, st.floats(-0.3, 0.3))
def test_nothing_jumps_where_the_short_vol_leaves_its_floor(shape: Ssvi, k: float) -> None:
    edge = make_table(shape, WEEK).edge
    below, above = (strike_vol(surface_at(shape, edge * by), k) for by in (1 - 1e-9, 1 + 1e-9))
    assert below == pytest.approx(above, rel=1e-7)


@pytest.mark.compiled
@given(
    st.floats(0.01, 5.0),
    st.floats(0.0, 200.0),
    st.floats(-0.99, 0.99),
    st.floats(0.0, 1.0),
    st.sampled_from([1 / 365, 7 / 365, 30 / 365, 1.0]),
)
@settings(max_examples=8)
def test_every_surface_there_can_be_is_tabulated(
    long_vol: float, reversion: float, skew: float, bend: float, period: float
) -> None:
    """Whatever may be published, at the shortest and the longest funding periods there can be."""
    curvature = bend * 2.0 / (1.0 + abs(skew))
    table = make_table(Ssvi(long_vol, long_vol, reversion, skew, curvature), period)
    assert np.isfinite(table.ratios).all()
    for level in (0.02, 0.3, 2.0, 16.0):
        surface = fill_surface(table, level, 0.1, np.empty(COEFFICIENTS))
        for k in (-0.7, -0.01, 0.0, 0.3):
            assert 0.0 < strike_vol(surface, k) < math.inf


@pytest.mark.compiled
@given(shapes, st.floats(-5.0, 5.0), levels)
def test_far_strikes_and_extreme_levels_stay_finite(shape: Ssvi, k: float, level: float) -> None:
    for factor in (0.01, 1.0, 100.0):
        vol = strike_vol(surface_at(shape, level * factor, 3.0), k)
        assert 0.0 < vol < math.inf
