"""Why a command is refused: a closed, ordered list."""

from enum import IntEnum
from typing import NamedTuple

from amm.kernel import kernel


class Reject(IntEnum):
    """Refusals, most basic first: where several apply, the first is reported.

    A refusal is a value, not an exception, and nothing has changed.
    """

    NONE = 0
    TOKEN_UNKNOWN = 1
    UNDERLYING_UNKNOWN = 2
    TIME_NOT_INCREASING = 3
    DUPLICATE_REFERENCE = 4
    EXPIRED = 5
    PAUSED = 6
    SERIES_UNKNOWN = 7
    PARAMETERS_INVALID = 8
    ACCOUNT_UNKNOWN = 9
    POSITION_UNKNOWN = 10
    REQUEST_UNKNOWN = 11
    WITHDRAWAL_UNKNOWN = 12
    WITHDRAWAL_COMPLETED = 13
    AMOUNT_NOT_POSITIVE = 14
    AMOUNT_TOO_LARGE = 15
    SUPPLY_LIMIT = 16
    SIZE_EXCEEDS_POSITION = 17
    OBSERVATION_REFUSED = 18
    NOT_DUE = 19
    MARK_STALE = 20
    NO_FRESH_INDEX = 21
    STRIKE_OFF_LADDER = 22
    STRIKE_WINDOW = 23
    NOTIONAL_MIN = 24
    SERIES_LIMIT = 25
    SERIES_SHARE = 26
    ACCOUNT_SHARE = 27
    TOTAL_MIN = 28
    CAPACITY = 29
    STRESS_LIMIT = 30
    PRICE_LIMIT = 31
    BALANCE = 32
    SHARES_EXCEED_HOLDING = 33
    CUTOFF_PASSED = 34
    REQUEST_BINDING = 35
    QUEUE_LIMIT = 36


class Refusal(NamedTuple):
    """A code and the two numbers that decided it; all zero where nothing was refused."""

    code: int
    limit: int
    actual: int


@kernel
def accepted() -> Refusal:
    """Return "nothing refused"."""
    return Refusal(0, 0, 0)
