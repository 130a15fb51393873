"""API keys: who may do what. They are rows of the exchange's database, their secrets are nowhere.

A secret is derived from the key's id and the master key when it is needed. Servers hold all keys
in memory; what another process does to the table is seen within a second.
"""

import base64
import hmac
import re
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import get_args

from api.exchange import KeyConflictError
from api.signing import secret_of
from api.wire import Role

ROLES: tuple[str, ...] = get_args(Role)
LOOK_AGAIN_S = 1.0
"""How old what is known of other processes' changes may be."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}")
_KEY_ID = re.compile(r"eg_[A-Za-z0-9_-]{20}")
_TABLES = (
    """
CREATE TABLE IF NOT EXISTS api_key (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    roles TEXT NOT NULL CHECK (roles <> ''),
    label TEXT,
    created_ms INTEGER NOT NULL,
    revoked_ms INTEGER CHECK (revoked_ms >= created_ms)
) STRICT""",
    """
CREATE TABLE IF NOT EXISTS api_master (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    mark TEXT NOT NULL
) STRICT""",
)


class KeyRingError(ValueError):
    """Keys that cannot be read, or a key that cannot be made; the message is one line."""


@dataclass(frozen=True)
class KeyRecord:
    """A key: whose it is and what for; times in milliseconds UTC."""

    id: str
    account: str
    roles: frozenset[str]
    label: str | None
    created_ms: int
    revoked_ms: int | None
    master_key: bytes = field(repr=False, compare=False)

    @cached_property
    def secret(self) -> str:
        """What requests are signed with; derived when first asked for."""
        return secret_of(self.master_key, self.id)


class KeyRing:
    """All keys of a database; safe to use from several threads.

    Raises:
        KeyRingError: The file is no database, or its keys were made with another master key.
    """

    def __init__(self, path: Path, master_key: bytes) -> None:
        self._master_key = master_key
        self._lock = RLock()
        self._records: dict[str, KeyRecord] = {}
        self._seen = (-1, -1, -1)
        self._looked_s = 0.0
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA busy_timeout=5000")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._claim(path)
        except sqlite3.Error as error:
            raise KeyRingError(f"{path} cannot be used for keys: {error}") from None
        self._look()

    def _claim(self, path: Path) -> None:
        """Create the tables where they are missing; make sure of the master key."""
        mark = secret_of(self._master_key, "evergamma master key")
        with self._transaction() as connection:
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute("INSERT OR IGNORE INTO api_master VALUES (1, ?)", (mark,))
        (found,) = self._connection.execute("SELECT mark FROM api_master").fetchone()
        if found != mark:
            self.close()
            raise KeyRingError(f"the keys of {path} were made with another master key")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def find(self, key_id: str) -> KeyRecord | None:
        """Return the key with an id, revoked or not."""
        record = self._records.get(key_id)
        is_new = record is None and _KEY_ID.fullmatch(key_id) is not None
        if is_new or time.monotonic() - self._looked_s >= LOOK_AGAIN_S:
            self._look()
            record = self._records.get(key_id)
        return record

    def all(self) -> list[KeyRecord]:
        """Return all keys, oldest first."""
        self._look()
        return list(self._records.values())

    def create(
        self,
        account: str,
        roles: Iterable[str],
        label: str | None,
        now_ms: int,
        request: str | None = None,
    ) -> KeyRecord:
        """Make a key; its account need not exist yet. The same request makes the same key.

        Raises:
            KeyRingError: The account or the label is no name, or a role is unknown or missing.
            KeyConflictError: The request made another key.
        """
        for name in (account, label):
            if name is not None and not _NAME.fullmatch(name):
                raise KeyRingError(f"{name!r} is not a name of letters, digits and ._:@-")
        asked = frozenset(roles)
        if not asked or not asked <= set(ROLES):
            raise KeyRingError(f"roles are {', '.join(ROLES)}; a key has one at least")
        key_id = self._new_id(request)
        known = self.find(key_id)
        if known is not None:
            if (known.account, known.roles, known.label) != (account, asked, label):
                raise KeyConflictError(key_id)
            return known
        row = (key_id, account, ",".join(sorted(asked)), label, now_ms, None)
        with self._lock:
            with self._transaction() as connection:
                connection.execute("INSERT INTO api_key VALUES (?, ?, ?, ?, ?, ?)", row)
            record = KeyRecord(key_id, account, asked, label, now_ms, None, self._master_key)
            self._records[key_id] = record
            version, count, revoked = self._seen
            self._seen = (version, count + 1, revoked)
            return record

    def _new_id(self, request: str | None) -> str:
        """Return an id nobody can guess; the same for the same request."""
        if request is None:
            return "eg_" + secrets.token_urlsafe(15)
        digest = hmac.digest(self._master_key, f"key {request}".encode(), "sha256")
        return "eg_" + base64.urlsafe_b64encode(digest[:15]).decode()

    def revoke(self, key_id: str, now_ms: int) -> KeyRecord | None:
        """Revoke a key for good; one that already is stays as it was, none is unknown."""
        with self._lock:
            with self._transaction() as connection:
                connection.execute(
                    "UPDATE api_key SET revoked_ms = max(?, created_ms) "
                    "WHERE id = ? AND revoked_ms IS NULL",
                    (now_ms, key_id),
                )
            self._read()
            return self._records.get(key_id)

    def _look(self) -> None:
        """Read the keys again if another process may have changed them.

        Every batch of the exchange changes the file's version too, so that counts come second: keys
        are only ever made and revoked, and nothing changes that leaves both counts alone.
        """
        with self._lock:
            self._looked_s = time.monotonic()
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            if version == self._seen[0]:
                return
            query = "SELECT count(*), count(revoked_ms) FROM api_key"
            counts = self._connection.execute(query).fetchone()
            if tuple(counts) != self._seen[1:]:
                self._read()
            self._seen = (version, *counts)

    def _read(self) -> None:
        """Read all keys; records that are as they were stay, with the secrets they derived."""
        records: dict[str, KeyRecord] = {}
        query = "SELECT * FROM api_key ORDER BY created_ms, rowid"
        for key_id, account, roles, label, created_ms, revoked_ms in self._connection.execute(
            query
        ):
            granted = frozenset(roles.split(","))
            record = KeyRecord(
                key_id, account, granted, label, created_ms, revoked_ms, self._master_key
            )
            known = self._records.get(key_id)
            records[key_id] = known if known == record else record
        self._records = records
