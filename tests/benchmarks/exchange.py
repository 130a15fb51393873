"""Time the exchange: replays, durable trades, recovery, invariants."""

import tempfile
import time
from pathlib import Path

from amm.units import ONE
from api.exchange import Exchange
from api.recovery import check_database
from api.replay import Plan, Replay
from api.storage.store import open_store
from sims.flows import FlowRules
from sims.markets.simulated import simulate_path
from tests.benchmarks.measure import Figure, Times, least_seconds
from vaults.commands import Close, Credit, Open
from vaults.invariants import first_violation
from vaults.nav import net_asset_value

START_MS = 1_760_011_200_000


def replayed(database: Path, days: int) -> Exchange:
    """Return an exchange after some busy days of one token."""
    path = simulate_path(("BTC", "ETH"), START_MS, days, (1e5, 4e3), (0.5, 0.65), 0.8, 1)
    plan = Plan("simulated", START_MS, START_MS, ("TSLA.M",), 1, flow=FlowRules(opens_per_day=300))
    exchange = Exchange(open_store(database))
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
    return exchange, Figure(what, f"{commands / taken:,.0f}/s", f"{commands:,} commands")


def invariants(exchange: Exchange) -> Figure:
    """Time the check of every invariant of one token on a live book."""
    memory = exchange.memory
    token = memory.make_room("TSLA.M")
    state, rules, market = token.state, token.rules, memory.market
    now = int(state.pool[0].now_ms)

    checks, navs = Times([]), Times([])
    for _ in range(500):
        state.books.ticks += 1
        checks.take(first_violation, state, rules, market)
        navs.take(net_asset_value, state, rules, market, now)
    live, held = int(state.pool[0].live_series), int(state.pool[0].position_count)
    return Figure(
        "all invariants of the state, right after a tick",
        str(checks),
        f"NAV alone: {navs.least:.1f} us; {live} live series, {held} position rows",
    )


def durable_trades(exchange: Exchange) -> Figure:
    """Time opens and closes through the writer, committed 256 at a time."""
    count = 4_000
    now = int(exchange.memory.tokens["TSLA.M"].state.pool[0].now_ms)
    exchange.execute(Credit("TSLA.M", "trader", 10_000 * ONE, now), "fund")
    index = int(exchange.memory.market.oracle[0].index_e8)
    strike = round(index / (1_000 * ONE)) * 1_000 * ONE
    done, commits, begun = 0, Times([]), time.perf_counter()
    for number in range(count // 2):
        order = Open("TSLA.M", "trader", "BTC", "call", strike, ONE, ONE, now)
        bought = exchange.execute(order, f"bench-open-{number}").outcome
        sale = Close("TSLA.M", "trader", bought.row, ONE, now)
        sold = exchange.execute(sale, f"bench-close-{number}").outcome
        done += (bought.code == 0) + (sold.code == 0)
        if exchange.is_batch_full:
            commits.take(exchange.commit)
    commits.take(exchange.commit)
    taken = time.perf_counter() - begun
    assert done == count, f"only {done} of {count} trades were done"
    share = sum(commits.nanoseconds) / 1e9 / taken
    return Figure(
        "durable trades through the writer, one process",
        f"{done / taken:,.0f}/s",
        f"{share:.0%} of the time in commits of SQLite, synchronous FULL",
    )


def recovery(exchange: Exchange) -> Figure:
    """Time rebuilding the state from the journal, compared with the tables."""
    length = exchange.journal_length
    faults = check_database(exchange.store).faults
    assert not faults, faults
    taken = least_seconds(lambda: check_database(exchange.store), 3)
    return Figure(
        "`db check`, records rebuilt and compared",
        f"{length / taken:,.0f}/s",
        f"{length:,} records",
        "≥ 33,333/s",
    )


def whole_exchange() -> list[Figure]:
    """Measure one exchange, from its replay on."""
    with tempfile.TemporaryDirectory() as folder:
        exchange, replay = replay_rate(Path(folder))
        figures = [replay, durable_trades(exchange), recovery(exchange), invariants(exchange)]
        exchange.store.close()
    return figures
