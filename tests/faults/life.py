"""A life: one database, and an exchange on it that dies and starts again, over and over."""

import random
from collections import Counter, deque
from itertools import chain
from pathlib import Path
from typing import cast

from api.dispatch import Executed
from api.exchange import Exchange
from api.storage.errors import StoreError
from api.storage.store import Store
from tests.faults.boundaries import Boundary, CrashError, Fault, FaultError, FaultyStore
from tests.faults.databases import Database
from tests.faults.traffic import Traffic
from tests.faults.witness import Witness

FAILURE_SHARE = 0.15
"""Faults that the process survives: the database fails once."""
READINGS_MAX = 25
"""Readings of a start, about."""


class Writer(Exchange):
    """An exchange that can die after a commit, before it knows of it."""

    def end_commit(self) -> list[Executed]:
        """Count what was written as durable, if it lives so long."""
        cast(FaultyStore, self.store).pass_by(Boundary.COMMITTED)
        return super().end_commit()


class Life:
    """What every life has: chance, a database, a twin that never fails, and what it looks at.

    Args:
        seed: Everything that happens follows from it.
        database: An empty one.
        folder: Where the twin is kept.

    Attributes:
        tally: How often what has happened.
    """

    def __init__(self, seed: str, database: Database, folder: Path) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - so that a run can be made again
        self.tally: Counter[str] = Counter()
        self.database = database
        self.faults: deque[Fault] = deque()
        self.met: list[Fault] = []
        self.traffic = Traffic(self.chance)
        self.witness = Witness(folder)
        self.start()

    def close(self) -> None:
        """End it."""
        self.store.store.close()
        self.witness.close()

    def begin(self) -> None:
        """Let there be accounts and pools with money in them."""
        asked = chain(self.traffic.beginning(), self.traffic.first_flush(self.exchange))
        done = [(command, self.exchange.execute(command, key)) for command, key in asked]
        self.exchange.commit()
        for command, executed in done:
            self.witness.acknowledge(command, executed)

    def start(self) -> None:
        """Start an exchange on what the database holds; again, where it dies of the start."""
        while True:
            self.store = FaultyStore(self.database.open(), self.faults, self.at_fault)
            met = len(self.met)
            try:
                self.exchange = Writer(cast(Store, self.store))
            except (CrashError, FaultError, StoreError):
                self.store.store.close()
                if len(self.met) == met:
                    raise
                if not self.met[met].is_crash:
                    self.database.crash()  # a start that fails is over
            else:
                return

    def at_fault(self, fault: Fault) -> None:
        """Count a fault as it happens; where it is a crash, the database stays as it is now."""
        self.met.append(fault)
        self.tally[f"{'crash' if fault.is_crash else 'failure'} {fault.boundary}"] += 1
        self.tally["crashes" if fault.is_crash else "failures"] += 1
        if fault.is_crash:
            self.database.crash()

    def draw_fault(self, skip: int) -> Fault:
        """Choose what happens to a batch, so many passes from now."""
        boundary = self.chance.choice([each for each in Boundary if each != Boundary.RECOVERY])
        is_crash = boundary == Boundary.COMMITTED or self.chance.random() >= FAILURE_SHARE
        return Fault(boundary, is_crash, skip, self.chance.random())

    def draw_relapse(self) -> Fault:
        """Choose what happens while the state is read back."""
        is_crash = self.chance.random() >= FAILURE_SHARE
        return Fault(Boundary.RECOVERY, is_crash, self.chance.randrange(READINGS_MAX))

    def look(self) -> None:
        """Look at the database, and at the exchange that goes on with it.

        Raises:
            BrokenPromiseError: Something was lost, done twice, or does not add up.
        """
        self.witness.verify(self.store.store)
        if not self.exchange.is_current:
            self.exchange.commit()  # which reads the state again
        self.witness.compare(self.exchange, self.chance)
