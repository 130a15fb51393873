"""What a command did, as its handler says it."""

from typing import Any, NamedTuple

from api.memory import Token
from vaults.commands import Outcome
from vaults.rejects import Refusal, Reject


class Flushing(NamedTuple):
    """A flush that was done: its bundle as JSON, and what the pools began the epoch with."""

    bundle: bytes
    nav_opened: int
    insurance_opened: int
    insurance_shares: int


class Done(NamedTuple):
    """An answer, the moves made by token, and the oracle state where a tick changed it.

    `flushing` is there where a flush was done.
    """

    outcome: Outcome
    moves: dict[str, Any]
    oracle: tuple[int, ...]
    flushing: Flushing | None = None


def refuse(code: Reject, limit: int = 0, actual: int = 0) -> Done:
    """Return a refusal."""
    return Done(Outcome(code=int(code), limit=limit, actual=actual), {}, ())


def answer(refusal: Refusal, **results: Any) -> Outcome:
    """Return the answer of a kernel: its refusal, or the results."""
    if refusal.code != Reject.NONE:
        code, limit, actual = (int(each) for each in refusal)
        return Outcome(code=code, limit=limit, actual=actual)
    return Outcome(**results)


def moves_of(name: str, token: Token) -> dict[str, Any]:
    """Return a copy of what a token's log holds."""
    count = int(token.state.log_count[0])
    return {name: token.state.log[:count].copy()} if count else {}
