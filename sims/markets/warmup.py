"""What the vol estimator knows of the time before a study begins."""

import numpy as np

from amm.oracle import (
    START_VOL,
    Observation,
    OracleRules,
    OracleState,
    initial_state,
    observe,
    restart,
)
from amm.units import MINUTE_MS
from sims.markets.path import PricePath

STEP_MS = 5 * MINUTE_MS
"""The estimator samples every five minutes; more would change nothing it keeps."""


def warmed_oracle(path: PricePath, symbol: int, rules: OracleRules) -> OracleState:
    """Return the oracle of one symbol after the rows before the path's start.

    Each observation is given as two sources would, for the past is known: no jump is held back.
    """
    state = initial_state(START_VOL)
    rows = np.arange(path.start)
    rows = rows[path.times_ms[: path.start] % STEP_MS == 0]
    last_segment = -1
    for row in rows.tolist():
        price, time_ms = int(path.prices_e8[row, symbol]), int(path.times_ms[row])
        if price == 0:
            continue
        if path.segment[row] != last_segment:
            state = restart(state)
            last_segment = path.segment[row]
        _, state = observe(state, Observation(price, 0, time_ms), 2, time_ms, 0, rules)
    return state
