"""The exchange: the single writer.

It keeps the whole state in memory and is the only one to change it. Commands are executed one
after another and committed in groups: journal and changed rows in one transaction, answers only
after it. Where a batch cannot be committed, or a kernel has a bug, the batch is lost as a whole
and the state is read again from the database; nothing that was acknowledged is ever lost.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection

from api import journal
from api.dispatch import Executed, execute, is_countable, quote
from api.journal import FIRST_DIGEST, MalformedCommandError, Record, make_record, normal_form
from api.memory import Memory
from api.recovery import load_memory
from api.store import Store, append, as_rows, rows_that_differ, upsert
from api.tables import ACCOUNTS, MINUTES, ORACLES, SAMPLES, SETTINGS, SHAPES, STATE, TOKENS
from vaults.commands import Command, Open, Outcome
from vaults.state import words_in_use
from vaults.trade import QuotedOpening

BATCH_MAX = 256
"""Commands after which a batch should be committed."""
KEY_LENGTH_MAX = 255


class KeyConflictError(Exception):
    """An idempotency key was used again, for another command."""


class BatchLostError(Exception):
    """The running batch was not committed: none of its commands happened, all can be sent again."""


class QuarantinedError(Exception):
    """A kernel failed on this command. The batch was dropped; this key is not tried again."""


class Exchange:
    """The single writer of one database."""

    def __init__(self, store: Store, underlyings: tuple[str, ...] = ("BTC", "ETH")) -> None:
        self.store = store
        self._underlyings = underlyings
        self._quarantine: set[str] = set()
        self._is_lost = False
        self._reload()

    def _reload(self) -> None:
        """Read the state of the last commit; what was done since did not happen."""
        self._is_current = False
        self.memory = load_memory(self.store, self._underlyings)
        self._saved = {
            name: {part: words_in_use(token.state, part).copy() for part in STATE}
            for name, token in self.memory.tokens.items()
        }
        last = self.store.last_record()
        self._digest = FIRST_DIGEST if last is None else last.digest
        self._sequence = 0 if last is None else last.sequence
        self._keys = self.store.keys()
        self._start_batch()
        self._is_current = True

    def _start_batch(self) -> None:
        self._batch: dict[str, Record] = {}
        self._touched: set[str] = set()
        self._samples: list[dict[str, Any]] = []
        self._notes: dict[str, str] = {}
        self._names_saved = len(self.memory.names)

    @property
    def journal_length(self) -> int:
        """Commands executed so far, those of the running batch included."""
        return self._sequence

    def execute(self, command: Command, key: str) -> Executed:
        """Execute a command; it is durable once `commit` has returned.

        The same key with the same command, whenever it comes again, returns the first answer,
        without moves, and does nothing.

        Raises:
            MalformedCommandError: It is nothing the journal can hold.
            KeyConflictError: The key was used for another command.
            QuarantinedError: A kernel failed on this command; the running batch is lost.
        """
        if not self._is_current:
            self._reload()
        command = normal_form(command)
        if not is_countable(command):
            raise MalformedCommandError(f"{command!r} holds a number out of range")
        if not (key and key.isprintable() and len(key) <= KEY_LENGTH_MAX):
            raise MalformedCommandError(f"{key!r} is not an idempotency key")
        if key in self._quarantine:
            raise QuarantinedError(key)
        known = self._answer_of(key, command)
        if known is not None:
            return Executed(known, {}, ())
        try:
            executed = execute(self.memory, command)
            sequence = self._sequence + 1
            record = make_record(self._digest, sequence, key, command, *executed)
        except Exception as error:
            self._quarantine.add(key)
            self._drop_batch()
            raise QuarantinedError(key) from error
        self._sequence, self._digest = sequence, record.digest
        self._batch[key] = record
        self._touched.update(executed.moves)
        return executed

    def quote(self, order: Open) -> QuotedOpening:
        """Return what an order would cost and do now, every component of it; nothing changes.

        Raises:
            MalformedCommandError: The order is nothing `execute` would take.
            KeyError: Its token is not listed.
            ValueError: Its underlying is not.
        """
        order = normal_form(order)
        if not is_countable(order):
            raise MalformedCommandError(f"{order!r} holds a number out of range")
        return quote(self.memory, order)

    def _drop_batch(self) -> None:
        """Forget the running batch; whoever waits for its commit must be told."""
        self._is_lost = self._is_lost or bool(self._batch)
        self._reload()

    @property
    def is_batch_full(self) -> bool:
        """Whether the running batch should be committed before more commands are taken."""
        return len(self._batch) >= BATCH_MAX

    def _answer_of(self, key: str, command: Command) -> Outcome | None:
        """Return the answer this key had before, if it was used for the same command."""
        record = self._batch.get(key)
        if record is None and key in self._keys:
            record = self.store.record_of(key)
        if record is None:
            return None
        if not journal.is_same_request(record, command):
            raise KeyConflictError(key)
        return journal.read_outcome(record.outcome)

    def note(self, name: str, value: str) -> None:
        """Keep a setting, committed with the running batch."""
        self._notes[name] = value

    def sample(self, row: dict[str, Any]) -> None:
        """Keep an hourly reading, committed with the running batch."""
        self._samples.append(row)

    def commit(self) -> None:
        """Make the running batch durable, in one transaction.

        Raises:
            BatchLostError: Commands since the last commit did not happen: the database did not
                take them, or one of them made a kernel fail. The state is that of the last commit.
        """
        if self._is_lost:
            self._is_lost = False
            raise BatchLostError("a command of the batch failed, and the batch with it")
        if not self._is_current:
            self._reload()
        if not (self._batch or self._samples or self._notes):
            return
        saved: dict[str, dict[str, Any]] = {}
        try:
            with self.store.transaction() as connection:
                append(connection, list(self._batch.values()))
                self._save_state(connection, saved)
                upsert(connection, SAMPLES, self._samples)
                notes = ({"name": name, "value": value} for name, value in self._notes.items())
                upsert(connection, SETTINGS, notes)
        except Exception as error:
            # Where the state cannot be read again now, it is before anything else is done.
            self._is_current = False
            with suppress(Exception):
                self._reload()
            raise BatchLostError("the database did not take the batch") from error
        for name, parts in saved.items():
            self._saved.setdefault(name, {}).update(parts)
        self._keys.update(self._batch)
        self._start_batch()

    def _save_state(self, connection: Connection, saved: dict[str, dict[str, Any]]) -> None:
        """Write every row the batch has changed; `saved` receives what was written."""
        memory = self.memory
        names = memory.names[self._names_saved :]
        upsert(
            connection,
            ACCOUNTS,
            (
                {"account_id": self._names_saved + place, "name": name}
                for place, name in enumerate(names)
            ),
        )
        upsert(connection, ORACLES, _oracle_rows(memory))
        upsert(connection, MINUTES, _minute_rows(memory))
        upsert(connection, SHAPES, _shape_rows(memory))
        for name in sorted(self._touched):
            token = memory.tokens[name]
            before = self._saved.get(name, {})
            if not before:
                listing = journal.listing_bytes(token.listing)
                number = list(memory.tokens).index(name)
                row = {"number": number, "token": name, "listing": listing}
                upsert(connection, TOKENS, [row])
            for part, table in STATE.items():
                words = words_in_use(token.state, part)
                slots = rows_that_differ(words, before.get(part))
                upsert(connection, table, as_rows(name, table, words, slots))
                saved.setdefault(name, {})[part] = words.copy()


def _oracle_rows(memory: Memory) -> Iterator[dict[str, Any]]:
    for slot in range(len(memory.underlyings)):
        oracle = memory.market.oracle[slot]
        yield {"slot": slot, **dict(zip(oracle.dtype.names, oracle.item(), strict=True))}


def _shape_rows(memory: Memory) -> Iterator[dict[str, Any]]:
    for place, shapes in enumerate((memory.market.shapes, memory.market.published)):
        for underlying in range(len(memory.underlyings)):
            row = shapes[underlying]
            named = dict(zip(row.dtype.names, row.item(), strict=True))
            yield {"underlying": underlying, "slot": place, **named}


def _minute_rows(memory: Memory) -> Iterator[dict[str, Any]]:
    for underlying in range(len(memory.underlyings)):
        for slot, words in enumerate(memory.market.minutes[underlying].tolist()):
            if words[3]:
                named = zip(("minute", "low", "high", "last", "vol_e9"), words, strict=True)
                yield {"underlying": underlying, "slot": slot, **dict(named)}
