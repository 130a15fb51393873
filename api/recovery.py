"""Reading a state back: from its rows, or by applying the journal; the two must agree."""

from collections.abc import Generator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import msgspec

from api.checkpoint import CHECKPOINT
from api.history import topics_of
from api.journal import (
    FIRST_DIGEST,
    HEAD,
    Record,
    digest_of,
    head_of,
    read_close,
    read_command,
    read_moves,
    read_oracle,
    read_outcome,
)
from api.memory import Memory, Token, Waiting, Withdrawal
from api.store import Store
from api.tables import (
    ACCOUNTS,
    MINUTES,
    ORACLES,
    REFERENCES,
    SHAPES,
    STATE,
    TOKENS,
    WAITING,
    WITHDRAWALS,
)
from vaults.commands import ListToken
from vaults.market import refresh_window
from vaults.moves import FLOWS
from vaults.state import State, empty_state


def load_memory(store: Store, underlyings: tuple[str, ...]) -> Memory:
    """Return the state of the last commit: the rows, and what the journal has after them."""
    memory = load_rows(store, underlyings)
    catch_up(store, memory, checkpoint_of(store))
    return memory


def checkpoint_of(store: Store) -> int:
    """Return the number of the last record the rows know of, 0 where there are none."""
    return int(store.setting(CHECKPOINT) or 0)


def catch_up(store: Store, memory: Memory, sequence: int) -> None:
    """Apply the journal after a record to the state as it was then."""
    for record in store.journal(after=sequence):
        command, outcome = read_command(record), read_outcome(record.outcome)
        moves, oracle = read_moves(record), read_oracle(record)
        memory.apply_record(record.sequence, command, outcome, moves, oracle)
    memory.remark()


def load_rows(store: Store, underlyings: tuple[str, ...]) -> Memory:
    """Return the state as the rows have it; its marks are not yet computed."""
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
    _load_tokens(store, memory)
    return memory


def _load_tokens(store: Store, memory: Memory) -> None:
    """Fill in every token: how it is listed, its rules and its state."""
    states = _load_states(store)
    for _, token, listing, is_paused in store.rows(TOKENS):
        command = msgspec.msgpack.decode(listing, type=ListToken)
        state = states[token]
        in_use = state.accounts[: state.pool[0].account_count]
        slots = {int(row.account_id): slot for slot, row in enumerate(in_use)}
        memory.tokens[token] = Token(command, memory.rules_of(command), state, slots)
        if is_paused:
            memory.paused.add(token)


def _load_states(store: Store) -> dict[str, State]:
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


def check_database(store: Store, underlyings: tuple[str, ...] = ("BTC", "ETH")) -> Checked:
    """Rebuild the state from the journal and compare it, integer by integer, with the rows.

    The chain of digests is followed on the way: a changed, missing or reordered record is named,
    and an end that is not the one last written.
    """
    rebuilt, history = Memory(underlyings), ""
    saved, checkpoint = load_rows(store, underlyings), checkpoint_of(store)
    faults = [] if checkpoint else rebuilt.differences(saved)
    previous, expected = FIRST_DIGEST, 1
    with closing(store.journal()) as journal, closing(_topics_by_record(store)) as stored:
        for record in journal:
            fault = _fault_of(record, expected, previous)
            if fault:
                return Checked(expected - 1, len(rebuilt.tokens), [fault])
            topics = _apply(rebuilt, record)
            if topics and not history and next(stored, None) != (expected, topics):
                history = f"history at record {expected} or before"
            if record.sequence == checkpoint:
                faults = rebuilt.differences(saved)
            previous, expected = record.digest, expected + 1
        if not history and next(stored, None) is not None:
            history = "history after the last record"
    faults += _faults_of_the_end(store, expected - 1, previous, checkpoint)
    return Checked(expected - 1, len(rebuilt.tokens), [history, *faults] if history else faults)


def _fault_of(record: Record, expected: int, previous: bytes) -> str:
    """Return what is wrong with a record where another was to be expected, empty if nothing is."""
    if record.sequence != expected:
        return f"record {expected} is missing"
    if digest_of(previous, record) != record.digest:
        return f"record {expected} does not match its digest"
    return ""


def _faults_of_the_end(store: Store, last: int, digest: bytes, checkpoint: int) -> list[str]:
    """Return what is wrong where the journal has come to its end."""
    head = store.setting(HEAD) or head_of(0, FIRST_DIGEST)
    faults = [] if head == head_of(last, digest) else [f"the journal ends at record {last}"]
    if checkpoint > last:
        faults.append(f"rows of record {checkpoint}, which is missing")
    return faults


def _topics_by_record(store: Store) -> Generator[tuple[int, set[str]]]:
    """Yield the numbers of records that have topics, in order, with all of these."""
    with closing(store.entries()) as entries:
        for sequence, rows in groupby(entries, key=itemgetter(1)):
            yield sequence, {topic for topic, _ in rows}


def _apply(memory: Memory, record: Record) -> set[str]:
    """Apply a record; return the topics it belongs to."""
    command, outcome, moves = read_command(record), read_outcome(record.outcome), read_moves(record)
    memory.apply_record(record.sequence, command, outcome, moves, read_oracle(record))
    return topics_of(memory, command, outcome, moves)
