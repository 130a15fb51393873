"""What an exchange has answered, and another one that never failed, to hold it against."""

import random
from pathlib import Path

from api.dispatch import Executed
from api.exchange import Exchange
from api.journal import read_command, read_outcome
from api.recovery import check_database
from api.replay import state_digest
from api.storage.store import Store, open_store
from vaults.commands import Command, Outcome
from vaults.invariants import first_violation

AGAIN = 6
"""Answered commands that are sent again after each fault."""


class BrokenPromiseError(AssertionError):
    """Something was lost, done twice, changed, or does not add up."""


def promise(holds: bool, words: str) -> None:
    """Raise where a promise does not hold."""
    if not holds:
        raise BrokenPromiseError(words)


class Witness:
    """Knows every answer there was, and carries every record out once more, on a twin.

    The twin is an exchange without a fault, a crash or a commit: what a record of the journal
    holds must be what the twin decides, to the last byte.

    Args:
        folder: Where the twin's database goes.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._store = open_store(folder / "twin.sqlite")
        self.twin = Exchange(self._store)
        self.answered: dict[str, tuple[Command, int, Outcome]] = {}
        self._sequences: dict[str, int] = {}

    def close(self) -> None:
        """Let the twin go."""
        self._store.close()

    def acknowledge(self, command: Command, executed: Executed) -> None:
        """Keep an answer that a caller was given; the same key always has the same."""
        key, sequence = executed.record.key, executed.record.sequence
        before = self.answered.setdefault(key, (command, sequence, executed.outcome))
        promise(before[1:] == (sequence, executed.outcome), f"{key} was answered differently")

    def verify(self, store: Store) -> None:
        """Look at a database whose writer is away.

        Raises:
            BrokenPromiseError: An answer is not in it, or anything does not add up.
        """
        for record in store.journal(after=self.twin.journal_length):
            executed = self.twin.execute(read_command(record), record.key)
            promise(executed.record == record, f"record {record.sequence} was decided differently")
            self._sequences[record.key] = record.sequence
        last = store.last_record()
        promise(last is None or last.sequence == len(self._sequences), "records are missing")
        for key, (_, sequence, outcome) in self.answered.items():
            promise(self._sequences.get(key) == sequence, f"{key} was answered, and is lost")
            known = self.twin.recall(key)
            promise(known is not None and read_outcome(known.outcome) == outcome, f"{key} changed")
        faults = check_database(store).faults
        promise(not faults, f"the journal does not rebuild the rows: {faults}")

    @property
    def digest(self) -> bytes:
        """The digest of the last record, which covers all before it."""
        last = max(self._sequences, key=self._sequences.__getitem__)
        record = self.twin.recall(last)
        assert record is not None
        return record.digest

    def has(self, key: str) -> bool:
        """Whether a key was in the journal when it was last verified."""
        return key in self._sequences

    def compare(self, exchange: Exchange, chance: random.Random) -> None:
        """Compare an exchange that has started again with the twin.

        Raises:
            BrokenPromiseError: They differ, an invariant is broken, or a key is answered anew.
        """
        memory, length = exchange.memory, exchange.journal_length
        differences = memory.differences(self.twin.memory)
        promise(not differences, f"another state than without faults: {differences}")
        promise(state_digest(exchange) == state_digest(self.twin), "another digest")
        for name, token in memory.tokens.items():
            broken = int(first_violation(token.state, token.rules, memory.market))
            promise(not broken, f"I{broken} is broken in {name}")
        for key in chance.sample(sorted(self.answered), min(AGAIN, len(self.answered))):
            command, sequence, outcome = self.answered[key]
            again = exchange.execute(command, key)
            promise((again.record.sequence, again.outcome) == (sequence, outcome), f"{key} again")
        promise(exchange.journal_length == length, "a command was done twice")
