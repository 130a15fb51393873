"""Why a command is refused: a closed, ordered list."""

from enum import IntEnum
from typing import NamedTuple

from amm.kernel import kernel


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
    AMOUNT_NOT_POSITIVE = 9
    AMOUNT_TOO_LARGE = 10
    SUPPLY_LIMIT = 11
    TIME_NOT_INCREASING = 12
    OBSERVATION_REFUSED = 13
    MARK_STALE = 14
    NOT_DUE = 15
    STRIKE_OFF_LADDER = 16
    STRIKE_WINDOW = 17
    NOTIONAL_MIN = 18
    SIZE_EXCEEDS_POSITION = 19
    SERIES_LIMIT = 20
    SERIES_SHARE = 21
    ACCOUNT_SHARE = 22
    TOTAL_MIN = 23
    CAPACITY = 24
    STRESS_LIMIT = 25
    PRICE_LIMIT = 26
    BALANCE = 27
    SHARES_EXCEED_HOLDING = 28
    CUTOFF_PASSED = 29
    REQUEST_BINDING = 30


class Refusal(NamedTuple):
    """A code and the two numbers that decided it; all zero where nothing was refused."""

    code: int
    limit: int
    actual: int


@kernel
def accepted() -> Refusal:
    """Return "nothing refused"."""
    return Refusal(0, 0, 0)
