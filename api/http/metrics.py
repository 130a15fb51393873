"""What Prometheus reads. The hot path counts in dictionaries; names are given when somebody reads.

docs/operations.md says what each of them means.
"""

import asyncio
import platform
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import accumulate
from time import monotonic
from typing import Any, get_args

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from amm.units import ONE
from api.feeds.health import FeedState
from api.http.patience import Patience
from api.logs import Log
from api.memory import Token
from api.service import Service
from api.simulations.counts import Counts as SimulationCounts
from api.stream.counts import Counts
from api.tally import Tally
from vaults.capacity import backing, utilisation
from vaults.market import Market
from vaults.nav import accrued_to_insurance, net_asset_value
from vaults.rejects import Reject

_STATES = get_args(FeedState)
LAG_EVERY_S = 0.25
POOLS_EVERY_S = 1.0
"""Valuing a book takes time that trading has not; no two readers have it done within this."""
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics(Collector):
    """Counts requests, and looks at the writer whenever somebody reads."""

    def __init__(
        self,
        service: Service,
        log: Log,
        patience: Patience,
        stream: Counts,
        simulations: SimulationCounts,
    ) -> None:
        self._service = service
        self._log = log
        self._patience = patience
        self._stream = stream
        self._simulations = simulations
        self._requests: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._seconds = Tally(*_SECONDS)
        self._lag = Tally(*_SECONDS)
        self._pools: list[Metric] = []
        self._pools_at = -POOLS_EVERY_S
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests[route, status] += 1
        self._seconds.note(seconds)

    async def text(self) -> bytes:
        """Return what is known at this moment, as text; a thread writes that while others trade."""
        taken = CollectorRegistry(auto_describe=False)
        taken.register(_Taken(list(self.registry.collect())))
        return await asyncio.to_thread(generate_latest, taken)

    async def measure_lag(self) -> None:
        """Note how late the event loop is, again and again."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self._lag.note(max(0.0, loop.time() - due))

    def collect(self) -> Iterator[Metric]:
        """Yield what is known at this moment."""
        yield from self._of_requests()
        yield from self._of_writer()
        yield from self._of_market()
        yield from self._of_pools()
        yield from self._of_stream()
        yield from self._of_simulations()
        yield from self._of_sources()
        build = {"version": version("evergamma"), "python": platform.python_version()}
        yield _gauge(
            "build_info", "1; its labels tell what runs.", {tuple(build.values()): 1}, *build
        )

    def _of_requests(self) -> Iterator[Metric]:
        requests = {(route, str(status)): n for (route, status), n in self._requests.items()}
        yield _counter("http_requests", "Answered requests.", requests, "route", "status")
        yield _histogram("http_request_seconds", "From a request to its answer.", self._seconds)
        yield _histogram("loop_lag_seconds", "How late the event loop is.", self._lag)
        ended = {("slow",): self._patience.slow, ("limit",): self._patience.refused}
        yield _counter("connections_ended", "Connections that were ended.", ended, "reason")
        dropped = {(): self._log.dropped}
        yield _counter("log_dropped_lines", "Lines of the log that were not written.", dropped)

    def _of_writer(self) -> Iterator[Metric]:
        service = self._service
        exchange, counts = service.exchange, service.counts
        outcomes = {
            (kind.__name__, Reject(code).name if code else "done"): n
            for (kind, code), n in counts.outcomes.items()
        }
        yield _counter("commands", "Commands that became durable.", outcomes, "kind", "outcome")
        yield _counter("lost_batches", "Batches lost.", {(): counts.lost_batches})
        yield _histogram("batch_commands", "Commands of a batch.", counts.sizes)
        yield _histogram("commit_seconds", "From a batch's end to its answers.", counts.seconds)
        hold = service.invariants == "hold"
        age = (service.clock.wall_ms() - service.invariants_checked_ms) / 1e3
        for name, text, value in (
            ("ready", "1 while commands are taken.", service.is_ready),
            ("commit_age_seconds", "Since the running commit has begun.", service.commit_age),
            ("queued_commands", "Requests that wait for the writer.", service.queued),
            ("waiting_orders", "Orders that wait for an index.", service.waiting),
            ("journal_records", "Commands in the journal.", exchange.journal_length),
            ("unsaved_records", "Of them, since the last checkpoint.", exchange.unsaved),
            ("invariants_hold", "1 while every invariant holds.", hold),
            ("invariants_age_seconds", "Since they were checked.", age),
        ):
            yield _gauge(name, text, {(): float(value)})
        broken = {} if hold else {(service.invariants,): 1}
        yield _gauge("invariant_broken", "1 for one that does not hold.", broken, "invariant")

    def _of_market(self) -> Iterator[Metric]:
        service = self._service
        memory, now_ms = service.exchange.memory, service.clock.now_ms()
        seen = {
            (symbol,): oracle
            for symbol, oracle in zip(memory.underlyings, memory.market.oracle, strict=True)
            if oracle.index_ms > 0
        }
        ages = {symbol: (now_ms - int(oracle.index_ms)) / 1e3 for symbol, oracle in seen.items()}
        prices = {symbol: int(oracle.index_e8) / ONE for symbol, oracle in seen.items()}
        vols = {symbol: int(oracle.mark_vol_e9) / 1e9 for symbol, oracle in seen.items()}
        yield _gauge("index_age_seconds", "Age of an index.", ages, "symbol")
        yield _gauge("index_price", "An index, in USD.", prices, "symbol")
        yield _gauge("index_vol", "Mark vol at the money, a year.", vols, "symbol")

    def _of_sources(self) -> Iterator[Metric]:
        now_ms, health = self._service.clock.now_ms(), self._service.feed_health()
        ages = {
            (each.name, symbol): (now_ms - published_ms) / 1e3
            for each in health
            for symbol, published_ms in each.published_ms.items()
        }
        text = "Age of a source's last good price; without one, of 1970."
        yield _gauge("feed_age_seconds", text, ages, "source", "symbol")
        states = {(each.name, n): int(each.state == n) for each in health for n in _STATES}
        yield _gauge("feed_state", "1 for the state a source is in.", states, "source", "state")
        for name, text in (
            ("messages", "Messages of a source."),
            ("failures", "Connections lost or refused, and prices that were no good."),
            ("reconnects", "Connections begun again."),
        ):
            counts = {(each.name,): getattr(each, name) for each in health}
            yield _counter(f"feed_{name}", text, counts, "source")

    def _of_stream(self) -> Iterator[Metric]:
        counts = self._stream
        yield _gauge("stream_connections", "WebSockets that are open.", {(): counts.connections})
        yield _gauge("stream_subscriptions", "Channels they read.", {(): counts.subscriptions})
        yield _counter("stream_messages", "Messages sent.", {(): counts.sent})
        yield _counter("stream_slow_readers", "Readers cut off.", {(): counts.cut})

    def _of_simulations(self) -> Iterator[Metric]:
        counts = self._simulations
        states = {("queued",): counts.queued, ("running",): counts.running}
        yield _gauge("simulations", "Simulations that have not ended.", states, "state")
        ended = {(state,): number for state, number in counts.ended.items()}
        yield _counter("simulations_ended", "Simulations that have ended.", ended, "state")
        yield _counter("simulation_paths", "Paths that were simulated.", {(): counts.paths})

    def _of_pools(self) -> list[Metric]:
        if monotonic() - self._pools_at >= POOLS_EVERY_S and self._service.exchange.is_current:
            self._pools_at = monotonic()
            self._pools = list(self._value_pools())
        return self._pools

    def _value_pools(self) -> Iterator[Metric]:
        service = self._service
        memory, now_ms = service.exchange.memory, service.clock.now_ms()
        amounts: dict[str, dict[tuple[str, ...], float]] = {
            "cash": {},
            "nav": {},
            "share_price": {},
            "locked": {},
            "utilisation": {},
            "balances": {},
            "fees": {},
        }
        for token, held in memory.tokens.items():
            row = held.state.pool[0]
            navs = _navs(held, memory.market, now_ms)
            for name in ("locked", "balances", "fees"):
                amounts[name][token,] = int(row[name]) / ONE
            backed = int(backing(held.rules, row.main, row.insurance))
            amounts["utilisation"][token,] = float(utilisation(row.locked, backed))
            for pool, three in navs.items():
                amounts["cash"][token, pool] = int(row[pool]) / ONE
                shares = int(row[f"{pool}_shares"])
                amounts["share_price"][token, pool] = (three[1] + 1) / (shares + 1)
                for bound, value in zip(("low", "mid", "high"), three, strict=True):
                    amounts["nav"][token, pool, bound] = value / ONE
        for name, text, labels in (
            ("cash", "Tokens in a pool.", ("pool",)),
            ("nav", "What a pool is worth, in tokens.", ("pool", "bound")),
            ("share_price", "What a share is worth, in tokens.", ("pool",)),
            ("locked", "Tokens locked for payouts.", ()),
            ("utilisation", "What is locked over what may be.", ()),
            ("balances", "Tokens of the accounts.", ()),
            ("fees", "Fees of the protocol, in tokens.", ()),
        ):
            yield _gauge(f"pool_{name}", text, amounts[name], "token", *labels)


class _Taken(Collector):
    """What was known at a moment."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        """Return it."""
        return self._metrics


def _navs(held: Token, market: Market, now_ms: int) -> dict[str, tuple[int, int, int]]:
    """Return low, mid and high of both pools."""
    row = held.state.pool[0]
    nav = net_asset_value(held.state, held.rules, market, now_ms)
    cash = int(row.insurance)
    accrued = cash + int(accrued_to_insurance(held.state))
    return {
        "main": (int(nav.low), int(nav.mid), int(nav.high)),
        "insurance": (cash, accrued, accrued + int(row.advances)),
    }


Values = Mapping[Any, float]
"""By values of the labels."""


def _counter(name: str, text: str, values: Values, *labels: str) -> Metric:
    family = CounterMetricFamily(f"evergamma_{name}", text, labels=labels)
    for given, value in list(values.items()):
        family.add_metric(given, value)
    return family


def _gauge(name: str, text: str, values: Values, *labels: str) -> Metric:
    family = GaugeMetricFamily(f"evergamma_{name}", text, labels=labels)
    for given, value in values.items():
        family.add_metric(given, value)
    return family


def _histogram(name: str, text: str, tally: Tally) -> Metric:
    bounds = [*map(str, tally.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(tally.counts), strict=True))
    family = HistogramMetricFamily(f"evergamma_{name}", text)
    family.add_metric([], buckets, tally.total)
    return family
