"""History, read from the journal by topic, while the writer works.

Topics, each a list of journal records:

    account/{name}    commands naming the account, refused ones too, and whatever moved its money
    trades/{token}    openings and closings that were carried out
    flushes/{token}   flushes that were done
    fill/{order}      the closing that carried a queued one out, or what it was refused for
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from api.journal import Moves, Record, read_command, read_moves, read_outcome
from api.memory import Memory
from api.storage.reading import Reading
from vaults.commands import Close, Command, Debit, Flush, Open, Outcome
from vaults.moves import Bucket, Flow, Move
from vaults.state import NONE

_TRANSFER = Move.TRANSFER.value
_KIND, _SOURCE, _TARGET, _ACCOUNT, _AMOUNT, _FLOW = range(6)
"""Places in a transfer."""
_ORDERS = (Open, Close)
_PREMIUM = frozenset({Flow.PREMIUM_MAIN.name, Flow.PREMIUM_INSURANCE.name})


class Entry(NamedTuple):
    """A record of the journal as values; moves by token, of shape (n, MOVE_WIDTH)."""

    sequence: int
    now_ms: int
    command: Command
    outcome: Outcome
    moves: dict[str, Moves]


class LedgerLine(NamedTuple):
    """One transfer into, out of, or on behalf of an account, in base units.

    `line` counts the account's lines of a record from 0; `source` and `target` are names of
    `Bucket`, `flow` of `Flow`.
    """

    sequence: int
    line: int
    now_ms: int
    token: str
    flow: str
    source: str
    target: str
    amount: int

    @property
    def is_premium(self) -> bool:
        """Whether premium was paid, to main or to insurance."""
        return self.flow in _PREMIUM


def topics_of(
    memory: Memory, command: Command, outcome: Outcome, moves: dict[str, Any]
) -> set[str]:
    """Return the topics a command belongs to; `memory` is as it was left by it, or later."""
    if isinstance(command, _ORDERS):
        topics = {f"account/{command.account}"}
        if not (outcome.code or outcome.queued):
            topics.add(f"trades/{command.token}")
        if isinstance(command, Close) and command.order:
            topics.add(f"fill/{command.order}")
        return topics
    account = getattr(command, "account", None)
    if account is not None:
        return {f"account/{account}"}
    topics = {f"account/{name}" for name in _moved(memory, moves)}
    if isinstance(command, Debit) and not outcome.code:
        topics.add(f"account/{memory.withdrawals[outcome.row - 1].account}")
    if isinstance(command, Flush) and outcome.done and not outcome.code:
        topics.add(f"flushes/{command.token}")
    return topics


def _moved(memory: Memory, moves: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the accounts transfers were for."""
    for token, rows in moves.items():
        is_transfer = rows[:, _KIND] == _TRANSFER
        if is_transfer.any():
            for slot in set(rows[is_transfer, _ACCOUNT].tolist()) - {NONE}:
                yield memory.account_name(token, slot)


def entry_of(record: Record) -> Entry:
    """Return a record as values."""
    command, outcome = read_command(record), read_outcome(record.outcome)
    return Entry(record.sequence, record.now_ms, command, outcome, read_moves(record))


def read_entries(
    store: Reading, topic: str, before: int | None, limit: int, *, is_current: bool = False
) -> list[Entry]:
    """Return the newest committed entries of a topic, the newest first.

    Args:
        store: The database.
        topic: One of those above.
        before: Only records of smaller numbers; None for the newest there are.
        limit: Entries at most.
        is_current: Whether the last ones must be among them; a replica may be behind.
    """
    records = store.records_on(topic, before, limit, is_current=is_current)
    return [entry_of(record) for record in records]


def entry(store: Reading, sequence: int) -> Entry | None:
    """Return one committed record, None where there is no such number."""
    record = store.record(sequence)
    return None if record is None else entry_of(record)


def ledger_lines(each: Entry, account: str, slot_of: Callable[[str, str], int]) -> list[LedgerLine]:
    """Return the transfers of an entry that touch an account, in the order they were made.

    Args:
        each: The entry.
        account: Name of the account.
        slot_of: Gives the account's row in a token, by the names of token and account:
            `Memory.slot_of`.
    """
    lines: list[LedgerLine] = []
    for token, rows in each.moves.items():
        slot = slot_of(token, account)
        if slot == NONE:
            continue
        for row in rows[(rows[:, _KIND] == _TRANSFER) & (rows[:, _ACCOUNT] == slot)].tolist():
            lines.append(
                LedgerLine(
                    each.sequence,
                    len(lines),
                    each.now_ms,
                    token,
                    Flow(row[_FLOW]).name,
                    Bucket(row[_SOURCE]).name,
                    Bucket(row[_TARGET]).name,
                    row[_AMOUNT],
                )
            )
    return lines
