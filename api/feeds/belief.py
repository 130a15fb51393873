"""What prices of sources are measured by before they are believed: a wrong power of ten is not."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from amm.oracle import OracleRules
from amm.units import DAY_MS, YEAR_MS
from api.feeds import Observation

FACTOR = 5.0
"""So many times the last index, or a part of it so small, is no first price: the slip of a
decimal point, whatever the market has done meanwhile."""
INDEX_LASTS_MS = 14 * DAY_MS
"""In so long eight sigmas of `VOL` reach that factor; an older index says nothing."""
VOL = 1.0
"""A year, of the time between the last good price and one with another exponent: high."""
AGREE_BP = OracleRules().confidence_max_bp
_RULES = OracleRules()
_REACH_MAX = math.log(2.0)
"""However old the last price is: still far from a power of ten."""


class LastIndex(NamedTuple):
    """What the exchange had last of a symbol: 1e-8 USD, and when that was published."""

    price_e8: int
    at_ms: int


class _Good(NamedTuple):
    seen: Observation
    exponent: int


class Belief:
    """The last prices of every source of a feed, which share one of these.

    The first price of a source must not be `FACTOR` away from the exchange's last index. One with
    another exponent than the last must be where that was: a change of notation moves no price.
    What another source says at the same time, within `AGREE_BP`, is believed in either case.

    Args:
        indices: The exchange's last, by symbol, where it has one.
    """

    def __init__(self, indices: Mapping[str, LastIndex] | None = None) -> None:
        self._indices = dict(indices or {})
        self._offered: dict[tuple[str, str], Observation] = {}
        self._good: dict[tuple[str, str], _Good] = {}

    def doubt(self, source: str, seen: Observation, exponent: int) -> str | None:
        """Return why a price is refused, one line; None where it is believed, and remembered.

        Args:
            source: Its name.
            seen: Fresh, and good by itself.
            exponent: The power of ten it was scaled by; always 0 where a source has none.
        """
        place = source, seen.symbol
        self._offered[place] = seen
        last = self._good.get(place)
        reason = self._against_index(seen) if last is None else _against(last, seen, exponent)
        if reason is not None and not self._is_shared(source, seen):
            return f"{seen.symbol}: refused: {reason}"
        self._good[place] = _Good(seen, exponent)
        return None

    def _against_index(self, seen: Observation) -> str | None:
        index = self._indices.get(seen.symbol)
        if index is None or seen.published_ms - index.at_ms > INDEX_LASTS_MS:
            return None
        ratio = seen.price_e8 / index.price_e8
        if 1.0 / FACTOR < ratio < FACTOR:
            return None
        return f"the first price is {ratio:.3g} times the last index of the exchange"

    def _is_shared(self, source: str, seen: Observation) -> bool:
        """Whether another source, believed or not, says the same at that time."""
        return any(
            name != source
            and symbol == seen.symbol
            and abs(other.published_ms - seen.published_ms) <= _RULES.age_max_ms
            and abs(other.price_e8 - seen.price_e8) * 10_000 <= AGREE_BP * other.price_e8
            for (name, symbol), other in self._offered.items()
        )


def _against(last: _Good, seen: Observation, exponent: int) -> str | None:
    """Return what is wrong with another exponent: more than the market moves in that time.

    That is the jump guard's 1 %, and eight sigmas of the time since: 2 % in a minute, 10 % in an
    hour, never more than a factor of two.
    """
    if exponent == last.exponent:
        return None
    years = max(seen.published_ms - last.seen.published_ms, 0) / YEAR_MS
    reach = min(_RULES.jump_min + _RULES.jump_sigmas * VOL * math.sqrt(years), _REACH_MAX)
    ratio = seen.price_e8 / last.seen.price_e8
    if abs(math.log(ratio)) <= reach:
        return None
    return f"the exponent is {exponent}, it was {last.exponent}, the price {ratio:.3g} times"
