"""Sessions of the stocks on days that are known."""

import asyncio
import warnings
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from amm.units import DAY_MS, MINUTE_MS
from api import exchange_hours, sessions
from api.exchange_hours import NEW_YORK
from api.sessions import Session, Sessions, SessionTable


def ms(text: str) -> int:
    """Return a time in New York, in milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(NEW_YORK)).timestamp() * 1_000)


@pytest.fixture(scope="module")
def table() -> SessionTable:
    """What the library says of the years 2022 to 2027; how it says it to itself is its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        changes: Any = exchange_hours.changes(date(2021, 12, 24), date(2027, 6, 1))
    return SessionTable(changes)


DAYS = [
    # An ordinary Friday, its weekend, and Monday's night before.
    ("2026-06-12 03:59", "OVERNIGHT", "EXTENDED"),
    ("2026-06-12 04:00", "EXTENDED", "REGULAR"),
    ("2026-06-12 09:30", "REGULAR", "EXTENDED"),
    ("2026-06-12 16:00", "EXTENDED", "CLOSED"),
    ("2026-06-12 20:00", "CLOSED", "OVERNIGHT"),
    ("2026-06-14 19:59", "CLOSED", "OVERNIGHT"),
    ("2026-06-14 20:00", "OVERNIGHT", "EXTENDED"),
    ("2026-06-15 20:00", "OVERNIGHT", "EXTENDED"),
    # Juneteenth, a Friday.
    ("2026-06-18 21:00", "CLOSED", "OVERNIGHT"),
    ("2026-06-19 12:00", "CLOSED", "OVERNIGHT"),
    # Independence Day, a Saturday, is kept on Friday; in 2025 its eve is half a day.
    ("2026-07-03 12:00", "CLOSED", "OVERNIGHT"),
    ("2025-07-03 12:59", "REGULAR", "EXTENDED"),
    ("2025-07-03 13:00", "EXTENDED", "CLOSED"),
    # Thanksgiving, and the half day after it.
    ("2026-11-26 12:00", "CLOSED", "OVERNIGHT"),
    ("2026-11-26 20:00", "OVERNIGHT", "EXTENDED"),
    ("2026-11-27 12:59", "REGULAR", "EXTENDED"),
    ("2026-11-27 13:00", "EXTENDED", "CLOSED"),
    ("2026-11-27 17:00", "CLOSED", "OVERNIGHT"),
    # Christmas Eve, half a day; Good Friday.
    ("2026-12-24 14:00", "EXTENDED", "CLOSED"),
    ("2027-03-26 12:00", "CLOSED", "OVERNIGHT"),
    # New Year on a Saturday is kept on no other day.
    ("2021-12-31 15:59", "REGULAR", "EXTENDED"),
    ("2022-01-01 12:00", "CLOSED", "OVERNIGHT"),
    ("2022-01-03 09:30", "REGULAR", "EXTENDED"),
    # A day of mourning, which no rule knows.
    ("2025-01-09 12:00", "CLOSED", "OVERNIGHT"),
    # The clocks change in the night from Saturday.
    ("2026-03-06 09:30", "REGULAR", "EXTENDED"),
    ("2026-03-08 20:00", "OVERNIGHT", "EXTENDED"),
    ("2026-03-09 09:30", "REGULAR", "EXTENDED"),
    ("2026-11-02 09:29", "EXTENDED", "REGULAR"),
    ("2026-11-02 09:30", "REGULAR", "EXTENDED"),
]


@pytest.mark.parametrize(("moment", "name", "after"), DAYS)
def test_days_that_are_known(table: SessionTable, moment: str, name: str, after: str) -> None:
    session = table.at(ms(moment))
    assert session is not None
    assert (session.name, session.next_name) == (name, after)
    assert session.changes_ms > ms(moment)


def test_summer_and_winter_are_an_hour_apart(table: SessionTable) -> None:
    """In UTC the market opens at half past two in winter and half past one in summer."""

    def opens(day: str) -> int:
        session = table.at(ms(f"{day} 09:00"))
        assert session is not None
        return session.changes_ms % DAY_MS // MINUTE_MS

    assert opens("2026-10-30") == 13 * 60 + 30
    assert opens("2026-11-02") == 14 * 60 + 30
    assert opens("2027-03-12") == 14 * 60 + 30
    assert opens("2027-03-15") == 13 * 60 + 30


def test_beyond_the_table_nothing_is_known() -> None:
    table = SessionTable([(10, "CLOSED"), (20, "OVERNIGHT")])
    assert table.at(9) is None
    assert table.at(10) == Session("CLOSED", "OVERNIGHT", 20)
    assert table.at(20) is None
    assert SessionTable([]).at(0) is None


def test_the_calendar_is_read_once_and_again_before_it_ends() -> None:
    async def story() -> None:
        known = Sessions()
        now_ms = ms("2026-06-12 10:00")
        first, again = await asyncio.gather(known.at(now_ms), known.at(now_ms))
        assert first == again == Session("REGULAR", "EXTENDED", ms("2026-06-12 16:00"))
        later = await known.at(now_ms + 7 * DAY_MS)
        assert later is not None
        assert later.name == "CLOSED"
        much_later = await known.at(now_ms + 3 * 371 * DAY_MS)
        assert much_later is not None
        await known.close()

    asyncio.run(story())


def test_a_calendar_that_cannot_be_read_is_no_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for it again at once."""
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no calendar')")
    monkeypatch.setattr(sessions.exchange_hours, "__file__", str(broken))

    async def story() -> None:
        known = Sessions()
        assert await known.at(ms("2026-06-12 10:00")) is None
        broken.unlink()
        assert await known.at(ms("2026-06-12 10:01")) is None
        await known.close()

    asyncio.run(story())
    assert [each.getMessage() for each in caplog.records] == [
        "the sessions are unknown: the calendar: no calendar"
    ]
