"""A market that is made up: two prices, and what options on them would imply of their vol.

Log prices move together, with heavier tails than a normal law and without drift. The log vol of
each reverts to its long-run level and tends to rise when its price falls. The vol level fed is a
little above the vol that prices really have, as options markets are.
"""

import asyncio
import math
from collections.abc import AsyncGenerator
from typing import NamedTuple

import numpy as np

from amm.units import MINUTE_MS, ONE, SECOND_MS, YEAR_MS
from api.clock import Clock
from api.feeds import Observation
from api.feeds.health import MADE_FRESH_MS, FeedHealth, Watch

VOL_LOW, VOL_HIGH = 0.3, 1.2
"""Between these a vol level stays."""
PREMIUM = 1.08
"""The level over the vol of the prices."""
CORRELATION = 0.8
"""Of the two log prices."""
LEVERAGE = -0.4
"""Of each log price and its vol."""
REVERSION = 20.0
"""Per year: a log vol forgets half of what is unusual about it in 13 days."""
VOL_OF_VOL = 1.0
"""Of a log vol, per square root of a year: some 5 % a day."""
DEGREES = 5.0
"""Of freedom of Student's law, whose tails the moves have."""
SHOCK_MAX = 12.0
"""No move is larger, in standard deviations."""
CONFIDENCE_BP = (1.0, 2.0)
PRICE_MAX = 1e9

FRESH_MS = 8 * SECOND_MS
"""An index is fresh for 10 s: at this distance one can trade at any time."""
PACE_MIN_S, PACE_MAX_S = 0.1, 1.0
"""Between two moments, on the wall."""


class Start(NamedTuple):
    """Where an underlying begins: price in USD, vol level, and the level that reverts to."""

    symbol: str
    price: float
    vol: float
    long_vol: float


STARTS = (Start("BTC", 100_000.0, 0.50, 0.50), Start("ETH", 4_000.0, 0.65, 0.65))


class SimulatedMarket:
    """Prices and vol levels, step by step; equal seeds and steps give equal paths.

    Args:
        starts: The two underlyings.
        seed: Of the moves.
        part: Of the seed's streams which one: another one after each restart.
    """

    def __init__(self, starts: tuple[Start, ...], seed: int, part: int = 0) -> None:
        assert len(starts) == len(STARTS)
        self._starts = starts
        self._random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, part])))
        self._prices = np.array([start.price for start in starts])
        self._log_vols = np.log([np.clip(start.vol, VOL_LOW, VOL_HIGH) for start in starts])
        self._long_log_vols = np.log([start.long_vol for start in starts])

    def observe(self, published_ms: int) -> list[Observation]:
        """Return what everybody sees of the present prices."""
        confidence = self._random.uniform(*CONFIDENCE_BP, len(self._prices)) / 1e4
        return [
            Observation(
                start.symbol,
                max(round(price * ONE), 1),
                round(price * width * ONE),
                published_ms,
                round(vol * 1e9),
            )
            for start, price, width, vol in zip(
                self._starts,
                self._prices.tolist(),
                confidence.tolist(),
                np.exp(self._log_vols).tolist(),
                strict=True,
            )
        ]

    def step(self, elapsed_ms: int) -> None:
        """Let time pass; > 0."""
        years = elapsed_ms / YEAR_MS
        root = math.sqrt(years)
        normal = self._random.standard_normal((2, 2))
        common = math.sqrt(DEGREES - 2.0) / math.sqrt(self._random.chisquare(DEGREES))
        first, second = normal[0]
        apart = math.sqrt(1.0 - CORRELATION * CORRELATION)
        joint = np.array([first, CORRELATION * first + apart * second])
        shocks = np.clip(common * joint, -SHOCK_MAX, SHOCK_MAX)
        sigma = np.exp(self._log_vols) / PREMIUM
        moves = sigma * root * shocks - sigma * sigma * years / 2.0
        self._prices = np.minimum(self._prices * np.exp(moves), PRICE_MAX)
        vol_shocks = LEVERAGE * joint + math.sqrt(1.0 - LEVERAGE * LEVERAGE) * normal[1]
        kept = math.exp(-REVERSION * years)
        spread = VOL_OF_VOL * math.sqrt((1.0 - kept * kept) / (2.0 * REVERSION))
        reverted = self._long_log_vols + kept * (self._log_vols - self._long_log_vols)
        self._log_vols = np.clip(
            reverted + spread * vol_shocks, math.log(VOL_LOW), math.log(VOL_HIGH)
        )


def pace_ms(speed: float) -> int:
    """Return the exchange time between two moments: at most a second of the wall, nor a minute.

    A fast clock is shown more moments, as long as there are ten of them a second at the most.
    """
    wall_s = min(max(FRESH_MS / (SECOND_MS * speed), PACE_MIN_S), PACE_MAX_S)
    return min(round(wall_s * speed * SECOND_MS), MINUTE_MS)


class SimulatedFeed:
    """A simulated market that keeps pace with the exchange's clock."""

    name = "simulated"

    def __init__(self, starts: tuple[Start, ...] = STARTS, seed: int = 7, part: int = 0) -> None:
        self._market = SimulatedMarket(starts, seed, part)
        self._watch = Watch(self.name, [each.symbol for each in starts], MADE_FRESH_MS)

    def health(self, now_ms: int) -> list[FeedHealth]:
        """Return how it is: live."""
        return [self._watch.health(now_ms)]

    async def observations(self, clock: Clock) -> AsyncGenerator[list[Observation]]:
        """Yield both prices at every moment, without end.

        Where the machine slept, the next move covers all the time that was missed.
        """
        pace, moment_ms = pace_ms(clock.speed), clock.now_ms()
        while True:
            seen = self._market.observe(clock.now_ms())
            self._watch.heard((each.symbol, each.published_ms) for each in seen)
            yield seen
            await asyncio.sleep(clock.seconds_until(moment_ms + pace))
            elapsed = max((clock.now_ms() - moment_ms) // pace, 1) * pace
            self._market.step(elapsed)
            moment_ms += elapsed
