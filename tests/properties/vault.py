"""Both pools as vaults: what four users put in and take out, priced by flushes at frozen marks."""

from collections.abc import Iterable
from copy import copy
from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple, Self

from hypothesis import strategies as st

from amm.units import DAY_MS, HOUR_MS, ONE, PPM
from tests.vaults.harness import Bench, funded
from vaults.condition import Condition
from vaults.flush import Flushed
from vaults.flush import Side as Prices
from vaults.ledger import post, transfer
from vaults.moves import Bucket, Flow, Move, RequestKind, RequestStatus
from vaults.nav import accrued_to_insurance
from vaults.params import Parameters
from vaults.rejects import Reject
from vaults.shares import exit_fee, gross_for
from vaults.state import NONE, State

REAL = Parameters(
    series_share_ppm=PPM,
    account_share_ppm=PPM,
    stress_share_ppm=700_000,
    cooldown_ms=0,
    window_marks_min=0,
    measure_ms=0,
)
"""The defaults, but for limits on traders, for cooldown, and flushes after a single tick."""
LEVEL = REAL._replace(
    risk_tolerance=1e6,
    spread_floor=0.0,
    vol_spread=0.0,
    correlation_spread=0.0,
    box_spot=0.0,
    box_vol=0.0,
    exit_fee_ppm=0,
    exit_fee_max_ppm=0,
    cover_layer_ppm=0,
)
"""What the suites take for granted: one price for both directions, and no fee."""
USERS = 4
STAKES = (700 * ONE, 1_100 * ONE, 123_456_789, 50)
"""What the users hold of either pool before a test begins: two large, one small, one dust."""


class Pool(Enum):
    """A pool, with the names of its fields."""

    MAIN = "main"
    INSURANCE = "insurance"

    @property
    def deposit(self) -> RequestKind:
        """How one comes."""
        return RequestKind.DEPOSIT_MAIN if self is Pool.MAIN else RequestKind.DEPOSIT_INSURANCE

    @property
    def redeem(self) -> RequestKind:
        """How one goes."""
        return RequestKind.REDEEM_MAIN if self is Pool.MAIN else RequestKind.REDEEM_INSURANCE


class Step(NamedTuple):
    """Something that yields or costs a pool, with a size from -100 to 100."""

    kind: str
    size: int


STEPS = st.lists(
    st.builds(Step, st.sampled_from(["move", "wait", "trade", "gift"]), st.integers(-100, 100)),
    max_size=3,
)
AMOUNTS = st.one_of(st.integers(1, 1_000), st.integers(1, 1_500 * ONE))


class Asked(NamedTuple):
    """A request after a flush: what it gave and what it got, tokens or shares."""

    status: RequestStatus
    filled: int
    received: int


def give(state: State, pool: Pool, amount: int) -> None:
    """Book tokens from outside into a pool, as a dividend is: no gain that repays anything."""
    bucket = (Bucket.MAIN if pool is Pool.MAIN else Bucket.INSURANCE).value
    transfer(state, Bucket.OUTSIDE.value, bucket, NONE, amount, Flow.DIVIDEND.value)
    if pool is Pool.MAIN:
        post(state, Move.REBASE.value, amount, 0, 0, 0, 0)


class Vault:
    """One pool of a bench, with four users in it and a trader who may hold options of it."""

    def __init__(self, bench: Bench, pool: Pool, users: tuple[int, ...], trader: int) -> None:
        self.bench = bench
        self.pool = pool
        self.users = users
        self.trader = trader

    def copy(self) -> Self:
        """Return a vault in the same state that goes its own way."""
        other = copy(self)
        other.bench = self.bench.copy()
        return other

    # What there is.

    @property
    def supply(self) -> int:
        """All shares."""
        return int(getattr(self.bench.pool, f"{self.pool.value}_shares"))

    @property
    def cash(self) -> int:
        """The pool's tokens."""
        return int(getattr(self.bench.pool, self.pool.value))

    def shares(self, user: int) -> int:
        """What a user holds and has not asked to redeem."""
        return int(getattr(self.bench.state.accounts[user], f"{self.pool.value}_shares"))

    @property
    def assets(self) -> int:
        """What the shares are worth: main at mid; insurance with what it is owed."""
        if self.pool is Pool.MAIN:
            return int(self.bench.nav().mid)
        owed = int(self.bench.pool.advances) + int(accrued_to_insurance(self.bench.state))
        return self.cash + owed

    @property
    def redeemable(self) -> int:
        """What redemptions are priced with now."""
        return int(self.bench.nav().low) if self.pool is Pool.MAIN else self.cash

    @property
    def price(self) -> Fraction:
        """What a share is worth, with the virtual unit and share."""
        return Fraction(self.assets + 1, self.supply + 1)

    def wealth(self, user: int) -> Fraction:
        """A user's balance and what the shares could be redeemed for, without rounding and fee."""
        worth = Fraction(self.shares(user) * (self.redeemable + 1), self.supply + 1)
        return self.bench.balance(user) + worth

    # What is done.

    def ask(self, user: int, kind: RequestKind, amount: int, least: int = 0) -> int:
        """Make a request for the flush that comes now; returns its row."""
        self.bench.pool.cutoff_ms = self.bench.now
        asked = self.bench.request(user, kind, amount, least)
        assert asked.refusal.code == Reject.NONE
        return int(asked.request)

    def flush(self) -> Flushed:
        """Flush at the marks there are."""
        self.bench.pool.next_flush_ms = self.bench.now
        done = self.bench.flush()
        assert done.done == 1
        return done

    def prices(self) -> Prices:
        """What a flush would price this pool with now; without requests it does nothing else."""
        return self.side(self.copy().flush())

    def side(self, done: Flushed) -> Prices:
        """This pool's prices in a flush."""
        return done.main if self.pool is Pool.MAIN else done.insurance

    def result(self, request: int) -> Asked:
        """What has become of a request."""
        row = self.bench.state.requests[request]
        return Asked(RequestStatus(int(row.status)), int(row.filled), int(row.paid))

    def deposit(self, user: int, amount: int, least: int = 0) -> Asked:
        """Deposit at a flush of this instant."""
        request = self.ask(user, self.pool.deposit, amount, least)
        self.flush()
        return self.result(request)

    def redeem(self, user: int, shares: int, least: int = 0) -> Asked:
        """Redeem at a flush of this instant."""
        request = self.ask(user, self.pool.redeem, shares, least)
        self.flush()
        return self.result(request)

    # What other vaults call mint and withdraw: exactly so much out, for as little as possible.

    def mint(self, user: int, shares: int) -> Asked:
        """Deposit the least that buys so many shares."""
        prices = self.prices()
        cost = -(-shares * (int(prices.high) + 1) // (int(prices.supply) + 1))
        return self.deposit(user, cost, shares)

    def withdraw(self, user: int, amount: int) -> Asked:
        """Redeem the fewest shares that pay so much."""
        return self.redeem(user, self.fewest(amount), amount)

    def fewest(self, amount: int) -> int:
        """The fewest shares that pay so much at the next flush."""
        prices = self.prices()
        low, high = 0, 2 * self.supply
        while high - low > 1:
            middle = (low + high) // 2
            gross = int(gross_for(middle, int(prices.supply), int(prices.low)))
            net = gross - int(exit_fee(gross, int(prices.exit_fee_ppm)))
            low, high = (low, middle) if net >= amount else (middle, high)
        return high

    # What happens between.

    def live(self, steps: Iterable[Step]) -> None:
        """Let the pool gain and lose, and settle insurance's account with main."""
        for step in steps:
            getattr(self, f"_{step.kind}")(step.size)
        self.bench.tick(after_ms=2 * HOUR_MS)  # nothing else is left in the window
        assert self.flush().condition == Condition.NORMAL

    def _move(self, size: int) -> None:
        """Let the index move by up to a fifth."""
        self.bench.tick(self.bench.prices[0] * (1.0 + size / 500))

    def _wait(self, size: int) -> None:
        """Let premium stream for up to ten days."""
        self.bench.tick(after_ms=max(abs(size) * DAY_MS // 10, 1))

    def _trade(self, size: int) -> None:
        """Let somebody buy and sell at once: a trade that loses."""
        step = self.bench.terms[0].strike_step_e8 / ONE
        strike = round(self.bench.prices[0] / step) * step
        fill = self.bench.open(self.trader, (abs(size) + 1) * ONE, strike, is_call=size > 0)
        assert fill.refusal.code == Reject.NONE
        self.bench.close(self.trader, int(fill.position_id), int(fill.notional))

    def _gift(self, size: int) -> None:
        """Give the pool up to a token for nothing."""
        self.give(abs(size) ** 4)

    def give(self, amount: int) -> None:
        """Give the pool tokens from outside."""
        self.bench.run(give, self.pool, amount)

    def held(self) -> list[Any]:
        """The trader's positions."""
        return [each for each in self.bench.live_positions() if each.account == self.trader]


@cache
def _made(parameters: Parameters, pool: Pool, has_book: bool) -> Vault:
    bench = funded(5_000 * ONE, 2_500 * ONE, parameters)
    trader = bench.account()
    users = tuple(bench.account() for _ in range(USERS))
    vault = Vault(bench, pool, users, trader)
    for user, stake in zip(users, STAKES, strict=True):
        for each in Pool:
            vault.ask(user, each.deposit, stake)
    for _ in range(parameters.cover_period_flushes):
        vault.flush()  # so that cover and its price are of these pools, not of their seeds
    if has_book:
        for is_call in (True, False):
            fill = bench.open(trader, 400 * ONE, is_call=is_call)
            assert fill.refusal.code == Reject.NONE
    bench.tick(after_ms=2 * HOUR_MS)
    vault.flush()
    return vault


def made(parameters: Parameters, pool: Pool, *, has_book: bool = True) -> Vault:
    """Return a vault that four users hold shares of, with or without options sold."""
    return _made(parameters, pool, has_book).copy()


class World(NamedTuple):
    """A vault to be made: its rules, its pool, and what has happened to it."""

    is_level: bool
    pool: Pool
    steps: list[Step]

    def vault(self) -> Vault:
        """Make it."""
        vault = made(LEVEL if self.is_level else REAL, self.pool)
        vault.live(self.steps)
        return vault


WORLDS = st.builds(World, st.booleans(), st.sampled_from(Pool), STEPS)
LEVEL_WORLDS = st.builds(World, st.just(True), st.sampled_from(Pool), STEPS)
