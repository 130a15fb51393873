"""New York's sessions, with its holidays, early closes and two clocks."""

from datetime import UTC, datetime

import numpy as np
import pytest

from amm.units import DAY_MS, HOUR_MS, MINUTE_MS
from sims.markets.sessions import has_price, hours_of_week, is_open, sessions_between


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000


def times(*texts: str) -> np.ndarray:
    return np.array([instant(text) for text in texts], dtype=np.int64)


@pytest.mark.parametrize(
    ("opens", "closes"),
    [
        ("2024-01-08T14:30", "2024-01-08T21:00"),  # winter
        ("2024-07-08T13:30", "2024-07-08T20:00"),  # summer
        ("2024-11-29T14:30", "2024-11-29T18:00"),  # the day after Thanksgiving
        ("2025-07-03T13:30", "2025-07-03T17:00"),
    ],
)
def test_a_session_begins_and_ends_with_its_bells(opens: str, closes: str) -> None:
    bells = times(opens, closes)
    moments = np.array([bells[0] - 1, bells[0], bells[1] - 1, bells[1], bells[1] + 1])
    assert is_open(moments).tolist() == [False, True, True, False, False]
    assert has_price(moments).tolist() == [False, True, True, True, False]


@pytest.mark.parametrize(
    "day", ["2024-01-01", "2024-03-29", "2025-01-09", "2024-07-04", "2024-06-08", "2021-12-24"]
)
def test_holidays_and_weekends_are_closed(day: str) -> None:
    moments = instant(day) + 15 * MINUTE_MS * np.arange(96)
    assert not is_open(moments).any()
    assert not has_price(moments).any()


def test_a_year_has_its_sessions() -> None:
    hours = instant("2024-01-01") + HOUR_MS * np.arange(366 * 24)
    days = np.unique(hours[is_open(hours)] // DAY_MS)
    assert days.size == 252
    found = sessions_between(instant("2024-06-01"), instant("2024-06-30"))
    in_year = (found.days_ms >= instant("2024-01-01")) & (found.days_ms < instant("2025-01-01"))
    np.testing.assert_array_equal(found.days_ms[in_year] // DAY_MS, days)
    assert (np.diff(found.opens_ms) > 0).all()
    assert (found.closes_ms > found.opens_ms).all()


def test_the_first_days_of_a_year_follow_the_last() -> None:
    assert is_open(times("2024-01-01T00:00", "2024-01-02T14:30")).tolist() == [False, True]
    assert not has_price(times("2023-01-01T12:00")).any()


def test_hours_of_the_week_are_new_yorks() -> None:
    moments = times("2024-01-08T05:00", "2024-01-08T04:00", "2024-07-08T04:00", "2024-07-13T13:00")
    assert hours_of_week(moments).tolist() == [0, 167, 0, 5 * 24 + 9]
    with pytest.raises(ValueError, match="2024-01-08T00:15Z is not on the hour"):
        hours_of_week(times("2024-01-08T00:00", "2024-01-08T00:15"))
