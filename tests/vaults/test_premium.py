"""The premium stream: what is charged, who gets it, and that nobody can owe it."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm.units import AMOUNT_MAX, DAY_MS, E15, HOUR_MS, MINUTE_MS, ONE, YEAR_MS
from tests.vaults.harness import BTC, ETH, Bench, funded
from vaults.moves import Flow, Move
from vaults.params import Parameters
from vaults.premium import index_at, key_of, owed_by_account, premium_for
from vaults.rejects import Reject
from vaults.state import NONE

HOURLY = Parameters(accrual_gap_ms=HOUR_MS, keep_reserve_ms=HOUR_MS)
"""Ticks of up to an hour, so that a day is few of them."""


def holder_of(bench: Bench, *notionals: int, strike: float = 100_000) -> tuple[int, list[int]]:
    """Return a rich account and its positions in neighbouring calls."""
    account = bench.account()
    fills = [
        bench.open(account, notional, strike + 1_000 * place)
        for place, notional in enumerate(notionals)
    ]
    assert all(fill.refusal.code == Reject.NONE for fill in fills)
    return account, [fill.position_id for fill in fills]


def paid_premium(bench: Bench) -> int:
    return bench.flow(Flow.PREMIUM_MAIN) + bench.flow(Flow.PREMIUM_INSURANCE)


@given(
    touches=st.lists(st.integers(1, 59_999), max_size=6, unique=True),
    price=st.sampled_from([100_000, 101_300, 98_000]),
    notional=st.integers(10**6, 900 * ONE),
)
def test_touching_a_position_changes_rounding_only(
    touches: list[int], price: int, notional: int
) -> None:
    """The index is the same however often it was read; each settlement may cost one unit more."""
    quiet = funded()
    account, _ = holder_of(quiet, notional)
    touched = quiet.copy()
    start = quiet.now
    for at in sorted(touches):
        touched.now = start + at
        touched.credit(account, 1)
    for bench in (quiet, touched):
        bench.now = start
        bench.tick(price)
    assert quiet.state.series[0].index_e15 == touched.state.series[0].index_e15
    for bench in (quiet, touched):
        bench.tick()
        bench.credit(account, 1)
    assert quiet.state.series[0].index_e15 == touched.state.series[0].index_e15
    more = paid_premium(touched) - paid_premium(quiet)
    assert 0 <= more <= len(touches)


@given(
    parts=st.lists(st.integers(10**6, 50 * ONE), min_size=2, max_size=5),
    moves=st.lists(st.sampled_from([0.97, 1.0, 1.01]), min_size=1, max_size=4),
)
def test_splitting_a_position_never_pays(parts: list[int], moves: list[float]) -> None:
    """Several holders of a series together owe what one would, or the rounding more."""
    bench = funded()
    accounts = [holder_of(bench, notional)[0] for notional in parts]
    one = holder_of(bench, sum(parts))[0]
    for move in moves:
        bench.tick(bench.prices[BTC] * move)
    owed = [
        int(owed_by_account(bench.state, bench.rules, account, bench.now)) for account in accounts
    ]
    whole = int(owed_by_account(bench.state, bench.rules, one, bench.now))
    assert whole <= sum(owed) < whole + len(parts)


@given(
    steps=st.lists(
        st.tuples(
            st.integers(10**6, 40 * ONE), st.integers(1, 60_000), st.sampled_from([0.99, 1.0, 1.02])
        ),
        min_size=1,
        max_size=6,
    )
)
def test_an_account_pays_the_integral_of_its_notional(
    steps: list[tuple[int, int, float]],
) -> None:
    """Merging openings charges each from its own instant: the exact sum, rounded up at touches."""
    bench = funded()
    account, _ = holder_of(bench, ONE)
    series, exact = bench.state.series[0], Fraction(0)
    start, last = bench.settlements, int(series.index_e15)
    held = ONE
    for notional, after_ms, move in steps:
        bench.tick(bench.prices[BTC] * move, after_ms=after_ms)
        bench.now += 60_000 - after_ms
        bench.publish(BTC, bench.prices[BTC], 0.5)
        assert bench.open(account, notional).refusal.code == Reject.NONE
        series = bench.state.series[0]
        exact += Fraction(held * (int(series.index_e15) - last), E15)
        last, held = int(series.index_e15), held + notional
    bench.tick()
    bench.credit(account, 1)
    exact += Fraction(held * (int(bench.state.series[0].index_e15) - last), E15)
    assert exact <= paid_premium(bench) < exact + bench.settlements - start


@pytest.mark.parametrize("price", [70_000.0, 99_000.0, 120_000.0])
@pytest.mark.parametrize("after_ms", [MINUTE_MS, MINUTE_MS + 1, 5 * DAY_MS])
def test_the_index_advances_by_the_rate_at_the_start(price: float, after_ms: int) -> None:
    """An interval is charged at its left end; one without prices at the smaller of both ends."""
    bench = funded()
    holder_of(bench, 100 * ONE)
    index, rate = int(bench.state.series[0].index_e15), int(bench.state.marks[0].rate_e15)
    bench.tick(price, after_ms=after_ms)
    new_rate = int(bench.state.marks[0].rate_e15)
    assert new_rate < rate
    charged = rate if after_ms <= MINUTE_MS else new_rate
    added = int(bench.state.series[0].index_e15) - index
    assert added == -(-charged * after_ms // YEAR_MS)
    back, rising = int(bench.state.series[0].index_e15), new_rate
    bench.tick(100_000, after_ms=after_ms)
    added = int(bench.state.series[0].index_e15) - back
    assert added == -(-rising * after_ms // YEAR_MS)


def test_between_ticks_the_index_runs_one_gap_ahead_at_most() -> None:
    """A reading long after the last tick charges one gap; the tick charges the rest."""
    bench = funded()
    account, _ = holder_of(bench, 100 * ONE)
    series, rate = bench.state.series[0], int(bench.state.marks[0].rate_e15)
    start = int(series.index_e15)
    ahead = [
        int(index_at(bench.state, bench.rules, 0, bench.now + later)) - start
        for later in (0, 1, MINUTE_MS, MINUTE_MS + 1, DAY_MS)
    ]
    full = -(-rate * MINUTE_MS // YEAR_MS)
    assert ahead == [0, -(-rate // YEAR_MS), full, full, full]
    bench.now += HOUR_MS
    bench.credit(account, 1)
    assert bench.state.series[0].index_e15 == start + full
    bench.now -= HOUR_MS
    bench.tick(after_ms=HOUR_MS)
    assert bench.state.series[0].index_e15 == start - (-rate * HOUR_MS // YEAR_MS)


def test_insurance_gets_its_share_of_premium_rounded_down() -> None:
    """With cover there is a phi above 0, and of p premium floor(p phi) is insurance's."""
    bench = funded(10_000 * ONE, 2_000 * ONE)
    phi = int(bench.pool.phi_ppm)
    assert phi == 10_000
    account, _ = holder_of(bench, 123_456_789)
    main, insurance = int(bench.pool.main), int(bench.pool.insurance)
    for _ in range(5):
        bench.tick()
        bench.credit(account, 1)
        paid = int(bench.pool.main) - main + int(bench.pool.insurance) - insurance
        assert paid > 0
        assert bench.pool.insurance - insurance == paid * phi // 10**6
        main, insurance = int(bench.pool.main), int(bench.pool.insurance)


def test_what_a_sale_pays_is_split_too() -> None:
    """Premium taken from proceeds, after missing ticks, is shared like any other (I11)."""
    bench = funded(10_000 * ONE, 2_000 * ONE)
    while bench.pool.flushes < bench.parameters.cover_period_flushes:
        bench.flush_when_due(1)
    account, _ = holder_of(bench, 123_456_789, 10 * ONE)
    bench.drain(account)
    insurance = int(bench.pool.insurance)
    bench.tick(after_ms=2 * DAY_MS)
    assert bench.flow(Flow.CLOSE) > 0
    assert bench.pool.insurance > insurance


def test_rent_is_part_of_premium_and_counted_apart() -> None:
    """Above half utilisation the lock costs its price, on top of the stream."""
    wide = Parameters(series_share_ppm=10**6, account_share_ppm=10**6, stress_share_ppm=700_000)
    bench = funded(1_000 * ONE, parameters=wide)
    account = bench.account()
    assert bench.open(account, 1_500 * ONE).refusal.code == Reject.NONE
    stream = int(bench.state.marks[0].rate_e15)
    bench.tick()
    used = int(bench.pool.locked) / int(bench.pool.main + bench.pool.insurance // 2)
    rent = 0.75 * (used - 0.5) / 0.5
    assert bench.state.marks[0].rent_e15 == pytest.approx(0.5 * rent * E15, rel=1e-9)
    assert bench.state.marks[0].rate_e15 == pytest.approx(stream + 0.5 * rent * E15, rel=1e-9)
    before = bench.flow(Flow.RENT_ACCRUED)
    bench.tick()
    accrued = bench.flow(Flow.RENT_ACCRUED) - before
    expected = int(bench.pool.locked) * rent * MINUTE_MS / YEAR_MS
    assert accrued == pytest.approx(expected, abs=2)


PATH = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.002, -0.002, 0.01, -0.01, 0.05, -0.05, 0.3, -0.3]),
        st.sampled_from([0.2, 0.5, 0.6, 1.5]),
        st.sampled_from([1, 60_000, HOUR_MS // 2, HOUR_MS, HOUR_MS, HOUR_MS]),
    ),
    min_size=8,
    max_size=40,
)


def walk(bench: Bench, path: list[tuple[float, float, int]]) -> None:
    """Tick along a path, kept where the model is meant to be used."""
    for move, vol, after_ms in path:
        price = min(max(bench.prices[BTC] * (1.0 + move), 75_000.0), 140_000.0)
        eth = min(max(bench.prices[ETH] * (1.0 - move), 2_500.0), 5_500.0)
        bench.tick(price, eth, btc_vol=vol, eth_vol=vol, after_ms=after_ms)


@given(
    path=PATH,
    sizes=st.tuples(*[st.integers(10**6, 400 * ONE)] * 3),
)
def test_self_funding_is_exact_on_any_path(
    path: list[tuple[float, float, int]], sizes: tuple[int, int, int]
) -> None:
    """With ticks at most a gap apart what is written off is at most a unit a settlement.

    Rates jump inside ticks by any factor; an account starts with one gap of premium, and after a
    tick always has the next. That no balance becomes negative is an assertion of every transfer.
    """
    bench = funded(parameters=HOURLY)
    account, _ = holder_of(bench, *sizes[:2])
    bench.open(account, sizes[2], 4_000, is_call=False, underlying=ETH)
    bench.drain(account)
    settled = bench.settlements
    walk(bench, path)
    assert bench.flow(Flow.WRITTEN_OFF) <= bench.settlements - settled
    gaps = [
        premium_for(
            int(position.notional), int(bench.state.marks[position.series].rate_e15), HOUR_MS
        )
        for position in bench.live_positions()
    ]
    assert sum(gaps) <= bench.balance(account) + len(gaps)


@given(path=PATH)
def test_a_lone_self_funding_position_writes_nothing_off(
    path: list[tuple[float, float, int]],
) -> None:
    """The bound is not needed for an account that settles only when its position is run."""
    bench = funded(parameters=HOURLY)
    account, _ = holder_of(bench, 300 * ONE)
    bench.drain(account)
    walk(bench, path)
    assert bench.flow(Flow.WRITTEN_OFF) <= 1


@given(days=st.integers(1, 20), vol=st.sampled_from([0.3, 0.5, 1.0]))
def test_where_ticks_were_missing_the_position_pays_from_its_own_sale(
    days: int, vol: float
) -> None:
    """No balance is left after days of silence, yet the whole premium is paid while value lasts."""
    bench = funded()
    bench.tick(btc_vol=vol)
    account, positions = holder_of(bench, 300 * ONE)
    bench.drain(account)
    balance, accrued = bench.balance(account), bench.flow(Flow.PREMIUM_ACCRUED)
    bench.tick(after_ms=days * DAY_MS)
    accrued = bench.flow(Flow.PREMIUM_ACCRUED) - accrued
    assert accrued > balance
    sold = bench.flow(Flow.CLOSE)
    assert sold > 0
    paid = paid_premium(bench)
    if bench.flow(Flow.WRITTEN_OFF) > 0:
        assert bench.balance(account) == 0
        assert bench.position(positions[0]) is None
    assert paid + bench.flow(Flow.WRITTEN_OFF) == pytest.approx(accrued, abs=2)
    if 0.0035 * days < 0.02:
        assert bench.flow(Flow.WRITTEN_OFF) == 0


def test_what_a_sale_cannot_pay_is_written_off() -> None:
    """A worthless position cannot pay for a silence at high rates: nobody owes the rest."""
    bench = funded()
    bench.tick(btc_vol=1.5)
    account, positions = holder_of(bench, 100 * ONE)
    bench.drain(account)
    bench.tick(after_ms=60 * DAY_MS)
    assert bench.flow(Flow.WRITTEN_OFF) > ONE
    assert bench.balance(account) == 0
    assert bench.position(positions[0]) is None


def test_at_the_money_a_self_funding_position_melts_twelve_percent_a_day() -> None:
    """Each sale pays for a day: about an eighth of an at-the-money position."""
    bench = funded(parameters=HOURLY)
    account, positions = holder_of(bench, 400 * ONE)
    bench.drain(account)
    held = []
    for _ in range(24 * 5):
        bench.tick(after_ms=HOUR_MS)
        held.append(int(bench.position(positions[0]).notional))
    sizes = sorted(set(held), reverse=True)
    kept = [after / before for before, after in pairwise(sizes)]
    assert len(kept) == 5
    assert all(0.865 <= part <= 0.885 for part in kept)


def test_deep_in_the_money_it_hardly_melts() -> None:
    """Where there is no time value there is no premium: a few millionths a day."""
    bench = funded(parameters=HOURLY)
    account, positions = holder_of(bench, 400 * ONE, strike=75_000)
    bench.tick(110_000, btc_vol=0.35, after_ms=HOUR_MS)
    bench.drain(account)
    before = int(bench.position(positions[0]).notional)
    for _ in range(30):
        bench.tick(after_ms=HOUR_MS)
    melted = 1.0 - int(bench.position(positions[0]).notional) / before
    assert 0.0 < melted < 1e-4


def test_a_key_is_the_last_index_an_allowance_pays() -> None:
    """At the key the premium is at most the allowance, one index later it is more."""
    bench = funded()
    holder_of(bench, 7 * ONE + 3)
    position = bench.live_positions()[0]
    for allowance in (0, 1, 10**6, 123_456_789, 6 * 10**9):
        key = int(key_of(bench.state, 0, allowance))
        passed = key - int(position.entry_index_e15)
        notional = int(position.notional)
        assert -(-notional * passed // E15) <= allowance
        assert -(-notional * (passed + 1) // E15) > allowance
    beyond = int(key_of(bench.state, 0, AMOUNT_MAX)) - int(position.entry_index_e15)
    assert beyond == AMOUNT_MAX  # nine years of the whole notional are enough


@given(
    notionals=st.lists(st.integers(10**6, 300 * ONE), min_size=1, max_size=5),
    extra=st.integers(0, 10**12),
)
def test_a_balance_is_divided_in_proportion_to_premium(notionals: list[int], extra: int) -> None:
    """Shares sum to no more than the balance and last equally long, up to rounding."""
    bench = funded()
    account, _ = holder_of(bench, *notionals)
    bench.drain(account)
    bench.credit(account, extra + 1)
    allowances, lasts = [], []
    for position in bench.live_positions():
        rate = int(bench.state.marks[position.series].rate_e15)
        allowances.append(int(position.allowance))
        lasts.append(allowances[-1] / (int(position.notional) * rate))
    assert bench.balance(account) - len(lasts) <= sum(allowances) <= bench.balance(account)
    if min(notionals) >= ONE:
        assert max(lasts) <= min(lasts) * 1.001


def test_the_first_tick_of_a_series_charges_from_its_opening() -> None:
    """Opened in the middle of an interval, the first charge is for the rest of it."""
    bench = funded()
    account = bench.account()
    bench.now += 45_000
    bench.publish(BTC, 100_000, 0.5)
    assert bench.open(account, 100 * ONE).refusal.code == Reject.NONE
    rate = int(bench.state.marks[0].rate_e15)
    bench.now -= 45_000
    bench.tick()
    owed = int(owed_by_account(bench.state, bench.rules, account, bench.now))
    assert owed == pytest.approx(premium_for(100 * ONE, rate, 15_000), abs=2)


def test_due_positions_run_in_order_of_key_then_id() -> None:
    """The log of a tick shows who was settled first."""
    bench = funded(parameters=HOURLY)
    accounts = [bench.account() for _ in range(4)]
    for account in reversed(accounts):
        assert bench.open(account, 50 * ONE).refusal.code == Reject.NONE
    for account in accounts:
        bench.drain(account)
    keys = {int(p.position_id): int(p.key_e15) for p in bench.live_positions()}
    slots = {place: int(row.position_id) for place, row in enumerate(bench.state.positions)}
    ran: list[int] = []
    run = bench.run

    def spy(*inputs: object) -> object:
        result = run(*inputs)
        settled = bench.moves[bench.moves[:, 0] == Move.SETTLE]
        ran.extend(slots[int(row[1])] for row in settled)
        return result

    bench.run = spy  # type: ignore[method-assign]
    bench.tick(after_ms=HOUR_MS)
    assert ran == sorted(keys, key=lambda each: (keys[each], each))
    assert len(ran) == 4
    assert NONE not in ran


def test_dust_beside_a_position_does_not_make_silence_free() -> None:
    """Ticks are missing for days: the sale of dust does not write off what the rest can pay."""
    bench = funded()
    account, _ = holder_of(bench, 500 * ONE)
    assert bench.open(account, ONE, 110_000).refusal.code == Reject.NONE
    bench.drain(account)
    bench.tick(after_ms=3 * DAY_MS)
    assert bench.flow(Flow.CLOSE) > 0
    assert bench.flow(Flow.WRITTEN_OFF) == 0


def test_a_cash_out_pays_before_it_settles() -> None:
    """Premium that a silence left unpaid comes out of the payout at the cap."""
    bench = funded()
    account = bench.account(900 * ONE)
    assert bench.open(account, 100 * ONE).refusal.code == Reject.NONE
    bench.tick(145_000)
    assert bench.open(account, 500 * ONE, 145_000).refusal.code == Reject.NONE
    bench.drain(account)
    bench.tick(150_500, after_ms=5 * DAY_MS)
    assert bench.flow(Flow.CASH_OUT) == 50 * ONE
    assert bench.flow(Flow.WRITTEN_OFF) == 0


def test_a_series_that_was_empty_charges_from_its_opening() -> None:
    """Emptied late in one interval and opened early in the next: the rest of that is charged."""
    bench = funded()
    account, positions = holder_of(bench, 100 * ONE)
    bench.now += 59_000
    bench.publish(BTC, 100_000, 0.5)
    bench.close(account, positions[0], 100 * ONE)
    bench.tick(after_ms=1_000)
    bench.now += 1_000
    fill = bench.open(account, 100 * ONE)
    bench.now -= 1_000
    bench.tick()
    owed = int(owed_by_account(bench.state, bench.rules, account, bench.now))
    rate = int(bench.state.marks[0].rate_e15)
    assert bench.position(fill.position_id) is not None
    assert owed == pytest.approx(premium_for(100 * ONE, rate, 59_000), abs=2)
