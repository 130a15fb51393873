"""The recursions of the regime-switching market, step by step."""

from typing import NamedTuple

import numpy as np

from amm.kernel import allocating_kernel
from sims.markets.block import Bools, Floats, Ints
from sims.markets.regime_start import Start

LEVEL_MIN, LEVEL_MAX = 0.1, 3.0
SQUARE_MAX = 0.02
"""Of a log return in one step, as the vol level feels it: larger ones were too few to tell."""


class Law(NamedTuple):
    """What the recursion needs of a law, for one length of step.

    Attributes:
        vols: Diffusive vol of a step at activity 1, shape (regimes, 2).
        hourly: The same of an hour.
        correlations: Shape (regimes,).
        drift: Log drift of a step.
        kept: Part of the log of activity left after a step.
        shake: Standard deviation of its own moves in a step.
        centre: Subtracted from it, so that the mean square of activity is 1.
        wick_scale: See `RegimeLaw`.
        wick_size: See `RegimeLaw`.
        anchors: Log of what levels revert to without any move, shape (regimes, 2).
        reversion: Part of the way to it in a step.
        slope: See `RegimeLaw.level_slope`.
        square: See `RegimeLaw.level_square`.
        noise: Standard deviation of a level's own moves in a step.
    """

    vols: Floats
    hourly: Floats
    correlations: Floats
    drift: float
    kept: float
    shake: float
    centre: float
    wick_scale: float
    wick_size: float
    anchors: Floats
    reversion: float
    slope: float
    square: float
    noise: float


class Shocks(NamedTuple):
    """What is drawn for the steps.

    Attributes:
        normals: Of activity, both indices, both levels; shape (paths, steps, 5).
        wicks: Depth of an excursion over its mean: down < 0 < up; shape (paths, steps).
        jumps: Log jumps less their compensators, shape (paths, steps, 2).
    """

    normals: Floats
    wicks: Floats
    jumps: Floats


class Found(NamedTuple):
    """Where the recursion writes.

    Attributes:
        logs: Prices over the start, shape (paths, steps + 1, 2).
        levels: Vol levels, same shape.
        variances: Of the bridge within each step, shape (paths, steps, 2).
        wicks: How far an excursion goes beyond its extremes: down < 0 < up; same shape.
    """

    logs: Floats
    levels: Floats
    variances: Floats
    wicks: Floats


@allocating_kernel
def switch(first: Ints, ranks: Floats, told: Floats, drawn: Floats, inside: Bools) -> Ints:
    """Return the regime at each row, shape (paths, steps + 1).

    Args:
        first: Regime at the start, shape (paths,).
        ranks: Uniform numbers, shape (paths, steps).
        told: Transition probabilities of the law.
        drawn: Those of steps that are `inside`.
        inside: Same shape as `ranks`.
    """
    paths, steps = ranks.shape
    regimes = np.empty((paths, steps + 1), dtype=np.int64)
    for path in range(paths):
        now = first[path]
        regimes[path, 0] = now
        for step in range(steps):
            chances = drawn[now] if inside[path, step] else told[now]
            rank, to = ranks[path, step], 0
            while to < 2 and rank >= chances[to]:
                rank -= chances[to]
                to += 1
            now = to
            regimes[path, step + 1] = now
    return regimes


@allocating_kernel
def run(
    law: Law, regimes: Ints, seasons: Floats, start: Start, shocks: Shocks, found: Found
) -> None:
    """Fill what is found of every path; a step has the regime of its start."""
    paths, steps = shocks.wicks.shape
    for path in range(paths):
        spread = law.shake / np.sqrt(max(1.0 - law.kept * law.kept, 1e-300))
        activity, era = spread * start.activity[path], start.eras[path]
        for each in range(2):
            found.logs[path, 0, each] = 0.0
            found.levels[path, 0, each] = start.levels[path, each]
        for step in range(steps):
            regime = regimes[path, step]
            factor = np.exp(activity - law.centre + era) * seasons[step]
            rho = law.correlations[regime]
            normals = shocks.normals[path, step]
            for each in range(2):
                vol = law.vols[regime, each] * factor
                shock = normals[1]
                if each == 1:
                    shock = rho * normals[1] + np.sqrt(1.0 - rho * rho) * normals[2]
                jump = shocks.jumps[path, step, each]
                move = vol * shock - vol * vol / 2.0 + law.drift + jump
                found.logs[path, step + 1, each] = found.logs[path, step, each] + move
                found.variances[path, step, each] = (law.wick_scale * vol) ** 2
                deep = law.hourly[regime, each] * factor * law.wick_size
                found.wicks[path, step, each] = shocks.wicks[path, step] * deep
                level = found.levels[path, step, each]
                level += law.reversion * (law.anchors[regime, each] + era - level)
                # What a move means to the level is told by the size of the moves of its era.
                square = min(move * move * np.exp(-2.0 * era), SQUARE_MAX)
                level += law.slope * move + law.square * square
                level += law.noise * normals[3 + each]
                found.levels[path, step + 1, each] = min(
                    max(level, np.log(LEVEL_MIN)), np.log(LEVEL_MAX)
                )
            activity = law.kept * activity + law.shake * normals[0]
