"""In which session the stocks are that the tokens stand for.

The calendar library is big and slow to load, so that another process reads it, when somebody first
asks and long before what it said runs out; here is only a table to look into.
"""

import asyncio
import logging
import sys
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from amm.units import DAY_MS, MINUTE_MS
from api import exchange_hours

SessionName = Literal["REGULAR", "EXTENDED", "OVERNIGHT", "CLOSED"]
KNOWN_DAYS = 400
"""So far ahead the table goes when it is read."""
RENEW_MS = 30 * DAY_MS
"""When so little is left it is read again."""
READ_MAX_S = 30.0
RETRY_MS = 10 * MINUTE_MS
_log = logging.getLogger("evergamma")


class Session(NamedTuple):
    """A session, and the one after it with the time it begins."""

    name: SessionName
    next_name: SessionName
    changes_ms: int


class SessionTable:
    """When sessions begin; `times_ms` rise."""

    def __init__(self, changes: list[tuple[int, SessionName]]) -> None:
        self._times_ms = [time_ms for time_ms, _ in changes]
        self._names = [name for _, name in changes]

    def at(self, now_ms: int) -> Session | None:
        """Return the session at a time, None beyond the table."""
        place = bisect_right(self._times_ms, now_ms)
        if not 0 < place < len(self._times_ms):
            return None
        return Session(self._names[place - 1], self._names[place], self._times_ms[place])


async def read_table(now_ms: int) -> SessionTable:
    """Have another process read the calendar around a time.

    Raises:
        OSError, ValueError: It cannot be read.
    """
    today = datetime.fromtimestamp(now_ms / 1_000, UTC).date()
    process = await asyncio.create_subprocess_exec(
        # Not the folder of the program, whose modules have names of the standard library's.
        *(sys.executable, "-P", "-W", "ignore", str(Path(exchange_hours.__file__))),
        *(today.isoformat(), (today + timedelta(days=KNOWN_DAYS)).isoformat()),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(READ_MAX_S):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ValueError(f"the calendar: {errors.decode(errors='replace').strip()[-200:]}")
    return SessionTable(msgspec.json.decode(output, type=list[tuple[int, SessionName]]))


class Sessions:
    """The sessions around the present, which are read when they are first asked for."""

    def __init__(self) -> None:
        self._table = SessionTable([])
        self._reading: asyncio.Task[None] | None = None
        self._not_before_ms = 0

    async def at(self, now_ms: int) -> Session | None:
        """Return the session at a time; None where the calendar cannot be read."""
        session = self._table.at(now_ms)
        if session is None or self._table.at(now_ms + RENEW_MS) is None:
            self._begin(now_ms)
        if session is None and self._reading is not None:
            await asyncio.shield(self._reading)
            session = self._table.at(now_ms)
        return session

    async def close(self) -> None:
        """Stop what is being read."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def _begin(self, now_ms: int) -> None:
        """Read the calendar, but where that is being done or has just failed."""
        if self._reading is None and now_ms >= self._not_before_ms:
            self._reading = asyncio.create_task(self._read(now_ms))

    async def _read(self, now_ms: int) -> None:
        try:
            self._table = await read_table(now_ms)
        except (OSError, ValueError) as error:
            self._not_before_ms = now_ms + RETRY_MS
            _log.error("the sessions are unknown: %s", error)
        finally:
            self._reading = None
