"""Fit SSVI to an option chain: expiry by expiry, then the five numbers of the live surface.

Both fits are least squares of one error: the rms over all quotes of weight * (model vol - vol), in
vol points. What no arbitrage allows is what the optimiser can express: theta grows by steps that
are not negative, the power stays between 0 and 1, and curvature is a share of the largest that
clears the butterfly conditions for every theta from the first expiry to the last.

Source: Gatheral and Jacquier (2014), theorems 4.1 and 4.2. With the power between 0 and 1,
theta phi grows with theta and by less than phi, so theorem 4.1 asks nothing of the skew.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from amm.arbitrage import Arbitrage, Shape, check_expiries, check_live, curvature_bound
from amm.chain import Floats, Smile
from amm.misfit import (
    POINTS,
    Quotes,
    misfit,
    model_vols,
    quotes_of,
    rms,
    surface_misfit,
    surface_thetas,
)
from amm.ssvi import LEVEL_YEARS, Ssvi, atm_variance, level_of

SKEW_MAX = 0.99
SHARE_MIN = 1e-4
"""Least curvature as a share of the largest allowed."""
REVERSION_MAX = 120.0
"""Per year; any faster, and the 30-day level, which the live short vol is solved from, hardly
depends on it."""
LEAN = 1e-3
"""Pull of the power to 1/2, of the term structure to flat and of the reversion to 0, each against
all quotes together: decides where a chain does not."""
LEVEL_SHARE = 0.3
"""What the 30-day level counts for in the fit of a live surface, against all quotes together: once
live, the surface is moved to that level, and must not come apart when it is."""
OUTLIER_DEVIATIONS = 5.0
OUTLIER_POINTS = 1.5
"""An outlier's misfit is beyond both: robust standard deviations of its chain, and vol points."""


class ExpiryFit(NamedTuple):
    """One expiry of a fit.

    Attributes:
        years: To expiry.
        forward: USD.
        quotes: How many count.
        market_vol: At the forward, between the nearest quotes.
        theta: Fitted total variance at the money.
        error: Of the fit by expiry on these quotes, in vol points.
        surface_vol: The live surface's vol at the money.
        surface_error: The live surface's error on these quotes, in vol points.
    """

    years: float
    forward: float
    quotes: int
    market_vol: float
    theta: float
    error: float
    surface_vol: float
    surface_error: float

    @property
    def vol(self) -> float:
        """Fitted vol at the money."""
        return math.sqrt(self.theta / self.years)


class Outlier(NamedTuple):
    """A quote the fit cannot follow; `misfit` is weighted, in vol points, model less market."""

    name: str
    vol: float
    model_vol: float
    misfit: float


class ChainFit(NamedTuple):
    """A fitted chain.

    Attributes:
        expiries: In order.
        shape: Skew, curvature and power that the expiries share.
        error: Rms weighted misfit over all quotes, in vol points.
        quotes: How many.
        level: Fitted vol at the money of 30 days; of the nearest expiry if they do not span it.
        arbitrage: What the check of the expiries found.
        surface: The live surface.
        surface_error: Its error on the same quotes, in vol points.
        surface_arbitrage: What its check found.
        outliers: Quotes far from the fit by expiries; they count in the errors.
    """

    expiries: tuple[ExpiryFit, ...]
    shape: Shape
    error: float
    quotes: int
    level: float
    arbitrage: Arbitrage
    surface: Ssvi
    surface_error: float
    surface_arbitrage: Arbitrage
    outliers: tuple[Outlier, ...]

    @property
    def surface_level(self) -> float:
        """Vol at the money of 30 days on the live surface."""
        return level_of(self.surface)

    @property
    def no_arbitrage(self) -> bool:
        """True where neither fit has a butterfly or a calendar spread to sell."""
        both = (self.arbitrage, self.surface_arbitrage)
        return all(found.no_butterfly and found.no_calendar for found in both)


def best_of(
    residuals: Callable[[Floats], Floats], starts: Sequence[Floats], bounds: tuple[Floats, Floats]
) -> Floats:
    """Return the least-squares parameters within bounds, the best over all starts."""
    from scipy.optimize import least_squares  # noqa: PLC0415 - slow to load

    low, high = bounds
    margin = 1e-6 * (high - low)
    found: list[tuple[float, Floats]] = []
    for start in starts:
        inside = np.clip(start, low + margin, high - margin)
        fit = least_squares(residuals, inside, bounds=bounds, x_scale="jac", max_nfev=200)
        found.append((float(fit.cost), np.asarray(fit.x)))
    return min(found, key=lambda each: each[0])[1]


def _unpack_expiries(values: Floats, steps: Floats) -> tuple[Floats, Shape]:
    """Return thetas and shape; values are skew, share of the largest curvature, power, growth."""
    skew, share, power = (float(value) for value in values[:3])
    thetas = np.cumsum(values[3:] * steps)
    bound = curvature_bound(float(thetas[0]), float(thetas[-1]), skew, power)
    return thetas, Shape(skew, share * bound, power)


def fit_expiries(quotes: Quotes) -> tuple[Floats, Shape]:
    """Return the thetas, shape (expiries,), and the shape they share."""
    typical = float(np.mean(quotes.market_vols**2))
    steps = typical * np.diff(quotes.years, prepend=0.0)
    guess = np.maximum.accumulate(quotes.market_vols**2 * quotes.years)
    growth = np.diff(guess, prepend=0.0) / steps

    def residuals(values: Floats) -> Floats:
        thetas, shape = _unpack_expiries(values, steps)
        return np.append(misfit(quotes, thetas, shape), LEAN * (shape.power - 0.5))

    count = quotes.years.size
    low = np.array([-SKEW_MAX, SHARE_MIN, 0.01, 1e-3, *([0.0] * (count - 1))])
    high = np.array([SKEW_MAX, 1.0, 0.99, *([1e4] * count)])
    margin = np.maximum(growth, 0.01)
    starts = [np.array([skew, 0.4, 0.5, *margin]) for skew in (-0.3, 0.3)]
    return _unpack_expiries(best_of(residuals, starts, (low, high)), steps)


def _unpack_surface(values: Floats) -> Ssvi:
    """Return the live surface; the last value is the share of the largest curvature."""
    short_vol, long_vol, reversion, skew, share = (float(value) for value in values)
    return Ssvi(short_vol, long_vol, reversion, skew, share * 2.0 / (1.0 + abs(skew)))


def surface_bounds(vols: Floats) -> tuple[Floats, Floats]:
    """Return the bounds of short vol, long vol and reversion, given vols at the money.

    Past its last expiry a chain says nothing: a long vol far from all it quotes is an accident.
    """
    low, high = float(vols.min()), float(vols.max())
    return np.array([0.4 * low, 0.5 * low, 0.0]), np.array([3.0 * high, 1.5 * high, REVERSION_MAX])


def fit_surface(quotes: Quotes, thetas: Floats, shape: Shape) -> Ssvi:
    """Return the live surface closest to the quotes and to the level of the fit by expiries."""
    vols = np.sqrt(thetas / quotes.years)
    low, high = surface_bounds(vols)
    bounds = (np.append(low, [-SKEW_MAX, SHARE_MIN]), np.append(high, [SKEW_MAX, 1.0]))
    share = min(shape.curvature * (1.0 + abs(shape.skew)) / 2.0, 0.9)
    starts = [
        np.array([vols[0], vols[-1], reversion, shape.skew, share])
        for reversion in (0.5, 4.0, 20.0, 80.0)
    ]

    level = level_between(quotes.years, thetas)
    level_weight = POINTS * math.sqrt(LEVEL_SHARE * quotes.vols.size)

    def residuals(values: Floats) -> Floats:
        surface = _unpack_surface(values)
        # Read off the expiries as the chain's is, so that a chain of the surface's own fits.
        own_level = level_between(quotes.years, surface_thetas(surface, quotes.years))
        others = (
            level_weight * (own_level - level),
            LEAN * POINTS * (surface.long_vol - surface.short_vol),
            LEAN * surface.reversion,
        )
        return np.append(surface_misfit(quotes, surface), others)

    return _unpack_surface(best_of(residuals, starts, bounds))


def level_between(years: Floats, thetas: Floats) -> float:
    """Return the 30-day vol on straight lines of total variance, flat outside the expiries."""
    if years[0] >= LEVEL_YEARS:
        return math.sqrt(thetas[0] / years[0])
    if years[-1] <= LEVEL_YEARS:
        return math.sqrt(thetas[-1] / years[-1])
    return math.sqrt(float(np.interp(LEVEL_YEARS, years, thetas)) / LEVEL_YEARS)


def _outliers(chain: Sequence[Smile], quotes: Quotes, vols: Floats) -> tuple[Outlier, ...]:
    misfits = POINTS * quotes.weights * (vols - quotes.vols)
    centre = float(np.median(misfits))
    deviation = 1.4826 * float(np.median(np.abs(misfits - centre)))
    beyond = np.abs(misfits) > max(OUTLIER_DEVIATIONS * deviation, OUTLIER_POINTS)
    names = [name for smile in chain for name in smile.names]
    found = [
        Outlier(names[i], float(quotes.vols[i]), float(vols[i]), float(misfits[i]))
        for i in np.flatnonzero(beyond)
    ]
    return tuple(sorted(found, key=lambda each: -abs(each.misfit)))


def calibrate(chain: Sequence[Smile]) -> ChainFit:
    """Fit a chain of one expiry or more.

    Raises:
        CalibrationError: For a chain that is empty, or whose expiries are not in order.
    """
    quotes = quotes_of(chain)
    thetas, shape = fit_expiries(quotes)
    surface = fit_surface(quotes, thetas, shape)
    vols = model_vols(quotes, thetas, shape)
    misfits, surface_misfits = misfit(quotes, thetas, shape), surface_misfit(quotes, surface)
    expiries = []
    for i, smile in enumerate(chain):
        own = quotes.expiry == i
        expiries.append(
            ExpiryFit(
                smile.years,
                smile.forward,
                int(own.sum()),
                float(quotes.market_vols[i]),
                float(thetas[i]),
                rms(misfits[own]),
                math.sqrt(atm_variance(surface, smile.years) / smile.years),
                rms(surface_misfits[own]),
            )
        )
    return ChainFit(
        tuple(expiries),
        shape,
        rms(misfits),
        misfits.size,
        level_between(quotes.years, thetas),
        check_expiries(quotes.years, thetas, shape),
        surface,
        rms(surface_misfits),
        check_live(surface, float(quotes.years[0]), float(quotes.years[-1])),
        _outliers(chain, quotes, vols),
    )
