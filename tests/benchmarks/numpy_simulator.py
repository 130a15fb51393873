"""The simulator's model of one pool in NumPy, all paths at once: what its speed stands beside.

It keeps what costs time: the vol estimator, every series marked and accrued at every step, and
quotes with the full impact. Rounding, queues, flushes, accounts and the waterfall are left out, and
the smile does not bend with the level: all that would make it slower.
"""

from typing import NamedTuple

import numpy as np

from amm.arrays import Floats
from amm.scenarios import DAYS, MOVES, ScenarioSet, scenario_set
from amm.surface import Surface, strike_vol

HOUR = 1.0 / (24.0 * 365.0)
PERIOD = 7.0 / 365.0
CAP = 0.5
VOL_STRESS = 1.5
TOLERANCE = 1_000.0
KNOTS = 400
HORIZONS = np.array([1.0, 10.0, 45.0]) / 365.0
WEIGHTS = np.array([0.4, 0.4, 0.2])


class Smile(NamedTuple):
    """Vol over level at some log strikes."""

    log_strikes: Floats
    ratios: Floats


class Pool(NamedTuple):
    """Paths with the same number of series each: half calls, half puts, half on either index.

    Attributes:
        strikes: Shape (paths, series), of an index of 1; so are the next.
        side: 1 for a call, -1 for a put.
        on: Which index.
        notional: Tokens.
        index: Premium index.
        receivable: Premium accrued.
    """

    strikes: Floats
    side: Floats
    on: Floats
    notional: Floats
    index: Floats
    receivable: Floats


def smile_of(surface: Surface) -> Smile:
    """Return a surface as a table of vols over level."""
    log_strikes = np.linspace(-1.0, 1.0, KNOTS)
    vols = [strike_vol(surface, each) for each in log_strikes.tolist()]
    return Smile(log_strikes, np.array(vols) / surface.level)


def make_pool(paths: int, series: int, random: np.random.Generator) -> Pool:
    """Return pools of random series around the money."""
    shape = (paths, series)
    kind = np.arange(series) % 4
    return Pool(
        np.exp(random.normal(0.0, 0.08, shape)),
        np.broadcast_to(np.where(kind % 2 == 0, 1.0, -1.0), shape),
        np.broadcast_to(kind // 2, shape),
        np.full(shape, 40.0),
        np.zeros(shape),
        np.zeros(shape),
    )


def capped_values(side: Floats, moneyness: Floats, vol: Floats) -> tuple[Floats, Floats]:
    """Return value and yearly premium of options cashed out at the cap, without carry."""
    half_variance = 0.5 * vol * vol * PERIOD
    width = np.sqrt(half_variance * half_variance + 4.0 * half_variance)
    up = (half_variance + width) / (2.0 * half_variance)
    down = (half_variance - width) / (2.0 * half_variance)

    def uncapped(at: Floats) -> Floats:
        beyond = side * (at - 1.0) > 0.0
        exponent = np.where(beyond == (side > 0.0), down, up)
        wing = np.exp(exponent * np.log(at)) / (width * np.abs(exponent * (exponent - 1.0)))
        return np.where(beyond, side * (at - 1.0), 0.0) + wing

    barrier = 1.0 + side * CAP
    reach = np.exp(np.where(side > 0.0, up, down) * np.log(moneyness / barrier))
    is_out = side * (moneyness - barrier) >= 0.0
    value = np.where(is_out, CAP, uncapped(moneyness) - (uncapped(barrier) - CAP) * reach)
    payoff = np.clip(side * (moneyness - 1.0), 0.0, CAP)
    return value, np.maximum(value - payoff, 0.0) / PERIOD


def marks_at(pool: Pool, smile: Smile, spot: Floats, level: Floats) -> tuple[Floats, Floats]:
    """Return value and premium rate of every series; `spot`, `level` as `pool.strikes`."""
    moneyness = spot / pool.strikes
    ratio = np.interp(-np.log(moneyness), smile.log_strikes, smile.ratios)
    return capped_values(pool.side, moneyness, level * ratio)


def impact(pool: Pool, smile: Smile, spot: Floats, level: Floats, scenarios: ScenarioSet) -> Floats:
    """Return what some pools charge for one token more of their first series, shape (paths,)."""
    losses = []
    for regime in range(2):
        vol = level * (1.0, VOL_STRESS)[regime]
        for move in range(MOVES):
            growth = np.exp(scenarios.sigmas[regime, move] * level / np.sqrt(DAYS))
            losses.append(marks_at(pool, smile, spot * growth, vol)[0])
    stressed = [spot * move for move in (0.7, 1.3)]
    losses += [marks_at(pool, smile, each, level * VOL_STRESS)[0] for each in stressed]
    values = np.stack(losses[: 2 * MOVES])
    values -= np.tensordot(scenarios.marginal.ravel(), values, axes=1)
    book = [(values * pool.notional * (pool.on == on)).sum(axis=2) for on in (0, 1)]
    book = [each.reshape(2, MOVES, -1) for each in book]
    one = values[:, :, 0].reshape(2, MOVES, -1)

    def potential(own: Floats) -> Floats:
        joined = (own[:, :, None] + book[1][:, None]) / TOLERANCE
        highest = joined.max(axis=(0, 1, 2))
        terms = scenarios.joint[..., None] * np.exp(joined - highest)
        return TOLERANCE * (highest + np.log(terms.sum(axis=(0, 1, 2))))

    return potential(book[0] + one) - potential(book[0])


def run_steps(
    pool: Pool, smile: Smile, steps: int, trades: float, random: np.random.Generator
) -> Floats:
    """Run all paths for some hourly steps; returns what trades were charged, to be looked at."""
    paths = pool.strikes.shape[0]
    scenarios, rows = scenario_set(), np.arange(paths)[:, None]
    on = pool.on.astype(np.int64)
    spot, variance = np.ones((paths, 2)), np.full((paths, 2, 3), 0.55**2)
    decay = -np.expm1(-HOUR / HORIZONS)
    charged = np.zeros(paths)
    for _ in range(steps):
        move = 0.55 * np.sqrt(HOUR) * random.standard_normal((paths, 2))
        spot *= np.exp(move)
        variance += decay * (move[..., None] ** 2 / HOUR - variance)
        level = np.sqrt(variance @ WEIGHTS)
        at, vol = spot[rows, on], level[rows, on]
        _, rate = marks_at(pool, smile, at, vol)
        pool.index[:] += rate * HOUR
        pool.receivable[:] += pool.notional * rate * HOUR
        traded = np.flatnonzero(random.random(paths) < trades)
        if traded.size:
            some = Pool(*(each[traded] for each in pool))
            charged[traded] += impact(some, smile, at[traded], vol[traded], scenarios)
    return charged
