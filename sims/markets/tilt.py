"""Importance sampling of the default market: rare paths drawn more often, and what makes up for it.

A share of the paths is drawn with a few days of stress put somewhere into them: the tilted law is
a mixture over where they begin. The other paths are drawn as they are, so the likelihood of a path
over that it was drawn with is `1 / (1 - share + share * ratio)`, never more than `1 / (1 - share)`
(a defensive mixture: Hesterberg 1995, *Weighted average importance sampling and defensive mixture
distributions*, Technometrics 37).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from amm.units import DAY_MS
from sims.markets.block import Bools, Clock, Floats
from sims.markets.jump_law import JumpLaw, draw_jumps, log_density
from sims.markets.regime_law import STRESSED

SHARE_MAX = 0.95
"""Weights stay below 20."""


@dataclass(frozen=True, slots=True)
class Tilt:
    """How paths are drawn where rare ones are wanted more often; by default as they are.

    Attributes:
        share: Of the paths, drawn with a window that is tilted.
        days: Length of the window; it begins on any day at equal odds. 0: the whole path.
        push: How far the first index is pushed by its diffusion over the window, in standard
            deviations of it; the second follows as they are correlated.
        rising: Odds that it is pushed up and not down.
        stress: Factor of the chance to enter the stressed regime, within the window.
        jumps: Factor of the chance of a jump there.
        size: Factor of a jump's scale there, at least 1.
        mix: Share of jumps drawn from the wider law.
    """

    share: float = 0.5
    days: int = 0
    push: float = 0.0
    rising: float = 0.5
    stress: float = 1.0
    jumps: float = 1.0
    size: float = 1.0
    mix: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a tilt that cannot be.

        Raises:
            ValueError: For a field out of its range.
        """
        bounds = {
            "share": (0.0, SHARE_MAX),
            "days": (0, 10_000),
            "push": (0.0, 10.0),
            "rising": (0.0, 1.0),
            "stress": (0.1, 1e9),
            "jumps": (0.1, 1e3),
            "size": (1.0, 100.0),
            "mix": (0.0, SHARE_MAX),
        }
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"tilt: {name} must be from {low:g} to {high:g}")

    @property
    def is_on(self) -> bool:
        """Whether anything is drawn otherwise than it is."""
        changes = (self.push, self.stress - 1.0, self.jumps - 1.0, self.size - 1.0)
        return self.share > 0.0 and any(changes)


class Windows(NamedTuple):
    """Where paths are tilted.

    Attributes:
        inside: Steps that are, shape (paths, steps).
        pushes: What is added to the first index's normals, same shape.
    """

    inside: Bools
    pushes: Floats


class Ratios(NamedTuple):
    """What the likelihood of each path depends on, tilted over as it is; shape (paths, steps).

    Attributes:
        others: Log likelihood ratio of the regime a step leads to and of its jumps.
        normals: What drives the first index; those pushed are as pushed.
    """

    others: Floats
    normals: Floats


def _length(tilt: Tilt, clock: Clock) -> tuple[int, int, int]:
    """Return steps of a window, steps from one to the next, and how many there are."""
    day = DAY_MS // clock.step_ms
    steps = tilt.days * day
    if steps == 0 or steps >= clock.steps:
        return clock.steps, 1, 1
    return steps, day, (clock.steps - steps) // day + 1


def draw_windows(tilt: Tilt, clock: Clock, paths: int, random: np.random.Generator) -> Windows:
    """Draw which paths are tilted, and when, and whether up or down."""
    shape = (paths, clock.steps)
    if not tilt.is_on:
        return Windows(np.zeros(shape, dtype=np.bool_), np.zeros(shape))
    length, every, count = _length(tilt, clock)
    begins = every * random.integers(count, size=paths)
    since = np.arange(clock.steps) - begins[:, None]
    is_tilted = random.random(paths) < tilt.share
    inside = is_tilted[:, None] & (since >= 0) & (since < length)
    signs = np.where(random.random(paths) < tilt.rising, 1.0, -1.0)
    pushes = np.where(inside, signs[:, None] * tilt.push / math.sqrt(length), 0.0)
    return Windows(inside, pushes)


def weights_of(tilt: Tilt, clock: Clock, ratios: Ratios) -> Floats:
    """Return the likelihood of each path over that it was drawn with, shape (paths,)."""
    if not tilt.is_on:
        return np.ones(ratios.others.shape[0])
    length, every, count = _length(tilt, clock)
    others = _window_sums(ratios.others, length, every, count)
    normals = _window_sums(ratios.normals, length, every, count)
    push = tilt.push / math.sqrt(length)
    odds = np.log(np.maximum([tilt.rising, 1.0 - tilt.rising], 1e-300))
    up, down = odds[0] + push * normals, odds[1] - push * normals
    logs = others + np.logaddexp(up, down) - tilt.push**2 / 2.0
    ratio = np.logaddexp.reduce(logs, axis=1) - math.log(count)
    drawn = np.logaddexp(math.log1p(-tilt.share), math.log(tilt.share) + ratio)
    return np.asarray(np.exp(-drawn))


def _window_sums(values: Floats, length: int, every: int, count: int) -> Floats:
    """Return sums over every window, shape (paths, windows)."""
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    begins = every * np.arange(count)
    return np.asarray(sums[:, begins + length] - sums[:, begins])


def tilted(told: Floats, stress: float) -> Floats:
    """Return transition probabilities with those into the stressed regime times `stress`.

    What is added is taken from staying; at most half of it.
    """
    drawn = told.copy()
    for regime in range(STRESSED):
        entering = told[regime, STRESSED]
        added = min((stress - 1.0) * entering, told[regime, regime] / 2.0)
        drawn[regime, STRESSED] += added
        drawn[regime, regime] -= added
    return drawn


def draw_tilted(
    law: JumpLaw, tilt: Tilt, inside: Bools, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return jumps, from the tilted law where they are inside a window, else from the law itself.

    Returns:
        (sizes, log likelihood of each, tilted over as it is), both of the shape of `inside`, (n,).
    """
    sizes = draw_jumps(law, inside.size, random)
    if tilt.size == 1.0:
        return sizes, np.zeros(inside.size)
    wide = law._replace(scale=law.scale * tilt.size)
    is_wide = inside & (random.random(inside.size) < tilt.mix)
    sizes = np.where(is_wide, draw_jumps(wide, inside.size, random), sizes)
    ratio = np.exp(log_density(wide, sizes) - log_density(law, sizes))
    return sizes, np.log1p(tilt.mix * (ratio - 1.0))
