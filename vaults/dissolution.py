"""The end of a pool: nothing is filled any more, and what is left goes to whose it is.

New money never pays old losses: who wants to go on lists a new generation.
"""

from amm.kernel import kernel
from amm.units import mul_div_down
from vaults.insurance import repay
from vaults.ledger import post, transfer
from vaults.moves import (
    INSURANCE_POOL,
    MAIN_POOL,
    Bucket,
    Flow,
    Move,
    RequestStatus,
)
from vaults.provide import give_back
from vaults.rules import Rules
from vaults.state import State

_SHARES = Move.SHARES.value
_EXHAUST = Move.EXHAUST.value
_WRITE_OFF = Move.WRITE_OFF.value
_MAIN = Bucket.MAIN.value
_INSURANCE = Bucket.INSURANCE.value
_BALANCES = Bucket.BALANCES.value
_DISSOLUTION = Flow.DISSOLUTION.value
_OPEN = RequestStatus.OPEN.value
_RETURNED = RequestStatus.RETURNED.value

END_MS = 2**60
"""After any time at which something is still owed."""


@kernel
def _give_all_back(state: State, rules: Rules, now_ms: int) -> None:
    """Return every open request."""
    for slot in range(state.pool[0].request_first, state.pool[0].request_count):
        if state.requests[slot].status == _OPEN:
            give_back(state, rules, slot, _RETURNED, now_ms)


@kernel
def exhaust(state: State, rules: Rules, now_ms: int) -> None:
    """Make a pool close-only for good; whoever asked for something gets back what it offered.

    Insurance LPs may ask again: they can leave at what no payout can take any more.
    """
    post(state, _EXHAUST, 0, 0, 0, 0, 0)
    _give_all_back(state, rules, now_ms)


@kernel
def _pay_holder(state: State, account: int, main: int, insurance: int) -> None:
    """Pay an account for its shares, of both pools' cash as it was before anybody was paid."""
    holder = state.accounts[account]
    of_main, of_insurance = int(holder.main_shares), int(holder.insurance_shares)
    pool = state.pool[0]
    if of_main > 0:
        amount = mul_div_down(of_main, main, pool.main_shares)
        transfer(state, _MAIN, _BALANCES, account, amount, _DISSOLUTION)
    if of_insurance > 0:
        amount = mul_div_down(of_insurance, insurance, pool.insurance_shares)
        transfer(state, _INSURANCE, _BALANCES, account, amount, _DISSOLUTION)


@kernel
def _burn(state: State, account: int) -> None:
    """Burn what an account holds of both pools."""
    holder = state.accounts[account]
    if holder.main_shares > 0:
        post(state, _SHARES, MAIN_POOL, account, -int(holder.main_shares), 0, 0)
    if holder.insurance_shares > 0:
        post(state, _SHARES, INSURANCE_POOL, account, -int(holder.insurance_shares), 0, 0)


@kernel
def dissolve(state: State, rules: Rules, now_ms: int) -> None:
    """Pay an exhausted pool without positions out: first what main owes, then its shares.

    The part of the seeds stays, for nobody can ever redeem them.
    """
    pool = state.pool[0]
    _give_all_back(state, rules, now_ms)
    repay(state, min(int(pool.main), int(pool.advances)))
    if pool.advances > 0:
        post(state, _WRITE_OFF, END_MS, 0, 0, 0, 0)
    main, insurance = int(pool.main), int(pool.insurance)
    for account in range(pool.account_count):
        _pay_holder(state, account, main, insurance)
    for account in range(pool.account_count):
        _burn(state, account)
