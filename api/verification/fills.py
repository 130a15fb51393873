"""Who comes and who goes: every request of a flush filled again, beside what is said to be done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from api.bundles import FlushBundle, FlushEvent, SideFigures
from api.verification.checks import Checks, units, up
from api.verification.figures import (
    AMOUNT_MAX,
    PPM,
    Pools,
    exit_fee_ppm,
    free_insurance,
    free_main,
    gate,
    gross_for,
    shares_for,
)
from api.verification.marks import Nav

PREMIUM = {"premium_main": "main", "premium_insurance": "insurance"}


@dataclass
class Asked:
    """A request as the flush goes on."""

    number: int
    pool: str
    kind: str
    flush: int
    created: int
    amount: int
    filled: int
    received: int
    min_out: int
    status: str = "open"
    filled_now: int = 0
    received_now: int = 0


class Expected(NamedTuple):
    """A transfer that has to come next."""

    event: str
    amount: int
    source: str
    target: str


class Walk:
    """Goes through the events of a bundle, one after another, keeping the pools' cash.

    First everybody's premium is settled: how much is what the bundle says.
    """

    def __init__(self, bundle: FlushBundle, pools: Pools, checks: Checks) -> None:
        self._events = bundle.events
        self._place = 0
        self.pools = pools
        self.checks = checks

    def _next(self) -> FlushEvent | None:
        if self._place == len(self._events):
            return None
        self._place += 1
        return self._events[self._place - 1]

    def _move(self, source: str, target: str, amount: int) -> None:
        for name, change in ((source, -amount), (target, amount)):
            if name == "main":
                self.pools.main += change
            elif name == "insurance":
                self.pools.insurance += change

    def _transfer(self, given: FlushEvent, expected: Expected | None) -> bool:
        """Book a transfer; return whether it is the one expected."""
        amount, where = units(given.amount), f"event {self._place}"
        said = Expected(given.event, amount, given.source or "", given.target or "")
        if given.event in PREMIUM:
            to = PREMIUM[given.event]
            self.checks.equal(where, said, Expected(given.event, amount, "balances", to))
            self.checks.equal(f"{where} amount positive", amount > 0, computed=True)
            self._move("balances", to, amount)
            return False
        self.checks.equal(where, said, expected)
        self._move(said.source, said.target, amount)
        return True

    def pay_premium(self) -> None:
        """Go past the premium that is paid up before anything else."""
        while self._place < len(self._events) and self._events[self._place].event in PREMIUM:
            self._transfer(self._events[self._place], None)
            self._place += 1

    def transfer(self, expected: Expected) -> None:
        """Go past a transfer that belongs to no request."""
        if expected.amount > 0:
            given = self._next()
            if given is None:
                self.checks.equal("events", "no more", expected)
            else:
                self._transfer(given, expected)

    def fill(self, asked: Asked, amount: int, received: int, expected: Expected | None) -> None:
        """Go past the fill of a request, what it settles and what it moves."""
        if expected is not None and expected.amount == 0:
            expected = None
        while (given := self._next()) is not None and given.event != "fill":
            if self._transfer(given, expected):
                expected = None
        where = f"fill of request {asked.number}"
        self.checks.equal(f"{where} moves", expected, None)
        if given is None:
            self.checks.equal(where, "missing", "there")
            return
        self.checks.equal(f"{where} request", given.request, asked.number)
        self.checks.amount(f"{where} amount", given.amount, amount)
        self.checks.amount(f"{where} received", given.received or "0", received)
        asked.amount -= amount
        asked.filled += amount
        asked.filled_now += amount
        asked.received_now += received

    def end(self) -> None:
        """Check that nothing is left."""
        left = [each.event for each in self._events[self._place :]]
        self.checks.equal("events left over", left, [])

    def go_past_rest(self, allowed: set[str]) -> None:
        """Book all that is left, of the flows that are allowed only."""
        while (given := self._next()) is not None:
            self.checks.equal(f"event {self._place}", given.event in allowed, computed=True)
            self._move(given.source or "", given.target or "", units(given.amount))


def requests_of(bundle: FlushBundle) -> list[Asked]:
    """Return the requests of a bundle as the flush found them."""
    return [
        Asked(
            each.number,
            each.pool,
            each.kind,
            each.flush,
            each.created,
            units(each.amount),
            units(each.filled),
            units(each.received),
            units(each.min_out),
        )
        for each in bundle.requests
    ]


class Prices(NamedTuple):
    """What one pool's LPs are priced with."""

    supply: int
    low: int
    cross: int
    high: int


class Side:
    """One pool in a flush."""

    def __init__(
        self,
        pool: str,
        bundle: FlushBundle,
        requests: list[Asked],
        prices: Prices,
        condition: str,
        walk: Walk,
    ) -> None:
        self.pool = pool
        self.bundle = bundle
        self.parameters: Mapping[str, float] = bundle.parameters
        self.prices = prices
        self.condition = condition
        self.walk = walk
        self._requests = requests
        self.crossed = 0
        self.fees = 0

    def eligible(self, kind: str) -> list[Asked]:
        """Return the requests of a kind that take part."""
        number, due = self.bundle.flush, self.bundle.before.next_flush
        cooldown = int(self.parameters["cooldown_ms"])
        is_cooled = self.pool == "insurance" and kind == "redemption"
        return [
            each
            for each in self._requests
            if each.pool == self.pool
            and each.kind == kind
            and each.status == "open"
            and each.flush <= number
            and not (is_cooled and each.created + cooldown > due)
        ]

    def _give_back(self, asked: Asked) -> None:
        moved = Expected("deposit_returned", asked.amount, f"escrow_{self.pool}", "balances")
        self.walk.fill(asked, 0, 0, moved if asked.kind == "deposit" else None)
        asked.status = "returned"

    def _deposit(self, asked: Asked, amount: int, shares: int) -> None:
        is_whole = amount == asked.amount
        moved = Expected("deposit", amount, f"escrow_{self.pool}", self.pool)
        self.walk.fill(asked, amount, shares, moved)
        self._mint(shares)
        asked.status = "filled" if is_whole else "open"

    def _redeem(self, asked: Asked, shares: int, gross: int, fee_ppm: int) -> None:
        is_whole = shares == asked.amount
        fee = up(gross * fee_ppm, PPM)
        moved = Expected("redemption", gross - fee, self.pool, "balances")
        self.walk.fill(asked, shares, gross - fee, moved)
        self._mint(-shares)
        self.fees += fee
        asked.status = "filled" if is_whole else "open"

    def _mint(self, shares: int) -> None:
        pools = self.walk.pools
        if self.pool == "main":
            pools.main_shares += shares
        else:
            pools.insurance_shares += shares

    @property
    def slack(self) -> int:
        """1 where both deposits and redemptions are there, for crossing rounds once more."""
        return int(bool(self.eligible("deposit")) and bool(self.eligible("redemption")))

    def return_missed_deposits(self, high: int, slack: int) -> None:
        """Return the deposits that would get fewer shares than asked for, each alone."""
        supply = self.prices.supply
        most = AMOUNT_MAX - supply
        for each in self.eligible("deposit"):
            bought = shares_for(each.amount - slack, supply, high) - slack
            if each.received + max(bought, 0) >= max(each.min_out, 1) and bought <= most:
                most -= max(bought, 0)
            else:
                self._give_back(each)

    def return_missed_redemptions(self, low: int, fee_ppm: int, slack: int) -> None:
        """Return the redemptions that would get less than asked for, and those worth nothing."""
        supply = self.prices.supply
        for each in self.eligible("redemption"):
            gross = gross_for(each.amount, supply, low)
            net = each.received + max(gross - up(gross * fee_ppm, PPM) - slack, 0)
            is_dust = low >= 0 and gross == 0
            if net < each.min_out or is_dust:
                self._give_back(each)

    def cross(self) -> None:
        """Let deposits buy the shares that redemptions offer."""
        supply, nav = self.prices.supply, self.prices.cross
        offered = gross_for(sum(each.amount for each in self.eligible("redemption")), supply, nav)
        tokens = min(sum(each.amount for each in self.eligible("deposit")), offered)
        if tokens <= 0:
            return
        deposits = self.eligible("deposit")
        for each, given in zip(deposits, divided(deposits, tokens), strict=True):
            shares = shares_for(given, supply, nav)
            if shares > 0:
                self.crossed += shares
                self._deposit(each, up(shares * (nav + 1), supply + 1), shares)
        sellers = self.eligible("redemption")
        parts = divided(sellers, self.crossed)
        hand_out_rest(sellers, parts, self.crossed)
        for each, shares in zip(sellers, parts, strict=True):
            if shares > 0:
                self._redeem(each, shares, gross_for(shares, supply, nav), 0)

    def take_in(self) -> None:
        """Mint for what is left of deposits."""
        supply, nav = self.prices.supply, self.prices.high
        for each in self.eligible("deposit"):
            self._deposit(each, each.amount, shares_for(each.amount, supply, nav))

    def wanted(self, flush: int | None = None) -> int:
        """Return what the redemptions that take part are worth, of one flush or of all."""
        supply, nav = self.prices.supply, self.prices.low
        return sum(
            gross_for(each.amount, supply, nav)
            for each in self.eligible("redemption")
            if flush in (None, each.flush)
        )

    def pay_out(self, free: int, fee_ppm: int) -> None:
        """Fill redemptions: oldest flush first, pro rata in the last."""
        supply, nav, left = self.prices.supply, self.prices.low, free
        for flush in sorted({each.flush for each in self.eligible("redemption")}):
            wanted = self.wanted(flush)
            share_of = min(left, wanted)
            for each in self.eligible("redemption"):
                if each.flush != flush:
                    continue
                shares = each.amount
                if share_of < wanted:
                    shares = shares * share_of // wanted
                gross = gross_for(shares, supply, nav)
                if gross > left:
                    shares = left * (supply + 1) // (nav + 1)
                    gross = gross_for(shares, supply, nav)
                if gross > 0:
                    left -= gross
                    self._redeem(each, shares, gross, fee_ppm)
                elif share_of == wanted and nav > 0 and each.filled > 0:
                    self.walk.fill(each, 0, 0, None)
                    each.status = "filled"
            if share_of < wanted:
                return


def divided(asked: list[Asked], total: int) -> list[int]:
    """Divide among requests: oldest flush first, pro rata in the last; parts round down."""
    parts, left = dict.fromkeys((each.number for each in asked), 0), total
    for flush in sorted({each.flush for each in asked}):
        if left <= 0:
            break
        of_flush = [each for each in asked if each.flush == flush]
        wanted = sum(each.amount for each in of_flush)
        given = min(left, wanted)
        for each in of_flush:
            parts[each.number] = each.amount * given // wanted
        left -= given
    return [parts[each.number] for each in asked]


def hand_out_rest(asked: list[Asked], parts: list[int], total: int) -> None:
    """Hand out what rounding left, a unit each, in the flush that did not fit."""
    left = total - sum(parts)
    unmet = [each.flush for each, part in zip(asked, parts, strict=True) if part < each.amount]
    marginal = min(unmet, default=0)
    for place, each in enumerate(asked):
        if left > 0 and each.flush == marginal and parts[place] < each.amount:
            parts[place] += 1
            left -= 1


def check_side(said: SideFigures, side: Side, free: int, fee_ppm: int, checks: Checks) -> None:
    """Compare one pool's figures."""
    pool, prices = side.pool, side.prices
    checks.amount(f"{pool} supply", said.supply, prices.supply)
    checks.amount(f"{pool} low", said.low, prices.low)
    checks.amount(f"{pool} cross", said.cross, prices.cross)
    checks.amount(f"{pool} high", said.high, prices.high)
    checks.amount(f"{pool} free", said.free, free)
    checks.amount(f"{pool} exit fee", said.exit_fee, fee_ppm, 6)
    checks.amount(f"{pool} crossed", said.crossed, side.crossed)


def flush_main(
    bundle: FlushBundle,
    requests: list[Asked],
    nav: Nav,
    unearned: int,
    stress: int,
    condition: str,
    walk: Walk,
) -> Side:
    """Let main LPs come and go; check what they were priced with."""
    pools, parameters = walk.pools, bundle.parameters
    supply, cash = pools.main_shares, pools.main
    cross = min(max(nav.mid - (unearned + 1) // 2, nav.low), nav.high)
    side = Side("main", bundle, requests, Prices(supply, nav.low, cross, nav.high), condition, walk)

    def free_now() -> int:
        free = free_main(pools, nav.low + pools.main - cash, stress, parameters)
        return gate(free, condition, supply, nav.low, parameters)

    def fee_for(free: int) -> int:
        return exit_fee_ppm(pools, parameters, min(side.wanted(), free), 0)

    free, fee_ppm = _come_and_go(side, free_now, fee_for)
    check_side(bundle.results.main, side, free, fee_ppm, walk.checks)
    return side


def flush_insurance(
    bundle: FlushBundle, requests: list[Asked], accrued: int, condition: str, walk: Walk
) -> Side:
    """Let insurance LPs come and go; `accrued` is its part of premium not settled."""
    pools, parameters = walk.pools, bundle.parameters
    supply, low = pools.insurance_shares, pools.insurance
    high = low + pools.advances + accrued
    side = Side("insurance", bundle, requests, Prices(supply, low, low, high), condition, walk)

    def free_now() -> int:
        return gate(free_insurance(pools, parameters), condition, supply, low, parameters)

    def fee_for(free: int) -> int:
        return exit_fee_ppm(pools, parameters, 0, min(side.wanted(), free))

    free, fee_ppm = _come_and_go(side, free_now, fee_for)
    check_side(bundle.results.insurance, side, free, fee_ppm, walk.checks)
    return side


def let_insurers_go(bundle: FlushBundle, requests: list[Asked], walk: Walk) -> Side:
    """Let insurance LPs of an exhausted pool leave, as if all that is locked were paid out."""
    pools, parameters = walk.pools, bundle.parameters
    supply = pools.insurance_shares
    low = max(pools.insurance - max(pools.locked - pools.main, 0), 0)
    side = Side("insurance", bundle, requests, Prices(supply, low, low, low), "EXHAUSTED", walk)

    def fee_for(free: int) -> int:
        return exit_fee_ppm(pools, parameters, 0, min(side.wanted(), free))

    side.return_missed_redemptions(low, fee_for(low), 0)
    fee_ppm = fee_for(low)
    side.pay_out(low, fee_ppm)
    check_side(bundle.results.insurance, side, low, fee_ppm, walk.checks)
    return side


def _come_and_go(
    side: Side, free_now: Callable[[], int], fee_for: Callable[[int], int]
) -> tuple[int, int]:
    """Fill a pool's requests; return what was free for net redemptions, and their fee."""
    free, slack, prices = free_now(), side.slack, side.prices
    if side.condition == "WINDDOWN":
        side.return_missed_deposits(prices.cross, slack)
        side.return_missed_redemptions(prices.cross, 0, slack)
    else:
        side.return_missed_deposits(prices.high, slack)
        least_ppm = int(side.parameters["exit_fee_ppm"])
        side.return_missed_redemptions(prices.low, least_ppm, slack)
        side.return_missed_redemptions(prices.low, fee_for(free), slack)
    side.cross()
    if side.condition != "WINDDOWN":
        side.take_in()
    free = free_now()
    fee_ppm = fee_for(free)
    side.pay_out(free, fee_ppm)
    return free, fee_ppm
