"""The state as rows, saved now and then.

The journal alone is what an exchange consists of; the rows are there so that a restart need not
read all of it. They are those of one moment, the checkpoint: a restart reads them and applies what
the journal has after it. So a trade costs its record and no row, however many rows it changes.
"""

from typing import Any

from sqlalchemy import Table

from api import rows
from api.memory import Memory, Withdrawal
from api.storage.writes import Words, Writes, as_rows, delete, put, rows_that_differ, upsert
from api.tables import (
    ACCOUNTS,
    ACTIONS,
    MINUTES,
    ORACLES,
    REFERENCES,
    SETTINGS,
    SHAPES,
    STATE,
    TOKENS,
    WAITING,
    WITHDRAWALS,
)
from vaults.state import words_in_use

CHECKPOINT = "checkpoint"
"""The setting that holds the number of the last record the rows know of."""
RECORDS_MAX = 20_000
"""Records a restart may have to apply: less than half a second of its time."""


class Checkpoint:
    """What the rows in the database hold: the state after record `sequence`."""

    def __init__(self, memory: Memory, sequence: int) -> None:
        self.sequence = sequence
        self._words: dict[tuple[str, str], Words] = {
            (name, part): words_in_use(token.state, part).copy()
            for name, token in memory.tokens.items()
            for part in STATE
        }
        self._names = len(memory.names)
        self._queue = dict(memory.queue)
        self._withdrawals: list[Withdrawal] = list(memory.withdrawals)

    def is_due(self, sequence: int) -> bool:
        """Whether the journal has grown enough since."""
        return sequence - self.sequence >= RECORDS_MAX

    def save(self, memory: Memory, sequence: int, writes: Writes) -> None:
        """Have every row written that is not as it was saved.

        What counts as saved runs ahead of the commit: after one that fails, all is read again.
        """
        self._save_bookings(memory, writes)
        upsert(writes, ORACLES, rows.oracle_rows(memory))
        upsert(writes, MINUTES, rows.minute_rows(memory))
        upsert(writes, SHAPES, rows.shape_rows(memory))
        for name, token in memory.tokens.items():
            for part, table in STATE.items():
                self._save_words(name, part, table, words_in_use(token.state, part), writes)
        self.sequence = sequence
        upsert(writes, SETTINGS, [{"name": CHECKPOINT, "value": str(sequence)}])

    def _save_bookings(self, memory: Memory, writes: Writes) -> None:
        """Save what commands did beyond the states of tokens."""
        names = enumerate(memory.names[self._names :], self._names)
        upsert(writes, ACCOUNTS, ({"account_id": id_, "name": name} for id_, name in names))
        upsert(writes, TOKENS, rows.token_rows(memory))
        upsert(writes, ACTIONS, rows.action_rows(memory))
        upsert(writes, REFERENCES, rows.reference_rows(memory, self.sequence))
        upsert(writes, WITHDRAWALS, rows.withdrawal_rows(memory, self._withdrawals))
        changed = [each for each in memory.queue if self._queue.get(each) != memory.queue[each]]
        upsert(writes, WAITING, rows.waiting_rows(memory, changed))
        delete(writes, WAITING, self._queue.keys() - memory.queue.keys())
        self._names = len(memory.names)
        self._queue = dict(memory.queue)
        self._withdrawals = list(memory.withdrawals)

    def _save_words(self, name: str, part: str, table: Table, words: Any, writes: Writes) -> None:
        before = self._words.get((name, part))
        slots = rows_that_differ(words, before)
        put(writes, table, as_rows(name, words, slots))
        if before is None or len(before) != len(words):
            self._words[name, part] = words.copy()
        else:
            before[slots] = words[slots]
