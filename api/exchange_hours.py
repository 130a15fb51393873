"""When the New York stock exchanges trade, from the calendar library.

The library brings pandas with it: half a second to import, and 60 MB of memory. Only studies import
it too, see `sims.markets.sessions`; a server runs this file as a program that ends, see
`api.sessions`, so it knows nothing of the house.
"""

import json
import sys
from datetime import date, timedelta
from itertools import groupby

NEW_YORK = "America/New_York"
_MARKS = ["pre", "market_open", "market_close", "post"]
_LABELS = ("EXTENDED", "REGULAR", "EXTENDED", "CLOSED")
_NIGHT_HOURS = 4
"""From the beginning of the night's trading to midnight in New York; its pre-market ends it."""

Change = tuple[int, str]
"""A time in milliseconds, and the session that begins then."""


def changes(first: date, last: date) -> list[Change]:
    """Return when sessions begin, from before the first day to after the last, in order.

    A trading day has its night before it, the pre-market, the market itself, and the after-market,
    which ends early where the market does. Whatever is between is CLOSED.
    """
    import pandas as pd  # noqa: PLC0415
    import pandas_market_calendars as calendars  # noqa: PLC0415

    a_week = timedelta(days=7)
    days = calendars.get_calendar("NYSE").schedule(
        first - a_week, last + a_week, market_times=_MARKS
    )
    begins: dict[int, str] = {}
    for day, *marks in days[_MARKS].itertuples():
        # On the clock of the wall: a night in which that is changed begins at the same hour.
        dusk = (day - pd.Timedelta(hours=_NIGHT_HOURS)).tz_localize(NEW_YORK)
        moments = (dusk, *marks)
        # A later day's night takes the place of the end of an after-market at the same time.
        begins |= {
            int(moment.timestamp() * 1_000): label
            for moment, label in zip(moments, ("OVERNIGHT", *_LABELS), strict=True)
        }
    ordered = sorted(begins.items())
    return [next(group) for _, group in groupby(ordered, key=lambda change: change[1])]


if __name__ == "__main__":
    json.dump(changes(*map(date.fromisoformat, sys.argv[1:3])), sys.stdout)
