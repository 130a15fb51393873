"""Traders, providers and an operator at random, over HTTP: money and invariants hold throughout.

The operator splits the token, pays dividends and changes parameters meanwhile; every flush of it
all can be computed again by anybody.

The kernels live many more lives in `tests/twin`; this one goes the whole way, with the writer, the
database and signatures between. `EVERGAMMA_LIFE` sets the number of flushes.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from decimal import Decimal

import pytest

from api.client import Client, ConflictError, RefusedError
from api.verification.public import download, verify_published
from tests.api.conftest import Run
from tests.api.http.harness import Server, balance_of, fresh, now_ms, total, until

TOKEN = "RANDOM.M"
SEED = 20_260
STEPS = 60
POOL_SEED = 1_000 * 10**8
EPOCHS = int(os.environ.get("EVERGAMMA_LIFE", "8"))
FUNDS = 3_000
RATIOS = ((1, 3), (7, 2), (6, 7))
"""Splits, one after another: all three together leave amounts nearly as they were."""
STRIKES = (80_000, 95_000, 100_000, 105_000, 120_000)


def base_units(amounts: Iterable[str]) -> int:
    """Return the sum of amounts, in base units."""
    return int(total(iter(amounts)).scaleb(8))


class Life:
    """Three traders and three providers who do anything, and an index that jumps."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.random = random.Random(SEED)  # noqa: S311
        server.list_token(
            TOKEN,
            seed=POOL_SEED,
            flush_period_ms=1_000,
            flush_offset_ms=0,
            cutoff_ms=0,
            cooldown_ms=0,
            window_marks_min=0,
            unsettled_move=1.0,
            cover_period_flushes=2,
            series_share_ppm=1_000_000,
            account_share_ppm=1_000_000,
            stress_share_ppm=700_000,
        )
        names = ("tara", "theo", "tilda", "lara", "leon", "luna")
        self.people = [server.client(f"life-{name}") for name in names]
        for name in names:
            server.credit(f"life-{name}", TOKEN, str(FUNDS))
        self.refused: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.custody = 2 * POOL_SEED + len(names) * FUNDS * 10**8
        self._fees = self._paid = 0

    def amount(self, most: int) -> str:
        """Return a number of tokens up to `most`."""
        return str(Decimal(self.random.randint(1, most * 10**4)).scaleb(-4))

    def open(self, who: Client) -> None:
        """Buy something."""
        strike, kind = self.random.choice(STRIKES), self.random.choice("CP")
        is_funding = self.random.random() < 0.3
        name = f"BTC-{TOKEN}-{strike}-{kind}"
        who.open(name, self.amount(900), limit_total="1000", self_funding=is_funding)

    def close(self, who: Client) -> None:
        """Sell a position or half of it."""
        held = list(who.positions())
        if held:
            position = self.random.choice(held)
            part = Decimal(position.notional) * self.random.choice((1, 1, 2)) / 2
            who.close(position.id, f"{part:.8f}".rstrip("0").rstrip("."))

    def deposit(self, who: Client) -> None:
        """Ask to come in."""
        pool = self.random.choice(("main", "main", "insurance"))
        who.deposit(TOKEN, pool, self.amount(1_500))  # type: ignore[arg-type]

    def redeem(self, who: Client) -> None:
        """Ask to go out, sometimes for more than there can be."""
        pool = self.random.choice(("main", "insurance"))
        least = self.random.choice(("0", "0", "0", "900"))
        who.redeem(TOKEN, pool, self.amount(800), least)  # type: ignore[arg-type]

    def cancel(self, who: Client) -> None:
        """Take a request back."""
        waiting = [each for each in who.requests() if each.status == "open"]
        if waiting:
            who.cancel_request(self.random.choice(waiting).id)

    def withdraw(self, who: Client) -> None:
        """Take balance out; most of it is paid out at once."""
        asked = who.withdraw(TOKEN, self.amount(300))
        if self.random.random() < 0.7:
            self.server.operator.operator.complete_withdrawal(asked.id, f"out-{asked.id}")
            self.custody -= base_units([asked.amount])

    def jump(self, _who: Client) -> None:
        """Move the index."""
        with self.server.pusher.held():
            old = Decimal(self.server.pusher.prices["BTC"])
            factor = Decimal(self.random.choice((88, 95, 99, 101, 106, 114))) / 100
            new = min(max(old * factor, Decimal(60_000)), Decimal(160_000))
            self.server.pusher.prices["BTC"] = str(round(new, 2))
            self.server.pusher.push("BTC")

    # -- the operator

    def _apply(self, effective_ms: int, reference: str | None = None) -> None:
        """Carry the announced action out; nobody trades meanwhile."""
        until(lambda: now_ms() > effective_ms + 10)
        self.server.operator.operator.apply_action(TOKEN, reference)

    def split(self, numerator: int, denominator: int) -> None:
        """Split the token; each amount, all of custody too, is rounded down."""
        soon = now_ms() + 60
        self.server.operator.operator.announce_split(TOKEN, numerator, denominator, soon)
        self._apply(soon)
        self._fees, self._paid = self.fees() * numerator // denominator, self._paid_fees()
        self.custody = self.custody * numerator // denominator

    def pay_dividend(self) -> None:
        """Pay one; the operator's fees have their part."""
        amount, soon = self.amount(300), now_ms() + 60
        self.server.operator.operator.announce_dividend(TOKEN, amount, soon)
        self._apply(soon, fresh("dividend"))
        paid = base_units([amount])
        self._fees += paid * self.fees() // self.custody
        self.custody += paid

    def change_parameters(self) -> None:
        """Change what trades and exits cost, and how long cover lasts."""
        changes = {
            "fee": self.random.choice((0.0, 0.0003, 0.001)),
            "exit_fee_ppm": self.random.choice((0, 1_000, 5_000)),
            "cover_period_flushes": self.random.choice((1, 2, 3)),
        }
        self.server.operator.operator.set_parameters(TOKEN, changes, now_ms() + 100)

    def govern(self, epoch: int) -> None:
        """Split, twice at times, and do something else beside it."""
        for number in range(epoch, epoch + 1 + epoch % 2):
            self.split(*RATIOS[number % len(RATIOS)])
        if epoch % 2:
            self.change_parameters()
        else:
            self.pay_dividend()

    # -- all tokens there are

    def _paid_fees(self) -> int:
        """Return the fees of all trades, in the tokens of their days."""
        return base_units(
            trade.fee
            for who in self.people
            for trade in who.trades()
            if f"-{TOKEN}-" in trade.instrument
        )

    def fees(self) -> int:
        """Return what the operator has earned, as splits and dividends have left it."""
        return self._fees + self._paid_fees() - self._paid

    def held(self) -> int:
        """Return all tokens of pools, accounts, withdrawals and the operator, between flushes."""
        operator = self.server.operator
        with self.server.pusher.held():
            while True:
                pool = operator.pool(TOKEN)
                amounts = [pool.main.cash, pool.insurance.cash]
                for who in self.people:
                    has = balance_of(who.account(), TOKEN)
                    amounts += [has["balance"], has["escrowed"]]
                    amounts += [
                        each.amount
                        for each in who.withdrawals()
                        if each.token == TOKEN and each.status != "completed"
                    ]
                found = base_units(amounts) + self.fees()
                if operator.pool(TOKEN).flushes == pool.flushes:
                    return found

    def step(self) -> None:
        """Let somebody do something; a refusal is an answer too."""
        acts: list[Callable[[Client], None]] = [self.open] * 6
        acts += [self.close] * 3 + [self.deposit] * 3 + [self.redeem] * 3
        acts += [self.cancel, self.withdraw, self.jump, self.jump]
        act = self.random.choice(acts)
        try:
            act(self.random.choice(self.people))
            self.done[act.__name__] += 1
        except (RefusedError, ConflictError) as refusal:
            self.refused[refusal.code] += 1


@pytest.fixture(scope="module")
def life(server: Server) -> Iterator[Life]:
    yield Life(server)
    server.retire(TOKEN)


def test_a_life_at_random_keeps_every_promise(server: Server, life: Life) -> None:
    """No other answer than done or refused; all invariants and all money, step after step."""
    for epoch in range(EPOCHS):
        flushes = server.operator.pool(TOKEN).flushes
        for _ in range(STEPS):
            life.step()
        until(lambda before=flushes: server.operator.pool(TOKEN).flushes > before)
        assert life.held() == life.custody
        life.govern(epoch)
        assert life.held() == life.custody
        assert server.operator.status().invariants == "hold"
    assert server.operator.status().invariants == "hold"
    assert {"open", "close", "deposit", "redeem", "jump", "withdraw"} <= set(life.done)
    assert life.refused


def test_everybody_can_leave_in_the_end(server: Server, life: Life) -> None:
    """Positions close, requests are taken back, balances go out: whatever the pools are like."""
    server.pusher.prices["BTC"] = "100000"
    server.pusher.push("BTC")
    for who in life.people:
        for position in who.positions():
            who.close(position.id, position.notional)
        assert len(list(who.positions())) == 0
        for asked in who.requests():
            if asked.status == "open":
                with suppress(ConflictError, RefusedError):  # it was being filled
                    who.cancel_request(asked.id)
    assert life.held() == life.custody
    assert Decimal(server.operator.pool(TOKEN).locked) == 0


def test_anybody_can_compute_every_flush_again(server: Server, life: Life, run: Run) -> None:
    """Of the public routes alone, whatever happened between; the command says so by its status."""
    assert life.done
    until(lambda: server.operator.pool(TOKEN).flushes > EPOCHS)
    flushes = server.operator.pool(TOKEN).flushes
    with Client(server.url) as anybody:
        for number in range(1, flushes + 1):
            first = verify_published(TOKEN, number, download(anybody, TOKEN, number)).first
            assert first is None, (number, first)
        assert len(anybody.flush(TOKEN, flushes).splits) >= EPOCHS
    done = run("verify-flush", TOKEN, str(flushes), "--url", server.url)
    assert done.returncode == 0, done.stdout + done.stderr
