"""Whether a fitted surface can be traded against, looked for on a fine grid.

The conditions a fit is held to are sufficient; this check does not rely on them. It takes the
densities and the calendar spreads of the surface itself, from exact derivatives, at the expiries
and between them, out to wings nobody quotes.

Source: Gatheral and Jacquier (2014), section 2: no butterfly where g(k) >= 0 (equation 2.1, after
Durrleman), no calendar spread where the total variance at a log strike does not fall with expiry.
"""

import math
from typing import NamedTuple

import numpy as np

from amm.chain import Floats
from amm.ssvi import Ssvi, atm_variance, butterfly_slack

WING_DEVIATIONS = 8.0
WING_LOG_STRIKE = 3.0
"""The grid reaches out to both."""
TOLERANCE = 1e-9
"""Rounding; a density factor is 1 at the money of a flat smile."""
STEPS_BETWEEN = 8
"""Expiries looked at from each one to the next."""


class Shape(NamedTuple):
    """What a surface's wings are; see `amm.ssvi.total_variance`."""

    skew: float
    curvature: float
    power: float


class Arbitrage(NamedTuple):
    """The least of what must not be negative, and where it is.

    Attributes:
        slack: Of the sufficient butterfly conditions, of 4.
        density: The least density factor g.
        density_at: Years and log strike of it.
        calendar: The least slope of total variance in years, per year.
        calendar_at: Years and log strike of it.
    """

    slack: float
    density: float
    density_at: tuple[float, float]
    calendar: float
    calendar_at: tuple[float, float]

    @property
    def no_butterfly(self) -> bool:
        """True where no density is negative."""
        return self.density >= -TOLERANCE

    @property
    def no_calendar(self) -> bool:
        """True where no total variance falls."""
        return self.calendar >= -TOLERANCE


def density_factor(theta: Floats, shape: Shape, log_strikes: Floats) -> Floats:
    """Return Durrleman's g for thetas and log strikes that broadcast; >= 0 without butterflies."""
    skew, curvature, power = shape
    phi = curvature / (theta**power * (1.0 + theta) ** (1.0 - power))
    turned = phi * log_strikes + skew
    root = np.sqrt(turned * turned + 1.0 - skew * skew)
    variance = 0.5 * theta * (1.0 + skew * phi * log_strikes + root)
    slope = 0.5 * theta * phi * (skew + turned / root)
    bend = 0.5 * theta * phi * phi * (1.0 - skew * skew) / root**3
    centre = 1.0 - 0.5 * log_strikes * slope / variance
    factor: Floats = centre**2 - 0.25 * slope**2 * (1.0 / variance + 0.25) + 0.5 * bend
    return factor


def theta_slope(theta: Floats, shape: Shape, log_strikes: Floats) -> Floats:
    """Return the derivative of total variance in theta at fixed log strikes; they broadcast."""
    skew, curvature, power = shape
    phi = curvature / (theta**power * (1.0 + theta) ** (1.0 - power))
    turned = phi * log_strikes + skew
    root = np.sqrt(turned * turned + 1.0 - skew * skew)
    elasticity = -power - (1.0 - power) * theta / (1.0 + theta)
    level = 0.5 * (1.0 + skew * phi * log_strikes + root)
    slope: Floats = level + 0.5 * elasticity * phi * log_strikes * (skew + turned / root)
    return slope


def check_surface(years: Floats, thetas: Floats, slopes: Floats, shape: Shape) -> Arbitrage:
    """Return the worst of a surface whose variance at the money is `thetas`, rising by `slopes`.

    All arrays have the shape (expiries,); slopes are per year.
    """
    deviations = np.linspace(-WING_DEVIATIONS, WING_DEVIATIONS, 321)
    far = np.linspace(-WING_LOG_STRIKE, WING_LOG_STRIKE, 241)
    near = np.sqrt(thetas)[:, None] * deviations
    log_strikes = np.concatenate([near, np.broadcast_to(far, (thetas.size, far.size))], axis=1)
    density = density_factor(thetas[:, None], shape, log_strikes)
    calendar = theta_slope(thetas[:, None], shape, log_strikes) * slopes[:, None]
    lowest = np.unravel_index(int(np.argmin(density)), density.shape)
    flattest = np.unravel_index(int(np.argmin(calendar)), calendar.shape)
    return Arbitrage(
        min(butterfly_slack(theta, *shape) for theta in thetas.tolist()),
        float(density[lowest]),
        (float(years[lowest[0]]), float(log_strikes[lowest])),
        float(calendar[flattest]),
        (float(years[flattest[0]]), float(log_strikes[flattest])),
    )


def check_expiries(years: Floats, thetas: Floats, shape: Shape) -> Arbitrage:
    """Check a chain, whose total variance at the money is a straight line between its expiries."""
    if years.size == 1:
        return check_surface(years, thetas, thetas / years, shape)
    steps = np.arange(STEPS_BETWEEN) / STEPS_BETWEEN
    gaps, rises = np.diff(years)[:, None], np.diff(thetas)[:, None]
    between = (years[:-1, None] + gaps * steps).ravel()
    risen = (thetas[:-1, None] + rises * steps).ravel()
    slopes = np.repeat((rises / gaps).ravel(), STEPS_BETWEEN)
    return check_surface(
        np.append(between, years[-1]),
        np.append(risen, thetas[-1]),
        np.append(slopes, slopes[-1]),
        shape,
    )


def check_live(surface: Ssvi, first_years: float, last_years: float) -> Arbitrage:
    """Check a live surface over expiries from one to another."""
    years = np.geomspace(first_years, last_years, 65)
    thetas = np.array([atm_variance(surface, each) for each in years.tolist()])
    long_variance = surface.long_vol**2
    decay = np.exp(-surface.reversion * years)
    slopes = long_variance + (surface.short_vol**2 - long_variance) * decay
    return check_surface(years, thetas, slopes, Shape(surface.skew, surface.curvature, 0.5))


def curvature_bound(theta_low: float, theta_high: float, skew: float, power: float) -> float:
    """Return the largest curvature that clears `butterfly_slack` for every theta of a range."""
    steepness = 1.0 + abs(skew)
    # theta phi^2 is largest where its derivative vanishes, or at that end of the range.
    peak = min(max(1.0 - 2.0 * power, theta_low), theta_high)
    squared = peak ** (1.0 - 2.0 * power) * (1.0 + peak) ** (2.0 * power - 2.0)
    straight = (theta_high / (1.0 + theta_high)) ** (1.0 - power)
    bound = min(2.0 / math.sqrt(steepness * squared), 4.0 / (steepness * straight))
    return bound * (1.0 - TOLERANCE)
