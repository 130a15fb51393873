"""When the next flush is, where other parameters come into force before it."""

from amm.kernel import kernel
from vaults.flush import next_flush
from vaults.ledger import post
from vaults.moves import Move
from vaults.rules import Rules
from vaults.state import State

_CLOCK = Move.CLOCK.value
_FLUSH = Move.FLUSH.value
_CUTOFF = Move.CUTOFF.value


@kernel
def reschedule(state: State, rules: Rules, now_ms: int) -> None:
    """Bring the next flush forward to the first under `rules` whose cut-off is to come.

    So that a schedule of long ago keeps nobody in. A flush is never put off, nor moved once its
    cut-off has passed; and whoever has a request can still take it back.
    """
    parameters, pool = rules.parameters[0], state.pool[0]
    next_ms = next_flush(parameters, now_ms + parameters.cutoff_ms)
    if now_ms > pool.cutoff_ms or next_ms >= pool.next_flush_ms:
        return
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    post(state, _FLUSH, next_ms, 0, 0, 0, 0)
    post(state, _CUTOFF, next_ms - parameters.cutoff_ms, 0, 0, 0, 0)
