"""How a source of prices is: counts, the last fault, and whether its prices are fresh."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from amm.oracle import OracleRules
from amm.units import MINUTE_MS

FeedState = Literal["starting", "live", "part", "down", "refused"]
FAULT_MAX = 200
"""Characters of a fault that are kept."""
FRESH_MS = OracleRules().age_max_ms
MADE_FRESH_MS = 2 * MINUTE_MS
"""Of a market that is made up or replayed, whose clock may run fast."""


class FeedHealth(NamedTuple):
    """One source.

    Attributes:
        name: Its name in `--feed`.
        state: live: a fresh price of every symbol; part: of some; down: of none; starting: it has
            neither spoken nor failed yet; refused: the last price of some symbol was not believed.
        last_ms: When the last good price was published; 0: there was none.
        messages: Heard since the start, good or not.
        failures: Connections lost or refused, and observations that were no good.
        last_error: What was wrong last, or why it is refused; nothing of a key is in it.
        reconnects: Connections that were begun again.
        published_ms: Of each symbol, when the last good price was published.
    """

    name: str
    state: FeedState
    last_ms: int
    messages: int
    failures: int
    last_error: str | None
    reconnects: int
    published_ms: dict[str, int]


class Watch:
    """Keeps count of one source.

    Args:
        name: Its name in `--feed`.
        symbols: Of which it has prices.
        fresh_ms: How old a fresh price may be.
    """

    def __init__(self, name: str, symbols: Iterable[str], fresh_ms: int = FRESH_MS) -> None:
        self.name = name
        self._fresh_ms = fresh_ms
        self.messages = 0
        self.failures = 0
        self.reconnects = 0
        self.last_error: str | None = None
        self.published_ms = dict.fromkeys(symbols, 0)
        self._refused: dict[str, str] = {}

    def heard(self, prices: Iterable[tuple[str, int]]) -> None:
        """Count a message; of each good price its symbol and publish time."""
        self.messages += 1
        for symbol, at_ms in prices:
            self.published_ms[symbol] = at_ms
            self._refused.pop(symbol, None)

    def refused(self, symbol: str, fault: str) -> None:
        """Count a price that is not believed; it stays so until a good one of that symbol."""
        self.failed(fault)
        self._refused[symbol] = fault

    def failed(self, fault: str) -> None:
        """Count what is no good, and remember why."""
        self.failures += 1
        printable = "".join(each if each.isprintable() else " " for each in fault)
        self.last_error = printable[:FAULT_MAX]

    def health(self, now_ms: int) -> FeedHealth:
        """Return how the source is at a time of the exchange."""
        return FeedHealth(
            self.name,
            self._state(now_ms),
            max(self.published_ms.values(), default=0),
            self.messages,
            self.failures,
            next(iter(self._refused.values()), self.last_error),
            self.reconnects,
            dict(self.published_ms),
        )

    def _state(self, now_ms: int) -> FeedState:
        if self._refused:
            return "refused"
        fresh = [now_ms - each <= self._fresh_ms for each in self.published_ms.values()]
        if fresh and all(fresh):
            return "live"
        if any(fresh):
            return "part"
        return "down" if self.messages or self.failures else "starting"
