"""What a market's hours are like, in figures that are the same for recorded and drawn ones."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from amm.units import DAY_MS, HOUR_MS
from sims.markets.archive import SYMBOLS
from sims.markets.block import Bools, Floats, Ints
from sims.markets.outliers import find_outliers
from sims.markets.recorded_hours import Hours, annual, days_of, run_starts, sums_by

WINDOW_DAYS = 30
WINDOW_EVERY = 5
"""Days from the beginning of one window to that of the next."""
TRAILING_DAYS = 30
STRESS_SHARE = 0.2
WEEK_HOURS = 168
FRIDAY_HOUR, MONDAY_HOUR = 4 * 24 + 20, 6 * 24 + 24 + 13
"""Hours of the week, UTC, from Friday's close in New York to Monday's opening."""
QUANTILES = {"0.1 %": 0.001, "1 %": 0.01, "5 %": 0.05, "95 %": 0.95, "99 %": 0.99, "99.9 %": 0.999}


class Days(NamedTuple):
    """Whole days of both indices.

    Attributes:
        times_ms: Beginning, shape (days,).
        moves: Log return, shape (days, 2).
        squares: Sum of squared hourly returns, same shape.
    """

    times_ms: Ints
    moves: Floats
    squares: Floats


def whole_days(hours: Hours) -> Days:
    """Return the days of which no hour is missing."""
    place, times = days_of(hours)
    full = sums_by(place, np.ones(place.size)) == 24
    moves, squares = sums_by(place, hours.moves), sums_by(place, hours.moves**2)
    return Days(times[full], moves[full], squares[full])


def drawdowns(hours: Hours) -> Floats:
    """Return the deepest fall of the first index within windows of 30 days, by lows; positive."""
    ends = np.cumsum(hours.moves[:, 0])
    lows = ends - hours.moves[:, 0] + hours.lows[:, 0]
    length, every = 24 * WINDOW_DAYS, 24 * WINDOW_EVERY
    found = []
    for begin in range(0, ends.size - length + 1, every):
        here = slice(begin, begin + length)
        peaks = np.maximum.accumulate(ends[here])
        found.append((peaks[:-1] - lows[here][1:]).max())
    return -np.expm1(-np.array(found))


def weekend_moves(hours: Hours) -> Floats:
    """Return log moves of both indices while New York's exchanges rest, shape (weekends, 2)."""
    hour = hours.times_ms // HOUR_MS + 3 * 24  # 1970-01-01 was a Thursday
    week = (hour - FRIDAY_HOUR) // WEEK_HOURS
    inside = (hour - FRIDAY_HOUR) % WEEK_HOURS < MONDAY_HOUR - FRIDAY_HOUR
    place = np.searchsorted(np.unique(week[inside]), week[inside])
    counts = sums_by(place, np.ones(place.size))
    moves = sums_by(place, hours.moves[inside])
    whole = np.flatnonzero(counts == counts.max())
    return np.asarray(np.take(moves, whole, axis=0))


def stressed_days(days: Days) -> tuple[Bools, Bools]:
    """Return which days follow 30 quiet ones, and which the fifth of days that are least so."""
    total = np.concatenate([[0.0], np.cumsum(days.squares[:, 0])])
    before = np.full(days.times_ms.size, np.nan)
    before[TRAILING_DAYS:] = total[TRAILING_DAYS:-1] - total[: -TRAILING_DAYS - 1]
    known = ~np.isnan(before)
    bound = np.quantile(before[known], 1.0 - STRESS_SHARE)
    return known & (before <= bound), known & (before > bound)


def _kurtosis(values: Floats) -> float:
    apart = values - values.mean()
    return float((apart**4).mean() / (apart**2).mean() ** 2)


def _correlation(pairs: Floats) -> float:
    return float(np.corrcoef(pairs[:, 0], pairs[:, 1])[0, 1])


def _lagged(values: Floats, lag: int) -> float:
    """Return the autocorrelation of absolute values."""
    size = np.abs(values)
    return float(np.corrcoef(size[lag:], size[:-lag])[0, 1])


def scaled_hours(hours: Hours) -> Floats:
    """Return hourly moves of the first index over the vol of the hours before each."""
    active = np.ones(hours.times_ms.size)
    local = find_outliers(hours, active, run_starts(hours.times_ms)).local
    known = local > 0.0
    return np.asarray(hours.moves[known, 0] / local[known])


def statistics_of(hours: Hours) -> dict[str, float]:
    """Return the figures, by name; moves are logarithms."""
    days, falls, rests = whole_days(hours), drawdowns(hours), weekend_moves(hours)
    calm, tense = stressed_days(days)
    found: dict[str, float] = {}
    for index, symbol in enumerate(SYMBOLS):
        found[f"{symbol} vol a year"] = annual(float((hours.moves[:, index] ** 2).mean()))
        for name, rank in QUANTILES.items():
            found[f"{symbol} hour {name}"] = float(np.quantile(hours.moves[:, index], rank))
        for name, rank in list(QUANTILES.items())[1:-1]:
            found[f"{symbol} day {name}"] = float(np.quantile(days.moves[:, index], rank))
    scaled = scaled_hours(hours)
    lows, closes = (np.quantile(each[:, 0], 0.001) for each in (hours.lows, hours.moves))
    inner = hours.lows * (hours.lows - hours.moves) + hours.highs * (hours.highs - hours.moves)
    return found | {
        "BTC hour kurtosis": _kurtosis(hours.moves[:, 0]),
        "BTC hour over local vol, kurtosis": _kurtosis(scaled),
        "BTC day kurtosis": _kurtosis(days.moves[:, 0]),
        "BTC hour |move| autocorrelation, 1 h": _lagged(hours.moves[:, 0], 1),
        "BTC hour |move| autocorrelation, 24 h": _lagged(hours.moves[:, 0], 24),
        "BTC hour |move| autocorrelation, 240 h": _lagged(hours.moves[:, 0], 240),
        "BTC day |move| autocorrelation, 1 d": _lagged(days.moves[:, 0], 1),
        "BTC 30-day drawdown, median": float(np.median(falls)),
        "BTC 30-day drawdown, 95 %": float(np.quantile(falls, 0.95)),
        "BTC weekend, std": float(rests[:, 0].std()),
        "BTC weekend 5 %": float(np.quantile(rests[:, 0], 0.05)),
        "BTC hour low 0.1 %": float(lows),
        "BTC wick ratio, 0.1 % low over close": float(lows / closes),
        "BTC range variance over close": float(
            inner[:, 0].mean() / (hours.moves[:, 0] ** 2).mean()
        ),
        "BTC-ETH day correlation, calm": _correlation(days.moves[calm]),
        "BTC-ETH day correlation, stressed": _correlation(days.moves[tense]),
    }


def block_errors(
    hours: Hours, figures: Callable[[Hours], dict[str, float]], draws: int, block_days: int = 28
) -> dict[str, float]:
    """Return standard errors of figures of recorded hours: whole blocks of days are drawn again."""
    random = np.random.default_rng(1)
    number = hours.times_ms // (block_days * DAY_MS)
    blocks = [hours.take(number == each) for each in np.unique(number)]
    samples = []
    for _ in range(draws):
        parts = []
        for place, drawn in enumerate(random.integers(len(blocks), size=len(blocks)).tolist()):
            first = blocks[drawn].times_ms[0] // (block_days * DAY_MS)
            shift = (place - int(first)) * block_days * DAY_MS
            parts.append(blocks[drawn]._replace(times_ms=blocks[drawn].times_ms + shift))
        samples.append(figures(Hours(*(np.concatenate(each) for each in zip(*parts, strict=True)))))
    return {
        name: float(np.std([sample[name] for sample in samples], ddof=1)) for name in samples[0]
    }
