"""Where prices come from. A feed yields observations and never touches state."""

from collections.abc import AsyncGenerator
from typing import NamedTuple, Protocol

from api.clock import Clock
from api.feeds.health import FeedHealth


class Observation(NamedTuple):
    """A price of one symbol, as the sources have it that are fresh.

    Attributes:
        symbol: Of the underlying.
        price_e8: 1e-8 USD.
        confidence_e8: Half-width of the confidence interval, 1e-8 USD.
        published_ms: Exchange time.
        vol_e9: 30-day vol at the money, 1e-9 per square root of a year; 0: to be estimated.
        sources: How many it rests on.
        vol_ms: When the vol was published, where that was not with the price; else 0.
    """

    symbol: str
    price_e8: int
    confidence_e8: int
    published_ms: int
    vol_e9: int = 0
    sources: int = 1
    vol_ms: int = 0


class Feed(Protocol):
    """A source of observations."""

    name: str

    def observations(self, clock: Clock) -> AsyncGenerator[list[Observation]]:
        """Yield what was observed, one list per moment, when the clock shows that moment.

        It ends when the source is exhausted, and not otherwise before it is closed.
        """
        ...

    def health(self, now_ms: int) -> list[FeedHealth]:
        """Return how each of its sources is."""
        ...
