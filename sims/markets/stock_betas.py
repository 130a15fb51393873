"""Slopes of stocks on BTC: they rise with a stock's vol, fall with BTC's, and have their eras."""

from collections.abc import Mapping

import numpy as np

from amm.units import DAY_MS
from sims.markets.block import Floats

HALF_LIFE_DAYS = 22.0
DECAY = 0.5 ** (1.0 / HALF_LIFE_DAYS)
RATIO_MAX = 3.0
"""Slopes change by no more than this factor, either way: wider ratios of vols were not seen."""


class Betas:
    """Slopes on BTC in the era of each path, and on each day."""

    def __init__(
        self, pairs: Mapping[str, Floats], eras: Floats, sigmas: Floats, btc: float
    ) -> None:
        """Draw nothing: eras are given.

        Args:
            pairs: Slope and its spread between eras of each stock, shape (stocks, 2), of each kind
                of moves.
            eras: A standard normal of each path, shape (paths,).
            sigmas: Usual vol of a day of each stock, shape (stocks,).
            btc: The same of BTC; 0: slopes are the same at any vol.
        """
        self._slopes = {
            kind: each[:, 0] + each[:, 1] * eras[:, None] for kind, each in pairs.items()
        }
        self._sigmas, self._btc = sigmas, btc

    def at(self, kind: str, sigma2: Floats, btc2: Floats) -> Floats:
        """Return the slopes of a day, shape (paths, stocks), given average squares before it."""
        slopes: Floats = self._slopes[kind]
        if self._btc == 0.0:
            return slopes
        btc = np.sqrt(btc2)[:, None] / self._btc
        return slopes * np.clip(np.sqrt(sigma2) / self._sigmas / btc, 1.0 / RATIO_MAX, RATIO_MAX)


def btc_average(btc2: Floats, moves: Floats, step_ms: int) -> Floats:
    """Return the average squared return of a day of BTC after some steps."""
    days = moves.shape[1] * step_ms / DAY_MS
    if days == 0.0:
        return btc2
    kept = DECAY**days
    return np.asarray(kept * btc2 + (1.0 - kept) * (moves**2).sum(axis=1) / days)
