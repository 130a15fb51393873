"""Databases that a writer can die on: what is left of one is what the next writer finds."""

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from api.storage.errors import StoreError
from api.storage.store import Store, open_store
from tests.api.databases import postgresql_database


class Database(Protocol):
    """One database, and the processes that come and go on it."""

    def open(self) -> Store:
        """Open it as a process does that starts."""

    def crash(self) -> None:
        """Keep what it is at this instant: what the dying process has not written is gone."""

    def close(self) -> None:
        """Have it removed."""


class SqliteDatabase:
    """A file and its write-ahead log, copied at a crash: the operating system keeps what it has.

    The copy is what the next process opens, and recovers; the dead one's file it never sees.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lives = 0
        self._path = folder / "0" / "exchange.sqlite"
        self._path.parent.mkdir(parents=True)

    def open(self) -> Store:
        """Open it as a process does that starts."""
        return open_store(self._path)

    def crash(self) -> None:
        """Keep the file and its log as they are."""
        before, self._lives = self._path, self._lives + 1
        self._path = self._folder / str(self._lives) / before.name
        self._path.parent.mkdir()
        for ending in ("", "-wal"):
            source = before.with_name(before.name + ending)
            if source.exists():
                shutil.copyfile(source, self._path.with_name(source.name))

    def close(self) -> None:
        """Have all copies removed."""
        shutil.rmtree(self._folder)


class PostgresDatabase:
    """A database of a real server: a dead process's sessions end, and what they began is undone."""

    def __init__(self, _folder: Path) -> None:
        self._stack = ExitStack()
        self._url = self._stack.enter_context(postgresql_database())

    def open(self) -> Store:
        """Open it as a process does that starts, once the server knows that the other has died."""
        while True:
            try:
                return open_store(self._url)
            except StoreError as error:
                if "in use" not in str(error):
                    raise
            time.sleep(0.002)

    def crash(self) -> None:
        """Do nothing: the connections of the dead are closed, and the server does the rest."""

    def close(self) -> None:
        """Have it dropped."""
        self._stack.close()


DATABASES: dict[str, Callable[[Path], Database]] = {
    "sqlite": SqliteDatabase,
    "postgresql": PostgresDatabase,
}
