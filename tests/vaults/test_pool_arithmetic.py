"""Every rounding, clamp and bound of the pools' money by an example worked out by hand.

`python -m tests.mutation` turns each of them and expects a test here, or beside it, to notice.
"""

import math
from typing import Any

import numpy as np
import pytest

from amm.units import AMOUNT_MAX, DAY_MS, E15, MINUTE_MS, ONE, PPM, YEAR_MS
from tests.vaults.harness import BTC_TERMS, ETH_TERMS, Bench, funded
from vaults.capacity import backing, lock_of, rent_rate_e15, utilisation
from vaults.condition import (
    Condition,
    condition_at,
    is_stale,
    is_worthless,
    stress_needed,
    stress_of_book,
)
from vaults.crossing import cross, crossing_price
from vaults.dissolution import dissolve
from vaults.effects import (
    accrue,
    book_advance,
    repay_advances,
    resize,
    settle,
    track_cover,
    write_off_advances,
)
from vaults.fills import (
    fill_deposit,
    fill_redemptions,
    pay_redemption,
    return_missed_deposits,
    return_missed_redemptions,
)
from vaults.flush import exit_fee_ppm, free_main, gate, marks_are_good
from vaults.insurance import (
    Cover,
    claim_of,
    cover_of,
    cover_price_ppm,
    covered_loss,
    free_insurance,
    pay_claim,
    peak_insurance,
    repay,
    repayment_of,
)
from vaults.moves import FLOWS, Flow, Move, RequestKind, RequestStatus
from vaults.nav import Nav, accrued_to_insurance, accrued_to_main, unvested_spread
from vaults.params import Parameters
from vaults.premium import owed_by_position, premium_for, settle_seller
from vaults.provide import open_requests_of, rent_doubles
from vaults.queue import divide, hand_out_rest, is_eligible, oldest_flush, total_asked
from vaults.rejects import Reject
from vaults.rules import Rules, make_rules
from vaults.shares import cost_of, exit_fee, gross_for, shares_for
from vaults.state import NONE, State, empty_state
from vaults.valuation import base_stress, value_book

DEPOSIT_MAIN, REDEEM_MAIN = RequestKind.DEPOSIT_MAIN, RequestKind.REDEEM_MAIN
DEPOSIT_INSURANCE = RequestKind.DEPOSIT_INSURANCE
REDEEM_INSURANCE = RequestKind.REDEEM_INSURANCE
OPEN, FILLED, RETURNED = RequestStatus.OPEN, RequestStatus.FILLED, RequestStatus.RETURNED


def rules_of(**values: Any) -> Rules:
    return make_rules(Parameters(**values), (BTC_TERMS, ETH_TERMS))


RULES = rules_of()


def pools(**fields: int) -> State:
    """Return a token whose pool row has these numbers and nothing else."""
    state = empty_state(FLOWS)
    state.accounts.first_position[:] = NONE
    for name, value in fields.items():
        setattr(state.pool[0], name, value)
    return state


def queue(*requests: tuple[RequestKind, int, int], **fields: int) -> State:
    """Return a token with requests (kind, amount, flush) of account 0, shares and cash plenty."""
    plenty = {"main": 1_000, "insurance": 1_000, "custody": 3_000, "flushes": 9}
    state = pools(**(plenty | {"main_shares": 500, "insurance_shares": 500} | fields))
    state.pool[0].account_count = 1
    state.pool[0].request_count = len(requests)
    for slot, (kind, amount, flush) in enumerate(requests):
        row = state.requests[slot]
        row.kind, row.amount, row.flush = kind, amount, flush
        if kind == DEPOSIT_MAIN:
            state.pool[0].escrow_main += amount
        if kind == DEPOSIT_INSURANCE:
            state.pool[0].escrow_insurance += amount
    return state


def statuses(state: State) -> list[int]:
    return [int(row.status) for row in state.requests[: int(state.pool[0].request_count)]]


def filled(state: State) -> list[int]:
    return [int(row.filled) for row in state.requests[: int(state.pool[0].request_count)]]


# Shares.


def test_shares() -> None:
    """2 * 3/5 is 1.2 shares, 2 * 5/3 is 3.3 units; the virtual one on both sides."""
    assert shares_for(2, 2, 4) == 1
    assert shares_for(1, 0, 0) == 1
    assert shares_for(5, 9, 0) == 50
    assert shares_for(5, 9, -1) == shares_for(0, 9, 9) == shares_for(-1, 9, 9) == 0
    assert shares_for(AMOUNT_MAX, 10, 0) == 0
    assert cost_of(2, 2, 4) == 4
    assert cost_of(3, 2, 4) == 5
    assert gross_for(2, 2, 4) == 3
    assert gross_for(5, 2, 0) == 1
    assert gross_for(5, 2, -1) == 0
    assert gross_for(AMOUNT_MAX, 0, 10) == 0
    assert exit_fee(1_001, 1_000) == 2
    assert exit_fee(1_000, 1_000) == 1


# Insurance.


def test_the_peak_for_todays_shares() -> None:
    """25 for 3 shares is 58.3 for 7; cash of today where it is more."""
    peak = {"insurance_shares": 7, "peak_insurance": 25, "peak_shares": 3}
    assert peak_insurance(pools(insurance=10, **peak)) == 58
    assert peak_insurance(pools(insurance=100, **peak)) == 100
    assert peak_insurance(pools(insurance=10)) == 10


def test_how_cover_stands() -> None:
    """Each figure rounds down; what is available is the least of two limits, never negative."""
    fields = {
        "insurance": 1_003,
        "insurance_shares": 1,
        "peak_insurance": 1_003,
        "peak_shares": 1,
        "cover_insurance": 1_001,
        "cover_nav": 999,
        "cover_pnl": -70,
        "cover_claimed": 7,
    }
    state = pools(**fields)
    assert cover_of(state, RULES, 30) == Cover(-40, 1_003, 49, 249, 500 - 7, 7)
    state.pool[0].cover_insurance = 5_000
    assert cover_of(state, RULES, 0).available == 1_003 - 300
    state.pool[0].cover_claimed = 2_600
    assert cover_of(state, RULES, 0).available == 0
    state.pool[0].cover_nav = -1_000
    assert cover_of(state, RULES, 0)[2:4] == (0, 0)


@pytest.mark.parametrize(
    ("pnl", "claimed", "available", "covered", "claim"),
    [
        (-49, 0, 1_000, 0, 0),
        (-60, 0, 1_000, 10, 10),
        (-60, 7, 1_000, 3, 3),
        (-60, 20, 1_000, 0, 0),
        (-900, 0, 1_000, 250, 250),
        (-900, 100, 1_000, 150, 150),
        (-900, 300, 1_000, 0, 0),
        (-900, 0, 33, 250, 33),
        (100, 0, 1_000, 0, 0),
    ],
)
def test_what_is_claimed(pnl: int, claimed: int, available: int, covered: int, claim: int) -> None:
    """Beyond 50 that main bears, at most 250 in the period, as far as insurance has it."""
    cover = Cover(pnl, 1_000, 50, 250, available, claimed)
    assert covered_loss(cover, pnl) == covered
    assert claim_of(cover) == claim


def test_what_is_paid_back() -> None:
    """Half of a gain, rounded down; not more than is owed or free; nothing of a loss."""
    state = pools(advances=100)
    for gain, free, paid in ((31, 90, 15), (999, 500, 100), (999, 20, 20), (-50, 90, 0)):
        assert repayment_of(state, RULES, gain, free) == paid
    assert repayment_of(state, RULES, 50, -1) == 0


def test_nothing_claimed_or_paid_back_leaves_no_trace() -> None:
    """No move, and no date, for an amount of nothing."""
    state = pools(insurance=10, main=10)
    pay_claim(state, RULES, 0, 5 * DAY_MS)
    repay(state, 0)
    assert state.log_count[0] == 0
    pay_claim(state, RULES, 3, 5 * DAY_MS)
    assert (state.pool[0].main, state.pool[0].insurance, state.pool[0].advances) == (13, 7, 3)
    assert state.flows[Flow.CLAIM] == 3
    repay(state, 2)
    assert (state.pool[0].main, state.pool[0].insurance, state.pool[0].advances) == (11, 9, 1)
    assert state.flows[Flow.REPAYMENT] == 2


def priced(stress: int, **fields: int) -> int:
    """Return phi for 1,000 of available cover and a layer that is larger."""
    cover = {"insurance": 4_000, "cover_insurance": 2_000, "cover_nav": 100_000}
    state = pools(**(cover | {"main": 10_000, "insurance_shares": 1} | fields))
    return int(cover_price_ppm(state, RULES, stress))


def test_the_price_of_cover() -> None:
    """1 % without need, 1.5 % at half, 3 % at all of the cover, 8 % at twice and beyond."""
    deductible = 5_000
    assert priced(0) == priced(deductible) == 10_000
    assert priced(deductible + 250) == 12_500
    assert priced(deductible + 500) == 15_000
    assert priced(deductible + 750) == 22_500
    assert priced(deductible + 1_000) == 30_000
    assert priced(deductible + 1_500) == 55_000
    assert priced(deductible + 2_000) == priced(deductible + 9_000) == 80_000


def test_cover_of_less_than_a_hundredth_costs_nothing() -> None:
    """Exactly a hundredth of main, rounded down, is charged for; less is not, nor is none."""
    assert priced(0, main=100_099) == 10_000
    assert priced(0, main=100_100) == 0
    assert priced(0, main=0, cover_insurance=0) == 0


def test_what_can_leave_insurance() -> None:
    """All but 30 % of the peak, rounded up, and twice what locks exceed main by."""
    state = pools(insurance=1_003, insurance_shares=1, main=500)
    assert free_insurance(state, RULES) == 1_003 - 301
    state.pool[0].locked = 500 + 151
    assert free_insurance(state, RULES) == 1_003 - 302
    assert free_insurance(state, rules_of(insurance_backing_ppm=300_000)) == 1_003 - 504
    assert free_insurance(state, rules_of(insurance_backing_ppm=0)) == 0
    state.pool[0].locked = 500 + 600
    assert free_insurance(state, RULES) == 0
    assert free_insurance(state, rules_of(insurance_backing_ppm=0)) == 0
    state.pool[0].locked = AMOUNT_MAX
    assert free_insurance(state, rules_of(insurance_backing_ppm=1)) == 0
    state.pool[0].locked = 0
    state.pool[0].main = AMOUNT_MAX
    assert free_insurance(state, rules_of(insurance_backing_ppm=1)) == 1_003 - 301


# Crossing.


def test_the_crossing_price() -> None:
    """Half of 5 rounds up to 3; not below the low, not above the high."""
    assert crossing_price(Nav(1_000, 900, 1_010), 5) == 997
    assert crossing_price(Nav(1_000, 999, 1_010), 5) == 999
    assert crossing_price(Nav(1_000, 900, 990), 5) == 990


def test_a_crossing_by_hand() -> None:
    """At 1,000 for 500 shares: 7 and 8 tokens buy 3 and 3 shares, 12 are paid to who leaves."""
    state = queue((DEPOSIT_MAIN, 7, 0), (DEPOSIT_MAIN, 8, 0), (REDEEM_MAIN, 50, 0))
    assert cross(state, RULES, DEPOSIT_MAIN, REDEEM_MAIN, 500, 1_000, 0) == 3 + 4
    # 7 * 501/1001 = 3.5 shares for ceil(3 * 1001/501) = 6; 8 buys 4.004 for 8.
    assert filled(state) == [6, 8, 7]
    assert [int(each.paid) for each in state.requests[:3]] == [3, 4, 13]
    assert statuses(state) == [OPEN, FILLED, OPEN]
    pool = state.pool[0]
    assert (pool.main, pool.escrow_main, pool.main_shares) == (1_000 + 14 - 13, 1, 500)
    assert state.flows[Flow.EXIT_FEE] == 0


def test_a_crossing_of_few_who_leave() -> None:
    """3 shares are worth 5 tokens: of 20 that are offered, those who come pay at most 5."""
    state = queue((DEPOSIT_MAIN, 20, 0), (REDEEM_MAIN, 3, 0))
    assert cross(state, RULES, DEPOSIT_MAIN, REDEEM_MAIN, 500, 1_000, 0) == 2
    assert filled(state) == [4, 2]
    assert state.requests[1].paid == 3


def test_a_crossing_worth_nothing() -> None:
    """No share for a unit at two units each, none for who leaves a worthless pool: no move."""
    dear = queue((DEPOSIT_MAIN, 1, 0), (REDEEM_MAIN, 50, 0))
    assert cross(dear, RULES, DEPOSIT_MAIN, REDEEM_MAIN, 500, 1_500, 0) == 0
    worthless = queue((DEPOSIT_MAIN, 9, 0), (REDEEM_MAIN, 50, 0))
    assert cross(worthless, RULES, DEPOSIT_MAIN, REDEEM_MAIN, 500, -1, 0) == 0
    nobody = queue((DEPOSIT_MAIN, 9, 0))
    assert cross(nobody, RULES, DEPOSIT_MAIN, REDEEM_MAIN, 500, 1_000, 0) == 0
    # The first of two is in the queue for a share, the second one not: its row stays as it is.
    partly = queue(
        (DEPOSIT_MAIN, 2, 0), (DEPOSIT_MAIN, 1, 1), (REDEEM_MAIN, 1, 0), (REDEEM_MAIN, 9, 1)
    )
    assert cross(partly, RULES, DEPOSIT_MAIN, REDEEM_MAIN, 500, 1_000, 0) == 1
    for state, moves in ((dear, 0), (worthless, 0), (nobody, 0), (partly, 6)):
        assert int(state.log_count[0]) == moves


# Queue.


def test_parts_of_the_flush_that_does_not_fit() -> None:
    """Oldest whole; of the next 3 and 4 of 7 for 10 wanted each... rounded down, then a unit."""
    state = queue(
        (REDEEM_MAIN, 5, 1), (REDEEM_MAIN, 10, 2), (REDEEM_MAIN, 20, 2), (REDEEM_MAIN, 9, 3)
    )
    parts = divide(state, RULES, REDEEM_MAIN, 5 + 16)
    assert parts.tolist() == [5, 5, 10, 0]
    hand_out_rest(state, RULES, REDEEM_MAIN, parts, 5 + 16)
    assert parts.tolist() == [5, 6, 10, 0]
    assert divide(state, RULES, REDEEM_MAIN, 100).tolist() == [5, 10, 20, 9]
    assert divide(state, RULES, REDEEM_MAIN, 0).tolist() == [0, 0, 0, 0]
    assert oldest_flush(state, RULES, REDEEM_MAIN, NONE) == 1
    assert oldest_flush(state, RULES, REDEEM_MAIN, 1) == 2
    assert total_asked(state, RULES, REDEEM_MAIN, NONE) == 44
    assert total_asked(state, RULES, REDEEM_MAIN, 2) == 30


def test_the_rest_goes_to_who_still_asks_for_something() -> None:
    """The younger come first in the rows: the unit is the older one's, and not of who has all."""
    state = queue(
        (REDEEM_MAIN, 9, 3), (REDEEM_MAIN, 4, 2), (REDEEM_MAIN, 7, 2), (REDEEM_MAIN, 9, 4)
    )
    parts = np.array([0, 4, 6, 0])
    hand_out_rest(state, RULES, REDEEM_MAIN, parts, 11)
    assert parts.tolist() == [0, 4, 7, 0]
    parts = np.array([0, 2, 3, 0])
    hand_out_rest(state, RULES, REDEEM_MAIN, parts, 6)
    assert parts.tolist() == [0, 3, 3, 0]


def test_who_takes_part() -> None:
    """A request of this flush, not of the next; insurance ten days later to the millisecond."""
    state = queue((REDEEM_MAIN, 5, 9), (REDEEM_MAIN, 5, 10), (REDEEM_INSURANCE, 5, 0))
    state.requests[2].created_ms = 1_000
    assert [is_eligible(state, RULES, slot, REDEEM_MAIN) for slot in (0, 1, 2)] == [1, 0, 0]
    state.pool[0].next_flush_ms = 10 * DAY_MS + 999
    assert not is_eligible(state, RULES, 2, REDEEM_INSURANCE)
    state.pool[0].next_flush_ms += 1
    assert is_eligible(state, RULES, 2, REDEEM_INSURANCE)


# Fills.


@pytest.mark.parametrize(
    ("min_out", "slack", "status"),
    [(30, 0, OPEN), (31, 0, RETURNED), (29, 1, OPEN), (30, 1, RETURNED), (0, 0, OPEN)],
)
def test_the_limit_of_a_deposit(min_out: int, slack: int, status: int) -> None:
    """50 at 1,000 for 500 shares are 25.02, and 5 it has; a unit less of both with slack."""
    state = queue((DEPOSIT_MAIN, 50, 0))
    state.requests[0].paid, state.requests[0].min_out = 5, min_out
    assert shares_for(50, 500, 1_000) == 25
    assert shares_for(49, 500, 1_000) - 1 == 23
    if slack == 1:
        state.requests[0].min_out -= 1
    return_missed_deposits(state, RULES, DEPOSIT_MAIN, 500, 1_000, slack, 0)
    assert statuses(state) == [status]


def test_a_deposit_of_no_share_or_too_many_goes_back() -> None:
    """One share is enough; a supply beyond what can be counted is not reached."""
    state = queue((DEPOSIT_MAIN, 1, 0), (DEPOSIT_MAIN, 2, 0))
    return_missed_deposits(state, RULES, DEPOSIT_MAIN, 500, 1_000, 0, 0)
    assert statuses(state) == [RETURNED, OPEN]
    supply = AMOUNT_MAX - 4
    state = queue((DEPOSIT_MAIN, 5, 0), (DEPOSIT_MAIN, 4, 0))
    return_missed_deposits(state, RULES, DEPOSIT_MAIN, supply, supply, 0, 0)
    assert statuses(state) == [RETURNED, OPEN]
    state.requests[1].min_out = 0
    state = queue((DEPOSIT_MAIN, 1, 0))
    state.requests[0].min_out = 1
    return_missed_deposits(state, RULES, DEPOSIT_MAIN, 500, 400, 0, 0)
    assert statuses(state) == [OPEN]


@pytest.mark.parametrize(
    ("min_out", "slack", "status"),
    [(98, 0, OPEN), (99, 0, RETURNED), (97, 1, OPEN), (98, 1, RETURNED)],
)
def test_the_limit_of_a_redemption(min_out: int, slack: int, status: int) -> None:
    """40 shares of 500 at 1,000 are worth 79.9, less a fee of 1 %: 78, and 20 were paid."""
    state = queue((REDEEM_MAIN, 40, 0))
    state.requests[0].paid, state.requests[0].min_out = 20, min_out
    return_missed_redemptions(state, RULES, REDEEM_MAIN, 500, 1_000, 10_000, slack, 0)
    assert statuses(state) == [status]


def test_a_redemption_worth_nothing() -> None:
    """Dust goes back at a price there is, and waits below it; nobody misses a limit of nothing."""
    for amount, nav, slack, status in (
        (1, 400, 0, RETURNED),
        (2, 400, 0, OPEN),
        (2, 400, 1, OPEN),
        (1, 500, 1, OPEN),
        (1, 0, 0, RETURNED),
        (1, -1, 1, OPEN),
    ):
        state = queue((REDEEM_MAIN, amount, 0))
        return_missed_redemptions(state, RULES, REDEEM_MAIN, 500, nav, 10_000, slack, 0)
        assert statuses(state) == [status]


def test_redemptions_out_of_what_is_free() -> None:
    """The older date whole, then parts rounded down, and never more than is free."""
    state = queue((REDEEM_MAIN, 5, 2), (REDEEM_MAIN, 10, 3), (REDEEM_MAIN, 20, 3))
    fill_redemptions(state, RULES, REDEEM_MAIN, 500, 1_000, 9 + 20, 0, 0)
    # 5 shares are worth 9.99; 10 and 20 are worth 19 and 39: of 58, 20 are free.
    assert filled(state) == [5, 3, 6]
    assert [int(each.paid) for each in state.requests[:3]] == [9, 5, 11]
    assert statuses(state) == [FILLED, OPEN, OPEN]


def test_redemptions_that_are_free_to_the_unit() -> None:
    """Enough for the first date to the unit; a unit less and it is a part."""
    for free, shares in ((9, [5, 0]), (8, [4, 0]), (10, [5, 0]), (11, [5, 1])):
        state = queue((REDEEM_MAIN, 5, 2), (REDEEM_MAIN, 10, 3))
        fill_redemptions(state, RULES, REDEEM_MAIN, 500, 1_000, free, 0, 0)
        assert filled(state) == shares
    state = queue((REDEEM_MAIN, 5, 2), (REDEEM_MAIN, 10, 3))
    fill_redemptions(state, RULES, REDEEM_MAIN, 500, 1_000, 10_000, 0, 0)
    assert filled(state) == [5, 10]


def test_parts_beyond_what_is_left_shrink() -> None:
    """Two parts of 3.9 shares for 3 of 10 each... the second has what the first left."""
    state = queue((REDEEM_MAIN, 5, 0), (REDEEM_MAIN, 15, 0), main_shares=1_000)
    fill_redemptions(state, RULES, REDEEM_MAIN, 879_899, 4_038_772, 72, 0, 0)
    # 5 shares are worth 22.9, 15 are worth 68.8: of 90, 72 are free: 4 and 12 shares, 18 and 55.
    assert [int(each.paid) for each in state.requests[:2]] == [18, 50]
    assert filled(state) == [4, 11]


def test_what_is_left_in_shares() -> None:
    """14, 19 and 25 shares of 89 for 49: parts of 24 leave 10 for the last, which are 18 shares."""
    state = queue(*((REDEEM_MAIN, each, 0) for each in (14, 19, 25)), main_shares=89)
    fill_redemptions(state, RULES, REDEEM_MAIN, 89, 49, 24, 0, 0)
    assert filled(state) == [11, 15, 18]
    state = queue(*((REDEEM_MAIN, each, 0) for each in (26, 30, 4, 21, 30)), main_shares=375)
    fill_redemptions(state, RULES, REDEEM_MAIN, 375, 34, 6, 0, 0)
    assert filled(state) == [22, 25, 0, 18, 0]


def test_a_share_that_is_worth_nothing_keeps_its_place() -> None:
    """Nothing is burned for nothing."""
    state = queue((REDEEM_MAIN, 1, 0))
    fill_redemptions(state, RULES, REDEEM_MAIN, 500, 100, 50, 0, 0)
    assert filled(state) == [0]
    assert state.log_count[0] == 0


def test_what_a_fill_moves() -> None:
    """Each pool its own cash, shares and fee; without a fee nothing is counted."""
    state = queue((REDEEM_MAIN, 50, 0), (REDEEM_INSURANCE, 50, 0), (DEPOSIT_INSURANCE, 40, 0))
    pay_redemption(state, RULES, 0, 20, 40, 0, 0)
    moves = int(state.log_count[0])
    assert moves == 3
    pay_redemption(state, RULES, 1, 50, 100, 1_001, 0)
    fill_deposit(state, 2, 40, 7)
    pool = state.pool[0]
    assert (pool.main, pool.insurance, pool.balances) == (960, 1_000 - 99 + 40, 139)
    assert (pool.main_shares, pool.insurance_shares) == (480, 457)
    assert state.flows[Flow.EXIT_FEE] == 0
    assert state.flows[Flow.EXIT_FEE_INSURANCE] == 1
    assert statuses(state) == [OPEN, FILLED, FILLED]


# The flush.


def test_what_can_leave_main() -> None:
    """Half of insurance backs, rounded down; 80 % of locks stay, rounded up."""
    state = pools(main=1_000, insurance=301, locked=901)
    assert free_main(state, RULES, 5_000, 0) == 1_000 - (901 - 150)
    state.pool[0].insurance = 601
    assert free_main(state, RULES, 5_000, 0) == 1_000 - 721
    assert free_main(state, RULES, 300, 101) == 300 - 127
    assert free_main(state, RULES, 100, 101) == 0
    assert free_main(state, rules_of(free_locked_ppm=0), 5_000, 0) == 1_000 - 601
    state.pool[0].locked = 100
    assert free_main(state, rules_of(free_locked_ppm=0), 5_000, 0) == 1_000
    state.pool[0].locked = 2_000
    assert free_main(state, RULES, 5_000, 0) == 0


def test_what_a_condition_lets_go() -> None:
    """All that is free, a fifth of the shares rounded down, nothing but crossings."""
    assert gate(RULES, Condition.NORMAL, 1_003, 1_003, 500) == 500
    assert gate(RULES, Condition.STRESSED, 1_003, 1_003, 500) == 200
    assert gate(RULES, Condition.STRESSED, 1_003, 1_003, 100) == 100
    assert gate(RULES, Condition.WINDDOWN, 1_003, 1_003, 500) == 0


def test_the_exit_fee() -> None:
    """By what is left: 600 locked of 800 is 0.75, half way from 0.5 to 1; rounded up."""
    rules = rules_of(exit_fee_from=0.5)
    state = pools(main=1_200, insurance=0, locked=600)
    assert exit_fee_ppm(state, rules, 0, 0) == 1_000
    assert exit_fee_ppm(state, rules, 400, 0) == 1_000 + 2_500
    assert exit_fee_ppm(state, rules, 300, 0) == 1_000 + 1_667
    for leaving in (600, 1_199, 1_200, 1_201, 5_000):
        assert exit_fee_ppm(state, rules, leaving, 0) == 6_000
    state.pool[0].locked = 100
    assert exit_fee_ppm(state, rules, 0, 0) == 1_000
    state = pools(main=800, insurance=400, locked=750)
    assert exit_fee_ppm(state, rules, 0, 0) == 1_000 + 2_500
    assert exit_fee_ppm(state, rules, 0, 400) == exit_fee_ppm(state, rules, 0, 500) == 5_375


@pytest.mark.parametrize("asked", [100 * ONE, 500 * ONE])
@pytest.mark.parametrize("insurance", [False, True])
def test_the_exit_fee_is_by_what_leaves(insurance: bool, asked: int) -> None:
    """What is asked for where that is free, what is free where more is asked for."""
    wide = Parameters(
        series_share_ppm=PPM, account_share_ppm=PPM, stress_share_ppm=700_000, cooldown_ms=0
    )
    bench = funded(1_000 * ONE, 500 * ONE, wide)
    trader = bench.account()
    for strike, is_call in ((110_000, True), (90_000, False)):
        fill = bench.open(trader, 800 * ONE, strike, is_call=is_call)
        assert fill.refusal.code == Reject.NONE
    bench.warm(2)
    bench.request(int(insurance), REDEEM_INSURANCE if insurance else REDEEM_MAIN, asked)
    if not insurance:
        done = bench.copy().flush_when_due()
        bench.change(free_stress=float(done.nav.low - 200 * ONE) / done.stress)
    pool = bench.pool
    main, cash = int(pool.main), int(pool.insurance)
    main -= bench.flow(Flow.PREMIUM_MAIN)
    cash -= bench.flow(Flow.PREMIUM_INSURANCE)
    done = bench.flush_when_due()
    main += bench.flow(Flow.PREMIUM_MAIN)
    cash += bench.flow(Flow.PREMIUM_INSURANCE)
    side = done.insurance if insurance else done.main
    wanted = int(gross_for(asked, side.supply, side.low))
    leaving = min(wanted, int(side.free))
    assert (leaving == wanted) == (asked == 100 * ONE)
    pool.main, pool.insurance = main, cash
    expected = exit_fee_ppm(
        bench.state, bench.rules, *((0, leaving) if insurance else (leaving, 0))
    )
    assert 1_000 < int(side.exit_fee_ppm) == expected < 6_000


def test_a_reference_is_not_negative() -> None:
    """A pool that owes more than it has quotes no size; nothing owed, nothing written off."""
    bench = funded()
    bench.checked = False
    trader = bench.account()
    assert bench.open(trader, 100 * ONE).refusal.code == Reject.NONE
    bench.pool.custody -= bench.pool.main - 1
    bench.pool.main = 1
    assert bench.flush_when_due().nav_after.mid < 0
    assert bench.pool.nav_reference == 0
    calm = funded()
    calm.flush_when_due(1)
    assert Move.WRITE_OFF not in calm.moves[:, 0]


def test_marks_at_their_bounds() -> None:
    """30 marks are enough; a move of exactly 1 % has settled."""
    bench = funded()
    trader = bench.account()
    assert bench.open(trader, ONE).refusal.code == Reject.NONE
    window, oracle = bench.market.windows[0], bench.market.oracle[0]

    def good() -> bool:
        return bool(marks_are_good(bench.state, bench.rules, bench.market, bench.now))

    assert good()
    window.marks = 30
    assert good()
    window.marks = 29
    assert not good()
    window.marks = 30
    window.median_e8, oracle.index_e8 = 2**40, 2**40 + 2**33
    bench.change(unsettled_move=2.0**-7)
    assert good()
    oracle.index_e8 += 2
    assert not good()


# NAV.


def test_premium_accrued_to_both() -> None:
    """1 % of 1,001 and of 1,099 is 10 for insurance: main's part rounds down, the rest is its."""
    state = pools(series_count=1, live_series=1, phi_ppm=10_000)
    state.series[0].receivable = 1_001
    assert (accrued_to_main(state), accrued_to_insurance(state)) == (990, 11)


def test_unvested_spread_to_the_millisecond() -> None:
    """Whole while its day lasts, then evenly over five; rounded up."""
    state = pools()
    state.vesting[3] = (1_001, 3)
    for at, left in (
        (3 * DAY_MS, 1_001),
        (4 * DAY_MS, 1_001),
        (5 * DAY_MS, 801),
        (9 * DAY_MS - 1, 1),
        (9 * DAY_MS, 0),
        (10 * DAY_MS, 0),
    ):
        assert unvested_spread(state, RULES, at) == left


def test_nav_rounds_against_who_trades_with_the_pool() -> None:
    """Liabilities up where shares are paid for, down where they are bought."""
    bench = funded()
    trader = bench.account()
    assert bench.open(trader, 12_345_678, 105_000).refusal.code == Reject.NONE
    bench.tick(100_100)
    nav, mark = bench.nav(), bench.state.marks[0]
    cash = int(bench.pool.main) + int(accrued_to_main(bench.state))
    refundable = int(bench.pool.impact_refundable)
    unearned = int(unvested_spread(bench.state, bench.rules, bench.now))
    middle, low, high = (
        12_345_678.0 * each for each in (mark.value_median, mark.value_low, mark.value_high)
    )
    assert all(each != math.floor(each) for each in (middle, low, high))
    assert nav.mid == cash - math.ceil(middle) - refundable
    assert nav.low == cash - math.ceil(high) - refundable - unearned
    assert nav.high == cash - math.floor(low)


# Capacity.


def test_backing_and_locks() -> None:
    """Shares of the pools round down, locks up."""
    assert backing(RULES, 1_003, 301) == 1_003 + 150
    assert backing(RULES, 1_003, 5_000) == 1_003 + 250
    assert utilisation(5, 0) == utilisation(5, -1) == 1.0
    assert utilisation(5, 10) == 0.5
    assert lock_of(3, 500_000) == 2
    assert lock_of(4, 500_000) == 2


def test_rent() -> None:
    """Nothing up to a half, then straight to 75 % a year; twice that where it doubles."""
    for used, rent in ((0.0, 0.0), (0.5, 0.0), (0.75, 0.375), (1.0, 0.75), (3.0, 0.75)):
        assert rent_rate_e15(RULES, used, 0) == rent * E15
        assert rent_rate_e15(RULES, used, 1) == 2 * rent * E15


# Conditions.


def test_conditions_at_their_bounds() -> None:
    """NAV equal to what the stress needs is enough, a unit less is not."""
    state = pools()
    assert stress_needed(RULES, 101) == 127
    for mid, low, condition in (
        (101, 127, Condition.NORMAL),
        (101, 126, Condition.STRESSED),
        (100, 127, Condition.WINDDOWN),
    ):
        assert condition_at(state, RULES, Nav(mid, low, 200), 101) == condition
    state.pool[0].exhausted = 1
    assert condition_at(state, RULES, Nav(500, 500, 500), 101) == Condition.EXHAUSTED


def test_when_a_pool_is_exhausted() -> None:
    """Below a ten-thousandth of what the shares were issued at, and where nothing is left."""
    state = pools(main_shares=25_000_001, main_seed_shares=ONE // 2)
    # At a seed of ONE for half as many shares, they were issued at 50,000,002.
    assert not is_worthless(state, RULES, 5_001)
    assert is_worthless(state, RULES, 5_000)
    state.pool[0].main_shares, state.pool[0].main_seed_shares = 20_000, 3 * ONE
    # 6,666.7 is 0.67 of a unit, and a unit is the least.
    assert not is_worthless(state, RULES, 1)
    assert is_worthless(state, RULES, 0)
    state.pool[0].main_shares = 0
    assert is_worthless(state, RULES, 0)
    state.pool[0].main_shares = 30_001
    assert not is_worthless(state, RULES, 1)
    state.pool[0].main_shares = 30_002
    assert not is_worthless(state, RULES, 1)


def test_the_stress_of_a_book_rounds_up() -> None:
    """The float's ceiling, and at most what can be counted."""
    bench = funded()
    trader = bench.account()
    assert bench.open(trader, 12_345_678).refusal.code == Reject.NONE
    value_book(bench.state, bench.rules, bench.market)
    exact = float(base_stress(bench.state, NONE, bench.state.stress[0], 0))
    assert exact != math.floor(exact)
    assert stress_of_book(bench.state) == math.ceil(exact)
    bench.state.stress[0] = 1e30
    assert stress_of_book(bench.state) == AMOUNT_MAX


def test_a_series_nobody_holds_makes_nothing_stale() -> None:
    """Only what is in the open book needs an index."""
    bench = funded()
    trader = bench.account()
    fill = bench.open(trader, ONE)
    bench.now += 10 * MINUTE_MS
    assert is_stale(bench.state, bench.market, bench.now)
    bench.now -= 10 * MINUTE_MS
    bench.close(trader, fill.position_id, ONE)
    bench.now += 10 * MINUTE_MS
    assert not is_stale(bench.state, bench.market, bench.now)


# The end of a pool.


def ended(main: int, advances: int) -> State:
    """Return an exhausted pool: shares 3 and 4 of 10 of main, 2 and 6 of 9 of insurance."""
    state = pools(
        main=main,
        insurance=100,
        custody=main + 100,
        main_shares=10,
        insurance_shares=9,
        account_count=3,
        exhausted=1,
    )
    for slot, (of_main, of_insurance) in enumerate(((3, 2), (4, 6), (0, 0))):
        state.accounts[slot].main_shares = of_main
        state.accounts[slot].insurance_shares = of_insurance
    if advances:
        book_advance(state, advances, 5 * DAY_MS, 95 * DAY_MS)
    return state


@pytest.mark.parametrize(
    ("main", "advances", "paid"),
    [(29, 0, [8 + 22, 11 + 66, 0]), (39, 10, [8 + 24, 11 + 73, 0]), (10, 25, [24, 73, 0])],
)
def test_dissolution_by_hand(main: int, advances: int, paid: list[int]) -> None:
    """First what main owes, as far as it goes; then floors, the seed's part and dust stay."""
    state = ended(main, advances)
    dissolve(state, RULES, 0)
    pool = state.pool[0]
    assert [int(row.balance) for row in state.accounts[:3]] == paid
    assert (pool.main_shares, pool.insurance_shares, pool.advances) == (3, 1, 0)
    assert pool.main + pool.insurance == main + 100 - sum(paid)
    assert state.flows[Flow.ADVANCE_WRITTEN_OFF] == max(advances - main, 0)
    # Transfers and burns of those who hold something, and of nobody else.
    assert int(state.log_count[0]) == (4 if main > advances else 2) + 4 + (2 if advances else 0) + (
        advances > main
    )


# Requests.


def test_bounds_of_a_request() -> None:
    """What an account has to the unit, at most what can be counted, of a kind there is."""
    bench = funded()
    account = bench.account(100)

    def code(kind: int, amount: int) -> int:
        return int(bench.copy().request(account, kind, amount).refusal.code)

    assert code(0, 100) == code(2, 100) == Reject.NONE
    assert code(0, 101) == Reject.BALANCE
    assert code(0, 0) == Reject.AMOUNT_NOT_POSITIVE
    assert code(0, AMOUNT_MAX) == Reject.BALANCE
    assert code(0, AMOUNT_MAX + 1) == Reject.AMOUNT_TOO_LARGE
    assert code(-1, 1) == code(4, 1) == Reject.REQUEST_UNKNOWN
    bench.state.accounts[account].insurance_shares = 7
    bench.state.pool[0].insurance_shares += 7
    assert code(3, 7) == Reject.NONE
    assert code(3, 8) == Reject.SHARES_EXCEED_HOLDING


def test_a_hundred_requests_and_no_more() -> None:
    """The limit, and what it says."""
    bench = funded()
    bench.checked = False
    account = bench.account(1_000)
    for _ in range(100):
        assert bench.request(account, DEPOSIT_MAIN, 1).refusal.code == Reject.NONE
    assert open_requests_of(bench.state, account) == 100
    refusal = bench.request(account, DEPOSIT_MAIN, 1).refusal
    assert tuple(refusal) == (Reject.QUEUE_LIMIT, 100, 101)


def test_bounds_of_a_cancellation() -> None:
    """The first row and the last, at the cut-off and after it, of this flush and of the next."""
    bench = funded()
    account = bench.account(1_000)
    bench.state.pool[0].request_count = 0
    bench.state.pool[0].request_first = 0
    slots = [bench.request(account, DEPOSIT_MAIN, 1).request for _ in range(3)]
    assert slots[0] == 0
    bench.now = int(bench.pool.cutoff_ms)
    assert bench.copy().cancel(account, 0).code == Reject.NONE
    assert bench.cancel(account, 3).code == Reject.REQUEST_UNKNOWN
    assert bench.cancel(0, 3).code == Reject.REQUEST_UNKNOWN
    at_cutoff = bench.request(account, DEPOSIT_MAIN, 1).request
    bench.now += 1
    after = bench.request(account, DEPOSIT_MAIN, 1).request
    assert bench.cancel(account, at_cutoff).code == Reject.CUTOFF_PASSED
    assert bench.cancel(account, after).code == Reject.NONE
    assert bench.cancel(account, 0).code == Reject.CUTOFF_PASSED


def test_when_rent_doubles() -> None:
    """5 % of the shares, rounded up, waiting for more than three flushes."""
    state = queue((REDEEM_MAIN, 26, 2), flushes=6, main_shares=501)
    assert rent_doubles(state, RULES, 6)
    assert not rent_doubles(state, RULES, 5)
    state.requests[0].amount = 25
    assert not rent_doubles(state, RULES, 6)
    empty = queue(main_shares=0)
    assert not rent_doubles(empty, RULES, 6)


# Moves.


def test_a_receivable_carries_its_fraction() -> None:
    """3 units at half a unit each are 1 and a half; the next half completes a unit."""
    state = pools(series_count=1)
    series = state.series[0]
    series.open_notional = 3
    accrue(state, 0, E15 // 2, E15 // 4, 1)
    assert (series.receivable, series.remainder_e15) == (1, E15 // 2)
    assert (state.flows[Flow.RENT_ACCRUED], state.flows[Flow.PREMIUM_ACCRUED]) == (0, 1)
    accrue(state, 0, E15 // 2, E15 // 2, 0)
    assert (series.receivable, series.remainder_e15) == (3, 0)
    assert (state.flows[Flow.RENT_ACCRUED], state.flows[Flow.PREMIUM_ACCRUED]) == (1, 2)
    assert (series.index_e15, series.tick_index_e15) == (E15, E15 // 2)
    accrue(state, 0, 0, 0, 0)
    position = state.positions[0]
    position.notional, position.entry_index_e15 = 3, E15 // 2
    assert owed_by_position(with_tick(state), RULES, 0, 0) == 2
    settle(state, 0)
    assert series.receivable == 2
    position.notional, position.entry_index_e15 = 2, 0
    settle(state, 0)
    assert series.receivable == 0


def with_tick(state: State) -> State:
    """Return the state with an index that is read at its last tick."""
    state.series[0].tick_index_e15 = state.series[0].index_e15
    return state


def test_premium_rounds_up_twice() -> None:
    """The index of a time, then the premium at it."""
    assert premium_for(1, 1, 1) == 1
    assert premium_for(10, E15 // 4, YEAR_MS) == 3
    assert premium_for(E15, 1, YEAR_MS + 1) == 2


def test_impact_that_may_be_refunded_is_what_was_paid() -> None:
    """A rebate is nothing that could be refunded."""
    state = pools(series_count=1, position_free=NONE)
    state.series[0].cap_ppm = 500_000
    state.series[0].first_position = NONE
    position = state.positions[0]
    position.next_in_series = position.previous_in_series = NONE
    position.next_in_account = position.previous_in_account = NONE
    for added, refundable in ((-5, 0), (3, 0), (9, 7), (-3, 4), (-10, 0)):
        resize(state, 0, 1, added)
        assert state.pool[0].impact_refundable == refundable
    assert state.pool[0].live_series == 1
    assert state.pool[0].locked == 3


def test_advances_fade_evenly() -> None:
    """10 over 4 days: 7.5 is 8 after one, rounded up; later dates alone matter; then nothing."""
    state = pools()
    book_advance(state, 10, 5 * DAY_MS, 9 * DAY_MS)
    for at, left in ((4.0, 10), (5.0, 10), (6.0, 8), (6.0, 8), (8.9, 1), (9.0, 0), (11.0, 0)):
        write_off_advances(state, round(at * DAY_MS))
        assert state.pool[0].advances == left
    assert state.flows[Flow.ADVANCE_WRITTEN_OFF] == 10


def test_advances_are_paid_back_oldest_first() -> None:
    """All of the older lot, then of the younger, which fades in the time it has left."""
    state = pools()
    book_advance(state, 10, 5 * DAY_MS, 9 * DAY_MS)
    book_advance(state, 8, 6 * DAY_MS, 10 * DAY_MS)
    write_off_advances(state, 7 * DAY_MS)
    assert [int(state.advance_lots[slot].remaining) for slot in (5, 6)] == [5, 6]
    repay_advances(state, 7)
    assert [int(state.advance_lots[slot].remaining) for slot in (5, 6)] == [0, 4]
    assert state.pool[0].advances == 4
    write_off_advances(state, 8 * DAY_MS)
    assert [int(state.advance_lots[slot].remaining) for slot in (5, 6)] == [0, 3]
    repay_advances(state, 1)
    book_advance(state, 6, 8 * DAY_MS, 12 * DAY_MS)
    repay_advances(state, 3)
    # 2 of the older; the other is younger than the last write-off: its own date stays.
    assert int(state.advance_lots[8].remaining) == 5
    write_off_advances(state, 10 * DAY_MS)
    assert int(state.advance_lots[8].remaining) == 3


def test_a_lot_of_advances_is_used_again() -> None:
    """96 days later what was left of the older has been written off; the same day adds up."""
    state = pools()
    book_advance(state, 10, 5 * DAY_MS, 95 * DAY_MS)
    book_advance(state, 4, 5 * DAY_MS + 1, 95 * DAY_MS)
    assert (state.advance_lots[5].remaining, state.advance_lots[5].amount) == (14, 14)
    book_advance(state, 7, 101 * DAY_MS, 191 * DAY_MS)
    assert (state.advance_lots[5].remaining, state.pool[0].advances) == (7, 7)
    assert state.flows[Flow.ADVANCE_WRITTEN_OFF] == 14


def test_the_peak_of_a_period() -> None:
    """Kept unless cash per share is higher, and started over with a period."""
    state = pools(insurance=20, insurance_shares=2, peak_insurance=10, peak_shares=1)
    track_cover(state, 0, 100, -7, 3)
    pool = state.pool[0]
    assert (pool.peak_insurance, pool.peak_shares) == (10, 1)
    pool.insurance = 21
    track_cover(state, 0, 100, -7, 3)
    assert (pool.peak_insurance, pool.peak_shares) == (21, 2)
    assert (pool.cover_pnl, pool.cover_claimed, pool.nav_after) == (-14, 6, 100)
    pool.insurance = 5
    track_cover(state, 1, 90, -7, 3)
    assert (pool.peak_insurance, pool.cover_insurance, pool.cover_nav) == (5, 5, 90)
    assert (pool.cover_pnl, pool.cover_claimed) == (0, 0)


# Who cannot pay, and what is left of a request.


def in_debt(balance: int, allowance: int) -> tuple[Bench, int]:
    """Return a token with one position that owes more than it has, and the row of it."""
    bench = funded()
    bench.checked = False
    trader = bench.account()
    bench.open(trader, 100 * ONE)
    bench.now += MINUTE_MS
    row, state = int(bench.state.accounts[trader].first_position), bench.state
    lost = bench.balance(trader) - balance
    state.accounts[trader].balance = balance
    bench.pool.balances -= lost
    bench.pool.custody -= lost
    state.positions[row].allowance = allowance
    state.log_count[0] = 0
    return bench, row


@pytest.mark.parametrize(
    ("allowance", "proceeds", "paid"), [(4_000, 1_000, 5_000), (9_500, 1_000, 10_000)]
)
def test_a_seller_who_cannot_pay_answers_with_the_sale(
    allowance: int, proceeds: int, paid: int
) -> None:
    """With its allowance and what it was sold for, at most what is there; no more, no less."""
    bench, row = in_debt(10_000, allowance)
    owed = int(owed_by_position(bench.state, bench.rules, row, bench.now))
    assert owed > 10_000
    settle_seller(bench.state, bench.rules, row, proceeds, bench.now)
    assert bench.flow(Flow.PREMIUM_MAIN) + bench.flow(Flow.PREMIUM_INSURANCE) == paid
    assert bench.flow(Flow.WRITTEN_OFF) == owed - paid


def test_a_seller_who_can_just_pay_pays() -> None:
    """To the last unit, whatever stands behind the position alone."""
    bench, row = in_debt(10_000, 0)
    owed = int(owed_by_position(bench.state, bench.rules, row, bench.now))
    bench, row = in_debt(owed, 0)
    settle_seller(bench.state, bench.rules, row, 0, bench.now)
    assert bench.flow(Flow.PREMIUM_MAIN) + bench.flow(Flow.PREMIUM_INSURANCE) == owed
    assert bench.flow(Flow.WRITTEN_OFF) == 0


def test_a_young_advance_fades_from_when_it_was_made() -> None:
    """A repayment before its first write-off does not make it older."""
    bench = funded()
    made, until = bench.now, bench.now + 90 * DAY_MS
    bench.pool.written_off_ms = made - 10 * DAY_MS
    book_advance(bench.state, 1_000, made, until)
    repay_advances(bench.state, 400)
    write_off_advances(bench.state, made + 45 * DAY_MS)
    assert int(bench.pool.advances) == 300


@pytest.mark.parametrize(("nav", "status"), [(0, RequestStatus.OPEN), (1, RequestStatus.FILLED)])
def test_what_a_crossing_left_is_over_where_it_is_worth_nothing(
    nav: int, status: RequestStatus
) -> None:
    """A share below a unit goes back, the rest being paid; in a pool worth nothing all wait."""
    bench = funded()
    bench.checked = False
    slot = bench.request(0, RequestKind.REDEEM_MAIN, 1).request
    bench.state.requests[slot].filled = 5
    held = int(bench.state.accounts[0].main_shares)
    bench.state.log_count[0] = 0
    fill_redemptions(
        bench.state, bench.rules, RequestKind.REDEEM_MAIN.value, 100, nav, 10, 0, bench.now
    )
    assert int(bench.state.requests[slot].status) == status
    returned = int(bench.state.accounts[0].main_shares) - held
    assert returned == int(status == RequestStatus.FILLED)
