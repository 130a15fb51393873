"""Who takes part in a flush, in which order, and with how much when there is not enough for all.

Oldest flush first; inside the flush that does not fit, everybody gets the same part.
"""

import numpy as np

from amm.kernel import allocating_kernel, kernel
from amm.units import mul_div_down
from vaults.moves import RequestKind, RequestStatus
from vaults.rules import Rules
from vaults.state import NONE, Ints, State

_REDEEM_INSURANCE = RequestKind.REDEEM_INSURANCE.value
_OPEN = RequestStatus.OPEN.value

NO_FLUSH = 2**62


@kernel
def is_eligible(state: State, rules: Rules, slot: int, kind: int) -> bool:
    """Whether a request of a kind takes part in the running flush."""
    asked = state.requests[slot]
    pool = state.pool[0]
    if asked.status != _OPEN or asked.kind != kind or asked.flush > pool.flushes:
        return False
    if kind == _REDEEM_INSURANCE:
        return bool(asked.created_ms + rules.parameters[0].cooldown_ms <= pool.next_flush_ms)
    return True


@kernel
def total_asked(state: State, rules: Rules, kind: int, flush: int) -> int:
    """Return what the requests of a kind still ask for, of one flush or of all (`NONE`)."""
    total = 0
    for slot in range(state.pool[0].request_first, state.pool[0].request_count):
        if is_eligible(state, rules, slot, kind) and flush in (NONE, state.requests[slot].flush):
            total += state.requests[slot].amount
    return total


@kernel
def oldest_flush(state: State, rules: Rules, kind: int, after: int) -> int:
    """Return the oldest flush number above `after` with requests that take part."""
    oldest = NO_FLUSH
    for slot in range(state.pool[0].request_first, state.pool[0].request_count):
        if is_eligible(state, rules, slot, kind):
            flush = int(state.requests[slot].flush)
            if after < flush < oldest:
                oldest = flush
    return oldest


@allocating_kernel
def divide(state: State, rules: Rules, kind: int, total: int) -> Ints:
    """Divide `total` of what is asked for among the requests of a kind; parts round down.

    Returns:
        The part of every request by its row, shape (requests,); 0 where it takes no part.
    """
    pool = state.pool[0]
    parts = np.zeros(pool.request_count, dtype=np.int64)
    left = total
    flush = oldest_flush(state, rules, kind, NONE)
    while flush != NO_FLUSH and left > 0:
        asked = total_asked(state, rules, kind, flush)
        given = min(left, asked)
        for slot in range(pool.request_first, pool.request_count):
            if is_eligible(state, rules, slot, kind) and state.requests[slot].flush == flush:
                parts[slot] = mul_div_down(state.requests[slot].amount, given, asked)
        left -= given
        flush = oldest_flush(state, rules, kind, flush)
    return parts


@kernel
def hand_out_rest(state: State, rules: Rules, kind: int, parts: Ints, total: int) -> None:
    """Add what rounding left of `total` to the parts: a unit each, in the order of the rows.

    To those of the flush that did not fit, of whom none gets more than it asked for.
    """
    left = total - int(parts.sum())
    marginal = NO_FLUSH
    for slot in range(parts.shape[0]):
        if is_eligible(state, rules, slot, kind) and parts[slot] < state.requests[slot].amount:
            marginal = min(marginal, int(state.requests[slot].flush))
    for slot in range(parts.shape[0]):
        if left > 0 and is_eligible(state, rules, slot, kind):
            asked = state.requests[slot]
            if asked.flush == marginal and parts[slot] < asked.amount:
                parts[slot] += 1
                left -= 1
    assert left == 0
