"""The steps of a history as the stocks' exchange sees them: open time, nights and weekends."""

import functools
from typing import NamedTuple

import numpy as np

from amm.units import DAY_MS
from sims.markets.block import Bools, Clock, Floats, Ints
from sims.markets.sessions import sessions_between

WEEKEND_MS = 2 * DAY_MS
"""A pause longer than this has at least two whole days in it."""


class Steps(NamedTuple):
    """What happens in each step; step i leads from row i to row i + 1.

    Attributes:
        is_open: Whether the exchange is open at each row, shape (steps + 1,).
        share: Part of a session's open time that is in a step, shape (steps,).
        opens: Steps with an opening in them, shape (openings,).
        closed: First row at which the exchange had closed before each opening, shape (openings,).
        weekend: Whether each opening ends more than a night, shape (openings,).
    """

    is_open: Bools
    share: Floats
    opens: Ints
    closed: Ints
    weekend: Bools


@functools.lru_cache(maxsize=64)
def session_steps(clock: Clock) -> Steps:
    """Return the sessions within each step of a history."""
    times = clock.times_ms
    _, opens, closes = sessions_between(int(times[0]), int(times[-1]))
    place = np.searchsorted(opens, times, side="right") - 1
    is_open = times < closes[place]
    share = np.zeros(clock.steps)
    for session in range(int(place[0]), int(place[-1]) + 1):
        inside = np.minimum(times[1:], closes[session]) - np.maximum(times[:-1], opens[session])
        share += np.maximum(inside, 0) / (closes[session] - opens[session])
    within = np.flatnonzero((opens > times[0]) & (opens <= times[-1]))
    steps = np.searchsorted(times, opens[within], side="left") - 1
    closed = np.searchsorted(times, closes[within - 1], side="left")
    closed = np.where(closes[within - 1] < times[0], 0, np.minimum(closed, steps))
    return Steps(is_open, share, steps, closed, opens[within] - closes[within - 1] > WEEKEND_MS)
