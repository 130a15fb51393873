"""The shape a surface keeps when only its level is known, from chains of many days."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from amm.arbitrage import Shape
from amm.calibration import SHARE_MIN, SKEW_MAX, best_of
from amm.chain import CalibrationError, Floats
from amm.misfit import Quotes, misfit, rms, surface_misfit
from amm.ssvi import Ssvi, at_level

REVERSION_MAX = 8.0
"""Per year. The faster the reversion, the further a move of the level throws the short variance:
1.4 times as far at 8, twice at 20. Defaults must hold at levels that no chain has shown."""


class Case(NamedTuple):
    """A chain whose 30-day level is known, and what it counts for.

    Attributes:
        quotes: The chain.
        thetas: Its fit by expiry, shape (expiries,).
        level: Its 30-day vol at the money.
        weight: Against other cases.
    """

    quotes: Quotes
    thetas: Floats
    level: float
    weight: float


def fit_defaults(cases: Sequence[Case], level: float) -> Ssvi:
    """Return the surface whose shape serves best when moved to the level of each chain.

    What is least is the mean over the cases, by weight, of the squared error as a share of the
    level: a point counts for less where vol is high. Skew and curvature are sought first, around
    each chain's own vols at the money, so that they answer for the wings alone; then long vol and
    reversion, with the short vol solved for from each level, as it is live.

    Args:
        cases: The chains.
        level: Where the surface returned stands.

    Raises:
        CalibrationError: Without chains.
    """
    if not cases:
        raise CalibrationError("no chain to take defaults from")

    def wing_residuals(values: Floats) -> Floats:
        shape = _wings(values)
        return _weighted(cases, lambda case: misfit(case.quotes, case.thetas, shape))

    wings = _wings(
        best_of(
            wing_residuals,
            [np.array([-0.2, 0.4]), np.array([0.2, 0.4])],
            (np.array([-SKEW_MAX, SHARE_MIN]), np.array([SKEW_MAX, 1.0])),
        )
    )

    def term_residuals(values: Floats) -> Floats:
        surface = _surface(values, wings)
        return _weighted(
            cases, lambda case: surface_misfit(case.quotes, at_level(surface, case.level))
        )

    levels = np.array([case.level for case in cases])
    starts = [np.array([np.median(levels), reversion]) for reversion in (0.5, 2.0, 8.0)]
    bounds = np.array([0.5 * levels.min(), 0.1]), np.array([1.5 * levels.max(), REVERSION_MAX])
    return at_level(_surface(best_of(term_residuals, starts, bounds), wings), level)


def _weighted(cases: Sequence[Case], misfit_of: Callable[[Case], Floats]) -> Floats:
    """Return the misfits of all cases, so weighted that their squares sum to what is least."""
    scales = [math.sqrt(case.weight / case.quotes.vols.size) / case.level for case in cases]
    return np.concatenate(
        [scale * misfit_of(case) for scale, case in zip(scales, cases, strict=True)]
    )


def _wings(values: Floats) -> Shape:
    skew, share = (float(value) for value in values)
    return Shape(skew, share * 2.0 / (1.0 + abs(skew)), 0.5)


def _surface(values: Floats, wings: Shape) -> Ssvi:
    long_vol, reversion = (float(value) for value in values)
    return Ssvi(long_vol, long_vol, reversion, wings.skew, wings.curvature)


def error_at_level(case: Case, surface: Ssvi) -> float:
    """Return the error of a surface moved to the level of a chain, in vol points."""
    return rms(surface_misfit(case.quotes, at_level(surface, case.level)))
