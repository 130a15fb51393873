"""Time the drawdown engine: steps of one path, blocks of paths, threads, memory, NumPy."""

import multiprocessing
import resource
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from amm.ssvi import BTC_SURFACE
from amm.surface import COEFFICIENTS, fill_surface, make_table
from sims.drawdown.blocks import Desk, block_paths, draw_market, draw_pool, path_of, run_block
from sims.drawdown.engine import run_steps
from sims.drawdown.recording import TRADES
from sims.drawdown.scenario import Buyers, Providers, Scenario
from sims.markets.brownian import Brownian
from tests.benchmarks import numpy_simulator
from tests.benchmarks.measure import Figure
from vaults.state import NONE

DAY_STEPS = 24
WARM_DAYS = 60
"""Until as many positions are sold as are bought."""
STUDY_PATHS, STUDY_DAYS = 100_000, 30
SERIES, TRADES_A_STEP = 40, 0.1
ROUNDS = 3
BLOCKS_WEIGHED = 3

CROWD = Scenario(
    "forty series",
    Brownian(),
    buyers=Buyers(
        orders_per_day=1.25,
        size=0.004,
        size_spread=0.3,
        strike_steps=1,
        strike_spread=0.08,
        holding_days=36.0,
        self_funding=0.0,
        premium_days=60.0,
        momentum=0.0,
        take_profit=0.0,
        stop_loss=0.0,
        trailing=0.0,
    ),
    providers=Providers(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    days=WARM_DAYS + STUDY_DAYS,
    paths=8,
    seed=3,
)
"""One pool in which about forty series live and every tenth step has a trade."""
MONTH = replace(CROWD, name="a month", days=STUDY_DAYS, paths=STUDY_PATHS)


class Stretch(NamedTuple):
    """What some steps in a row were and took; times are the processor's."""

    steps: int
    seconds: float
    live: list[int]
    trades: float

    @property
    def each(self) -> float:
        """Seconds a step."""
        return self.seconds / self.steps


def crowded_steps(paths: int) -> Stretch:
    """Time the last month of some paths, once with the pool as full as it gets."""
    drawn, desk = draw_pool(CROWD, 0, 0, draw_market(CROWD, 0)), Desk(CROWD, 0)
    warm, last = WARM_DAYS * DAY_STEPS, CROWD.clock.steps
    seconds, trades, live = 0.0, 0.0, []
    pool, kept = desk.world.state.pool[0], desk.record.kept
    for number in range(paths):
        path = path_of(drawn, number, NONE)
        desk.begin(path)
        row = run_steps(
            desk.world, desk.seats, desk.plan, path, desk.record, 1, warm, int(path.bounds[0])
        )
        before = kept[TRADES]
        live.append(int(pool.live_series))
        begun = time.process_time()
        row = run_steps(desk.world, desk.seats, desk.plan, path, desk.record, warm + 1, last, row)
        seconds += time.process_time() - begun
        assert row != NONE
        live.append(int(pool.live_series))
        trades += kept[TRADES] - before
    return Stretch(paths * (last - warm), seconds, live, trades)


def numpy_seconds(paths: int, steps: int) -> float:
    """Return the processor's seconds a path-step of the NumPy model."""
    random = np.random.default_rng(1)
    table = make_table(BTC_SURFACE, numpy_simulator.PERIOD)
    smile = numpy_simulator.smile_of(fill_surface(table, 0.55, 0.0, np.empty(COEFFICIENTS)))
    pool = numpy_simulator.make_pool(paths, SERIES, random)
    numpy_simulator.run_steps(pool, smile, 2, 1.0, random)
    begun = time.process_time()
    charged = numpy_simulator.run_steps(pool, smile, steps, TRADES_A_STEP, random)
    seconds = time.process_time() - begun
    assert np.isfinite(charged).all()
    assert charged.any()
    return seconds / (paths * steps)


def blocks_seconds(threads: int, blocks: int) -> float:
    """Return how long some blocks of a month take."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda number: run_block(MONTH, number), range(blocks)))
    return time.perf_counter() - begun


def peaks_mb(blocks: int) -> tuple[float, float]:
    """Return the most memory a process of its own needs for one block and for some, in MB."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_weigh_blocks, (blocks,))


def _weigh_blocks(blocks: int) -> tuple[float, float]:
    peaks = []
    for number in range(blocks):
        run_block(MONTH, number)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return peaks[0], peaks[-1]


def steps_of_a_path() -> list[Figure]:
    """Time single steps, in turn with NumPy so that a slow minute slows both."""
    crowded_steps(1)
    rounds = [(crowded_steps(8), numpy_seconds(256, 48)) for _ in range(ROUNDS)]
    ours = min((stretch for stretch, _ in rounds), key=lambda stretch: stretch.each)
    numpy = min(seconds for _, seconds in rounds)
    live = statistics.mean(ours.live)
    return [
        Figure(
            f"path-steps, {live:.0f} live series, {ours.trades / ours.steps:.2f} trades a step",
            f"{1.0 / ours.each:,.0f}/s, {ours.each * 1e6:.1f} us each",
            f"the same model in NumPy, 256 paths at once, {SERIES} series: {1.0 / numpy:,.0f}/s; "
            f"{numpy / ours.each:.1f} x as fast",
            "≥ 300,000/s",
        ),
    ]


def blocks_of_paths() -> list[Figure]:
    """Time whole blocks on one and two threads, and weigh them."""
    paths = block_paths(MONTH)
    blocks_seconds(1, 1)
    rounds = [(blocks_seconds(1, 2), blocks_seconds(2, 2)) for _ in range(ROUNDS)]
    one, two = (min(seconds) for seconds in zip(*rounds, strict=True))
    study = STUDY_PATHS / paths * two / 2.0
    first, last = peaks_mb(BLOCKS_WEIGHED)
    return [
        Figure(
            f"{STUDY_PATHS:,} paths of {STUDY_DAYS} days, hourly, two threads: projected",
            f"{study:.0f} s",
            f"from two blocks of {paths} paths, drawing included: {two:.2f} s",
            "≤ 150 s",
        ),
        Figure(
            "parallel efficiency at two threads",
            f"{one / two / 2.0:.2f}",
            f"the same two blocks on one thread: {one:.2f} s",
            "≥ 0.9",
        ),
        Figure(
            f"memory at its peak, {BLOCKS_WEIGHED} blocks one after the other",
            f"{last:.0f} MB",
            f"after the first: {first:.0f} MB",
            "≤ 2,048 MB",
        ),
    ]


def simulator() -> list[Figure]:
    """Measure the drawdown engine."""
    return steps_of_a_path() + blocks_of_paths()
