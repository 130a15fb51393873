"""By how much a surface misses the quotes of a chain."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.arbitrage import Shape
from amm.chain import CalibrationError, Floats, Smile
from amm.kernel import kernel
from amm.ssvi import Ssvi, atm_variance, total_variance

POINTS = 100.0
"""Vol points in a vol of 1."""

Integers = npt.NDArray[np.int64]


class Quotes(NamedTuple):
    """A chain in rows: arrays of shape (quotes,), and of shape (expiries,) those that say so."""

    expiry: Integers
    """Which expiry each quote is of."""
    quote_years: Floats
    log_strikes: Floats
    vols: Floats
    weights: Floats
    years: Floats
    """Shape (expiries,), increasing."""
    market_vols: Floats
    """Shape (expiries,): the quoted smile at the forward."""


def quotes_of(chain: Sequence[Smile]) -> Quotes:
    """Return a chain in rows.

    Raises:
        CalibrationError: For a chain that is empty, or whose expiries are not in order.
    """
    if not chain:
        raise CalibrationError("no expiry with enough quotes that count")
    years = np.array([smile.years for smile in chain])
    if np.any(np.diff(years) <= 0.0):
        raise CalibrationError("the expiries are not in order")
    counts = [smile.vols.size for smile in chain]
    expiry = np.repeat(np.arange(len(chain), dtype=np.int64), counts)
    at_forward = [np.interp(0.0, smile.log_strikes, smile.vols) for smile in chain]
    return Quotes(
        expiry,
        years[expiry],
        np.concatenate([smile.log_strikes for smile in chain]),
        np.concatenate([smile.vols for smile in chain]),
        np.concatenate([smile.weights for smile in chain]),
        years,
        np.array(at_forward),
    )


@kernel
def _fill_vols(
    thetas: Floats,
    expiry: Integers,
    years: Floats,
    log_strikes: Floats,
    skew: float,
    curvature: float,
    power: float,
    vols: Floats,
) -> None:
    for i in range(vols.size):
        variance = total_variance(thetas[expiry[i]], skew, curvature, power, log_strikes[i])
        vols[i] = math.sqrt(max(variance, 0.0) / years[i])


def model_vols(quotes: Quotes, thetas: Floats, shape: Shape) -> Floats:
    """Return the vol of a model at every quote, whose thetas have the shape (expiries,)."""
    vols = np.empty_like(quotes.vols)
    rows = (quotes.expiry, quotes.quote_years, quotes.log_strikes)
    _fill_vols(thetas, *rows, shape.skew, shape.curvature, shape.power, vols)
    return vols


def misfit(quotes: Quotes, thetas: Floats, shape: Shape) -> Floats:
    """Return weight * (model vol - vol) of every quote, in vol points."""
    weighted: Floats = POINTS * quotes.weights * (model_vols(quotes, thetas, shape) - quotes.vols)
    return weighted


def rms(values: Floats) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def surface_thetas(surface: Ssvi, years: Floats) -> Floats:
    """Return the total variance at the money of a live surface at some expiries."""
    return np.array([atm_variance(surface, each) for each in years.tolist()])


def surface_misfit(quotes: Quotes, surface: Ssvi) -> Floats:
    """Return the misfit of a live surface at every quote, in vol points."""
    shape = Shape(surface.skew, surface.curvature, 0.5)
    return misfit(quotes, surface_thetas(surface, quotes.years), shape)
