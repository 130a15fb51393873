"""Recorded prices, minute by minute, at the pace of the exchange's clock."""

import asyncio
from collections.abc import AsyncGenerator

import numpy as np

from amm.units import MINUTE_MS
from api.clock import Clock
from api.feeds import Observation
from api.feeds.health import MADE_FRESH_MS, FeedHealth, Watch
from sims.markets.path import PricePath
from sims.markets.vols import VolHistory, level_at


class ReplayFeed:
    """The rows of a history that the clock has yet to reach.

    Args:
        path: Prices; the rows before its start are left out.
        vols: What was known of vol; where it knows nothing the level is estimated.
    """

    name = "replay"

    def __init__(self, path: PricePath, vols: VolHistory) -> None:
        self._path = path
        self._vols = vols
        self._watch = Watch(self.name, path.symbols, MADE_FRESH_MS)

    def health(self, now_ms: int) -> list[FeedHealth]:
        """Return how it is: live up to its end, and but for its outages."""
        return [self._watch.health(now_ms)]

    async def observations(self, clock: Clock) -> AsyncGenerator[list[Observation]]:
        """Yield each minute when the clock shows it, to the end of the history.

        Where the machine slept, the minutes that were missed are left out but for the present one;
        in an outage of the history there is nothing. What is yielded counts as published then: a
        fast clock would else make it too old on its way.
        """
        times_ms = self._path.times_ms
        row = self._row_at(clock.now_ms())
        while row < len(times_ms):
            await asyncio.sleep(clock.seconds_until(int(times_ms[row])))
            now_ms = clock.now_ms()
            if now_ms < times_ms[row]:
                continue
            row = self._row_at(now_ms)
            if now_ms - times_ms[row] < MINUTE_MS:
                seen = self._seen(row, now_ms)
                self._watch.heard((each.symbol, each.published_ms) for each in seen)
                yield seen
            row += 1

    def first(self) -> list[Observation]:
        """Return what is known at the start, of every symbol."""
        start = self._path.start
        return self._seen(start, int(self._path.times_ms[start]))

    def _row_at(self, now_ms: int) -> int:
        """Return the last row up to now, the first of all where there is none."""
        row = int(np.searchsorted(self._path.times_ms, now_ms, side="right")) - 1
        return max(row, self._path.start)

    def _seen(self, row: int, now_ms: int) -> list[Observation]:
        seen = []
        for symbol, name in enumerate(self._path.symbols):
            price_e8 = int(self._path.prices_e8[row, symbol])
            if price_e8 > 0:
                vol = level_at(self._vols, symbol, int(self._path.times_ms[row]))
                seen.append(Observation(name, price_e8, 0, now_ms, round(vol * 1e9)))
        return seen
