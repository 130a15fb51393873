"""Opening, closing and account commands, one by one and in random order with everything else."""

from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from amm.units import AMOUNT_MAX, DAY_MS, E15, HOUR_MS, MINUTE_MS, ONE
from tests.vaults.harness import BTC, ETH, RICH, Bench, funded
from vaults.account import SUPPLY_MAX
from vaults.moves import Flow, RequestKind
from vaults.opening import find_position, find_series, price_opening
from vaults.params import Parameters
from vaults.premium import premium_for
from vaults.rejects import Reject
from vaults.state import NONE
from vaults.tick import check, is_due, tick

DEPOSIT_MAIN, REDEEM_MAIN = RequestKind.DEPOSIT_MAIN, RequestKind.REDEEM_MAIN
DEPOSIT_INSURANCE = RequestKind.DEPOSIT_INSURANCE
REDEEM_INSURANCE = RequestKind.REDEEM_INSURANCE


def opened(bench: Bench, account: int, notional: int, strike: float = 100_000, **how: Any) -> Any:
    """Open what must be accepted."""
    fill = bench.open(account, notional, strike, **how)
    assert fill.refusal.code == Reject.NONE, Reject(fill.refusal.code)
    return fill


def test_the_worked_example() -> None:
    """The numbers of the specification: cost, fee, lock and a day's premium of 100 TSLA.M."""
    bench = funded(9_999 * ONE)
    assert bench.pool.nav_reference == 10_000 * ONE
    account = bench.account(1_000 * ONE)
    fill = opened(bench, account, 100 * ONE)
    assert fill.amount == pytest.approx(253_893_000, abs=500)
    assert fill.fee == 3_000_000
    assert bench.pool.locked == 50 * ONE
    rate = int(bench.state.marks[0].rate_e15)
    assert premium_for(100 * ONE, rate, DAY_MS) == pytest.approx(34_962_000, abs=500)
    before = bench.balance(account)
    for _ in range(24 * 60):
        bench.checked = False
        bench.tick()
    bench.checked = True
    bench.credit(account, 1)
    assert before + 1 - bench.balance(account) == pytest.approx(34_962_000, abs=500)


def test_the_worked_example_in_parts() -> None:
    """Mid, impact and spread of the worked example; ten thousand at once pay 29.34."""
    bench = funded(9_999 * ONE)
    inputs = (bench.rules, bench.market, BTC, True, 100_000 * ONE)
    quote = price_opening(bench.state, *inputs, 100 * ONE, bench.now).quote
    parts = (quote.mid, quote.impact, quote.spread, quote.fee, quote.total)
    assert parts == pytest.approx((2.44736, 0.00219, 0.05939, 0.03, 2.53893), abs=6e-6)
    large = price_opening(bench.state, *inputs, 10_000 * ONE, bench.now).quote
    assert large.impact == pytest.approx(29.34, abs=6e-3)


def test_an_order_reports_the_first_refusal_that_applies() -> None:
    """With every fault at once, and one removed at a time, the codes come in their order."""
    wide = Parameters(series_share_ppm=10**6, account_share_ppm=10**6, stress_share_ppm=700_000)
    bench = funded(parameters=wide)
    other, account = bench.account(), bench.account(ONE)
    opened(bench, other, 10_000 * ONE, 110_000)
    opened(bench, other, 2_000 * ONE, 90_000)
    bench.change(
        notional_min=20_000 * ONE,
        series_live_max=2,
        series_share_ppm=1,
        account_share_ppm=1,
        total_min_ppm=10**6,
        stress_share_ppm=0,
    )
    order: dict[str, Any] = {"underlying": 2, "notional": 0, "strike": 100_000.5, "limit": 0}
    order["fill_after"] = 0
    whose = NONE

    def seen(**fixed: Any) -> Reject:
        order.update({name: fixed.pop(name) for name in tuple(fixed) if name in order})
        bench.change(**fixed)
        return Reject(bench.open(whose, **order).refusal.code)

    bench.now += 11_000
    assert seen() == Reject.UNDERLYING_UNKNOWN
    assert seen(underlying=BTC) == Reject.ACCOUNT_UNKNOWN
    whose = account
    assert seen() == Reject.AMOUNT_NOT_POSITIVE
    assert seen(notional=AMOUNT_MAX) == Reject.AMOUNT_TOO_LARGE
    assert seen(notional=12_000 * ONE) == Reject.MARK_STALE
    assert seen(fill_after=bench.now) == Reject.NO_FRESH_INDEX
    bench.publish(BTC, 100_000, 0.5)
    assert seen() == Reject.NO_FRESH_INDEX  # published now, and not yet ticked
    bench.tick(100_000, btc_vol=0.5, after_ms=1)
    assert seen(fill_after=bench.now + 1) == Reject.NO_FRESH_INDEX
    assert seen(fill_after=bench.now) == Reject.STRIKE_OFF_LADDER
    assert seen(strike=141_000) == Reject.STRIKE_WINDOW
    assert seen(strike=69_000) == Reject.STRIKE_WINDOW
    assert seen(strike=100_000) == Reject.NOTIONAL_MIN
    assert seen(notional_min=ONE) == Reject.SERIES_LIMIT
    assert seen(series_live_max=3) == Reject.SERIES_SHARE
    assert seen(series_share_ppm=10**6) == Reject.ACCOUNT_SHARE
    assert seen(account_share_ppm=10**6) == Reject.TOTAL_MIN
    assert seen(total_min_ppm=500) == Reject.CAPACITY
    assert seen(notional=100 * ONE) == Reject.STRESS_LIMIT
    assert seen(stress_share_ppm=10**6) == Reject.PRICE_LIMIT
    assert seen(limit=RICH) == Reject.BALANCE
    assert seen(notional=5 * ONE) == Reject.NONE


def test_a_sale_reports_the_first_refusal_that_applies() -> None:
    """As for orders; who is not the owner learns nothing but that there is no such position."""
    bench = funded()
    account, other = bench.account(), bench.account()
    fill = opened(bench, account, 10 * ONE)
    bench.now += 11_000

    def seen(whose: int, position: int, notional: int, least: int) -> Reject:
        return Reject(bench.close(whose, position, notional, least).refusal.code)

    assert seen(NONE, 9, 0, RICH) == Reject.ACCOUNT_UNKNOWN
    assert seen(account, 9, 0, RICH) == Reject.POSITION_UNKNOWN
    assert seen(other, fill.position_id, 0, RICH) == Reject.POSITION_UNKNOWN
    assert seen(account, fill.position_id, 0, RICH) == Reject.AMOUNT_NOT_POSITIVE
    assert seen(account, fill.position_id, 11 * ONE, RICH) == Reject.SIZE_EXCEEDS_POSITION
    assert seen(account, fill.position_id, 10 * ONE, RICH) == Reject.MARK_STALE
    bench.publish(BTC, 100_000, 0.5)
    assert seen(account, fill.position_id, 10 * ONE, RICH) == Reject.PRICE_LIMIT
    assert seen(account, fill.position_id, 10 * ONE, 0) == Reject.NONE
    assert seen(account, fill.position_id, 10 * ONE, 0) == Reject.POSITION_UNKNOWN


def test_money_commands_report_the_first_refusal_that_applies() -> None:
    """Credits, withdrawals and their payment: amounts, supply and balance."""
    bench = Bench()
    account = bench.account(100)
    assert bench.credit(account, 0).code == Reject.AMOUNT_NOT_POSITIVE
    assert bench.credit(account, AMOUNT_MAX + 1).code == Reject.AMOUNT_TOO_LARGE
    room = SUPPLY_MAX - int(bench.pool.custody)
    assert bench.credit(account, room + 1).code == Reject.SUPPLY_LIMIT
    assert bench.credit(account, room).code == Reject.NONE
    assert bench.withdraw(NONE, 0).code == Reject.ACCOUNT_UNKNOWN
    assert bench.withdraw(account, 0).code == Reject.AMOUNT_NOT_POSITIVE
    assert bench.withdraw(account, room + 101).code == Reject.BALANCE
    assert bench.withdraw(account, 60).code == Reject.NONE
    assert bench.debit(0).code == Reject.AMOUNT_NOT_POSITIVE
    assert bench.debit(61).code == Reject.BALANCE
    custody = int(bench.pool.custody)
    assert bench.debit(60).code == Reject.NONE
    assert bench.pool.custody == custody - 60


def test_requests_report_the_first_refusal_that_applies() -> None:
    """Deposits and redemptions by request, and taking them back."""
    bench = funded()
    account, other = bench.account(ONE), bench.account(ONE)

    def seen(whose: int, kind: RequestKind, amount: int) -> Reject:
        return Reject(bench.request(whose, kind, amount).refusal.code)

    assert seen(NONE, DEPOSIT_MAIN, 0) == Reject.ACCOUNT_UNKNOWN
    assert seen(account, DEPOSIT_MAIN, 0) == Reject.AMOUNT_NOT_POSITIVE
    assert seen(account, DEPOSIT_MAIN, AMOUNT_MAX + 1) == Reject.AMOUNT_TOO_LARGE
    assert seen(account, DEPOSIT_MAIN, ONE + 1) == Reject.BALANCE
    assert seen(account, REDEEM_MAIN, 1) == Reject.SHARES_EXCEED_HOLDING
    assert seen(account, REDEEM_INSURANCE, 1) == Reject.SHARES_EXCEED_HOLDING
    slot = bench.request(account, DEPOSIT_MAIN, ONE).request
    assert bench.cancel(account, slot + 1).code == Reject.REQUEST_UNKNOWN
    assert bench.cancel(account, NONE).code == Reject.REQUEST_UNKNOWN
    assert bench.cancel(other, slot).code == Reject.REQUEST_UNKNOWN
    assert bench.cancel(account, slot).code == Reject.NONE
    assert bench.cancel(account, slot).code == Reject.REQUEST_UNKNOWN
    assert bench.flush().refusal.code == Reject.NOT_DUE


def test_ticks_and_checks_report_the_first_refusal_that_applies() -> None:
    """Time of an underlying goes forward; a check needs a position that is due, and a mark."""
    bench = funded()
    account = bench.account()
    again = bench.run(tick, bench.rules, bench.market, BTC, bench.now)
    assert again.code == Reject.TIME_NOT_INCREASING
    assert bench.check(0).code == Reject.POSITION_UNKNOWN
    assert bench.check(NONE).code == Reject.POSITION_UNKNOWN
    fill = opened(bench, account, 10 * ONE)
    assert bench.check(0).code == Reject.NOT_DUE
    # What only a tick can do otherwise: the position becomes due by a change of its allowance.
    bench.state.positions[0].key_e15 = bench.state.positions[0].entry_index_e15
    bench.state.marks[0].least_key_e15 = 0
    bench.now += 11_000
    assert bench.check(0).code == Reject.MARK_STALE
    bench.publish(BTC, 100_000, 0.5)
    assert bench.check(0).code == Reject.NONE
    assert not is_due(bench.state, bench.rules, 0)
    bench.close(account, fill.position_id, 10 * ONE)
    assert bench.check(0).code == Reject.POSITION_UNKNOWN


def test_two_openings_of_a_series_are_one_position() -> None:
    """Notional, impact and lock add up; premium runs as if it had been two."""
    bench = funded()
    account, twin = bench.account(), bench.account()
    first = opened(bench, account, 30 * ONE)
    alone = opened(bench, twin, 30 * ONE)
    bench.tick()
    second = opened(bench, account, 12 * ONE)
    assert second.position_id == first.position_id
    assert alone.position_id != first.position_id
    position = bench.position(first.position_id)
    assert position.notional == 42 * ONE
    assert len(bench.live_positions()) == 2
    assert bench.pool.live_series == 1
    assert bench.pool.locked == 36 * ONE
    assert position.impact_paid > 0


def test_a_partial_close_keeps_the_books_in_proportion() -> None:
    """Half sold: lock, notional and remembered impact halve, the odd unit stays refundable."""
    bench = funded()
    account = bench.account()
    fill = opened(bench, account, 900 * ONE + 2)
    bench.state.positions[0].impact_paid -= bench.state.positions[0].impact_paid % 2 - 1
    bench.pool.impact_refundable = bench.state.positions[0].impact_paid
    paid = int(bench.position(fill.position_id).impact_paid)
    bench.tick()
    sold = bench.close(account, fill.position_id, 450 * ONE + 1)
    position = bench.position(fill.position_id)
    assert position.notional == 450 * ONE + 1
    assert bench.pool.locked == 225 * ONE + 1
    assert position.impact_paid == paid - paid // 2
    assert bench.flow(Flow.IMPACT_REFUNDED) <= paid // 2
    assert 0 < sold.amount < fill.amount // 2
    rest = bench.close(account, fill.position_id, 450 * ONE + 1)
    assert bench.position(fill.position_id) is None
    assert bench.pool.locked == bench.pool.live_series == bench.pool.impact_refundable == 0
    assert sold.amount + rest.amount < fill.amount


def test_a_remnant_is_closed_with_the_sale() -> None:
    """What would be left below the minimum goes too; exactly the minimum stays."""
    bench = funded()
    account = bench.account()
    least = bench.parameters.notional_min
    fill = opened(bench, account, 10 * ONE)
    assert bench.close(account, fill.position_id, 9 * ONE - least).notional == 9 * ONE - least
    assert bench.close(account, fill.position_id, ONE).notional == ONE
    assert bench.position(fill.position_id).notional == least
    opened(bench, account, ONE)
    assert bench.close(account, fill.position_id, ONE + 1).notional == ONE + least
    assert bench.position(fill.position_id) is None


def test_opening_and_selling_at_once_costs_spread_and_fees() -> None:
    """A round trip at one instant loses both spreads and both fees, and never gains."""
    bench = funded()
    account = bench.account()
    before = bench.balance(account)
    fill = opened(bench, account, 100 * ONE)
    sold = bench.close(account, fill.position_id, 100 * ONE)
    lost = before - bench.balance(account)
    assert lost == fill.amount - sold.amount
    assert lost >= 2 * 5_900_000 + fill.fee + sold.fee
    assert bench.flow(Flow.IMPACT_REFUNDED) <= bench.flow(Flow.IMPACT_PAID)


def test_a_self_funding_order_needs_an_hour_of_premium_another_a_day() -> None:
    """The least balance an order is taken with, to the unit."""
    bench = funded()
    account = bench.account(ONE)
    inputs = (bench.rules, bench.market, BTC, True, 100_000 * ONE, 10 * ONE, bench.now)
    quoted = price_opening(bench.state, *inputs)
    for self_funding, duration in ((True, HOUR_MS), (False, DAY_MS)):
        needed = int(quoted.total) + premium_for(10 * ONE, quoted.rate_e15, duration)
        missing = needed - bench.balance(account)
        if missing > 1:
            bench.credit(account, missing - 1)
        else:
            bench.withdraw(account, 1 - missing)
        refused = bench.open(account, 10 * ONE, self_funding=self_funding)
        assert refused.refusal.code == Reject.BALANCE
        assert (refused.refusal.actual, refused.refusal.limit) == (needed, needed - 1)
    bench.credit(account, 1)
    assert bench.open(account, 10 * ONE).refusal.code == Reject.NONE


def test_a_position_at_the_cap_is_cashed_out() -> None:
    """At the barrier exactly the cap is paid: no spread, no fee; a unit before it nothing is."""
    bench = funded()
    account = bench.account()
    fill = opened(bench, account, 100 * ONE)
    fees = int(bench.pool.fees)
    bench.tick(149_999)
    assert bench.position(fill.position_id) is not None
    bench.tick(150_000)
    assert bench.position(fill.position_id) is None
    assert bench.flow(Flow.CASH_OUT) == 50 * ONE
    assert bench.pool.fees == fees
    assert bench.pool.impact_refundable == bench.pool.locked == 0


def test_puts_are_cashed_out_below() -> None:
    """The mirror image, on the other underlying."""
    bench = funded()
    account = bench.account()
    fill = opened(bench, account, 100 * ONE, 4_000, is_call=False, underlying=ETH)
    bench.tick(eth=2_000.01)
    assert bench.position(fill.position_id) is not None
    bench.tick(eth=1_999.99)
    assert bench.position(fill.position_id) is None
    assert bench.flow(Flow.CASH_OUT) == 50 * ONE


class Exchange(RuleBasedStateMachine):
    """Two traders and two providers do what they like while time passes.

    The bench checks every invariant after every command; here stands what only a whole history
    tells.
    """

    @initialize(
        main=st.integers(ONE, 20_000 * ONE),
        insurance=st.integers(0, 3_000 * ONE),
        gap=st.sampled_from([MINUTE_MS, HOUR_MS]),
    )
    def list_and_fund(self, main: int, insurance: int, gap: int) -> None:
        """List a token and fill its pools."""
        self.bench = Bench(Parameters(accrual_gap_ms=gap))
        self.bench.tick(after_ms=HOUR_MS)
        self.providers = self.bench.fund(main, insurance)
        self.traders = (self.bench.account(100 * ONE), self.bench.account(2_000 * ONE))
        self.accounts = (*self.providers, *self.traders)
        self.gaps = False
        self.bench.tick()

    def note_gap(self, after_ms: int) -> None:
        """Remember whether an underlying goes without a tick for longer than is allowed."""
        last_ms = int(self.bench.state.books.tick_ms.min())
        elapsed_ms = self.bench.now + after_ms - last_ms
        self.gaps |= elapsed_ms > self.bench.parameters.accrual_gap_ms

    @rule(
        move=st.sampled_from([0.0, 0.001, -0.001, 0.02, -0.03, 0.15, -0.2, 0.6, -0.55]),
        eth_move=st.sampled_from([0.0, 0.003, -0.003, 0.1, -0.1, 0.55, -0.52]),
        vol=st.sampled_from([0.2, 0.45, 0.5, 0.55, 1.1]),
        after_ms=st.sampled_from([1, 700, MINUTE_MS, HOUR_MS // 2, 7 * HOUR_MS, 3 * DAY_MS]),
    )
    def prices_move(self, move: float, eth_move: float, vol: float, after_ms: int) -> None:
        """Prices and vols jump or not, after any time."""
        bench = self.bench
        btc, eth = bench.prices[BTC] * (1 + move), bench.prices[ETH] * (1 + eth_move)
        if not 2e4 < btc < 5e5 or not 8e2 < eth < 2e4:
            btc, eth = 100_000.0, 4_000.0
        self.note_gap(after_ms)
        bench.tick(btc, eth, btc_vol=vol, eth_vol=1.2 * vol, after_ms=after_ms)

    @rule(after_ms=st.sampled_from([5, 3_000, 60_000]))
    def time_passes(self, after_ms: int) -> None:
        """Time passes without a tick."""
        self.note_gap(after_ms)
        self.bench.now += after_ms

    @rule(
        who=st.integers(0, 1),
        part=st.integers(1, 2**20),
        scale=st.sampled_from([1e-6, 1e-3, 1e-2, 0.1]),
        steps=st.integers(-8, 8),
        is_call=st.booleans(),
        underlying=st.sampled_from([BTC, ETH]),
        self_funding=st.booleans(),
    )
    def trader_opens(
        self,
        who: int,
        part: int,
        scale: float,
        steps: int,
        is_call: bool,
        underlying: int,
        self_funding: bool,
    ) -> None:
        """Any order."""
        bench = self.bench
        ladder = (1_000, 50)[underlying]
        strike = (round(bench.prices[underlying] / ladder) + 3 * steps) * ladder
        fill = bench.open(
            self.traders[who],
            max(int(bench.pool.main * scale * part / 2**20), 1),
            strike,
            is_call=is_call,
            underlying=underlying,
            self_funding=self_funding,
        )
        if fill.refusal.code == Reject.NONE:
            assert bench.pool.locked <= bench.pool.main + bench.pool.insurance // 2

    @rule(
        who=st.integers(0, 1),
        size=st.integers(1, 40),
        is_call=st.booleans(),
        underlying=st.sampled_from([BTC, ETH]),
    )
    def trader_opens_at_the_money(
        self, who: int, size: int, is_call: bool, underlying: int
    ) -> None:
        """An order that is likely to be taken."""
        bench = self.bench
        bench.publish(underlying, bench.prices[underlying], bench.vols[underlying])
        ladder = (1_000, 50)[underlying]
        strike = round(bench.prices[underlying] / ladder) * ladder
        notional = int(bench.pool.main) * size // 400
        how = {"is_call": is_call, "underlying": underlying, "self_funding": True}
        bench.open(self.traders[who], notional, strike, **how)

    @rule(ticks=st.integers(2, 30), who=st.integers(0, 1))
    def premium_runs_dry(self, ticks: int, who: int) -> None:
        """Ticks with an hour of premium left."""
        self.bench.drain(self.traders[who])
        for _ in range(ticks):
            self.note_gap(self.bench.parameters.accrual_gap_ms)
            self.bench.tick(after_ms=self.bench.parameters.accrual_gap_ms)

    @rule(
        place=st.integers(0, 10**6),
        part=st.sampled_from([0.001, 0.5, 0.999, 1.0]),
        of=st.integers(0, 1),
    )
    def trader_closes(self, place: int, part: float, of: int) -> None:
        """Sell any part."""
        bench = self.bench
        held = [p for p in bench.live_positions() if p.account == self.traders[of]]
        if held:
            position = held[place % len(held)]
            notional = max(int(position.notional * part), 1)
            locked = int(bench.pool.locked)
            fill = bench.close(self.traders[of], int(position.position_id), notional)
            assert fill.amount + fill.fee <= locked - bench.pool.locked

    @rule(who=st.integers(0, 3), amount=st.integers(-5, 50 * ONE))
    def money_comes(self, who: int, amount: int) -> None:
        """A deposit, or what is none."""
        self.bench.credit(self.accounts[who], amount)

    @rule(who=st.integers(0, 3), amount=st.integers(1, 50 * ONE))
    def money_goes(self, who: int, amount: int) -> None:
        """A withdrawal and part of its payment."""
        self.bench.withdraw(self.accounts[who], amount)
        self.bench.debit(amount // 2 + 1)

    @rule(who=st.integers(0, 1))
    def all_is_withdrawn(self, who: int) -> None:
        """Only an hour of premium stays."""
        self.bench.drain(self.traders[who])

    @rule(
        who=st.integers(0, 2),
        kind=st.sampled_from([*RequestKind, REDEEM_MAIN, REDEEM_MAIN, REDEEM_INSURANCE]),
        part=st.sampled_from([0.0, 1e-7, 0.3, 1.0]),
        min_out=st.sampled_from([0, 0, 0, 10**9, RICH]),
    )
    def provider_asks(self, who: int, kind: RequestKind, part: float, min_out: int) -> None:
        """Any request."""
        row = self.bench.state.accounts[self.accounts[who]]
        held = {
            REDEEM_MAIN: int(row.main_shares),
            REDEEM_INSURANCE: int(row.insurance_shares),
        }.get(kind, int(row.balance))
        self.bench.request(self.accounts[who], kind, int(held * part), min_out)

    @precondition(lambda self: self.bench.pool.request_count > 0)
    @rule(place=st.integers(0, 10**6), who=st.integers(0, 2))
    def provider_cancels(self, place: int, who: int) -> None:
        """Cancel any request, own or not."""
        slot = place % int(self.bench.pool.request_count)
        self.bench.cancel(self.accounts[who], slot)

    @rule(is_ready=st.sampled_from([True, True, True, False]))
    def flush_is_called(self, is_ready: bool) -> None:
        """Flush, mostly when it is due."""
        bench = self.bench
        ahead = int(bench.pool.next_flush_ms) - bench.now
        if is_ready and ahead > 0:
            self.note_gap(ahead)
            bench.tick(after_ms=ahead)
            bench.change(window_marks_min=1)
        bench.flush()

    @rule(place=st.integers(0, 10**6))
    def somebody_checks(self, place: int) -> None:
        """Check any position."""
        bench = self.bench
        count = max(int(bench.pool.position_count), 1)
        bench.run(check, bench.rules, bench.market, place % count, bench.now)

    @invariant()
    def what_was_written_off_is_rounding(self) -> None:
        """Unless ticks were missing, a unit a settlement."""
        if hasattr(self, "bench") and not self.gaps:
            assert self.bench.flow(Flow.WRITTEN_OFF) <= self.bench.settlements

    @invariant()
    def allowances_are_backed_and_keys_are_theirs(self) -> None:
        """Allowances are backed by balances, and keys follow from them."""
        if not hasattr(self, "bench"):
            return
        backed = dict.fromkeys(self.accounts, 0)
        for position in self.bench.live_positions():
            backed[int(position.account)] += int(position.allowance)
            lasts = min(int(position.allowance) * E15 // int(position.notional), AMOUNT_MAX)
            assert position.key_e15 == position.entry_index_e15 + lasts
        assert all(backed[account] <= self.bench.balance(account) for account in backed)

    @invariant()
    def the_seed_stays(self) -> None:
        """Nobody redeems the seed."""
        if hasattr(self, "bench"):
            pool = self.bench.pool
            assert pool.main_seed_shares == pool.insurance_seed_shares == ONE
            assert pool.main_shares >= ONE
            assert pool.insurance_shares >= ONE


TestExchange = Exchange.TestCase
TestExchange.settings = settings(
    max_examples=max(4, settings.default.max_examples // 2),
    stateful_step_count=40 if settings.default.max_examples > 8 else 15,
)


def test_rows_are_found_by_what_they_are() -> None:
    """A series by underlying, kind and strike; a position by account and series."""
    bench = funded()
    account = bench.account()
    opened(bench, account, ONE)
    opened(bench, account, ONE, is_call=False)
    opened(bench, account, ONE, 4_000, underlying=ETH)
    assert find_series(bench.state, BTC, False, 100_000 * ONE) == 1
    assert find_series(bench.state, ETH, False, 4_000 * ONE) == NONE
    assert find_series(bench.state, ETH, True, 4_000 * ONE) == 2
    assert [find_position(bench.state, account, slot) for slot in range(3)] == [0, 1, 2]
    assert find_position(bench.state, bench.account(), 0) == NONE
    assert np.count_nonzero(bench.state.series.open_notional) == 3
