"""The exchange: the single writer.

It keeps the whole state in memory and is the only one to change it. Commands are executed one
after another and committed in groups: journal and changed rows in one transaction, answers only
after it. Where a batch cannot be committed, or a kernel has a bug, the batch is lost as a whole
and the state is read again from the database; nothing that was acknowledged is ever lost.
"""

from contextlib import closing, suppress
from dataclasses import replace
from itertools import takewhile
from typing import Any

from sqlalchemy import Table

from api import journal, rows
from api.checkpoint import Checkpoint
from api.dispatch import Executed, execute, is_countable, is_fillable
from api.journal import MalformedCommandError, Record, make_record, normal_form
from api.quoting import quote
from api.recovery import catch_up, checkpoint_of, load_rows
from api.storage.store import Store
from api.storage.writes import Writes, append, upsert
from api.tables import ENTRIES, FLUSHES, JOURNAL, SETTINGS
from vaults.commands import Close, Command, ListToken, Open
from vaults.generations import base_of
from vaults.trade import QuotedOpening

BATCH_MAX = 256
"""Commands after which a batch should be committed."""
KEY_LENGTH_MAX = 255
PASSING = "/tick/"
"""With this begin the keys of a feed's ticks, which hold the journal's length: none comes again.

They are not kept in memory, where those of a second each would outgrow everybody's.
"""


class KeyConflictError(Exception):
    """An idempotency key was used again, for another command."""


class QueueError(ValueError):
    """A close was to be carried out that is not the queued one of its number, or has to wait.

    Nothing happened; a queued one is still queued, and its key is free.
    """


class BatchLostError(Exception):
    """The running batch was not committed: none of its commands happened, all can be sent again."""


class QuarantinedError(Exception):
    """A kernel failed on this command. The batch was dropped; this key is not tried again."""


def fill_key(number: int) -> str:
    """Return the idempotency key under which a queued close is carried out.

    No caller has one like it: theirs begin with the name of an account.
    """
    return f"/fill/{number}"


class Exchange:
    """The single writer of one database."""

    def __init__(self, store: Store, underlyings: tuple[str, ...] = ("BTC", "ETH")) -> None:
        self.store = store
        self._underlyings = underlyings
        self._quarantine: set[str] = set()
        self._is_lost = False
        self._writing: dict[str, Executed] = {}
        self._keys: set[str] = set()
        self._durable = 0
        self.is_committing = False
        self._reload()
        self._told = self._durable

    def _reload(self) -> None:
        """Read the state of the last commit; what was done since did not happen."""
        assert not self.is_committing  # the database would not have it yet
        self._is_current = False
        self.store.hold()
        self.memory = load_rows(self.store, self._underlyings)
        self._checkpoint = Checkpoint(self.memory, checkpoint_of(self.store))
        # Not the database's last record: one may have come since the journal was read.
        end = catch_up(self.store, self.memory, self._checkpoint.sequence)
        self._sequence, self._digest = end
        self._keys |= self.store.keys(PASSING, self._durable)
        self._durable = self._sequence
        for token in self.memory.tokens:
            self.store.claim_token(base_of(token))
        self._start_batch()
        self._is_current = True

    def _start_batch(self) -> None:
        self._batch: dict[str, Executed] = {}
        self._samples: dict[Table, list[dict[str, Any]]] = {}
        self._notes: dict[str, str] = {}

    @property
    def journal_length(self) -> int:
        """Commands executed so far, those of the running batch included."""
        return self._sequence

    @property
    def digest(self) -> bytes:
        """Digest of the last of them, which all before it go into."""
        return self._digest

    @property
    def unsaved(self) -> int:
        """Commands since the state was last saved as rows: a start has to apply them."""
        return self._sequence - self._checkpoint.sequence

    def execute(self, command: Command, key: str) -> Executed:
        """Execute a command; it is durable once `commit` has returned.

        The same key with the same command, whenever it comes again, returns the first answer,
        without moves, and does nothing.

        Raises:
            MalformedCommandError: It is nothing the journal can hold.
            KeyConflictError: The key was used for another command.
            QueueError: It is to carry out a queued close that is none, or has to wait.
            QuarantinedError: A kernel failed on this command; the running batch is lost.
            StoreError: The database cannot be read; TokenElsewhereError: what is to be listed is
                another shard's.
        """
        if not self._is_current:
            self._reload()
        command, written = normal_form(command)
        if not is_countable(command):
            raise MalformedCommandError(f"{command!r} holds a number out of range")
        if not (key and key.isprintable() and len(key) <= KEY_LENGTH_MAX):
            raise MalformedCommandError(f"{key!r} is not an idempotency key")
        if key in self._quarantine:
            raise QuarantinedError(key)
        known = self.recall(key)
        if known is not None:
            return _repeated(known, command)
        self._claim(command)
        sequence = self._sequence + 1
        try:
            done = execute(self.memory, command, sequence)
            record = make_record(self._digest, sequence, key, command, written, *done[:3])
        except Exception as error:
            self._quarantine.add(key)
            self._drop_batch()
            raise QuarantinedError(key) from error
        self._sequence, self._digest = sequence, record.digest
        executed = Executed(*done[:3], record, command)
        self._batch[key] = executed
        if done.flushing is not None:
            self.sample(FLUSHES, rows.flush_row(self.memory, executed, done.flushing))
        elif isinstance(command, ListToken) and command.token not in self.memory.tokens:
            self.store.release_token(base_of(command.token))
        return executed

    def recall(self, key: str) -> Record | None:
        """Return the record an idempotency key has, whether it is committed yet or not."""
        for batch in (self._batch, self._writing):
            if key in batch:
                return batch[key].record
        return self.store.record_of(key) if key in self._keys else None

    def waiting(self, underlying: str, now_ms: int | None = None) -> list[Close]:
        """Return the queued closes that can be carried out now, in order of arrival.

        They are to be executed after each tick, before anything else, each under `fill_key` of its
        number: whoever came first is filled first. One that made a kernel fail is left out.

        Args:
            underlying: Name of what was ticked.
            now_ms: When they are carried out; that of the tick if not given.

        Raises:
            ValueError: There is no such underlying.
        """
        if not self._is_current:
            self._reload()
        slot, found = self.memory.underlyings.index(underlying), []
        for number, waiting in self.memory.queue.items():
            if waiting.underlying == slot and fill_key(number) not in self._quarantine:
                clock_ms = int(self.memory.tokens[waiting.command.token].state.pool[0].now_ms)
                at_ms = max(clock_ms, waiting.command.now_ms) if now_ms is None else now_ms
                if is_fillable(self.memory, waiting, at_ms):
                    found.append(replace(waiting.command, now_ms=at_ms))
        return found

    def _claim(self, command: Command) -> None:
        """Check that a command is for this exchange to carry out, and now."""
        if isinstance(command, Close) and command.order:
            self._claim_waiting(command)
        elif isinstance(command, ListToken):
            self.store.claim_token(base_of(command.token))

    def _claim_waiting(self, command: Close) -> None:
        """Check that a close is the queued one of its number and need not wait any more."""
        waiting = self.memory.queue.get(command.order)
        if waiting is None or replace(waiting.command, now_ms=command.now_ms) != command:
            raise QueueError(f"{command!r} is not what waits under its number")
        if not is_fillable(self.memory, waiting, command.now_ms):
            raise QueueError(f"{command!r} has to wait")

    def quote(self, order: Open) -> QuotedOpening:
        """Return what an order would cost and do now, every component of it; nothing changes.

        Raises:
            MalformedCommandError: The order is nothing `execute` would take.
            KeyError: Its token is not listed.
            ValueError: Its underlying is not.
        """
        order, _ = normal_form(order)
        if not is_countable(order):
            raise MalformedCommandError(f"{order!r} holds a number out of range")
        return quote(self.memory, order)

    def _drop_batch(self) -> None:
        """Forget the running batch; whoever waits for its commit must be told.

        While the batch before it is being written, the state can only be read again after that.
        """
        self._is_lost = self._is_lost or bool(self._batch)
        self._is_current = False
        self._batch = {}
        if not self.is_committing:
            self._reload()

    @property
    def is_lost(self) -> bool:
        """Whether the running batch was dropped, and nobody has been told by a commit yet."""
        return self._is_lost

    @property
    def must_wait(self) -> bool:
        """Whether nothing can be executed before the running commit has ended."""
        return self.is_committing and not self._is_current

    @property
    def is_current(self) -> bool:
        """Whether the state is in memory; after a failure it is read again by the next command."""
        return self._is_current

    def knows(self, key: str) -> bool:
        """Whether an idempotency key was used."""
        return key in self._batch or key in self._writing or key in self._keys

    def is_quarantined(self, key: str) -> bool:
        """Whether a kernel has failed on the command of an idempotency key."""
        return key in self._quarantine

    @property
    def is_settled(self) -> bool:
        """Whether the state in memory is that of the last commit."""
        return self._is_current and not self.is_committing and not self._batch

    @property
    def is_batch_full(self) -> bool:
        """Whether the running batch should be committed before more commands are taken."""
        return len(self._batch) >= BATCH_MAX

    def note(self, name: str, value: str) -> None:
        """Keep a setting, committed with the running batch."""
        self._notes[name] = value

    def sample(self, table: Table, row: dict[str, Any]) -> None:
        """Keep a reading in a table of those, committed with the running batch."""
        self._samples.setdefault(table, []).append(row)

    def commit(self) -> None:
        """Make the running batch durable, in one transaction.

        Raises:
            BatchLostError: Commands since the last commit did not happen: the database did not
                take them, or one of them made a kernel fail. The state is that of the last commit.
        """
        writes = self.begin_commit()
        if not writes:
            return
        try:
            self.store.stage(writes)()
        except Exception as error:
            self.abandon_commit()
            raise BatchLostError("the database did not take the batch") from error
        self.end_commit()

    def begin_commit(self) -> Writes:
        """Return what makes the running batch durable; the next batch begins.

        Where there is something to write, `end_commit` or `abandon_commit` follows, and no other
        commit before it. Commands may be executed meanwhile.

        Raises:
            BatchLostError: One of its commands made a kernel fail.
        """
        assert not self.is_committing
        if self._is_lost:
            self._is_lost = False
            raise BatchLostError("a command of the batch failed, and the batch with it")
        if not self._is_current:
            self._reload()
        if not (self._batch or self._samples or self._notes):
            return []
        try:
            writes = self._writes()
        except Exception as error:
            self.abandon_commit()
            raise BatchLostError("the batch cannot be written") from error
        self._writing = self._batch
        self.is_committing = True
        self._start_batch()
        return writes

    def _writes(self) -> Writes:
        """Return what the batch adds to the journal; with it, now and then, the state as rows."""
        writes: Writes = []
        batch = self._batch.values()
        append(writes, JOURNAL, (executed.record for executed in batch))
        append(writes, ENTRIES, rows.entry_rows(self.memory, batch))
        for table, samples in self._samples.items():
            upsert(writes, table, samples)
        notes = self._notes | {journal.HEAD: journal.head_of(self._sequence, self._digest)}
        upsert(writes, SETTINGS, ({"name": name, "value": text} for name, text in notes.items()))
        if self._checkpoint.is_due(self._sequence):
            self._checkpoint.save(self.memory, self._sequence, writes)
        return writes

    def checkpoint(self) -> None:
        """Save the state as rows, so that the next start has no journal to apply.

        Raises:
            BatchLostError: As `commit`, which comes first.
            Exception: The rows could not be written; the journal has everything.
        """
        self.commit()
        if self._checkpoint.sequence < self._sequence:
            writes: Writes = []
            self._checkpoint.save(self.memory, self._sequence, writes)
            try:
                self.store.stage(writes)()
            except Exception:
                self.abandon_commit()
                raise

    def end_commit(self) -> list[Executed]:
        """Count what was written as durable, and return it, in the order of the journal."""
        self._keys.update(key for key in self._writing if not key.startswith(PASSING))
        written, self._writing = list(self._writing.values()), {}
        self.is_committing = False
        if written:
            self._durable = self._told = written[-1].record.sequence
        return written

    def untold(self) -> list[Executed]:
        """Return, once, what the database has of commits that seemed to have failed.

        Where a connection is lost in a commit, nobody knows whether it was done until the state has
        been read again.
        """
        if not self._is_current or self._told == self._durable:
            return []
        with closing(self.store.journal(after=self._told)) as records:
            found = [_as_executed(each) for each in takewhile(self._is_durable, records)]
        self._told = self._durable
        return found

    def _is_durable(self, record: Record) -> bool:
        return record.sequence <= self._durable

    def abandon_commit(self) -> None:
        """Forget what could not be written and all that was executed after it.

        Where the state cannot be read again now, it is before anything else is done.
        """
        self._writing = {}
        self.is_committing = False
        self._is_current = False
        with suppress(Exception):
            self._reload()


def _as_executed(record: Record) -> Executed:
    """Return what a record was made from."""
    outcome, command = journal.read_outcome(record.outcome), journal.read_command(record)
    moves, oracle = journal.read_moves(record), journal.read_oracle(record)
    return Executed(outcome, moves, oracle, record, command)


def _repeated(record: Record, command: Command) -> Executed:
    """Return the answer a key had before, if it was used for the same command."""
    if not journal.is_same_request(record, command):
        raise KeyConflictError(record.key)
    outcome, first = journal.read_outcome(record.outcome), journal.read_command(record)
    return Executed(outcome, {}, (), record, first)
