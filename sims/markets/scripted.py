"""Shocks by script: "-35 % in 6 hours, vol x2, then calm"."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from amm.scenarios import UNDERLYINGS
from amm.units import YEAR_MS
from sims.markets.block import Bools, Clock, Floats, MarketBlock
from sims.markets.diffusion import Pair, accumulate, block_of, check_pair, pair_shocks
from sims.markets.script_leg import ScriptLeg
from sims.markets.stock_motion import check_price, check_vol
from sims.markets.vol_index import VolIndex

FEEDS = ("index", "vol", "estimator")
BETA_MAX = 10.0


@dataclass(frozen=True, slots=True)
class ScriptStock:
    """A stock that goes with BTC, with what the legs do to it, and with noise of its own.

    Attributes:
        price: In USD at the start.
        beta: Its log move over that of BTC.
        vol: Of its own noise, per square root of a year; noise is not tied to the legs' ends.
    """

    price: float = 100.0
    beta: float = 0.0
    vol: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a stock that cannot be.

        Raises:
            ValueError: For a number out of its range.
        """
        check_price("stock", self.price)
        check_vol("stock", self.vol)
        if not -BETA_MAX <= self.beta <= BETA_MAX:
            raise ValueError(f"stock: beta must be from {-BETA_MAX:g} to {BETA_MAX:g}")


class _Plan(NamedTuple):
    """What the legs say of each step.

    Attributes:
        begins: First step of each leg, and of the calm after them; steps count from 0.
        multiples: Of the calm vols, shape (steps,).
        is_noisy: Whether a step has noise, shape (steps,).
        is_calm: Whether it is after all legs, shape (steps,).
    """

    begins: tuple[int, ...]
    multiples: Floats
    is_noisy: Bools
    is_calm: Bools


@dataclass(frozen=True, slots=True)
class Scripted:
    """Legs that every path follows, each with noise of its own; then the market is calm.

    A leg with noise is a Brownian bridge: in the logarithm its mean is the straight line, its end
    is exact. After the legs both underlyings are geometric Brownian motions without drift.

    Attributes:
        legs: One after the other, from the start.
        prices: Of BTC and ETH in USD at the start.
        vols: Of the calm, per square root of a year.
        correlation: Of the noise of BTC and ETH.
        stocks: One column each.
        feeds: What is fed as the vol levels: `index`, which reverts to the vols in force and reacts
            to moves; `vol`, the vols in force; `estimator`, nothing.
        index: How that index reacts.
    """

    legs: tuple[ScriptLeg, ...]
    prices: Pair = (100_000.0, 4_000.0)
    vols: Pair = (0.55, 0.75)
    correlation: float = 0.8
    stocks: tuple[ScriptStock, ...] = ()
    feeds: str = "index"
    index: VolIndex = field(default_factory=VolIndex)

    def __post_init__(self) -> None:
        """Refuse a script that cannot be.

        Raises:
            ValueError: For a number out of its range.
        """
        check_pair(self.prices, self.vols, self.correlation)
        if self.feeds not in FEEDS:
            raise ValueError(f"feeds {self.feeds!r} is not one of {', '.join(FEEDS)}")
        multiples = [1.0, *(leg.vol_multiple for leg in self.legs)]
        if self.feeds == "index" and min(*self.vols, *multiples) == 0.0:
            raise ValueError("feeds: an index needs vols and multiples that are not 0")
        for number, leg in enumerate(self.legs, start=1):
            if leg.stocks and len(leg.stocks) != len(self.stocks):
                raise ValueError(
                    f"leg {number}: moves {len(leg.stocks)} stocks, there are {len(self.stocks)}"
                )

    def draw(self, clock: Clock, paths: int, random: Generator) -> MarketBlock:
        """Return a block of paths; what it is depends on the arguments only.

        Raises:
            ValueError: For legs that end between two steps or after the last.
        """
        plan = self._plan(clock)
        vols = np.asarray(self.vols) * plan.multiples[:, None]
        variances = vols**2 * (clock.step_ms / YEAR_MS) * plan.is_noisy[:, None]
        moves = pair_shocks(random, paths, clock.steps, self.correlation) * np.sqrt(variances)
        moves -= np.where(plan.is_calm[:, None], variances / 2.0, 0.0)
        self._follow(plan, moves)
        stocks = self._stocks(clock, plan, moves[..., 0], variances[:, 0], random)
        levels = self._levels(clock, plan, moves)
        logs = accumulate(moves)
        block = block_of(clock, self.prices, logs, variances, levels, stocks, random)
        self._add_wicks(plan, block)
        self._hide(plan, block)
        return block

    def _plan(self, clock: Clock) -> _Plan:
        lengths = [leg.steps(clock.step_ms) for leg in self.legs]
        begins = tuple(int(begin) for begin in np.cumsum([0, *lengths]))
        if begins[-1] > clock.steps:
            raise ValueError(f"the legs have {begins[-1]} steps, the clock only {clock.steps}")
        rest = clock.steps - begins[-1]
        lengths.append(rest)
        multiples = [*(leg.vol_multiple for leg in self.legs), 1.0]
        noisy = [*(leg.shape == "noise" for leg in self.legs), True]
        return _Plan(
            begins,
            np.repeat(np.array(multiples), lengths),
            np.repeat(np.array(noisy), lengths),
            np.arange(clock.steps) >= begins[-1],
        )

    def _follow(self, plan: _Plan, moves: Floats) -> None:
        """Give each leg its move; without their mean, the shocks of a leg make a bridge."""
        for leg, (first, last) in zip(self.legs, pairwise(plan.begins), strict=True):
            shocks = moves[:, first:last]
            shocks += np.asarray(leg.moves) / (last - first) - shocks.mean(axis=1, keepdims=True)

    def _stocks(
        self, clock: Clock, plan: _Plan, bitcoin: Floats, variances: Floats, random: Generator
    ) -> Floats:
        """Return what the stocks are worth, given the moves of BTC, shape (paths, steps)."""
        betas = np.array([stock.beta for stock in self.stocks])
        own = np.array([stock.vol for stock in self.stocks]) ** 2 * (clock.step_ms / YEAR_MS)
        moves = random.standard_normal((*bitcoin.shape, len(self.stocks))) * np.sqrt(own)
        moves += betas * bitcoin[..., None]
        # In the calm nobody gains on average by holding a stock either.
        drift = (own + (betas**2 - betas) * variances[:, None]) / 2.0
        moves -= np.where(plan.is_calm[:, None], drift, 0.0)
        for leg, (first, last) in zip(self.legs, pairwise(plan.begins), strict=True):
            if leg.stocks:
                moves[:, first:last] += np.log1p(leg.stocks) / (last - first)
        return np.exp(accumulate(moves)) * np.array([stock.price for stock in self.stocks])

    def _levels(self, clock: Clock, plan: _Plan, moves: Floats) -> Floats:
        """Return the vol levels, to be broadcast to every row; the first row is calm."""
        if self.feeds == "estimator":
            return np.zeros(UNDERLYINGS)
        levels = np.asarray(self.vols) * np.append(1.0, plan.multiples)[:, None]
        if self.feeds == "vol":
            return levels
        return self.index.follow(levels, moves, clock.step_ms)

    def _add_wicks(self, plan: _Plan, block: MarketBlock) -> None:
        for leg, (first, last) in zip(self.legs, pairwise(plan.begins), strict=True):
            step = 1 + first + round(leg.wick_at * (last - first - 1))
            ends = block.prices[:, step - 1 : step + 1]
            for column, wick in enumerate(leg.wicks):
                low, high = block.lows[:, step, column], block.highs[:, step, column]
                np.minimum(low, ends[..., column].min(axis=1) * (1.0 + min(wick, 0.0)), out=low)
                np.maximum(high, ends[..., column].max(axis=1) * (1.0 + max(wick, 0.0)), out=high)

    def _hide(self, plan: _Plan, block: MarketBlock) -> None:
        """Take away what nobody saw."""
        for leg, (first, last) in zip(self.legs, pairwise(plan.begins), strict=True):
            if not leg.is_seen:
                for part in (block.prices, block.lows, block.highs):
                    part[:, first + 1 : last + 1] = np.nan
