"""The rare places, each reached on purpose, kernels and twin side by side."""

from functools import cache

import pytest

from amm.units import DAY_MS, HOUR_MS, ONE, PPM
from tests.twin.flushing import Flushed
from tests.twin.pair import Pair
from tests.twin.worth import Condition, unvested
from vaults.moves import Flow, RequestKind, RequestStatus
from vaults.params import Parameters
from vaults.rejects import Reject

DEPOSIT_MAIN, REDEEM_MAIN = RequestKind.DEPOSIT_MAIN, RequestKind.REDEEM_MAIN
DEPOSIT_INSURANCE = RequestKind.DEPOSIT_INSURANCE
REDEEM_INSURANCE = RequestKind.REDEEM_INSURANCE
LP, INSURER, TRADER, OTHER = 0, 1, 2, 3
MAIN = 10_000 * ONE
WIDE = Parameters(
    window_marks_min=2,
    series_share_ppm=PPM,
    account_share_ppm=PPM,
    stress_share_ppm=700_000,
    cover_period_flushes=2,
)
BACKED = WIDE._replace(
    insurance_backing_ppm=PPM, main_backing_ppm=PPM, stress_share_ppm=PPM, total_min_ppm=0
)
"""Insurance backs locks to its last unit: main can lose more than it has."""


@cache
def _funded(parameters: Parameters, insurance: int) -> Pair:
    pair = Pair(parameters)
    pair.tick(after_ms=HOUR_MS)
    for _ in range(4):
        pair.account(10 * MAIN)
    pair.request(LP, DEPOSIT_MAIN, MAIN + 7_654_321)
    pair.request(INSURER, DEPOSIT_INSURANCE, insurance + 1_234_567)
    pair.flush_when_due(2)
    pair.flush_when_due(2)  # a cover period begins, now that there is something to cover
    return pair


def funded(parameters: Parameters = WIDE, insurance: int = MAIN // 5) -> Pair:
    """Return a pair with filled pools at the start of a cover period."""
    return _funded(parameters, insurance).copy()


def sold(parameters: Parameters = WIDE, insurance: int = MAIN // 5, times: float = 0.6) -> Pair:
    """Return one that has sold ATM calls on a part of main."""
    pair = funded(parameters, insurance)
    assert pair.open(TRADER, int(MAIN * times)) == 1
    return pair


def overdrawn() -> Pair:
    """Return one whose locks are more than main has, far out of the money."""
    pair = funded(BACKED, 2 * MAIN)
    for strike in (130_000, 131_000, 132_000):
        pair.open(TRADER, MAIN, strike)
    assert pair.books.locked > 1.4 * pair.books.main
    return pair


# Cover.


def test_insurance_pays_what_exceeds_the_deductible() -> None:
    """Main bears 5 % of where the period began, insurance the rest, to the unit."""
    pair = sold()
    period = pair.books.cover.nav
    pair.tick((120_000, None))
    done = pair.flush_when_due(2)
    assert done.claim == -done.gain - period // 20 > 0
    assert pair.books.advances == done.claim
    assert done.nav.mid > period - period // 20 - 2


def test_a_small_loss_is_mains_alone() -> None:
    """Within the deductible insurance is not touched."""
    pair = sold()
    before = pair.books.insurance
    pair.tick((104_000, None))
    done = pair.flush_when_due(2)
    assert done.gain < 0
    assert done.claim == 0
    assert pair.books.insurance >= before


@pytest.mark.parametrize(("insurance", "layer"), [(MAIN // 5, PPM), (4 * MAIN, 10_000)])
def test_a_claim_is_capped(insurance: int, layer: int) -> None:
    """By half of what insurance was, or by the layer; a second in the same period gets the rest."""
    parameters = WIDE._replace(cover_layer_ppm=layer, cover_period_flushes=4)
    pair = sold(parameters, insurance, 1.2)
    started, period = pair.books.cover.insurance, pair.books.cover.nav
    pair.tick((140_000, None))
    done = pair.flush_when_due(2)
    most = min(started // 2, period * layer // PPM)
    assert done.claim == most
    assert pair.books.cover.claimed == done.claim
    pair.tick((149_000, None))
    again = pair.flush_when_due(2)
    assert again.gain < 0
    assert again.claim == 0


def test_the_reserve_stays() -> None:
    """However large the loss, 30 % of insurance at its best is left, today's best included."""
    pair = sold(WIDE._replace(cover_epoch_ppm=PPM, cover_layer_ppm=PPM), times=1.2)
    started = pair.books.insurance
    pair.tick(after_ms=10 * HOUR_MS)
    pair.withdraw(TRADER, ONE)
    best = pair.books.insurance
    assert best > started
    pair.tick((140_000, None))
    pair.withdraw(TRADER, ONE)
    premium = pair.books.flows[Flow.PREMIUM_INSURANCE]
    before = pair.books.insurance
    done = pair.flush_when_due(2)
    best = before + pair.books.flows[Flow.PREMIUM_INSURANCE] - premium
    assert done.claim == best - best * 3 // 10
    assert pair.books.insurance == best - done.claim


def test_what_is_not_free_is_not_paid_back() -> None:
    """Main gains, but all it has is locked or needed in the stress: insurance waits."""
    pair = sold(WIDE._replace(free_stress=3.0), times=1.0)
    pair.tick((120_000, None))
    assert pair.flush_when_due(2).claim > 0
    pair.tick((118_000, None))
    done = pair.flush_when_due(2)
    assert done.gain > 0
    assert done.repaid == 0


def test_gains_pay_back_and_the_rest_fades() -> None:
    """Half of a gain goes back to insurance; after 90 days nothing is owed any more."""
    pair = sold()
    pair.tick((120_000, None))
    claim = pair.flush_when_due(2).claim
    pair.tick((118_000, None))
    done = pair.flush_when_due(2)
    assert done.repaid == done.gain // 2 > 0
    left = pair.books.advances
    assert 0 < left < claim - done.repaid + 1
    number = 1
    assert pair.close(TRADER, number, pair.books.positions[number].notional) == Reject.NONE
    faded = []
    for days in (30, 29, 28):
        pair.tick(after_ms=days * DAY_MS)
        pair.flush()
        faded.append(pair.books.advances)
    pair.tick(after_ms=6 * DAY_MS)
    pair.flush()
    assert left > faded[0] > faded[1] > faded[2] > pair.books.advances == 0
    assert pair.books.flows[Flow.ADVANCE_WRITTEN_OFF] > 0


def test_lots_are_paid_back_oldest_first() -> None:
    """Two claims on two days; a gain takes off the first before the second."""
    pair = sold(times=1.0)
    pair.tick((115_000, None))
    assert pair.flush_when_due(2).claim > 0
    pair.tick((121_000, None))
    assert pair.flush_when_due(2).claim > 0
    first, second = sorted(pair.books.lots)
    young = pair.books.lots[second].remaining
    pair.tick((119_000, None))
    done = pair.flush_when_due(2)
    assert done.repaid > 0
    assert pair.books.lots[second].remaining > young * 9 // 10
    assert pair.books.lots[first].remaining < pair.books.lots[first].amount + done.repaid


# Crossing and the queue.


def test_both_sides_of_a_crossing_are_shared_in_proportion() -> None:
    """More goes than comes, from a pool that can let nobody go: pro rata on either side."""
    pair = funded(WIDE._replace(stress_share_ppm=PPM, free_stress=10.0))
    pair.request(OTHER, DEPOSIT_MAIN, MAIN // 3)
    pair.flush_when_due(2)
    pair.open(TRADER, MAIN, 120_000)
    pair.request(LP, REDEEM_MAIN, MAIN // 2 + 1)
    pair.request(OTHER, REDEEM_MAIN, MAIN // 7 + 2)
    pair.request(INSURER, DEPOSIT_MAIN, 1_111_111_111)
    pair.request(TRADER, DEPOSIT_MAIN, 77_777_777)
    first = len(pair.books.requests) - 4
    pair.tick((119_000, None))
    done = pair.flush_when_due(2)
    one, other, came, trader = pair.books.requests[first:]
    assert done.condition == Condition.STRESSED
    assert came.status == trader.status == RequestStatus.FILLED
    assert 0 < one.filled < MAIN // 2
    asked = (one.amount + one.filled, other.amount + other.filled)
    assert abs(one.filled * asked[1] - other.filled * asked[0]) <= 3 * sum(asked)


def test_deposits_in_excess_are_filled_at_the_high_value() -> None:
    """Everybody who goes has crossed, without a fee; who comes pays N_hi for the rest."""
    pair = sold()
    pair.tick((103_000, None))
    pair.request(LP, REDEEM_MAIN, MAIN // 10)
    pair.request(OTHER, DEPOSIT_MAIN, MAIN // 4)
    fees = pair.books.flows[Flow.EXIT_FEE]
    supply = pair.books.main_shares
    done = pair.flush_when_due(2)
    gone, came = pair.books.requests[-2:]
    assert gone.amount <= 1  # what rounding left of the crossing
    assert came.status == RequestStatus.FILLED
    assert pair.books.flows[Flow.EXIT_FEE] <= fees + 1
    at_high = MAIN // 4 * (supply + 1) // (done.nav.high + 1)
    at_mid = MAIN // 4 * (supply + 1) // (done.nav.mid + 1)
    assert at_high < came.paid
    assert unvested(pair.books) > 0
    assert came.paid < at_mid + MAIN // 4


def test_a_missed_limit_delays_nobody() -> None:
    """Others get the same with it and without it, the one with the limit everything back."""
    paid = []
    for with_limit in (False, True):
        pair = sold()
        pair.request(LP, REDEEM_MAIN, MAIN // 10)
        pair.request(OTHER, DEPOSIT_MAIN, MAIN // 100)
        if with_limit:
            pair.request(LP, REDEEM_MAIN, MAIN // 10, MAIN)
            pair.request(OTHER, DEPOSIT_MAIN, MAIN // 100, MAIN)
        first = 2
        pair.flush_when_due(2)
        paid.append([(each.filled, each.paid) for each in pair.books.requests[first : first + 2]])
        if with_limit:
            assert {each.status for each in pair.books.requests[-2:]} == {RequestStatus.RETURNED}
    assert paid[0] == paid[1]


def test_what_waits_earns_like_what_is_held() -> None:
    """Shares that were asked for a flush earlier get the same as others do a day later."""
    pair = funded(WIDE._replace(exit_fee_ppm=0, exit_fee_max_ppm=0, free_locked_ppm=PPM))
    pair.request(OTHER, DEPOSIT_MAIN, MAIN)
    pair.flush_when_due(2)
    pair.open(TRADER, 7 * MAIN // 2, 111_000)
    shares = min(each.main_shares for each in (pair.books.accounts[LP], pair.books.accounts[OTHER]))
    pair.request(LP, REDEEM_MAIN, shares)
    pair.flush_when_due(2)
    waiting = pair.books.requests[-1]
    assert waiting.amount > 0
    assert pair.close(TRADER, 1, 7 * MAIN // 2) == Reject.NONE
    pair.request(OTHER, REDEEM_MAIN, waiting.amount)
    open_shares, paid = waiting.amount, waiting.paid
    pair.flush_when_due(2)
    late, early = pair.books.requests[-1], pair.books.requests[-2]
    assert early.status == late.status == RequestStatus.FILLED
    assert open_shares == late.filled
    assert early.paid - paid == late.paid


def test_the_cutoff_is_the_last_moment() -> None:
    """A request of that millisecond is for this flush, the next is for the one after."""
    pair = sold()
    pair.bench.now = pair.books.cutoff
    pair.request(OTHER, DEPOSIT_MAIN, ONE)
    pair.bench.now += 1
    pair.request(OTHER, DEPOSIT_MAIN, ONE)
    assert pair.cancel(OTHER, len(pair.books.requests) - 2) == Reject.CUTOFF_PASSED
    pair.flush_when_due(2)
    in_time, late = pair.books.requests[-2:]
    assert in_time.status == RequestStatus.FILLED
    assert late.status == RequestStatus.OPEN


def test_who_takes_requests_back_does_not_make_them_forever() -> None:
    """Two hundred until the flush, whatever became of them; those of others do not count."""
    pair = funded()
    for _ in range(199):
        pair.request(OTHER, DEPOSIT_MAIN, ONE)
        pair.cancel(OTHER, len(pair.books.requests) - 1)
    pair.request(LP, DEPOSIT_MAIN, ONE)
    pair.bench.now = pair.books.cutoff + 1
    assert pair.request(OTHER, DEPOSIT_MAIN, ONE) == Reject.NONE
    assert pair.request(OTHER, DEPOSIT_MAIN, ONE) == Reject.QUEUE_LIMIT
    assert pair.request(LP, REDEEM_MAIN, ONE) == Reject.NONE
    pair.flush_when_due(2)
    assert pair.request(OTHER, DEPOSIT_MAIN, ONE) == Reject.NONE


def test_a_position_sells_just_enough_of_itself() -> None:
    """Its account being nearly empty, a part goes every day, and no unit more than it takes."""
    pair = funded(WIDE._replace(accrual_gap_ms=HOUR_MS))
    poor = pair.account(40 * ONE)
    number = pair.open(poor, 1_000 * ONE, self_funding=True)
    pair.withdraw(poor, pair.books.accounts[poor].balance - ONE)
    held = pair.books.positions[number].notional
    for _ in range(12):
        pair.tick(after_ms=HOUR_MS)
    assert 0 < pair.books.positions[number].notional < held


def test_balances_are_no_part_of_a_pool() -> None:
    """What is credited, or waits to be deposited, changes no value."""
    pair = sold()
    before = pair.bench.nav()
    pair.credit(OTHER, MAIN)
    pair.request(OTHER, DEPOSIT_MAIN, MAIN // 2)
    assert pair.bench.nav() == before


# Bad conditions.


def _stand(pair: Pair, index: float) -> Flushed:
    """Ask for everything, move the index there and flush."""
    pair.request(LP, REDEEM_MAIN, MAIN // 2)
    pair.request(OTHER, DEPOSIT_MAIN, MAIN // 50)
    pair.request(INSURER, REDEEM_INSURANCE, MAIN // 100)
    pair.tick((index, None))
    return pair.flush_when_due(2)


def test_a_stressed_pool_lets_a_fifth_go() -> None:
    """And only openings that lower the stress in."""
    pair = sold(WIDE._replace(free_stress=4.0), times=1.0)
    shares = pair.books.main_shares
    pair.request(LP, REDEEM_MAIN, MAIN // 2)
    done = pair.flush_when_due(2)
    assert done.condition == Condition.STRESSED
    assert shares - pair.books.main_shares <= shares // 5
    assert pair.books.requests[-1].status == RequestStatus.OPEN
    pair.open(OTHER, ONE, 101_000)
    assert pair.refusal == Reject.STRESS_LIMIT
    assert pair.open(OTHER, ONE, 99_000, is_call=False) > 0
    assert pair.close(TRADER, 1, MAIN) == Reject.NONE


def test_a_pool_that_winds_down_only_crosses() -> None:
    """Nothing is minted or burnt, what has not crossed waits; positions can be closed."""
    pair = overdrawn()
    before = (pair.books.main_shares, pair.books.insurance_shares)
    done = _stand(pair, 150_000)
    assert done.condition == Condition.WINDDOWN
    assert (pair.books.main_shares, pair.books.insurance_shares) == before
    gone, came = pair.books.requests[-3], pair.books.requests[-2]
    assert gone.filled > 0
    assert came.filled > 0
    assert RequestStatus.OPEN in (gone.status, came.status)
    pair.open(OTHER, ONE, 150_000)
    assert pair.refusal == Reject.WINDDOWN
    assert pair.close(TRADER, 1, ONE) == Reject.NONE
    row = len(pair.books.requests) - 3
    assert pair.cancel(LP, row) == Reject.NONE


def test_an_exhausted_pool_ends() -> None:
    """Requests go back, nothing is taken any more, positions are paid, what is left is shared."""
    pair = overdrawn()
    pair.bench.change(cover_layer_ppm=0)
    pair.books.parameters = pair.bench.parameters
    pair.tick((170_000, None))
    done = _stand(pair, 180_000)
    assert done.condition == Condition.EXHAUSTED
    assert pair.books.is_exhausted
    assert {each.status for each in pair.books.requests[-3:]} == {RequestStatus.RETURNED}
    pair.open(OTHER, ONE, 180_000)
    assert pair.refusal == Reject.EXHAUSTED
    assert pair.request(OTHER, DEPOSIT_MAIN, ONE) == Reject.EXHAUSTED
    assert pair.withdraw(OTHER, ONE) == Reject.NONE
    for number in list(pair.books.positions):
        notional = pair.books.positions[number].notional
        assert pair.close(TRADER, number, notional) == Reject.NONE
    assert pair.books.flows[Flow.PAID_BY_INSURANCE] > 0
    pair.flush_when_due(2)
    assert pair.books.flows[Flow.DISSOLUTION] > 0
    assert pair.books.accounts[INSURER].insurance_shares == 0
    assert pair.books.main_shares == pair.books.main_seed
    pair.flush_when_due(2)


def test_payouts_beyond_main_are_owed_to_insurance() -> None:
    """Every cash-out is paid in full; what insurance paid is an advance of that day."""
    pair = overdrawn()
    pair.bench.change(cover_layer_ppm=0)
    pair.books.parameters = pair.bench.parameters
    locked = pair.books.locked
    pair.tick((210_000, None))
    assert not pair.books.positions
    assert pair.books.flows[Flow.CASH_OUT] == locked
    assert pair.books.main == 0
    assert pair.books.flows[Flow.PAID_BY_INSURANCE] > locked // 4
    assert pair.books.advances == pair.books.flows[Flow.PAID_BY_INSURANCE]
    pair.flush_when_due(2)
    assert pair.books.is_exhausted
    assert pair.books.flows[Flow.DISSOLUTION] == 0
    pair.flush_when_due(2)
    assert pair.books.flows[Flow.DISSOLUTION] > MAIN
    assert pair.books.advances == 0


# Premium.


def test_what_missing_ticks_cost_is_written_off() -> None:
    """A position that cannot pay for a long gap pays out of its sale, and the rest is nobody's."""
    pair = funded()
    poor = pair.account(30 * ONE)
    number = pair.open(poor, 900 * ONE, self_funding=True)
    assert number > 0
    pair.tick((85_000, None), after_ms=300 * DAY_MS)
    assert number not in pair.books.positions
    assert pair.books.flows[Flow.WRITTEN_OFF] > 0


def test_a_slice_of_due_positions_is_followed_by_the_next() -> None:
    """Seventy positions run dry in the same minute."""
    pair = funded()
    for place in range(70):
        account = pair.account(ONE // 4)
        pair.open(account, 5 * ONE + place * 1_000_003, self_funding=True)
    held = len(pair.books.positions)
    pair.tick(after_ms=20 * DAY_MS)
    assert held == 70
    assert pair.books.flows[Flow.CLOSE] > 0
    assert sum(each.notional for each in pair.books.positions.values()) < 70 * 5 * ONE
