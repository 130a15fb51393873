"""An option chain as a surface is fitted to it: one smile for each expiry, and what a miss weighs.

Which quotes count, and how much, is decided here and nowhere else: out of the money by the forward,
a delta between the extremes, a day or more to run, enough strikes.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.black_scholes import normal_cdf

Floats = npt.NDArray[np.float64]

DELTA_MIN, DELTA_MAX = 0.015, 0.6
"""Farther out a quote is a tick or two; farther in it is the other side's business."""
YEARS_MIN = 1.0 / 365.0
QUOTES_MIN = 7
"""Fewer strikes do not show the shape of a smile."""
VOL_MIN, VOL_MAX = 0.01, 20.0
"""Per square root of a year; what lies outside is a mistake."""
MISS_WEIGHT = 2.5
"""About 1 / normal_pdf(0), so that a miss at the money counts in full."""


class CalibrationError(ValueError):
    """Quotes that no surface can be fitted to; the message is one line."""


class Quote(NamedTuple):
    """One option of an expiry.

    Attributes:
        name: What a report calls it.
        is_call: True for a call.
        strike: USD, > 0.
        vol: Implied vol per square root of a year.
        delta: As quoted, of either sign; NaN where it is not, and then it is computed.
    """

    name: str
    is_call: bool
    strike: float
    vol: float
    delta: float


class Smile(NamedTuple):
    """The quotes of one expiry that count, in order of strike; arrays of shape (quotes,).

    Attributes:
        years: To expiry, in years of 365 days.
        forward: USD.
        log_strikes: log(strike / forward).
        vols: Implied vols per square root of a year.
        weights: What a vol point of misfit counts; 0.9974 at the money, less in the wings.
        names: Of the quotes.
    """

    years: float
    forward: float
    log_strikes: Floats
    vols: Floats
    weights: Floats
    names: tuple[str, ...]


def vega_weights(years: float, log_strikes: Floats, vols: Floats) -> Floats:
    """Return 2.5 normal_pdf(d1): vega over the vega at the money, to a quarter of a percent."""
    deviation = vols * math.sqrt(years)
    d1 = 0.5 * deviation - log_strikes / deviation
    weights: Floats = MISS_WEIGHT * np.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
    return weights


def smile_of(years: float, forward: float, quotes: Sequence[Quote]) -> Smile | None:
    """Return the smile of an expiry; None where too little of it counts.

    Raises:
        CalibrationError: For a forward, a strike or a vol that is not positive or not finite, and
            for two quotes that count at one strike.
    """
    if not (0.0 < forward < math.inf and math.isfinite(years)):
        raise CalibrationError(f"{years} years to a forward of {forward}: not an expiry")
    for quote in quotes:
        if not (0.0 < quote.strike < math.inf and VOL_MIN <= quote.vol <= VOL_MAX):
            raise CalibrationError(f"{quote.name}: strike {quote.strike}, vol {quote.vol}")
    if years < YEARS_MIN:
        return None
    counted = sorted((each for each in quotes if _counts(each, years, forward)), key=_by_strike)
    if len(counted) < QUOTES_MIN:
        return None
    strikes = np.array([quote.strike for quote in counted])
    if np.any(np.diff(strikes) == 0.0):
        raise CalibrationError(
            f"two quotes at the strike {strikes[1:][np.diff(strikes) == 0.0][0]}"
        )
    log_strikes = np.log(strikes / forward)
    vols = np.array([quote.vol for quote in counted])
    weights = vega_weights(years, log_strikes, vols)
    return Smile(years, forward, log_strikes, vols, weights, tuple(each.name for each in counted))


def _by_strike(quote: Quote) -> float:
    return quote.strike


def _counts(quote: Quote, years: float, forward: float) -> bool:
    if quote.is_call != (quote.strike >= forward):
        return False
    delta = quote.delta
    if math.isnan(delta):
        deviation = quote.vol * math.sqrt(years)
        d1 = 0.5 * deviation - math.log(quote.strike / forward) / deviation
        delta = normal_cdf(d1 if quote.is_call else -d1)
    return DELTA_MIN <= abs(delta) <= DELTA_MAX
