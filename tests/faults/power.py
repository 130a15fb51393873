"""Power cuts: an exchange is recorded at work, and opened again from what a cut may have left.

The real exchange and store run on the real disk while every write and sync is recorded; then
folders are made as a power cut at any moment may leave them, and the real recovery opens them.
"""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from amm.units import ONE
from api.exchange import Exchange
from api.recovery import check_database
from api.storage import engines as storage
from api.storage.store import open_store
from tests.faults.disk import Acknowledged, Event, Synced, recorded
from tests.faults.images import image
from tests.faults.simulate import often_saved
from tests.faults.traffic import Traffic
from tests.faults.witness import promise
from vaults.commands import Credit

NAME = "exchange.sqlite"
SESSIONS = 3
"""Times the exchange is started while it is recorded; each but the last is ended in order."""
COMMITS = 25
"""Commits of each."""
LOG_PAGES = 40
"""Length of the write-ahead log at which it is written back: many times, here."""


class Recording(NamedTuple):
    """An exchange at work: what its disk was told, and the digest of each record."""

    events: list[Event]
    digests: dict[int, bytes]


class Lost(NamedTuple):
    """An image in which something promised is missing."""

    promised: int
    found: int


@contextmanager
def _settings(synchronous: str) -> Iterator[None]:
    """Have the log written back often, and SQLite sync as told."""
    usual = storage.CHECKPOINT_PAGES, storage.SYNCHRONOUS
    storage.CHECKPOINT_PAGES, storage.SYNCHRONOUS = LOG_PAGES, synchronous
    try:
        with often_saved():
            yield
    finally:
        storage.CHECKPOINT_PAGES, storage.SYNCHRONOUS = usual


def record(folder: Path, seed: int, synchronous: str = "FULL") -> Recording:
    """Run an exchange in a folder through some sessions, and record its disk."""
    chance = random.Random(seed)  # noqa: S311 - so that a run can be made again
    traffic, digests = Traffic(chance), dict[int, bytes]()
    with _settings(synchronous), recorded(folder) as events:
        for session in range(SESSIONS):
            store = open_store(folder / NAME)
            exchange = Exchange(store)
            for number in range(COMMITS):
                asked = list(traffic.beginning()) if session == number == 0 else []
                for command, key in asked or traffic.next(exchange):
                    executed = exchange.execute(command, key)
                    digests[executed.record.sequence] = executed.record.digest
                exchange.commit()
                events.append(Acknowledged(exchange.journal_length))
            if session % 2 == 0:
                exchange.checkpoint()
            store.close()
    return Recording(events, digests)


def moments(recording: Recording, count: int, chance: random.Random) -> Iterator[int]:
    """Yield moments to cut the power at: any, and more often those around a sync or an answer."""
    events = recording.events
    sharp = [place for place, each in enumerate(events) if isinstance(each, Synced | Acknowledged)]
    first = next(place for place, each in enumerate(events) if isinstance(each, Acknowledged))
    for _ in range(count):
        if chance.random() < 0.5:
            yield chance.choice(sharp) + chance.randint(0, 1)
        else:
            yield chance.randrange(first // 2, len(events))


def open_image(recording: Recording, moment: int, folder: Path, chance: random.Random) -> Lost:
    """Cut the power at a moment and let the real recovery open what is left.

    Raises:
        BrokenPromiseError: What is left is not an exchange of so many records, whole.
    """
    folder.mkdir()
    promised = image(recording.events, moment, folder, chance)
    store = open_store(folder / NAME)
    try:
        last = store.last_record()
        found = 0 if last is None else last.sequence
        if last is not None:
            promise(recording.digests[found] == last.digest, "another journal than was written")
            checked = check_database(store)
            promise(checked.faults == [] and checked.records == found, f"{checked.faults}")
        exchange = Exchange(store)
        exchange.execute(Credit("TSLA.M", "late", ONE, 2 * 10**12), "after the cut")
        exchange.commit()
        promise(exchange.journal_length == found + 1, "it does not go on")
    finally:
        store.close()
        shutil.rmtree(folder)
    return Lost(promised, found)


def cut_power(count: int, seed: int, folder: Path, synchronous: str = "FULL") -> Iterator[Lost]:
    """Record an exchange and cut its power many times; yield what was promised, and found.

    Raises:
        BrokenPromiseError: What a cut has left is damaged.
    """
    work = folder / "work"
    work.mkdir(parents=True)
    recording = record(work, seed, synchronous)
    chance = random.Random(seed)  # noqa: S311
    for number, moment in enumerate(moments(recording, count, chance)):
        yield open_image(recording, moment, folder / f"image-{number}", chance)
