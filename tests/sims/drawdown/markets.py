"""Markets of the tests: what they do is written out, and every path is another draw of noise."""

from dataclasses import dataclass

import numpy as np

from amm.units import YEAR_MS
from sims.markets.block import Clock, MarketBlock

PRICES = (60_000.0, 3_000.0)


@dataclass(frozen=True, slots=True)
class Drifting:
    """Two uncorrelated Brownian motions, pushed by `pushes` (step, log move) on both indices.

    Attributes:
        vol: Of both, a year.
        level: Vol level that is fed; 0 leaves it to the estimator.
        pushes: Log moves of single steps, in the order of the steps.
        wick: How far a low and a high lie beyond the ends of their step, logs.
        missing: Steps without a price.
    """

    vol: float = 0.6
    level: float = 0.6
    pushes: tuple[tuple[int, float], ...] = ()
    wick: float = 0.004
    missing: tuple[int, ...] = ()

    def draw(self, clock: Clock, paths: int, random: np.random.Generator) -> MarketBlock:
        """Draw the paths; the stock's exchange is open all day."""
        shape = (paths, clock.steps + 1, 2)
        spread = self.vol * np.sqrt(clock.step_ms / YEAR_MS)
        moves = spread * random.standard_normal(shape)
        moves[:, 0] = 0.0
        for step, move in self.pushes:
            moves[:, step] += move
        prices = np.array(PRICES) * np.exp(np.cumsum(moves, axis=1))
        before = np.concatenate([prices[:, :1], prices[:, :-1]], axis=1)
        lows = np.minimum(prices, before) * np.exp(-self.wick)
        highs = np.maximum(prices, before) * np.exp(self.wick)
        prices[:, list(self.missing)] = np.nan
        return MarketBlock(
            clock.times_ms,
            prices,
            lows,
            highs,
            np.full(shape, self.level),
            np.ones((paths, clock.steps + 1, 1)),
            np.ones(clock.steps + 1, dtype=np.bool_),
            np.ones(paths),
        )
