"""The default market: two indices whose vol, correlation and jumps switch between three regimes.

`docs/market-model.md` has the equations and what the model fails.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from amm.units import DAY_MS, HOUR_MS, YEAR_MS
from sims.markets.block import Bools, Clock, Floats, Ints, MarketBlock
from sims.markets.extremes import bridge_excess
from sims.markets.regime_jumps import CHANCE_MAX, draw_regime_jumps
from sims.markets.regime_law import (
    REGIMES,
    STRESSED,
    RegimeLaw,
    calibrated_law,
    daily_variances,
    seasons,
    transition,
)
from sims.markets.regime_start import draw_start, level_logs
from sims.markets.regime_steps import LEVEL_MAX, LEVEL_MIN, Found, Law, Shocks, run, switch
from sims.markets.stock_model import Stocks, draw_stocks
from sims.markets.tilt import Ratios, Tilt, draw_windows, tilted, weights_of


@dataclass(frozen=True, slots=True)
class Regimes:
    """Regime-switching jump diffusion of BTC and ETH, with stocks that follow sessions.

    Attributes:
        law: The parameters.
        prices: Of both indices at the start, USD.
        drift: Expected log growth a year; 0 makes each price a martingale.
        start: Regime at the start; -1 draws it from the stationary law.
        level: Vol level of the first index at the start, such as 0.45: regime and era are drawn
            from their law given it. 0 draws them, and the level, as they usually are.
        tilt: How paths are drawn; weights make up for it.
        stocks: The stock tokens.
    """

    law: RegimeLaw = field(default_factory=calibrated_law)
    prices: tuple[float, float] = (100_000.0, 3_500.0)
    drift: float = 0.0
    start: int = -1
    level: float = 0.0
    tilt: Tilt = field(default_factory=Tilt)
    stocks: Stocks = field(default_factory=Stocks)

    def __post_init__(self) -> None:
        """Refuse a start that cannot be.

        Raises:
            ValueError: For a field out of its range.
        """
        if self.start not in range(-1, len(REGIMES)):
            raise ValueError(f"start must be a regime from 0 to {len(REGIMES) - 1}, or -1")
        if self.level != 0.0 and not LEVEL_MIN <= self.level <= LEVEL_MAX:
            raise ValueError(f"level must be from {LEVEL_MIN:g} to {LEVEL_MAX:g}, or 0")

    def draw(self, clock: Clock, paths: int, random: np.random.Generator) -> MarketBlock:
        """Return a block of paths; what it is depends on the arguments only."""
        times_ms = clock.times_ms
        active = seasons(self.law, times_ms[:-1])
        windows = draw_windows(self.tilt, clock, paths, random)
        start = draw_start(self.law, self.start, self.level, paths, random)
        regimes, moved = self.draw_regimes(clock, start.regimes, windows.inside, random)
        jumps = draw_regime_jumps(
            self.law, self.tilt, clock, regimes[:, :-1], start.eras, active, windows.inside, random
        )
        shocks = _draw_shocks(self.law, clock, paths, active, jumps.logs, random)
        shocks.normals[:, :, 1] += windows.pushes
        rows = ((paths, clock.steps + 1, 2), (paths, clock.steps, 2))
        found = Found(*(np.empty(rows[each]) for each in (0, 0, 1, 1)))
        run(self._step_law(clock), regimes, active, start, shocks, found)
        began = np.asarray(self.prices)
        lows, highs = (began * np.exp(each) for each in _extremes(found, random))
        variances = daily_variances(self.law)[start.regimes] * np.exp(2.0 * start.eras)
        stocks, is_open = draw_stocks(
            self.stocks, clock, found.logs[:, :, 0], regimes == STRESSED, variances, random
        )
        ratios = Ratios(moved + jumps.ratios, shocks.normals[:, :, 1])
        weights = weights_of(self.tilt, clock, ratios)
        prices, levels = began * np.exp(found.logs), np.exp(found.levels)
        return MarketBlock(times_ms, prices, lows, highs, levels, stocks, is_open, weights)

    def draw_regimes(
        self, clock: Clock, first: Ints, inside: Bools, random: np.random.Generator
    ) -> tuple[Ints, Floats]:
        """Return the regime at each row, shape (paths, steps + 1), and log likelihood ratios.

        Args:
            clock: The steps.
            first: Regime at the start, shape (paths,).
            inside: Whether a step is tilted, shape (paths, steps).
            random: What is drawn from.
        """
        told = transition(self.law, clock.step_ms / DAY_MS)
        drawn = tilted(told, self.tilt.stress)
        regimes = switch(first, random.random(inside.shape), told, drawn, inside)
        ratios = np.log(np.maximum(drawn, 1e-300) / np.maximum(told, 1e-300))
        return regimes, np.asarray(ratios[regimes[:, :-1], regimes[:, 1:]])

    def _step_law(self, clock: Clock) -> Law:
        law, days = self.law, clock.step_ms / DAY_MS
        vols = np.array([law.btc_vols, law.eth_vols]).T
        kept = 0.5 ** (clock.step_ms / HOUR_MS / law.activity_hours)
        _, anchors = level_logs(law)
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
            -math.expm1(-law.level_reversion * days),
            law.level_slope,
            law.level_square,
            law.level_noise * math.sqrt(days),
        )


def _draw_shocks(
    law: RegimeLaw,
    clock: Clock,
    paths: int,
    active: Floats,
    jumps: Floats,
    random: np.random.Generator,
) -> Shocks:
    shape = (paths, clock.steps)
    chance = np.minimum(law.wick_rate * (clock.step_ms / DAY_MS) * active**2, CHANCE_MAX)
    # One uniform number says whether there is an excursion, and to which side.
    ranks = random.random(shape)
    sides = np.where(ranks < chance / 2.0, -1.0, np.where(ranks < chance, 1.0, 0.0))
    wicks = sides * random.standard_exponential(shape)
    return Shocks(
        random.standard_normal((*shape, 5)),
        wicks,
        jumps,
    )


def _extremes(found: Found, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw the logs of the lows and highs of all steps; row 0 is the start."""
    begins, ends = found.logs[:, :-1], found.logs[:, 1:]
    below, above = bridge_excess(ends - begins, found.variances, random)
    lows, highs = np.zeros_like(found.logs), np.zeros_like(found.logs)
    lows[:, 1:] = np.minimum(begins, ends) - below + np.minimum(found.wicks, 0.0)
    highs[:, 1:] = np.maximum(begins, ends) + above + np.maximum(found.wicks, 0.0)
    return lows, highs
