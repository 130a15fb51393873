"""The parameters of the stocks, from their recorded days and the hours of BTC between them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sims.markets.block import Floats
from sims.markets.recorded_hours import Hours
from sims.markets.stock_bars import StockBars, read_stock_bars
from sims.markets.stock_betas import RATIO_MAX
from sims.markets.stock_days import StockDays, btc_sigmas, of_kind, stock_days
from sims.markets.stock_model import Gap
from sims.markets.stock_slopes import slope_of

NAMES = ("TSLA", "NVDA", "AMZN", "AAPL", "GOOG", "COIN", "MSTR", "CRCL")
KINDS = ("overnight", "weekend")
FOLLOWED_MS = {"MSTR": 1_597_104_000_000}
"""2020-08-11, when MSTR became a holder of BTC; before, it did not move with it as since."""
RECENT_DAYS = 60
_DAYS_MIN = 250
_FREEDOM_MIN = 2.05


class Fitted(NamedTuple):
    """A gap law, the standard errors of its parameters, and what it is of."""

    law: Gap
    errors: dict[str, float]
    days: int


class Usual(NamedTuple):
    """Usual vols of a day, root mean squares: of a stock and of BTC."""

    sigma: float
    btc_sigma: float

    def ratio(self, days: StockDays) -> Floats:
        """Return what slopes are multiplied with on each day."""
        found = days.sigma / self.sigma / (days.btc_sigma / self.btc_sigma)
        return np.clip(found, 1.0 / RATIO_MAX, RATIO_MAX)


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


def fit_gap(days: StockDays, usual: Usual) -> Fitted:
    """Fit the law of gaps: the slope by `slope_of`, of the rest a Student-t by likelihood.

    Errors of the latter are those of the inverse of the curvature, the slope taken as known.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - slow to load

    followed = usual.ratio(days) * days.pause
    slope = slope_of(days.days_ms, days.gaps, followed)
    rests = (days.gaps - slope.beta * followed) / days.sigma
    solved = minimize(_cost, np.array([0.05, -1.0, -0.5]), args=(rests,), method="BFGS")
    mean, log_scale, log_freedom = solved.x.tolist()
    spread = np.sqrt(np.maximum(np.diag(np.linalg.pinv(_curvature(solved.x, rests))), 0.0))
    scale, more = math.exp(log_scale), math.exp(min(log_freedom, 4.0))
    law = Gap(mean, scale, _FREEDOM_MIN + more, slope.beta, slope.spread)
    own = float(spread[0]), scale * float(spread[1]), more * float(spread[2])
    errors = dict(zip(("mean", "scale", "freedom", "beta"), (*own, slope.error), strict=True))
    return Fitted(law, errors, days.gaps.size)


def standardised(days: StockDays, usual: Usual, overnight: Gap, weekend: Gap) -> Floats:
    """Return what is left of gaps, in sigmas and in scales of the law."""
    laws = np.where(days.weekend[:, None], np.array(weekend), np.array(overnight))
    mean, scale, _, beta, _ = laws.T
    followed = beta * usual.ratio(days) * days.pause
    return np.asarray(((days.gaps - followed) / days.sigma - mean) / scale)


def _session_of(days: StockDays, usual: Usual) -> dict[str, float]:
    """Return what a session moves: its slope on BTC, and the spread of the rest over sigma."""
    followed = usual.ratio(days) * days.during
    slope = slope_of(days.days_ms, days.session, followed)
    rest = ((days.session - slope.beta * followed) / days.sigma) ** 2
    # Means of squares are ruled by earnings days; the spread of the others is what sessions have.
    kept = rest <= np.quantile(rest, 0.995)
    return {
        "session": math.sqrt(float(rest[kept].mean())),
        "session_beta": slope.beta,
        "session_spread": slope.spread,
        "session_beta_error": slope.error,
    }


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
    btc_sigma = _rms(btc_sigmas(hours)[1])
    for name in NAMES:
        bars = read_stock_bars(folder, name)
        known = bars.take(bars.times_ms < split_ms)
        if known.times_ms.size < _DAYS_MIN:
            table[name] = _listed_later(bars, table)
            continue
        days = stock_days(known, hours)
        days = days.take(days.days_ms >= FOLLOWED_MS.get(name, 0))
        usual = Usual(_rms(days.sigma), btc_sigma)
        fits = {kind: fit_gap(of_kind(days, kind), usual) for kind in KINDS}
        table[name] = {"price": float(known.closes[-1]), "sigma": usual.sigma}
        table[name] |= _session_of(days, usual)
        for kind, fit in fits.items():
            table[name][kind] = fit.law._asdict()
            table[name][f"{kind}_errors"] = fit.errors | {"days": fit.days}
        rest = standardised(days, usual, *(fits[kind].law for kind in KINDS))
        rests[name] = dict(zip(days.days_ms.tolist(), rest.tolist(), strict=True))
    calm, tense = (_correlation(rests, stressed, wanted) for wanted in (False, True))
    both = {"correlation": calm, "stressed": max(calm, tense)}
    return both | {"btc_sigma": btc_sigma, "each": table}


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
    own |= {key: mean(key) for key in ("session", "session_beta", "session_spread")}
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
