"""A surface comes back from its own delta quotes, a default shape from its own chains."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amm.arbitrage import Shape
from amm.black_scholes import normal_cdf
from amm.chain import CalibrationError
from amm.defaults import Case, error_at_level, fit_defaults
from amm.delta_quotes import DeltaQuotes, delta_vol, from_quotes, wings
from amm.misfit import quotes_of
from amm.ssvi import Ssvi, at_level, atm_variance, level_of
from tests.amm.test_calibration import YEARS, chain_from

EXPIRIES = [days / 365.0 for days in (7, 30, 90, 180)]

surfaces = st.builds(
    Ssvi,
    short_vol=st.floats(0.3, 1.5),
    long_vol=st.floats(0.6, 1.0),
    reversion=st.floats(4.0, 60.0),
    skew=st.floats(-0.6, 0.6),
    curvature=st.floats(0.1, 1.2),
)


def quotes_from(surface: Ssvi) -> list[DeltaQuotes]:
    quotes = []
    for years in EXPIRIES:
        theta = atm_variance(surface, years)
        reversal, butterfly = wings(theta, years, surface.skew, surface.curvature, 0.5)
        quotes.append(DeltaQuotes(years, math.sqrt(theta / years), reversal, butterfly))
    return quotes


@settings(max_examples=30)
@given(surfaces)
def test_a_surface_comes_back_from_its_quotes(surface: Ssvi) -> None:
    fit = from_quotes(quotes_from(surface))
    for made, found in zip(quotes_from(surface), quotes_from(fit), strict=True):
        assert tuple(found) == pytest.approx(tuple(made), abs=0.004)
    assert fit.skew == pytest.approx(surface.skew, abs=0.02)
    assert fit.curvature == pytest.approx(surface.curvature, abs=0.05)


@given(st.floats(1e-3, 1.0), st.floats(-0.6, 0.6), st.floats(0.1, 1.2))
def test_the_quarter_delta_strike_has_a_quarter_delta(
    theta: float, skew: float, curvature: float
) -> None:
    """Solved back from the vol alone: the call of that vol and delta lies on the smile."""
    vol = delta_vol(theta, 0.25, skew, curvature, 0.5, -0.6744897501960817)
    deviation = vol * math.sqrt(0.25)
    k = deviation * (0.5 * deviation + 0.6744897501960817)
    assert normal_cdf(0.5 * deviation - k / deviation) == pytest.approx(0.25, abs=1e-9)
    expected = 0.5 * theta * (1 + skew * (phi := curvature / math.sqrt(theta * (1 + theta))) * k)
    expected += 0.5 * theta * math.hypot(phi * k + skew, math.sqrt(1 - skew * skew))
    # phi at power 1/2 is curvature / sqrt(theta (1 + theta)).
    assert deviation**2 == pytest.approx(expected, rel=1e-6)


def test_quotes_may_be_missing() -> None:
    surface = Ssvi(0.5, 0.7, 4.0, -0.3, 0.8)
    quotes = quotes_from(surface)
    quotes[0] = quotes[0]._replace(risk_reversal=math.nan)
    quotes[2] = quotes[2]._replace(vol=math.nan, butterfly=math.nan)
    fit = from_quotes(quotes)
    assert level_of(fit) == pytest.approx(level_of(surface), rel=1e-2)
    assert fit.skew == pytest.approx(-0.3, abs=0.02)
    alone = from_quotes(quotes[1:2])
    assert alone.short_vol == alone.long_vol == quotes[1].vol


NAN = math.nan


@pytest.mark.parametrize(
    "quotes",
    [
        [],
        [DeltaQuotes(0.1, NAN, -0.02, 0.01)],
        [DeltaQuotes(0.1, 0.5, NAN, 0.01)],
        [DeltaQuotes(0.1, 0.5, -0.02, NAN)],
        [DeltaQuotes(0.0, 0.5, -0.02, 0.01)],
        [DeltaQuotes(NAN, 0.5, -0.02, 0.01)],
        [DeltaQuotes(0.1, -0.5, -0.02, 0.01)],
        [DeltaQuotes(0.1, 55.0, -0.02, 0.01)],
        [DeltaQuotes(0.1, 0.5, math.inf, 0.01)],
    ],
)
def test_quotes_that_make_no_surface_are_refused(quotes: list[DeltaQuotes]) -> None:
    with pytest.raises(CalibrationError) as caught:
        from_quotes(quotes)
    assert "\n" not in str(caught.value)


def case_from(surface: Ssvi, weight: float = 1.0) -> Case:
    thetas = np.array([atm_variance(surface, each) for each in YEARS.tolist()])
    chain = chain_from(YEARS, thetas, Shape(surface.skew, surface.curvature, 0.5))
    return Case(quotes_of(chain), thetas, level_of(surface), weight)


def test_a_shape_is_found_from_its_levels() -> None:
    """Chains of one shape at three levels give it back, at the level asked for."""
    shape = Ssvi(0.5, 0.6, 5.0, -0.25, 0.9)
    cases = [case_from(at_level(shape, level)) for level in (0.4, 0.6, 1.1)]
    found = fit_defaults(cases, level=0.5)
    assert found == pytest.approx(at_level(shape, 0.5), rel=1e-3)
    assert max(error_at_level(case, found) for case in cases) < 0.02


def test_a_heavier_chain_decides() -> None:
    calm, crash = Ssvi(0.4, 0.5, 4.0, -0.1, 0.7), Ssvi(1.4, 0.5, 18.0, -0.4, 1.0)
    skews = [
        fit_defaults([case_from(calm, weight), case_from(crash)], level=0.5).skew
        for weight in (0.01, 100.0)
    ]
    assert skews[0] == pytest.approx(-0.4, abs=0.03)
    assert skews[1] == pytest.approx(-0.1, abs=0.03)
    with pytest.raises(CalibrationError):
        fit_defaults([], level=0.5)


def test_a_point_counts_for_less_where_vol_is_high() -> None:
    """Two flat chains that differ in level and skew: neither decides."""
    cases = [case_from(Ssvi(vol, vol, 0.0, skew, 0.8)) for vol, skew in ((0.3, -0.1), (1.2, -0.5))]
    assert fit_defaults(cases, level=0.5).skew == pytest.approx(-0.3, abs=0.06)
