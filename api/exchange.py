"""The exchange: the single writer.

It keeps the whole state in memory and is the only one to change it. Commands are executed one
after another and committed in groups: journal and changed rows in one transaction, answers only
after it. Where a batch cannot be committed, or a kernel has a bug, the batch is lost as a whole
and the state is read again from the database; nothing that was acknowledged is ever lost.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from api import journal
from api.dispatch import Executed, execute, is_countable
from api.journal import FIRST_DIGEST, Record, make_record
from api.memory import Memory
from api.recovery import load_memory
from api.store import Store, append, as_rows, rows_that_differ, upsert
from api.tables import ACCOUNTS, MINUTES, ORACLES, SAMPLES, STATE, TOKENS
from vaults.commands import Command, Outcome
from vaults.state import words_in_use

BATCH_MAX = 256
"""Commands after which a batch should be committed."""


class MalformedCommandError(ValueError):
    """A number of the command is no integer, or beyond any that means something; not journalled."""


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
        self._reload()

    def _reload(self) -> None:
        """Read the state of the last commit."""
        self.memory = load_memory(self.store, self._underlyings)
        last = self.store.last_record()
        self._saved = {
            name: {part: words_in_use(token.state, part).copy() for part in STATE}
            for name, token in self.memory.tokens.items()
        }
        self._digest = FIRST_DIGEST if last is None else last.digest
        self._sequence = 0 if last is None else last.sequence
        self._keys = self.store.keys()
        self._start_batch()

    def _start_batch(self) -> None:
        self._batch: dict[str, Record] = {}
        self._touched: set[str] = set()
        self._samples: list[dict[str, Any]] = []
        self._names_saved = len(self.memory.names)

    @property
    def journal_length(self) -> int:
        """Commands executed so far, those of the running batch included."""
        return self._sequence

    def execute(self, command: Command, key: str) -> Executed:
        """Execute a command; it is durable once `commit` has returned.

        The same key with the same command returns the first answer, without moves, and does
        nothing.

        Raises:
            MalformedCommandError: It holds a number that cannot be counted with.
            KeyConflictError: The key was used for another command.
            QuarantinedError: A kernel failed on this command.
        """
        if not is_countable(command):
            raise MalformedCommandError(repr(command))
        if key in self._quarantine:
            raise QuarantinedError(key)
        known = self._answer_of(key, command)
        if known is not None:
            return Executed(known, {}, ())
        try:
            executed = execute(self.memory, command)
        except Exception as error:
            self._quarantine.add(key)
            self._reload()
            raise QuarantinedError(key) from error
        self._sequence += 1
        record = make_record(self._digest, self._sequence, key, command, *executed)
        self._digest = record.digest
        self._batch[key] = record
        self._touched.update(executed.moves)
        return executed

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
        if (
            record.command != journal.command_bytes(command)
            or record.kind != type(command).__name__
        ):
            raise KeyConflictError(key)
        return journal.read_outcome(record.outcome)

    def sample(self, row: dict[str, Any]) -> None:
        """Keep an hourly reading, committed with the running batch."""
        self._samples.append(row)

    def commit(self) -> None:
        """Make the running batch durable, in one transaction.

        Raises:
            BatchLostError: Nothing of the batch happened; the state is that of the last commit.
        """
        if not self._batch and not self._samples:
            return
        try:
            with self.store.transaction() as connection:
                append(connection, list(self._batch.values()))
                self._save_state(connection)
                upsert(connection, SAMPLES, self._samples)
        except Exception as error:
            self._reload()
            raise BatchLostError("the database did not take the batch") from error
        self._keys.update(self._batch)
        self._start_batch()

    def _save_state(self, connection: Connection) -> None:
        """Write every row the batch has changed."""
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
        for name in sorted(self._touched):
            token = memory.tokens[name]
            saved = self._saved.setdefault(name, {})
            if not saved:
                listing = journal.command_bytes(token.listing)
                number = list(memory.tokens).index(name)
                row = {"number": number, "token": name, "listing": listing}
                upsert(connection, TOKENS, [row])
            for part, table in STATE.items():
                words = words_in_use(token.state, part)
                slots = rows_that_differ(words, saved.get(part))
                upsert(connection, table, as_rows(name, table, words, slots))
                saved[part] = words.copy()


def _oracle_rows(memory: Memory) -> Iterator[dict[str, Any]]:
    for slot in range(len(memory.underlyings)):
        oracle = memory.market.oracle[slot]
        yield {"slot": slot, **dict(zip(oracle.dtype.names, oracle.item(), strict=True))}


def _minute_rows(memory: Memory) -> Iterator[dict[str, Any]]:
    for underlying in range(len(memory.underlyings)):
        for slot, words in enumerate(memory.market.minutes[underlying].tolist()):
            if words[3]:
                named = zip(("minute", "low", "high", "last", "vol_e9"), words, strict=True)
                yield {"underlying": underlying, "slot": slot, **dict(named)}
