"""What a simulation that runs beside the exchange does to its traders.

    python -m tests.benchmarks.simulating --seconds 10

The same trades with and without a simulation, in turns on one server, so that whatever else the
machine does meets both: its process is held and let go. It begins as others do, then stands back as
far as it can, which is the default: on a busy machine it would else take long to begin.
"""

import argparse
import os
import signal
import statistics
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from api.client import Client
from api.simulations.limits import Limits
from tests.benchmarks.http_trades import BALANCE, SERIES, Signed, Traders, open_all, run_load
from tests.benchmarks.measure import Figure
from tests.benchmarks.serving import Server

SECONDS, ROUNDS = 10.0, 4
CONNECTIONS = (2, 32)
ACCOUNTS = 100
WARM_SECONDS = 1.0
STUDY = {"name": "beside", "paths": 100_000, "pools": [{"stock": "TSLA"}]}
BEGIN_MAX_S = 600.0


class Study:
    """A simulation that runs, and can be held."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.name = client.simulate(STUDY).id
        deadline = time.monotonic() + BEGIN_MAX_S
        while not client.simulation(self.name).done:
            assert time.monotonic() < deadline, client.simulation(self.name)
            time.sleep(0.1)
        (self._process,) = [
            each.parent
            for each in Path("/proc").glob("[0-9]*/cmdline")
            if self.name.encode() in each.read_bytes()
        ]
        self._stand_back(Limits().nice)

    def _stand_back(self, nice: int) -> None:
        for thread in (self._process / "task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)
        with suppress(OSError):
            (self._process / "autogroup").write_text(str(nice))

    def go(self, *, on: bool) -> None:
        """Hold it, or let it go."""
        os.kill(int(self._process.name), signal.SIGCONT if on else signal.SIGSTOP)

    @property
    def seconds(self) -> float:
        """What it has had of the processor, in seconds."""
        words = (self._process / "stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _quantiles(nanoseconds: list[int]) -> tuple[float, float]:
    """Return median and 99th percentile, in milliseconds."""
    cuts = statistics.quantiles(nanoseconds, n=100)
    return cuts[49] / 1e6, cuts[98] / 1e6


def _compare(
    url: str, traders: Traders, study: Study, connections: int, seconds: float
) -> list[Figure]:
    taken: dict[bool, list[int]] = {False: [], True: []}
    used = 0.0
    for number in range(2 * ROUNDS):
        is_beside = number % 2 == 1
        study.go(on=is_beside)
        before = study.seconds
        load = run_load(url, traders.following, connections, seconds, WARM_SECONDS)
        taken[is_beside] += load.nanoseconds
        used += study.seconds - before
    alone, beside = _quantiles(taken[False]), _quantiles(taken[True])
    rates = [len(taken[each]) / (ROUNDS * seconds) for each in (False, True)]
    share = used / (ROUNDS * (seconds + WARM_SECONDS))
    return [
        Figure(
            f"trades on {connections} connections beside a simulation: latency",
            f"p50 {beside[0]:.2f} ms, p99 {beside[1]:.2f} ms",
            f"without: p50 {alone[0]:.2f} ms, p99 {alone[1]:.2f} ms: "
            f"{beside[0] / alone[0]:.2f} and {beside[1] / alone[1]:.2f} times",
        ),
        Figure(
            "their rate",
            f"{rates[1]:,.0f}/s",
            f"without: {rates[0]:,.0f}/s; the simulation had {share:.0%} of a core",
        ),
    ]


def simulating(seconds: float = SECONDS) -> list[Figure]:
    """Measure trades of few callers and of many."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder), EVERGAMMA_SIMULATION_NICE="0") as server,
    ):
        keys = server.fund(ACCOUNTS, BALANCE)
        series = server.series(SERIES)
        open_all(server.url, keys[0], series)
        host = urlsplit(server.url).netloc
        traders = Traders([Signed(host, key.id, key.secret or "") for key in keys], series)
        with server.operator_client() as operator:
            key = operator.operator.make_key("risk", ["risk"])
        with Client(server.url, key.id, key.secret) as client:
            study = Study(client)
            figures = [
                each
                for connections in CONNECTIONS
                for each in _compare(server.url, traders, study, connections, seconds)
            ]
            study.go(on=True)
            client.cancel_simulation(study.name)
        server.assert_conserved()
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure trades beside a simulation.")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    for figure in simulating(parser.parse_args().seconds):
        print(" | ".join(each for each in figure if each))  # noqa: T201


if __name__ == "__main__":
    main()
