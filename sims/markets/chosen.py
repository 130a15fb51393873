"""Far-moving paths of any market, run more often than they come: rare tails for less.

A path costs far more to run than to draw. So each is chosen among a few drawn ones, with odds in
proportion to a promise that grows with how far the market moves within days. Its weight, the mean
promise of the candidates over its own, makes every weighted mean that of the market itself, for any
promise (sampling and importance resampling: Rubin 1987, JASA 82). A promise is from 1 to `most`, so
no weight is larger than `most`.
"""

from dataclasses import dataclass

import numpy as np

from amm.units import DAY_MS
from sims.markets.block import Clock, Floats, MarketBlock, MarketModel

_PATH_ARRAYS = ("prices", "lows", "highs", "levels", "stocks", "weights")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A market of which far-moving paths are chosen more often; weights make up for it.

    A path's promise is `min(1 + (far / usual)**power, most)`, far being the largest log move over
    `days` of both indices' mean, upwards, or downwards times `falls`.

    Attributes:
        market: What draws the paths; its own weights are kept.
        candidates: Drawn for each path; 1 chooses nothing.
        days: See above.
        usual: A move for which the promise is 2.
        falls: What a fall counts against a rise; a pool that sold more calls fears rises.
        power: See above.
        most: See above.
    """

    market: MarketModel
    candidates: int = 8
    days: int = 4
    usual: float = 0.15
    falls: float = 0.8
    power: float = 3.0
    most: float = 20.0

    def __post_init__(self) -> None:
        """Refuse a choice that cannot be.

        Raises:
            ValueError: For a field out of its range.
        """
        bounds = {
            "candidates": (1, 1_000),
            "days": (1, 10_000),
            "usual": (0.001, 10.0),
            "falls": (0.0, 10.0),
            "power": (0.0, 10.0),
            "most": (1.0, 1_000.0),
        }
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"choice: {name} must be from {low:g} to {high:g}")

    def draw(self, clock: Clock, paths: int, random: np.random.Generator) -> MarketBlock:
        """Return a block of paths; what it is depends on the arguments only.

        The candidates of a path come one after another, each taking the place of the one before
        with its share of all promises so far: no more than two blocks are ever held.
        """
        block = self.market.draw(clock, paths, random)
        promises = self._promises(block)
        total = promises.copy()
        for _ in range(1, self.candidates):
            other = self.market.draw(clock, paths, random)
            offered = self._promises(other)
            total += offered
            taken = random.random(paths) * total < offered
            promises[taken] = offered[taken]
            for name in _PATH_ARRAYS:
                getattr(block, name)[taken] = getattr(other, name)[taken]
        return block._replace(weights=block.weights * total / (self.candidates * promises))

    def _promises(self, block: MarketBlock) -> Floats:
        logs = np.log(block.prices).mean(axis=2)
        steps = logs.shape[1] - 1
        length = min(self.days * DAY_MS // int(block.times_ms[1] - block.times_ms[0]), steps)
        moves = logs[:, length:] - logs[:, :-length]
        # A price that was not observed is not a number, and no move.
        rises = np.fmax.reduce(moves, axis=1, initial=0.0)
        falls = np.fmax.reduce(-moves, axis=1, initial=0.0)
        far = np.maximum(rises, self.falls * falls)
        return np.asarray(np.minimum(1.0 + (far / self.usual) ** self.power, self.most))
