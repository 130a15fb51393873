"""Accounts: balances, positions and the money that moved."""

from collections.abc import Iterator

from amm.units import AMOUNT_MAX, DAY_MS, units_down
from api.dispatch import Executed, own_position
from api.history import LedgerLine
from api.instruments import Series, position_name
from api.memory import Memory, Token
from api.views import market
from api.views.numbers import fixed, rounded
from api.wire import (
    Account,
    Balance,
    Deposit,
    Position,
    PremiumPayment,
    Transfer,
    Withdrawal,
)
from api.wire import LedgerLine as LineGiven
from vaults.account import spendable
from vaults.capacity import lock_of
from vaults.commands import Command, Credit, MoveBalance, Withdraw
from vaults.moves import Bucket, RequestKind, RequestStatus
from vaults.opening import find_position as find_in_series
from vaults.premium import owed_by_account, owed_by_position, premium_for, reserve_of
from vaults.state import NONE

_DEPOSITS = (RequestKind.DEPOSIT_MAIN, RequestKind.DEPOSIT_INSURANCE)


def position_rows(held: Token, account_slot: int) -> Iterator[int]:
    """Yield the rows of an account's positions in one token."""
    slot = int(held.state.accounts[account_slot].first_position) if account_slot != NONE else NONE
    while slot != NONE:
        yield slot
        slot = int(held.state.positions[slot].next_in_account)


def find_position(memory: Memory, account: str, token: str, position_id: int) -> int:
    """Return the row of an account's position, NONE where it has no such one."""
    if token not in memory.tokens:
        return NONE
    return own_position(memory.tokens[token], memory.slot_of(token, account), position_id)


def position_in(memory: Memory, account: str, series: Series) -> int:
    """Return the number of an account's position in a series, NONE where it has none."""
    if series.token not in memory.tokens or series.underlying not in memory.underlyings:
        return NONE
    state, account_slot = memory.tokens[series.token].state, memory.slot_of(series.token, account)
    wanted = market.find(memory, series)
    if NONE in (account_slot, wanted):
        return NONE
    slot = find_in_series(state, account_slot, wanted)
    return NONE if slot == NONE else int(state.positions["position_id"][slot])


def position(memory: Memory, token: str, slot: int, now_ms: int) -> Position:
    """Return a position at the mark."""
    held = memory.tokens[token]
    row = held.state.positions[slot]
    series, mark = held.state.series[int(row.series)], held.state.marks[int(row.series)]
    notional = int(row.notional)
    return Position(
        id=position_name(token, int(row.position_id)),
        instrument=market.series_of(memory, token, int(row.series)).name,
        notional=fixed(notional),
        mark=rounded(float(mark.value)),
        value=fixed(_value(held, slot)),
        premium_owed=fixed(owed_by_position(held.state, held.rules, slot, now_ms)),
        premium_per_day=fixed(premium_for(notional, mark.rate_e15, DAY_MS)),
        impact_paid=fixed(row.impact_paid),
        lock=fixed(lock_of(notional, series.cap_ppm)),
        self_funding=bool(row.self_funding),
    )


def positions(memory: Memory, account: str, now_ms: int) -> list[Position]:
    """Return all positions of an account, newest first within a token."""
    return [
        position(memory, name, slot, now_ms)
        for name, held in memory.tokens.items()
        for slot in position_rows(held, memory.slot_of(name, account))
    ]


def _balance(memory: Memory, name: str, slot: int, now_ms: int) -> Balance:
    held = memory.tokens[name]
    state, rules = held.state, held.rules
    row = state.accounts[slot]
    owed = int(owed_by_account(state, rules, slot, now_ms))
    value = sum(_value(held, each) for each in position_rows(held, slot))
    per_day = int(reserve_of(state, slot, DAY_MS))
    free = max(int(row.balance) - owed, 0)
    days = free / per_day if per_day else None
    asked = state.requests[: state.pool[0].request_count]
    escrowed = (asked.account == slot) & (asked.status == RequestStatus.OPEN)
    escrowed &= (asked.kind == _DEPOSITS[0]) | (asked.kind == _DEPOSITS[1])
    return Balance(
        token=name,
        balance=fixed(row.balance),
        withdrawable=fixed(spendable(state, rules, slot, now_ms)),
        premium_owed=fixed(owed),
        positions_value=fixed(value),
        equity=fixed(int(row.balance) - owed + value),
        premium_per_day=fixed(per_day),
        days_covered=rounded(min(days, AMOUNT_MAX / DAY_MS), 4) if days is not None else None,
        next_check=None if days is None else now_ms + int(min(days * DAY_MS, AMOUNT_MAX / 2)),
        escrowed=fixed(int(asked.amount[escrowed].sum())),
        main_shares=fixed(row.main_shares),
        insurance_shares=fixed(row.insurance_shares),
    )


def _value(held: Token, slot: int) -> int:
    """Return a position's value at the last mark, rounded down."""
    row = held.state.positions[slot]
    return int(units_down(float(row.notional) * float(held.state.marks[int(row.series)].value)))


def account(memory: Memory, name: str, now_ms: int) -> Account:
    """Return an account: a balance for each token it has ever held."""
    slots = {token: memory.slot_of(token, name) for token in memory.tokens}
    return Account(
        account=name,
        exchange_time=now_ms,
        balances=[
            _balance(memory, token, slot, now_ms) for token, slot in slots.items() if slot != NONE
        ],
    )


def ledger_line(line: LedgerLine) -> LineGiven:
    """Return a move of money."""
    return LineGiven(
        id=f"{line.sequence}.{line.line}",
        exchange_time=line.now_ms,
        token=line.token,
        flow=line.flow.lower(),
        debited=line.source.lower(),
        credited=line.target.lower(),
        amount=fixed(line.amount),
    )


def premium_payment(line: LedgerLine) -> PremiumPayment:
    """Return a settlement of premium."""
    return PremiumPayment(
        id=f"{line.sequence}.{line.line}",
        exchange_time=line.now_ms,
        token=line.token,
        to="main" if line.target == Bucket.MAIN.name else "insurance",
        amount=fixed(line.amount),
    )


def deposit(sequence: int, command: Command) -> Deposit:
    """Return a deposit that was booked, by the number and the command of its record."""
    assert isinstance(command, Credit)
    return Deposit(
        id=str(sequence),
        token=command.token,
        amount=fixed(command.amount),
        exchange_time=command.now_ms,
        reference=command.reference or None,
    )


def withdrawal_asked(executed: Executed) -> Withdrawal:
    """Return a withdrawal as it was when it was asked for."""
    command = executed.command
    assert isinstance(command, Withdraw)
    return Withdrawal(
        id=position_name(command.token, executed.outcome.row),
        account=command.account,
        token=command.token,
        amount=fixed(command.amount),
        status="pending",
        destination=command.destination or None,
        requested=command.now_ms,
        completed=None,
        reference=None,
    )


def transfer(executed: Executed) -> Transfer:
    """Return a balance that was moved between generations."""
    command = executed.command
    assert isinstance(command, MoveBalance)
    return Transfer(
        id=str(executed.record.sequence),
        token=command.token,
        target=command.target,
        amount=fixed(command.amount),
        exchange_time=executed.record.now_ms,
    )


def withdrawal(memory: Memory, number: int) -> Withdrawal:
    """Return a withdrawal by its number."""
    asked = memory.withdrawals[number - 1]
    return Withdrawal(
        id=position_name(asked.token, number),
        account=asked.account,
        token=asked.token,
        amount=fixed(asked.amount),
        status="completed" if asked.completed_ms else "pending",
        destination=asked.destination or None,
        requested=asked.asked_ms,
        completed=asked.completed_ms or None,
        reference=asked.reference or None,
    )
