"""Seeded random traffic: everything that can be asked of an exchange, and much that cannot.

What comes next depends on the seed and on the state of the exchange alone, so that a run can be
made again.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, ONE, SECOND_MS
from api.exchange import Exchange, fill_key
from api.operating import adoptable
from vaults.commands import (
    CALL,
    DIVIDEND,
    PUT,
    SPLIT,
    AdoptParameters,
    AnnounceAction,
    ApplyAction,
    Cancel,
    Check,
    Close,
    Command,
    Credit,
    Debit,
    Flush,
    ListToken,
    MoveBalance,
    Open,
    Pause,
    PublishSurface,
    Request,
    Restart,
    Resume,
    SetParameters,
    SetSelfFunding,
    StartUnderlying,
    Tick,
    Withdraw,
    WithdrawAction,
)
from vaults.moves import RequestKind
from vaults.params import BTC_TERMS, ETH_TERMS

START_MS = 1_760_011_200_000
"""A minute after which the next flush is hours away."""
TOKENS = ("TSLA.M", "NVDA.M")
ACCOUNTS = ("ann", "bob", "carol", "pat", "ingrid")
UNDERLYINGS = ("BTC", "ETH")
STEPS = {"BTC": BTC_TERMS.strike_step_e8, "ETH": ETH_TERMS.strike_step_e8}
VARIANCE_E12 = 250_000_000_000
FAR_MS = 120 * DAY_MS
"""The longest silence there is."""

Asked = tuple[Command, str]
"""A command and the idempotency key it is sent with."""


class Traffic:
    """Who comes, and what for.

    Attributes:
        now_ms: The time of the market; commands are stamped with it, or with one a little before.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now_ms = START_MS
        self._prices = {"BTC": 100_000.0, "ETH": 4_000.0}
        self._number = 0
        self._kinds: dict[Callable[[Exchange], Iterator[Command]], int] = {
            self._open: 26,
            self._close: 16,
            self._tick: 16,
            self._credit: 8,
            self._request: 8,
            self._withdraw: 6,
            self._debit: 5,
            self._cancel: 4,
            self._bad_price: 4,
            self._check: 3,
            self._self_funding: 3,
            self._pause: 3,
            self._parameters: 3,
            self._action: 3,
            self._move: 2,
            self._restart: 2,
            self._surface: 2,
            self._silence: 3,
            self._flush: 3,
        }

    def beginning(self) -> Iterator[Asked]:
        """Yield what an exchange begins with: prices, tokens, money and deposits."""
        for underlying in UNDERLYINGS:
            variances = (VARIANCE_E12,) * 3
            yield self._asked(StartUnderlying(underlying, self.now_ms, *variances))
        for token in TOKENS:
            yield self._asked(ListToken(token, self.now_ms))
            for account in ACCOUNTS:
                yield self._asked(Credit(token, account, 5_000 * ONE, self.now_ms))
            for account, kind in (
                ("pat", RequestKind.DEPOSIT_MAIN),
                ("ingrid", RequestKind.DEPOSIT_INSURANCE),
            ):
                yield self._asked(Request(token, account, kind, 2_000 * ONE, self.now_ms))

    def next(self, exchange: Exchange) -> list[Asked]:
        """Return what comes next: one command as a rule, more where time has passed."""
        kinds, weights = list(self._kinds), list(self._kinds.values())
        (kind,) = self.chance.choices(kinds, weights)
        self.now_ms += self.chance.choice((0, 0, 1, 250, 3 * SECOND_MS))
        asked = [self._asked(command) for command in kind(exchange)]
        for name in exchange.memory.tokens:
            version = adoptable(exchange.memory, name, self.now_ms)
            if version:
                asked.append(self._asked(AdoptParameters(name, version, self.now_ms)))
        return asked

    def queued(self, exchange: Exchange, done: Command) -> list[Asked]:
        """Return the queued closes that can be carried out after a tick."""
        if not isinstance(done, Tick):
            return []
        return [(each, fill_key(each.order)) for each in exchange.waiting(done.underlying)]

    def _asked(self, command: Command) -> Asked:
        self._number += 1
        return command, f"{type(command).__name__}/{self._number}"

    # -- prices and time

    def ticks(self) -> Iterator[Tick]:
        """Yield a fresh price of each underlying."""
        for underlying in UNDERLYINGS:
            self._prices[underlying] *= 1.0 + self.chance.gauss(0.0, 0.001)
            yield self._observed(underlying, self._prices[underlying], self.now_ms)

    def _observed(self, underlying: str, price: float, published_ms: int) -> Tick:
        return Tick(underlying, round(price * ONE), published_ms, self.now_ms, vol_e9=500_000_000)

    def _tick(self, _exchange: Exchange) -> Iterator[Command]:
        self.now_ms += self.chance.randrange(1, 90 * SECOND_MS)
        yield from self.ticks()

    def _bad_price(self, _exchange: Exchange) -> Iterator[Command]:
        """A price that is old, jumps, or is none."""
        underlying = self.chance.choice(UNDERLYINGS)
        factor, late_ms = self.chance.choice(((1.0, HOUR_MS), (1.4, 0), (0.0, 0), (0.6, 0)))
        price = self._prices[underlying] * factor
        yield self._observed(underlying, price, self.now_ms - late_ms)

    def _silence(self, _exchange: Exchange) -> Iterator[Command]:
        """Nothing for a while, from minutes to months; then prices again, or none yet."""
        self.now_ms += self.chance.choice((5 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS, 3 * DAY_MS, FAR_MS))
        if self.chance.random() < 0.5:
            yield Restart(self.chance.choice(UNDERLYINGS), self.now_ms)
        if self.chance.random() < 0.7:
            yield from self.ticks()

    def first_flush(self, exchange: Exchange) -> Iterator[Asked]:
        """Yield the hours up to the first flush, which takes the deposits, and the flush."""
        for token in TOKENS:
            for command in self._flush_of(exchange, token, minutes=31):
                yield self._asked(command)

    def _flush(self, exchange: Exchange) -> Iterator[Command]:
        """Let the next flush of a token come, with or without the prices it needs."""
        token, minutes = self.chance.choice(TOKENS), self.chance.choice((31, 31, 2))
        yield from self._flush_of(exchange, token, minutes)

    def _flush_of(self, exchange: Exchange, token: str, minutes: int) -> Iterator[Command]:
        due_ms = int(exchange.memory.tokens[token].state.pool[0].next_flush_ms)
        for minute in range(minutes, -1, -1):
            if due_ms - minute * MINUTE_MS > self.now_ms:
                self.now_ms = due_ms - minute * MINUTE_MS
                yield from self.ticks()
        yield Flush(token, self.now_ms)

    def _restart(self, _exchange: Exchange) -> Iterator[Command]:
        yield Restart(self.chance.choice((*UNDERLYINGS, "DOGE")), self.now_ms)

    def _surface(self, _exchange: Exchange) -> Iterator[Command]:
        underlying, vol = self.chance.choice(UNDERLYINGS), self.chance.choice((6, 10)) * 10**8
        skew = self.chance.choice((-200_000_000, 0, 10**12))
        yield PublishSurface(underlying, vol, 10**9, skew, 10**9, self.now_ms)

    # -- traders

    def _token(self) -> str:
        return self.chance.choices((*TOKENS, "GME.M"), (12, 6, 1))[0]

    def _account(self) -> str:
        return self.chance.choices((*ACCOUNTS, "nobody"), (5, 5, 3, 2, 1, 1))[0]

    def _open(self, exchange: Exchange) -> Iterator[Command]:
        if self.chance.random() < 0.5:
            yield from self._tick(exchange)
        underlying = self.chance.choice(UNDERLYINGS)
        step = STEPS[underlying]
        at = self._prices[underlying] * self.chance.choice((0.95, 1.0, 1.0, 1.0, 1.05, 1.1, 3.0))
        notional = self.chance.choice((ONE // 100, ONE, 5 * ONE, 20 * ONE, 20 * ONE, 10**6 * ONE))
        yield Open(
            self._token(),
            self._account(),
            underlying,
            self.chance.choice((CALL, PUT)),
            round(at * ONE / step) * step,
            notional,
            self.chance.choice((notional, notional, 1)),
            self.now_ms,
            self_funding=self.chance.random() < 0.3,
        )

    def _held(self, exchange: Exchange) -> tuple[str, str, int, int]:
        """Return token, account, id and notional of a position; made up where there is none."""
        token = self.chance.choice(TOKENS)
        state = exchange.memory.tokens[token].state
        rows = state.positions[: state.pool[0].position_count]
        rows = rows[rows.notional > 0]
        if len(rows) == 0 or self.chance.random() < 0.1:
            return token, self._account(), self.chance.randrange(-1, 50), ONE
        row = rows[self.chance.randrange(len(rows))]
        name = exchange.memory.account_name(token, int(row.account))
        return token, name, int(row.position_id), int(row.notional)

    def _close(self, exchange: Exchange) -> Iterator[Command]:
        token, account, position, notional = self._held(exchange)
        part = self.chance.choice((notional, notional // 2, 2 * notional))
        close = Close(token, account, position, part, self.now_ms)
        late = self.chance.random() < 0.3  # it waits for an index that is yet to be published
        yield replace(close, fill_after_ms=self.now_ms + MINUTE_MS) if late else close

    def _check(self, exchange: Exchange) -> Iterator[Command]:
        token, _, position, _ = self._held(exchange)
        yield Check(token, position, self.now_ms)

    def _self_funding(self, exchange: Exchange) -> Iterator[Command]:
        token, account, position, _ = self._held(exchange)
        yield SetSelfFunding(token, account, position, self.chance.random() < 0.5, self.now_ms)

    # -- money

    def _amount(self) -> int:
        return self.chance.choice((-1, 0, 1, ONE, 17 * ONE, 900 * ONE, 10**17))

    def _reference(self) -> str:
        return self.chance.choice(("", f"0x{self.chance.randrange(30)}"))

    def _credit(self, _exchange: Exchange) -> Iterator[Command]:
        account = self.chance.choice((*ACCOUNTS, f"new-{self._number}"))
        yield Credit(self._token(), account, self._amount(), self.now_ms, self._reference())

    def _withdraw(self, _exchange: Exchange) -> Iterator[Command]:
        yield Withdraw(self._token(), self._account(), self._amount(), self.now_ms)

    def _debit(self, exchange: Exchange) -> Iterator[Command]:
        number = self.chance.randint(0, len(exchange.memory.withdrawals) + 1)
        yield Debit(self._token(), number, self.now_ms, self._reference())

    def _move(self, _exchange: Exchange) -> Iterator[Command]:
        yield MoveBalance(self._token(), self._token(), self._account(), ONE, self.now_ms)

    def _request(self, _exchange: Exchange) -> Iterator[Command]:
        account = self.chance.choice(("pat", "ingrid", self._account()))
        kind = self.chance.choice(list(RequestKind))
        yield Request(self._token(), account, kind, self._amount(), self.now_ms)

    def _cancel(self, exchange: Exchange) -> Iterator[Command]:
        token = self.chance.choice(TOKENS)
        count = int(exchange.memory.tokens[token].state.pool[0].request_count)
        account = self.chance.choice(("pat", "ingrid"))
        yield Cancel(token, account, self.chance.randint(0, count), self.now_ms)

    # -- the operator

    def _pause(self, _exchange: Exchange) -> Iterator[Command]:
        token = self._token()
        yield Pause(token, self.now_ms)
        if self.chance.random() < 0.8:
            yield Resume(token, self.now_ms)

    def _parameters(self, exchange: Exchange) -> Iterator[Command]:
        token = self.chance.choice(TOKENS)
        before = exchange.memory.tokens[token].versions.in_force.parameters
        spread = self.chance.choice((0.005, 0.01, -1.0))
        effective_ms = self.now_ms + self.chance.choice((0, MINUTE_MS, -1))
        asked = before._replace(vol_spread=spread)
        yield SetParameters(token, asked, effective_ms, self.now_ms, ("vol_spread",))

    def _action(self, exchange: Exchange) -> Iterator[Command]:
        """Announce a split or a dividend; some are taken back, some lapse, most are done."""
        token = self.chance.choice(TOKENS)
        effective_ms = self.now_ms + self.chance.choice((0, MINUTE_MS))
        split, amount = self.chance.choice(((SPLIT, 0), (DIVIDEND, 3 * ONE)))
        ratio = self.chance.choice(((3, 2), (2, 3), (2, 1), (1, 2), (0, 1)))
        yield AnnounceAction(token, split, effective_ms, self.now_ms, *ratio, amount)
        yield from self._open(exchange)
        self.now_ms = max(self.now_ms, effective_ms)
        yield from self._open(exchange)
        chosen = self.chance.random()
        if chosen < 0.7:
            yield ApplyAction(token, self.now_ms, self._reference())
        elif chosen < 0.9:
            yield WithdrawAction(token, self.now_ms)
