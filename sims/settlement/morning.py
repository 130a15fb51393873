"""Pools as the exchange's own kernels leave them on a Monday, before the stock's exchange opens.

Until then no stock has a new price, so a pool that promised dollars at Friday's price owes the
same tokens as one that promised tokens: this state is that of both.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from amm.units import ONE, units_up
from sims.drawdown.blocks import (
    Desk,
    block_count,
    block_paths,
    draw_market,
    draw_pool,
    path_of,
)
from sims.drawdown.engine import Path, run_steps
from sims.drawdown.scenario import Scenario
from sims.markets.block import Clock, Floats, Ints
from sims.markets.stock_sessions import session_steps
from vaults.capacity import backing
from vaults.risk import loss_table
from vaults.state import NONE

INDEX_MOVES = np.array([-0.3, 0.0, 0.3])
"""Of both indices at once, while the stock gaps: the base stress has the same size."""


class Weekend(NamedTuple):
    """The last weekend of a clock: rows of its histories.

    Attributes:
        closed: First row at or after Friday's close.
        before: Last row before the opening; the next one knows the gap.
        clock: From the one to the row after the other.
    """

    closed: int
    before: int
    clock: Clock


def last_weekend(clock: Clock) -> Weekend:
    """Return the last weekend that begins and ends within a clock.

    Raises:
        ValueError: There is none.
    """
    steps = session_steps(clock)
    whole = np.flatnonzero(steps.weekend & (steps.closed > 0))
    if whole.size == 0:
        raise ValueError("days: no weekend of the stock exchange begins and ends within them")
    closed, before = (int(each[whole[-1]]) for each in (steps.closed, steps.opens))
    start_ms = clock.start_ms + closed * clock.step_ms
    return Weekend(closed, before, Clock(start_ms, clock.step_ms, before + 1 - closed))


class Mornings(NamedTuple):
    """One pool on each path; amounts are integers in base units of the token, shape (paths,).

    Attributes:
        main: Cash of main.
        insurance: Cash of insurance.
        backed: What may be locked, M + K.
        locked: The most holders can ever be paid.
        marked: What their positions are worth at the marks, rounded up.
        moved: The same after `INDEX_MOVES` of the indices, shape (paths, 3).
        bitcoin: Log of BTC over that at Friday's close, shape (paths, steps of the weekend + 1).
    """

    main: Ints
    insurance: Ints
    backed: Ints
    locked: Ints
    marked: Ints
    moved: Ints
    bitcoin: Floats


def _worth(desk: Desk) -> list[int]:
    """Return what the holders' positions are worth after each of `INDEX_MOVES`."""
    state, world = desk.world.state, desk.world
    series = state.series["open_notional"][: state.pool[0].series_count]
    marked = float(series @ state.marks["value"][: series.size])
    gains = loss_table(state, world.rules, world.market, INDEX_MOVES, np.zeros(1))[:, 0] * ONE
    return [max(units_up(marked + gain), 0) for gain in gains.tolist()]


def _run_to(desk: Desk, path: Path, last: int) -> None:
    """Run a path to the end of a step, in a larger world where there is no room."""
    while True:
        desk.begin(path)
        world = desk.world
        row = run_steps(
            world, desk.seats, desk.plan, path, desk.record, 1, last, int(path.bounds[0])
        )
        if row != NONE:
            return
        desk.make_more_room()


def standing_of(desk: Desk) -> list[int]:
    """Return M, I, M + K, locks, and what positions are worth after each of `INDEX_MOVES`."""
    pool = desk.world.state.pool[0]
    main, insurance = int(pool.main), int(pool.insurance)
    backed = backing(desk.world.rules, main, insurance)
    return [main, insurance, backed, int(pool.locked), *_worth(desk)]


def run_mornings(scenario: Scenario, tell: Callable[[int], None]) -> Mornings:
    """Run the first pool of a scenario to the last weekend's end, on every path.

    Args:
        scenario: What to run; its clock has to hold a weekend.
        tell: Told how many paths are done, after each.

    Raises:
        ValueError: There is no weekend, or a market or parameter that cannot be.
    """
    weekend = last_weekend(scenario.clock)
    rows: list[list[int]] = []
    moves: list[Floats] = []
    for number in range(block_count(scenario)):
        market = draw_market(scenario, number)
        drawn, desk = draw_pool(scenario, number, 0, market), Desk(scenario, 0)
        for place in range(min(block_paths(scenario), scenario.paths - len(rows))):
            _run_to(desk, path_of(drawn, place, -1), weekend.before)
            rows.append(standing_of(desk))
            index = market.prices[place, weekend.closed : weekend.before + 2, 0]
            moves.append(np.log(index / index[0]))
            tell(len(rows))
    main, insurance, backed, locked, *moved = np.array(rows, dtype=np.int64).T
    found = np.stack(moved, axis=1)
    return Mornings(main, insurance, backed, locked, found[:, 1], found, np.array(moves))
