"""Which points earn more for the same risk: main LPs' mean P&L against its expected shortfall."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from sims.statistics import Estimate
from sims.sweeps.design import Settings
from sims.sweeps.figures import covariance, difference
from sims.sweeps.sweep import Row

DEVIATIONS = 1.645
"""Of a difference's error: beyond it a point is taken to be better (95 %, one-sided)."""


class Standing(StrEnum):
    """How a point stands among the others."""

    EFFICIENT = "efficient"  # none is better in both
    UNDECIDED = "undecided"  # some is better in both, but not beyond the errors
    DOMINATED = "dominated"  # one is better in both beyond the errors


class Place(NamedTuple):
    """A point of the plane of mean and shortfall.

    Attributes:
        settings: What the point changes.
        mean: Main LPs' mean P&L.
        shortfall: Their mean loss on the worst 5 % of paths.
        covariance: Of the errors of both.
        standing: Among all points.
        by: Number of the point that dominates it, if one does.
    """

    settings: Settings
    mean: Estimate
    shortfall: Estimate
    covariance: float
    standing: Standing
    by: int | None


def _margin(row: Row, other: Row) -> tuple[bool, bool]:
    """Return whether another point is better in both, and whether beyond the errors."""
    earns = difference(other.measured["pnl"], row.measured["pnl"])
    risks = difference(row.measured["shortfall"], other.measured["shortfall"])
    is_better = min(earns.value, risks.value) >= 0.0 and max(earns.value, risks.value) > 0.0
    is_sure = all(each.value > DEVIATIONS * each.error for each in (earns, risks))
    return is_better, is_sure


def _standing(row: Row, rows: Sequence[Row]) -> tuple[Standing, int | None]:
    margins = [_margin(row, other) for other in rows]
    sure = [number for number, (_, is_sure) in enumerate(margins) if is_sure]
    if sure:
        best = min(sure, key=lambda number: rows[number].measured["shortfall"].value)
        return Standing.DOMINATED, best
    is_beaten = any(is_better for is_better, _ in margins)
    return (Standing.UNDECIDED if is_beaten else Standing.EFFICIENT), None


def places_of(rows: Sequence[Row]) -> list[Place]:
    """Return where every point is, in their order."""
    found = []
    for row in rows:
        mean, shortfall = row.measured["pnl"], row.measured["shortfall"]
        standing, by = _standing(row, rows)
        found.append(
            Place(
                row.settings, mean.estimate, shortfall.estimate, covariance(mean, shortfall),
                standing, by,
            )
        )  # fmt: skip
    return found
