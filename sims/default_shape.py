"""What shape a surface should have where only its level is known: a study of many chains."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amm.calibration import ChainFit, calibrate
from amm.chain import CalibrationError
from amm.defaults import Case, error_at_level, fit_defaults
from amm.misfit import quotes_of
from amm.ssvi import Ssvi
from sims.markets.chains import Snapshot
from sims.markets.table import iso_second


class MonthErrors(NamedTuple):
    """Means over the chains of a month; errors in vol points."""

    month: str
    chains: int
    level: float
    own_error: float
    """Of each chain's own live surface."""
    default_error: float
    """Of the default shape moved to the chain's level."""


class DefaultShape(NamedTuple):
    """The default surface of a currency, at the median level of its months, and how it does."""

    currency: str
    surface: Ssvi
    months: tuple[MonthErrors, ...]


class _Seen(NamedTuple):
    month: str
    case: Case
    fit: ChainFit


def default_shapes(snapshots: Sequence[Snapshot]) -> list[DefaultShape]:
    """Return the default shape of each currency; each month that has chains counts alike.

    Raises:
        CalibrationError: Where no chain of a currency has enough quotes.
    """
    by_currency: dict[str, list[Snapshot]] = {}
    for snapshot in snapshots:
        by_currency.setdefault(snapshot.currency, []).append(snapshot)
    return [_default_shape(currency, own) for currency, own in sorted(by_currency.items())]


def _default_shape(currency: str, snapshots: Sequence[Snapshot]) -> DefaultShape:
    usable = [snapshot for snapshot in snapshots if snapshot.chain]
    if not usable:
        raise CalibrationError(f"{currency}: no chain has an expiry with enough quotes that count")
    months = [iso_second(snapshot.time_ms)[:7] for snapshot in usable]
    seen = []
    for month, snapshot in zip(months, usable, strict=True):
        fit = calibrate(snapshot.chain)
        thetas = np.array([expiry.theta for expiry in fit.expiries])
        case = Case(quotes_of(snapshot.chain), thetas, fit.level, 1.0 / months.count(month))
        seen.append(_Seen(month, case, fit))
    levels = {month: [each.case.level for each in seen if each.month == month] for month in months}
    level = statistics.median(statistics.fmean(each) for each in levels.values())
    surface = fit_defaults([each.case for each in seen], level)
    return DefaultShape(
        currency,
        surface,
        tuple(_errors(month, seen, surface) for month in sorted(levels)),
    )


def _errors(month: str, seen: Sequence[_Seen], surface: Ssvi) -> MonthErrors:
    own = [each for each in seen if each.month == month]
    return MonthErrors(
        month,
        len(own),
        statistics.fmean(each.case.level for each in own),
        statistics.fmean(each.fit.surface_error for each in own),
        statistics.fmean(error_at_level(each.case, surface) for each in own),
    )
