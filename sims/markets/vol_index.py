"""A vol index that falls and rises with the market and forgets it again."""

from dataclasses import dataclass

import numpy as np

from amm.units import YEAR_MS
from sims.markets.block import Floats

LEVEL_MIN, LEVEL_MAX = 0.05, 4.0
"""Annual vols; beyond what any vol index of BTC or ETH has shown."""


@dataclass(frozen=True, slots=True)
class VolIndex:
    """How the logarithm of the index follows the moves of its underlying, and reverts.

    It goes up as far when prices fall as down when they rise: what reacted to size only would add
    up to more the shorter the steps are.

    Attributes:
        reaction: What it gains per unit of a falling log price. BTC's 30-day vol: 1.1 on average
            of 6-hour steps, 2.6 in the crash from 30 January to 5 February 2026.
        reversion: A year, of what it gained.
    """

    reaction: float = 1.5
    reversion: float = 14.0

    def __post_init__(self) -> None:
        """Refuse an index that could run away.

        Raises:
            ValueError: For a number out of its range.
        """
        if not 0.0 <= self.reaction <= 10.0:
            raise ValueError("vol index: reaction must be from 0 to 10")
        if not 0.0 <= self.reversion <= 1e5:
            raise ValueError("vol index: reversion must be from 0 to 100000 a year")

    def follow(self, targets: Floats, moves: Floats, step_ms: int) -> Floats:
        """Return the index at each moment, as it reverts to a level that may itself change.

        Args:
            targets: Levels it reverts to, shape (steps + 1, underlyings); the first is its start.
            moves: Log returns, shape (paths, steps, underlyings).
            step_ms: Length of a step.

        Returns:
            Levels, shape (paths, steps + 1, underlyings).
        """
        kept = np.exp(-self.reversion * step_ms / YEAR_MS)
        logs = np.empty((moves.shape[0], moves.shape[1] + 1, moves.shape[2]))
        logs[:, 0] = 0.0
        aims = np.log(targets)
        # A change of the target is felt at once; what moves added fades.
        for step in range(moves.shape[1]):
            logs[:, step + 1] = kept * logs[:, step] - self.reaction * moves[:, step]
        return np.clip(np.exp(logs + aims), LEVEL_MIN, LEVEL_MAX)
