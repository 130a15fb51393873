"""The boundaries at which a writer can die, and a store that makes it die there."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

from sqlalchemy import Column, Integer, MetaData, Table

from api.storage.store import Store
from api.storage.writes import Doing, Write, Writes

_NOWHERE = Table("nowhere", MetaData(), Column("number", Integer, primary_key=True))
READINGS = ("setting", "rows", "record", "keys", "journal")
"""What a start reads with."""


class Boundary(StrEnum):
    """Where it happens."""

    BEFORE = "before the batch is handed to the database"
    STATEMENTS = "between the statements of a batch"
    STAGED = "after the statements, before the commit"
    UNDONE = "in the commit, which does not happen"
    DONE = "in the commit, which happens"
    COMMITTED = "after the commit, before the exchange knows"
    RECOVERY = "while the state is read back"


HAPPENED = (Boundary.DONE, Boundary.COMMITTED)
"""Where the batch is in the database, whatever its callers were told."""


class CrashError(BaseException):
    """The process has died. Nothing that lives in it may catch this."""


class FaultError(Exception):
    """The database has failed once; the process goes on."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to come.

    Attributes:
        boundary: Where.
        is_crash: Whether the process dies; else the database fails once.
        skip: How many times that boundary is passed before.
        part: How much of a batch's statements, or of a commit's time, is done; 0 to 1.
    """

    boundary: Boundary
    is_crash: bool
    skip: int = 0
    part: float = 0.5


class FaultyStore:
    """A store whose next faults are known; without any it is the store it stands before.

    Args:
        store: That one.
        faults: They happen one after another, as their boundaries are reached.
        at_fault: Called as one happens.

    Attributes:
        is_dead: Whether its process has died: nothing reaches the database any more.
    """

    def __init__(
        self, store: Store, faults: deque[Fault], at_fault: Callable[[Fault], None]
    ) -> None:
        self.store = store
        self.is_dead = False
        self._faults = faults
        self._next: Fault | None = None
        self._passed = 0
        self._at_fault = at_fault

    def __getattr__(self, name: str) -> Any:
        if name in READINGS:
            self.pass_by(Boundary.RECOVERY)
        return getattr(self.store, name)

    def stage(self, writes: Writes) -> Callable[[], None]:
        """Do as the store does, up to the fault."""
        self.pass_by(Boundary.BEFORE)
        fault = self._due(Boundary.STATEMENTS)
        if fault is not None:
            return self._broken_off(writes, fault)
        staged = [self.store.stage(writes)]
        try:
            self.pass_by(Boundary.STAGED)
        except BaseException:
            staged.clear()  # and with it goes the transaction
            raise

        def commit() -> None:
            try:
                self.pass_by(Boundary.UNDONE)
            except BaseException:
                staged.clear()
                raise
            staged.pop()()
            self.pass_by(Boundary.DONE)

        return commit

    def _broken_off(self, writes: Writes, fault: Fault) -> Callable[[], None]:
        """Do some of the statements, and then one that cannot be done."""
        count = int(fault.part * len(writes))
        doing, table, rows = writes[count]
        some = [Write(doing, table, rows[: len(rows) // 2])] if len(rows) > 1 else []
        broken = [*writes[:count], *some, Write(Doing.APPEND, _NOWHERE, [(1,)])]
        try:
            staged = [self.store.stage(broken)]
        except Exception:  # noqa: BLE001 - a file is written to at once, a server with the commit
            self._fail(fault)

        def commit() -> None:
            try:
                staged.pop()()
            except Exception:  # noqa: BLE001 - whatever the driver says
                self._fail(fault)
            raise AssertionError("what cannot be written was written")

        return commit

    def pass_by(self, boundary: Boundary) -> None:
        """Go past a boundary, if it is not the one where it happens."""
        fault = self._due(boundary)
        if fault is not None:
            self._fail(fault)

    def _due(self, boundary: Boundary) -> Fault | None:
        """Return the fault if it is now."""
        if self.is_dead:
            raise CrashError
        if not self._faults or self._faults[0].boundary != boundary:
            return None
        if self._next is not self._faults[0]:
            self._next, self._passed = self._faults[0], 0
        if self._passed < self._next.skip:
            self._passed += 1
            return None
        return self._faults.popleft()

    def _fail(self, fault: Fault) -> NoReturn:
        self._at_fault(fault)
        if fault.is_crash:
            self.is_dead = True
            raise CrashError(fault.boundary)
        raise FaultError(fault.boundary)
