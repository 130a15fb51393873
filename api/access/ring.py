"""API keys: who may do what. They are rows of the database, their secrets are nowhere.

A secret is derived from the key's id and the master key when it is needed. Servers hold all keys
in memory; what another process does to the table is seen within a second, by a thread that asks
for the table's version and reads the rows that have changed since. Changes go one after the other,
each knowing all before it. Where the database cannot be reached, what is known stays.
"""

import base64
import hmac
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, RLock, Thread

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from api.access.held import HeldKeys
from api.access.records import (
    LOGIN,
    UNLIMITED,
    KeyRecord,
    KeyRingError,
    Limits,
    LoginsFullError,
    RotatedError,
    check_named,
    read_roles,
)
from api.access.rows import claim, columns_of, record_of
from api.access.tables import KEYS, VERSION, bring_up_to_date
from api.exchange import KeyConflictError
from api.storage.errors import reason_of

LOOK_AGAIN_S = 0.5
"""How often it is looked whether another process has changed something."""
LOGIN_ROLES = ("read", "trade", "provide")
LOGINS_MAX = 8
"""Keys of logins that an account has at once; one more ends the oldest."""
LOGINS_TOTAL = 100_000
"""Keys that come of logins, of all accounts, that are known at once."""

_log = logging.getLogger("evergamma")


class KeyRing:
    """All keys of a database; safe to use from several threads.

    Finding keys never waits for the database; changing them does.

    Raises:
        KeyRingError: The database cannot be used, or its keys are of another master key.
    """

    def __init__(self, engine: Engine, master_key: bytes) -> None:
        self.engine = engine
        self._reading = engine.execution_options(reading=True)
        self._master_key = master_key
        self._lock = RLock()
        self._keys = HeldKeys()
        self._version = -1
        self._is_over = Event()
        self._watcher: Thread | None = None
        try:
            bring_up_to_date(engine)
            claim(engine, master_key)
            self.look()
        except SQLAlchemyError as error:
            self.close()
            where = engine.url.render_as_string(hide_password=True)
            raise KeyRingError(f"{where} cannot be used for keys: {reason_of(error)}") from None
        except KeyRingError:
            self.close()
            raise

    def watch(self) -> None:
        """Look for changes of other processes from now on, until it is closed."""
        self._watcher = Thread(target=self._watch, name="keys", daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        is_told = False
        while not self._is_over.wait(LOOK_AGAIN_S):
            try:
                self.look()
                is_told = False
            except Exception as error:  # noqa: BLE001 - whatever it is, revocations still come
                if not is_told:
                    _log.warning("keys stay as they are known: %s", reason_of(error))
                is_told = True

    def close(self) -> None:
        """Let go of the database."""
        self._is_over.set()
        if self._watcher is not None:
            self._watcher.join()
        self.engine.dispose()

    # -- reading

    def find(self, key_id: str) -> KeyRecord | None:
        """Return the key with an id, good or not."""
        return self._keys.find(key_id)

    def all(self) -> list[KeyRecord]:
        """Return all keys, oldest first."""
        return self._keys.all()

    def of(self, account: str) -> list[KeyRecord]:
        """Return the keys of an account, oldest first."""
        return self._keys.of(account)

    def look(self) -> None:
        """Read what has changed since it was last looked."""
        with self._lock, self._reading.connect() as connection:
            version = connection.execute(select(VERSION.c.version)).scalar_one()
            if version != self._version:
                self._catch_up(connection, version)

    def _catch_up(self, connection: Connection, version: int) -> None:
        """Read the keys that have changed up to a version; a login says what time it is.

        Raises:
            KeyRingError: A row cannot be read; all others were, and are again the next time.
        """
        now_ms, unreadable = 0, None
        for row in connection.execute(select(KEYS).where(KEYS.c.change > self._version)):
            try:
                record = record_of(row, self._master_key)
            except KeyRingError as error:
                unreadable = error
                continue
            self._keys.put(record)
            if record.of_login:
                now_ms = max(now_ms, record.created_ms)
        self._keys.forget(now_ms)
        if unreadable is not None:
            raise unreadable
        self._version = version

    # -- changing

    @contextmanager
    def _changing(self) -> Iterator[tuple[Connection, list[KeyRecord]]]:
        """Yield a list of keys to be written as one; until then no process changes any."""
        records: list[KeyRecord] = []
        with self._lock:
            with self.engine.begin() as connection:
                bump = update(VERSION).values(version=VERSION.c.version + 1)
                version = connection.execute(bump.returning(VERSION.c.version)).scalar_one()
                self._catch_up(connection, version - 1)
                yield connection, records
                for record in records:
                    columns = columns_of(record, version)
                    known = self.find(record.id) is not None
                    change = update(KEYS).where(KEYS.c.id == record.id) if known else insert(KEYS)
                    connection.execute(change.values(columns))
            for record in records:
                self._keys.put(record)
            self._version = version

    def create(
        self,
        account: str,
        roles: Iterable[str],
        label: str | None,
        now_ms: int,
        request: str | None = None,
        *,
        limits: Limits = UNLIMITED,
        made_by: str = "",
    ) -> KeyRecord:
        """Make a key; its account need not exist yet. The same request makes the same key.

        Raises:
            KeyRingError: The account or the label is no name, or a role is unknown or missing,
                or it would have expired.
            KeyConflictError: The request made another key.
            LoginsFullError: It would come of a login, and there is no room for it.
        """
        check_named(account, label)
        asked = read_roles(roles)
        new_id = self._new_id(request)

        def is_same(known: KeyRecord) -> bool:
            before = (known.account, known.roles, known.label, known.limits, known.rotated_from)
            return before == (account, asked, label, limits, None)

        known = self._known(new_id, is_same)
        if known is not None:
            return known
        if limits.expires_ms is not None and limits.expires_ms <= now_ms:
            raise KeyRingError(f"a key cannot expire at {limits.expires_ms}: it is {now_ms}")
        record = KeyRecord(
            new_id, account, asked, label, now_ms, None, self._master_key, limits, made_by=made_by
        )
        with self._changing() as (_, records):
            known = self._known(new_id, is_same)
            if known is not None:  # another process has carried out the same request
                return known
            record = replace(record, of_login=self._is_of_login(made_by))
            records.append(record)
        return record

    def _is_of_login(self, made_by: str) -> bool:
        """Return whether what a key makes comes of a login.

        Raises:
            KeyRingError: It was revoked meanwhile.
            LoginsFullError: It does, and there is no room for it.
        """
        maker = self.find(made_by)
        if maker is None:
            return False
        if maker.revoked_ms is not None:
            raise KeyRingError(f"{made_by} was revoked")
        if maker.of_login and self._keys.passing >= LOGINS_TOTAL:
            raise LoginsFullError
        return maker.of_login

    def _known(self, key_id: str, is_same: Callable[[KeyRecord], bool]) -> KeyRecord | None:
        """Return the key a request has made before.

        Raises:
            KeyConflictError: It was another request.
        """
        known = self.find(key_id)
        if known is not None and not is_same(known):
            raise KeyConflictError(key_id)
        return known

    def _new_id(self, request: str | None) -> str:
        """Return an id nobody can guess; the same for the same request."""
        if request is None:
            return "eg_" + secrets.token_urlsafe(15)
        digest = hmac.digest(self._master_key, f"key {request}".encode(), "sha256")
        return "eg_" + base64.urlsafe_b64encode(digest[:15]).decode()

    def revoke(
        self, key_id: str, now_ms: int, *, of_all: bool = False, spared: str | None = None
    ) -> list[KeyRecord]:
        """Revoke a key for good, and what was made with it: whoever had it has those too.

        Args:
            key_id: The key; one that is revoked stays as it is.
            now_ms: When.
            of_all: Not the keys of its own account alone.
            spared: A key that stays, with what was made with that, unless it is the key itself.

        Returns:
            The key, then those that ended with it; nothing where it is unknown.
        """
        if self.find(key_id) is None:
            self.look()
        if self.find(key_id) is None:
            return []
        with self._changing() as (_, records):
            known = self.find(key_id)
            if known is not None:
                family = self._keys.family(known, of_all=of_all, spared=spared)
                records.extend(_ended(each, now_ms) for each in family)
        found = self.find(key_id)
        others = [each for each in records if each.id != key_id]
        return [] if found is None else [found, *others]

    def rotate(
        self,
        key_id: str,
        now_ms: int,
        overlap_ms: int,
        request: str | None = None,
        made_by: str = "",
    ) -> KeyRecord | None:
        """Make the successor of a key, with the same rights; the old one ends after the overlap.

        It lasts no longer than the old one would have. The same request makes the same key.

        Raises:
            KeyRingError: The key is no more good.
            RotatedError: It has a successor.
            KeyConflictError: The request made another key.
        """
        new_id = self._new_id(request)
        with self._changing() as (_, records):
            old = self.find(key_id)
            if old is None:
                return None
            ends_ms = old.limits.expires_ms

            def is_same(known: KeyRecord) -> bool:
                asked_ms = _earlier(known.limits.expires_ms, known.created_ms + overlap_ms)
                return known.rotated_from == key_id and asked_ms == ends_ms

            known = self._known(new_id, is_same)
            if known is not None:
                return known
            if not old.is_good(now_ms):
                raise KeyRingError(f"{key_id} is revoked or expired")
            if any(each.rotated_from == key_id for each in self.of(old.account)):
                raise RotatedError(key_id)
            limits = old.limits._replace(expires_ms=_earlier(ends_ms, now_ms + overlap_ms))
            maker = LOGIN if old.made_by == LOGIN else made_by
            new = replace(old, id=new_id, created_ms=now_ms, rotated_from=key_id, made_by=maker)
            records.extend((new, replace(old, limits=limits)))
        return new

    def log_in(self, account: str, now_ms: int, expires_ms: int) -> KeyRecord:
        """Make a key of a login; the oldest of too many is revoked, those long over are forgotten.

        Raises:
            KeyRingError: The account is no name.
            LoginsFullError: There is no room for one more.
        """
        check_named(account, None)
        limits = Limits(expires_ms, (), may_withdraw=False)
        record = KeyRecord(
            self._new_id(None),
            account,
            frozenset(LOGIN_ROLES),
            None,
            now_ms,
            None,
            self._master_key,
            limits,
            made_by=LOGIN,
            of_login=True,
        )
        with self._changing() as (connection, records):
            self._keys.forget(now_ms)
            connection.execute(delete(KEYS).where(KEYS.c.forget_ms <= now_ms))
            made = [each for each in self.of(account) if each.made_by == LOGIN]
            good = [each for each in made if each.is_good(now_ms)]
            oldest = good[: max(0, len(good) - LOGINS_MAX + 1)]
            if not oldest and self._keys.passing >= LOGINS_TOTAL:
                raise LoginsFullError
            over = {one.id: one for each in oldest for one in self._keys.family(each)}
            records.extend(_ended(each, now_ms) for each in over.values())
            records.append(record)
        return record


def _ended(record: KeyRecord, now_ms: int) -> KeyRecord:
    return replace(record, revoked_ms=max(now_ms, record.created_ms))


def _earlier(expires_ms: int | None, other_ms: int) -> int:
    return other_ms if expires_ms is None else min(expires_ms, other_ms)
