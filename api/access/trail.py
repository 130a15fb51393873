"""The audit trail: who did or tried what, in order, for good.

Rows are written by a thread, all that wait in one transaction. An answer waits for its row but
where actions come by the second, as prices do: those are in the journal, and written together.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from api.access.tables import AUDIT
from api.storage.errors import StoreError, reason_of

GATHER_S = 1.0
"""How long rows nobody waits for are gathered: a writer of trades has to wait for each commit."""
PAUSE_S = 0.5
"""How long a database that could not be written is left alone."""
WAIT_S = 5.0
"""How long an answer waits at most for its row."""
WAITING_MAX = 20_000
"""Rows kept while the database cannot be written; beyond them the oldest are logged instead."""
TEXT_MAX = 200
"""Characters of a text that are kept."""
_UNPRINTABLE = re.compile(r"[^ -~]")
_AWAY = (OperationalError, InterfaceError, PoolTimeoutError, StoreError)
"""What is not the rows' fault."""

_log = logging.getLogger("evergamma")


class AuditEvent(NamedTuple):
    """What somebody did or tried.

    Attributes:
        at_ms: When, of the wall clock.
        account: Whose key it was; empty where that is not known.
        key: Id of the key; where the signature was not good, the one that was claimed.
        address: Where it came from; empty for the command line.
        action: Method and route, or the command.
        subject: What it was about: what the path names, and what was made.
        request_id: As in the answer's header.
        idempotency_key: Of the request.
        body_digest: Hex SHA-256 of the body; empty without one.
        status: Of the answer; 0 for the command line.
        code: Of the problem; empty where there was none.
        record: Its idempotency key in the journal, where it may be in it.
    """

    at_ms: int
    action: str
    account: str = ""
    key: str = ""
    address: str = ""
    subject: str = ""
    request_id: str = ""
    idempotency_key: str = ""
    body_digest: str = ""
    status: int = 0
    code: str = ""
    record: str = ""

    def cleaned(self) -> "AuditEvent":
        """Return what every database takes of it: short texts of printable ASCII."""
        texts: dict[str, Any] = {
            name: _clean(text) for name, text in self._asdict().items() if name in _TEXTS
        }
        return self._replace(**texts)


_TEXTS = frozenset(AuditEvent._fields) - {"at_ms", "status", "record"}


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub("?", text[:TEXT_MAX])


class Trail:
    """The audit trail of a database.

    `sequence_of` says which record of the journal, that of `shard`, has an idempotency key.
    """

    def __init__(
        self,
        engine: Engine,
        sequence_of: Callable[[str], int | None] = lambda _: None,
        shard: str = "",
    ) -> None:
        self._engine = engine
        self._reading = engine.execution_options(reading=True)
        self._sequence_of = sequence_of
        self._shard = shard
        self._waiting: list[AuditEvent] = []
        self._in_hand: list[AuditEvent] = []
        self._written: asyncio.Future[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    def append(self, actions: list[AuditEvent]) -> None:
        """Write actions, now; from any thread."""
        rows = []
        for each in actions:
            row: dict[str, Any] = each.cleaned()._asdict()
            record = row.pop("record")
            sequence = self._sequence_of(record) if record else None
            rows.append(row | {"shard": self._shard, "journal": sequence})
        with self._engine.begin() as connection:
            connection.execute(insert(AUDIT), rows)

    def note(self, action: AuditEvent) -> "asyncio.Future[None]":
        """Have an action written soon; what is returned is done once it is."""
        if len(self._waiting) >= WAITING_MAX:
            _tell_lost(self._waiting.pop(0), "too many wait")
        self._waiting.append(action)
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        return self._written

    async def keep(self, action: AuditEvent) -> None:
        """Have an action written, and return once it is; later where the database does not let."""
        written = self.note(action)
        self._hurry.set()
        await asyncio.wait([written], timeout=WAIT_S)

    async def _write(self) -> None:
        while self._waiting:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), GATHER_S)
            self._hurry.clear()
            self._in_hand, self._waiting = self._waiting, []
            written, self._written = self._written, None
            await self._append_all()
            self._in_hand = []
            assert written is not None
            written.set_result(None)

    async def _append_all(self) -> None:
        """Write the rows in hand, however long it takes until the database lets.

        Where it refuses them they are written one by one, without the one that it does not take.
        """
        is_told, at_once = False, len(self._in_hand)
        while rows := self._in_hand[:at_once]:
            try:
                await asyncio.to_thread(self.append, rows)
            except _AWAY as error:
                if not is_told:
                    _log.warning("the audit trail waits: %s", reason_of(error))
                is_told = True
                await asyncio.sleep(PAUSE_S)
                continue
            except Exception as error:  # noqa: BLE001 - no row may keep others out
                if len(rows) > 1:
                    at_once = 1
                    continue
                _tell_lost(rows[0], reason_of(error))
            del self._in_hand[: len(rows)]

    async def stop(self) -> None:
        """Write what waits, as far as the database lets."""
        self._hurry.set()
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=WAIT_S)
            self._writing.cancel()
        for each in self._in_hand + self._waiting:
            _tell_lost(each, "stopped")

    def page(self, before: int | None, limit: int, account: str | None = None) -> list[Any]:
        """Return the newest rows before a number, the newest first; of one account, or of all."""
        query = select(AUDIT).order_by(AUDIT.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(AUDIT.c.number < before)
        if account is not None:
            query = query.where(AUDIT.c.account == account)
        with self._reading.connect() as connection:
            return list(connection.execute(query))


def _tell_lost(action: AuditEvent, why: str) -> None:
    _log.error("not in the audit trail: %s: %s", action.cleaned(), why)
