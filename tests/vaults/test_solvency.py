"""Every payout is funded, on every path of prices: locks are the most that can ever be paid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm.units import DAY_MS, MINUTE_MS, ONE, PPM, mul_div_down
from tests.vaults.harness import BTC, ETH, Bench, funded
from vaults.capacity import backing, lock_of
from vaults.moves import Bucket, Flow, Move, RequestKind
from vaults.params import Parameters
from vaults.rejects import Reject

REDEEM_MAIN, REDEEM_INSURANCE = RequestKind.REDEEM_MAIN, RequestKind.REDEEM_INSURANCE
OPEN_TO_ALL = Parameters(
    series_share_ppm=PPM,
    account_share_ppm=PPM,
    stress_share_ppm=PPM,
    series_live_max=8,
    cooldown_ms=0,
    # A pool that has lost its NAV still has a tolerance that its book can be divided by.
    seed=200 * ONE,
    accrual_gap_ms=DAY_MS,
    keep_reserve_ms=DAY_MS,
)
MAIN, INSURANCE = 10_000 * ONE, 5_000 * ONE


def capacity_left(bench: Bench) -> int:
    """Return what may still be locked."""
    pool = bench.pool
    return int(backing(bench.rules, pool.main, pool.insurance)) - int(pool.locked)


def fill_up(bench: Bench, account: int, strike: int, underlying: int, is_call: bool) -> int:
    """Open as much of a series as is taken; returns its notional."""
    notional = 2 * max(capacity_left(bench), 0)
    for _ in range(40):
        if notional < ONE:
            return 0
        fill = bench.open(account, notional, strike, is_call=is_call, underlying=underlying)
        if fill.refusal.code == Reject.NONE:
            return notional
        notional = notional * 9 // 10
    return 0


def locked_to_capacity() -> tuple[Bench, int, list[int]]:
    """Return a bench whose calls and puts lock all of M + K, to within a few units."""
    bench = funded(MAIN, INSURANCE, OPEN_TO_ALL)
    account = bench.account()
    bench.credit(account, 50_000 * ONE)
    call = bench.open(account, 12_000 * ONE, 100_000)
    put = bench.open(account, 12_000 * ONE, 100_000, is_call=False)
    assert call.refusal.code == put.refusal.code == Reject.NONE
    position = put.position_id
    for _ in range(60):
        more = 2 * capacity_left(bench)
        if more < bench.parameters.notional_min:
            break
        fill = bench.open(account, more, 100_000, is_call=False)
        assert fill.refusal.code == Reject.NONE
    assert 0 <= capacity_left(bench) < bench.parameters.notional_min
    return bench, account, [call.position_id, position]


@pytest.mark.parametrize("first_up", [True, False])
def test_a_whipsaw_through_a_full_pool_is_paid_in_full(first_up: bool) -> None:
    """Calls cashed at the top and puts at the bottom, with M + K locked: each gets its cap.

    Together they are owed all that is locked, which is more than main has: insurance pays the
    rest, and main owes it.
    """
    bench, account, positions = locked_to_capacity()
    assert bench.pool.locked > bench.pool.main
    sizes = [int(bench.position(each).notional) for each in positions]
    tops = (150_000, 50_000) if first_up else (50_000, 150_000)
    insurance = int(bench.pool.insurance)
    balance = bench.balance(account)
    premium = bench.flow(Flow.PREMIUM_MAIN) + bench.flow(Flow.PREMIUM_INSURANCE)
    for price in tops:
        bench.tick(price)
    assert bench.flow(Flow.CASH_OUT) == sum(size // 2 for size in sizes)
    assert bench.pool.locked == 0
    assert bench.pool.insurance < insurance
    assert bench.pool.advances > 0
    paid = bench.flow(Flow.PREMIUM_MAIN) + bench.flow(Flow.PREMIUM_INSURANCE) - premium
    assert bench.balance(account) == balance + bench.flow(Flow.CASH_OUT) - paid
    assert bench.flow(Flow.WRITTEN_OFF) <= bench.settlements


@pytest.mark.parametrize("price", [149_999, 145_000, 50_001, 100_000])
def test_a_full_pool_pays_every_sale(price: int) -> None:
    """Sold just before the cap, all at once or in parts: never more than the lock released."""
    bench, account, positions = locked_to_capacity()
    bench.tick(price)
    for position in positions:
        while bench.position(position) is not None:
            notional = int(bench.position(position).notional)
            locked = int(bench.pool.locked)
            part = notional if notional < 100 * ONE else notional // 3 + 1
            fill = bench.close(account, position, part)
            assert fill.refusal.code == Reject.NONE
            assert fill.amount + fill.fee <= locked - int(bench.pool.locked)
    assert bench.pool.locked == 0


def test_payouts_beyond_main_come_from_insurance_and_are_owed() -> None:
    """The log says who paid what: main to its last unit, then insurance, as an advance."""
    bench, _, _ = locked_to_capacity()
    bench.pool.insurance += 3_000 * ONE  # move most of main's cash away, keeping custody
    bench.pool.main -= 3_000 * ONE
    bench.tick(150_000)
    bench.tick(50_000)
    assert bench.pool.main <= 50_000_000
    paid = bench.pool.advances
    assert paid > 2_500 * ONE
    assert int(bench.pool.insurance) + int(bench.pool.main) >= 0
    transfers = bench.moves[bench.moves[:, 0] == Move.TRANSFER]
    assert not (transfers[:, 1] == Bucket.OUTSIDE).any()


@given(
    cap_ppm=st.integers(1, PPM - 1),
    parts=st.lists(st.integers(1, 10**13), min_size=1, max_size=8),
)
def test_a_payout_is_never_more_than_the_lock_it_releases(cap_ppm: int, parts: list[int]) -> None:
    """For any split of a position: floor(N cap) of a part is within what its going unlocks."""
    held = sum(parts)
    for part in parts:
        released = lock_of(held, cap_ppm) - lock_of(held - part, cap_ppm)
        assert mul_div_down(part, cap_ppm, PPM) <= released
        held -= part
    assert lock_of(held, cap_ppm) == 0


STEP = st.one_of(
    st.tuples(
        st.just("move"), st.sampled_from([0.5, 0.67, 0.9, 1.0, 1.12, 1.5]), st.integers(1, 9)
    ),
    st.tuples(st.just("open"), st.integers(-4, 4), st.booleans()),
    st.tuples(st.just("open"), st.integers(-4, 4), st.booleans()),
    st.tuples(st.just("leave"), st.booleans(), st.integers(1, 10)),
    st.tuples(st.just("flush"), st.just(0), st.just(0)),
    st.tuples(st.just("sell"), st.integers(0, 50), st.integers(1, 10)),
)


@given(steps=st.lists(STEP, min_size=5, max_size=40), underlying=st.sampled_from([BTC, ETH]))
def test_no_path_leaves_a_lock_unfunded(
    steps: list[tuple[str, float, int]], underlying: int
) -> None:
    """An adversary fills the pool, moves the market and lets providers run: locked <= M + I.

    The bench checks I5 after every command; opens and redemptions leave locked <= M + K.
    """
    bench = funded(MAIN, INSURANCE, OPEN_TO_ALL)
    account = bench.account()
    ladder = (1_000, 50)[underlying]
    for action, how, much in steps:
        if action == "move":
            price = min(max(bench.prices[underlying] * how, 30 * ladder), 400 * ladder)
            prices = (price, None) if underlying == BTC else (None, price)
            bench.tick(*prices, after_ms=much * MINUTE_MS)
        elif action == "open":
            strike = (round(bench.prices[underlying] / ladder) + round(how) * 3) * ladder
            if fill_up(bench, account, strike, underlying, bool(much)):
                assert capacity_left(bench) >= 0
        elif action == "leave":
            row = bench.state.accounts[0 if how else 1]
            held = int(row.main_shares if how else row.insurance_shares)
            kind = REDEEM_MAIN if how else REDEEM_INSURANCE
            bench.request(0 if how else 1, kind, held * much // 10)
        elif action == "flush":
            bench.change(window_marks_min=1)
            bench.pool.next_flush_ms = bench.now
            locked, before = int(bench.pool.locked), int(bench.pool.main + bench.pool.insurance)
            bench.flush()
            if bench.pool.main + bench.pool.insurance < before:
                assert locked <= bench.pool.main + bench.pool.insurance // 2 + 8
        else:
            held_positions = bench.live_positions()
            if held_positions:
                position = held_positions[int(how) % len(held_positions)]
                notional = max(int(position.notional) * much // 10, 1)
                bench.close(account, int(position.position_id), notional)


def test_the_least_capacity_is_the_capacity() -> None:
    """One unit of lock more than M + K, after what the buyer pays, is refused."""
    bench = funded(MAIN, INSURANCE, OPEN_TO_ALL)
    other, account = bench.account(), bench.account()
    assert bench.open(other, 10_000 * ONE, is_call=False).refusal.code == Reject.NONE
    low, high = ONE, 60_000 * ONE
    while high - low > 1:
        middle = (low + high) // 2
        fill = bench.copy().open(account, middle)
        low, high = (middle, high) if fill.refusal.code == Reject.NONE else (low, middle)
    refused = bench.copy().open(account, high).refusal
    assert refused.code == Reject.CAPACITY
    assert refused.actual == int(bench.pool.locked) + lock_of(high, 500_000)
    assert refused.actual == refused.limit + 1
    bench.open(account, low)
    assert bench.pool.locked <= backing(bench.rules, bench.pool.main, bench.pool.insurance)


def test_a_pool_that_has_lost_everything_still_buys_back() -> None:
    """With no NAV left the tolerance is a tenth of the seed: sales are paid, nothing overflows."""
    wide = Parameters(
        series_share_ppm=PPM, account_share_ppm=PPM, stress_share_ppm=700_000, cover_layer_ppm=0
    )
    bench = funded(1_000 * ONE, 500 * ONE, wide)
    account = bench.account()
    for _ in range(12):
        assert bench.open(account, 198 * ONE).refusal.code == Reject.NONE
    bench.tick(147_000, btc_vol=1.0)
    bench.warm()
    bench.flush_when_due()
    assert bench.pool.nav_reference == 0
    for part in (ONE, 100 * ONE, 2_275 * ONE):
        locked = int(bench.pool.locked)
        fill = bench.close(account, 1, part)
        assert fill.refusal.code == Reject.NONE
        assert 0.4 * part < fill.amount <= locked - bench.pool.locked
    assert bench.pool.locked == 0


@pytest.mark.parametrize("notional", [10**6 * ONE, 10**7 * ONE, 2**52 - 1])
def test_an_order_beyond_any_pool_is_only_refused(notional: int) -> None:
    """However much is asked for, the answer is a code with its numbers."""
    bench = funded()
    account = bench.account()
    assert bench.open(account, notional).refusal.code == Reject.SERIES_SHARE
    bench.change(series_share_ppm=PPM, account_share_ppm=PPM, stress_share_ppm=700_000)
    assert bench.open(account, 30_000 * ONE).refusal.code == Reject.SERIES_SHARE


def crowded() -> tuple[Bench, int]:
    """Return a bench with an account that holds many positions of dust."""
    bench = funded()
    account = bench.account()
    for strike in range(81_000, 121_000, 1_000):
        for is_call in (True, False):
            bench.open(account, ONE // 100, strike, is_call=is_call)
    assert len(bench.live_positions()) > 65  # puts far below are worth less than the least total
    return bench, account


@pytest.mark.compiled
def test_many_requests_beside_many_positions_are_flushed() -> None:
    """The moves of one command fit, whoever tries to make them many."""
    bench, account = crowded()
    for _ in range(60):
        asked = bench.request(account, RequestKind.DEPOSIT_MAIN, ONE // 100, ONE)
        assert asked.refusal.code == Reject.NONE
    assert bench.flush_when_due().done == 1
    assert bench.pool.escrow_main == 0


@pytest.mark.compiled
@pytest.mark.parametrize("price", [125_000, 150_000, 179_000, 40_000])
def test_many_positions_of_one_account_are_cashed_out(price: int) -> None:
    """A jump that ends half of them at once."""
    bench, account = crowded()
    bench.tick(price)
    assert bench.flow(Flow.CASH_OUT) > 0
    assert bench.balance(account) > 0


@pytest.mark.compiled
def test_many_positions_of_one_account_run_dry_together() -> None:
    """Many sales in one tick, after a large position that was there first."""
    bench = funded()
    account = bench.account()
    assert bench.open(account, 400 * ONE).refusal.code == Reject.NONE
    bench.checked = False
    bench.tick(after_ms=DAY_MS)
    for strike in range(80_000, 120_000, 1_000):
        for is_call in (True, False):
            bench.open(account, ONE // 100, strike, is_call=is_call)
    bench.drain(account)
    for _ in range(65):
        bench.tick()
    bench.checked = True
    bench.tick()
    assert bench.flow(Flow.CLOSE) > 0
    assert bench.flow(Flow.WRITTEN_OFF) <= bench.settlements
