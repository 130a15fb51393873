"""The premium stream: one index per series, and what each account owes by it.

A series' index is the premium of one unit of notional since it was listed, in 1e-15. It advances
at ticks; between ticks it is read from the last tick on, at most one accrual gap ahead, so how
often it is looked at changes nothing. A position that last settled at I0 owes
ceil(N (I - I0) / 1e15).

An account's balance is divided among its positions in proportion to their premium. A part lasts
up to a known index, the position's key; the tick that could pass a key runs the position first.
So nobody can owe what is not there, on any path of prices and vols.
"""

from amm.kernel import kernel
from amm.units import AMOUNT_MAX, E15, PPM, YEAR_MS, mul_div_down, mul_div_up
from vaults.ledger import post, transfer
from vaults.moves import Bucket, Flow, Move
from vaults.rules import Rules
from vaults.state import NONE, State

_ACCRUE = Move.ACCRUE.value
_SETTLE = Move.SETTLE.value
_ALLOT = Move.ALLOT.value
_COUNT = Move.COUNT.value
_BALANCES = Bucket.BALANCES.value
_MAIN = Bucket.MAIN.value
_INSURANCE = Bucket.INSURANCE.value
_PREMIUM_MAIN = Flow.PREMIUM_MAIN.value
_PREMIUM_INSURANCE = Flow.PREMIUM_INSURANCE.value
_WRITTEN_OFF = Flow.WRITTEN_OFF.value

NO_KEY = 2**62
"""A key no index reaches."""
_WEIGHT_SCALE = 64 * E15
"""Makes N times a yearly rate an amount for every notional a pool can back."""


@kernel
def premium_for(notional: int, rate_e15: int, duration_ms: int) -> int:
    """Return the premium of `notional` at a constant yearly rate over a duration, rounded up."""
    return mul_div_up(notional, mul_div_up(rate_e15, duration_ms, YEAR_MS), E15)


@kernel
def index_at(state: State, rules: Rules, slot: int, now_ms: int) -> int:
    """Return the premium index of a series now; not before what has been accrued."""
    series = state.series[slot]
    since = now_ms - state.books[series.underlying].tick_ms
    elapsed = min(max(since, 0), rules.parameters[0].accrual_gap_ms)
    added = mul_div_up(state.marks[slot].rate_e15, elapsed, YEAR_MS)
    return max(int(series.index_e15), int(series.tick_index_e15) + added)


@kernel
def accrue_to(state: State, slot: int, index_e15: int, at_tick: int) -> None:
    """Advance a series' index, saying which part of it is rent."""
    added = index_e15 - int(state.series[slot].index_e15)
    assert added >= 0
    mark = state.marks[slot]
    rent = 0
    if mark.rate_e15 > 0:
        rent = mul_div_down(added, min(mark.rent_e15, mark.rate_e15), mark.rate_e15)
    if added > 0 or at_tick == 1:
        post(state, _ACCRUE, slot, added, rent, at_tick, 0)


@kernel
def owed_by_position(state: State, rules: Rules, slot: int, now_ms: int) -> int:
    """Return the premium a position owes now, rounded up."""
    position = state.positions[slot]
    passed = index_at(state, rules, position.series, now_ms) - int(position.entry_index_e15)
    return mul_div_up(position.notional, passed, E15)


@kernel
def owed_by_account(state: State, rules: Rules, account: int, now_ms: int) -> int:
    """Return the premium an account owes now over all its positions."""
    owed = 0
    slot = state.accounts[account].first_position
    while slot != NONE:
        owed += owed_by_position(state, rules, slot, now_ms)
        slot = state.positions[slot].next_in_account
    return owed


@kernel
def reserve_of(state: State, account: int, duration_ms: int) -> int:
    """Return the premium of an account's positions over a duration, at the present rates."""
    reserve = 0
    slot = state.accounts[account].first_position
    while slot != NONE:
        position = state.positions[slot]
        reserve += premium_for(
            position.notional, state.marks[position.series].rate_e15, duration_ms
        )
        slot = position.next_in_account
    return reserve


@kernel
def pay_premium(state: State, account: int, paid: int, owed: int) -> None:
    """Move premium from a balance to main and insurance, and count what is not paid."""
    to_insurance = mul_div_down(paid, state.pool[0].phi_ppm, PPM)
    transfer(state, _BALANCES, _MAIN, account, paid - to_insurance, _PREMIUM_MAIN)
    transfer(state, _BALANCES, _INSURANCE, account, to_insurance, _PREMIUM_INSURANCE)
    if paid < owed:
        post(state, _COUNT, _WRITTEN_OFF, owed - paid, 0, 0, 0)


@kernel
def settle_account(state: State, rules: Rules, account: int, now_ms: int) -> None:
    """Pay an account's premium up to now from its balance; main and insurance share it by phi.

    What the balance cannot pay is written off: nobody ever owes. Keys keep that to the rounding
    of one unit a settlement, unless ticks were missing.
    """
    owed = owed_by_account(state, rules, account, now_ms)
    pay_premium(state, account, min(owed, int(state.accounts[account].balance)), owed)
    slot = state.accounts[account].first_position
    while slot != NONE:
        position = state.positions[slot]
        accrue_to(state, position.series, index_at(state, rules, position.series, now_ms), 0)
        if position.entry_index_e15 != state.series[position.series].index_e15:
            post(state, _SETTLE, slot, 0, 0, 0, 0)
        slot = position.next_in_account


@kernel
def settle_position(state: State, rules: Rules, slot: int, means: int, now_ms: int) -> None:
    """Pay one position's premium up to now with at most `means`; the rest is written off.

    For positions whose account cannot pay: each answers for itself.
    """
    owed = owed_by_position(state, rules, slot, now_ms)
    position = state.positions[slot]
    pay_premium(state, position.account, min(owed, means), owed)
    accrue_to(state, position.series, index_at(state, rules, position.series, now_ms), 0)
    post(state, _SETTLE, slot, 0, 0, 0, 0)


@kernel
def settle_seller(state: State, rules: Rules, slot: int, proceeds: int, now_ms: int) -> None:
    """Settle after a position was paid for: the whole account, or, if it cannot pay, the position.

    Then the position answers with its allowance and what it was sold for; the account's others
    keep theirs. That happens only where ticks were missing.
    """
    account = int(state.positions[slot].account)
    balance = int(state.accounts[account].balance)
    if owed_by_account(state, rules, account, now_ms) <= balance:
        settle_account(state, rules, account, now_ms)
    else:
        means = min(int(state.positions[slot].allowance) + proceeds, balance)
        settle_position(state, rules, slot, means, now_ms)


@kernel
def key_of(state: State, slot: int, allowance: int) -> int:
    """Return the index up to which an allowance pays a settled position's premium."""
    position = state.positions[slot]
    lasts = mul_div_down(allowance, E15, position.notional)
    if lasts < 0:
        lasts = AMOUNT_MAX
    return int(position.entry_index_e15) + lasts


@kernel
def endow(state: State, slot: int, allowance: int) -> None:
    """Put an allowance behind a position and set its key."""
    key = key_of(state, slot, allowance)
    position = state.positions[slot]
    mark = state.marks[position.series]
    mark.least_key_e15 = min(mark.least_key_e15, key)
    if position.allowance != allowance or position.key_e15 != key:
        post(state, _ALLOT, slot, allowance, key, 0, 0)


@kernel
def _weight(state: State, slot: int) -> int:
    """Return a position's share in the division of its account's balance: its premium."""
    position = state.positions[slot]
    return mul_div_up(position.notional, state.marks[position.series].rate_e15, _WEIGHT_SCALE) + 1


@kernel
def allot(state: State, account: int) -> None:
    """Divide a settled account's balance among its positions, in proportion to their premium."""
    total = 0
    slot = state.accounts[account].first_position
    while slot != NONE:
        total += _weight(state, slot)
        slot = state.positions[slot].next_in_account
    slot = state.accounts[account].first_position
    while slot != NONE:
        share = mul_div_down(state.accounts[account].balance, _weight(state, slot), total)
        endow(state, slot, share)
        slot = state.positions[slot].next_in_account


@kernel
def settle_everybody(state: State, rules: Rules, now_ms: int) -> None:
    """Let every account pay its premium up to now, and divide what it has left."""
    for account in range(state.pool[0].account_count):
        if state.accounts[account].first_position != NONE:
            settle_account(state, rules, account, now_ms)
            allot(state, account)
