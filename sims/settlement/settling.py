"""What a stock's gap does to a promise, and who pays it: exact integers, path by path.

With C the price of the token over that at Friday's close, a promise of P tokens stays P where it
was made in the token and becomes ceil(P / C) where it was made in dollars. Main pays first, then
insurance; holders go without the rest.
"""

from typing import NamedTuple

import numpy as np

from sims.markets.block import Floats, Ints
from sims.settlement.morning import Mornings

COIN, DOLLAR = "coin", "dollar"
SETTLEMENTS = (COIN, DOLLAR)


class Paid(NamedTuple):
    """Who bears a promise, base units: asked = by_main + by_insurance + missing."""

    asked: Ints
    by_main: Ints
    by_insurance: Ints
    missing: Ints


def asked_of(settlement: str, promised: Ints, price: Floats) -> Ints:
    """Return the tokens a promise takes once the token has another price.

    Args:
        settlement: One of `SETTLEMENTS`.
        promised: Tokens at Friday's close, base units.
        price: Of the token over that at Friday's close, > 0; broadcast against `promised`.
    """
    if settlement == COIN:
        return np.asarray(promised + 0 * price.astype(np.int64))
    return np.ceil(promised / price).astype(np.int64)


def pay(asked: Ints, main: Ints, insurance: Ints) -> Paid:
    """Return who pays what is asked of two pools."""
    by_main = np.minimum(asked, main)
    by_insurance = np.minimum(asked - by_main, insurance)
    return Paid(asked, by_main, by_insurance, asked - by_main - by_insurance)


def keep_idle(mornings: Mornings, idle: float) -> tuple[Mornings, Floats]:
    """Return the pools of a venue that may lock a part less, and what is left of each position.

    On Friday it buys back the same part 1 - s of every position at its mark V, with s L at most
    (1 - idle)(M + K - (1 - s) V). Insurance's part K stays as it was.

    Args:
        mornings: As the exchange leaves them.
        idle: Part of what may be locked that is left free, from 0 to below 1.
    """
    allowed = 1.0 - idle
    room = np.maximum(mornings.locked - allowed * mornings.marked, 1.0)
    kept = np.clip(allowed * (mornings.backed - mornings.marked) / room, 0.0, 1.0)
    smaller = np.floor(mornings.locked * kept).astype(np.int64)
    left = np.minimum(np.ceil(mornings.marked * kept).astype(np.int64), mornings.marked)
    bought = mornings.marked - left
    return (
        mornings._replace(
            main=mornings.main - bought,
            backed=mornings.backed - bought,
            locked=smaller,
            marked=left,
            moved=np.ceil(mornings.moved * kept[:, None]).astype(np.int64),
        ),
        kept,
    )


def forced_part(mornings: Mornings, settlement: str, price: Floats) -> Floats:
    """Return which part of every position is bought back at the opening, for locks to be backed.

    The least q with (1 - q) L <= M + K - q V, L and V in the tokens they take now; all of it
    where not even that is enough.
    """
    locked = asked_of(settlement, mornings.locked, price).astype(np.float64)
    marked = asked_of(settlement, mornings.marked, price)
    short = locked - mornings.backed
    return np.clip(short / np.maximum(locked - marked, 1.0), 0.0, 1.0)
