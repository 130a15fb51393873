"""Why a command is refused: a closed, ordered list."""

from enum import IntEnum
from typing import NamedTuple


class Reject(IntEnum):
    """Refusals, most basic first: where several apply, the first is reported.

    A refusal is a value, not an exception, and nothing has changed.
    """

    NONE = 0
    DUPLICATE_REFERENCE = 1
    TOKEN_UNKNOWN = 2
    UNDERLYING_UNKNOWN = 3
    ACCOUNT_UNKNOWN = 4
    POSITION_UNKNOWN = 5
    REQUEST_UNKNOWN = 6
    PAUSED = 7
    AMOUNT_NOT_POSITIVE = 8
    AMOUNT_TOO_LARGE = 9
    SUPPLY_LIMIT = 10
    TIME_NOT_INCREASING = 11
    OBSERVATION_REFUSED = 12
    MARK_STALE = 13
    NOT_DUE = 14
    STRIKE_OFF_LADDER = 15
    STRIKE_WINDOW = 16
    NOTIONAL_MIN = 17
    SIZE_EXCEEDS_POSITION = 18
    SERIES_LIMIT = 19
    SERIES_SHARE = 20
    ACCOUNT_SHARE = 21
    TOTAL_MIN = 22
    CAPACITY = 23
    STRESS_LIMIT = 24
    PRICE_LIMIT = 25
    BALANCE = 26
    SHARES_EXCEED_HOLDING = 27
    CUTOFF_PASSED = 28
    REQUEST_BINDING = 29


class Refusal(NamedTuple):
    """A code and the two numbers that decided it; all zero where nothing was refused."""

    code: int
    limit: int
    actual: int
