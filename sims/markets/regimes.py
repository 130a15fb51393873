"""The default market: two indices whose vol, correlation and jumps switch between three regimes.

`docs/market-model.md` has the equations and what the model fails.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from amm.units import DAY_MS, HOUR_MS, YEAR_MS
from sims.markets.block import Clock, Floats, Ints, MarketBlock
from sims.markets.extremes import bridge_excess
from sims.markets.jump_law import JumpLaw, draw_jumps, log_density, mean_gain
from sims.markets.regime_law import (
    REGIMES,
    STRESSED,
    RegimeLaw,
    calibrated_law,
    seasons,
    stationary,
    transition,
)
from sims.markets.regime_steps import Found, Law, Shocks, run, switch
from sims.markets.stock_model import Stocks, draw_stocks

_CHANCE_MAX = 0.5


@dataclass(frozen=True, slots=True)
class Tilt:
    """How paths are drawn where rare ones are wanted more often; all 1 changes nothing.

    Made for days. Jumps come every few hours: over a month of 256 paths a `size` of 1.2 leaves
    weights worth 110 equal ones and 1.5 worth 8; a `stress` of 2 leaves 177 and of 5 leaves 17.

    Attributes:
        stress: Factor of the chance to enter the stressed regime.
        jumps: Factor of the chance of a jump.
        size: Factor of a jump's scale, at least 1.
        mix: Share of jumps drawn from the wider law; the others bound the likelihood ratio.
    """

    stress: float = 1.0
    jumps: float = 1.0
    size: float = 1.0
    mix: float = 0.5


@dataclass(frozen=True, slots=True)
class Regimes:
    """Regime-switching jump diffusion of BTC and ETH, with stocks that follow sessions.

    Attributes:
        law: The parameters.
        prices: Of both indices at the start, USD.
        drift: Expected log growth a year; 0 makes each price a martingale.
        start: Regime at the start; -1 draws it from the stationary law.
        tilt: How paths are drawn; weights make up for it.
        stocks: The stock tokens.
    """

    law: RegimeLaw = field(default_factory=calibrated_law)
    prices: tuple[float, float] = (100_000.0, 3_500.0)
    drift: float = 0.0
    start: int = -1
    tilt: Tilt = field(default_factory=Tilt)
    stocks: Stocks = field(default_factory=Stocks)

    def draw(self, clock: Clock, paths: int, random: np.random.Generator) -> MarketBlock:
        """Return a block of paths; what it is depends on the arguments only."""
        times_ms = clock.times_ms
        active = seasons(self.law, times_ms[:-1])
        log_weights = np.zeros(paths)
        regimes = self.draw_regimes(clock, paths, random, log_weights)
        jumps = self._draw_jumps(clock, regimes[:, :-1], active, random, log_weights)
        rows = ((paths, clock.steps + 1, 2), (paths, clock.steps, 2))
        found = Found(*(np.empty(rows[each]) for each in (0, 0, 1, 1)))
        shocks = _draw_shocks(self.law, clock, paths, active, jumps, random)
        run(self._step_law(clock), regimes, active, shocks, found)
        stocks, is_open = draw_stocks(
            self.stocks, clock, found.logs[:, :, 0], regimes == STRESSED, random
        )
        start = np.asarray(self.prices)
        lows, highs = (start * np.exp(each) for each in _extremes(found, random))
        prices = start * np.exp(found.logs)
        levels = np.exp(found.levels)
        weights = np.exp(log_weights)
        return MarketBlock(times_ms, prices, lows, highs, levels, stocks, is_open, weights)

    def draw_regimes(
        self, clock: Clock, paths: int, random: np.random.Generator, log_weights: Floats
    ) -> Ints:
        """Return the regime at each row, shape (paths, steps + 1), and add to the log weights."""
        ranks = random.random((paths, clock.steps + 1))
        shares = np.cumsum(stationary(self.law))[:-1]
        first = np.searchsorted(shares, ranks[:, 0], side="right")
        if self.start >= 0:
            first[:] = self.start
        told = transition(self.law, clock.step_ms / DAY_MS)
        drawn = tilted(told, self.tilt.stress)
        return switch(first.astype(np.int64), ranks[:, 1:], told, drawn, log_weights)

    def _draw_jumps(
        self,
        clock: Clock,
        regimes: Ints,
        active: Floats,
        random: np.random.Generator,
        log_weights: Floats,
    ) -> Floats:
        """Return log jumps less their compensators, shape (paths, steps, 2)."""
        law, tilt = self.law, self.tilt
        rates = np.array(law.jump_rates)[regimes] * (clock.step_ms / DAY_MS)
        told = np.minimum(rates * active**2, _CHANCE_MAX)
        drawn = np.minimum(tilt.jumps * told, np.maximum(told, _CHANCE_MAX))
        jumping = random.random(regimes.shape) < drawn
        if tilt.jumps != 1.0:
            safe = np.where(told > 0.0, drawn, 1.0)
            taken = np.where(told > 0.0, told, 1.0) / safe
            ratios = np.where(jumping, taken, (1.0 - told) / (1.0 - drawn))
            log_weights += np.log(ratios).sum(axis=1)
        jumps = np.zeros((*regimes.shape, 2))
        for regime in range(len(REGIMES)):
            here, each = regimes == regime, law.jumps(regime)
            own = law.own_jump(regime)
            for index, gain in enumerate((mean_gain(each), mean_gain(each, law.jump_beta, own))):
                jumps[:, :, index] -= np.where(here, np.log1p(told * gain), 0.0)
            rows, steps = np.nonzero(here & jumping)
            sizes, ratios = draw_tilted(each, tilt, rows.size, random)
            np.add.at(log_weights, rows, ratios)
            jumps[rows, steps, 0] += sizes
            apart = own * random.standard_normal(rows.size)
            jumps[rows, steps, 1] += law.jump_beta * sizes + apart
        return jumps

    def _step_law(self, clock: Clock) -> Law:
        law, days = self.law, clock.step_ms / DAY_MS
        vols = np.array([law.btc_vols, law.eth_vols]).T
        kept = 0.5 ** (clock.step_ms / HOUR_MS / law.activity_hours)
        begins, anchors = level_logs(law)
        return Law(
            vols * math.sqrt(clock.step_ms / YEAR_MS),
            vols * math.sqrt(HOUR_MS / YEAR_MS),
            np.array(law.correlations),
            self.drift * clock.step_ms / YEAR_MS,
            kept,
            law.activity_spread * math.sqrt(1.0 - kept * kept),
            law.activity_spread**2,
            law.wick_scale,
            law.wick_size,
            anchors,
            begins,
            -math.expm1(-law.level_reversion * days),
            law.level_slope,
            law.level_square,
            law.level_noise * math.sqrt(days),
        )


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


def _draw_shocks(
    law: RegimeLaw,
    clock: Clock,
    paths: int,
    active: Floats,
    jumps: Floats,
    random: np.random.Generator,
) -> Shocks:
    shape = (paths, clock.steps)
    chance = np.minimum(law.wick_rate * (clock.step_ms / DAY_MS) * active**2, _CHANCE_MAX)
    # One uniform number says whether there is an excursion, and to which side.
    ranks = random.random(shape)
    sides = np.where(ranks < chance / 2.0, -1.0, np.where(ranks < chance, 1.0, 0.0))
    wicks = sides * random.standard_exponential(shape)
    return Shocks(
        random.standard_normal((*shape, 5)),
        wicks,
        jumps,
        random.standard_normal(paths),
    )


def _extremes(found: Found, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw the logs of the lows and highs of all steps; row 0 is the start."""
    begins, ends = found.logs[:, :-1], found.logs[:, 1:]
    below, above = bridge_excess(ends - begins, found.variances, random)
    lows, highs = np.zeros_like(found.logs), np.zeros_like(found.logs)
    lows[:, 1:] = np.minimum(begins, ends) - below + np.minimum(found.wicks, 0.0)
    highs[:, 1:] = np.maximum(begins, ends) + above + np.maximum(found.wicks, 0.0)
    return lows, highs


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
    law: JumpLaw, tilt: Tilt, count: int, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return jumps drawn from the tilted law, and the log of their likelihood ratios."""
    sizes = draw_jumps(law, count, random)
    if tilt.size == 1.0:
        return sizes, np.zeros(count)
    wide = law._replace(scale=law.scale * tilt.size)
    sizes = np.where(random.random(count) < tilt.mix, draw_jumps(wide, count, random), sizes)
    ratio = np.exp(log_density(wide, sizes) - log_density(law, sizes))
    return sizes, -np.log1p(tilt.mix * (ratio - 1.0))
