"""What is only looked at never fails and changes nothing, and what leads out is never shut."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm.units import DAY_MS, HOUR_MS, ONE, PPM
from tests.properties.vault import REAL, Pool, Vault, made
from tests.vaults.harness import Bench, clone, funded
from tests.vaults.test_accepted_parameters import look
from vaults.account import spendable
from vaults.capacity import backing, rent_rate_e15, utilisation
from vaults.condition import Condition, condition, stress_needed, stress_of_book
from vaults.crossing import crossing_price
from vaults.flush import Flushed, exit_fee_ppm, free_main, marks_are_good
from vaults.insurance import claim_of, cover_of, cover_price_ppm, free_insurance, repayment_of
from vaults.invariants import states_are_equal
from vaults.moves import RequestKind, RequestStatus
from vaults.nav import accrued_to_insurance, unvested_spread
from vaults.rejects import Reject
from vaults.shares import cost_of, gross_for, shares_for
from vaults.state import NONE
from vaults.ticker import ticker
from vaults.valuation import value_book

FULL = REAL._replace(stress_share_ppm=PPM)
TRADER, USER = 2, 3
SIZES = (0, 1, ONE, 10**14)


@cache
def _full() -> Bench:
    """Return a pool whose calls, and some puts, lock all that main and insurance may back."""
    bench = funded(1_000 * ONE, 1_000 * ONE, FULL)
    for account in (TRADER, USER):
        assert bench.account() == account
    bench.request(USER, RequestKind.DEPOSIT_MAIN, 50 * ONE)
    bench.request(USER, RequestKind.DEPOSIT_INSURANCE, 50 * ONE)
    bench.flush_when_due(1)
    assert bench.open(TRADER, 2_560 * ONE).notional > 0
    notional = 512 * ONE
    while notional >= ONE:
        if bench.open(TRADER, notional, is_call=False).notional == 0:
            notional //= 2
    backed = int(backing(bench.rules, bench.pool.main, bench.pool.insurance))
    assert backed - ONE < bench.pool.locked <= backed
    bench.tick(after_ms=2 * HOUR_MS)
    return bench


def full() -> Bench:
    return _full().copy()


def preview(bench: Bench) -> None:
    """Read what a provider is shown, and what a flush would reckon with."""
    state, rules, now = bench.state, bench.rules, bench.now
    nav = bench.nav()
    place = (state, rules, bench.market)
    assert condition(*place, now) in list(Condition)
    value_book(*place)
    stress = int(stress_of_book(state))
    assert stress_needed(rules, stress) >= stress >= 0
    assert nav.low <= crossing_price(nav, int(unvested_spread(state, rules, now))) <= nav.high
    pool = bench.pool
    main, insurance = int(pool.main), int(pool.insurance)
    assert 0 <= free_main(state, rules, nav.low, stress) <= main
    assert 0 <= free_insurance(state, rules) <= insurance
    cover = cover_of(state, rules, nav.mid - int(pool.nav_after))
    assert 0 <= claim_of(cover) <= cover.available <= insurance
    assert 0 <= cover_price_ppm(state, rules, stress) <= 80_000
    assert 0 <= repayment_of(state, rules, 10**12, main) <= pool.advances
    assert accrued_to_insurance(state) >= 0
    used = utilisation(pool.locked, backing(rules, main, insurance))
    assert rent_rate_e15(rules, used, 0) >= 0
    assert bool(marks_are_good(*place, now)) in {True, False}
    for supply, worth in (
        (int(pool.main_shares), nav.low),
        (int(pool.main_shares), nav.high),
        (int(pool.insurance_shares), insurance),
    ):
        for size in SIZES:
            assert shares_for(size, supply, worth) >= 0
            assert gross_for(size, supply, worth) >= 0
            if worth >= 0 and size <= supply:
                assert cost_of(size, supply, worth) >= 0
    assert 1_000 <= exit_fee_ppm(state, rules, main, insurance) <= 6_000
    for account in range(int(pool.account_count)):
        assert spendable(state, rules, account, now) >= 0
    for is_call in (True, False):
        ticker(*place, 0, is_call, 100_000 * ONE)


def assert_visible(bench: Bench) -> None:
    """Look at everything, and see that nothing has been touched."""
    before = clone(bench.state)
    look(bench, min(TRADER, int(bench.pool.account_count) - 1))  # NONE where there is nobody
    preview(bench)
    assert states_are_equal(before, bench.state)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0.02, 0.5, 0.9, 1.0, 1.1, 1.45, 1.6, 40.0]),
        st.sampled_from([0.05, 0.5, 3.0]),
        st.sampled_from([1_000, HOUR_MS, 2 * DAY_MS]),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@given(is_full=st.booleans(), events=EVENTS)
def test_views_never_fail(is_full: bool, events: list[tuple[float, float, int, bool]]) -> None:
    """Wherever the marks are and whatever is left of the pools; and nothing is changed by them."""
    bench = full() if is_full else made(REAL, Pool.MAIN).bench
    for factor, vol, after_ms, has_flush in events:
        bench.tick(100_000 * factor, btc_vol=vol, after_ms=after_ms)
        assert_visible(bench)
        if has_flush:
            at_once(bench)
            assert_visible(bench)
    bench.now += DAY_MS
    assert_visible(bench)


INDEX = {
    Condition.NORMAL: 100_000,
    Condition.STALE: 100_000,
    Condition.STRESSED: 105_000,
    Condition.WINDDOWN: 120_000,
    Condition.EXHAUSTED: 149_000,
}
"""Where the full pool is in each condition; the last at the flush that finds it so."""


def in_condition(wanted: Condition) -> Bench:
    """Return a full pool in a condition, with a request of each kind; they can be taken back."""
    bench = full()
    for kind in RequestKind:
        assert bench.request(USER, kind, ONE).refusal.code == Reject.NONE
    bench.tick(INDEX[wanted], after_ms=2 * HOUR_MS)
    if wanted == Condition.STALE:
        bench.now += HOUR_MS
    if wanted == Condition.EXHAUSTED:
        bench.change(cover_layer_ppm=0)  # a claim would revive it
        assert at_once(bench).condition == Condition.EXHAUSTED
    return bench


def at_once(bench: Bench) -> Flushed:
    """Flush now."""
    bench.pool.next_flush_ms = bench.now
    done = bench.flush()
    assert done.done == 1
    return done


@pytest.mark.parametrize("wanted", Condition)
def test_the_ways_out_are_open_in_every_condition(wanted: Condition) -> None:
    """Selling, taking a request back, withdrawing: whatever the pool is like.

    Without a fresh index a sale waits for one; it is kept, not refused (`tests/api/test_orders`).
    """
    bench = in_condition(wanted)
    state, place = bench.state, (bench.rules, bench.market, bench.now)
    assert condition(state, *place) == wanted
    for slot in range(int(bench.pool.request_count)):
        if state.requests[slot].status == RequestStatus.OPEN:
            assert bench.cancel(USER, slot).code == Reject.NONE
    assert bench.pool.escrow_main == bench.pool.escrow_insurance == 0
    assert bench.withdraw(USER, bench.balance(USER)).code == Reject.NONE
    for position in bench.live_positions():
        holder, number = int(position.account), int(position.position_id)
        code = bench.close(holder, number, int(position.notional)).refusal.code
        assert code == (Reject.MARK_STALE if wanted == Condition.STALE else Reject.NONE)
    assert (bench.pool.locked == 0) == (wanted != Condition.STALE)


def test_below_nothing_a_pool_is_valued_and_fills_nothing() -> None:
    """A negative NAV is a number; who comes and who goes then gets back what was offered."""
    bench = full()
    kinds = (RequestKind.DEPOSIT_MAIN, RequestKind.REDEEM_MAIN)
    requests = [int(bench.request(USER, kind, ONE).request) for kind in kinds]
    bench.tick(INDEX[Condition.EXHAUSTED], after_ms=2 * HOUR_MS)
    nav = bench.nav()
    assert nav.low < nav.mid < nav.high < 0
    assert_visible(bench)
    bench.change(cover_layer_ppm=0)  # a claim would revive it
    done = at_once(bench)
    assert (done.condition, bench.pool.exhausted) == (Condition.EXHAUSTED, 1)
    assert done.main.free == done.main.crossed == 0
    for slot in requests:
        row = bench.state.requests[slot]
        assert (int(row.status), int(row.filled)) == (RequestStatus.RETURNED, 0)
    assert bench.request(USER, RequestKind.DEPOSIT_MAIN, ONE).refusal.code == Reject.EXHAUSTED
    assert_visible(bench)


def test_a_token_just_listed_has_a_seed_and_can_be_looked_at() -> None:
    """Without accounts, positions and flushes; shares are there before anybody's are."""
    bench = Bench(REAL)
    bench.tick()
    assert_visible(bench)
    for pool in Pool:
        vault = Vault(bench, pool, (), NONE)
        assert vault.assets == vault.supply == bench.parameters.seed > 0
