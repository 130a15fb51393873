"""Refusals of the rules as callers see them: in words, with a status and two numbers."""

from amm.units import format_amount
from vaults.commands import Outcome
from vaults.rejects import Reject

_CONFLICTS = {
    Reject.DUPLICATE_REFERENCE,
    Reject.WITHDRAWAL_COMPLETED,
    Reject.CUTOFF_PASSED,
    Reject.REQUEST_BINDING,
    Reject.CORPORATE_ACTION,
}
_MISSING = {
    Reject.POSITION_UNKNOWN,
    Reject.REQUEST_UNKNOWN,
    Reject.WITHDRAWAL_UNKNOWN,
    Reject.ACTION_UNKNOWN,
}
TITLES = {
    Reject.DUPLICATE_REFERENCE: "It was done before, or its reference was used",
    Reject.TOKEN_UNKNOWN: "The token is not listed",
    Reject.UNDERLYING_UNKNOWN: "There is no such underlying",
    Reject.SERIES_UNKNOWN: "There is no such series",
    Reject.PARAMETERS_INVALID: "The parameters cannot be used together",
    Reject.ACCOUNT_UNKNOWN: "The account has never held this token",
    Reject.POSITION_UNKNOWN: "The account has no such position",
    Reject.REQUEST_UNKNOWN: "The account has no such open request",
    Reject.AMOUNT_NOT_POSITIVE: "The amount must be positive",
    Reject.AMOUNT_TOO_LARGE: "The amount is too large",
    Reject.SUPPLY_LIMIT: "The exchange takes no more of this token",
    Reject.TIME_NOT_INCREASING: "It is older than what was done last",
    Reject.OBSERVATION_REFUSED: "The price is too old, of the future, or no price",
    Reject.MARK_STALE: "There is no fresh index",
    Reject.NOT_DUE: "It is not due",
    Reject.STRIKE_OFF_LADDER: "The strike is not on the ladder",
    Reject.STRIKE_WINDOW: "The strike is too far from the index",
    Reject.NOTIONAL_MIN: "The notional is below the minimum",
    Reject.SIZE_EXCEEDS_POSITION: "The position is smaller",
    Reject.SERIES_LIMIT: "The pool has as many live series as it may",
    Reject.SERIES_SHARE: "The series would take too much of the capacity",
    Reject.ACCOUNT_SHARE: "The account would take too much of the capacity",
    Reject.TOTAL_MIN: "The option is worth too little",
    Reject.CAPACITY: "The pool cannot lock this much more",
    Reject.STRESS_LIMIT: "The pool could not bear the stress",
    Reject.WINDDOWN: "The pool winds down: it takes no openings",
    Reject.EXHAUSTED: "The pool is exhausted: it only closes",
    Reject.PRICE_LIMIT: "The price is beyond the order's limit",
    Reject.BALANCE: "The balance is too small",
    Reject.SHARES_EXCEED_HOLDING: "The account has fewer shares",
    Reject.CUTOFF_PASSED: "The cut-off of the flush has passed",
    Reject.REQUEST_BINDING: "A redemption that doubles rent cannot be cancelled",
    Reject.EXPIRED: "The order has expired",
    Reject.NO_FRESH_INDEX: "No index was published in time to fill the order",
    Reject.PAUSED: "The token is paused for opens",
    Reject.DEPOSITS_HELD: "The token does not follow its stock: its pools take no deposits",
    Reject.QUEUE_LIMIT: "The account has as many orders or requests waiting as it may",
    Reject.WITHDRAWAL_UNKNOWN: "There is no such withdrawal",
    Reject.WITHDRAWAL_COMPLETED: "The withdrawal was completed before",
    Reject.CORPORATE_ACTION: "Trading waits for a corporate action",
    Reject.ACTION_UNKNOWN: "No corporate action is announced, or it has lapsed",
    Reject.RATIO: "The token cannot be split like this",
    Reject.BREAKS_CAPACITY: "More is locked than would be backed",
    Reject.GENERATION: "It is not a generation that may take part",
}


def status_of(reject: Reject) -> int:
    """Return the HTTP status of a refusal."""
    return 409 if reject in _CONFLICTS else 404 if reject in _MISSING else 422


_COUNTS = {
    Reject.POSITION_UNKNOWN,
    Reject.REQUEST_UNKNOWN,
    Reject.WITHDRAWAL_UNKNOWN,
    Reject.WITHDRAWAL_COMPLETED,
    Reject.TIME_NOT_INCREASING,
    Reject.MARK_STALE,
    Reject.NOT_DUE,
    Reject.SERIES_LIMIT,
    Reject.CUTOFF_PASSED,
    Reject.REQUEST_BINDING,
    Reject.PARAMETERS_INVALID,
    Reject.EXPIRED,
    Reject.NO_FRESH_INDEX,
    Reject.QUEUE_LIMIT,
    Reject.CORPORATE_ACTION,
    Reject.RATIO,
    Reject.GENERATION,
}
"""Whose two numbers are times or counts; all others' are amounts or prices."""


def deciding_numbers(outcome: Outcome) -> tuple[str, str]:
    """Return limit and actual of a refusal as they cross the wire."""
    if Reject(outcome.code) in _COUNTS:
        return str(outcome.limit), str(outcome.actual)
    return format_amount(outcome.limit), format_amount(outcome.actual)
