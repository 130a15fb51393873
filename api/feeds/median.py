"""The median of several sources, none of which can stop the others or move the price alone.

A source counts while its last price is fresh. One whose price has stood still for a minute does
not count beside one whose price moves. The price is the median (of an even number the mean of the
middle two, rounded down), the confidence the widest, the time the oldest of those that agree, so
that neither doubt nor age is averaged away; `sources` is how many agree, which is what the
oracle's jump guard goes by.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple

import numpy as np

from amm.oracle import median_observation
from amm.units import MINUTE_MS, SECOND_MS
from api.clock import Clock
from api.feeds import Observation
from api.feeds.health import FeedHealth
from api.feeds.source import RULES, Source

PATIENCE_MS = 2 * SECOND_MS
"""How long the price waits for a source that has nothing new."""
SPACING_MS = 250
"""Between two prices at least, as they were published: every one is a record of the journal."""
FROZEN_MS = MINUTE_MS
AGREE_BP = RULES.confidence_max_bp
"""Sources agree that lie so near to their median."""
_log = logging.getLogger("evergamma")


class _Heard(NamedTuple):
    """The last good price of a source, and since when it has been that price."""

    source: str
    seen: Observation
    moved_ms: int


class Blend:
    """The sources of one symbol, made one.

    Args:
        count: How many sources there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._heard: dict[str, _Heard] = {}
        self._vols: dict[str, tuple[int, int]] = {}
        self._last: Observation | None = None
        self._anchor_e8 = 0  # the last price that no fresh source may have denied
        self._waits_since_ms = 0
        self.left_out: list[str] = []
        """Sources that were fresh but said something else than the others the last time."""

    def hear(self, source: str, seen: Observation, now_ms: int) -> None:
        """Take note of a good price of a source."""
        before = self._heard.get(source)
        is_same = before is not None and before.seen.price_e8 == seen.price_e8
        moved_ms = before.moved_ms if before is not None and is_same else now_ms
        self._heard[source] = _Heard(source, seen, moved_ms)
        if seen.vol_e9:
            self._vols[source] = seen.vol_e9, seen.vol_ms or seen.published_ms
        self._waits_since_ms = self._waits_since_ms or now_ms

    def combine(self, now_ms: int) -> Observation | None:
        """Return what the sources amount to, None where there is nothing new to say yet."""
        self.left_out = []
        fresh = self._fresh(now_ms)
        last_ms = 0 if self._last is None else self._last.published_ms
        newer = [each for each in fresh if each.seen.published_ms > last_ms]
        awaited = self._count if self._last is None else len(fresh)
        if not newer or (len(newer) < awaited and now_ms - self._waits_since_ms < PATIENCE_MS):
            return None
        agreeing = self._agreeing(newer)
        self.left_out = [each.source for each in newer if each not in agreeing]
        seen = self._median(agreeing, last_ms, now_ms)
        if seen is None or seen.published_ms - last_ms < SPACING_MS:
            return None
        self._last, self._waits_since_ms = seen, now_ms
        if len(newer) == len(fresh) or not self._is_jump(seen.price_e8):
            self._anchor_e8 = seen.price_e8
        return seen

    def _fresh(self, now_ms: int) -> list[_Heard]:
        fresh = [
            each
            for each in self._heard.values()
            if now_ms - each.seen.published_ms <= RULES.age_max_ms
        ]
        moving = [each for each in fresh if now_ms - each.moved_ms <= FROZEN_MS]
        return moving or fresh

    def _agreeing(self, newer: list[_Heard]) -> list[_Heard]:
        """Return the majority near the median; without one, who is nearest to the last price.

        The last one that every fresh source had a say in: while a source is waited for, another
        that jumps must not become what the first is measured by.
        """
        prices = sorted(each.seen.price_e8 for each in newer)
        middle = (prices[(len(prices) - 1) // 2] + prices[len(prices) // 2]) // 2
        near = [
            each for each in newer if abs(each.seen.price_e8 - middle) * 10_000 <= AGREE_BP * middle
        ]
        if 2 * len(near) > len(newer):
            return near
        if self._anchor_e8 == 0:
            return []
        return [min(newer, key=lambda each: abs(each.seen.price_e8 - self._anchor_e8))]

    def _is_jump(self, price_e8: int) -> bool:
        """Whether a price is so far from the last one that it takes more than one source."""
        return abs(price_e8 - self._anchor_e8) > RULES.jump_min * self._anchor_e8

    def _median(self, heard: list[_Heard], last_ms: int, now_ms: int) -> Observation | None:
        def column(name: str) -> Any:
            return np.array([getattr(each.seen, name) for each in heard], dtype=np.int64)

        count, seen = median_observation(
            column("price_e8"), column("confidence_e8"), column("published_ms"),
            last_ms, now_ms, RULES,
        )  # fmt: skip
        if count == 0:
            return None
        price_e8, confidence_e8, published_ms = map(int, seen)
        return Observation(
            heard[0].seen.symbol,
            price_e8,
            confidence_e8,
            published_ms,
            self._vol_e9(now_ms),
            int(count),
        )

    def _vol_e9(self, now_ms: int) -> int:
        """Return the median vol level of who has one that is young enough; 0: estimate it."""
        vols = sorted(
            vol_e9
            for vol_e9, at_ms in self._vols.values()
            if -RULES.future_max_ms <= now_ms - at_ms <= RULES.vol_age_max_ms
        )
        return (vols[(len(vols) - 1) // 2] + vols[len(vols) // 2]) // 2 if vols else 0


class MedianFeed:
    """Several sources at once; also a single one.

    Args:
        sources: With different names.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.name = ",".join(each.name for each in sources)
        self._sources = sources
        self._blends: dict[str, Blend] = {}
        self._changed: dict[str, None] = {}
        self._news = asyncio.Event()
        _prepare()

    def health(self, now_ms: int) -> list[FeedHealth]:
        """Return how each source is."""
        return [health for each in self._sources for health in each.health(now_ms)]

    async def observations(self, clock: Clock) -> AsyncGenerator[list[Observation]]:
        """Yield the median of a symbol whenever a source has news of it; without end.

        Who reads slowly misses what was overtaken meanwhile, and nothing piles up.
        """
        tasks = [asyncio.create_task(self._listen(each, clock)) for each in self._sources]
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                changed, self._changed = self._changed, {}
                now_ms = clock.now_ms()
                seen = [self._combined(symbol, now_ms) for symbol in changed]
                if any(seen):
                    yield [each for each in seen if each is not None]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, source: Source, clock: Clock) -> None:
        """Note what a source says; a fault of ours in one stops none of the others."""
        while True:
            try:
                async with aclosing(source.observations(clock)) as stream:
                    async for seen in stream:
                        self._note(source, seen, clock.now_ms())
            except Exception:  # noqa: BLE001 - the other sources go on
                _log.exception("the source %s has failed", source.name)
                source.watch.failed("a fault of the program; its log says more")
            await asyncio.sleep(source.pace.pause_max)

    def _note(self, source: Source, seen: list[Observation], now_ms: int) -> None:
        for each in seen:
            if each.symbol not in self._blends:
                count = sum(each.symbol in other.watch.published_ms for other in self._sources)
                self._blends[each.symbol] = Blend(count)
            self._blends[each.symbol].hear(source.name, each, now_ms)
            self._changed[each.symbol] = None
        self._news.set()

    def _combined(self, symbol: str, now_ms: int) -> Observation | None:
        blend = self._blends[symbol]
        seen = blend.combine(now_ms)
        for source in self._sources:
            if source.name in blend.left_out:
                source.watch.failed(f"{symbol}: more than {AGREE_BP} bp from the others")
        return seen


def _prepare() -> None:
    """Have the kernels compiled before a price waits for them."""
    blend = Blend(1)
    blend.hear("", Observation("", 1, 0, SECOND_MS), SECOND_MS)
    blend.combine(SECOND_MS)
