"""Measure what matters and write docs/benchmarks.md: `make bench`.

Machines are noisy, so every figure stands beside something else measured in the same run.
"""

import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

import amm
from amm.units import MINUTE_MS, ONE
from api.exchange import Exchange
from api.recovery import check_database
from api.replay import Plan, Replay
from api.store import Store
from sims.flows import FlowRules
from sims.markets.simulated import simulate_path
from vaults.commands import Close, Credit, Open
from vaults.invariants import first_violation
from vaults.nav import net_asset_value
from vaults.opening import price_opening
from vaults.tick import tick

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
WEEK = 7.0 / 365.0
START_MS = 1_760_011_200_000


class Figure(NamedTuple):
    """One line of the page."""

    what: str
    value: str
    beside: str


def seconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Return the median time of a call, after one to warm up."""
    call()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def numpy_value(moneyness: np.ndarray, vol: np.ndarray) -> np.ndarray:
    """Return call values without rate or carry by the textbook formula, in NumPy."""
    u = np.sqrt(1.0 + 8.0 / (vol**2 * WEEK))
    exponent = np.where(moneyness <= 1.0, (1.0 + u) / 2.0, (1.0 - u) / 2.0)
    return moneyness**exponent / u + np.maximum(moneyness - 1.0, 0.0)


def prices() -> list[Figure]:
    """Time arrays of prices, all greeks, against NumPy's value alone."""
    random = np.random.default_rng(1)
    count = 200_000
    moneyness, vol = random.uniform(0.7, 1.4, count), random.uniform(0.2, 1.5, count)
    ours = seconds(lambda: amm.price("call", moneyness, vol, WEEK)) / count * 1e9
    capped = seconds(lambda: amm.price("call", moneyness, vol, WEEK, cap=0.5)) / count * 1e9
    plain = seconds(lambda: numpy_value(moneyness, vol)) / count * 1e9
    beside = f"NumPy, value only: {plain:.0f} ns"
    return [
        Figure("price with all greeks, array, per option", f"{ours:.0f} ns", beside),
        Figure("the same, capped", f"{capped:.0f} ns", f"{capped / ours:.2f} x uncapped"),
    ]


def replayed(database: Path, days: int) -> Exchange:
    """Return an exchange after some busy days of one token."""
    path = simulate_path(("BTC", "ETH"), START_MS, days, (1e5, 4e3), (0.5, 0.65), 0.8, 1)
    plan = Plan("simulated", START_MS, START_MS, ("TSLA.M",), 1, flow=FlowRules(opens_per_day=300))
    exchange = Exchange(Store(database))
    Replay(exchange, plan, path).run()
    return exchange


def replay_rate(folder: Path) -> tuple[Exchange, Figure]:
    """Time a replay, once kernels are compiled; return its exchange too."""
    replayed(folder / "warm.sqlite", 2).store.close()
    begun = time.perf_counter()
    exchange = replayed(folder / "bench.sqlite", 3)
    taken = time.perf_counter() - begun
    commands = exchange.journal_length
    what = "replay, every invariant after every command"
    return exchange, Figure(what, f"{commands / taken:,.0f} commands/s", f"{commands:,} commands")


def kernels(exchange: Exchange) -> list[Figure]:
    """Time the kernels of one token on a live book."""
    memory = exchange.memory
    token = memory.make_room("TSLA.M")
    state, rules, market = token.state, token.rules, memory.market
    live = int(state.pool[0].live_series)
    now = int(state.pool[0].now_ms)
    strike = round(int(market.oracle[0].index_e8) / (1_000 * ONE)) * 1_000 * ONE

    def quote() -> None:
        price_opening(state, rules, market, 0, True, strike, 10 * ONE, now)

    def cold() -> None:
        state.books.ticks += 1
        quote()

    def checked() -> None:
        state.books.ticks += 1
        first_violation(state, rules, market)

    def many(call: Callable[[], None]) -> float:
        return seconds(lambda: [call() for _ in range(500)]) / 500 * 1e6

    def ticks() -> None:
        nonlocal now
        for _ in range(500):
            now += MINUTE_MS
            state.log_count[0] = 0
            tick(state, rules, market, 0, now)

    warm = many(quote)
    nav = many(lambda: net_asset_value(state, rules, market, now))
    per_tick = seconds(ticks) / 500 * 1e6
    book = f"{live} live series, {int(state.pool[0].position_count)} position rows"
    return [
        Figure("quote right after a tick, from Python", f"{many(cold):.0f} us", book),
        Figure("quote again before the next tick", f"{warm:.0f} us", book),
        Figure("tick of one underlying", f"{per_tick:.0f} us", book),
        Figure(
            "all invariants of the state", f"{many(checked):.0f} us", f"NAV alone: {nav:.0f} us"
        ),
    ]


def durable_trades(exchange: Exchange) -> Figure:
    """Time opens and closes through the writer, committed 256 at a time."""
    count = 4_000
    now = int(exchange.memory.tokens["TSLA.M"].state.pool[0].now_ms)
    exchange.execute(Credit("TSLA.M", "trader", 10_000 * ONE, now), "fund")
    index = int(exchange.memory.market.oracle[0].index_e8)
    strike = round(index / (1_000 * ONE)) * 1_000 * ONE
    done, begun = 0, time.perf_counter()
    for number in range(count // 2):
        order = Open("TSLA.M", "trader", "BTC", "call", strike, ONE, ONE, now)
        bought = exchange.execute(order, f"bench-open-{number}").outcome
        sale = Close("TSLA.M", "trader", bought.row, ONE, now)
        sold = exchange.execute(sale, f"bench-close-{number}").outcome
        done += (bought.code == 0) + (sold.code == 0)
        if exchange.is_batch_full:
            exchange.commit()
    exchange.commit()
    rate = done / (time.perf_counter() - begun)
    assert done == count, f"only {done} of {count} trades were done"
    return Figure(
        "durable trades through the writer, one process", f"{rate:,.0f}/s", "SQLite, FULL"
    )


def recovery(exchange: Exchange) -> Figure:
    """Time rebuilding the state from the journal, compared with the tables."""
    length = exchange.journal_length
    begun = time.perf_counter()
    faults = check_database(exchange.store).faults
    taken = time.perf_counter() - begun
    assert not faults, faults
    return Figure(
        "`db check`, records rebuilt and compared", f"{length / taken:,.0f}/s", f"{length:,}"
    )


def main() -> None:
    """Measure and write the page."""
    figures = prices()
    with tempfile.TemporaryDirectory() as folder:
        exchange, figure = replay_rate(Path(folder))
        figures.append(figure)
        figures.append(durable_trades(exchange))
        figures.append(recovery(exchange))
        figures += kernels(exchange)
        exchange.store.close()
    cpu = platform.processor() or platform.machine()
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "sqlalchemy"))
    day = time.strftime("%Y-%m-%d", time.gmtime())
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench` on {day}: {cpu}, Python {platform.python_version()}, {versions}.",
        "",
        "| what | measured | beside it, in the same run |",
        "| --- | --- | --- |",
        *(f"| {each.what} | {each.value} | {each.beside} |" for each in figures),
        "",
    ]
    PAGE.write_text("\n".join(lines))
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
