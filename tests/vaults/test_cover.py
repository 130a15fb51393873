"""Cover: what insurance pays for a period's loss, what is repaid, what fades, and how it ends."""

from functools import cache
from itertools import pairwise

import pytest

from amm.units import DAY_MS, ONE, PPM
from tests.vaults.harness import Bench, funded
from vaults.condition import Condition, condition
from vaults.insurance import book_advance, cover_of
from vaults.moves import Flow, RequestKind, RequestStatus
from vaults.params import Parameters
from vaults.provide import REQUESTS_MADE_MAX, REQUESTS_MAX, requests_made_by
from vaults.rejects import Reject
from vaults.state import ADVANCE_LOTS

MAIN_PROVIDER, INSURANCE_PROVIDER, TRADER = 0, 1, 2
WIDE = Parameters(
    series_share_ppm=PPM, account_share_ppm=PPM, stress_share_ppm=700_000, cover_period_flushes=4
)


@cache
def _exposed(notional: int) -> Bench:
    bench = funded(10_000 * ONE, 3_000 * ONE, WIDE)
    while bench.pool.flushes % 4 != 1:
        bench.flush_when_due(1)
    trader = bench.account()
    assert trader == TRADER
    assert bench.open(trader, notional).refusal.code == Reject.NONE
    bench.warm(2)
    return bench


def exposed(notional: int = 8_000 * ONE) -> Bench:
    """Return a covered pool at the start of a period, a large call of account 2 open."""
    return _exposed(notional).copy()


def moved(bench: Bench, price: float) -> Bench:
    """Move the index of BTC for good and flush."""
    bench.tick(price)
    bench.flush_when_due()
    return bench


def test_main_bears_the_first_part_alone() -> None:
    """A loss within the deductible of 5 % leaves insurance untouched."""
    bench = exposed()
    cash = int(bench.pool.insurance)
    bench.tick(104_000)
    done = bench.flush_when_due()
    assert -500 * ONE < done.cover.pnl < -100 * ONE
    assert done.claim == 0
    assert int(bench.pool.insurance) - cash == bench.flow(Flow.PREMIUM_INSURANCE)


def test_insurance_pays_what_is_beyond_the_deductible() -> None:
    """To the unit: the loss less 5 % of N_0; main's NAV rises by it, what leavers get does not."""
    bench = exposed()
    start, cash = int(bench.pool.cover_nav), int(bench.pool.insurance)
    bench.tick(115_000)
    done = bench.flush_when_due()
    loss, deductible = -int(done.cover.pnl), start * 50_000 // PPM
    assert loss > deductible + 100 * ONE
    assert int(done.claim) == loss - deductible
    premium = bench.flow(Flow.PREMIUM_INSURANCE)
    assert int(bench.pool.insurance) == cash + premium - int(done.claim)
    assert done.nav.mid == done.before.mid + done.claim
    assert done.nav.low == done.before.low
    assert int(bench.pool.advances) == int(done.claim) == bench.flow(Flow.CLAIM)
    again = bench.flush_when_due()
    assert again.claim <= 1_000 * ONE // 1_000  # the loss was claimed once


@pytest.mark.parametrize(
    ("changes", "binding"),
    [
        ({"cover_layer_ppm": 20_000}, "layer"),
        ({"cover_epoch_ppm": 60_000}, "period"),
        ({"insurance_reserve_ppm": 980_000}, "reserve"),
    ],
)
def test_each_bound_of_a_claim_binds_in_turn(changes: dict[str, int], binding: str) -> None:
    """A layer of 2 % of N_0, 6 % of I at the start, what is above a reserve of 98 % of the peak."""
    bench = exposed()
    bench.change(**changes)
    start, covered = int(bench.pool.cover_nav), int(bench.pool.cover_insurance)
    bench.tick(120_000)
    done = bench.flush_when_due()
    cash = int(bench.pool.insurance) + int(done.claim)
    bounds = {
        "layer": start * 20_000 // PPM,
        "period": covered * 60_000 // PPM,
        "reserve": cash - int(done.cover.peak) * 980_000 // PPM,
    }
    assert int(done.claim) == bounds[binding] > 0
    premium = bench.flow(Flow.PREMIUM_INSURANCE)
    again = bench.flush_when_due()  # nothing is left of the bound but what came since
    assert int(again.claim) <= bench.flow(Flow.PREMIUM_INSURANCE) - premium


def test_half_of_a_gain_repays_the_oldest_first() -> None:
    """The index comes back: half of what main gains goes to insurance, at most what is owed."""
    bench = moved(exposed(), 115_000)
    owed, cash = int(bench.pool.advances), int(bench.pool.insurance)
    premium = bench.flow(Flow.PREMIUM_INSURANCE)
    bench.tick(112_000)
    done = bench.flush_when_due()
    assert 0 < int(done.repaid) < owed
    assert done.claim == 0
    premium = bench.flow(Flow.PREMIUM_INSURANCE) - premium
    assert int(bench.pool.insurance) == cash + premium + int(done.repaid)
    left = owed - int(done.repaid) - int(done.written_off)
    assert int(bench.pool.advances) == left
    bench.tick(95_000)
    done = bench.flush_when_due()
    assert int(done.repaid) == left  # all that was owed; then what is owed fades no more
    assert int(bench.pool.advances) == 0


def test_a_repayment_is_half_of_the_gain() -> None:
    """Floor of 50 % of the change of N_mid since the last flush, LP flow left out."""
    bench = moved(exposed(), 120_000)
    newcomer = bench.account()
    bench.request(newcomer, RequestKind.DEPOSIT_MAIN, 1_000 * ONE)
    bench.tick(118_000)
    after = int(bench.pool.nav_after)
    done = bench.flush_when_due()
    gain = int(done.before.mid) - after
    assert 10 * ONE < gain < 500 * ONE
    assert int(done.repaid) == gain // 2


def test_an_advance_fades_evenly_over_90_days() -> None:
    """Half after 45 days, nothing after 90, and no day on which more than its part goes."""
    bench = moved(exposed(), 115_000)
    claim = int(bench.pool.advances)
    for position in bench.live_positions():
        bench.close(TRADER, int(position.position_id), int(position.notional))
    bench.drain(TRADER)
    bench.change(repay_share_ppm=0)
    left = [claim]
    for _ in range(90):
        bench.flush_when_due(1)
        left.append(int(bench.pool.advances))
    assert left[45] == -(-claim * 45 // 90)
    assert left[90] == 0
    steps = [before - after for before, after in pairwise(left)]
    assert max(steps) - min(steps) <= 1
    assert bench.flow(Flow.ADVANCE_WRITTEN_OFF) == claim


def test_a_lot_is_used_again_after_all_lots() -> None:
    """What no flush has written off in time is written off when its place is needed."""
    bench = moved(exposed(), 115_000)
    lot = (bench.now // DAY_MS) % ADVANCE_LOTS
    assert int(bench.state.advance_lots[lot].remaining) == int(bench.pool.advances) > 0
    bench.now += ADVANCE_LOTS * DAY_MS
    bench.state.log_count[0] = 0
    book_advance(bench.state, bench.rules, 5 * ONE, bench.now)
    assert int(bench.pool.advances) == 5 * ONE == int(bench.state.advance_lots[lot].remaining)


def ruined() -> Bench:
    """Return a pool all of whose calls were cashed out at once, one put of another still open."""
    bench = exposed(ONE)
    bench.change(total_min_ppm=0, cover_layer_ppm=0)
    other = bench.account()
    assert bench.open(TRADER, 22_000 * ONE, 140_000).refusal.code == Reject.NONE
    assert bench.open(other, 100 * ONE, is_call=False).refusal.code == Reject.NONE
    bench.warm(2)
    bench.tick(211_000)
    return bench


def test_payouts_beyond_main_come_from_insurance_and_are_owed() -> None:
    """Main is emptied by cash-outs: insurance pays the rest, reserve included, and is owed it."""
    bench = ruined()
    beyond = bench.flow(Flow.PAID_BY_INSURANCE)
    assert beyond > 0
    assert int(bench.pool.main) == 0
    assert int(bench.pool.advances) == beyond
    assert bench.flow(Flow.CASH_OUT) == 11_000 * ONE + ONE // 2


def test_an_exhausted_pool_fills_nothing_and_pays_out_in_the_end() -> None:
    """Requests go back at once; what is left repays insurance, then goes to the shares."""
    bench = ruined()
    newcomer = bench.account()
    bench.request(newcomer, RequestKind.DEPOSIT_MAIN, 100 * ONE)
    redeem = bench.request(MAIN_PROVIDER, RequestKind.REDEEM_MAIN, 5 * ONE).request
    owned = int(bench.state.accounts[MAIN_PROVIDER].main_shares) + 5 * ONE
    before = bench.balance(newcomer) + 100 * ONE
    done = bench.flush_when_due()
    assert (
        done.condition
        == Condition.EXHAUSTED
        == condition(bench.state, bench.rules, bench.market, bench.now)
    )
    assert bench.balance(newcomer) == before
    assert int(bench.state.requests[redeem].status) == RequestStatus.RETURNED
    assert int(bench.state.accounts[MAIN_PROVIDER].main_shares) == owned
    asked = bench.request(newcomer, RequestKind.DEPOSIT_MAIN, ONE)
    assert asked.refusal.code == Reject.EXHAUSTED
    assert bench.open(newcomer, ONE).refusal.code == Reject.EXHAUSTED
    beyond = max(int(bench.pool.locked) - int(bench.pool.main), 0)
    assert beyond > 0
    bench.change(cooldown_ms=0)
    held = int(bench.state.accounts[INSURANCE_PROVIDER].insurance_shares)
    leaving = held // 3
    bench.request(INSURANCE_PROVIDER, RequestKind.REDEEM_INSURANCE, leaving)
    cash, supply = int(bench.pool.insurance), int(bench.pool.insurance_shares)
    before = bench.balance(INSURANCE_PROVIDER)
    done = bench.flush_when_due()
    worst = int(done.insurance.low)
    assert cash - beyond <= worst < cash
    gross = leaving * (worst + 1) // (supply + 1)
    assert 0 < gross - (bench.balance(INSURANCE_PROVIDER) - before) <= gross // 100
    (position,) = bench.live_positions()
    account = int(position.account)
    fill = bench.close(account, int(position.position_id), int(position.notional))
    assert fill.refusal.code == Reject.NONE
    owners = bench.balance(MAIN_PROVIDER), bench.balance(INSURANCE_PROVIDER)
    insurance, advances = int(bench.pool.insurance), int(bench.pool.advances)
    main = int(bench.pool.main)
    bench.flush_when_due(1)
    repaid = min(main, advances)
    of_insurance = int(bench.state.accounts[INSURANCE_PROVIDER].insurance_shares)
    assert of_insurance == 0 == int(bench.state.accounts[MAIN_PROVIDER].main_shares)
    got = bench.balance(INSURANCE_PROVIDER) - owners[1]
    shares = int(supply) - leaving
    expected = (insurance + repaid) * (held - leaving) / shares
    assert got == pytest.approx(expected, rel=1e-6)
    assert bench.balance(MAIN_PROVIDER) - owners[0] <= main - repaid
    assert int(bench.pool.advances) == 0
    assert int(bench.pool.main_shares) == int(bench.pool.main_seed_shares)
    bench.flush_when_due(1)  # and nothing more happens
    assert bench.balance(INSURANCE_PROVIDER) - owners[1] == got


def test_a_stressed_pool_takes_what_lowers_its_stress_and_lets_a_fifth_go() -> None:
    """Below 1.25 base stresses: no more calls, but puts; a fifth of the shares may leave."""
    bench = exposed(20_000 * ONE)
    bench.change(cover_layer_ppm=0, free_stress=3.0)
    bench.warm()
    assert condition(bench.state, bench.rules, bench.market, bench.now) == Condition.STRESSED
    trader = bench.account()
    assert bench.open(trader, 10 * ONE, 100_000).refusal.code == Reject.STRESS_LIMIT
    closed = bench.copy().close(TRADER, 1, 100 * ONE)
    assert closed.refusal.code in (Reject.NONE, Reject.POSITION_UNKNOWN)
    hedge = bench.open(trader, 10 * ONE, 100_000, is_call=False)
    assert hedge.refusal.code == Reject.NONE
    before = int(bench.pool.main_shares)
    bench.change(free_stress=3.0, free_locked_ppm=0, stressed_share_ppm=10_000)
    bench.request(MAIN_PROVIDER, RequestKind.REDEEM_MAIN, 5_000 * ONE)
    done = bench.flush_when_due()
    assert done.condition == Condition.STRESSED
    gone = before - int(bench.pool.main_shares)
    assert 0 <= gone <= before * 10_000 // PPM


def test_a_pool_that_winds_down_only_closes_and_crosses() -> None:
    """N_mid below the base stress: nothing opened, minted or paid out; crossing goes on."""
    bench = exposed(22_000 * ONE)
    bench.change(stress_move=0.9, cover_layer_ppm=0)
    bench.tick(112_000)
    bench.warm()
    assert condition(bench.state, bench.rules, bench.market, bench.now) == Condition.WINDDOWN
    trader = bench.account()
    refused = bench.open(trader, 10 * ONE, 112_000, is_call=False)
    assert refused.refusal.code == Reject.WINDDOWN
    waiting = bench.request(trader, RequestKind.DEPOSIT_MAIN, 300 * ONE).request
    leaving = bench.request(MAIN_PROVIDER, RequestKind.REDEEM_MAIN, 100 * ONE).request
    supply = int(bench.pool.main_shares)
    done = bench.flush_when_due()
    assert done.condition == Condition.WINDDOWN
    assert int(bench.state.requests[leaving].filled) == int(done.main.crossed)
    assert 100 * ONE - 2 <= int(done.main.crossed) <= 100 * ONE
    assert int(bench.pool.main_shares) == supply
    assert 0 < int(bench.state.requests[waiting].amount) < 300 * ONE
    assert int(bench.state.requests[waiting].status) == RequestStatus.OPEN
    assert bench.cancel(trader, waiting).code == Reject.NONE
    position = next(each for each in bench.live_positions() if each.account == TRADER)
    closed = bench.close(TRADER, int(position.position_id), int(position.notional))
    assert closed.refusal.code == Reject.NONE


def test_a_cover_period_starts_over() -> None:
    """At its last flush the loss, what was claimed, N_0 and I_0 begin anew."""
    bench = moved(exposed(), 115_000)
    assert int(bench.pool.cover_claimed) > 0 > int(bench.pool.cover_pnl)
    for _ in range(2):
        assert bench.flush_when_due().new_period == 0
    assert bench.flush_when_due().new_period == 1
    pool = bench.pool
    assert (int(pool.cover_pnl), int(pool.cover_claimed)) == (0, 0)
    assert int(pool.cover_insurance) == int(pool.insurance)
    assert cover_of(bench.state, bench.rules, 0).deductible == int(pool.cover_nav) * 50_000 // PPM


def test_nobody_can_fill_the_queue_alone() -> None:
    """A hundred open requests of one account; one taken back makes room for one."""
    bench = funded()
    account = bench.account()
    bench.checked = False
    slots = [
        bench.request(account, RequestKind.DEPOSIT_MAIN, ONE).request for _ in range(REQUESTS_MAX)
    ]
    more = bench.request(account, RequestKind.DEPOSIT_MAIN, ONE)
    assert more.refusal.code == Reject.QUEUE_LIMIT
    assert bench.cancel(account, slots[0]).code == Reject.NONE
    assert bench.request(account, RequestKind.DEPOSIT_MAIN, ONE).refusal.code == Reject.NONE


def test_taking_requests_back_makes_no_room_for_more_than_two_hundred() -> None:
    """Until the next flush; one made after the cut-off counts for the flush it is for too."""
    bench = funded()
    account = bench.account()
    bench.checked = False

    def ask() -> tuple[int, ...]:
        asked = bench.request(account, RequestKind.DEPOSIT_MAIN, ONE)
        if asked.refusal.code == Reject.NONE:
            bench.cancel(account, asked.request)
        return tuple(int(each) for each in asked.refusal)

    full = (Reject.QUEUE_LIMIT, REQUESTS_MADE_MAX, REQUESTS_MADE_MAX + 1)
    assert {ask() for _ in range(REQUESTS_MADE_MAX - 1)} == {(0, 0, 0)}
    bench.now = int(bench.pool.cutoff_ms) + 1
    assert (ask(), ask()) == ((0, 0, 0), full)
    assert requests_made_by(bench.state, account) == REQUESTS_MADE_MAX
    bench.flush_when_due()
    assert requests_made_by(bench.state, account) == 1
    assert {ask() for _ in range(REQUESTS_MADE_MAX - 1)} == {(0, 0, 0)}
    assert ask() == full
    bench.flush_when_due()
    assert requests_made_by(bench.state, account) == 0
