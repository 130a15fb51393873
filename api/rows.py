"""What is in memory as rows of tables."""

from collections.abc import Iterable, Iterator
from typing import Any

from api import journal
from api.dispatch import Executed
from api.done import Flushing
from api.history import topics_of
from api.memory import Memory, Withdrawal
from vaults.commands import Flush

Row = dict[str, Any]


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


def entry_rows(memory: Memory, batch: Iterable[Executed]) -> Iterator[tuple[str, int]]:
    """Yield the topics of every record."""
    for each in batch:
        for topic in topics_of(memory, each.command, each.outcome, each.moves):
            yield topic, each.record.sequence


def flush_row(memory: Memory, executed: Executed, done: Flushing) -> Row:
    """Return a flush that was done just now, with its bundle."""
    command, outcome = executed.command, executed.outcome
    assert isinstance(command, Flush)
    pool = memory.tokens[command.token].state.pool[0]
    return {
        "token": command.token,
        "number": int(pool.flushes),
        "now_ms": command.now_ms,
        "nav_opened": done.nav_opened,
        "nav": outcome.nav[0],
        "main_shares": outcome.shares[0],
        "nav_after": int(pool.closed_nav),
        "main_shares_after": int(pool.main_shares),
        "insurance_opened": done.insurance_opened,
        "insurance_shares": done.insurance_shares,
        "insurance_after": int(pool.closed_insurance),
        "insurance_shares_after": int(pool.insurance_shares),
        "digest": outcome.bundle,
        "bundle": done.bundle,
    }


def token_rows(memory: Memory) -> Iterator[Row]:
    """Yield every token: as it was listed, whether it is paused, its parameters' versions."""
    for number, (name, token) in enumerate(memory.tokens.items()):
        listing = journal.listing_bytes(token.listing)
        yield {
            "number": number,
            "token": name,
            "listing": listing,
            "is_paused": int(name in memory.paused) + 2 * int(name in memory.held),
            "versions": journal.versions_bytes(token.versions),
        }


def action_rows(memory: Memory) -> Iterator[Row]:
    """Yield every corporate action."""
    for number, action in enumerate(memory.actions, 1):
        yield {"number": number, **action._asdict()}


def reference_rows(memory: Memory, after: int) -> Iterator[Row]:
    """Yield the external references that were used after a record."""
    for reference, sequence in reversed(memory.references.items()):
        if sequence <= after:
            return
        yield {"reference": reference, "sequence": sequence}


def withdrawal_rows(memory: Memory, known: list[Withdrawal]) -> Iterator[Row]:
    """Yield the withdrawals that are not as they were known."""
    for number, withdrawal in enumerate(memory.withdrawals, 1):
        if number > len(known) or withdrawal != known[number - 1]:
            yield {"number": number, **withdrawal._asdict()}


def waiting_rows(memory: Memory, numbers: Iterable[int]) -> Iterator[Row]:
    """Yield queued closes."""
    for number in numbers:
        waiting = memory.queue[number]
        command = journal.close_bytes(waiting.command)
        yield {"number": number, "underlying": waiting.underlying, "command": command}
