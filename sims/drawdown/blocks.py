"""A block of paths: drawn together, run one after the other, for each pool of a scenario.

What a block is depends on the scenario and its number only, so blocks may run anywhere, in any
order, and again.
"""

from typing import NamedTuple

import numpy as np

from amm.units import ONE
from sims.drawdown.engine import Path, Plan, begin_path, run_steps
from sims.drawdown.informed import Knowledge
from sims.drawdown.orders import Chances, Orders, draw_chances, draw_moods, draw_orders
from sims.drawdown.outcome import DAILY, TOTALS, BlockOutcome
from sims.drawdown.providing import Provision
from sims.drawdown.recording import Record, make_record, totals_of
from sims.drawdown.scenario import PoolPlan, Scenario
from sims.drawdown.seats import Seats, make_seats
from sims.drawdown.world import Fresh, World, make_world
from sims.markets.block import MarketBlock
from vaults.moves import FLOWS
from vaults.state import NONE, Floats

BLOCK_STEPS = 200_000
"""Steps of all paths of a block together, about: bounds memory."""
BLOCK_PATHS = 256
ROWS = 256
"""Room of a world at first."""
ROWS_MAX = 65_536
_MARKET, _ORDERS, _CHANCES, _MOODS = range(4)


def block_paths(scenario: Scenario) -> int:
    """Return how many paths a block has."""
    return max(min(BLOCK_STEPS // max(scenario.clock.steps, 1), BLOCK_PATHS), 1)


def block_count(scenario: Scenario) -> int:
    """Return how many blocks a scenario has; the last may be shorter."""
    return -(-scenario.paths // block_paths(scenario))


def _stream(scenario: Scenario, number: int, what: int, pool: int = 0) -> np.random.Generator:
    seed = np.random.SeedSequence(entropy=scenario.seed, spawn_key=(number, what, pool))
    return np.random.Generator(np.random.Philox(seed))


class Drawn(NamedTuple):
    """What one pool meets in a block."""

    market: MarketBlock
    orders: Orders
    chances: Chances
    moods: Floats


def draw_market(scenario: Scenario, number: int) -> MarketBlock:
    """Draw the market of a block: whole, also where fewer paths are wanted of it."""
    random = _stream(scenario, number, _MARKET)
    return scenario.market.draw(scenario.clock, block_paths(scenario), random)


def draw_pool(scenario: Scenario, number: int, pool: int, market: MarketBlock) -> Drawn:
    """Draw what traders and LPs of one pool will ask for in a block."""
    clock, paths = scenario.clock, block_paths(scenario)
    return Drawn(
        market,
        draw_orders(scenario.buyers, clock, paths, _stream(scenario, number, _ORDERS, pool)),
        draw_chances(scenario.informed, clock, paths, _stream(scenario, number, _CHANCES, pool)),
        draw_moods(clock, paths, _stream(scenario, number, _MOODS, pool)),
    )


def make_plan(scenario: Scenario, plan: PoolPlan) -> Plan:
    """Return how the paths of a pool are run."""
    buyers, informed, lps = scenario.buyers, scenario.informed, scenario.providers
    main, insurance = round(plan.main * ONE), round(plan.insurance * ONE)
    return Plan(
        main,
        insurance,
        scenario.step_ms,
        buyers.calls,
        buyers.momentum,
        buyers.strike_steps,
        buyers.premium_days,
        Knowledge(int(informed.size * main), round(1000 * informed.lead_seconds)),
        Provision(
            (int(lps.main_inflow * main), int(lps.insurance_inflow * insurance)),
            (lps.main_outflow, lps.insurance_outflow),
            (lps.main_run, lps.insurance_run),
        ),
    )


class Desk:
    """Runs the paths of one pool of a scenario, one after the other, on the same arrays."""

    def __init__(self, scenario: Scenario, pool: int, commands: int = 0) -> None:
        self.scenario = scenario
        self.pool = scenario.pools[pool]
        self.plan = make_plan(scenario, self.pool)
        self.record: Record = make_record(scenario.days, FLOWS)
        self._commands = commands
        self._make_room(ROWS)

    def _make_room(self, rows: int) -> None:
        if rows > ROWS_MAX:
            raise MemoryError(f"{self.scenario.name}: a path needs more than {ROWS_MAX} rows")
        self._rows = rows
        self.world: World = make_world(self.pool, self.scenario.step_ms, rows, self._commands)
        self._fresh = Fresh(self.world)
        self.seats: Seats = make_seats(rows - 2)

    def begin(self, path: Path) -> None:
        """Fund the pools of a new path."""
        self._fresh.reset()
        begin_path(self.world, self.seats, self.plan, path, self.record)

    def run(self, path: Path) -> Floats:
        """Run a whole path and return its totals; where there is no room, in a larger world."""
        last = path.times_ms.size - 1
        while True:
            self.begin(path)
            row = run_steps(
                self.world, self.seats, self.plan, path, self.record, 1, last, int(path.bounds[0])
            )
            if row != NONE:
                return totals_of(self.record, self.world, self.seats)
            self.make_more_room()

    def make_more_room(self) -> None:
        """Make the world anew, twice as large.

        Raises:
            MemoryError: It would be larger than any path should need.
        """
        self._make_room(2 * self._rows)


def path_of(drawn: Drawn, number: int, stock: int) -> Path:
    """Return one path of a block; `stock` is the column of the token's stock, or -1."""
    market, steps = drawn.market, drawn.market.times_ms.size
    path = Path(
        times_ms=market.times_ms,
        prices=np.empty(market.prices.shape[1:]),
        lows=np.empty(market.lows.shape[1:]),
        highs=np.empty(market.highs.shape[1:]),
        levels=np.empty(market.levels.shape[1:]),
        stock=np.empty(steps),
        orders=drawn.orders,
        bounds=np.empty(2, dtype=np.int64),
        sees_index=np.empty(steps, dtype=np.int64),
        noise=np.empty(steps),
        sees_level=np.empty(steps, dtype=np.int64),
        moods=np.empty(drawn.moods.shape[1:]),
    )
    fill_path(path, drawn, number, stock)
    return path


def fill_path(path: Path, drawn: Drawn, number: int, stock: int) -> None:
    """Fill a path of a block with another one of it: making a new one takes longer."""
    market, chances = drawn.market, drawn.chances
    path.prices[:] = market.prices[number]
    path.lows[:] = market.lows[number]
    path.highs[:] = market.highs[number]
    path.levels[:] = market.levels[number]
    prices = market.stocks[number, :, stock] if stock >= 0 else np.ones(path.stock.size)
    path.stock[:] = prices / prices[0]
    path.bounds[:] = drawn.orders.first[number : number + 2]
    path.sees_index[:] = chances.sees_index[number]
    path.noise[:] = chances.noise[number]
    path.sees_level[:] = chances.sees_level[number]
    path.moods[:] = drawn.moods[number]


def run_block(scenario: Scenario, number: int) -> BlockOutcome:
    """Run one block of a scenario.

    Args:
        scenario: What to run.
        number: Of the block, from 0 to `block_count(scenario)` - 1.

    Raises:
        vaults.params.ParameterError: For parameters that cannot be.
    """
    count = min(block_paths(scenario), scenario.paths - number * block_paths(scenario))
    market = draw_market(scenario, number)
    totals = np.empty((len(scenario.pools), count, len(TOTALS)))
    shape = (len(scenario.pools), count, scenario.days + 1, len(DAILY))
    daily = np.empty(shape, dtype=np.float32)
    for pool, plan in enumerate(scenario.pools):
        drawn, desk = draw_pool(scenario, number, pool, market), Desk(scenario, pool)
        met = path_of(drawn, 0, plan.stock)
        for path in range(count):
            fill_path(met, drawn, path, plan.stock)
            totals[pool, path] = desk.run(met)
            daily[pool, path] = desk.record.daily
    return BlockOutcome(number, market.weights[:count].copy(), totals, daily)


def path_in_block(scenario: Scenario, path: int) -> tuple[int, int]:
    """Return the block a path is in, and its number there."""
    return divmod(path, block_paths(scenario))
