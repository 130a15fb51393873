"""What holds after every command, as named predicates.

Tests, the simulator and the health report call the same functions. Those that compare two states
or look into a record (I3, I9, I12, I13) are given both; I14 holds by construction, for no stock
price enters any command, and is checked on the inputs of every rule.

I1  custody equals the sum of the buckets
I2  shares of each pool = holders + queue + seed
I3  a command's movements sum to what came in or went out
I4  no balance is negative
I5  locked = sum of the positions' locks, and locked <= M + I
I6  open notional and locks of a series = sums over its positions
I7  a series' receivable covers what its positions owe, rounded down
I8  N_lo <= N_mid <= N_hi
I9  the share price does not fall through a flush at frozen marks
I10 impact refunded <= impact paid, and what may be refunded is what positions remember
I11 the two parts of the premium sum to what was paid
I12 a refused command leaves the state equal
I13 the journal's moves rebuild the state, bit for bit
I14 stock prices influence nothing
I15 what main owes insurance is dated: advances = sum of the lots
"""

import inspect
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.kernel import kernel
from amm.units import E15, PPM, mul_div_down
from vaults.capacity import lock_of
from vaults.market import Market
from vaults.moves import Bucket, Flow, Move, RequestKind, RequestStatus
from vaults.nav import net_asset_value
from vaults.params import Parameters, Terms
from vaults.rules import Rules
from vaults.split import scaled
from vaults.state import NONE, STORED, State, words_in_use

_TRANSFER = Move.TRANSFER.value
_SPLIT = Move.SPLIT.value
_OUTSIDE = Bucket.OUTSIDE.value
_DEPOSIT_MAIN = RequestKind.DEPOSIT_MAIN.value
_REDEEM_MAIN = RequestKind.REDEEM_MAIN.value
_DEPOSIT_INSURANCE = RequestKind.DEPOSIT_INSURANCE.value
_REDEEM_INSURANCE = RequestKind.REDEEM_INSURANCE.value
_OPEN = RequestStatus.OPEN.value
_IMPACT_PAID = Flow.IMPACT_PAID.value
_IMPACT_REFUNDED = Flow.IMPACT_REFUNDED.value
_PREMIUM_MAIN = Flow.PREMIUM_MAIN.value
_PREMIUM_INSURANCE = Flow.PREMIUM_INSURANCE.value


Moves = npt.NDArray[np.int64]


class Invariant(IntEnum):
    """Numbers of the invariants, as they are named in the documentation."""

    CUSTODY = 1
    SHARES = 2
    CONSERVATION = 3
    NON_NEGATIVE = 4
    LOCKS = 5
    SERIES = 6
    RECEIVABLE = 7
    NAV_ORDER = 8
    SHARE_PRICE = 9
    IMPACT = 10
    PREMIUM_SPLIT = 11
    REFUSAL = 12
    REBUILD = 13
    STOCK_PRICE = 14
    ADVANCES = 15


@kernel
def custody_is_the_sum_of_buckets(state: State) -> bool:
    """I1, with the balances and escrows summed over accounts and requests."""
    pool = state.pool[0]
    balances = 0
    for slot in range(pool.account_count):
        balances += state.accounts[slot].balance
    escrow_main = escrow_insurance = 0
    for slot in range(pool.request_count):
        asked = state.requests[slot]
        if asked.status == _OPEN and asked.kind == _DEPOSIT_MAIN:
            escrow_main += asked.amount
        if asked.status == _OPEN and asked.kind == _DEPOSIT_INSURANCE:
            escrow_insurance += asked.amount
    held = pool.main + pool.insurance + balances + escrow_main + escrow_insurance
    buckets_agree = (
        balances == pool.balances
        and escrow_main == pool.escrow_main
        and escrow_insurance == pool.escrow_insurance
    )
    return bool(buckets_agree and pool.custody == held + pool.fees + pool.pending)


@kernel
def shares_are_accounted_for(state: State) -> bool:
    """I2, for both pools."""
    pool = state.pool[0]
    main, insurance = pool.main_seed_shares, pool.insurance_seed_shares
    for slot in range(pool.account_count):
        main += state.accounts[slot].main_shares
        insurance += state.accounts[slot].insurance_shares
    for slot in range(pool.request_count):
        asked = state.requests[slot]
        if asked.status == _OPEN and asked.kind == _REDEEM_MAIN:
            main += asked.amount
        if asked.status == _OPEN and asked.kind == _REDEEM_INSURANCE:
            insurance += asked.amount
    return bool(main == pool.main_shares and insurance == pool.insurance_shares)


@kernel
def nothing_is_negative(state: State) -> bool:
    """I4: buckets, balances, shares, notionals and receivables."""
    pool = state.pool[0]
    least = min(pool.main, pool.insurance, pool.escrow_main, pool.escrow_insurance)
    least = min(least, pool.fees, pool.pending, pool.custody, pool.advances, pool.locked)
    for slot in range(pool.account_count):
        holder = state.accounts[slot]
        least = min(least, holder.balance, holder.main_shares, holder.insurance_shares)
    for slot in range(pool.position_count):
        least = min(least, state.positions[slot].notional)
    for slot in range(pool.series_count):
        least = min(least, state.series[slot].receivable, state.series[slot].remainder_e15)
    return bool(least >= 0)


@kernel
def locks_are_funded(state: State) -> bool:
    """I5: the lock of every position, one by one, stands behind both pools' cash."""
    pool = state.pool[0]
    locked = 0
    for slot in range(pool.position_count):
        position = state.positions[slot]
        if position.notional > 0:
            locked += lock_of(position.notional, state.series[position.series].cap_ppm)
    return bool(locked == pool.locked and locked <= pool.main + pool.insurance)


@kernel
def series_sum_their_positions(state: State) -> bool:
    """I6, with the lists of positions in both directions, and that of live series."""
    live = 0
    for slot in range(state.pool[0].series_count):
        series = state.series[slot]
        notional = locked = 0
        before = NONE
        position_slot = series.first_position
        while position_slot != NONE:
            position = state.positions[position_slot]
            if position.series != slot or position.previous_in_series != before:
                return False
            notional += position.notional
            locked += lock_of(position.notional, series.cap_ppm)
            before = position_slot
            position_slot = position.next_in_series
        if notional != series.open_notional or locked != series.locked:
            return False
        if notional > 0:
            if state.live[live] != slot:
                return False
            live += 1
    return bool(live == state.pool[0].live_series)


@kernel
def receivables_cover_what_is_owed(state: State) -> bool:
    """I7: no settlement can take more from a receivable than is in it."""
    for slot in range(state.pool[0].series_count):
        series = state.series[slot]
        owed = 0
        position_slot = series.first_position
        while position_slot != NONE:
            position = state.positions[position_slot]
            passed = series.index_e15 - position.entry_index_e15
            owed += mul_div_down(position.notional, passed, E15)
            position_slot = position.next_in_series
        if owed > series.receivable or (series.open_notional == 0 and series.receivable != 0):
            return False
    return True


@kernel
def nav_is_ordered(state: State, rules: Rules, market: Market) -> bool:
    """I8, at the state's own time."""
    nav = net_asset_value(state, rules, market, state.pool[0].now_ms)
    return bool(nav.low <= nav.mid <= nav.high)


@kernel
def refunds_are_bounded(state: State) -> bool:
    """I10: R is the sum of what positions remember; refunds never exceed what was paid."""
    pool = state.pool[0]
    refundable = 0
    for slot in range(pool.position_count):
        refundable += max(state.positions[slot].impact_paid, 0)
    within = state.flows[_IMPACT_REFUNDED] <= state.flows[_IMPACT_PAID]
    return bool(refundable == pool.impact_refundable and within)


@kernel
def advances_are_dated(state: State) -> bool:
    """I15: and no lot has less than nothing, or more than it began with."""
    owed = 0
    for slot in range(state.advance_lots.shape[0]):
        lot = state.advance_lots[slot]
        if not 0 <= lot.remaining <= lot.amount:
            return False
        owed += lot.remaining
    return bool(owed == state.pool[0].advances)


@kernel
def first_violation(state: State, rules: Rules, market: Market) -> int:
    """Return the number of the first invariant of a state that does not hold, 0 if all do."""
    if not custody_is_the_sum_of_buckets(state):
        return 1
    if not shares_are_accounted_for(state):
        return 2
    if not nothing_is_negative(state):
        return 4
    if not locks_are_funded(state):
        return 5
    if not series_sum_their_positions(state):
        return 6
    if not receivables_cover_what_is_owed(state):
        return 7
    if not nav_is_ordered(state, rules, market):
        return 8
    if not refunds_are_bounded(state):
        return 10
    if not advances_are_dated(state):
        return 15
    return 0


@kernel
def movements_are_conserved(custody_before: int, custody_after: int, moves: Moves) -> bool:
    """I3: transfers between buckets cancel; custody changes by what crossed its border.

    A split multiplies it.
    """
    custody = custody_before
    for place in range(moves.shape[0]):
        row = moves[place]
        if row[0] == _TRANSFER and row[1] == _OUTSIDE:
            custody += row[4]
        if row[0] == _TRANSFER and row[2] == _OUTSIDE:
            custody -= row[4]
        if row[0] == _SPLIT:
            custody = scaled(custody, row[1], row[2])
    return bool(custody_after == custody)


@kernel
def premium_parts_sum(moves: Moves, phi_ppm: int) -> bool:
    """I11: of every premium p an account paid, insurance got floor(p phi) and main the rest."""
    for place in range(moves.shape[0]):
        row = moves[place]
        if row[0] != _TRANSFER or row[5] != _PREMIUM_MAIN:
            continue
        to_main, to_insurance = row[4], 0
        if place + 1 < moves.shape[0]:
            after = moves[place + 1]
            if after[0] == _TRANSFER and after[5] == _PREMIUM_INSURANCE:
                to_insurance = after[4]
        if to_insurance != mul_div_down(to_main + to_insurance, phi_ppm, PPM):
            return False
    return True


@kernel
def first_violation_after(
    state: State, rules: Rules, market: Market, moves: Moves, custody_before: int, phi_ppm: int
) -> int:
    """Return the first invariant a command with these moves has broken.

    `custody_before` and `phi_ppm` are those of the pool before it.
    """
    if not movements_are_conserved(custody_before, state.pool[0].custody, moves):
        return 3
    if not premium_parts_sum(moves, phi_ppm):
        return 11
    return first_violation(state, rules, market)


class SharePrice(NamedTuple):
    """NAV at mid and the shares it belongs to."""

    nav: int
    shares: int


def share_price_holds(before: SharePrice, after: SharePrice) -> bool:
    """I9: the price after LP flow at the same marks is not below the price before.

    With the virtual unit and share that shares are minted with.
    """
    return (after.nav + 1) * (before.shares + 1) >= (before.nav + 1) * (after.shares + 1)


def states_are_equal(one: State, other: State) -> bool:
    """I12 and I13: every integer of two states is the same; rows not in use do not count."""
    return all(
        np.array_equal(words_in_use(one, part), words_in_use(other, part)) for part in STORED
    )


def no_rule_reads_a_stock_price() -> bool:
    """I14: neither parameters, terms nor the inputs of a rule name the token's price."""
    names = {*Parameters._fields, *Terms._fields, *inspect.signature(first_violation).parameters}
    return not any("token_price" in name or "stock_price" in name for name in names)
