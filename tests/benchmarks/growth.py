"""What a trade, a tick, a checkpoint and a start cost as an exchange grows.

    python -m tests.benchmarks.growth --positions 1000,1000000 --tokens 1,200

Positions are opened by commands, as anybody's; then trades are timed in batches of 32, as the
server commits them. Times are the processor's, which neighbours disturb least.
"""

import argparse
import gc
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from amm.units import MINUTE_MS, ONE
from api.exchange import Exchange
from api.recovery import check_database
from api.storage.store import open_store
from tests.benchmarks.measure import Figure
from vaults.commands import (
    CALL,
    PUT,
    Close,
    Command,
    Credit,
    ListToken,
    Open,
    StartUnderlying,
    Tick,
)
from vaults.params import Parameters

START_MS = 1_760_011_200_000
NEVER_MS = 1_600_000_000_000
POOL = 200_000 * ONE
BALANCE = ONE
LOT = ONE // 100
HELD = 10
"""Positions of an account."""
STRIKES = 10
"""Of each underlying and kind: 40 live series."""
BATCH = 32
TRADES = 6_000
PRICES = {"BTC": 100_000, "ETH": 4_000}
STEPS = {"BTC": 1_000, "ETH": 50}
POSITIONS = (1_000, 1_000_000)
TOKENS = (1, 200)


class Cost(NamedTuple):
    """What was measured: microseconds of the processor's, seconds, and the journal's length."""

    positions: int
    tokens: int
    trade: float
    tick: float
    start: float
    rebuild: float
    records: int


class Growing:
    """An exchange that is filled with positions."""

    def __init__(self, database: Path, tokens: int) -> None:
        self.exchange = Exchange(open_store(database))
        self.now_ms = START_MS
        self.tokens = [f"T{number}.M" for number in range(tokens)]
        self._numbers = iter(range(10**9))
        self._chance = random.Random(7)  # noqa: S311 - nothing secret
        self.held: list[tuple[str, str, int]] = []
        for symbol in PRICES:
            self._do(StartUnderlying(symbol, self.now_ms, 25 * 10**10, 25 * 10**10, 25 * 10**10))
        parameters = Parameters(seed=POOL, flush_period_ms=NEVER_MS)
        for token in self.tokens:
            self._do(ListToken(token, self.now_ms, parameters))
        self.tick()

    def _do(self, command: Command) -> int:
        """Carry out a command; return the row of its outcome."""
        outcome = self.exchange.execute(command, f"trader/{next(self._numbers)}").outcome
        assert outcome.code == 0, (command, outcome)
        if self.exchange.is_batch_full:
            self.exchange.commit()
        return outcome.row

    def tick(self) -> None:
        """Let a minute pass."""
        self.now_ms += MINUTE_MS
        for symbol, price in PRICES.items():
            moved = round(price * (1 + self._chance.gauss(0, 1e-4)) * ONE)
            self._do(Tick(symbol, moved, self.now_ms, self.now_ms, 0, 5 * 10**8))

    def fill(self, positions: int) -> None:
        """Open positions, some for each account, until there are so many."""
        while len(self.held) < positions:
            token = self.tokens[len(self.held) // HELD % len(self.tokens)]
            account = f"trader-{len(self.held)}"
            self._do(Credit(token, account, BALANCE, self.now_ms))
            for series in self._chance.sample(range(4 * STRIKES), HELD):
                self.open(token, account, series)
        self.exchange.commit()

    def open(self, token: str, account: str, series: int) -> None:
        """Open a lot of one of the series."""
        symbol = ("BTC", "ETH")[series % 2]
        kind = (CALL, PUT)[series // 2 % 2]
        step = series // 4 - STRIKES // 2
        strike = (PRICES[symbol] + STEPS[symbol] * step) * ONE
        row = self._do(Open(token, account, symbol, kind, strike, LOT, LOT, self.now_ms))
        self.held.append((token, account, row))

    def trade(self, count: int) -> list[float]:
        """Open and close lots of anybody's; return microseconds of each batch, per trade."""
        taken, chance, trades = [], self._chance, 0
        while trades < count:
            begun = time.process_time()
            for _ in range(BATCH):
                place = chance.randrange(len(self.held))
                token, account, row = self.held[place]
                if chance.random() < 0.3:
                    self.held[place] = self.held[-1]
                    self.held.pop()
                    self._do(Close(token, account, row, LOT, self.now_ms))
                else:
                    self.open(token, account, chance.randrange(4 * STRIKES))
            self.exchange.commit()
            taken.append((time.process_time() - begun) / BATCH * 1e6)
            trades += BATCH
        return taken


def grown(folder: Path, positions: int, tokens: int, *, rebuild: bool = False) -> Cost:
    """Fill an exchange of so many tokens, and measure it."""
    database = folder / f"{positions}-{tokens}.sqlite"
    growing = Growing(database, tokens)
    growing.fill(positions)
    growing.trade(TRADES // 4)
    gc.collect()
    gc.freeze()
    trades = growing.trade(TRADES)
    begun = time.process_time()
    growing.tick()
    tick = time.process_time() - begun
    growing.exchange.commit()
    records = growing.exchange.journal_length
    growing.exchange.store.close()
    gc.unfreeze()
    begun = time.perf_counter()
    exchange = Exchange(open_store(database))
    start = time.perf_counter() - begun
    taken = seconds_to_rebuild(exchange) if rebuild else 0.0
    exchange.store.close()
    cost = statistics.median(trades)
    return Cost(positions, tokens, cost, tick * 1e6, start, taken, records)


def seconds_to_rebuild(exchange: Exchange) -> float:
    """Rebuild the state from the journal, and compare it with the tables."""
    begun = time.perf_counter()
    faults = check_database(exchange.store).faults
    assert not faults, faults
    return time.perf_counter() - begun


def growth(
    positions: tuple[int, ...] = POSITIONS, tokens: tuple[int, ...] = TOKENS
) -> Iterator[Figure]:
    """Measure exchanges of several sizes."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        costs = [grown(place, each, 1, rebuild=each == max(positions)) for each in positions]
        costs += [grown(place, 20_000, each) for each in tokens]
    first = costs[0].trade
    for each in costs:
        yield Figure(
            f"trade with {each.positions:,} positions in {each.tokens} token(s)",
            f"{each.trade:.0f} us",
            f"{each.trade / first:.2f} x the first; tick {each.tick / 1e3:.1f} ms; "
            f"start {each.start:.1f} s after {each.records:,} records",
            "± 20 %",
        )
        if each.rebuild:
            yield Figure(
                f"state of {each.records:,} records rebuilt and compared",
                f"{each.rebuild:.1f} s",
                f"{each.records / each.rebuild:,.0f}/s",
                "1e6 in ≤ 30 s",
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what growth costs.")
    for name, usual in (("positions", POSITIONS), ("tokens", TOKENS)):
        parser.add_argument(f"--{name}", default=",".join(map(str, usual)))
    given = parser.parse_args()
    sizes = [tuple(map(int, each.split(","))) for each in (given.positions, given.tokens)]
    for figure in growth(*sizes):
        print(" | ".join(each for each in figure if each))  # noqa: T201
        sys.stdout.flush()


if __name__ == "__main__":
    main()
