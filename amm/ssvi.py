"""The SSVI volatility surface of one underlying: total variance by log strike and expiry.

    w(k, t) = theta/2 (1 + skew phi k + sqrt((phi k + skew)^2 + 1 - skew^2)),
    phi = curvature / (theta^power (1 + theta)^(1 - power)),

with k = log(strike / forward) and theta(t) the total variance at the money. A chain is fitted with
one theta for each expiry and any power. The live surface has the power 1/2 and reverts from a short
to a long vol:

    theta(t) = long^2 t + (short^2 - long^2) (1 - exp(-reversion t)) / reversion.

It has no butterfly arbitrage where curvature (1 + |skew|) <= 2, and no calendar arbitrage.

Source: Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces" (2014), sections 4 and 5.
"""

import math
from typing import NamedTuple

from amm.kernel import kernel

LEVEL_YEARS = 30.0 / 365.0
"""Expiry whose vol at the money is the level of a surface."""
SHORT_VOL_MIN = 0.7
"""Least short vol as a share of the level."""


class Ssvi(NamedTuple):
    """The live surface; without curvature and reversion it is flat at `short_vol`.

    Attributes:
        short_vol: Vol at the money of the nearest expiries, per square root of a year.
        long_vol: Vol at the money of the most distant expiries.
        reversion: Rate at which the one becomes the other, per year; >= 0.
        skew: Correlation of index and vol, in (-1, 1); negative where puts are dearer.
        curvature: How fast vol rises away from the money; >= 0.
    """

    short_vol: float
    long_vol: float
    reversion: float
    skew: float
    curvature: float


FLAT = Ssvi(0.5, 0.5, 0.0, 0.0, 0.0)
"""One vol for every strike and expiry, at any level."""

BTC_SURFACE = Ssvi(0.601, 0.731, 0.40, -0.242, 1.019)
ETH_SURFACE = Ssvi(0.549, 0.657, 8.00, -0.217, 0.849)
"""What `evergamma surface defaults` finds on real chains; docs/surface.md has the measurements."""
DEFAULT_SURFACES = {"BTC": BTC_SURFACE, "ETH": ETH_SURFACE}


@kernel
def mean_decay(reversion: float, years: float) -> float:
    """Return the mean of exp(-reversion s) over s from 0 to `years`."""
    decay = reversion * years
    return -math.expm1(-decay) / decay if decay > 1e-12 else 1.0


@kernel
def atm_variance(surface: Ssvi, years: float) -> float:
    """Return theta, the total variance at the money."""
    long_variance = surface.long_vol * surface.long_vol
    excess = surface.short_vol * surface.short_vol - long_variance
    return years * (long_variance + excess * mean_decay(surface.reversion, years))


@kernel
def total_variance(
    theta: float, skew: float, curvature: float, power: float, log_strike: float
) -> float:
    """Return w at log(strike / forward), where the variance at the money is `theta` > 0."""
    phi = curvature / (theta**power * (1.0 + theta) ** (1.0 - power))
    turned = phi * log_strike + skew
    return (
        0.5 * theta * (1.0 + skew * phi * log_strike + math.hypot(turned, math.sqrt(1 - skew**2)))
    )


@kernel
def level_of(surface: Ssvi) -> float:
    """Return the vol at the money of 30 days."""
    return math.sqrt(atm_variance(surface, LEVEL_YEARS) / LEVEL_YEARS)


@kernel
def at_level(surface: Ssvi, level: float) -> Ssvi:
    """Return the surface moved to another 30-day vol at the money.

    The short vol is solved for; the long vol moves only where the short one would fall below
    `SHORT_VOL_MIN` times the level.
    """
    weight = mean_decay(surface.reversion, LEVEL_YEARS)
    long_variance = surface.long_vol * surface.long_vol
    short_variance = long_variance + (level * level - long_variance) / weight
    least = (SHORT_VOL_MIN * level) ** 2
    if short_variance < least:
        short_variance = least
        long_variance = (level * level - weight * least) / (1.0 - weight)
    return Ssvi(
        math.sqrt(short_variance),
        math.sqrt(long_variance),
        surface.reversion,
        surface.skew,
        surface.curvature,
    )


@kernel
def butterfly_slack(theta: float, skew: float, curvature: float, power: float) -> float:
    """Return by how much an expiry clears the sufficient conditions against butterfly arbitrage.

    They are theta phi (1 + |skew|) < 4 and theta phi^2 (1 + |skew|) <= 4 (theorem 4.2); the result
    is the smaller of what is left of 4, negative where one is broken.
    """
    phi = curvature / (theta**power * (1.0 + theta) ** (1.0 - power))
    steepest = theta * phi * (1.0 + abs(skew)) * max(1.0, phi)
    return 4.0 - steepest
