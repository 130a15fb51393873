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
    SERIES_UNKNOWN = 4
    PARAMETERS_INVALID = 5
    ACCOUNT_UNKNOWN = 6
    POSITION_UNKNOWN = 7
    REQUEST_UNKNOWN = 8
    PAUSED = 9
    AMOUNT_NOT_POSITIVE = 10
    AMOUNT_TOO_LARGE = 11
    SUPPLY_LIMIT = 12
    TIME_NOT_INCREASING = 13
    OBSERVATION_REFUSED = 14
    MARK_STALE = 15
    NOT_DUE = 16
    STRIKE_OFF_LADDER = 17
    STRIKE_WINDOW = 18
    NOTIONAL_MIN = 19
    SIZE_EXCEEDS_POSITION = 20
    SERIES_LIMIT = 21
    SERIES_SHARE = 22
    ACCOUNT_SHARE = 23
    TOTAL_MIN = 24
    CAPACITY = 25
    STRESS_LIMIT = 26
    PRICE_LIMIT = 27
    BALANCE = 28
    SHARES_EXCEED_HOLDING = 29
    CUTOFF_PASSED = 30
    REQUEST_BINDING = 31


class Refusal(NamedTuple):
    """A code and the two numbers that decided it; all zero where nothing was refused."""

    code: int
    limit: int
    actual: int
