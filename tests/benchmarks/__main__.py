"""Measure what matters and write docs/benchmarks.md: `make bench`.

Machines are noisy, so every figure stands beside something else measured in the same run. Each
topic has a file here.
"""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.benchmarks.european import europeans
from tests.benchmarks.exchange import whole_exchange
from tests.benchmarks.growth import growth
from tests.benchmarks.http_trades import http_trades
from tests.benchmarks.measure import Figure
from tests.benchmarks.perpetual import perpetuals
from tests.benchmarks.quotes import quotes
from tests.benchmarks.simulating import simulating
from tests.benchmarks.simulator import simulator
from tests.benchmarks.websockets import websockets

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "sqlalchemy",
    "litestar",
    "uvicorn",
    "fast-vollib",
    "QuantLib",
)
SECTIONS = (
    ("Pricing", perpetuals),
    ("Europeans", europeans),
    ("Quotes", quotes),
    ("Exchange", whole_exchange),
    ("Simulator", simulator),
    ("Growth", lambda: list(growth())),
    ("HTTP", http_trades),
    ("Stream", websockets),
    ("Simulations", simulating),
)
SETTINGS = {
    "Pricing": """\
Arrays of two million perpetual options, per option, on one thread: all kinds of moneyness, vol,
funding periods and rates.
""",
    "Europeans": """\
Out-of-the-money calls up to four deviations out, per option, on one thread; errors are against 60
digits. The last two lines are implied vols of perpetual options.
""",
    "Quotes": """\
A pool with 200 live series on the default surfaces, BTC and ETH, calls and puts. Index and vol
level have moved at every tick; a quote does not include the tick before it. Single calls, 400 of
each, least and median.
""",
    "Exchange": """\
Three simulated days of one token with 300 openings a day, then 4,000 trades more.
""",
    "Simulator": """\
Drawdown studies by the exchange's own kernels, hourly steps, vol levels estimated: every step is a
tick of both underlyings. Path-steps are those of a third month, on one thread, in the processor's
time; blocks begin with an empty pool and the same buyers. NumPy's model leaves out the integers,
accounts, queues and the waterfall.
""",
    "Growth": """\
One exchange in this process on SQLite, filled by commands; then 6,000 trades of anybody's, 32 to a
commit: the median batch, in the processor's time per trade. With the tokens, 20,000 positions. A
start reads the rows of the last checkpoint and applies what the journal has after it.
""",
    "HTTP": """\
A server process on SQLite (synchronous FULL), then one on PostgreSQL (synchronous_commit on),
simulated prices every second, no fill delay; 1,000 accounts, 40 live series, 32 connections that
each send the next request when the last is answered; 70 % openings and 30 % closings, each signed,
with an idempotency key, answered when it is on disk.
The load runs on the same cores, as does PostgreSQL.
""",
    "Stream": """\
A server process with thousands of WebSockets that read one channel each, in one other process.
""",
    "Simulations": """\
A server process on SQLite as under HTTP, with a simulation of one process beside it that is held
and let go in turns; 100 accounts.
""",
}
HEAD = """\
# Benchmarks
Written by `make bench` on {day}: {processor}, {machine}, {cores} cores, Python {python},
{versions}.

`make bench` installs the packages that are only compared with, measures, which took {minutes:.0f}
minutes, and rewrites this page. A bar is what a figure has to reach; what is beside it was measured
in the same run. Times are the least of several, which neighbours disturb least: the processor's for
arrays and tables on one thread, elapsed for the rest. Replay and durable trades are done once.
"""


def table(figures: list[Figure]) -> str:
    """Return a table."""
    lines = [
        "| what | measured | bar | beside it, in the same run |",
        "| --- | --- | --- | --- |",
        *(f"| {each.what} | {each.value} | {each.bar} | {each.beside} |" for each in figures),
    ]
    return "\n".join(lines) + "\n"


def processor() -> str:
    """Return the name of the processor."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def version_of(package: str) -> str:
    """Return the version of a package, or that there is none."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} not installed"


def head(seconds: float) -> str:
    """Return what all figures have in common, after so many seconds of measuring."""
    return HEAD.format(
        minutes=seconds / 60.0,
        day=time.strftime("%Y-%m-%d", time.gmtime()),
        processor=processor(),
        machine=platform.machine(),
        cores=os.cpu_count(),
        python=platform.python_version(),
        versions=", ".join(version_of(package) for package in PACKAGES),
    )


def main() -> None:
    """Measure and write the page."""
    parts, first = [], time.perf_counter()
    for title, measure in SECTIONS:
        begun = time.perf_counter()
        parts.append(f"## {title}\n{SETTINGS[title]}\n{table(measure())}")
        print(f"{title}: {time.perf_counter() - begun:.0f} s")
    PAGE.write_text("\n".join([head(time.perf_counter() - first), *parts]))
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
