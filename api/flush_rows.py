"""The rows of flushes beside the journal: each is what its record made, and there are no others."""

from contextlib import closing
from hashlib import sha256

from api.dispatch import Executed
from api.done import Flushing
from api.journal import Record, read_command, read_outcome
from api.memory import Memory
from api.rows import flush_row
from api.storage.reading import Reading
from vaults.commands import Flush


class FlushRows:
    """Compares the rows with flushes, one by one, as the journal is applied.

    Args:
        store: Where the rows are.
        memory: What the journal is applied to.
    """

    def __init__(self, store: Reading, memory: Memory) -> None:
        self._store = store
        self._memory = memory
        self._first = ""
        self._others = 0

    def opened(self, record: Record) -> Flushing | None:
        """Return what a record that is yet to be applied begins with, where a flush was done."""
        if record.kind != Flush.__name__:
            return None
        command, outcome = read_command(record), read_outcome(record.outcome)
        assert isinstance(command, Flush)
        if outcome.code or not outcome.done:
            return None
        pool = self._memory.tokens[command.token].state.pool[0]
        opened = (pool.closed_nav, pool.closed_insurance, pool.insurance_shares)
        return Flushing(b"", *map(int, opened))

    def compare(self, record: Record, opened: Flushing) -> None:
        """Compare the row of a flush, now that its record has been applied."""
        command, outcome = read_command(record), read_outcome(record.outcome)
        executed = Executed(outcome, {}, (), record, command)
        implied = flush_row(self._memory, executed, opened) | {"bundle": outcome.bundle}
        token, number = implied["token"], implied["number"]
        row = self._store.flush(token, number)
        if row is None:
            self._tell(f"flush {number} of {token} is missing, of which there is a record")
            return
        found = row._asdict() | {"bundle": sha256(row.bundle).hexdigest()}
        wrong = [name for name, value in implied.items() if found[name] != value]
        if wrong:
            made = f"what record {record.sequence} made"
            self._tell(f"flush {number} of {token} is not {made}: {', '.join(wrong)}")

    def faults(self) -> list[str]:
        """Return which flush is wrong, all of the journal having been applied."""
        with closing(self._store.flush_numbers()) as numbers:
            for token, number in numbers:
                known = self._memory.tokens.get(token)
                if known is None or not 1 <= number <= known.state.pool[0].flushes:
                    self._tell(f"flush {number} of {token} has no record")
        if not self._first:
            return []
        return [
            self._first + (f"; flushes wrong beside it: {self._others}" if self._others else "")
        ]

    def _tell(self, fault: str) -> None:
        if self._first:
            self._others += 1
        self._first = self._first or fault
