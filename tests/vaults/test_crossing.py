"""Who comes and who goes in one flush trade with each other: price, order, rounding, no pool."""

from fractions import Fraction
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from amm.units import HOUR_MS, ONE, PPM
from tests.vaults.harness import RICH, Bench, funded
from tests.vaults.test_pools import (
    DEPOSIT_INSURANCE,
    DEPOSIT_MAIN,
    INSURANCE_PROVIDER,
    MAIN_PROVIDER,
    REDEEM_INSURANCE,
    REDEEM_MAIN,
    full_pool,
    shares_of,
    traded,
)
from vaults.crossing import crossing_price
from vaults.moves import Flow, RequestStatus
from vaults.nav import Nav


def test_the_price_is_the_middle_less_half_of_what_is_not_earned() -> None:
    """Kept within the band on both sides."""
    nav = Nav(mid=1_000, low=900, high=1_010)
    assert crossing_price(nav, 0) == 1_000
    assert crossing_price(nav, 101) == 949
    assert crossing_price(nav, 500) == 900
    assert crossing_price(Nav(1_000, 900, 990), 0) == 990


def test_one_can_leave_a_full_pool_when_somebody_enters() -> None:
    """No free liquidity, no fee, no band; shares stay as many, the pool is no poorer."""
    bench = full_pool()
    bench.change(free_stress=10.0)  # ten times the base stress must stay: nothing can leave
    newcomer = bench.account()
    slot = bench.request(MAIN_PROVIDER, REDEEM_MAIN, 100 * ONE).request
    bench.request(newcomer, DEPOSIT_MAIN, 60 * ONE)
    balance = bench.balance(MAIN_PROVIDER)
    main = int(bench.pool.main) - bench.flow(Flow.PREMIUM_MAIN)
    supply = int(bench.pool.main_shares)
    done = bench.flush_when_due()
    assert int(done.main.free) == 0
    assert done.main.low < done.main.cross < done.main.high
    got = shares_of(bench, newcomer)
    assert got == 60 * ONE * (supply + 1) // (int(done.main.cross) + 1) == int(done.main.crossed)
    paid = bench.balance(MAIN_PROVIDER) - balance
    assert 0 <= 60 * ONE - paid <= 2
    assert int(bench.pool.main) == main + bench.flow(Flow.PREMIUM_MAIN) + 60 * ONE - paid
    assert int(bench.state.requests[slot].filled) == got
    assert int(bench.state.requests[slot].status) == RequestStatus.OPEN
    assert int(bench.pool.main_shares) == supply


def test_what_finds_no_counterparty_has_the_band() -> None:
    """A deposit larger than the exits: a part at the crossing price, the rest at N_hi."""
    bench = traded()
    newcomer = bench.account()
    bench.request(MAIN_PROVIDER, REDEEM_MAIN, 10 * ONE)
    bench.request(newcomer, DEPOSIT_MAIN, 1_000 * ONE)
    done = bench.flush_when_due()
    supply, crossed = int(done.main.supply), int(done.main.crossed)
    assert 10 * ONE - 2 <= crossed <= 10 * ONE
    cost = -(-crossed * (int(done.main.cross) + 1) // (supply + 1))
    minted = (1_000 * ONE - cost) * (supply + 1) // (int(done.main.high) + 1)
    assert shares_of(bench, newcomer) == crossed + minted


@cache
def _closed_pool() -> Bench:
    """Return a full pool a moment before its flush, of which nothing can leave."""
    bench = full_pool()
    bench.checked = False
    bench.change(free_stress=10.0)
    bench.tick(after_ms=int(bench.pool.next_flush_ms) - bench.now - 20 * HOUR_MS)
    return bench


SIZES = st.lists(st.integers(1, 300 * ONE), min_size=1, max_size=4)


@given(deposits=SIZES, exits=SIZES)
def test_crossing_is_pro_rata_and_leaves_the_pool_alone(
    deposits: list[int], exits: list[int]
) -> None:
    """Who leaves, leaves by crossing: parts to a unit, as many shares, no less cash."""
    bench = _closed_pool().copy()
    comers = [bench.account(RICH) for _ in deposits]
    for account, amount in zip(comers, deposits, strict=True):
        bench.request(account, DEPOSIT_MAIN, amount)
    slots = [bench.request(MAIN_PROVIDER, REDEEM_MAIN, each).request for each in exits]
    bench.change(window_marks_min=0)
    done = bench.flush_when_due(1)
    crossed, supply = int(done.main.crossed), int(done.main.supply)
    filled = [int(bench.state.requests[slot].filled) for slot in slots]
    assert sum(filled) == crossed <= sum(exits)
    for asked, got in zip(exits, filled, strict=True):
        assert abs(Fraction(got) - Fraction(asked * crossed, sum(exits))) <= 1
    minted = sum(shares_of(bench, account) for account in comers)
    assert int(bench.pool.main_shares) == supply + minted - crossed
    nav, after = int(done.nav.mid), int(done.nav_after.mid)
    assert (after + 1) * (supply + 1) >= (nav + 1) * (int(bench.pool.main_shares) + 1)
    worth = min(sum(deposits), sum(exits) * (int(done.main.cross) + 1) // (supply + 1))
    assert 0 <= worth * (supply + 1) / (int(done.main.cross) + 1) - crossed <= len(deposits) + 2


def test_a_limit_is_kept_though_crossing_rounds_once_more() -> None:
    """At the worst price of the flush less a unit it is filled, at one more it goes back."""
    bench = traded()
    newcomer = bench.account()
    again = bench.copy()
    twin = bench.copy()
    twin.request(newcomer, DEPOSIT_MAIN, 50 * ONE)
    twin.request(MAIN_PROVIDER, REDEEM_MAIN, 20 * ONE)
    done = twin.flush_when_due()
    supply, high = int(done.main.supply), int(done.main.high)
    sure = (50 * ONE - 1) * (supply + 1) // (high + 1) - 1
    for subject, limit, status in (
        (bench, sure, RequestStatus.FILLED),
        (again, sure + 1, RequestStatus.RETURNED),
    ):
        slot = subject.request(newcomer, DEPOSIT_MAIN, 50 * ONE, limit).request
        subject.request(MAIN_PROVIDER, REDEEM_MAIN, 20 * ONE)
        subject.flush_when_due()
        assert int(subject.state.requests[slot].status) == status
    assert shares_of(bench, newcomer) > sure


def test_insurance_crosses_at_its_cash() -> None:
    """Who leaves beyond the reserve leaves when somebody comes, who pays no more than that."""
    bench = funded(1_000 * ONE, 500 * ONE)
    newcomer = bench.account()
    bench.change(cooldown_ms=0, insurance_reserve_ppm=PPM)
    bench.request(INSURANCE_PROVIDER, REDEEM_INSURANCE, 80 * ONE)
    bench.request(newcomer, DEPOSIT_INSURANCE, 50 * ONE)
    supply, balance = int(bench.pool.insurance_shares), bench.balance(INSURANCE_PROVIDER)
    done = bench.flush_when_due(1)
    assert int(done.insurance.free) == 0
    assert done.insurance.low == done.insurance.cross
    got = int(bench.state.accounts[newcomer].insurance_shares)
    assert got == 50 * ONE * (supply + 1) // (int(done.insurance.low) + 1)
    assert 0 <= 50 * ONE - (bench.balance(INSURANCE_PROVIDER) - balance) <= 2
    assert int(bench.pool.insurance_shares) == supply
