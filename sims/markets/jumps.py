"""Many years of two underlyings at once: a vol that wanders and clusters, and jumps both share.

The logarithm of vol reverts to its mean; a jump of the index lifts it. Jumps are Student-t with
three degrees of freedom, cut off. Prices have no drift: nobody gains on average by holding them.
"""

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

UNDERLYINGS = 2
STEPS_A_DAY = 4
DAYS_A_YEAR = 365
HORIZON_YEARS = 30.0 / DAYS_A_YEAR
"""Of the vol index."""
_DRAWS = 1_000_000


class JumpMarket(NamedTuple):
    """A market model; vols per square root of a year, rates per year.

    Attributes:
        vols: Diffusive vol of each underlying where the log of vol is at its mean.
        correlation: Of their diffusions.
        vol_of_vol: Stationary standard deviation of the log of vol, jumps left out.
        reversion: Of the log of vol.
        jumps: Jumps a year.
        jump_mean: Of a jump's logarithm.
        jump_scale: Of the Student-t it is drawn from.
        jump_max: It is cut off there.
        jump_beta: What the second underlying jumps when the first does.
        jump_own: Standard deviation of what it jumps beside that.
        lift: What a jump adds to the log of vol, per unit of its size.
        premium: What the vol index is above the vol expected.
    """

    vols: tuple[float, float] = (0.46, 0.63)
    correlation: float = 0.8
    vol_of_vol: float = 0.35
    reversion: float = 14.0
    jumps: float = 8.0
    jump_mean: float = -0.015
    jump_scale: float = 0.055
    jump_max: float = 0.7
    jump_beta: float = 1.15
    jump_own: float = 0.03
    lift: float = 1.5
    premium: float = 0.05


class Paths(NamedTuple):
    """Index, relative to its start, and vol index; both of shape (paths, steps + 1, underlyings).

    A year has `STEPS_A_DAY * DAYS_A_YEAR` steps.
    """

    prices: Floats
    levels: Floats


def _jumps(model: JumpMarket, random: np.random.Generator, count: int) -> Floats:
    """Return the logarithms of `count` jumps, shape (count, underlyings)."""
    sizes = model.jump_mean + model.jump_scale * random.standard_t(3.0, count)
    first = np.clip(sizes, -model.jump_max, model.jump_max)
    second = model.jump_beta * first + model.jump_own * random.standard_normal(count)
    return np.stack([first, second], axis=1)


class _Moments(NamedTuple):
    """What follows from a model.

    Attributes:
        drift: What jumps add to each price a year, relative.
        variance: What they add to its variance a year.
        square: Mean of vol squared, over the square of vol where its log is at its mean.
    """

    drift: Floats
    variance: Floats
    square: float


@functools.cache
def _moments(model: JumpMarket) -> _Moments:
    random = np.random.default_rng(0)
    jumps = _jumps(model, random, _DRAWS)
    # What the shot noise of lifts adds to the mean of exp(2 y): Campbell's theorem.
    ages = np.linspace(0.0, 1.0, 401)
    lifted = 2.0 * model.lift * np.abs(jumps[:20_000, 0])
    gains = [np.expm1(lifted * np.exp(-model.reversion * age)).mean() for age in ages]
    shots = model.jumps * float(np.trapezoid(np.array(gains), ages))
    return _Moments(
        model.jumps * np.expm1(jumps).mean(axis=0),
        model.jumps * (jumps**2).mean(axis=0),
        float(np.exp(2.0 * model.vol_of_vol**2 + shots)),
    )


def _levels(model: JumpMarket, logs: Floats) -> Floats:
    """Return the vol index: the vol expected over its horizon, and a premium."""
    moments = _moments(model)
    reach = model.reversion * HORIZON_YEARS
    weight = -np.expm1(-reach) / reach
    square = moments.square + (np.exp(2.0 * logs) - moments.square) * weight
    vols = np.asarray(model.vols)
    return np.sqrt(square[..., None] * vols**2 + moments.variance) + model.premium


def draw_paths(model: JumpMarket, count: int, days: int, random: np.random.Generator) -> Paths:
    """Return paths of whole days; every path starts with vol in its stationary state."""
    step = 1.0 / (STEPS_A_DAY * DAYS_A_YEAR)
    warm, steps = 60 * STEPS_A_DAY, days * STEPS_A_DAY
    moments, vols = _moments(model), np.asarray(model.vols)
    kept = np.exp(-model.reversion * step)
    shake = model.vol_of_vol * np.sqrt(-np.expm1(-2.0 * model.reversion * step))
    apart = np.sqrt(1.0 - model.correlation**2)
    log_vol = model.vol_of_vol * random.standard_normal(count)
    log_price = np.zeros((count, UNDERLYINGS))
    prices = np.ones((count, steps + 1, UNDERLYINGS))
    logs = np.empty((count, steps + 1))
    for number in range(-warm, steps + 1):
        if number >= 0:
            prices[:, number], logs[:, number] = np.exp(log_price), log_vol
        normals = random.standard_normal((count, 3))
        jumping = np.flatnonzero(random.random(count) < model.jumps * step)
        jumps = _jumps(model, random, jumping.size)
        if number >= 0:
            vol = np.exp(log_vol)[:, None] * vols
            shocks = normals[:, :UNDERLYINGS].copy()
            shocks[:, 1] = model.correlation * shocks[:, 0] + apart * shocks[:, 1]
            log_price += vol * np.sqrt(step) * shocks - (vol**2 / 2.0 + moments.drift) * step
            log_price[jumping] += jumps
        log_vol = kept * log_vol + shake * normals[:, 2]
        log_vol[jumping] += model.lift * np.abs(jumps[:, 0])
    return Paths(prices, _levels(model, logs))
