"""One token of the exchange as a path sees it: its state, its rules, and its own market."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from amm.bundle import bundle
from amm.kernel import kernel
from amm.oracle import START_VOL, OracleRules, initial_state
from amm.units import HOUR_MS
from sims.drawdown.scenario import PoolPlan
from vaults.market import Market, new_market
from vaults.moves import FLOWS
from vaults.params import Parameters
from vaults.rules import Rules, make_rules
from vaults.state import Ints, State, empty_state, moves_max

SYMBOLS = ("BTC", "ETH")
COMMAND_WIDTH = 8


@bundle
class World(NamedTuple):
    """What a path changes, and the rules it goes by.

    `commands` receives every command of the path where it has room for any: its kind, and up to
    seven numbers; see `sims.drawdown.commands`.
    """

    state: State
    rules: Rules
    market: Market
    oracle_rules: OracleRules
    commands: Ints
    command_count: Ints


def step_parameters(parameters: Parameters, step_ms: int) -> Parameters:
    """Return the parameters a simulation can keep: its ticks are a step apart.

    Premium accrues over whole steps, a valuation window may have a single mark, and profit and loss
    is not told apart by its causes.
    """
    return parameters._replace(
        accrual_gap_ms=max(step_ms, parameters.accrual_gap_ms),
        keep_reserve_ms=max(step_ms, parameters.keep_reserve_ms),
        open_reserve_ms=max(step_ms, parameters.open_reserve_ms),
        window_marks_min=min(parameters.window_marks_min, max(HOUR_MS // step_ms // 2, 1)),
        measure_ms=0,
    )


def step_oracle_rules(step_ms: int) -> OracleRules:
    """Return the oracle's rules; the move of a step is a return."""
    return OracleRules(gap_max_ms=max(2 * step_ms, OracleRules().gap_max_ms))


def make_world(plan: PoolPlan, step_ms: int, rows: int, commands: int = 0) -> World:
    """Return a world before its token is listed.

    Args:
        plan: Of the token.
        step_ms: Between ticks.
        rows: Room for so many series, accounts, positions and requests each.
        commands: How many commands are written down.

    Raises:
        vaults.params.ParameterError: For parameters that cannot be.
    """
    parameters = step_parameters(plan.parameters, step_ms)
    oracle_rules = step_oracle_rules(step_ms)
    state = empty_state(FLOWS, rows)
    state = state._replace(log=np.zeros((_moves_of(state, rows), 6), dtype=np.int64))
    return World(
        state,
        make_rules(parameters, plan.terms, plan.surfaces),
        new_market(initial_state(START_VOL), oracle_rules),
        oracle_rules,
        np.zeros((commands, COMMAND_WIDTH), dtype=np.int64),
        np.zeros(1, dtype=np.int64),
    )


def _moves_of(state: State, rows: int) -> int:
    """Return the most moves a command can make where every row is in use."""
    full = state._replace(pool=state.pool.copy())
    pool = full.pool[0]
    pool.position_count = pool.request_count = pool.series_count = pool.account_count = rows
    pool.account_positions_max, pool.exhausted = 1, 1
    return int(moves_max(full))


_DERIVED = ("losses", "stress", "log", "scratch")
"""Parts that hold nothing a command reads before it has been written."""


def _bytes_of(array: Any) -> npt.NDArray[np.uint8]:
    return np.asarray(array.view(np.ndarray).reshape(-1).view(np.uint8))


class Fresh:
    """A world as it was when it was made, to bring it back to."""

    def __init__(self, world: World) -> None:
        """Remember a world nothing was done to, byte for byte."""
        arrays = [getattr(world.state, name) for name in State._fields if name not in _DERIVED]
        arrays += [getattr(world.market, name) for name in Market._fields]
        self._bytes = [_bytes_of(each) for each in (*arrays, world.command_count)]
        self._kept = [each.copy() for each in self._bytes]

    def reset(self) -> None:
        """Bring the world back."""
        for now, before in zip(self._bytes, self._kept, strict=True):
            now[:] = before


@kernel
def has_rows(state: State) -> bool:
    """Whether one more series, account, position and request find a row each."""
    pool = state.pool[0]
    rows = state.series.shape[0]
    return bool(
        pool.series_count < rows
        and pool.account_count < rows
        and pool.position_count < rows
        and pool.request_count < rows
    )
