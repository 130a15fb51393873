"""Corporate actions of the stock behind a token: splits, and dividends in tokens.

Both begin with every account's premium settled, so that nothing is owed in units that have changed
or by who has received.
"""

from amm.kernel import allocating_kernel, kernel
from amm.units import AMOUNT_MAX, mul_div_down
from vaults.ledger import post, transfer
from vaults.moves import Bucket, Flow, Move, RequestKind, RequestStatus
from vaults.premium import allot, settle_everybody
from vaults.rejects import Refusal, Reject, accepted
from vaults.rules import Rules
from vaults.split import scaled, split_notional
from vaults.state import NONE, Ints, State

_CLOCK = Move.CLOCK.value
_SPLIT = Move.SPLIT.value
_REBASE = Move.REBASE.value
_OUTSIDE = Bucket.OUTSIDE.value
_MAIN = Bucket.MAIN.value
_INSURANCE = Bucket.INSURANCE.value
_BALANCES = Bucket.BALANCES.value
_FEES = Bucket.FEES.value
_DIVIDEND = Flow.DIVIDEND.value
_OPEN = RequestStatus.OPEN.value
_DEPOSIT_MAIN = RequestKind.DEPOSIT_MAIN.value
_DEPOSIT_INSURANCE = RequestKind.DEPOSIT_INSURANCE.value
_RATIO = Reject.RATIO.value

SPLIT_MAX = 1_000
"""Largest number on either side of a split ..."""
SPLIT_FACTOR_MAX = 64
"""... and the largest factor: a custody that credits have filled still fits."""


def is_ratio(numerator: int, denominator: int) -> bool:
    """Whether p new tokens for q old ones is a split there can be."""
    in_range = 1 <= numerator <= SPLIT_MAX and 1 <= denominator <= SPLIT_MAX
    return in_range and numerator != denominator and numerator <= SPLIT_FACTOR_MAX * denominator


@kernel
def check_split(state: State, numerator: int, denominator: int) -> Refusal:
    """Check that custody stays an amount, and that every position stays one."""
    pool = state.pool[0]
    if scaled(pool.custody, numerator, denominator) > AMOUNT_MAX:
        return Refusal(_RATIO, AMOUNT_MAX, scaled(pool.custody, numerator, denominator))
    for slot in range(pool.position_count):
        position = state.positions[slot]
        if position.notional > 0:
            cap_ppm = int(state.series[position.series].cap_ppm)
            if split_notional(position.notional, cap_ppm, numerator, denominator) == 0:
                return Refusal(_RATIO, 1, 0)
    return accepted()


@kernel
def split(
    state: State, rules: Rules, numerator: int, denominator: int, pending: int, now_ms: int
) -> Refusal:
    """Multiply every amount by p/q; `pending` is what withdrawals are together after it.

    What is derived from marks has to be computed anew after it: `vaults.tick.remark`.
    """
    refusal = check_split(state, numerator, denominator)
    if refusal.code == Reject.NONE.value:
        post(state, _CLOCK, now_ms, 0, 0, 0, 0)
        settle_everybody(state, rules, now_ms)
        post(state, _SPLIT, numerator, denominator, pending, 0, 0)
    return refusal


@allocating_kernel
def _claims(state: State, pending: Ints) -> Ints:
    """Return what is each account's own: balance, deposits that wait, withdrawals pending."""
    claims = pending.copy()
    for account in range(claims.shape[0]):
        claims[account] += state.accounts[account].balance
    for slot in range(state.pool[0].request_count):
        asked = state.requests[slot]
        is_deposit = asked.kind in (_DEPOSIT_MAIN, _DEPOSIT_INSURANCE)
        if is_deposit and asked.status == _OPEN:
            claims[asked.account] += asked.amount
    return claims


@allocating_kernel
def dividend(state: State, rules: Rules, amount: int, pending: Ints, now_ms: int) -> Refusal:
    """Divide tokens that came from outside among all of custody; main has what is left over.

    Args:
        state: The token, its log with room for a move of every account: `logged_for_everybody`.
        rules: Its rules.
        amount: Base units.
        pending: Withdrawals of each account that have not left, by row.
        now_ms: Now.
    """
    pool = state.pool[0]
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    settle_everybody(state, rules, now_ms)
    custody = int(pool.custody)
    claims = _claims(state, pending)
    to_insurance = mul_div_down(amount, pool.insurance, custody)
    to_fees = mul_div_down(amount, pool.fees, custody)
    left = amount - to_insurance - to_fees
    for account in range(claims.shape[0]):
        part = mul_div_down(amount, claims[account], custody)
        transfer(state, _OUTSIDE, _BALANCES, account, part, _DIVIDEND)
        left -= part
        if state.accounts[account].first_position != NONE:
            allot(state, account)
    transfer(state, _OUTSIDE, _INSURANCE, NONE, to_insurance, _DIVIDEND)
    transfer(state, _OUTSIDE, _FEES, NONE, to_fees, _DIVIDEND)
    transfer(state, _OUTSIDE, _MAIN, NONE, left, _DIVIDEND)
    post(state, _REBASE, left, 0, 0, 0, 0)
    return accepted()
