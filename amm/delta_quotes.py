"""A live surface from what brokers quote: at the money, risk reversal and butterfly by expiry."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amm.calibration import (
    REVERSION_MAX,
    SHARE_MIN,
    SKEW_MAX,
    surface_bounds,
)
from amm.chain import VOL_MAX, VOL_MIN, CalibrationError, Floats
from amm.kernel import kernel
from amm.misfit import POINTS, surface_thetas
from amm.ssvi import Ssvi, mean_decay, total_variance

QUARTER_DEVIATION = 0.6744897501960817
"""normal_cdf(-0.6745) is 25 %."""
STRIKE_STEPS = 60
"""Halvings of an interval of 16 standard deviations: to the last digit."""
_REVERSIONS = np.append(0.0, np.geomspace(0.05, REVERSION_MAX, 240))


class DeltaQuotes(NamedTuple):
    """One expiry; vols per square root of a year, NaN where there is no quote.

    Attributes:
        years: To expiry.
        vol: At the forward.
        risk_reversal: Vol of the call of delta 25 % less that of the put.
        butterfly: Mean vol of the two less the one at the forward.
    """

    years: float
    vol: float
    risk_reversal: float
    butterfly: float


@kernel
def delta_vol(
    theta: float, years: float, skew: float, curvature: float, power: float, d1: float
) -> float:
    """Return the model's vol at the strike that has this d1; -0.67 is the 25 % call."""
    deviation = math.sqrt(theta)
    low, high = -8.0 * deviation, 8.0 * deviation
    variance = theta
    for _ in range(STRIKE_STEPS):
        middle = 0.5 * (low + high)
        variance = total_variance(theta, skew, curvature, power, middle)
        root = math.sqrt(variance)
        if 0.5 * root - middle / root > d1:
            low = middle
        else:
            high = middle
    return math.sqrt(variance / years)


@kernel
def wings(
    theta: float, years: float, skew: float, curvature: float, power: float
) -> tuple[float, float]:
    """Return the risk reversal and the butterfly of an expiry."""
    call = delta_vol(theta, years, skew, curvature, power, -QUARTER_DEVIATION)
    put = delta_vol(theta, years, skew, curvature, power, QUARTER_DEVIATION)
    return call - put, 0.5 * (call + put) - math.sqrt(theta / years)


def from_quotes(quotes: Sequence[DeltaQuotes]) -> Ssvi:
    """Return the live surface closest to quotes of some expiries, in any order.

    The term structure is fitted to variances at the money, then skew and curvature to the other
    quotes: least squares in vol points both times.

    Raises:
        CalibrationError: For numbers that no market quotes, without any vol at the money, and
            without any risk reversal or without any butterfly.
    """
    for each in quotes:
        if not 0.0 < each.years < math.inf:
            raise CalibrationError(f"{each.years} years: not an expiry")
        if not (math.isnan(each.vol) or VOL_MIN <= each.vol <= VOL_MAX):
            raise CalibrationError(f"vol {each.vol} at the money of {each.years:.4f} years")
        if any(math.isinf(wing) or abs(wing) > VOL_MAX for wing in each[2:]):
            raise CalibrationError(f"wings {each[2:]} at {each.years:.4f} years")
    table = np.array([tuple(each) for each in quotes]).reshape(-1, 4)
    quoted = np.isfinite(table)
    if not quoted[:, 1].any():
        raise CalibrationError("no vol at the money")
    if not (quoted[:, 2].any() and quoted[:, 3].any()):
        raise CalibrationError("no risk reversal, or no butterfly")
    flat = fit_term(table[quoted[:, 1], 0], table[quoted[:, 1], 1])
    return _fit_wings(flat, table)


def fit_term(years: Floats, vols: Floats) -> Ssvi:
    """Return short vol, long vol and reversion closest to vols at the money; without a smile.

    Arrays have the shape (expiries,). For each reversion the variances are linear in the two
    others' squares, so only the reversion is searched.
    """
    if vols.size == 1 or np.ptp(vols) == 0.0:
        return Ssvi(float(vols[0]), float(vols[0]), 0.0, 0.0, 0.0)
    low, high = surface_bounds(vols)
    best, least = Ssvi(float(vols.mean()), float(vols.mean()), 0.0, 0.0, 0.0), math.inf
    for reversion in _REVERSIONS.tolist():
        decay = np.array([mean_decay(reversion, each) for each in years.tolist()])
        # Dividing by 2 vol turns a miss of variance into one of vol.
        rows = np.column_stack([decay, 1.0 - decay]) / (2.0 * vols[:, None])
        squares = _within(rows, 0.5 * vols, low[:2] ** 2, high[:2] ** 2)
        miss = float(np.sum(np.square(rows @ squares - 0.5 * vols)))
        if miss < least * (1.0 - 1e-9):
            least = miss
            best = Ssvi(math.sqrt(squares[0]), math.sqrt(squares[1]), reversion, 0.0, 0.0)
    return best


def _within(rows: Floats, target: Floats, low: Floats, high: Floats) -> Floats:
    """Return the two numbers in a box for which `rows` times them is closest to the target."""
    free = np.asarray(np.linalg.lstsq(rows, target, rcond=1e-9)[0], dtype=np.float64)
    if np.all((low <= free) & (free <= high)):
        return free
    edges = [(place, bound[place]) for place in (0, 1) for bound in (low, high)]
    corners = []
    for place, fixed in edges:
        held, other = rows[:, place], rows[:, 1 - place]
        size = float(other @ other)
        best = float(other @ (target - fixed * held)) / size if size > 0.0 else fixed
        point = np.array([fixed, fixed])
        point[1 - place] = min(max(best, low[1 - place]), high[1 - place])
        corners.append(point)
    return min(corners, key=lambda point: float(np.sum(np.square(rows @ point - target))))


def _fit_wings(flat: Ssvi, table: Floats) -> Ssvi:
    """Return the surface with skew and curvature closest to the quotes; columns as their fields."""
    from scipy.optimize import least_squares  # noqa: PLC0415 - slow to load

    years = table[:, 0]
    thetas = surface_thetas(flat, years).tolist()
    quoted = np.isfinite(table[:, 2:])

    def residuals(values: Floats) -> Floats:
        skew, share = (float(value) for value in values)
        curvature = share * 2.0 / (1.0 + abs(skew))
        model = [
            wings(theta, each, skew, curvature, 0.5)
            for theta, each in zip(thetas, years.tolist(), strict=True)
        ]
        return POINTS * (np.array(model) - table[:, 2:])[quoted]

    bounds = ([-SKEW_MAX, SHARE_MIN], [SKEW_MAX, 1.0])
    start = [math.copysign(0.2, float(np.nansum(table[:, 2]))), 0.4]
    skew, share = least_squares(residuals, start, bounds=bounds, x_scale="jac", max_nfev=60).x
    return flat._replace(skew=float(skew), curvature=float(share * 2.0 / (1.0 + abs(skew))))
