"""Copies of a whole database, made beside a running server and read back into an empty one.

A file is copied by SQLite itself, page by page; a server by PostgreSQL's own programs, all shards
and keys in one consistent copy of the custom format.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, create_engine, text

from api.access.opening import has_exchange
from api.storage.errors import StoreError
from api.storage.store import open_snapshot
from api.storage.url import DatabaseUrl

PAGES = 1_000
"""Pages that are copied at a time; a writer goes on between."""

_LOGS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a file while it is in use, and after a crash."""

Count = Callable[[int], None]


def back_up(url: DatabaseUrl, file: Path, count: Count) -> int:
    """Copy a database into a file that is made; return its length in bytes.

    `count` is told how many percent are done, where that is known.

    Raises:
        StoreError: It cannot be done; then no file is left.
    """
    if file.exists():
        raise StoreError(f"{file} exists; a copy takes the place of nothing")
    has_exchange(url)  # in whatever shards; which refuses what is no database of one
    scratch = _begun(file)
    try:
        if url.path is None:
            _run("pg_dump", url, "--format=custom", "--schema=evergamma*", f"--file={scratch}")
        else:
            _copy(url.path, scratch, count)
        _sync(scratch)
        scratch.rename(file)
        _sync(file.absolute().parent)
    finally:
        scratch.unlink(missing_ok=True)
    return file.stat().st_size


def restore_from(url: DatabaseUrl, file: Path, count: Count) -> None:
    """Fill an empty database from a copy.

    Raises:
        StoreError: It is not empty, or the file is no copy; then nothing was changed.
    """
    if not file.is_file():
        raise StoreError(f"{file}: no such file")
    if url.path is None:
        _require_empty(url)
        _run("pg_restore", url, "--exit-on-error", "--single-transaction", "--no-owner", str(file))
        return
    # A log left of another file would be taken for this one's, and written into it.
    for each in (url.path, *(url.path.with_name(url.path.name + end) for end in _LOGS)):
        if each.exists():
            raise StoreError(f"{each} exists; a copy is restored where nothing is")
    open_snapshot(file).close()
    scratch = _begun(url.path)
    try:
        _copy(file, scratch, count)
        _give(scratch)
        _sync(scratch)
        scratch.rename(url.path)
        _sync(url.path.absolute().parent)
    finally:
        scratch.unlink(missing_ok=True)


def _copy(source: Path, target: Path, count: Count) -> None:
    """Copy a file of SQLite that may be written to meanwhile."""

    def told(_status: int, remaining: int, total: int) -> None:
        count(100 * (total - remaining) // max(total, 1))

    try:
        with (
            closing(sqlite3.connect(source)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            reading.execute("BEGIN")
            reading.execute("SELECT 1 FROM sqlite_master").fetchone()
            reading.backup(writing, pages=PAGES, progress=told)
    except sqlite3.Error as error:
        raise StoreError(f"{source} cannot be copied: {error}") from None


def _begun(file: Path) -> Path:
    """Return an empty file beside one that is to be made, for its owner alone: it has accounts."""
    scratch = file.with_name(file.name + ".part")
    scratch.unlink(missing_ok=True)
    scratch.touch(0o600, exist_ok=False)
    return scratch


def _give(path: Path) -> None:
    """Let a file that root has made be its folder's owner's, whose server is to write to it."""
    if os.geteuid() == 0:
        folder = path.absolute().parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _require_empty(url: DatabaseUrl) -> None:
    assert url.server is not None
    engine = create_engine(url.server)
    with engine.connect() as connection:
        query = text("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'evergamma%'")
        found = connection.execute(query).scalar_one()
    engine.dispose()
    if found:
        raise StoreError(f"{url} holds an exchange; a copy is restored where nothing is")


def _run(program: str, url: DatabaseUrl, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; a password goes to it by its environment."""
    assert url.server is not None
    found = shutil.which(program)
    if found is None:
        raise StoreError(f"{program} is not installed; it comes with PostgreSQL's client")
    given = url.server
    environment = os.environ | ({"PGPASSWORD": str(given.password)} if given.password else {})
    bare = URL.create(  # `set` cannot take a password out
        "postgresql", given.username, None, given.host, given.port, given.database, given.query
    )
    command = [found, f"--dbname={bare.render_as_string(hide_password=False)}", *arguments]
    done = subprocess.run(  # noqa: S603
        command, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"{program} failed"]
        raise StoreError(lines[0])
