"""What a power cut can leave of recorded events: a folder as it may be found afterwards.

What was synced is there. Of each write after that any sector of 512 bytes may be there or not,
whatever the order; a file that has grown may hold anything where it was not written; names made
or taken away since the folder was last synced may be so or not.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.disk import (
    Acknowledged,
    Created,
    Deleted,
    Event,
    FolderSynced,
    Synced,
    Truncated,
    Written,
)

SECTOR = 512
INDEX_BYTES = 32_768
"""Length of the index of a write-ahead log, of which anything may be left."""


@dataclass(slots=True)
class _File:
    """What of a file is on the disk, and what may be."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Written | Truncated] = field(default_factory=list)

    def change(self, event: Written | Truncated) -> None:
        """Do what a write or truncation does, to what is durable."""
        if isinstance(event, Truncated):
            del self.durable[event.size :]
            return
        self._grow(event.offset + len(event.content))
        self.durable[event.offset : event.offset + len(event.content)] = event.content

    def _grow(self, size: int, chance: random.Random | None = None) -> None:
        missing = max(0, size - len(self.durable))
        is_noise = chance is not None and chance.random() < 0.5
        self.durable += chance.randbytes(missing) if chance and is_noise else bytes(missing)

    def sync(self) -> None:
        """Make all of it durable."""
        for event in self.pending:
            self.change(event)
        self.pending.clear()

    def cut(self, chance: random.Random) -> bytes:
        """Return what is left: of each pending event all, nothing, or some sectors."""
        kept_share = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        for event in self.pending:
            if isinstance(event, Truncated):
                if chance.random() < kept_share:
                    self.change(event)
            elif chance.random() < 0.3:
                self._tear(event, chance)
            elif chance.random() < kept_share:
                self._grow(event.offset, chance)
                self.change(event)
        return bytes(self.durable)

    def _tear(self, event: Written, chance: random.Random) -> None:
        """Keep some sectors of a write; the size of the file may have come through all the same."""
        end = event.offset + len(event.content)
        start = event.offset
        while start < end:
            stop = min(end, (start // SECTOR + 1) * SECTOR)
            if chance.random() < 0.5:
                self._grow(start, chance)
                part = event.content[start - event.offset : stop - event.offset]
                self.change(Written(event.number, start, part))
            elif chance.random() < 0.5:
                self._grow(stop, chance)
            start = stop


class Disk:
    """A disk up to a moment; what it holds for certain, and what it may hold."""

    def __init__(self) -> None:
        self.promised = 0
        self._files: dict[int, _File] = {}
        self._durable_names: dict[str, int] = {}
        self._pending_names: list[Created | Deleted] = []

    def apply(self, events: Sequence[Event]) -> None:
        """Let events happen."""
        for event in events:
            self._apply(event)

    def _apply(self, event: Event) -> None:
        if isinstance(event, Acknowledged):
            self.promised = event.sequence
        elif isinstance(event, FolderSynced):
            for change in self._pending_names:
                self._rename(self._durable_names, change)
            self._pending_names.clear()
        elif isinstance(event, Created | Deleted):
            self._pending_names.append(event)
            if isinstance(event, Created):
                self._files[event.number] = _File()
        elif isinstance(event, Synced):
            self._files[event.number].sync()
        else:
            self._files[event.number].pending.append(event)

    @staticmethod
    def _rename(names: dict[str, int], change: Created | Deleted) -> None:
        if isinstance(change, Created):
            names[change.name] = change.number
        else:
            names.pop(change.name, None)

    def cut(self, folder: Path, chance: random.Random) -> None:
        """Write what is found after a power cut at this moment; the disk is of no use then."""
        names = dict(self._durable_names)
        for change in self._pending_names:
            if chance.random() < 0.5:
                self._rename(names, change)
        for name, number in names.items():
            (folder / name).write_bytes(self._files[number].cut(chance))
            if name.endswith("-wal") and chance.random() < 0.5:
                index = folder / f"{name.removesuffix('-wal')}-shm"
                index.write_bytes(chance.choice((bytes, chance.randbytes))(INDEX_BYTES))


def image(events: Sequence[Event], moment: int, folder: Path, chance: random.Random) -> int:
    """Write what a power cut after so many events may leave; return what was promised by then."""
    disk = Disk()
    disk.apply(events[:moment])
    disk.cut(folder, chance)
    return disk.promised
