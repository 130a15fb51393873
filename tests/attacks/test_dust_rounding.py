"""Many tiny trades, settlements and requests, each hoping for a rounding in its favour."""

from hypothesis import given
from hypothesis import strategies as st

from amm.units import ONE
from tests.vaults.harness import funded
from vaults.moves import Flow, RequestKind
from vaults.rejects import Reject


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=12), gift=st.integers(0, 10**9))
def test_tiny_deposits_and_redemptions_gain_nothing(sizes: list[int], gift: int) -> None:
    """A few units at a time, at an odd price per share, in and out: never more than went in."""
    bench = funded(1_000 * ONE)
    bench.change(exit_fee_ppm=0, exit_fee_max_ppm=0)
    bench.pool.main += gift
    bench.pool.custody += gift
    account = bench.account(10_000)
    for size in sizes:
        bench.request(account, RequestKind.DEPOSIT_MAIN, size)
    bench.pool.next_flush_ms = bench.now
    bench.flush()
    held = int(bench.state.accounts[account].main_shares)
    for size in sizes:
        bench.request(account, RequestKind.REDEEM_MAIN, min(size, held))
        held = int(bench.state.accounts[account].main_shares)
    if held:
        bench.request(account, RequestKind.REDEEM_MAIN, held)
    bench.pool.next_flush_ms = bench.now
    bench.flush()
    assert bench.state.accounts[account].main_shares == 0
    assert bench.balance(account) <= 10_000


@given(parts=st.lists(st.integers(10**6, 3 * 10**6), min_size=2, max_size=10))
def test_selling_in_dust_gains_nothing(parts: list[int]) -> None:
    """Sold in the smallest pieces, a position brings no more than in one."""
    bench = funded()
    account = bench.account()
    fill = bench.open(account, sum(parts) + 10**6)
    assert fill.refusal.code == Reject.NONE
    whole = bench.copy()
    at_once = whole.close(account, fill.position_id, sum(parts)).amount
    in_parts = sum(bench.close(account, fill.position_id, part).amount for part in parts)
    assert in_parts <= at_once + 1
    assert bench.flow(Flow.IMPACT_REFUNDED) <= bench.flow(Flow.IMPACT_PAID)


@given(times=st.lists(st.integers(1, 999), min_size=1, max_size=15))
def test_settling_every_instant_pays_more_not_less(times: list[int]) -> None:
    """Deposits of one unit force settlements of fractions: each costs the holder up to a unit."""
    quiet = funded()
    account = quiet.account()
    assert quiet.open(account, 12_345_678).refusal.code == Reject.NONE
    busy = quiet.copy()
    for after_ms in times:
        busy.now += after_ms
        busy.credit(account, 1)
    quiet.now = busy.now
    quiet.credit(account, len(times))
    assert busy.balance(account) <= quiet.balance(account)
