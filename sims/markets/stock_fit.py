"""The parameters of the stocks, from their recorded days and the hours of BTC between them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amm.units import HOUR_MS
from sims.markets.block import Bools, Floats, Ints
from sims.markets.recorded_hours import Hours
from sims.markets.sessions import sessions_between
from sims.markets.stock_bars import StockBars, read_stock_bars
from sims.markets.stock_model import DECAY, Gap
from sims.markets.stock_sessions import WEEKEND_MS

NAMES = ("TSLA", "NVDA", "AMZN", "AAPL", "GOOG", "COIN", "MSTR", "CRCL")
KINDS = ("overnight", "weekend")
FIRST_MS = 1_597_104_000_000
"""2020-08-11, when MSTR became a holder of BTC; before, no stock moved with it as they do since."""
RECENT_DAYS = 60
_DAYS_MIN = 250
_WARM_DAYS = 44
_PRESENT_MIN = 0.95
_FREEDOM_MIN = 2.05
BETA_FIRST_MS = 1_640_995_200_000
"""2022-01-01: betas to BTC are taken from then on; with the years before they are half as large."""


class StockDays(NamedTuple):
    """Days of a stock whose sigma is known, shape (days,).

    Attributes:
        days_ms: Midnight UTC of the session's date.
        gaps: Log open over the close before.
        sigma: Of the daily log return, from the days before.
        pause: Log move of BTC over the closed hours.
        weekend: Whether more than a night was closed.
        session: Log close over open.
        during: Log move of BTC over the session.
    """

    days_ms: Ints
    gaps: Floats
    sigma: Floats
    pause: Floats
    weekend: Bools
    session: Floats
    during: Floats

    def take(self, rows: Bools | Ints) -> "StockDays":
        """Return some days, by mask or number."""
        return StockDays._make(each[rows] for each in self)


class Fitted(NamedTuple):
    """A gap law, the standard errors of its parameters, and what it is of."""

    law: Gap
    errors: Gap
    days: int


def _sigmas(moves: Floats) -> Floats:
    """Return the root of the average squared return of the days before each day."""
    variance = float(np.nanmean(moves[1:_WARM_DAYS] ** 2))
    found = np.full(moves.size, math.nan)
    for day, move in enumerate(moves):
        if day >= _WARM_DAYS:
            found[day] = math.sqrt(variance)
        if day > 0 and not math.isnan(move):
            variance = DECAY * variance + (1.0 - DECAY) * move**2
    return found


def _sums(hours: Hours, begins: Ints, ends: Ints) -> Floats:
    """Return the log move of BTC over stretches; NaN where hours of them are missing."""
    total = np.concatenate([[0.0], np.cumsum(hours.moves[:, 0])])
    first, last = (np.searchsorted(hours.times_ms, each) for each in (begins, ends))
    wanted = np.maximum((ends - begins) // HOUR_MS, 1)
    return np.where(last - first >= _PRESENT_MIN * wanted, total[last] - total[first], math.nan)


def stock_days(bars: StockBars, hours: Hours) -> StockDays:
    """Return the days of a stock over which BTC is known as well.

    Args:
        bars: Of days.
        hours: Of BTC; the hour of an opening counts to the session.
    """
    times = sessions_between(int(bars.times_ms[0]), int(bars.times_ms[-1]))
    _, rows, there = np.intersect1d(bars.times_ms, times.days_ms, return_indices=True)
    kept = bars.take(rows)
    opens = times.opens_ms[there] // HOUR_MS * HOUR_MS
    closes = times.closes_ms[there]
    before = np.maximum(np.arange(rows.size) - 1, 0)
    joined = (np.diff(there, prepend=-1) == 1) & (kept.segment == kept.segment[before])
    logs = np.log(kept.closes)
    moves = np.where(joined, logs - logs[before], math.nan)
    gaps = np.where(joined, np.log(kept.opens) - logs[before], math.nan)
    found = StockDays(
        kept.times_ms,
        gaps,
        _sigmas(moves),
        _sums(hours, closes[before], opens),
        opens - closes[before] > WEEKEND_MS,
        np.log(kept.closes / kept.opens),
        _sums(hours, opens, closes),
    )
    known = ~np.isnan(found.gaps + found.sigma + found.pause + found.during)
    return found.take(known)


def _beta(days: StockDays) -> tuple[float, float]:
    """Return the least-squares slope of gaps on BTC, and its error where spreads differ.

    Least squares and not likelihood: days on which both fall far are what the slope is for, and a
    Student-t takes them for outliers.
    """
    late = days.days_ms >= BETA_FIRST_MS
    gaps, pause = days.gaps[late], days.pause[late]
    apart = pause - pause.mean()
    beta = float((apart * gaps).sum() / (apart**2).sum())
    rest = gaps - gaps.mean() - beta * apart
    return beta, math.sqrt(float(((apart * rest) ** 2).sum())) / float((apart**2).sum())


def _cost(given: Floats, rests: Floats) -> float:
    """Return minus the log likelihood of mean, log scale and log freedom beyond its least."""
    mean, log_scale, log_freedom = given
    freedom = _FREEDOM_MIN + math.exp(min(log_freedom, 4.0))
    apart = (rests - mean) / math.exp(log_scale)
    half = (freedom + 1.0) / 2.0
    constant = math.lgamma(half) - math.lgamma(freedom / 2.0) - math.log(freedom * math.pi) / 2.0
    powers = half * np.log1p(apart * apart / freedom).sum()
    return float(powers - rests.size * (constant - log_scale))


def _curvature(given: Floats, rests: Floats) -> Floats:
    """Return the matrix of second derivatives of the cost, by differences."""
    steps = np.diag(np.full(given.size, 1e-3))
    found = np.empty((given.size, given.size))
    for one in range(given.size):
        for other in range(given.size):
            corners = [
                sign * turn * _cost(given + sign * steps[one] + turn * steps[other], rests)
                for sign in (1.0, -1.0)
                for turn in (1.0, -1.0)
            ]
            found[one, other] = sum(corners) / 4e-6
    return found


def fit_gap(days: StockDays) -> Fitted:
    """Fit the law of gaps: the slope by least squares, of the rest a Student-t by likelihood.

    Errors of the latter are those of the inverse of the curvature, the slope taken as known.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - slow to load

    beta, beta_error = _beta(days)
    rests = (days.gaps - beta * days.pause) / days.sigma
    solved = minimize(_cost, np.array([0.05, -1.0, -0.5]), args=(rests,), method="BFGS")
    mean, log_scale, log_freedom = solved.x.tolist()
    spread = np.sqrt(np.maximum(np.diag(np.linalg.pinv(_curvature(solved.x, rests))), 0.0))
    scale, more = math.exp(log_scale), math.exp(min(log_freedom, 4.0))
    law = Gap(mean, scale, _FREEDOM_MIN + more, beta)
    errors = Gap(float(spread[0]), scale * float(spread[1]), more * float(spread[2]), beta_error)
    return Fitted(law, errors, days.gaps.size)


def of_kind(days: StockDays, kind: str) -> StockDays:
    """Return the days after one of the two kinds of pauses."""
    rows = days.weekend == (kind == "weekend")
    return days.take(rows)


def standardised(days: StockDays, overnight: Gap, weekend: Gap) -> Floats:
    """Return what is left of gaps, in sigmas and in scales of the law."""
    laws = np.where(days.weekend[:, None], np.array(weekend), np.array(overnight))
    mean, scale, _, beta = laws.T
    return np.asarray(((days.gaps - beta * days.pause) / days.sigma - mean) / scale)


def _session_of(days: StockDays) -> dict[str, float]:
    """Return what a session moves: least squares of its return on that of BTC, over sigma."""
    seen, during = days.session / days.sigma, days.during / days.sigma
    late = days.days_ms >= BETA_FIRST_MS
    seen, during = seen[late], during[late]
    beta = float((seen * during).sum() / (during**2).sum())
    rest = (seen - beta * during) ** 2
    # Means of squares are ruled by earnings days; the spread of the others is what sessions have.
    kept = rest <= np.quantile(rest, 0.995)
    scale = math.sqrt(float(rest[kept].mean()))
    error = math.sqrt(float(rest.mean() / (during**2).sum()))
    return {"session": scale, "session_beta": beta, "session_beta_error": error}


def fit_stocks(folder: Path, hours: Hours, split_ms: int, stressed: Mapping[int, bool]) -> Any:
    """Return the table of stocks for the calibration's file.

    Args:
        folder: Of the data.
        hours: Of BTC before the split.
        split_ms: Days from then on are not used, but for the start of a stock listed later.
        stressed: Whether each day, in milliseconds, is more likely than not in the third regime.
    """
    table: dict[str, Any] = {}
    rests: dict[str, dict[int, float]] = {}
    for name in NAMES:
        bars = read_stock_bars(folder, name)
        known = bars.take(bars.times_ms < split_ms)
        if known.times_ms.size < _DAYS_MIN:
            table[name] = _listed_later(bars, table)
            continue
        days = stock_days(known, hours)
        days = days.take(days.days_ms >= FIRST_MS)
        fits = {kind: fit_gap(of_kind(days, kind)) for kind in KINDS}
        table[name] = {"price": float(known.closes[-1]), "sigma": _rms(days.sigma)}
        table[name] |= _session_of(days)
        for kind, fit in fits.items():
            table[name][kind] = fit.law._asdict()
            table[name][f"{kind}_errors"] = fit.errors._asdict() | {"days": fit.days}
        rest = standardised(days, *(fits[kind].law for kind in KINDS))
        rests[name] = dict(zip(days.days_ms.tolist(), rest.tolist(), strict=True))
    calm, tense = (_correlation(rests, stressed, wanted) for wanted in (False, True))
    return {"correlation": calm, "stressed": max(calm, tense), "each": table}


def _rms(values: Floats) -> float:
    return math.sqrt(float((values**2).mean()))


def _listed_later(bars: StockBars, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stock without a past: the laws of COIN and MSTR, and its own first vol."""
    both = [table[name] for name in ("COIN", "MSTR")]

    def mean(*path: str) -> float:
        found: list[Any] = both
        for key in path:
            found = [each[key] for each in found]
        return float(np.mean(found))

    moves = np.diff(np.log(bars.closes[: RECENT_DAYS + 1]))
    own: dict[str, Any] = {"price": float(bars.closes[0]), "sigma": _rms(moves)}
    own |= {key: mean(key) for key in ("session", "session_beta")}
    return own | {kind: {key: mean(kind, key) for key in Gap._fields} for kind in KINDS}


def _correlation(
    rests: Mapping[str, Mapping[int, float]], stressed: Mapping[int, bool], wanted: bool
) -> float:
    """Return the mean correlation of two stocks' rests, as normal scores."""
    from scipy.special import ndtri  # noqa: PLC0415 - slow to load

    found = []
    for one in rests:
        for other in rests:
            common = sorted(
                day
                for day in rests[one].keys() & rests[other].keys()
                if one < other and stressed.get(day, False) == wanted
            )
            if len(common) >= RECENT_DAYS:
                ranks = [
                    np.argsort(np.argsort([rests[name][day] for day in common]))
                    for name in (one, other)
                ]
                scores = [ndtri((rank + 0.5) / len(common)) for rank in ranks]
                found.append(float(np.corrcoef(*scores)[0, 1]))
    return float(np.mean(found))
