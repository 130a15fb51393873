"""Room for what a kernel computes on its way: nothing in it outlives the call that wrote it."""

from typing import NamedTuple

import numpy as np

from amm.bundle import bundle
from amm.lanes import LANES, new_lanes
from amm.revaluation import Shocks, new_shocks
from amm.scenarios import MOVES, REGIMES, Floats, Ints

DUE_SLICE = 64
"""Due positions run at a time: bounds the moves of one call."""


@bundle
class Scratch(NamedTuple):
    """Arrays kernels write before they read them; see `vaults.state.State.scratch`.

    Attributes:
        lanes: Options priced side by side, see `amm.lanes`.
        slots: Series priced together, shape (LANES,).
        shocks: The states their underlying may go to.
        log_weights: Of one underlying's states, shape (REGIMES, MOVES).
        by_other: What the other underlying's moves weigh, shape (MOVES,).
        due: Key, id and row of due positions, shape (DUE_SLICE, 3).
    """

    lanes: Floats
    slots: Ints
    shocks: Shocks
    log_weights: Floats
    by_other: Floats
    due: Ints


def new_scratch() -> Scratch:
    """Return room for one token."""
    return Scratch(
        lanes=new_lanes(),
        slots=np.zeros(LANES, dtype=np.int64),
        shocks=new_shocks(),
        log_weights=np.zeros((REGIMES, MOVES)),
        by_other=np.zeros(MOVES),
        due=np.zeros((DUE_SLICE, 3), dtype=np.int64),
    )
