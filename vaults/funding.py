"""The command that says how a position pays its premium."""

from amm.kernel import kernel
from vaults.closing import find_own_position
from vaults.ledger import post
from vaults.moves import Move
from vaults.rejects import Refusal, Reject, accepted
from vaults.state import NONE, State

_CLOCK = Move.CLOCK.value
_FUNDING = Move.FUNDING.value
_ACCOUNT_UNKNOWN = Reject.ACCOUNT_UNKNOWN.value
_POSITION_UNKNOWN = Reject.POSITION_UNKNOWN.value


@kernel
def set_self_funding(
    state: State, account: int, position_id: int, self_funding: int, now_ms: int
) -> Refusal:
    """Say whether an own position shall sell parts of itself for its premium."""
    if account == NONE:
        return Refusal(_ACCOUNT_UNKNOWN, 0, 0)
    slot = find_own_position(state, account, position_id)
    if slot == NONE:
        return Refusal(_POSITION_UNKNOWN, 0, position_id)
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    post(state, _FUNDING, slot, self_funding, 0, 0, 0)
    return accepted()
