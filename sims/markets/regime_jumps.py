"""Jumps of the default market: when, how far, and what the mean of prices is relieved of."""

import functools
from typing import NamedTuple

import numpy as np

from amm.units import DAY_MS
from sims.markets.block import Bools, Clock, Floats, Ints
from sims.markets.jump_law import mean_gain
from sims.markets.regime_law import REGIMES, RegimeLaw
from sims.markets.regime_start import ERA_MAX
from sims.markets.tilt import Tilt, draw_tilted

CHANCE_MAX = 0.5
"""Of something rare in one step."""
_ERAS = np.linspace(-ERA_MAX, ERA_MAX, 121)
"""Between them the mean of a jump is interpolated; 0 is one of them."""


class Jumps(NamedTuple):
    """What is drawn of jumps.

    Attributes:
        logs: Log jumps less their compensators, shape (paths, steps, 2).
        ratios: Log likelihood of each step's jumps, tilted over as they are; (paths, steps).
    """

    logs: Floats
    ratios: Floats


@functools.cache
def _gains(law: RegimeLaw, regime: int) -> tuple[Floats, Floats]:
    """Return E[exp(jump) - 1] of both indices in the eras of `_ERAS`."""
    each, own = law.jumps(regime), law.own_jump(regime)
    factors = np.exp(_ERAS).tolist()
    first = [mean_gain(each, factor) for factor in factors]
    second = [mean_gain(each, factor * law.jump_beta, factor * own) for factor in factors]
    return np.array(first), np.array(second)


def draw_regime_jumps(
    law: RegimeLaw,
    tilt: Tilt,
    clock: Clock,
    regimes: Ints,
    eras: Floats,
    active: Floats,
    inside: Bools,
    random: np.random.Generator,
) -> Jumps:
    """Draw the jumps of all steps.

    Args:
        law: The parameters.
        tilt: Of steps that are inside.
        clock: The steps.
        regimes: In each step, shape (paths, steps).
        eras: Log factor of each path's jumps, shape (paths,).
        active: Activity of the hour of the week, shape (steps,).
        inside: Whether a step is tilted, shape (paths, steps).
        random: What is drawn from.
    """
    rates = np.array(law.jump_rates)[regimes] * (clock.step_ms / DAY_MS)
    told = np.minimum(rates * active**2, CHANCE_MAX)
    raised = np.minimum(tilt.jumps * told, np.maximum(told, CHANCE_MAX))
    jumping = random.random(regimes.shape) < np.where(inside, raised, told)
    ratios = np.zeros(regimes.shape)
    if tilt.jumps != 1.0:
        came = np.log(np.where(told > 0.0, raised, 1.0) / np.where(told > 0.0, told, 1.0))
        ratios += np.where(jumping, came, np.log1p(-raised) - np.log1p(-told))
    jumps = np.zeros((*regimes.shape, 2))
    for regime in range(len(REGIMES)):
        here = regimes == regime
        for index, gains in enumerate(_gains(law, regime)):
            gain = np.interp(eras, _ERAS, gains)[:, None]
            jumps[:, :, index] -= np.where(here, np.log1p(told * gain), 0.0)
        rows, steps = np.nonzero(here & jumping)
        sizes, tilts = draw_tilted(law.jumps(regime), tilt, inside[rows, steps], random)
        ratios[rows, steps] += tilts
        apart = law.own_jump(regime) * random.standard_normal(rows.size)
        factors = np.exp(eras[rows])
        jumps[rows, steps, 0] += factors * sizes
        jumps[rows, steps, 1] += factors * (law.jump_beta * sizes + apart)
    return Jumps(jumps, ratios)
