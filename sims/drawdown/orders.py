"""What traders will ask for: drawn before a path is run, the same whatever the pools are like."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.units import DAY_MS
from sims.drawdown.scenario import Buyers, Informed
from sims.markets.block import Clock

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOLD, TAKE_PROFIT, STOP_LOSS, TRAILING = range(4)
"""When a position is sold before its time is over; see `sims.drawdown.scenario.Buyers`."""


class Orders(NamedTuple):
    """Orders of buyers of some paths, path by path, in order of time.

    Attributes:
        first: Where those of each path begin, shape (paths + 1,).
        step: At the end of which step each comes, shape (orders,), like all others.
        hold: Steps it is held at most.
        rule: What ends it before.
        underlying: Which index.
        kind: Uniform; below the odds of the moment it is a call.
        away: Log distance of the strike, out of the money; negative in the money.
        size: Notional over what main LPs bring.
        self_funding: 1 where the position pays its premium by selling parts of itself.
    """

    first: Ints
    step: Ints
    hold: Ints
    rule: Ints
    underlying: Ints
    kind: Floats
    away: Floats
    size: Floats
    self_funding: Ints


class Chances(NamedTuple):
    """When informed traders look, and what the index does while only they see it.

    Shapes (paths, steps + 1): `sees_index` 0 where they do not look, else 1 + the underlying;
    `noise` a standard normal; `sees_level` likewise for those who see the vol level.
    """

    sees_index: npt.NDArray[np.int8]
    noise: npt.NDArray[np.float32]
    sees_level: npt.NDArray[np.int8]


def _holding(buyers: Buyers, steps_a_day: float, count: int, random: np.random.Generator) -> Ints:
    """Return how many steps positions are held, at least one."""
    mean = buyers.holding_days * steps_a_day
    if buyers.holding == "exponential":
        drawn = random.exponential(mean, count)
    elif buyers.holding == "lognormal":
        drawn = mean * np.exp(random.standard_normal(count) - 0.5)
    else:
        drawn = np.full(count, mean)
    return np.maximum(np.rint(drawn), 1.0).astype(np.int64)


def _rules(buyers: Buyers, uniform: Floats) -> Ints:
    """Return which rule ends each position early."""
    ends = np.cumsum([buyers.take_profit, buyers.stop_loss, buyers.trailing])
    chosen = np.searchsorted(ends, uniform, side="right")
    return np.asarray(np.array([TAKE_PROFIT, STOP_LOSS, TRAILING, HOLD])[chosen], dtype=np.int64)


def draw_orders(buyers: Buyers, clock: Clock, paths: int, random: np.random.Generator) -> Orders:
    """Draw the orders of some paths; none comes before the first step or after the last but one."""
    steps_a_day = DAY_MS / clock.step_ms
    counts = random.poisson(buyers.orders_per_day / steps_a_day, (paths, max(clock.steps - 1, 0)))
    step = np.repeat(
        np.tile(np.arange(1, counts.shape[1] + 1, dtype=np.int64), paths), counts.ravel()
    )
    first = np.concatenate([[0], np.cumsum(counts.sum(axis=1))]).astype(np.int64)
    count = step.size
    uniforms = random.random((4, count))
    return Orders(
        first=first,
        step=step,
        hold=_holding(buyers, steps_a_day, count, random),
        rule=_rules(buyers, uniforms[0]),
        underlying=(uniforms[1] >= buyers.bitcoin).astype(np.int64),
        kind=uniforms[2],
        away=np.abs(random.standard_normal(count)) * buyers.strike_spread - 0.01,
        size=buyers.size * np.exp(buyers.size_spread * random.standard_normal(count)),
        self_funding=(uniforms[3] < buyers.self_funding).astype(np.int64),
    )


def draw_chances(
    informed: Informed, clock: Clock, paths: int, random: np.random.Generator
) -> Chances:
    """Draw when informed traders look."""
    shape = (paths, clock.steps + 1)
    steps_a_day = DAY_MS / clock.step_ms

    def looks(a_day: float) -> npt.NDArray[np.int8]:
        odds = -math.expm1(-a_day / steps_a_day)
        which = np.where(random.random(shape) < 0.5, 1, 2)
        return np.where(random.random(shape) < odds, which, 0).astype(np.int8)

    if informed.orders_per_day == 0.0 and informed.vol_orders_per_day == 0.0:
        nothing = np.zeros(shape, dtype=np.int8)
        return Chances(nothing, np.zeros(shape, dtype=np.float32), nothing)
    sees_index = looks(informed.orders_per_day)
    noise = random.standard_normal(shape, dtype=np.float32)
    return Chances(sees_index, noise, looks(informed.vol_orders_per_day))


def draw_moods(clock: Clock, paths: int, random: np.random.Generator) -> Floats:
    """Draw how large each day's LP flows are, mean 1, shape (paths, days + 1, 4).

    The columns are those of `vaults.moves.RequestKind`.
    """
    days = clock.steps * clock.step_ms // DAY_MS
    return np.asarray(random.exponential(1.0, (paths, days + 1, 4)))
