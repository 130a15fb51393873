"""Why a command is refused: a closed, ordered list."""

from enum import IntEnum
from typing import NamedTuple

from amm.kernel import kernel


class Reject(IntEnum):
    """Refusals, most basic first: where several apply, the first is reported.

    A refusal is a value, not an exception, and nothing has changed. Its number is in journals, so
    that one which came later has a number out of order.
    """

    NONE = 0
    TOKEN_UNKNOWN = 1
    UNDERLYING_UNKNOWN = 2
    TIME_NOT_INCREASING = 3
    DUPLICATE_REFERENCE = 4
    EXPIRED = 5
    CORPORATE_ACTION = 6
    PAUSED = 7
    DEPOSITS_HELD = 44
    SERIES_UNKNOWN = 8
    PARAMETERS_INVALID = 9
    RATIO = 10
    GENERATION = 11
    ACTION_UNKNOWN = 12
    ACCOUNT_UNKNOWN = 13
    POSITION_UNKNOWN = 14
    REQUEST_UNKNOWN = 15
    WITHDRAWAL_UNKNOWN = 16
    WITHDRAWAL_COMPLETED = 17
    EXHAUSTED = 18
    AMOUNT_NOT_POSITIVE = 19
    AMOUNT_TOO_LARGE = 20
    SUPPLY_LIMIT = 21
    SIZE_EXCEEDS_POSITION = 22
    OBSERVATION_REFUSED = 23
    NOT_DUE = 24
    MARK_STALE = 25
    NO_FRESH_INDEX = 26
    STRIKE_OFF_LADDER = 27
    STRIKE_WINDOW = 28
    NOTIONAL_MIN = 29
    SERIES_LIMIT = 30
    SERIES_SHARE = 31
    ACCOUNT_SHARE = 32
    TOTAL_MIN = 33
    CAPACITY = 34
    BREAKS_CAPACITY = 35
    WINDDOWN = 36
    STRESS_LIMIT = 37
    PRICE_LIMIT = 38
    BALANCE = 39
    SHARES_EXCEED_HOLDING = 40
    CUTOFF_PASSED = 41
    REQUEST_BINDING = 42
    QUEUE_LIMIT = 43


class Refusal(NamedTuple):
    """A code and the two numbers that decided it; all zero where nothing was refused."""

    code: int
    limit: int
    actual: int


@kernel
def accepted() -> Refusal:
    """Return "nothing refused"."""
    return Refusal(0, 0, 0)
