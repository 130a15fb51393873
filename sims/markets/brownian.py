"""The market of the textbook: correlated geometric Brownian motions without drift."""

from dataclasses import dataclass

import numpy as np

from amm.units import YEAR_MS
from sims.markets.block import Clock, Floats, MarketBlock
from sims.markets.diffusion import Pair, accumulate, block_of, check_pair, pair_shocks
from sims.markets.stock_motion import StockMotion


@dataclass(frozen=True, slots=True)
class Brownian:
    """BTC, ETH and stocks of constant vol; E[S] = S0 at every step, for each of them.

    Lows and highs have the law of a Brownian bridge between a step's ends: see
    `sims.markets.extremes` for what is exact about them.

    Attributes:
        prices: Of BTC and ETH in USD at the start.
        vols: Per square root of a year of 365 days.
        correlation: Of the log returns of BTC and ETH.
        stocks: One column each.
        feeds_vol: Whether the vols are fed as the vol levels; else those are left to the
            exchange's estimator.
    """

    prices: Pair = (100_000.0, 4_000.0)
    vols: Pair = (0.55, 0.75)
    correlation: float = 0.8
    stocks: tuple[StockMotion, ...] = ()
    feeds_vol: bool = False

    def __post_init__(self) -> None:
        """Refuse a market that cannot be.

        Raises:
            ValueError: For a number out of its range.
        """
        check_pair(self.prices, self.vols, self.correlation)

    def draw(self, clock: Clock, paths: int, random: np.random.Generator) -> MarketBlock:
        """Return a block of paths; what it is depends on the arguments only."""
        shocks = pair_shocks(random, paths, clock.steps, self.correlation)
        variances = np.square(self.vols) * (clock.step_ms / YEAR_MS)
        stocks = self._stocks(clock, shocks[..., 0], random)
        shocks *= np.sqrt(variances)
        shocks -= variances / 2.0
        levels = np.asarray(self.vols if self.feeds_vol else (0.0, 0.0))
        return block_of(clock, self.prices, accumulate(shocks), variances, levels, stocks, random)

    def _stocks(self, clock: Clock, bitcoin: Floats, random: np.random.Generator) -> Floats:
        """Return what the stocks are worth, given the shocks of BTC, shape (paths, steps)."""
        own = random.standard_normal((*bitcoin.shape, len(self.stocks)))
        shared = np.array([stock.correlation for stock in self.stocks])
        vols = np.array([stock.vol for stock in self.stocks])
        deviations = vols * np.sqrt(clock.step_ms / YEAR_MS)
        own *= np.sqrt(1.0 - shared**2)
        own += shared * bitcoin[..., None]
        moves = deviations * own - deviations**2 / 2.0
        return np.exp(accumulate(moves)) * np.array([stock.price for stock in self.stocks])
