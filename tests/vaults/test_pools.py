"""Both pools: requests, the price of a flush, what can leave, and what leaving costs."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm.units import AMOUNT_MAX, DAY_MS, E15, HOUR_MS, MINUTE_MS, ONE, PPM
from tests.vaults.harness import BTC, ETH, RICH, Bench, funded
from vaults.capacity import backing, rent_rate_e15, utilisation
from vaults.fills import fill_redemptions
from vaults.flush import exit_fee_ppm, free_main, marks_are_good, next_flush
from vaults.insurance import (
    cover_of,
    cover_price_ppm,
    free_insurance,
    peak_insurance,
)
from vaults.moves import Flow, RequestKind, RequestStatus
from vaults.nav import accrued_to_main, unvested_spread
from vaults.params import Parameters
from vaults.provide import long_waiting_shares, rent_doubles
from vaults.rejects import Reject
from vaults.shares import exit_fee, gross_for, shares_for
from vaults.state import VEST_LOTS

DEPOSIT_MAIN, REDEEM_MAIN = RequestKind.DEPOSIT_MAIN, RequestKind.REDEEM_MAIN
DEPOSIT_INSURANCE = RequestKind.DEPOSIT_INSURANCE
REDEEM_INSURANCE = RequestKind.REDEEM_INSURANCE
MAIN_PROVIDER, INSURANCE_PROVIDER = 0, 1
WIDE = Parameters(series_share_ppm=PPM, account_share_ppm=PPM, stress_share_ppm=700_000)
MANY = st.integers(1, 10**14)


def shares_of(bench: Bench, account: int) -> int:
    return int(bench.state.accounts[account].main_shares)


def traded(notional: int = 500 * ONE, parameters: Parameters | None = None) -> Bench:
    """Return a funded bench with an open call of account 2."""
    bench = funded(parameters=parameters)
    trader = bench.account()
    assert bench.open(trader, notional).refusal.code == Reject.NONE
    bench.warm(2)
    return bench


# Shares.


@given(amount=MANY, supply=MANY, nav=st.integers(-(10**14), 10**14))
def test_shares_and_their_worth_round_down(amount: int, supply: int, nav: int) -> None:
    """Exactly the floor of the formula, nothing where the pool is worth less than nothing."""
    if nav < 0:
        assert shares_for(amount, supply, nav) == gross_for(amount, supply, nav) == 0
        return
    minted, worth = amount * (supply + 1) // (nav + 1), amount * (nav + 1) // (supply + 1)
    assert shares_for(amount, supply, nav) == (minted if minted <= AMOUNT_MAX else 0)
    assert gross_for(amount, supply, nav) == (worth if worth <= AMOUNT_MAX else 0)


@given(gross=MANY, fee_ppm=st.integers(0, 6_000))
def test_the_exit_fee_rounds_up(gross: int, fee_ppm: int) -> None:
    """The leaver pays the dust."""
    assert exit_fee(gross, fee_ppm) == -(-gross * fee_ppm // PPM)


@given(amount=MANY, supply=MANY, nav=MANY)
def test_shares_bought_and_sold_at_one_price_never_gain(amount: int, supply: int, nav: int) -> None:
    """In and out again at unchanged NAV: at most what went in."""
    minted = shares_for(amount, supply, nav)
    assert gross_for(minted, supply + minted, nav + amount) <= amount


# Prices of a flush.


def test_deposits_pay_the_high_and_redemptions_get_the_low_value() -> None:
    """Shares minted at N_hi, burnt at N_lo, both priced before anything moves."""
    asked, leaving = 1_000 * ONE, 2_000 * ONE
    bench = traded()
    depositor = bench.account()
    bench.request(depositor, DEPOSIT_MAIN, asked)
    done = bench.flush_when_due()
    nav, supply = done.nav, int(done.main.supply)
    assert nav.low < nav.mid < nav.high
    assert shares_of(bench, depositor) == asked * (supply + 1) // (int(nav.high) + 1)
    bench = traded()
    bench.request(MAIN_PROVIDER, REDEEM_MAIN, leaving)
    balance = bench.balance(MAIN_PROVIDER)
    done = bench.flush_when_due()
    nav, supply = done.nav, int(done.main.supply)
    gross = leaving * (int(nav.low) + 1) // (supply + 1)
    received = bench.balance(MAIN_PROVIDER) - balance
    assert received == gross - -(-gross * 1_000 // PPM)
    assert bench.flow(Flow.EXIT_FEE) == gross - received


def test_nav_is_cash_less_the_book() -> None:
    """Each of the three values from its parts, in floating point."""
    bench = traded()
    nav, mark = bench.nav(), bench.state.marks[0]
    notional = int(bench.state.series[0].open_notional)
    refundable, accrued = int(bench.pool.impact_refundable), int(accrued_to_main(bench.state))
    unearned = int(unvested_spread(bench.state, bench.rules, bench.now))
    cash = int(bench.pool.main) + accrued
    assert refundable > 0
    assert accrued > 0
    assert unearned > 0
    assert nav.mid == pytest.approx(cash - notional * mark.value_median - refundable, abs=2)
    assert nav.high == pytest.approx(cash - notional * mark.value_low, abs=2)
    low = cash - notional * mark.value_high - refundable - unearned
    assert nav.low == pytest.approx(low, abs=2)
    bench.state.pool[0].advances = 12_345
    assert bench.nav().low == nav.low - 12_345
    assert bench.nav().mid == nav.mid


def test_the_window_widens_the_prices() -> None:
    """An excursion within the last hour, or a point of vol, is against whoever comes or goes."""
    calm, shaken = traded(), traded()
    shaken.tick(103_000)
    for bench in (calm, shaken):
        bench.tick(100_000)
    assert shaken.nav().mid == pytest.approx(calm.nav().mid, abs=3_000_000)
    assert shaken.nav().low < calm.nav().low - ONE
    assert shaken.nav().high == pytest.approx(calm.nav().high, rel=1e-6)
    shaken.warm(70)
    calm.warm(71)
    assert shaken.nav().low == pytest.approx(calm.nav().low, abs=100_000)


@pytest.mark.parametrize("extra", [0, 1])
def test_a_missed_limit_returns_that_deposit_alone(extra: int) -> None:
    """One share too many is asked for: the tokens go back, the other deposit is filled."""
    bench = traded()
    first, second = bench.account(), bench.account()
    done = bench.copy().flush_when_due()
    fair = int(shares_for(10 * ONE, int(done.main.supply), int(done.nav.high)))
    before = bench.balance(first)
    bench.request(first, DEPOSIT_MAIN, 10 * ONE, fair + extra)
    bench.request(second, DEPOSIT_MAIN, 10 * ONE, 0)
    assert bench.flush_when_due().done == 1
    assert shares_of(bench, second) == fair
    assert shares_of(bench, first) == (0 if extra else fair)
    assert bench.balance(first) == before - (0 if extra else 10 * ONE)
    status = RequestStatus.RETURNED if extra else RequestStatus.FILLED
    assert [int(each.status) for each in bench.state.requests[1:3]] == [status, 1]


@pytest.mark.parametrize("extra", [0, 1])
def test_a_missed_limit_returns_that_redemption_alone(extra: int) -> None:
    """One unit too many is asked for: the shares go back, the queue behind it goes on."""
    bench = traded()
    done = bench.copy().flush_when_due()
    gross = int(gross_for(10 * ONE, int(done.main.supply), int(done.nav.low)))
    paid = gross - int(exit_fee(gross, 1_000))
    held, before = shares_of(bench, MAIN_PROVIDER), bench.balance(MAIN_PROVIDER)
    bench.request(MAIN_PROVIDER, REDEEM_MAIN, 10 * ONE, paid + extra)
    bench.request(MAIN_PROVIDER, REDEEM_MAIN, 10 * ONE)
    assert bench.flush_when_due().done == 1
    assert bench.balance(MAIN_PROVIDER) == before + (paid if extra else 2 * paid)
    assert shares_of(bench, MAIN_PROVIDER) == held - (10 if extra else 20) * ONE
    status = RequestStatus.RETURNED if extra else RequestStatus.FILLED
    assert [int(each.status) for each in bench.state.requests[1:3]] == [status, 1]


def test_until_the_cutoff_a_request_is_free_to_go() -> None:
    """At the cut-off still, a millisecond later no more; made then, it is for the next flush."""
    bench = funded()
    account = bench.account()
    early = bench.request(account, DEPOSIT_MAIN, ONE).request
    other = bench.request(account, DEPOSIT_MAIN, ONE).request
    bench.now = int(bench.pool.next_flush_ms) - bench.parameters.cutoff_ms
    assert bench.cancel(account, other).code == Reject.NONE
    bench.now += 1
    assert bench.cancel(account, early).code == Reject.CUTOFF_PASSED
    late = bench.request(account, DEPOSIT_MAIN, ONE).request
    bench.flush_when_due(1)
    assert shares_of(bench, account) > 0
    assert int(bench.state.requests[early].status) == RequestStatus.FILLED
    assert int(bench.state.requests[late].status) == RequestStatus.OPEN
    assert bench.pool.escrow_main == ONE
    assert bench.cancel(account, late).code == Reject.NONE


def test_a_deposit_filled_at_a_flush_leaves_at_the_next_one() -> None:
    """The shortest stay is from one flush to the next."""
    bench = funded()
    account = bench.account(ONE)
    bench.request(account, DEPOSIT_MAIN, ONE)
    bench.flush_when_due(1)
    bench.request(account, REDEEM_MAIN, shares_of(bench, account))
    assert bench.balance(account) == 0
    bench.flush_when_due(1)
    assert 0 < bench.balance(account) <= ONE - ONE // 1_000


@pytest.mark.parametrize("fault", ["stale", "thin", "moving"])
def test_a_flush_waits_for_good_marks(fault: str) -> None:
    """Stale, too few, or not settled: an hour later is tried again, and nobody is filled."""
    bench = traded()
    account = bench.account()
    bench.request(account, DEPOSIT_MAIN, ONE)
    due = int(bench.pool.next_flush_ms)
    bench.tick(after_ms=due - bench.now - 31 * MINUTE_MS)
    bench.warm(30 if fault != "thin" else 1)
    bench.tick(101_100 if fault == "moving" else 100_900, after_ms=due - bench.now)
    if fault == "stale":
        bench.now += 10_001
    ready = bench.copy()
    assert not marks_are_good(bench.state, bench.rules, bench.market, bench.now)
    assert bench.flush().done == 0
    assert bench.pool.next_flush_ms == bench.now + HOUR_MS
    assert bench.pool.flushes == 1
    assert shares_of(bench, account) == 0
    ready.warm(31)
    assert ready.flush().done == 1
    assert shares_of(ready, account) > 0


def test_a_postponed_flush_can_be_left() -> None:
    """For half of the hour requests are free to go again, then they wait for the flush."""
    bench = traded()
    account = bench.account()
    first = bench.request(account, DEPOSIT_MAIN, ONE).request
    second = bench.request(account, DEPOSIT_MAIN, ONE).request
    bench.tick(after_ms=int(bench.pool.next_flush_ms) - bench.now)
    assert bench.cancel(account, first).code == Reject.CUTOFF_PASSED
    assert bench.flush().done == 0
    bench.now += HOUR_MS // 2
    assert bench.cancel(account, first).code == Reject.NONE
    bench.now += 1
    assert bench.cancel(account, second).code == Reject.CUTOFF_PASSED
    late = bench.request(account, DEPOSIT_MAIN, ONE).request
    bench.tick()
    bench.warm(30)
    assert bench.flush().done == 1
    statuses = [int(bench.state.requests[slot].status) for slot in (first, second, late)]
    wanted = [RequestStatus.CANCELLED, RequestStatus.FILLED, RequestStatus.OPEN]
    assert statuses == wanted


def test_without_a_book_marks_do_not_matter() -> None:
    """A pool that has sold nothing is worth its cash at any price."""
    bench = funded()
    bench.now = int(bench.pool.next_flush_ms)
    assert bench.market.windows[ETH].marks > 0
    assert marks_are_good(bench.state, bench.rules, bench.market, bench.now)
    assert bench.flush().done == 1


def test_flushes_are_at_ten() -> None:
    """The first ten o'clock after now, whatever now is."""
    parameters = funded().rules.parameters[0]
    for now in (0, 1, 10 * HOUR_MS - 1, 10 * HOUR_MS, 34 * HOUR_MS):
        then = int(next_flush(parameters, now))
        assert now < then <= now + DAY_MS
        assert then % DAY_MS == 10 * HOUR_MS


# What can leave.


def full_pool() -> Bench:
    """Return a pool with four fifths of its cash locked."""
    bench = funded(1_000 * ONE, parameters=WIDE)
    trader = bench.account()
    assert bench.open(trader, 800 * ONE, 110_000).refusal.code == Reject.NONE
    assert bench.open(trader, 800 * ONE, 90_000, is_call=False).refusal.code == Reject.NONE
    bench.warm(2)
    return bench


def test_redemptions_take_only_what_is_free() -> None:
    """All shares are asked for; the locks stay funded, the rest keeps its place and is filled."""
    bench = full_pool()
    bench.request(MAIN_PROVIDER, REDEEM_MAIN, shares_of(bench, MAIN_PROVIDER))
    before = int(bench.pool.main)
    bench.flush_when_due()
    paid = before - int(bench.pool.main)
    assert 0 < paid < 300 * ONE
    assert bench.pool.main >= bench.pool.locked - bench.pool.insurance // 2 - 1
    asked = bench.state.requests[1]
    assert int(asked.status) == RequestStatus.OPEN
    assert int(asked.flush) == 1
    waiting = int(asked.amount)
    for position in bench.live_positions():
        bench.close(2, int(position.position_id), int(position.notional))
    bench.flush_when_due()
    assert int(bench.state.requests[1].status) == RequestStatus.FILLED
    assert int(bench.state.requests[1].filled) == 1_000 * ONE
    assert waiting > 0
    assert bench.pool.main >= ONE


def test_the_marginal_flush_is_shared_in_proportion() -> None:
    """The older date is filled whole, the date that does not fit pro rata, the younger not."""
    bench = funded(1_000 * ONE, parameters=WIDE)
    providers = [bench.account() for _ in range(4)]
    for provider in providers:
        bench.request(provider, DEPOSIT_MAIN, 100 * ONE)
    bench.flush_when_due(1)
    trader = bench.account()
    bench.warm()
    bench.open(trader, 1_300 * ONE, 110_000)
    bench.open(trader, 1_300 * ONE, 90_000, is_call=False)
    bench.warm(2)
    first, second, third, fourth = (
        bench.request(provider, REDEEM_MAIN, shares).request
        for provider, shares in zip(
            providers, (20 * ONE, 100 * ONE, 50 * ONE, 70 * ONE), strict=True
        )
    )
    for slot, flush in ((first, 0), (second, 1), (third, 1), (fourth, 2)):
        bench.state.requests[slot].flush = flush
    bench.state.pool[0].flushes = 2
    bench.flush_when_due()
    filled = [int(bench.state.requests[slot].filled) for slot in (first, second, third, fourth)]
    assert filled[0] == 20 * ONE
    assert 0 < filled[1] < 100 * ONE
    assert abs(filled[1] - 2 * filled[2]) <= 2
    assert filled[3] == 0
    free = 1_401 * ONE + int(bench.pool.insurance) // 2 - int(bench.pool.locked)
    assert sum(filled) < free + 300 * ONE


def test_what_is_free_is_unlocked_and_not_needed_in_the_stress() -> None:
    """Each of the three limits in turn is the one that binds."""
    bench = full_pool()
    state, rules, pool = bench.state, bench.rules, bench.pool
    main, locked, insurance = int(pool.main), int(pool.locked), int(pool.insurance)
    assert free_main(state, rules, main, 0) == main - (locked - insurance // 2)
    pool.insurance = 600 * ONE
    assert free_main(state, rules, main, 0) == main - -(-locked * 8 // 10)
    assert free_main(state, rules, main, 720 * ONE) == main - 900 * ONE
    assert free_main(state, rules, 450 * ONE, 400 * ONE) == 0
    assert free_main(state, rules, -5, 0) == 0


def test_the_exit_fee_rises_with_the_utilisation_left_behind() -> None:
    """10 bp up to 0.6, 60 bp at 1, straight between, whatever leaves."""
    bench = full_pool()
    locked = int(bench.pool.locked)
    bench.pool.insurance = 0
    for used, fee in ((0.3, 1_000), (0.6, 1_000), (0.8, 3_500), (1.0, 6_000), (1.3, 6_000)):
        bench.pool.main = 2_000 * ONE
        leaving = 2_000 * ONE - round(locked / used)
        if leaving < 0:
            bench.pool.main, leaving = 2_000 * ONE - leaving, 0
        assert int(exit_fee_ppm(bench.state, bench.rules, leaving, 0)) == pytest.approx(fee, abs=1)


# Round trips and gifts.


def at_once(bench: Bench) -> None:
    """Flush now, at the marks there are."""
    bench.pool.next_flush_ms = bench.now
    assert bench.flush().done == 1


@given(
    amount=st.integers(1, 5_000 * ONE),
    gift=st.integers(0, 10**9),
    insurance=st.booleans(),
    with_book=st.booleans(),
)
def test_a_round_trip_at_frozen_marks_never_profits(
    amount: int, gift: int, insurance: bool, with_book: bool
) -> None:
    """In at one flush and out at another of the same instant: never more than went in.

    Every flush is checked for I9 as well: the price of those who stay does not fall.
    """
    bench = traded() if with_book else funded()
    account = bench.account()
    bench.pool.main += gift  # any price per share, not just 1
    bench.pool.insurance += gift
    bench.pool.custody += 2 * gift
    before = bench.balance(account)
    kinds = (DEPOSIT_INSURANCE, REDEEM_INSURANCE) if insurance else (DEPOSIT_MAIN, REDEEM_MAIN)
    bench.request(account, kinds[0], amount)
    at_once(bench)
    row = bench.state.accounts[account]
    shares = int(row.insurance_shares if insurance else row.main_shares)
    if shares:
        bench.change(cooldown_ms=0)
        asked = bench.request(account, kinds[1], shares)
        assert asked.refusal.code == Reject.NONE
        at_once(bench)
    assert bench.balance(account) <= before


def test_the_price_of_those_who_stay_rises_by_the_exit_fee() -> None:
    """Leaving at N_lo with a fee is to the good of the others."""
    bench = traded()
    bench.request(MAIN_PROVIDER, REDEEM_MAIN, 5_000 * ONE)
    done = bench.flush_when_due()
    before = Fraction(int(done.nav.mid), int(done.main.supply))
    after = Fraction(int(done.nav_after.mid), int(bench.pool.main_shares))
    assert before * Fraction(10_004, 10_000) < after < before * Fraction(10_020, 10_000)


def test_inflating_an_empty_pool_does_not_pay() -> None:
    """Who owns next to all of the pool and loses premium to it does not get it from the next."""
    bench = Bench(WIDE)
    bench.tick(after_ms=HOUR_MS)
    attacker, victim = bench.account(2_000 * ONE), bench.account(100 * ONE)
    bench.request(attacker, DEPOSIT_MAIN, 50 * ONE)
    bench.flush_when_due(1)
    before = bench.balance(attacker)
    own = shares_of(bench, attacker)
    bench.warm()
    # The gift: trades that lose spread, and premium at a rate that only an attacker would pay.
    for _ in range(20):
        fill = bench.open(attacker, 40 * ONE)
        bench.close(attacker, fill.position_id, 40 * ONE)
    given_away = before - bench.balance(attacker)
    bench.request(victim, DEPOSIT_MAIN, 10 * ONE)
    bench.tick(after_ms=6 * DAY_MS)
    bench.warm()
    bench.flush()
    worth = bench.copy()
    worth.request(victim, REDEEM_MAIN, shares_of(worth, victim))
    start = worth.balance(victim)
    worth.flush_when_due(1)
    assert worth.balance(victim) - start >= 10 * ONE - 10 * ONE // 500
    bench.request(attacker, REDEEM_MAIN, own)
    start = bench.balance(attacker)
    bench.flush_when_due(1)
    gained = bench.balance(attacker) - start - 50 * ONE
    assert given_away > ONE // 2
    assert gained < given_away


@given(victim=st.integers(1, 10 * ONE), gift=st.integers(0, 10**6 * ONE))
def test_a_donation_cannot_take_a_deposit(victim: int, gift: int) -> None:
    """With a seed, even tokens given to the pool directly do not make a deposit round to much less.

    The attacker's loss is at least the seed's part of the gift.
    """
    attacker = 10 * ONE
    supply, nav = ONE, ONE
    own = shares_for(attacker, supply, nav)
    supply, nav = supply + own, nav + attacker + gift
    minted = shares_for(victim, supply, nav)
    if minted == 0:
        return  # such a request is given back whole
    supply, nav = supply + minted, nav + victim
    taken = gross_for(own, supply, nav)
    assert taken <= attacker + gift - gift // 12 + nav // supply + 1
    lost = victim - gross_for(minted, supply, nav)
    assert lost <= nav // supply + 1


def test_seed_shares_have_no_owner() -> None:
    """Everybody leaves: the seed's worth stays in both pools for ever."""
    bench = funded(100 * ONE, 100 * ONE, Parameters(cooldown_ms=0))
    bench.request(MAIN_PROVIDER, REDEEM_MAIN, shares_of(bench, MAIN_PROVIDER))
    held = int(bench.state.accounts[INSURANCE_PROVIDER].insurance_shares)
    bench.request(INSURANCE_PROVIDER, REDEEM_INSURANCE, held)
    for _ in range(30):
        bench.flush_when_due(1)
    assert bench.pool.main_shares == bench.pool.main_seed_shares == ONE
    assert bench.pool.main >= ONE
    assert bench.pool.insurance_seed_shares == ONE
    assert bench.pool.insurance >= ONE
    refused = bench.request(MAIN_PROVIDER, REDEEM_MAIN, 1)
    assert refused.refusal.code == Reject.SHARES_EXCEED_HOLDING


# Insurance.


def test_insurance_leaves_ten_days_after_it_asked() -> None:
    """The request earns and bears loss until then; the reserve of 30 % stays in the period."""
    bench = funded(100 * ONE, 1_000 * ONE)
    before = bench.balance(INSURANCE_PROVIDER)
    bench.request(INSURANCE_PROVIDER, REDEEM_INSURANCE, 600 * ONE)
    asked_at = bench.now
    while bench.balance(INSURANCE_PROVIDER) == before:
        assert bench.pool.next_flush_ms < asked_at + 12 * DAY_MS
        bench.flush_when_due(1)
    assert bench.now >= asked_at + 10 * DAY_MS
    assert bench.balance(INSURANCE_PROVIDER) - before == 600 * ONE * 999 // 1_000


def test_what_insurance_backs_cannot_leave() -> None:
    """Twice what locks exceed main by, or the reserve, whichever is more, stays."""
    bench = funded(100 * ONE, 1_000 * ONE)
    state, rules, pool = bench.state, bench.rules, bench.pool
    reserve = -(-int(peak_insurance(state)) * 300_000 // PPM)
    assert free_insurance(state, rules) == int(pool.insurance) - reserve
    pool.locked = int(pool.main) + 300 * ONE
    assert free_insurance(state, rules) == int(pool.insurance) - 600 * ONE
    pool.locked = int(pool.main) + 600 * ONE
    assert free_insurance(state, rules) == 0
    main_free = int(free_main(state, rules, int(pool.main), 0))
    assert main_free == 0


def test_the_peak_is_per_share_and_starts_over_with_a_period() -> None:
    """Deposits and redemptions do not move the peak of insurance per share; losses do not lower."""
    bench = funded(100 * ONE, 1_000 * ONE)
    assert int(peak_insurance(bench.state)) == pytest.approx(1_001 * ONE, abs=2)
    bench.pool.insurance -= 500 * ONE
    bench.pool.custody -= 500 * ONE
    bench.flush_when_due(1)
    assert int(peak_insurance(bench.state)) == pytest.approx(1_001 * ONE, abs=2)
    while bench.pool.flushes % bench.parameters.cover_period_flushes != 1:
        bench.flush_when_due(1)
    assert int(peak_insurance(bench.state)) == pytest.approx(501 * ONE, abs=2)


def test_cover_is_above_the_reserve_and_half_of_the_period() -> None:
    """The available cover by its two limits, and never negative."""
    bench = funded(100 * ONE, 1_000 * ONE)
    pool = bench.pool
    pool.insurance, pool.peak_insurance, pool.peak_shares = 900, 1_000, pool.insurance_shares
    for start, cash, cover in ((1_000, 900, 500), (2_000, 900, 600), (2_000, 300, 0), (0, 900, 0)):
        pool.cover_insurance, pool.insurance = start, cash
        assert cover_of(bench.state, bench.rules, 0).available == cover


@pytest.mark.parametrize(
    ("need", "phi"),
    [
        (0.0, 10_000),
        (0.25, 12_500),
        (0.5, 15_000),
        (0.75, 22_500),
        (1.0, 30_000),
        (1.5, 55_000),
        (2.0, 80_000),
        (3.0, 80_000),
    ],
)
def test_the_price_of_cover_by_the_need_for_it(need: float, phi: int) -> None:
    """The corners of the curve and between them; the need is what a stress would claim."""
    bench = funded(10_000 * ONE, 2_000 * ONE)
    pool = bench.pool
    pool.cover_insurance, pool.cover_nav = pool.insurance, 10_000 * ONE
    available = int(cover_of(bench.state, bench.rules, 0).available)
    stress = round(need * available) + (500 * ONE if need else 0)
    priced = cover_price_ppm(bench.state, bench.rules, stress)
    assert priced == pytest.approx(phi, abs=1)
    pool.cover_insurance = 2 * 99 * ONE  # cover of less than 1 % of main
    assert cover_price_ppm(bench.state, bench.rules, stress) == 0


# Rent and the vesting of spread.


def test_rent_rises_from_half_use() -> None:
    """0 up to a half, 75 % a year at 1 and beyond, twice that while redemptions wait long."""
    rules = funded().rules
    for used, rent in ((0.0, 0.0), (0.5, 0.0), (0.75, 0.375), (1.0, 0.75), (2.0, 0.75)):
        assert int(rent_rate_e15(rules, used, 0)) == pytest.approx(rent * E15, abs=1)
        assert int(rent_rate_e15(rules, used, 1)) == 2 * int(rent_rate_e15(rules, used, 0))


def test_use_is_of_what_backs_locks() -> None:
    """Half of insurance, at most a quarter of main; an empty pool is fully used."""
    rules = funded().rules
    assert backing(rules, 1_000, 301) == 1_150
    assert backing(rules, 1_000, 5_000) == 1_250
    assert backing(rules, 0, 5_000) == 0
    assert utilisation(0, 0) == 1.0
    assert utilisation(575, 1_150) == 0.5


def test_a_pro_rata_fill_never_takes_more_than_is_free() -> None:
    """Parts rounded down one by one can sum to less than they are worth together."""
    bench = full_pool()
    requests = [bench.request(MAIN_PROVIDER, REDEEM_MAIN, each).request for each in (5, 15)]
    fill_redemptions(
        bench.state, bench.rules, REDEEM_MAIN.value, 879_899, 4_038_772, 72, 0, bench.now
    )
    assert 60 < sum(int(bench.state.requests[slot].paid) for slot in requests) <= 72


def test_rent_doubles_while_redemptions_wait() -> None:
    """A twentieth of the shares, unfilled for more than three flushes, and it is binding."""
    bench = full_pool()
    everything = shares_of(bench, MAIN_PROVIDER)
    slot = bench.request(MAIN_PROVIDER, REDEEM_MAIN, everything).request
    doubled = []
    for _ in range(6):
        doubled.append(int(bench.pool.rent_doubled))
        bench.flush_when_due()
    assert doubled == [0, 0, 0, 0, 1, 1]
    flushes = int(bench.pool.flushes)
    assert rent_doubles(bench.state, bench.rules, flushes)
    waiting = int(bench.state.requests[slot].amount)
    assert long_waiting_shares(bench.state, bench.rules, flushes) == waiting
    bench.tick()
    single = int(rent_rate_e15(bench.rules, 0.8, 0))
    assert int(bench.state.books[BTC].rent_e15) > single
    assert bench.cancel(MAIN_PROVIDER, slot).code == Reject.REQUEST_BINDING
    least = -(-int(bench.pool.main_shares) // 20)
    bench.state.requests[slot].amount = least - 1
    assert not rent_doubles(bench.state, bench.rules, flushes)
    bench.state.requests[slot].amount = least
    assert rent_doubles(bench.state, bench.rules, flushes)


def test_spread_vests_evenly_over_five_days() -> None:
    """Whole until its day is over, then a fifth a day; several days add up."""
    bench = funded()
    day = bench.now // DAY_MS
    bench.state.vesting[:] = 0
    bench.state.vesting[day % VEST_LOTS] = (1_000, day)
    bench.state.vesting[(day + 1) % VEST_LOTS] = (10_000, day + 1)

    def unvested(days: float) -> int:
        return int(unvested_spread(bench.state, bench.rules, day * DAY_MS + round(days * DAY_MS)))

    assert unvested(0.4) == unvested(1.0) == 11_000
    assert unvested(2.0) == 10_800
    assert unvested(3.5) == 500 + 7_000
    assert unvested(6.0) == 2_000
    assert unvested(7.0) == 0


def test_a_lot_of_the_ring_is_used_again() -> None:
    """Eight days later the same place holds the new day's spread alone."""
    bench = traded(10 * ONE)
    day = bench.now // DAY_MS
    first = int(bench.state.vesting[day % VEST_LOTS, 0])
    assert first > 0
    bench.tick(after_ms=VEST_LOTS * DAY_MS)
    trader = bench.account()
    bench.open(trader, 30 * ONE)
    amount, at = (int(each) for each in bench.state.vesting[day % VEST_LOTS])
    assert at == day + VEST_LOTS
    assert amount == bench.flow(Flow.SPREAD) - first


def test_a_request_near_the_limit_of_amounts_is_only_refused() -> None:
    """Limits nobody can meet send the request back; nothing overflows."""
    bench = funded()
    account = bench.account()
    bench.request(account, DEPOSIT_MAIN, RICH, AMOUNT_MAX)
    bench.request(MAIN_PROVIDER, REDEEM_MAIN, 1, AMOUNT_MAX)
    bench.flush_when_due(1)
    assert bench.balance(account) == RICH
    assert [int(each.status) for each in bench.state.requests[1:3]] == [RequestStatus.RETURNED] * 2
