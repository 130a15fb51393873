"""What one token's exchange knows, as plain objects: the twin's state.

The twin is an auditor: it follows the specification in whole numbers and fractions, sums anew
whatever the kernels keep as running totals, and must predict every integer they write.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

from vaults.moves import Flow, RequestKind, RequestStatus
from vaults.params import Parameters, Terms

TOKEN = 10**8
MILLION = 10**6
E15 = 10**15
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR = 365 * DAY
LARGEST = 2**53 - 1
DEPOSITS = (RequestKind.DEPOSIT_MAIN, RequestKind.DEPOSIT_INSURANCE)


def down(number: int, times: int, over: int) -> int:
    """Return the floor of an exact product and quotient."""
    return floor(Fraction(number * times, over))


def up(number: int, times: int, over: int) -> int:
    """Return the ceiling of an exact product and quotient."""
    return ceil(Fraction(number * times, over))


@dataclass
class Account:
    """Free balance and shares of one account."""

    account_id: int
    balance: int = 0
    main_shares: int = 0
    insurance_shares: int = 0


@dataclass
class Series:
    """Terms and premium stream; `owed_e15` is premium accrued and not settled, in 1e-15."""

    underlying: int
    is_call: bool
    strike_e8: int
    terms: Terms
    index: int = 0
    tick_index: int = 0
    rate: int = 0
    rent: int = 0
    owed_e15: int = 0

    @property
    def receivable(self) -> int:
        """Whole units of premium that holders owe."""
        return self.owed_e15 // E15


@dataclass
class Position:
    """Notional of one series that one account holds."""

    number: int
    account: int
    series: int
    entry: int
    self_funding: int
    notional: int = 0
    impact: int = 0
    allowance: int = 0
    key: int = 0


@dataclass
class Request:
    """A deposit or redemption; `amount` is what is still open."""

    account: int
    kind: RequestKind
    amount: int
    min_out: int
    created: int
    flush: int
    filled: int = 0
    paid: int = 0
    status: RequestStatus = RequestStatus.OPEN

    @property
    def is_deposit(self) -> bool:
        """Whether it offers tokens."""
        return self.kind in DEPOSITS


@dataclass
class Lot:
    """Advances of one day: `amount` at `since`, nothing at `until`; `remaining` when looked at."""

    amount: int
    since: int
    until: int
    remaining: int


@dataclass
class Cover:
    """The running cover period, and the best ratio of insurance to its shares in it."""

    insurance: int = 0
    nav: int = 0
    pnl: int = 0
    claimed: int = 0
    peak: int = 0
    peak_shares: int = 0


@dataclass
class Closed:
    """What the last flush closed its books with: profit and loss is told apart from there."""

    nav: int = 0
    insurance: int = 0
    accrued: int = 0
    refundable: int = 0
    flows: Counter[Flow] = field(default_factory=Counter)


@dataclass
class Sampled:
    """What of one underlying was sampled at its last tick."""

    tick_ms: int = 0
    ticks: int = 0
    rent: int = 0


@dataclass
class Books:
    """Everything of one token."""

    parameters: Parameters
    terms: tuple[Terms, ...]
    main: int = 0
    insurance: int = 0
    fees: int = 0
    withdrawals: list[tuple[int, int]] = field(default_factory=list)
    custody: int = 0
    main_shares: int = 0
    insurance_shares: int = 0
    main_seed: int = 0
    insurance_seed: int = 0
    phi: int = 0
    flushes: int = 0
    next_flush: int = 0
    cutoff: int = 0
    nav_reference: int = 0
    nav_after: int = 0
    written_off: int = 0
    is_rent_doubled: bool = False
    is_exhausted: bool = False
    now: int = 0
    last_position: int = 0
    cover: Cover = field(default_factory=Cover)
    closed: Closed = field(default_factory=Closed)
    sampled: tuple[Sampled, Sampled] = field(default_factory=lambda: (Sampled(), Sampled()))
    accounts: list[Account] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    positions: dict[int, Position] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    spreads: dict[int, int] = field(default_factory=dict)
    lots: dict[int, Lot] = field(default_factory=dict)
    flows: Counter[Flow] = field(default_factory=Counter)

    # Sums, each over what it is a sum of.

    @property
    def balances(self) -> int:
        """Free balances of all accounts."""
        return sum(each.balance for each in self.accounts)

    @property
    def pending(self) -> int:
        """Withdrawals that have not left."""
        return sum(amount for _, amount in self.withdrawals)

    def escrow(self, kind: RequestKind) -> int:
        """Tokens of open deposits, or shares of open redemptions, of a kind."""
        return sum(each.amount for each in self.waiting(kind))

    def waiting(self, kind: RequestKind) -> list[Request]:
        """Return the open requests of a kind, oldest row first."""
        return [
            each
            for each in self.requests
            if each.kind == kind and each.status == RequestStatus.OPEN
        ]

    def lock(self, position: Position, notional: int | None = None) -> int:
        """Return the most a position, or some notional of its series, can be paid."""
        held = position.notional if notional is None else notional
        return up(held, self.series[position.series].terms.cap_ppm, MILLION)

    @property
    def locked(self) -> int:
        """Locks of all positions."""
        return sum(self.lock(each) for each in self.positions.values())

    @property
    def refundable(self) -> int:
        """R: impact that may have to be refunded."""
        return sum(max(0, each.impact) for each in self.positions.values())

    @property
    def advances(self) -> int:
        """What main owes to insurance."""
        return sum(each.remaining for each in self.lots.values())

    def notional(self, series: int) -> int:
        """Open notional of a series."""
        return sum(each.notional for each in self.positions.values() if each.series == series)

    def live(self, underlying: int) -> Iterator[int]:
        """Yield the rows of the series of an underlying with open notional."""
        for row, each in enumerate(self.series):
            if each.underlying == underlying and self.notional(row) > 0:
                yield row

    def held_by(self, account: int) -> list[Position]:
        """Return the positions of an account, newest first."""
        held = [each for each in self.positions.values() if each.account == account]
        return held[::-1]

    def held_in(self, series: int) -> list[Position]:
        """Return the positions of a series, newest first."""
        held = [each for each in self.positions.values() if each.series == series]
        return held[::-1]

    # Money.

    def from_pools(self, account: int | None, amount: int, flow: Flow) -> None:
        """Pay an account, or the protocol (None), from main and beyond it from insurance."""
        by_main = min(amount, self.main)
        by_insurance = amount - by_main
        self.main -= by_main
        self.insurance -= by_insurance
        if account is None:
            self.fees += amount
        else:
            self.accounts[account].balance += amount
        self.flows[flow] += amount
        if by_insurance > 0:
            self.advance(by_insurance)
            self.flows[Flow.PAID_BY_INSURANCE] += by_insurance

    def advance(self, amount: int) -> None:
        """Let main owe what insurance paid: one lot a day, written off from its last part on."""
        day = self.now // DAY
        earlier = self.lots[day].remaining if day in self.lots else 0
        left = earlier + amount
        until = self.now + self.parameters.write_off_days * DAY
        self.lots[day] = Lot(left, self.now, until, left)

    def move_shares(self, kind: RequestKind, account: int, shares: int) -> None:
        """Add shares of the pool a request is for to an account."""
        holder = self.accounts[account]
        if kind in (RequestKind.DEPOSIT_MAIN, RequestKind.REDEEM_MAIN):
            holder.main_shares += shares
        else:
            holder.insurance_shares += shares
