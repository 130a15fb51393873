"""The parameters of the regime-switching market, from recorded hours.

Each stage is an estimator of its own; `docs/market-model.md` has them in order. Where a threshold
tells jumps from diffusion, what it wrongly tells is counted on drawn paths that have no jumps.
"""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from amm.units import DAY_MS, HOUR_MS
from sims.markets.block import Clock, Floats, Ints
from sims.markets.jump_law import JumpLaw, beyond, draw_jumps, log_density
from sims.markets.outliers import THRESHOLD, Outliers, find_outliers
from sims.markets.recorded_hours import Hours, annual, days_of, hours_of, run_starts, sums_by
from sims.markets.regime_fit import Chain, fit_chain, rates_of
from sims.markets.regime_law import HOURS_A_YEAR, REGIMES, RegimeLaw, seasons
from sims.markets.regimes import Regimes

LAGS = np.arange(1, 25)
JUMP_CUT = 0.6
FALSE_PATHS, FALSE_DAYS = 16, 730
LEVEL_BOUNDS = (0.2, 1.5)
_HALF_LIVES = np.geomspace(1.0, 72.0, 200)
_FREEDOMS = np.linspace(2.0, 6.0, 17)
_SCALES = np.geomspace(0.5, 6.0, 60)


class Levels(NamedTuple):
    """Recorded vol levels of the first index, day by day, shape (days,)."""

    times_ms: Ints
    levels: Floats


class FalseAlarms(NamedTuple):
    """Share of hours told as jumps, and as wicks, where there are none."""

    jumps: Floats
    wicks: float


class Stages(NamedTuple):
    """What later stages need of earlier ones."""

    hours: Hours
    chain: Chain
    place: Ints
    active: Floats
    shares: Floats
    outliers: Outliers


def activity_of(times_ms: Ints, moves: Floats) -> tuple[tuple[float, ...], tuple[float, float]]:
    """Return the activity of the hours of a day, and of Saturdays and Sundays.

    Means of absolute moves, which outliers do not rule; scaled to a mean square of 1 in a week.
    """
    size = np.abs(moves).mean(axis=1)
    hour, weekday = times_ms % DAY_MS // HOUR_MS, (times_ms // DAY_MS + 3) % 7
    week = weekday < 5
    hours = np.array([size[week & (hour == each)].mean() for each in range(24)])
    ends = np.array([size[weekday == each].mean() for each in (5, 6)]) / hours.mean()
    square = (hours**2).mean() * (5.0 + (ends**2).sum()) / 7.0
    return tuple(hours / math.sqrt(square)), (float(ends[0]), float(ends[1]))


def stages_of(hours: Hours) -> tuple[Stages, dict[str, Any]]:
    """Return activity, regimes and outliers of recorded hours, and the parameters they give."""
    day_hours, weekend = activity_of(hours.times_ms, hours.moves)
    found: dict[str, Any] = {"hours": day_hours, "weekend": weekend}
    weekdays = np.array([1.0] * 5 + list(weekend))
    active = np.array(day_hours)[hours.times_ms % DAY_MS // HOUR_MS]
    active = active * weekdays[(hours.times_ms // DAY_MS + 3) % 7]
    place, days = days_of(hours)
    counts = sums_by(place, np.ones(place.size))
    squares = sums_by(place, (hours.moves / active[:, None]) ** 2) / counts[:, None]
    begins = np.concatenate([[True], np.diff(days) > DAY_MS])
    chain = fit_chain(np.log(squares).sum(axis=1) / 4.0, begins)
    found["rates"] = tuple(tuple(row) for row in rates_of(chain.transitions).tolist())
    outliers = find_outliers(hours, active, run_starts(hours.times_ms))
    return Stages(hours, chain, place, active, chain.shares[place], outliers), found


def _mean_by(shares: Floats, values: Floats) -> Floats:
    """Return the mean of values in each regime."""
    return np.asarray((values.T @ shares / shares.sum(axis=0)).T)


def diffusion_of(stages: Stages) -> dict[str, Any]:
    """Return total vols and correlations of each regime; jumps are still in the vols."""
    moves = stages.hours.moves / stages.active[:, None]
    squares = _mean_by(stages.shares, moves**2)
    quiet = stages.shares * ~stages.outliers.jumped[:, None]
    second = _mean_by(quiet, moves**2)
    cross = _mean_by(quiet, moves[:, 0] * moves[:, 1])
    return {
        "btc_vols": tuple(annual(each) for each in squares[:, 0].tolist()),
        "eth_vols": tuple(annual(each) for each in squares[:, 1].tolist()),
        "correlations": tuple((cross / np.sqrt(second.prod(axis=1))).tolist()),
    }


def clustering_of(stages: Stages) -> dict[str, Any]:
    """Return spread and half-life of activity: they make the autocovariance of log moves."""
    size = np.abs(stages.hours.moves / stages.active[:, None])
    known = np.asarray(size.min(axis=1) > 1e-6)
    logs = np.log(np.maximum(size, 1e-6))
    logs = logs - np.matmul(stages.shares, _mean_by(stages.shares * known[:, None], logs))
    logs[~known] = 0.0
    times = stages.hours.times_ms
    covariances = []
    for lag in LAGS:
        pairs = (times[lag:] - times[:-lag] == lag * HOUR_MS) & known[lag:] & known[:-lag]
        covariances.append((logs[lag:][pairs] * logs[:-lag][pairs]).mean())
    seen = np.array(covariances)
    shapes = 0.5 ** (LAGS / _HALF_LIVES[:, None])
    heights = np.maximum(shapes @ seen / (shapes**2).sum(axis=1), 0.0)
    best = int(np.argmin(((seen - heights[:, None] * shapes) ** 2).sum(axis=1)))
    return {
        "activity_spread": math.sqrt(float(heights[best])),
        "activity_hours": float(_HALF_LIVES[best]),
    }


def jump_size_of(sizes: Floats, bounds: Floats) -> tuple[float, float]:
    """Return scale and degrees of freedom of a Student-t law, of sizes beyond their bounds.

    Maximum likelihood, each size given that it is beyond its bound.
    """
    best, found = -math.inf, (1.0, 3.0)
    for freedom in _FREEDOMS.tolist():
        for scale in _SCALES.tolist():
            law = JumpLaw(0.0, scale, freedom, 100.0 * scale)
            likelihood = log_density(law, sizes) - np.log(beyond(law, bounds) + 1e-300)
            if likelihood.sum() > best:
                best, found = float(likelihood.sum()), (scale, freedom)
    return found


def jumps_of(stages: Stages, vols: Floats, false: FalseAlarms) -> dict[str, Any]:
    """Return rates and sizes of jumps.

    Args:
        stages: Of the hours.
        vols: Of the first index in each regime, per sqrt(year).
        false: What is told as jumps without any.
    """
    seen, moves = stages.outliers, stages.hours.moves
    hourly = stages.shares @ vols / math.sqrt(HOURS_A_YEAR)
    rows = np.flatnonzero(seen.jumped)
    sizes = np.abs(moves[rows, 0]) / hourly[rows]
    scale, freedom = jump_size_of(sizes, THRESHOLD * seen.local[rows] / hourly[rows])
    known = seen.local > 0.0
    law = JumpLaw(0.0, scale, freedom, 100.0 * scale)
    chances = beyond(law, THRESHOLD * seen.local / hourly) * stages.active**2 * known
    weights = stages.shares * known[:, None]
    told = (stages.shares * seen.jumped[:, None]).sum(axis=0)
    excess = np.maximum(told - false.jumps * weights.sum(axis=0), 0.0)
    rates = 24.0 * excess / (stages.shares.T @ chances)
    beta = float((moves[rows, 0] * moves[rows, 1]).sum() / (moves[rows, 0] ** 2).sum())
    apart = (moves[rows, 1] - beta * moves[rows, 0]) / hourly[rows]
    # What the second index does beside a jump is diffusion too: its middle is taken, not its tail.
    own = float(np.median(np.abs(apart))) / 0.6745 / scale
    return {
        "jump_rates": tuple(rates.tolist()),
        "jump_scale": scale,
        "jump_freedom": freedom,
        "jump_cut": JUMP_CUT,
        "jump_beta": beta,
        "jump_own": own,
    }


def without_jumps(found: dict[str, Any]) -> dict[str, Any]:
    """Return the vols of diffusion alone, from total vols and the law of jumps."""
    result: dict[str, Any] = {"btc_vols": [], "eth_vols": []}
    unit = JumpLaw(0.0, found["jump_scale"], found["jump_freedom"], 40.0 * found["jump_scale"])
    square = float((draw_jumps(unit, 200_000, np.random.default_rng(0)) ** 2).mean())
    own = (found["jump_own"] * found["jump_scale"]) ** 2
    for regime in range(len(REGIMES)):
        an_hour = found["jump_rates"][regime] / 24.0
        btc = found["btc_vols"][regime] ** 2 / (1.0 + an_hour * square)
        eth = found["eth_vols"][regime] ** 2
        eth -= an_hour * (found["jump_beta"] ** 2 * square + own) * btc
        result["btc_vols"].append(math.sqrt(btc))
        result["eth_vols"].append(math.sqrt(max(eth, btc / 4.0)))
    return {name: tuple(each) for name, each in result.items()}


def wicks_of(stages: Stages, false: FalseAlarms) -> dict[str, Any]:
    """Return what extremes have beyond those of a bridge between the ends.

    For a bridge E[low (low - move)] is half the variance, and the same upwards. Jumps and
    excursions are in that as well: the correction takes them out.
    """
    seen, hours = stages.outliers, stages.hours
    known = seen.local > 0.0
    moves, lows, highs = (each[:, 0] for each in (hours.moves, hours.lows, hours.highs))
    inner = (lows * (lows - moves) + highs * (highs - moves)).mean()
    size = float((seen.depth / np.maximum(seen.local, 1e-9))[seen.wicked].mean()) - THRESHOLD
    share = max(float(seen.wicked[known].mean()) - false.wicks, 0.0)
    return {
        "wick_scale": math.sqrt(float(inner / (moves**2).mean())),
        "wick_rate": 24.0 * share * math.exp(min(THRESHOLD / size, 3.0)),
        "wick_size": size,
    }


def levels_of(stages: Stages, levels: Levels) -> dict[str, Any]:
    """Return how the log of the vol level moves in a day: least squares.

    Its change is explained by the regime of the day, the level before it, the log return of the
    day and that return's square.
    """
    place, days = days_of(stages.hours)
    moves = sums_by(place, stages.hours.moves[:, 0])
    squares = sums_by(place, stages.hours.moves[:, 0] ** 2)
    end = days + DAY_MS
    _, rows, there = np.intersect1d(levels.times_ms, end, return_indices=True)
    pairs = (rows > 0) & (levels.times_ms[rows] - levels.times_ms[rows - 1] == DAY_MS)
    rows, there = rows[pairs], there[pairs]
    logs = np.log(levels.levels)
    before, change = logs[rows - 1], logs[rows] - logs[rows - 1]
    columns = [stages.chain.shares[there], before[:, None], moves[there, None]]
    table = np.concatenate([*columns, squares[there, None]], axis=1)
    solved, *_ = np.linalg.lstsq(table, change, rcond=None)
    kept = float(np.clip(1.0 + solved[3], 0.5, 0.995))
    anchors = np.exp(solved[:3] / (1.0 - kept))
    noise = float((change - table @ solved).std(ddof=table.shape[1]))
    return {
        "level_anchors": tuple(np.clip(anchors, *LEVEL_BOUNDS).tolist()),
        "level_reversion": -math.log(kept),
        "level_slope": float(solved[4]),
        "level_square": max(float(solved[5]), 0.0),
        "level_noise": noise,
    }


def fit_law(hours: Hours, levels: Levels, false: FalseAlarms) -> RegimeLaw:
    """Return the law of recorded hours without eras, given what the threshold tells wrongly."""
    stages, found = stages_of(hours)
    found |= diffusion_of(stages) | clustering_of(stages)
    found |= jumps_of(stages, np.array(found["btc_vols"]), false)
    found["level_ratio"] = float(np.mean(np.divide(found["eth_vols"], found["btc_vols"])))
    found |= without_jumps(found) | wicks_of(stages, false) | levels_of(stages, levels)
    return RegimeLaw(**found, era_spread=0.0)


def false_alarms(law: RegimeLaw, seed: int = 1) -> FalseAlarms:
    """Return what the threshold tells as jumps and wicks on paths of a law that have none."""
    calm = replace(law, jump_rates=(0.0, 0.0, 0.0), wick_rate=0.0)
    clock = Clock(1_577_836_800_000, HOUR_MS, 24 * FALSE_DAYS)
    jumps, hours, wicks, known = np.zeros(3), np.zeros(3), 0, 0
    active = seasons(law, clock.times_ms[:-1])
    for regime in range(len(REGIMES)):
        kept = replace(calm, rates=((0.0,) * 3,) * 3)
        market = Regimes(kept, start=regime)
        block = market.draw(clock, FALSE_PATHS, np.random.default_rng([seed, regime]))
        for path in range(FALSE_PATHS):
            here = hours_of(block, path)
            seen = find_outliers(here, active, np.zeros(1, dtype=np.int64))
            jumps[regime] += seen.jumped.sum()
            hours[regime] += (seen.local > 0.0).sum()
            wicks, known = wicks + int(seen.wicked.sum()), known + int((seen.local > 0.0).sum())
    return FalseAlarms(jumps / hours, wicks / known)
