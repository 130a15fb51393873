"""One path run again, step by step: what the pools looked like at every moment of it."""

from typing import Any, NamedTuple

import numpy as np

from amm.units import ONE
from sims.drawdown.blocks import Desk, draw_market, draw_pool, path_in_block, path_of
from sims.drawdown.engine import Path, run_steps
from sims.drawdown.recording import PRICE, START_INSURANCE, used_of
from sims.drawdown.scenario import Scenario
from vaults.condition import condition
from vaults.moves import Flow
from vaults.risk import SPOT_MOVES, VOL_MOVES, loss_table
from vaults.state import NONE, Floats, Ints


class Trace(NamedTuple):
    """One pool along one path; rows are moments, row 0 is the start.

    Attributes:
        times_ms: Shape (steps + 1,), like all that names no other.
        prices: Index in USD, shape (steps + 1, UNDERLYINGS); so are the next three.
        lows: Lowest index within each step.
        highs: Highest.
        levels: Vol level that was fed, 0 where the exchange estimated it.
        stock: Price of the stock over its start.
        share_price: Of main, over its start.
        insurance: Insurance cash over its start.
        advances: Tokens insurance has advanced and main has not repaid.
        locked: Tokens.
        utilisation: Locked over what may be locked.
        premium: Tokens accrued since the start, rent included.
        paid_out: Tokens paid for closings and at the cap since the start.
        cashed_out: Those of them paid at the cap.
        open_series: Series with open positions.
        condition: `vaults.condition.Condition`.
        losses: What main LPs would lose where the pool was used most, in tokens, by the moves of
            `vaults.risk`: shape (SPOT_MOVES, VOL_MOVES).
        losses_step: The row at which it was.
    """

    times_ms: Ints
    prices: Floats
    lows: Floats
    highs: Floats
    levels: Floats
    stock: Floats
    share_price: Floats
    insurance: Floats
    advances: Floats
    locked: Floats
    utilisation: Floats
    premium: Floats
    paid_out: Floats
    cashed_out: Floats
    open_series: Ints
    condition: Ints
    losses: Floats
    losses_step: int


_SEEN = (
    "share_price", "insurance", "advances", "locked", "utilisation", "premium", "paid_out",
    "cashed_out",
)  # fmt: skip
_COUNTED = ("open_series", "condition")


def _look(desk: Desk, now_ms: int) -> dict[str, float]:
    """Return what a row of the trace says of the present."""
    state, kept = desk.world.state, desk.record.kept
    pool = state.pool[0]
    moved = (state.flows - desk.record.flows) / ONE
    series = state.series[: pool.series_count]
    market = desk.world.market
    return {
        "share_price": kept[PRICE],
        "insurance": pool.insurance / kept[START_INSURANCE],
        "advances": pool.advances / ONE,
        "locked": pool.locked / ONE,
        "utilisation": used_of(desk.world),
        "premium": moved[Flow.PREMIUM_ACCRUED] + moved[Flow.RENT_ACCRUED],
        "paid_out": moved[Flow.CLOSE] + moved[Flow.CASH_OUT],
        "cashed_out": moved[Flow.CASH_OUT],
        "open_series": np.count_nonzero(series["open_notional"]),
        "condition": condition(state, desk.world.rules, market, now_ms),
    }


def _follow(desk: Desk, path: Path) -> Trace | None:
    """Run a path step by step; none where the desk's world has no room for it."""
    steps = path.times_ms.size - 1
    seen: dict[str, Any] = {name: np.zeros(steps + 1) for name in _SEEN + _COUNTED}
    losses, fullest = np.zeros((SPOT_MOVES.size, VOL_MOVES.size)), 0
    desk.begin(path)
    row = int(path.bounds[0])
    for step in range(steps + 1):
        if step > 0:
            row = run_steps(desk.world, desk.seats, desk.plan, path, desk.record, step, step, row)
            if row == NONE:
                return None
        for name, value in _look(desk, int(path.times_ms[step])).items():
            seen[name][step] = value
        used = seen["utilisation"]
        if step == 0 or used[step] > used[fullest]:
            fullest = step
            world = desk.world
            losses = loss_table(world.state, world.rules, world.market, SPOT_MOVES, VOL_MOVES)
    counted: dict[str, Any] = {name: seen.pop(name).astype(np.int64) for name in _COUNTED}
    return Trace(
        times_ms=path.times_ms,
        prices=path.prices,
        lows=path.lows,
        highs=path.highs,
        levels=path.levels,
        stock=path.stock,
        losses=losses,
        losses_step=fullest,
        **seen,
        **counted,
    )


def trace_path(scenario: Scenario, path: int) -> tuple[Trace, ...]:
    """Run one path of a scenario again.

    Args:
        scenario: As it was run.
        path: Its number, from 0.

    Returns:
        A trace of each pool.

    Raises:
        IndexError: There is no such path.
        vaults.params.ParameterError: For parameters that cannot be.
    """
    if not 0 <= path < scenario.paths:
        raise IndexError(f"{scenario.name} has paths 0 to {scenario.paths - 1}, not {path}")
    number, place = path_in_block(scenario, path)
    market = draw_market(scenario, number)
    traces = []
    for pool, plan in enumerate(scenario.pools):
        drawn, desk = draw_pool(scenario, number, pool, market), Desk(scenario, pool)
        while (trace := _follow(desk, path_of(drawn, place, plan.stock))) is None:
            desk.make_more_room()
        traces.append(trace)
    return tuple(traces)
