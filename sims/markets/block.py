"""What every market model draws: joint histories of indices, vol levels and stocks."""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Clock(NamedTuple):
    """The moments of a history: its start, and the end of each step."""

    start_ms: int
    step_ms: int
    steps: int

    @property
    def times_ms(self) -> Ints:
        """All moments, shape (steps + 1,)."""
        return self.start_ms + self.step_ms * np.arange(self.steps + 1, dtype=np.int64)


class MarketBlock(NamedTuple):
    """Some paths of one market, all of one length.

    Row 0 of a path is its start; every other row is a step, known when it ends. Where a step ended
    lower than it began its high came first, else its low.

    Attributes:
        times_ms: Shape (steps + 1,).
        prices: Index in USD, shape (paths, steps + 1, UNDERLYINGS).
        lows: Lowest index within the step, same shape.
        highs: Highest index within the step, same shape.
        levels: 30-day vol at the money as it is fed, same shape; 0 leaves it to the estimator.
        stocks: Last price of each stock in USD, shape (paths, steps + 1, stocks).
        is_open: Whether the stocks' exchange is open, shape (steps + 1,).
        weights: Likelihood of each path over the one it was drawn with, shape (paths,); 1 where
            paths are drawn as they are.
    """

    times_ms: Ints
    prices: Floats
    lows: Floats
    highs: Floats
    levels: Floats
    stocks: Floats
    is_open: Bools
    weights: Floats


class MarketModel(Protocol):
    """What can draw paths of a market."""

    def draw(self, clock: Clock, paths: int, random: np.random.Generator) -> MarketBlock:
        """Return a block of paths; what it is depends on the arguments only."""
        ...
