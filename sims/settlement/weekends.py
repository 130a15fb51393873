"""Both settlements through drawn weekends of a stock, each figure with its error."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sims.markets.block import Floats
from sims.settlement.morning import Mornings
from sims.settlement.settling import asked_of, forced_part, keep_idle, pay
from sims.statistics import Estimate, estimate_of, probability

IN_A_YEAR = 52


class Weekends(NamedTuple):
    """One settlement through weekends drawn by the calibrated law.

    Attributes:
        settlement: `coin` or `dollar`.
        stock: Its name.
        idle: Part of what may be locked that the venue leaves free.
        kept: What is left of the book, and of its premium.
        uncovered: Chance that a weekend leaves promises uncovered.
        in_a_year: Chance of at least one in 52 independent weekends.
        missing: What holders go without if every promise is called, over the promises.
        worst: The same in the worst of 1,000 weekends.
        forced: Part of every position bought back at the opening.
    """

    settlement: str
    stock: str
    idle: float
    kept: Estimate
    uncovered: Estimate
    in_a_year: Estimate
    missing: Estimate
    worst: Estimate
    forced: Estimate


def _mean_of_paths(samples: Floats) -> Estimate:
    """Return the mean of samples of shape (paths, draws); only paths are independent."""
    return estimate_of(samples.mean(axis=1))


def _chance_of_paths(events: npt.NDArray[np.bool_]) -> Estimate:
    """Return how likely an event is, of shape (paths, draws); only paths are independent."""
    found = _mean_of_paths(events.astype(np.float64))
    return (
        found
        if found.error > 0.0
        else probability(np.asarray(events.any(axis=1)), np.ones(len(events)))
    )


def _tail_of_paths(samples: Floats, share: float) -> Estimate:
    """Return a quantile of samples of shape (paths, draws), its error from tenths of the paths."""
    tenths = np.array_split(samples, min(10, samples.shape[0]))
    parts = [float(np.quantile(part, share)) for part in tenths]
    error = float(np.std(parts, ddof=1)) / math.sqrt(len(parts))
    return Estimate(float(np.quantile(samples, share)), error)


def through_weekends(
    mornings: Mornings, settlement: str, stock: str, idle: float, prices: Floats
) -> Weekends:
    """Return what weekends of a stock do.

    Args:
        mornings: The pools.
        settlement: `coin` or `dollar`.
        stock: Its name.
        idle: Part of what may be locked that is left free.
        prices: Of `draw_prices`.
    """
    pools, kept = keep_idle(mornings, idle)
    main, insurance, locked = (
        each[:, None] for each in (pools.main, pools.insurance, pools.locked)
    )
    paid = pay(asked_of(settlement, locked, prices), main, insurance)
    missing = paid.missing / np.maximum(paid.asked, 1)
    wide = pools._replace(locked=locked, marked=pools.marked[:, None], backed=pools.backed[:, None])
    chance = _chance_of_paths(paid.missing > 0)
    none = 1.0 - chance.value
    return Weekends(
        settlement,
        stock,
        idle,
        kept=estimate_of(kept),
        uncovered=chance,
        in_a_year=Estimate(
            1.0 - none**IN_A_YEAR, IN_A_YEAR * none ** (IN_A_YEAR - 1) * chance.error
        ),
        missing=_mean_of_paths(missing),
        worst=_tail_of_paths(missing, 0.999),
        forced=_mean_of_paths(forced_part(wide, settlement, prices)),
    )
