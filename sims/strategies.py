"""When a recorded trade is opened and closed: the rules of `sims.recorded`."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.kernel import kernel
from sims.markets.levels import HourlyLevels
from sims.stopping import stops

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

STRIKES = (0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25)
"""Over the index, at the opening; a call and a put of each."""
CONTRACTS = tuple((is_call, strike) for is_call in (True, False) for strike in STRIKES)
EVERY = frozenset(CONTRACTS)
INSIDE = frozenset(each for each in CONTRACTS if (each[1] < 1.0) == each[0] and each[1] != 1.0)
"""In the money: calls below the index and puts above."""
CHEAP = frozenset(each for each in CONTRACTS if 1.0 <= each[1] <= 1.1)
"""Where the default smiles are lowest."""

ALWAYS, FALL, RISE, VOL_JUMP, VOL_FALL, RECENT = range(6)
"""When a rule opens: whenever the schedule lets it, or only after what the last day brought."""
MOVE, VOL_MOVE = 0.03, 0.05
"""How far index and level have moved in a day, to be a fall, a rise or a jump."""
LIBRARY = 8
CROSSED, DEARER, MUCH_DEARER, DAY, LEVEL_UP = range(LIBRARY, LIBRARY + 5)
"""When a rule closes, after the rules of `sims.stopping`."""


class Rule(NamedTuple):
    """A strategy: what it is called, when it opens and closes, and which contracts it trades."""

    name: str
    opens: int
    closes: int
    contracts: frozenset[tuple[bool, float]] = EVERY


RULES = (
    Rule("after five days", ALWAYS, 0),
    Rule("double or half the value", ALWAYS, 1),
    Rule("thirty percent below the best value", ALWAYS, 2),
    Rule("out of a band of moneyness", ALWAYS, 3),
    Rule("first in the money", ALWAYS, 4),
    Rule("at random", ALWAYS, 5),
    Rule("trailing the index", ALWAYS, 6),
    Rule("rate fallen by half", ALWAYS, 7),
    Rule("in the money, until the strike is crossed", ALWAYS, CROSSED, INSIDE),
    Rule("cheap strikes, until 5 % dearer", ALWAYS, DEARER, CHEAP),
    Rule("cheap strikes, until 12 % dearer", ALWAYS, MUCH_DEARER, CHEAP),
    Rule("level up by a twentieth", ALWAYS, LEVEL_UP),
    Rule("after a fall, for a day", FALL, DAY),
    Rule("after a fall, for five days", FALL, 0),
    Rule("after a rise, for a day", RISE, DAY),
    Rule("after a rise, for five days", RISE, 0),
    Rule("after a vol jump, for a day", VOL_JUMP, DAY),
    Rule("after a vol jump, for five days", VOL_JUMP, 0),
    Rule("after vol fell, for a day", VOL_FALL, DAY),
    Rule("after vol fell, for five days", VOL_FALL, 0),
    Rule("recent vol above the level, for a day", RECENT, DAY),
    Rule("recent vol above the level, for five days", RECENT, 0),
)


class Moment(NamedTuple):
    """A series at the mark of some hour."""

    moneyness: float
    level: float
    relative_vol: float
    """Vol of the strike over the level."""
    value: float
    rate: float
    delta: float
    """Slope of the mark: the smile moves along with the index."""
    flat_value: float
    flat_rate: float


class Best(NamedTuple):
    """The highest a position has seen."""

    moneyness: float
    value: float


@kernel
def closes(
    rule: int, is_call: bool, elapsed: float, first: Moment, now: Moment, best: Best, draw: float
) -> bool:
    """Whether a rule ends the position, by what is known now."""
    if rule == CROSSED:
        return (first.moneyness - 1.0) * (now.moneyness - 1.0) <= 0.0
    if rule == DEARER:
        return now.relative_vol > 1.05 * first.relative_vol
    if rule == MUCH_DEARER:
        return now.relative_vol > 1.12 * first.relative_vol
    if rule == DAY:
        return elapsed >= 1.0 / 365.0
    if rule == LEVEL_UP:
        return now.level > 1.05 * first.level
    return stops(
        rule,
        elapsed,
        now.moneyness,
        first.moneyness,
        best.moneyness,
        now.value,
        first.value,
        best.value,
        now.rate,
        first.rate,
        draw,
        is_call,
    )


def opens(levels: HourlyLevels, hours: Ints) -> Bools:
    """Return which rules open which contracts at which hours, shape (hours, contracts, rules)."""
    move = np.log(levels.prices[hours] / levels.prices[hours - 24])
    vol_move = np.log(levels.mark[hours] / levels.mark[hours - 24])
    ways = (
        np.ones(hours.size, dtype=bool),
        move < -MOVE,
        move > MOVE,
        vol_move > VOL_MOVE,
        vol_move < -VOL_MOVE,
        levels.recent[hours] > levels.mark[hours],
    )
    by_hour = np.stack([ways[rule.opens] for rule in RULES], axis=1)
    trades = [[each in rule.contracts for rule in RULES] for each in CONTRACTS]
    return by_hour[:, None, :] & np.array(trades)
