"""What the stocks behind the tokens cost, and whether a token still follows its own.

It is shown, and it keeps LPs from depositing a token that does not: nothing is computed from it.
Prices live in memory alone, for they are news; that deposits are held is a command of the journal.

A token's price is compared with the stock's times the issuer's multiplier. More than 3 % away for
ten minutes in a row, at whatever hour, holds new deposits: a token that falls on a Sunday must not
be dumped on LPs until Monday. As near for ten minutes lets them in again, but only while the stock
trades: that a token costs what its stock did on Friday says little.
"""

from typing import Literal, NamedTuple

from amm.units import HOUR_MS, MINUTE_MS, ONE, SECOND_MS
from api.sessions import Session

LIMIT_BP = 300
"""How far a token may be from its stock."""
LASTS_MS = 10 * MINUTE_MS
"""How long it must be away, or near again."""
GAP_MAX_MS = 5 * MINUTE_MS
"""After a longer silence the time is counted anew."""
AGE_MAX_MS = HOUR_MS
AHEAD_MAX_MS = 2 * SECOND_MS

Move = Literal["hold", "allow"]


class StockPrice(NamedTuple):
    """What the operator says of a token.

    Attributes:
        stock_e8: Price of one share of the stock, 1e-8 USD.
        multiplier_e8: Shares that one token stands for, 1e-8.
        token_e8: Price of the token, 1e-8 USD; 0 where nobody trades it.
        published_ms: Exchange time.
        is_halted: Whether trading in the stock is halted.
    """

    stock_e8: int
    multiplier_e8: int
    token_e8: int
    published_ms: int
    is_halted: bool = False

    @property
    def reference_e8(self) -> int:
        """What a token should cost, rounded down."""
        return self.stock_e8 * self.multiplier_e8 // ONE

    @property
    def is_away(self) -> bool:
        """Whether the token is too far from its stock."""
        fair = self.stock_e8 * self.multiplier_e8
        return abs(self.token_e8 * ONE - fair) * 10_000 > LIMIT_BP * fair


class _Run(NamedTuple):
    """Since when a token has been away, or near, without a break."""

    is_away: bool
    since_ms: int


class Stocks:
    """The last price of each token's stock."""

    def __init__(self) -> None:
        self._last: dict[str, StockPrice] = {}
        self._runs: dict[str, _Run] = {}

    def last(self, base: str) -> StockPrice | None:
        """Return the last price of a token, None where none was given."""
        return self._last.get(base)

    def is_halted(self, base: str) -> bool:
        """Whether trading in a token's stock is halted."""
        return base in self._last and self._last[base].is_halted

    def is_timely(self, base: str, price: StockPrice, now_ms: int) -> bool:
        """Whether a price is of the last hour, and not older than the one before."""
        last_ms = self._last[base].published_ms if base in self._last else 0
        oldest_ms = max(now_ms - AGE_MAX_MS, last_ms)
        return oldest_ms <= price.published_ms <= now_ms + AHEAD_MAX_MS

    def take(self, base: str, price: StockPrice, session: Session | None) -> Move | None:
        """Take a timely price; return what is to become of deposits, None for no change.

        Args:
            base: The token, in its first generation.
            price: What is said of it.
            session: The stock's; None where it is not known.
        """
        before, self._last[base] = self._last.get(base), price
        if price.token_e8 == 0:
            self._runs.pop(base, None)
            return None
        is_live = session is not None and session.name != "CLOSED" and not price.is_halted
        run = self._runs.get(base)
        is_broken = before is None or price.published_ms - before.published_ms > GAP_MAX_MS
        if run is None or is_broken or run.is_away != price.is_away:
            run = _Run(price.is_away, price.published_ms)
        if not run.is_away and not is_live:
            run = _Run(False, price.published_ms)
        self._runs[base] = run
        if price.published_ms - run.since_ms < LASTS_MS:
            return None
        return "hold" if run.is_away else "allow"

    def forget(self, base: str) -> None:
        """Count the time anew: the operator has decided otherwise."""
        self._runs.pop(base, None)
