"""The rows of channels that tell what happened: what every command that became durable did."""

from typing import Any

from api.dispatch import Executed
from api.history import Entry, ledger_lines, topics_of
from api.memory import Memory, Waiting
from api.views import accounts, orders
from vaults.commands import Close, Open, Outcome


def accounts_of(memory: Memory, done: Executed) -> list[str]:
    """Return the accounts that a command was of, or moved money of."""
    topics = topics_of(memory, done.command, done.outcome, done.moves)
    return [topic[8:] for topic in topics if topic.startswith("account/")]


def entry_of(done: Executed) -> Entry:
    """Return a command as history has it."""
    record = done.record
    return Entry(record.sequence, record.now_ms, done.command, done.outcome, done.moves)


def names_of_order(done: Executed) -> list[tuple[str, str]]:
    """Return the kinds of channels, and whose or what token's, that an order is told in."""
    command, outcome = done.command, done.outcome
    if not isinstance(command, Open | Close):
        return []
    names = [("orders", command.account)]
    if not (outcome.code or outcome.queued):
        names.append(("trades", command.token))
    return names


def event_rows(kind: str, of: str, memory: Memory, done: Executed) -> list[Any]:
    """Return what is told of a command in one of its channels."""
    if kind == "ledger":
        lines = ledger_lines(entry_of(done), of, memory.slot_of)
        return [accounts.ledger_line(line) for line in lines]
    if kind == "trades":
        return [orders.public_trade(memory, entry_of(done))]
    command = done.command
    number = command.order if isinstance(command, Close) else 0
    return [orders.order(memory, number or done.record.sequence, command, done.outcome)]


def queued_orders(memory: Memory, account: str) -> dict[str, Any]:
    """Return the closes of an account that wait for a fresh index."""
    return {
        str(number): orders.order(memory, number, waiting.command, _queued(memory, waiting))
        for number, waiting in memory.queue.items()
        if waiting.command.account == account
    }


def _queued(memory: Memory, waiting: Waiting) -> Outcome:
    """Return the outcome of a close that was queued; its position may have been sold since."""
    close = waiting.command
    slot = accounts.find_position(memory, close.account, close.token, close.position_id)
    series = -1 if slot < 0 else int(memory.tokens[close.token].state.positions[slot].series)
    return Outcome(row=close.position_id, queued=True, series=series)
