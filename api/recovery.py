"""Reading a state back: from its rows, or by applying the journal; the two must agree."""

from typing import NamedTuple

import msgspec

from api.journal import (
    FIRST_DIGEST,
    digest_of,
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
    """Return the state as the rows have it: that of the last commit."""
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
    memory.remark()
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

    The chain of digests is followed on the way: a changed, missing or reordered record is named.
    """
    rebuilt = Memory(underlyings)
    faults: list[str] = []
    previous, expected = FIRST_DIGEST, 1
    for record in store.journal():
        if record.sequence != expected:
            faults.append(f"record {expected} is missing")
            break
        if digest_of(previous, record) != record.digest:
            faults.append(f"record {record.sequence} does not match its digest")
            break
        command, outcome = read_command(record), read_outcome(record.outcome)
        rebuilt.apply_record(
            record.sequence, command, outcome, read_moves(record), read_oracle(record)
        )
        previous, expected = record.digest, expected + 1
    if not faults:
        faults = rebuilt.differences(load_memory(store, underlyings))
    return Checked(expected - 1, len(rebuilt.tokens), faults)
