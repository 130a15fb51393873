"""What is in memory, and what a batch did, as rows of tables."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from api import journal
from api.dispatch import Executed
from api.history import topics_of
from api.memory import Memory
from vaults.commands import (
    Command,
    Credit,
    Debit,
    ListToken,
    Pause,
    PublishSurface,
    Restart,
    Resume,
    StartUnderlying,
    Tick,
    Withdraw,
)

Row = dict[str, Any]
Batch = Collection[tuple[Command, Executed]]
"""Commands and what they did, refused ones included."""
_OF_THE_MARKET = Tick | Restart | PublishSurface | StartUnderlying


def changes_market(batch: Batch) -> bool:
    """Whether a batch may have changed what all tokens share."""
    return any(isinstance(command, _OF_THE_MARKET) for command, _ in batch)


def oracle_rows(memory: Memory) -> Iterator[Row]:
    """Yield the oracle of every underlying."""
    for slot in range(len(memory.underlyings)):
        oracle = memory.market.oracle[slot]
        yield {"slot": slot, **dict(zip(oracle.dtype.names, oracle.item(), strict=True))}


def shape_rows(memory: Memory) -> Iterator[Row]:
    """Yield the surfaces of every underlying, in force and published."""
    for place, shapes in enumerate((memory.market.shapes, memory.market.published)):
        for underlying in range(len(memory.underlyings)):
            row = shapes[underlying]
            named = dict(zip(row.dtype.names, row.item(), strict=True))
            yield {"underlying": underlying, "slot": place, **named}


def minute_rows(memory: Memory) -> Iterator[Row]:
    """Yield the last hour's minutes of every underlying."""
    for underlying in range(len(memory.underlyings)):
        for slot, words in enumerate(memory.market.minutes[underlying].tolist()):
            if words[3]:
                named = zip(("minute", "low", "high", "last", "vol_e9"), words, strict=True)
                yield {"underlying": underlying, "slot": slot, **dict(named)}


def entry_rows(memory: Memory, batch: Batch) -> Iterator[tuple[str, int]]:
    """Yield the topics of every record."""
    for command, executed in batch:
        for topic in topics_of(memory, command, executed.outcome, executed.moves):
            yield topic, executed.record.sequence


def token_rows(memory: Memory, batch: Batch) -> Iterator[Row]:
    """Yield the tokens that were listed, paused or resumed."""
    numbers = {name: number for number, name in enumerate(memory.tokens)}
    changed = {each.token for each in _done(batch, ListToken | Pause | Resume)}
    for name in sorted(changed, key=numbers.__getitem__):
        listing = journal.listing_bytes(memory.tokens[name].listing)
        is_paused = int(name in memory.paused)
        yield {
            "number": numbers[name], "token": name, "listing": listing, "is_paused": is_paused
        }  # fmt: skip


def reference_rows(memory: Memory, batch: Batch) -> Iterator[Row]:
    """Yield the external references that were used."""
    for command in _done(batch, Credit | Debit):
        if command.reference:
            sequence = memory.references[command.reference]
            yield {"reference": command.reference, "sequence": sequence}


def withdrawal_rows(memory: Memory, batch: Batch) -> Iterator[Row]:
    """Yield the withdrawals that were asked for or completed."""
    for command, executed in batch:
        if isinstance(command, Withdraw | Debit) and not executed.outcome.code:
            number = executed.outcome.row
            yield {"number": number, **memory.withdrawals[number - 1]._asdict()}


def waiting_rows(memory: Memory, numbers: Iterable[int]) -> Iterator[Row]:
    """Yield queued closes."""
    for number in numbers:
        waiting = memory.queue[number]
        command = journal.close_bytes(waiting.command)
        yield {"number": number, "underlying": waiting.underlying, "command": command}


def _done(batch: Batch, kinds: Any) -> Iterator[Any]:
    """Yield the commands of some kinds that were carried out."""
    for command, executed in batch:
        if isinstance(command, kinds) and not executed.outcome.code:
            yield command
