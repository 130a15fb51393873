"""Random lives of one token, kernels and twin side by side: every integer agrees at every step."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, ONE, PPM
from tests.twin.pair import Pair
from vaults.condition import condition
from vaults.equity import equity
from vaults.moves import RequestKind, RequestStatus
from vaults.params import Parameters
from vaults.quotes import largest_opening, quote_closing
from vaults.rejects import Reject
from vaults.risk import SPOT_MOVES, VOL_MOVES, book_greeks, loss_table

LIVELY = Parameters(
    window_marks_min=2,
    series_share_ppm=PPM,
    account_share_ppm=PPM,
    stress_share_ppm=700_000,
    cover_period_flushes=2,
)
"""Flushes need few ticks and positions can be large, so that pools lose and win."""
REGIMES = (
    LIVELY,
    LIVELY._replace(
        insurance_backing_ppm=PPM,
        main_backing_ppm=PPM,
        stress_share_ppm=PPM,
        total_min_ppm=0,
        exit_fee_from=0.1,
    ),
    LIVELY._replace(cooldown_ms=0, flush_period_ms=6 * HOUR_MS, unsettled_move=1.0),
    LIVELY._replace(stress_share_ppm=PPM, free_stress=0.5, rent_double_flushes=0, vest_days=1),
    LIVELY._replace(cover_layer_ppm=PPM, cover_deductible_ppm=0, repay_share_ppm=PPM),
)
PROVIDERS, TRADERS = (0, 1, 2), (3, 4, 5)
ACCOUNTS = st.sampled_from(PROVIDERS + TRADERS)
PARTS = st.sampled_from([1.0, 0.5, 0.1, 0.9, 1.0, 0.25, 1.1])
"""Of what there is; more than all is refused."""
SIZES = st.sampled_from([0.02, 0.1, 0.3, 0.9, 2.1])
"""Of a pool's cash."""
DUST = st.sampled_from([0, 1, 7, 12_345_678])
NONSENSE = st.sampled_from([0, -1, 1, ONE // 100 - 1, 2**53, 2**62])
FACTORS = st.sampled_from([1.0, 0.97, 1.004, 1.12, 0.85, 1.35, 0.7, 1.0])
GAPS = st.sampled_from([MINUTE_MS, MINUTE_MS, 1_000, HOUR_MS, DAY_MS, 9 * DAY_MS])
WAITS = st.sampled_from([1, 4_000, 11_000, 2 * HOUR_MS])


def _within(price: float, least: float) -> float:
    """Return a price, or where it has gone too far one to begin from again."""
    return price if least < price < 20 * least else 4 * least


class Lives(RuleBasedStateMachine):
    """Providers, insurers and traders of one token, on any path of prices."""

    @initialize(
        regime=st.sampled_from(REGIMES),
        main=st.sampled_from([20 * ONE, 1_000 * ONE, 10_000 * ONE + 1]),
        insurance=st.sampled_from([0, 7 * ONE, 2_000 * ONE, 15_000 * ONE]),
        strike=st.sampled_from([100_000, 127_000]),
        size=st.sampled_from([0.3, 0.9]),
    )
    def begin(
        self, regime: Parameters, main: int, insurance: int, strike: int, size: float
    ) -> None:
        """Fill the pools, in two flushes, by three providers; begin with a book that can hurt."""
        self.pair = Pair(regime)
        pair = self.pair
        pair.tick(after_ms=HOUR_MS)
        for account in PROVIDERS + TRADERS:
            pair.account(20_000 * ONE if account in PROVIDERS else main)
        pair.request(0, RequestKind.DEPOSIT_MAIN, main)
        pair.request(1, RequestKind.DEPOSIT_MAIN, main // 3)
        if insurance:
            pair.request(2, RequestKind.DEPOSIT_INSURANCE, insurance)
        pair.flush_when_due(2)
        pair.flush_when_due(2)
        for account in TRADERS:
            pair.open(account, int(main * size), strike)

    @rule(btc=FACTORS, eth=FACTORS, vol=st.sampled_from([0.3, 0.5, 0.9]), gap=GAPS)
    def tick(self, btc: float, eth: float, vol: float, gap: int) -> None:
        """Let prices go somewhere, and come back from where nothing is listed any more."""
        now = self.pair.bench.prices
        prices = (_within(now[0] * btc, 25_000.0), _within(now[1] * eth, 1_000.0))
        self.pair.tick(prices, (vol, 1.2 * vol), gap)

    @rule(ms=WAITS)
    def wait(self, ms: int) -> None:
        """Let time pass without a tick: the index may become stale."""
        self.pair.bench.now += ms

    @rule(
        account=ACCOUNTS,
        size=SIZES,
        moneyness=st.sampled_from([1.0, 0.9, 1.1, 0.75, 1.3, 0.6]),
        is_call=st.booleans(),
        underlying=st.sampled_from([0, 0, 1]),
        self_funding=st.booleans(),
        limit=st.sampled_from([2**52, 2**52, 2**52, ONE]),
    )
    def open(
        self,
        account: int,
        size: float,
        moneyness: float,
        is_call: bool,
        underlying: int,
        self_funding: bool,
        limit: int,
    ) -> None:
        """Buy something near the money, or off the ladder's window."""
        step = (1_000, 50)[underlying]
        strike = round(self.pair.bench.prices[underlying] * moneyness / step) * step
        self.pair.open(
            account,
            int(self.pair.books.main * size),
            strike,
            is_call=is_call,
            underlying=underlying,
            limit=limit,
            self_funding=self_funding,
        )

    @precondition(lambda self: self.pair.books.positions)
    @rule(data=st.data(), part=PARTS, least=st.sampled_from([0, 0, 0, ONE]))
    def close(self, data: Any, part: float, least: int) -> None:
        """Sell some of a position: on a fresh index nothing but its price speaks against it."""
        books = self.pair.books
        number = data.draw(st.sampled_from(sorted(books.positions)))
        position = books.positions[number]
        notional = int(position.notional * part)
        fresh = self.pair.model.is_fresh(books.series[position.series].underlying)
        refusal = self.pair.close(position.account, number, notional, least)
        if fresh and 0 < part <= 1.0 and notional > 0 and least == 0:
            assert refusal == Reject.NONE

    @rule(account=ACCOUNTS, amount=NONSENSE, what=st.integers(0, 6))
    def err(self, account: int, amount: int, what: int) -> None:
        """Ask for what nobody can have: too little, too much, somebody else's."""
        pair = self.pair
        small = max(-1, min(amount, 2**53))
        if what == 0:
            pair.open(account, small, 100_000)
        elif what == 1:
            pair.open(account, ONE, 100_000.5)
        elif what == 2:
            pair.close(account, 1, amount)
        elif what == 3:
            pair.credit(account, amount)
        elif what == 4:
            pair.withdraw(account, amount)
        else:
            kind = RequestKind.DEPOSIT_MAIN if what == 5 else RequestKind.REDEEM_INSURANCE
            pair.request(account, kind, amount)

    @precondition(lambda self: self.pair.books.positions)
    @rule(data=st.data())
    def check(self, data: Any) -> None:
        """Check a position."""
        self.pair.check(data.draw(st.sampled_from(sorted(self.pair.books.positions))))

    @rule(account=ACCOUNTS, amount=st.integers(1, 1_000 * ONE))
    def credit(self, account: int, amount: int) -> None:
        """Bring money."""
        self.pair.credit(account, amount)

    @rule(account=ACCOUNTS, part=PARTS)
    def withdraw(self, account: int, part: float) -> None:
        """Take money out: what is left may last for minutes only."""
        self.pair.withdraw(account, int(self.pair.books.accounts[account].balance * part))

    @rule(part=PARTS)
    def debit(self, part: float) -> None:
        """Let a withdrawal leave."""
        self.pair.debit(int(self.pair.books.pending * part))

    @rule(
        account=ACCOUNTS,
        kind=st.sampled_from([RequestKind.DEPOSIT_MAIN, RequestKind.DEPOSIT_INSURANCE]),
        size=SIZES,
        dust=DUST,
        limit=st.sampled_from([0.0, 0.0, 0.9, 1.0, 2.0]),
    )
    def deposit(
        self, account: int, kind: RequestKind, size: float, dust: int, limit: float
    ) -> None:
        """Ask to come, for about a share a token at least, or for far too much."""
        amount = int(self.pair.books.main * size / 10) + dust
        self.pair.request(account, kind, amount, int(limit * amount))

    @rule(
        account=st.sampled_from(PROVIDERS),
        is_main=st.booleans(),
        part=PARTS,
        limit=st.sampled_from([0.0, 0.0, 0.0, 0.9, 1.0, 2.0]),
    )
    def redeem(self, account: int, is_main: bool, part: float, limit: float) -> None:
        """Ask to go."""
        holder = self.pair.books.accounts[account]
        kind = RequestKind.REDEEM_MAIN if is_main else RequestKind.REDEEM_INSURANCE
        shares = int((holder.main_shares if is_main else holder.insurance_shares) * part)
        self.pair.request(account, kind, shares, int(limit * shares))

    @precondition(lambda self: len(self.pair.books.requests) > 3)
    @rule(data=st.data(), account=ACCOUNTS)
    def cancel(self, data: Any, account: int) -> None:
        """Take a request back, or somebody else's."""
        books = self.pair.books
        row = data.draw(st.integers(0, len(books.requests)))
        own = row < len(books.requests) and data.draw(st.booleans())
        self.pair.cancel(books.requests[row].account if own else account, row)

    @rule()
    def flush_now(self) -> None:
        """Flush, too early or on whatever marks there are."""
        self.pair.flush()

    @rule(ticks=st.integers(1, 3))
    def flush(self, ticks: int) -> None:
        """Flush on time, or where that has passed, late."""
        ahead = self.pair.books.next_flush - self.pair.bench.now - (ticks - 1) * MINUTE_MS
        self.pair.tick(after_ms=max(ahead, MINUTE_MS))
        self.pair.warm(ticks - 1)
        self.pair.flush()

    @rule(factor=FACTORS, redeems=PARTS, comes=SIZES)
    def day(self, factor: float, redeems: float, comes: float) -> None:
        """Let a provider go, another come and the index jump, all before the next flush."""
        pair = self.pair
        shares = pair.books.accounts[0].main_shares
        pair.request(0, RequestKind.REDEEM_MAIN, int(shares * min(redeems, 1.0)))
        pair.request(2, RequestKind.DEPOSIT_MAIN, int(pair.books.main * comes / 10))
        self.tick(factor, 1.0, 0.5, MINUTE_MS)
        self.flush(2)

    @rule(account=ACCOUNTS)
    def look(self, account: int) -> None:
        """No view raises, whatever the pool's condition."""
        bench = self.pair.bench
        state, rules, market, now = bench.state, bench.rules, bench.market, bench.now
        condition(state, rules, market, now)
        parts = equity(state)
        assert sum(parts) == bench.pool.custody
        largest_opening(state, rules, market, account, 0, True, 100_000 * ONE, now)
        for position in self.pair.books.held_by(account):
            quote_closing(state, rules, market, account, position.number, position.notional, now)
        book_greeks(state, rules, market, 0)
        loss_table(state, rules, market, SPOT_MOVES, VOL_MOVES)

    def teardown(self) -> None:
        """Whoever asked, and was not filled, is still there."""
        if not hasattr(self, "pair"):
            return
        waiting = [each for each in self.pair.books.requests if each.status == RequestStatus.OPEN]
        assert all(each.amount > 0 for each in waiting)


_ASKED = settings().max_examples
_EXAMPLES = _ASKED if _ASKED > 1_000 else min(_ASKED, 20)
"""Deep, by command: more than 1e5 steps; else enough to notice what breaks at once."""
TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=_EXAMPLES, stateful_step_count=40)
