"""What Prometheus reads."""

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from amm.units import ONE
from api.service import Service

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Counters of requests, and a look at the writer whenever somebody reads."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "evergamma_http_requests",
            "Answered requests.",
            ("route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "evergamma_http_request_seconds",
            "From the request's head to the answer's.",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._children: dict[tuple[str, int], Counter] = {}
        self.registry.register(_Writer(service))

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        child = self._children.get((route, status))
        if child is None:
            child = self._children[route, status] = self._requests.labels(route, str(status))
        child.inc()
        self._seconds.observe(seconds)


class _Writer(Collector):
    """Reads the single writer."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> list[Metric]:
        """Return the gauges of this moment."""
        service = self._service
        memory, counts = service.exchange.memory, service.counts
        age = GaugeMetricFamily(
            "evergamma_index_age_seconds", "Age of the index.", labels=["symbol"]
        )
        now_ms = service.clock.now_ms()
        for slot, symbol in enumerate(memory.underlyings):
            age.add_metric([symbol], (now_ms - int(memory.market.oracle[slot].index_ms)) / 1e3)
        pools = {
            name: GaugeMetricFamily(
                f"evergamma_pool_{name}", f"{name} in tokens.", labels=["token"]
            )
            for name in ("main", "insurance", "locked", "balances", "fees")
        }
        for token, held in memory.tokens.items():
            for name, gauge in pools.items():
                gauge.add_metric([token], int(getattr(held.state.pool[0], name)) / ONE)
        single = {
            "evergamma_journal_records": ("Commands journalled.", service.exchange.journal_length),
            "evergamma_commands": ("Commands since the start.", counts.commands),
            "evergamma_refusals": ("Commands refused since the start.", counts.refused),
            "evergamma_batches": ("Batches since the start.", counts.batches),
            "evergamma_lost_batches": ("Batches lost since the start.", counts.lost_batches),
            "evergamma_batch_seconds": ("Time spent in batches.", counts.batch_seconds),
            "evergamma_waiting_orders": ("Orders waiting for an index.", service.waiting),
            "evergamma_invariants_hold": (
                "1 while every invariant holds.",
                int(service.invariants == "hold"),
            ),
        }
        gauges = [GaugeMetricFamily(name, text, value) for name, (text, value) in single.items()]
        return [age, *pools.values(), *gauges]
