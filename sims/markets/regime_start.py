"""Where paths of the default market begin: the vol of their era, their regime, their vol levels.

An era is longer than a path: its factor of all vols is one number for each.
"""

import math
from typing import NamedTuple

import numpy as np

from amm.scenarios import UNDERLYINGS
from amm.units import DAY_MS, YEAR_MS
from sims.markets.block import Floats, Ints
from sims.markets.regime_law import REGIMES, RegimeLaw, stationary

ERA_MAX = 1.5
"""Largest log factor of an era, either way: 4.5 times the usual vol."""


class Start(NamedTuple):
    """What is drawn of the start.

    Attributes:
        eras: Log factor of all vols and levels, shape (paths,).
        regimes: Shape (paths,).
        levels: Log vol levels, shape (paths, UNDERLYINGS).
        activity: Standard normal, of the first activity; shape (paths,).
    """

    eras: Floats
    regimes: Ints
    levels: Floats
    activity: Floats


def level_logs(law: RegimeLaw) -> tuple[Floats, Floats]:
    """Return the log of where levels settle in a regime, and of what they revert to without moves.

    Squared moves lift a level, by what they come to in a day over its reversion. Of the second
    index that is more, so its anchor is lower: settled, its level is `level_ratio` of the first's.
    """
    anchors = np.log(np.array(law.level_anchors))
    vols = np.array([law.btc_vols, law.eth_vols]).T
    lifts = law.level_square * vols**2 * DAY_MS / YEAR_MS / law.level_reversion
    begins = anchors + lifts[:, 0]
    both = np.stack([begins, begins + math.log(law.level_ratio)], axis=1)
    return both, both - lifts


def draw_start(
    law: RegimeLaw, regime: int, level: float, paths: int, random: np.random.Generator
) -> Start:
    """Draw how paths begin.

    Args:
        law: The parameters.
        regime: The same for all paths; -1 draws it from the stationary law.
        level: Vol level of the first index at the start. What the era and the regime are is then
            drawn from their law given it (Bayes); 0 draws all three.
        paths: How many.
        random: What is drawn from.
    """
    settled, _ = level_logs(law)
    shares = stationary(law) if regime < 0 else np.eye(len(REGIMES))[regime]
    centre, spread = -(law.era_spread**2), law.era_spread
    own = law.level_noise / math.sqrt(2.0 * law.level_reversion)
    means, left = np.full(len(REGIMES), centre), spread
    if level > 0.0:
        variance = max(spread**2 + own**2, 1e-12)
        off = math.log(level) - settled[:, 0] - centre
        logs = np.log(np.maximum(shares, 1e-300)) - off**2 / (2.0 * variance)
        shares = np.exp(logs - logs.max())
        shares /= shares.sum()
        means, left = centre + off * spread**2 / variance, spread * own / math.sqrt(variance)
    ranks = random.random(paths)
    regimes = np.searchsorted(np.cumsum(shares)[:-1], ranks, side="right").astype(np.int64)
    normals = random.standard_normal((paths, 1 + UNDERLYINGS))
    eras = np.clip(means[regimes] + left * normals[:, 0], -ERA_MAX, ERA_MAX)
    levels = settled[regimes] + eras[:, None] + own * normals[:, 1:]
    if level > 0.0:
        levels[:, 0] = math.log(level)
    return Start(eras, regimes, levels, np.asarray(random.standard_normal(paths)))
