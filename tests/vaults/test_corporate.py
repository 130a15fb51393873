"""Splits and dividends: every claim keeps its part, to the unit, and every invariant holds."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm.units import AMOUNT_MAX, DAY_MS, ONE
from tests.vaults.harness import Bench, funded
from vaults.capacity import lock_of
from vaults.corporate import (
    SPLIT_FACTOR_MAX,
    check_split,
    dividend,
    is_ratio,
    settle_everybody,
    split,
)
from vaults.generations import base_of, check_move, generation_of, move_in, move_out, named
from vaults.ledger import post
from vaults.moves import Flow, Move, RequestKind, RequestStatus
from vaults.params import BTC_TERMS, ETH_TERMS
from vaults.rejects import Reject
from vaults.split import lot_of, scaled, split_notional
from vaults.state import NONE, PoolRow, logged_for_everybody
from vaults.tick import remark

RATIOS = [(2, 1), (3, 2), (1, 2), (20, 1), (1, 30), (64, 1), (7, 3), (1000, 999)]
AMOUNTS = st.integers(ONE // 100, 40 * ONE)
ODD_CAP = (BTC_TERMS._replace(cap_ppm=333_333), ETH_TERMS)
"""A cap that makes only whole millions of units lock an integer."""


@cache
def _filled(odd_cap: bool) -> Bench:
    """Return a token with everything in it that a split has to reach."""
    bench = Bench(terms=ODD_CAP) if odd_cap else Bench()
    bench.tick(after_ms=60_000)
    bench.fund(9_000 * ONE + 7, 800 * ONE + 3)
    bench.warm()
    buyer, saver = bench.account(777 * ONE + 1), bench.account(55 * ONE + 3)
    held = bench.open(buyer, 20 * ONE + 1_000_001)
    bench.open(buyer, 7 * ONE + 13, 110_000)
    bench.open(saver, 11 * ONE + 7, 90_000, is_call=False, self_funding=True)
    assert len(bench.live_positions()) == 3
    bench.tick(101_500)
    assert bench.close(buyer, held.position_id, 3 * ONE + 5).refusal.code == Reject.NONE
    bench.request(saver, RequestKind.DEPOSIT_MAIN, 5 * ONE + 1, 3)
    bench.request(0, RequestKind.REDEEM_MAIN, 50 * ONE, 41 * ONE + 1)
    bench.request(1, RequestKind.DEPOSIT_INSURANCE, 10_001)
    for kind in (RequestKind.DEPOSIT_MAIN, RequestKind.DEPOSIT_INSURANCE):
        bench.request(buyer, kind, 1)  # nothing, after a reverse split
    bench.withdraw(buyer, 2 * ONE + 1)
    bench.withdraw(saver, 3 * ONE + 1)
    for day in range(2):
        now_ms = bench.now + day
        post(bench.state, int(Move.TRANSFER), 2, 1, NONE, ONE + 1, int(Flow.CLAIM))
        post(bench.state, int(Move.ADVANCE), ONE + 1, now_ms, now_ms + 90 * DAY_MS, 0, 0)
        bench.state.log_count[0] = 0
    bench.tick()
    bench.now += 20_000
    return bench


def filled(*, odd_cap: bool = False) -> Bench:
    """Return a copy of that token, its premium settled."""
    bench = _filled(odd_cap).copy()
    bench.run(settle_everybody, bench.rules, bench.now)
    bench.state.pool[0].now_ms = bench.now
    return bench


PENDING = (2 * ONE + 1, 3 * ONE + 1)


def do_split(bench: Bench, numerator: int, denominator: int) -> None:
    """Split, every check included."""
    pending = sum(scaled(each, numerator, denominator) for each in PENDING)
    refusal = bench.run(split, bench.rules, numerator, denominator, pending, bench.now)
    assert refusal.code == Reject.NONE
    bench.run(lambda state: remark(state, bench.rules, bench.market))


@pytest.mark.parametrize(("amount", "p", "q", "found"), [(7, 3, 2, 10), (-7, 3, 2, -11)])
def test_scaling_rounds_down(amount: int, p: int, q: int, found: int) -> None:
    assert scaled(amount, p, q) == found


@given(st.integers(-AMOUNT_MAX, AMOUNT_MAX), st.integers(1, 1_000), st.integers(1, 1_000))
def test_scaling_is_exact(amount: int, numerator: int, denominator: int) -> None:
    assert scaled(amount, numerator, denominator) == amount * numerator // denominator


@given(st.integers(1, 10**12), st.integers(50_000, 900_000))
def test_a_split_notional_locks_an_integer(notional: int, cap_ppm: int) -> None:
    after = split_notional(notional, cap_ppm, 3, 2)
    assert after * cap_ppm % 10**6 == 0
    assert 0 <= notional * 3 // 2 - after < lot_of(cap_ppm)


ANY_RATIO = st.tuples(st.integers(1, 1_000), st.integers(1, 1_000)).filter(
    lambda each: is_ratio(*each)
)


@given(st.sampled_from(RATIOS) | ANY_RATIO, st.booleans())
def test_every_claim_is_multiplied(ratio: tuple[int, int], odd_cap: bool) -> None:
    bench = filled(odd_cap=odd_cap)
    before, nav = bench.copy(), bench.nav()
    p, q = ratio
    if check_split(bench.state, p, q).code:  # a position would become nothing
        assert p * 100 < q
        return
    do_split(bench, p, q)
    for account in range(int(bench.pool.account_count)):
        old, new = before.state.accounts[account], bench.state.accounts[account]
        assert int(new.balance) == int(old.balance) * p // q
        assert (new.main_shares, new.insurance_shares) == (old.main_shares, old.insurance_shares)
    assert int(bench.pool.insurance) == int(before.pool.insurance) * p // q
    assert int(bench.pool.fees) == int(before.pool.fees) * p // q
    assert int(bench.pool.custody) == int(before.pool.custody) * p // q
    assert int(bench.pool.pending) == sum(each * p // q for each in PENDING)
    rows = int(bench.pool.account_count + bench.pool.request_count) + 6
    assert 0 <= int(bench.pool.main) * q - int(before.pool.main) * p < rows * q
    assert bench.flow(Flow.SPLIT_DUST) == int(bench.pool.main) - int(before.pool.main) * p // q
    assert_positions(before, bench, p, q)
    after, lost = bench.nav(), lot_of(bench.terms[0].cap_ppm) * len(bench.live_positions())
    for old, new in zip(nav, after, strict=True):
        assert abs(new - old * p / q) <= rows + lost + 8 + 2 * p / q  # a unit of NAV is p/q now


def assert_positions(before: Bench, bench: Bench, p: int, q: int) -> None:
    """Check positions one by one, and what stands behind them."""
    assert len(before.live_positions()) == len(bench.live_positions())
    for old, new in zip(before.live_positions(), bench.live_positions(), strict=True):
        cap_ppm = int(bench.state.series[int(new.series)].cap_ppm)
        assert 0 <= int(old.notional) * p // q - int(new.notional) < lot_of(cap_ppm)
        assert lock_of(int(new.notional), cap_ppm) * 10**6 == int(new.notional) * cap_ppm
        assert int(new.impact_paid) == int(old.impact_paid) * p // q
        assert int(new.allowance) == int(old.allowance) * p // q
        lasts = min(int(new.allowance) * 10**15 // int(new.notional), AMOUNT_MAX)
        assert int(new.key_e15) == int(new.entry_index_e15) + lasts
    assert int(bench.pool.locked) <= int(bench.pool.main + bench.pool.insurance)


AMOUNTS_OF_POOL = (
    *("insurance", "fees", "custody", "nav_reference", "nav_after"),
    *("cover_insurance", "cover_nav", "cover_pnl", "cover_claimed", "peak_insurance"),
    *("closed_nav", "closed_insurance", "closed_accrued", "closed_refundable"),
)
SUMS_OF_POOL = (
    *("main", "balances", "escrow_main", "escrow_insurance", "pending"),
    *("locked", "impact_refundable", "advances"),
)
"""Of what is rounded one by one; `main` has what that leaves over."""
OTHERS_OF_POOL = (
    *("main_shares", "insurance_shares", "main_seed_shares", "insurance_seed_shares"),
    *("live_series", "written_off_ms", "phi_ppm", "flushes", "next_flush_ms", "cutoff_ms"),
    *("rent_doubled", "exhausted", "peak_shares", "account_positions_max", "account_count"),
    *("series_count", "position_count", "position_free", "position_id"),
    *("request_count", "request_first", "now_ms"),
)
"""Whoever adds to the pool says here what a split does to it."""


@pytest.mark.parametrize("ratio", RATIOS)
def test_requests_and_what_the_pools_remember(ratio: tuple[int, int]) -> None:
    bench = filled()
    before = bench.copy()
    p, q = ratio
    do_split(bench, p, q)
    for slot in range(int(bench.pool.request_count)):
        old, new = before.state.requests[slot], bench.state.requests[slot]
        is_deposit = old.kind in (RequestKind.DEPOSIT_MAIN, RequestKind.DEPOSIT_INSURANCE)
        tokens, shares = ("amount", "filled"), ("min_out", "paid")
        if not is_deposit:
            tokens, shares = shares, tokens
        for name in tokens:
            assert int(new[name]) == int(old[name]) * p // q
        for name in shares:
            assert new[name] == old[name]
    assert {*AMOUNTS_OF_POOL, *SUMS_OF_POOL, *OTHERS_OF_POOL} == set(PoolRow._fields)
    for name in AMOUNTS_OF_POOL:
        assert int(bench.pool[name]) == int(before.pool[name]) * p // q, name
    for name in OTHERS_OF_POOL:
        assert bench.pool[name] == before.pool[name], name
    assert bench.state.closed_flows.tolist() == [
        each * p // q for each in before.state.closed_flows.tolist()
    ]
    assert 0 < int(bench.pool.advances) <= int(before.pool.advances) * p // q
    for old, new in zip(before.state.series, bench.state.series, strict=True):
        assert (old.index_e15, old.tick_index_e15) == (new.index_e15, new.tick_index_e15)


@pytest.mark.parametrize("ratio", [(3, 2), (1, 2), (1, 30)])
def test_life_goes_on_after_a_split(ratio: tuple[int, int]) -> None:
    """Ticks, closes, write-offs and a flush, with every check after each."""
    bench = filled()
    do_split(bench, *ratio)
    seed = scaled(bench.parameters.seed, *ratio)
    bench.change(seed=seed, notional_min=scaled(bench.parameters.notional_min, *ratio))
    bench.run(lambda state: remark(state, bench.rules, bench.market))
    for price in (99_000, 103_000, 100_000):
        bench.tick(price)
    post(bench.state, int(Move.WRITE_OFF), bench.now, 0, 0, 0, 0)
    assert bench.pool.advances >= 0
    held = bench.live_positions()[0]
    sold = bench.close(int(held.account), int(held.position_id), int(held.notional))
    assert sold.refusal.code == Reject.NONE
    assert bench.flush_when_due().done == 1
    asked = bench.state.requests[: int(bench.pool.request_count)]
    *others, main_dust, insurance_dust = asked.status.tolist()
    assert set(others) <= {RequestStatus.FILLED, RequestStatus.OPEN}
    assert main_dust == insurance_dust == RequestStatus.RETURNED  # it buys no share
    bench.tick(180_000)


@given(st.sampled_from(RATIOS), st.lists(AMOUNTS, min_size=1, max_size=3), AMOUNTS)
def test_there_and_back_costs_units(
    ratio: tuple[int, int], notionals: list[int], balance: int
) -> None:
    """A split and its reverse leave every claim, and the pools whole, but for what is rounded."""
    bench = funded()
    buyer = bench.account(1_000 * ONE + balance)
    for place, notional in enumerate(notionals):
        bench.open(buyer, notional, 100_000 + 1_000 * place)
    bench.tick(100_700)
    bench.run(settle_everybody, bench.rules, bench.now)
    held, nav = bench.balance(buyer), bench.nav().mid
    notional = sum(int(row.notional) for row in bench.live_positions())
    p, q = ratio
    for numerator, denominator in ((p, q), (q, p)):
        done = bench.run(split, bench.rules, numerator, denominator, 0, bench.now)
        if not is_ratio(numerator, denominator) or done.code:
            return
        bench.run(lambda state: remark(state, bench.rules, bench.market))
    lost = -(-q // p) + 1
    assert 0 <= held - bench.balance(buyer) <= lost
    now = sum(int(row.notional) for row in bench.live_positions())
    assert 0 <= notional - now <= len(notionals) * 2 * (lost + 1)
    assert abs(bench.nav().mid - nav) <= 20 * (lost + 1)


def test_a_split_that_leaves_nothing_of_a_position_is_refused() -> None:
    bench = funded()
    bench.open(bench.account(), ONE // 100)
    assert check_split(bench.state, 1, 1_000).code == Reject.NONE
    position = bench.live_positions()[0]
    position.notional = 999
    assert check_split(bench.state, 1, 1_000).code == Reject.RATIO


def test_a_split_that_overflows_is_refused() -> None:
    bench = funded()
    bench.state.pool[0].custody = AMOUNT_MAX // 64
    assert check_split(bench.state, 64, 1).code == Reject.NONE
    bench.state.pool[0].custody = AMOUNT_MAX // 64 + 1
    assert check_split(bench.state, 64, 1).code == Reject.RATIO


@pytest.mark.parametrize(
    ("ratio", "is_good"),
    [
        ((2, 1), True),
        ((1, 1_000), True),
        ((SPLIT_FACTOR_MAX, 1), True),
        ((SPLIT_FACTOR_MAX + 1, 1), False),
        ((1_000, 1_000), False),
        ((0, 1), False),
        ((1, 0), False),
        ((-2, -1), False),
        ((1, 1_001), False),
    ],
)
def test_which_ratios_there_are(ratio: tuple[int, int], is_good: bool) -> None:
    assert is_ratio(*ratio) == is_good


@given(st.integers(1, 100_000 * ONE))
def test_a_dividend_is_shared_by_all_custody(amount: int) -> None:
    """Everybody gets what is theirs of custody, rounded down; main the rest, and it is no gain."""
    bench = filled()
    before, nav_after = bench.copy(), int(bench.pool.nav_after)
    nav, custody = bench.nav().mid, int(bench.pool.custody)
    buyer, saver = 2, 3
    pending = np.zeros(int(bench.pool.account_count), dtype=np.int64)
    pending[[buyer, saver]] = PENDING
    claims = [int(each) for each in pending]
    for account in range(len(claims)):
        claims[account] += before.balance(account)
    for asked in before.state.requests[: int(before.pool.request_count)]:
        if asked.status == RequestStatus.OPEN and asked.kind != RequestKind.REDEEM_MAIN:
            claims[int(asked.account)] += int(asked.amount)
    bench.state = logged_for_everybody(bench.state)
    bench.run(dividend, bench.rules, amount, pending, bench.now)
    parts = [amount * claim // custody for claim in claims]
    for account, part in enumerate(parts):
        assert bench.balance(account) == before.balance(account) + part
    to_insurance = amount * int(before.pool.insurance) // custody
    to_fees = amount * int(before.pool.fees) // custody
    assert int(bench.pool.insurance) == int(before.pool.insurance) + to_insurance
    assert int(bench.pool.fees) == int(before.pool.fees) + to_fees
    to_main = amount - sum(parts) - to_insurance - to_fees
    fair = amount * int(before.pool.main) // custody
    assert fair <= to_main <= fair + len(parts) + 3
    assert bench.nav().mid == nav + to_main
    assert int(bench.pool.nav_after) == nav_after + to_main
    assert bench.flow(Flow.DIVIDEND) == amount
    assert int(bench.pool.custody) == custody + amount


# -- generations


@pytest.mark.parametrize(
    ("name", "generation"),
    [
        ("TSLA.M", 1),
        ("TSLA.M~2", 2),
        ("TSLA.M~17", 17),
        ("TSLA.M~1", 0),
        ("TSLA.M~02", 0),
        ("TSLA.M~", 0),
        ("TSLA.M~x", 0),
        ("TSLA.M~2~3", 0),
        ("TSLA.M~\u0662", 0),
        ("~2", 0),
    ],
)
def test_names_of_generations(name: str, generation: int) -> None:
    assert generation_of(name) == generation
    if generation:
        assert named(base_of(name), generation) == name


def test_a_balance_moves_with_its_custody() -> None:
    """What leaves one generation comes into the other, less nothing; reserves stay behind."""
    first, second = funded(), Bench()
    second.now = first.now
    mover = first.account(100 * ONE)
    first.open(mover, 10 * ONE)
    held = first.balance(mover)
    assert first.run(check_move, first.rules, mover, held, first.now).code == Reject.BALANCE
    assert first.run(check_move, first.rules, NONE, ONE, first.now).code == Reject.ACCOUNT_UNKNOWN
    assert first.run(check_move, first.rules, mover, 0, first.now).code == (
        Reject.AMOUNT_NOT_POSITIVE
    )
    custody = int(first.pool.custody), int(second.pool.custody)
    first.run(move_out, first.rules, mover, 30 * ONE, first.now)
    second.run(move_in, second.rules, NONE, 1_000 + mover, 30 * ONE, second.now)
    assert second.balance(0) == 30 * ONE
    assert int(first.pool.custody) == custody[0] - 30 * ONE
    assert int(second.pool.custody) == custody[1] + 30 * ONE
    second.run(move_in, second.rules, 0, 1_000 + mover, ONE, second.now)
    assert second.balance(0) == 31 * ONE
    assert second.pool.account_count == 1
    assert first.flow(Flow.MOVED) == 30 * ONE
