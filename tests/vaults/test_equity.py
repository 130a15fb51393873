"""Who owns what: the claims of all parties sum to custody, to the unit."""

from hypothesis import given
from hypothesis import strategies as st

from amm.units import MINUTE_MS, ONE
from tests.vaults.harness import Bench, funded
from vaults.equity import equity, option_value


def parts_sum(bench: Bench) -> bool:
    """Whether the parts sum to custody."""
    return sum(equity(bench.state)) == int(bench.pool.custody)


@given(
    notionals=st.lists(st.integers(ONE // 100, 200 * ONE), min_size=1, max_size=5),
    prices=st.lists(st.floats(70_000.0, 148_000.0), min_size=1, max_size=4),
)
def test_every_gain_is_somebodys_loss(notionals: list[int], prices: list[float]) -> None:
    """Whatever is open, at whatever marks, with premium owed or cashed out at the cap."""
    bench = funded()
    account = bench.account()
    for number, notional in enumerate(notionals):
        bench.open(account, notional, 95_000 + 5_000 * (number % 3), is_call=number % 2 == 0)
    assert parts_sum(bench)
    for price in prices:
        bench.tick(price, after_ms=MINUTE_MS)
        assert parts_sum(bench)


def test_a_position_is_worth_its_mark_less_what_it_owes() -> None:
    """After a minute an at-the-money call has lost a minute's premium, rounded against it."""
    bench = funded()
    fill = bench.open(bench.account(), 100 * ONE)
    slot = next(
        row
        for row in range(int(bench.pool.position_count))
        if int(bench.state.positions[row].position_id) == fill.position_id
    )
    fresh = option_value(bench.state, slot)
    bench.tick(after_ms=MINUTE_MS)
    minute = 100 * ONE * 1.27612 / (365 * 24 * 60)
    assert 0 < fresh - option_value(bench.state, slot) - minute < 2 + 1e-3 * minute


def test_equity_follows_the_index() -> None:
    """A call's holder gains what the main pool loses."""
    bench = funded()
    bench.open(bench.account(), 100 * ONE)
    before = equity(bench.state)
    bench.tick(105_000.0, after_ms=MINUTE_MS)
    after = equity(bench.state)
    assert after.options - before.options > 2 * ONE
    assert after.main - before.main == before.options - after.options + (
        before.insurance - after.insurance
    )
