"""Reading a state back: from its rows, or by applying the journal; the two must agree."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import msgspec

from api.actions import Action
from api.anchor import Anchor
from api.checkpoint import CHECKPOINT
from api.flush_rows import FlushRows
from api.history import topics_of
from api.journal import (
    FIRST_DIGEST,
    HEAD,
    Moves,
    Record,
    digest_of,
    head_of,
    read_close,
    read_command,
    read_moves,
    read_oracle,
    read_outcome,
    read_versions,
)
from api.memory import Memory, Token, Waiting, Withdrawal
from api.storage.errors import StoreError, reason_of
from api.storage.reading import Reading
from api.tables import (
    ACCOUNTS,
    ACTIONS,
    MINUTES,
    ORACLES,
    REFERENCES,
    SHAPES,
    STATE,
    TOKENS,
    WAITING,
    WITHDRAWALS,
)
from vaults.commands import Command, ListToken, Outcome
from vaults.effects import list_live
from vaults.market import refresh_window
from vaults.moves import FLOWS
from vaults.state import State, empty_state

COUNT_EVERY = 1_000
"""Records between two words on how many were read."""

Count = Callable[[int], object]


def load_memory(store: Reading, underlyings: tuple[str, ...]) -> Memory:
    """Return the state of the last commit: the rows, and what the journal has after them."""
    memory = load_rows(store, underlyings)
    catch_up(store, memory, checkpoint_of(store))
    return memory


def checkpoint_of(store: Reading) -> int:
    """Return the number of the last record the rows know of, 0 where there are none."""
    return int(store.setting(CHECKPOINT) or 0)


def catch_up(store: Reading, memory: Memory, sequence: int) -> tuple[int, bytes]:
    """Apply the journal after a record to the state as it was then; return its end.

    Returns:
        Number and digest of the last record, 0 and `FIRST_DIGEST` where there is none.

    Raises:
        StoreError: The journal is not whole, or cannot be read.
    """
    digest = FIRST_DIGEST
    with _told("the state"):
        for token in memory.tokens.values():
            list_live(token.state)  # what is replayed opens and closes series
    with _told("the journal"):
        if sequence:
            before = store.record(sequence)
            if before is None:
                raise StoreError(f"record {sequence} is missing, of which there are rows")
            digest = before.digest
        for record in store.journal(after=sequence):
            fault = _fault_of(record, sequence + 1, digest)
            if fault:
                raise StoreError(f"the journal is damaged: {fault}")
            _book(memory, record)
            sequence, digest = record.sequence, record.digest
        faults = _faults_of_the_end(store, sequence, digest, 0)
    if faults:
        raise StoreError(f"the journal is damaged: {faults[0]}")
    memory.remark()
    return sequence, digest


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Tell in one line what cannot be read, whatever stands in the way."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        raise StoreError(f"{what} cannot be read: {reason_of(error)}") from error


def load_rows(store: Reading, underlyings: tuple[str, ...]) -> Memory:
    """Return the state as the rows have it; its marks are not yet computed.

    Raises:
        StoreError: They cannot be read, or are no state.
    """
    with _told("the state"):
        return _load_rows(store, underlyings)


def _load_rows(store: Reading, underlyings: tuple[str, ...]) -> Memory:
    memory = Memory(underlyings)
    memory.names = [row.name for row in store.rows(ACCOUNTS)]
    memory.account_ids = {name: place for place, name in enumerate(memory.names)}
    for row in store.rows(ORACLES):
        memory.market.oracle[row[0]] = tuple(row[1:])
    for row in store.rows(MINUTES):
        memory.market.minutes[row[0], row[1]] = row[2:]
    for underlying, place, *words in store.rows(SHAPES):
        rows = memory.market.published if place else memory.market.shapes
        rows[underlying] = tuple(words)
    for slot in range(len(underlyings)):
        refresh_window(memory.market, slot)
    for number, underlying, command in store.rows(WAITING):
        memory.queue[number] = Waiting(underlying, read_close(command))
    memory.references = {row.reference: row.sequence for row in store.rows(REFERENCES)}
    memory.withdrawals = [Withdrawal(*row[1:]) for row in store.rows(WITHDRAWALS)]
    memory.load_actions([Action(*row[1:]) for row in store.rows(ACTIONS)])
    _load_tokens(store, memory)
    return memory


def _load_tokens(store: Reading, memory: Memory) -> None:
    """Fill in every token: how it is listed, its rules and its state."""
    states = _load_states(store)
    for _, token, listing, is_paused, written in store.rows(TOKENS):
        command = msgspec.msgpack.decode(listing, type=ListToken)
        state = states[token]
        in_use = state.accounts[: state.pool[0].account_count]
        slots = {int(row.account_id): slot for slot, row in enumerate(in_use)}
        versions = read_versions(written)
        rules = memory.rules_of(versions.in_force.parameters, command.terms)
        memory.tokens[token] = Token(command, rules, state, slots, versions)
        if is_paused & 1:
            memory.paused.add(token)
        if is_paused & 2:
            memory.held.add(token)


def _load_states(store: Reading) -> dict[str, State]:
    """Return the state of every token, from the rows of all tables."""
    tables = {part: store.rows(table) for part, table in STATE.items()}
    counts: dict[str, int] = {}
    for rows in tables.values():
        for row in rows:
            counts[row[0]] = max(counts.get(row[0], 0), row[1] + 1)
    states = {token: empty_state(FLOWS, max(64, count)) for token, count in counts.items()}
    for part, rows in tables.items():
        for token, slot, *words in rows:
            array = getattr(states[token], part)
            array[slot] = (
                tuple(words) if array.dtype.names else words if array.ndim > 1 else words[0]
            )
    return states


class Checked(NamedTuple):
    """What `db check` found: records read, tokens rebuilt, and everything that is wrong."""

    records: int
    tokens: int
    faults: list[str]


class Verified(NamedTuple):
    """What `db verify` found: the last record that is as it was written, and what is wrong."""

    last: Anchor
    faults: list[str]


def check_journal(store: Reading, count: Count = int, kept: Anchor | None = None) -> Verified:
    """Follow the chain of digests, past an anchor that was `kept` elsewhere, if there is one.

    `count` is told now and then how many records agree.
    """
    last = Anchor(0, FIRST_DIGEST)
    faults = _faults_at(last, kept)
    with closing(store.journal()) as journal:
        for record in journal:
            fault = _fault_of(record, last.sequence + 1, last.digest)
            if fault:
                return Verified(last, [*faults, fault])
            last = Anchor(record.sequence, record.digest)
            faults += _faults_at(last, kept)
            if last.sequence % COUNT_EVERY == 0:
                count(last.sequence)
    if kept is not None and kept.sequence > last.sequence:
        faults.append(f"record {kept.sequence} is missing, which was expected")
    return Verified(last, faults + _faults_of_the_end(store, *last, checkpoint_of(store)))


def _faults_at(last: Anchor, kept: Anchor | None) -> list[str]:
    """Return what is wrong with a record where another was kept under its number."""
    if kept is None or kept.sequence != last.sequence or kept.digest == last.digest:
        return []
    return [f"record {kept.sequence} is not the one that was expected"]


def check_database(
    store: Reading, underlyings: tuple[str, ...] = ("BTC", "ETH"), count: Count = int
) -> Checked:
    """Rebuild the state from the journal and compare it, integer by integer, with the rows.

    The chain of digests is followed on the way: a changed, missing or reordered record is named,
    and an end that is not the one last written. So are rows of history and of flushes, bundles
    included, that are not what the records imply. `count` is told now and then how many were read.

    Raises:
        StoreError: It cannot be read.
    """
    rebuilt, history = Memory(underlyings), ""
    flushes = FlushRows(store, rebuilt)
    saved, checkpoint = load_rows(store, underlyings), checkpoint_of(store)
    faults = [] if checkpoint else rebuilt.differences(saved)
    previous, expected = FIRST_DIGEST, 1
    with closing(store.journal()) as journal, closing(_topics_by_record(store)) as stored:
        for record in journal:
            fault = _fault_of(record, expected, previous)
            if fault:
                return Checked(expected - 1, len(rebuilt.tokens), [fault])
            opened = flushes.opened(record)
            topics = _apply(rebuilt, record)
            if opened is not None:
                flushes.compare(record, opened)
            if topics and not history and next(stored, None) != (expected, topics):
                history = f"history at record {expected} or before"
            if record.sequence == checkpoint:
                faults = rebuilt.differences(saved)
            if expected % COUNT_EVERY == 0:
                count(expected)
            previous, expected = record.digest, expected + 1
        if not history and next(stored, None) is not None:
            history = "history after the last record"
    faults += _faults_of_the_end(store, expected - 1, previous, checkpoint) + flushes.faults()
    return Checked(expected - 1, len(rebuilt.tokens), [history, *faults] if history else faults)


def _fault_of(record: Record, expected: int, previous: bytes) -> str:
    """Return what is wrong with a record where another was to be expected, empty if nothing is."""
    if record.sequence != expected:
        return f"record {expected} is missing"
    if digest_of(previous, record) != record.digest:
        return f"record {expected} does not match its digest"
    return ""


def _faults_of_the_end(store: Reading, last: int, digest: bytes, checkpoint: int) -> list[str]:
    """Return what is wrong where the journal has come to its end."""
    head = store.setting(HEAD) or head_of(0, FIRST_DIGEST)
    faults = [] if head == head_of(last, digest) else [f"the journal ends at record {last}"]
    if checkpoint > last:
        faults.append(f"rows of record {checkpoint}, which is missing")
    return faults


def _topics_by_record(store: Reading) -> Generator[tuple[int, set[str]]]:
    """Yield the numbers of records that have topics, in order, with all of these."""
    with closing(store.entries()) as entries:
        for sequence, rows in groupby(entries, key=itemgetter(1)):
            yield sequence, {topic for topic, _ in rows}


def _apply(memory: Memory, record: Record) -> set[str]:
    """Apply a record; return the topics it belongs to."""
    return topics_of(memory, *_book(memory, record))


def _book(memory: Memory, record: Record) -> tuple[Command, Outcome, dict[str, Moves]]:
    """Apply a record; return what was asked, answered and moved."""
    command, outcome, moves = read_command(record), read_outcome(record.outcome), read_moves(record)
    memory.apply_record(record.sequence, command, outcome, moves, read_oracle(record))
    return command, outcome, moves
