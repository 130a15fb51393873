"""The journal: commands with everything they produced, as rows and back.

A record holds the command, its answer and every integer it produced: the moves of each token and,
for a tick, the oracle's new state. Applying those rebuilds the state bit for bit on any machine
and release; nothing is decided again. Each record's digest covers the one before it, so a record
cannot be changed or lost unnoticed.
"""

import hashlib
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from api.versions import Versions
from vaults import commands
from vaults.commands import Command, Outcome
from vaults.state import MOVE_WIDTH

RULES_VERSION = "4"
"""Changes whenever the same inputs would be decided differently."""

FIRST_DIGEST = bytes(32)
HEAD = "head"
"""The setting that holds number and digest of the last record: a lost end is noticed too."""
_WHEN_TAKEN = frozenset({"now_ms", "fill_after_ms"})
"""What of a command says when it was taken, and not what was asked."""

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        commands.ListToken,
        commands.StartUnderlying,
        commands.Credit,
        commands.Withdraw,
        commands.Debit,
        commands.Open,
        commands.Close,
        commands.SetSelfFunding,
        commands.Pause,
        commands.Resume,
        commands.HoldDeposits,
        commands.AllowDeposits,
        commands.SetParameters,
        commands.AdoptParameters,
        commands.AnnounceAction,
        commands.WithdrawAction,
        commands.ApplyAction,
        commands.MoveBalance,
        commands.Tick,
        commands.Restart,
        commands.PublishSurface,
        commands.Check,
        commands.Request,
        commands.Cancel,
        commands.Flush,
    )
}
_DECODERS = {name: msgspec.msgpack.Decoder(kind) for name, kind in _KINDS.items()}
_VERSIONS = msgspec.msgpack.Decoder(Versions)
_OUTCOMES = msgspec.msgpack.Decoder(Outcome)
_MOVES = msgspec.msgpack.Decoder(dict[str, list[int]])
_ORACLE = msgspec.msgpack.Decoder(tuple[int, ...])
_encode = msgspec.msgpack.Encoder().encode

Moves = npt.NDArray[np.int64]


class Record(NamedTuple):
    """One row of the journal."""

    sequence: int
    key: str
    now_ms: int
    kind: str
    command: bytes
    outcome: bytes
    moves: bytes
    oracle: bytes
    rules_version: str
    digest: bytes


def make_record(
    previous: bytes,
    sequence: int,
    key: str,
    command: Command,
    written: bytes,
    outcome: Outcome,
    moves: dict[str, Moves],
    oracle: tuple[int, ...],
) -> Record:
    """Return the record of an executed (or refused) command.

    `previous` is the digest before it, `written` the command as `normal_form` wrote it.
    """
    record = Record(
        sequence=sequence,
        key=key,
        now_ms=command.now_ms,
        kind=type(command).__name__,
        command=written,
        outcome=_encode(outcome),
        moves=_encode({token: rows.ravel().tolist() for token, rows in moves.items()}),
        oracle=_encode(oracle),
        rules_version=RULES_VERSION,
        digest=b"",
    )
    return record._replace(digest=digest_of(previous, record))


def digest_of(previous: bytes, record: Record) -> bytes:
    """Return the SHA-256 of a record's fields, chained to the digest before it."""
    digest = hashlib.sha256(previous)
    head = f"{record.sequence}\n{record.key}\n{record.now_ms}\n{record.kind}\n"
    digest.update(head.encode() + record.rules_version.encode())
    for part in (record.command, record.outcome, record.moves, record.oracle):
        digest.update(len(part).to_bytes(8) + part)
    return digest.digest()


def head_of(sequence: int, digest: bytes) -> str:
    """Return what the head is after a record."""
    return f"{sequence} {digest.hex()}"


class MalformedCommandError(ValueError):
    """A command the journal could not give back: a wrong type, or text or a number beyond it."""


Given = TypeVar("Given", bound=Command)


def normal_form(command: Given) -> tuple[Given, bytes]:
    """Return a command as the journal would give it back, of plain types alone, and as written.

    What cannot be written, or would come back as something else, must not be executed: it could
    never be rebuilt.

    Raises:
        MalformedCommandError: For such a command.
    """
    try:
        written = _encode(command)
        again: Given = _DECODERS[type(command).__name__].decode(written)
    except (KeyError, TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise MalformedCommandError(f"{type(command).__name__}: {error}") from None
    if again != command:
        raise MalformedCommandError(f"{command!r} is not what it would be read back as")
    return again, written


def is_same_request(record: Record, command: Command) -> bool:
    """Whether a record holds this command; when it was taken does not count."""
    if record.kind != type(command).__name__:
        return False
    before = read_command(record)
    asked = (name for name in type(command).__slots__ if name not in _WHEN_TAKEN)
    return all(getattr(before, name) == getattr(command, name) for name in asked)


def listing_bytes(listing: commands.ListToken) -> bytes:
    """Return a listing as the token table keeps it."""
    return _encode(listing)


def versions_bytes(versions: Versions) -> bytes:
    """Return the versions of a token's parameters as the token table keeps them."""
    return _encode(versions)


def read_versions(written: bytes) -> Versions:
    """Return the versions of a token's parameters."""
    return _VERSIONS.decode(written)


def read_command(record: Record) -> Command:
    """Return the command of a record."""
    command: Command = _DECODERS[record.kind].decode(record.command)
    return command


def close_bytes(command: commands.Close) -> bytes:
    """Return a queued close as the table of those keeps it."""
    return _encode(command)


def read_close(command: bytes) -> commands.Close:
    """Return a queued close."""
    close: commands.Close = _DECODERS["Close"].decode(command)
    return close


def read_outcome(outcome: bytes) -> Outcome:
    """Return the answer of a record."""
    return _OUTCOMES.decode(outcome)


def read_moves(record: Record) -> dict[str, Moves]:
    """Return the moves of a record by token, each of shape (n, MOVE_WIDTH)."""
    return {
        token: np.array(words, dtype=np.int64).reshape(-1, MOVE_WIDTH)
        for token, words in _MOVES.decode(record.moves).items()
    }


def read_oracle(record: Record) -> tuple[int, ...]:
    """Return the oracle state a tick or restart produced; empty for other commands."""
    return _ORACLE.decode(record.oracle)
