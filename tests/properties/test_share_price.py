"""What moves the price of a share: profit and loss, fees and gifts, and nothing else."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm.units import DAY_MS, HOUR_MS, ONE
from tests.properties.vault import LEVEL, REAL, USERS, Pool, Step, Vault, World, made
from vaults.insurance import peak_insurance
from vaults.moves import Flow
from vaults.nav import accrued_to_insurance, accrued_to_main
from vaults.rejects import Reject

BOTH_POOLS = pytest.mark.parametrize("pool", Pool)
DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["open", "close", "deposit", "redeem", "cancel", "withdraw", "gift"]),
        st.integers(0, USERS - 2),
        st.integers(1, 100),
    ),
    min_size=1,
    max_size=12,
)


def do(vault: Vault, deed: str, who: int, size: int) -> None:
    """Do something at the marks there are."""
    bench, user = vault.bench, vault.users[who]
    if deed == "open":
        strike = 90_000 + 10_000 * (size % 3)
        assert bench.open(user, size * ONE // 7, strike, is_call=size % 2 == 0).notional > 0
    elif deed == "close":
        for position in bench.live_positions():
            part = max(int(position.notional) * size // 100, 1)
            bench.close(int(position.account), int(position.position_id), part)
    elif deed == "deposit":
        vault.ask(user, vault.pool.deposit, size**5)
    elif deed == "redeem":
        vault.ask(user, vault.pool.redeem, min(size**5, vault.shares(user) // 2))
    elif deed == "cancel":
        bench.cancel(user, int(bench.pool.request_count) - 1)
    elif deed == "withdraw":
        assert bench.withdraw(user, size**5).code == Reject.NONE
    else:
        vault.give(size**4)


@given(pool=st.sampled_from(Pool), is_level=st.booleans(), deeds=DEEDS)
def test_at_frozen_marks_nothing_lowers_it(
    pool: Pool, is_level: bool, deeds: list[tuple[str, int, int]]
) -> None:
    """Whoever trades, asks, takes back, gives or leaves; and the flush of it all at the end.

    A settlement of premium may round against a pool by a unit, for the other.
    """
    vault = made(LEVEL if is_level else REAL, pool)
    vault.bench.change(cover_least_ppm=2_000_000)
    vault.flush()  # from now on insurance has no part in premium that the flush could change
    for deed, who, size in deeds:
        price, settled = vault.price, vault.bench.settlements
        do(vault, deed, who, size)
        settled = vault.bench.settlements - settled
        assert vault.price >= price - Fraction(settled, vault.supply + 1), deed
    price = vault.price
    done = vault.flush()
    assert done.claim == done.repaid == 0
    assert vault.price >= price


@BOTH_POOLS
def test_premium_and_gifts_raise_it(pool: Pool) -> None:
    """At unchanged marks, for the time that passes; a gift by what it is, to the unit."""
    vault = made(REAL, pool)
    price = vault.price
    vault.bench.tick(after_ms=DAY_MS)
    assert vault.price > price
    assets = vault.assets
    vault.give(12_345)
    assert vault.assets == assets + 12_345


@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_a_loss_lowers_it_for_all_alike(factor: float) -> None:
    """As it happens, before anything is closed; closing then realises no more than the spread."""
    vault = made(REAL, Pool.MAIN)
    bench, price = vault.bench, vault.price
    bench.tick(100_000 * factor)
    bench.tick(after_ms=2 * HOUR_MS)
    marked = vault.price
    assert marked < price * Fraction(995, 1_000)
    for position in vault.held():
        bench.close(vault.trader, int(position.position_id), int(position.notional))
    assert bench.pool.locked == 0
    assert marked <= vault.price < marked + (price - marked) / 5
    shares, wealth = vault.shares(vault.users[0]), vault.redeem(vault.users[0], 100 * ONE)
    assert wealth.received < 100 * ONE * price
    assert vault.shares(vault.users[0]) == shares - 100 * ONE


@pytest.mark.parametrize("after", [Step("wait", 30), Step("move", -50), Step("trade", 80)])
def test_premium_owed_is_divided_and_no_part_of_it_is_counted_twice(after: Step) -> None:
    """What is insurance's of a receivable is no asset of main's, and the two are all of it."""
    world = World(is_level=False, pool=Pool.MAIN, steps=[after])
    vault = world.vault()
    vault.bench.tick(after_ms=DAY_MS)
    state = vault.bench.state
    owed = int(state.series.receivable[: int(vault.bench.pool.series_count)].sum())
    main, insurance = int(accrued_to_main(state)), int(accrued_to_insurance(state))
    assert main + insurance == owed > 0
    assert insurance >= owed * int(vault.bench.pool.phi_ppm) // 10**6 > 0


@given(moves=st.lists(st.floats(0.75, 1.35), min_size=1, max_size=6))
def test_a_claim_takes_from_insurance_what_main_gets_and_leaves_the_reserve(
    moves: list[float],
) -> None:
    """At every flush of a bad week: never below its reserve, here 90 % of the peak.

    Insurance's LPs have less to redeem and are owed as much; they are paid back, never twice.
    """
    vault = made(REAL, Pool.INSURANCE)
    bench = vault.bench
    bench.change(stress_share_ppm=10**6, insurance_reserve_ppm=900_000)
    for is_call in (True, False):
        bench.open(vault.trader, 4_500 * ONE, is_call=is_call)
    for move in moves:
        bench.tick(100_000 * move)
        bench.tick(after_ms=2 * HOUR_MS)
        cash, owed, paid = vault.cash, int(bench.pool.advances), bench.flow(Flow.CLAIM)
        peak, premium = int(peak_insurance(bench.state)), bench.flow(Flow.PREMIUM_INSURANCE)
        done = vault.flush()
        cash += bench.flow(Flow.PREMIUM_INSURANCE) - premium
        assert int(done.claim) * int(done.repaid) == 0
        assert vault.cash == cash - int(done.claim) + int(done.repaid)
        moved = int(done.claim) - int(done.repaid) - int(done.written_off)
        assert int(bench.pool.advances) == owed + moved
        assert bench.flow(Flow.CLAIM) == paid + int(done.claim)
        if done.claim > 0:
            assert vault.cash >= peak * 9 // 10
            assert done.cover.claimed + done.claim <= done.cover.layer


def test_who_joins_after_a_claim_pays_for_what_insurance_is_owed() -> None:
    """A claim makes it no cheaper to come, only to leave: nobody buys a repayment."""
    vault = made(REAL, Pool.INSURANCE)
    bench = vault.bench
    bench.change(stress_share_ppm=10**6, cover_least_ppm=2_000_000)
    vault.flush()
    assert bench.open(vault.trader, 4_500 * ONE).notional > 0
    bench.tick(135_000)
    bench.tick(after_ms=2 * HOUR_MS)
    before = vault.price
    assert vault.flush().claim > 100 * ONE
    assert vault.price == pytest.approx(before, rel=1e-3)
    assert vault.redeemable < vault.assets - 100 * ONE
    price = vault.price
    bought = vault.deposit(vault.users[0], 500 * ONE)
    assert vault.price >= price
    assert vault.redeem(vault.users[0], bought.received).received < 490 * ONE


def test_a_new_share_of_premium_divides_only_what_comes() -> None:
    """Ten days of premium are paid at the old phi before a flush sets another."""
    vault = made(REAL, Pool.MAIN)
    bench = vault.bench
    bench.tick(after_ms=10 * DAY_MS)
    bench.change(cover_least_ppm=2_000_000)  # from now on cover is for nothing
    phi_ppm, accrued = int(bench.pool.phi_ppm), int(accrued_to_insurance(bench.state))
    before, main = bench.flow(Flow.PREMIUM_INSURANCE), int(bench.nav().mid)
    done = vault.flush()
    assert int(done.phi_ppm) == 0 < phi_ppm
    assert bench.flow(Flow.PREMIUM_INSURANCE) - before == pytest.approx(accrued, abs=10)
    assert accrued > ONE // 100
    assert int(bench.nav().mid) == pytest.approx(main, abs=10)
    assert vault.flush().cover.pnl == done.cover.pnl  # no gain, and no loss, of either epoch
