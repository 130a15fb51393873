"""When New York's stock exchanges trade, for whole histories at once.

The calendar library brings pandas with it, so neither is imported before it is needed.
"""

import functools
import warnings
from typing import NamedTuple

import numpy as np

from amm.units import DAY_MS, HOUR_MS
from sims.markets.block import Bools, Ints
from sims.markets.table import iso_minute

NEW_YORK = "America/New_York"
HOURS_A_WEEK = 168


class Sessions(NamedTuple):
    """Regular sessions in order, shape (sessions,) each."""

    days_ms: Ints
    """Midnight UTC of the date in New York."""
    opens_ms: Ints
    closes_ms: Ints


@functools.lru_cache(maxsize=64)
def _sessions(first_day: int, last_day: int) -> Sessions:
    import pandas as pd  # noqa: PLC0415
    import pandas_market_calendars as calendars  # noqa: PLC0415

    first, last = (pd.Timestamp(day * DAY_MS, unit="ms") for day in (first_day, last_day))
    with warnings.catch_warnings():
        # The calendars call what a later pandas will not have; that is their business.
        warnings.simplefilter("ignore", DeprecationWarning)
        days = calendars.get_calendar("NYSE").schedule(first, last)
    columns = (days.index, days["market_open"], days["market_close"])
    found = [
        np.array([int(moment.timestamp() * 1_000) for moment in column], dtype=np.int64)
        for column in columns
    ]
    return Sessions(*found)


def sessions_between(first_ms: int, last_ms: int) -> Sessions:
    """Return the sessions of all days from the week before a moment to the day after another."""
    return _sessions(first_ms // DAY_MS - 7, last_ms // DAY_MS + 1)


def is_open(times_ms: Ints) -> Bools:
    """Whether the regular session is on at each moment; at the close it is over.

    Args:
        times_ms: In order.
    """
    found = sessions_between(int(times_ms[0]), int(times_ms[-1]))
    place = np.searchsorted(found.opens_ms, times_ms, side="right") - 1
    return np.asarray(times_ms < found.closes_ms[place])


def has_price(times_ms: Ints) -> Bools:
    """Whether the regular session gives a price of each moment: it is on, or closes just then.

    Args:
        times_ms: In order.
    """
    found = sessions_between(int(times_ms[0]), int(times_ms[-1]))
    place = np.searchsorted(found.opens_ms, times_ms, side="right") - 1
    return np.asarray(times_ms <= found.closes_ms[place])


def hours_of_week(times_ms: Ints) -> Ints:
    """Return the hour of the week on New York's clocks, 0 to 167 from Monday's first.

    Args:
        times_ms: On the hour.

    Raises:
        ValueError: For a moment that is not on the hour.
    """
    import pandas as pd  # noqa: PLC0415

    if np.any(times_ms % HOUR_MS):
        odd = int(times_ms[np.flatnonzero(times_ms % HOUR_MS)[0]])
        raise ValueError(f"{iso_minute(odd)} is not on the hour")
    local = pd.DatetimeIndex(pd.to_datetime(times_ms, unit="ms", utc=True)).tz_convert(NEW_YORK)
    return np.asarray(24 * local.day_of_week + local.hour, dtype=np.int64)
