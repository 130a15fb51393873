"""A source on the network: connected again whenever it fails, and only what is good passes."""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple

from amm.oracle import Observation as Seen
from amm.oracle import OracleRules, OracleVerdict, initial_state, observe
from amm.units import MINUTE_MS
from api.clock import Clock
from api.feeds import Observation
from api.feeds.belief import Belief
from api.feeds.health import FeedHealth, Watch

RULES = OracleRules()
_log = logging.getLogger("evergamma")
RETRY_AFTER_MAX_S = 300.0
_FAULTS = {
    OracleVerdict.STALE: "the price is older than 10 s",
    OracleVerdict.IN_FUTURE: "the price is from the future",
    OracleVerdict.OUT_OF_ORDER: "the price is not newer than the one before",
    OracleVerdict.NOT_POSITIVE: "the price is not positive",
    OracleVerdict.LOW_CONFIDENCE: "the confidence is wider than 50 bp",
}


class SourceError(Exception):
    """A connection that is of no use; the message is one line without a secret in it.

    Attributes:
        retry_after: Seconds the source asks to be left alone for.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = min(retry_after, RETRY_AFTER_MAX_S)


class Message(NamedTuple):
    """What a source said at once.

    Attributes:
        prices: That make sense.
        faults: Of what makes none, why.
        exponents: Of each price the power of ten it was scaled by, where a source has one.
    """

    prices: list[Observation]
    faults: list[str]
    exponents: dict[Observation, int] = {}  # noqa: RUF012 - nobody adds to this one


class Pace(NamedTuple):
    """How long is waited, in seconds.

    Attributes:
        connect: For a connection, and for the next bytes of it.
        silence: For a good price, before the connection is given up.
        pause: After the first failure; each further one doubles it, and any of them is up to a
            half longer or shorter, so that servers do not all come back at once.
        pause_max: At most.
        poll: From one request to the next where prices are asked for.
        poll_for: How long they are asked for before a stream is tried again.
    """

    connect: float = 5.0
    silence: float = 15.0
    pause: float = 0.5
    pause_max: float = 30.0
    poll: float = 2.0
    poll_for: float = 60.0


class Source(ABC):
    """A source of observations that never ends and never fails: it says in `health` what is wrong.

    Args:
        name: Its name in `--feed`.
        symbols: Of which it has prices.
        pace: How long is waited.
        belief: What prices are measured by before they are believed.
    """

    def __init__(self, name: str, symbols: tuple[str, ...], pace: Pace, belief: Belief) -> None:
        self.name = name
        self.pace = pace
        self.watch = Watch(name, symbols)
        self._belief = belief
        self._told_ms: dict[str, int] = {}
        self._blank = initial_state(0.5)
        self._last_ms: dict[str, int] = {}
        self._lost_by = ""
        self._verdict(Observation(name, 1, 0, 1), 1)  # compiled before a price waits for it

    @abstractmethod
    def messages(self) -> AsyncGenerator[Message]:
        """Connect, and yield what is said until the connection ends.

        Raises:
            SourceError, OSError: It was lost or refused.
        """

    def health(self, now_ms: int) -> list[FeedHealth]:
        """Return how the source is."""
        return [self.watch.health(now_ms)]

    async def observations(self, clock: Clock) -> AsyncGenerator[list[Observation]]:
        """Yield the good observations; without end."""
        pause = self.pace.pause
        while True:
            wait_for = 0.0
            try:
                async with aclosing(self._good(clock)) as heard:
                    async for good in heard:
                        pause, self._lost_by = self.pace.pause, ""
                        yield good
            except TimeoutError:
                self._lost(f"no good price for {self.pace.silence:g} s")
            except SourceError as error:
                self._lost(str(error))
                wait_for = error.retry_after
            except OSError as error:
                self._lost(f"no connection: {error.strerror or type(error).__name__}")
            self.watch.reconnects += 1
            await asyncio.sleep(max(wait_for, pause * random.uniform(0.5, 1.5)))  # noqa: S311
            pause = min(2.0 * pause, self.pace.pause_max)

    def _lost(self, fault: str) -> None:
        """Count a lost connection, and say so where it is not for the same reason again."""
        self.watch.failed(fault)
        if self._lost_by != fault:
            _log.warning("the source %s: %s", self.name, self.watch.last_error)
        self._lost_by = fault

    async def _good(self, clock: Clock) -> AsyncGenerator[list[Observation]]:
        """Yield what is good of one connection; one that has nothing good to say is given up."""
        loop = asyncio.get_running_loop()
        async with aclosing(self.messages()) as messages:
            deadline = loop.time() + self.pace.silence
            while True:
                async with asyncio.timeout_at(deadline):
                    message = await anext(messages, None)
                if message is None:
                    return
                good = self._screened(message, clock.now_ms())
                if good:
                    yield good
                    deadline = loop.time() + self.pace.silence

    def _screened(self, message: Message, now_ms: int) -> list[Observation]:
        good = []
        for fault in message.faults:
            self.watch.failed(fault)
        for seen in message.prices:
            verdict = self._verdict(seen, now_ms)
            if verdict == OracleVerdict.USED:
                doubt = self._belief.doubt(self.name, seen, message.exponents.get(seen, 0))
                self._tell(seen.symbol, doubt, now_ms)
                if doubt is not None:
                    continue
                self._last_ms[seen.symbol] = seen.published_ms
                good.append(seen)
            elif verdict != OracleVerdict.OUT_OF_ORDER or self._is_older(seen):
                self.watch.failed(f"{seen.symbol}: {_FAULTS[verdict]}")
        self.watch.heard((each.symbol, each.published_ms) for each in good)
        return good

    def _tell(self, symbol: str, doubt: str | None, now_ms: int) -> None:
        """Count a refused price; say so, and when it is over, at most once a minute."""
        if doubt is not None:
            self.watch.refused(symbol, doubt)
        if now_ms - self._told_ms.get(symbol, -MINUTE_MS) < MINUTE_MS:
            return
        if doubt is not None:
            _log.error("the source %s: %s", self.name, doubt)
            self._told_ms[symbol] = now_ms
        elif self._told_ms.pop(symbol, None) is not None:
            _log.warning("the source %s: %s: believed again", self.name, symbol)

    def _is_older(self, seen: Observation) -> bool:
        """Whether time went back; that a price is said twice is no fault."""
        return seen.published_ms < self._last_ms.get(seen.symbol, 0)

    def _verdict(self, seen: Observation, now_ms: int) -> OracleVerdict:
        """Return what the oracle would say of an observation that stands alone."""
        blank = self._blank._replace(vol_ms=self._last_ms.get(seen.symbol, 0))
        offered = Seen(seen.price_e8, seen.confidence_e8, seen.published_ms)
        return OracleVerdict(observe(blank, offered, 1, now_ms, 0, RULES)[0])
