"""From a command to the kernel that carries it out, and back to an answer.

What is checked here is only what kernels cannot see: names, references, and what an order says of
itself. Everything else is theirs.
"""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
import numpy as np

from amm.oracle import (
    VARIANCE_MAX_E12,
    Observation,
    OracleState,
    OracleVerdict,
    observe,
    restart,
)
from amm.surface import SurfaceError
from amm.units import AMOUNT_MAX, YEAR_MS
from api import operating
from api.done import Done, Flushing
from api.done import answer as _answer
from api.done import moves_of as _moves_of
from api.done import refuse as _refuse
from api.journal import Record
from api.memory import Memory, Token, Waiting, published_shape
from api.views import flushes
from vaults import account, closing, commands, flush, funding, opening, provide, tick
from vaults.commands import CALL, PUT, Command, Outcome
from vaults.market import set_oracle, shape_fault
from vaults.moves import RequestKind
from vaults.params import SUPPLY_MAX
from vaults.rejects import Reject
from vaults.rules import check_fresh
from vaults.state import NONE
from vaults.trade import Fill

COUNT_MAX = 2**62
"""Beyond any number a command can mean, and safe in 64 bits."""
TIME_MAX_MS = 230 * YEAR_MS
"""The year 2200: a clock that is further ahead is wrong, and would stop every later command."""
FED_VOL_MIN_E9 = 10**9 // 20
FED_VOL_MAX_E9 = 10 * 10**9
"""A fed vol level outside 5 % ... 1000 % is a mistake of the feed."""
_INDEX_FAULTS = (Reject.MARK_STALE, Reject.NO_FRESH_INDEX)
QUEUED_MAX = 100
"""Closes of one account that may wait for a fresh index."""


class Executed(NamedTuple):
    """What was done, and the journal's record of it; `command` is as it was executed.

    `moves` and `oracle` are empty where the answer is a repeated one.
    """

    outcome: Outcome
    moves: dict[str, Any]
    oracle: tuple[int, ...]
    record: Record
    command: Command


def _start_underlying(memory: Memory, command: commands.StartUnderlying) -> Done:
    if command.underlying not in memory.underlyings:
        return _refuse(Reject.UNDERLYING_UNKNOWN)
    underlying = memory.underlyings.index(command.underlying)
    if memory.market.oracle[underlying].vol_ms > 0:
        return _refuse(Reject.DUPLICATE_REFERENCE)
    averages = (command.variance_1d_e12, command.variance_10d_e12, command.variance_45d_e12)
    if not all(0 < each <= VARIANCE_MAX_E12 for each in averages):
        return _refuse(Reject.PARAMETERS_INVALID, VARIANCE_MAX_E12, max(averages))
    oracle = OracleState(*memory.market.oracle[underlying].item())._replace(
        variance_1d_e12=command.variance_1d_e12,
        variance_10d_e12=command.variance_10d_e12,
        variance_45d_e12=command.variance_45d_e12,
    )
    set_oracle(memory.market, underlying, tuple(oracle))
    return Done(Outcome(), {}, tuple(oracle))


def _is_used(memory: Memory, reference: str) -> bool:
    return bool(reference) and reference in memory.references


def _credit(memory: Memory, command: commands.Credit) -> Done:
    if _is_used(memory, command.reference):
        return _refuse(Reject.DUPLICATE_REFERENCE)
    others = memory.custody(command.token) - memory.custody_of(command.token)
    if others and 0 < command.amount <= AMOUNT_MAX:  # the kernel sees one generation
        custody = memory.custody(command.token) + command.amount
        if custody > SUPPLY_MAX:
            return _refuse(Reject.SUPPLY_LIMIT, SUPPLY_MAX, custody)
    token = memory.make_room(command.token)
    slot = memory.slot_of(command.token, command.account)
    account_id = memory.account_ids.get(command.account, len(memory.names))
    refusal = account.credit(
        token.state, token.rules, slot, account_id, command.amount, command.now_ms
    )
    return Done(_answer(refusal), _moves_of(command.token, token), ())


def _withdraw(memory: Memory, command: commands.Withdraw) -> Done:
    token = memory.make_room(command.token)
    slot = memory.slot_of(command.token, command.account)
    refusal = account.withdraw(token.state, token.rules, slot, command.amount, command.now_ms)
    return Done(
        _answer(refusal, row=len(memory.withdrawals) + 1), _moves_of(command.token, token), ()
    )


def _debit(memory: Memory, command: commands.Debit) -> Done:
    number, count = command.withdrawal, len(memory.withdrawals)
    if _is_used(memory, command.reference):
        return _refuse(Reject.DUPLICATE_REFERENCE)
    if not 1 <= number <= count or memory.withdrawals[number - 1].token != command.token:
        return _refuse(Reject.WITHDRAWAL_UNKNOWN, count, number)
    asked = memory.withdrawals[number - 1]
    if asked.completed_ms:
        return _refuse(Reject.WITHDRAWAL_COMPLETED, 0, number)
    token = memory.make_room(command.token)
    if asked.amount > 0:  # a split may have left nothing of it
        refusal = account.debit(token.state, asked.amount, command.now_ms)
        assert refusal.code == Reject.NONE  # what is not completed is pending
    outcome = Outcome(row=number, amount=asked.amount)
    return Done(outcome, _moves_of(command.token, token), ())


def _is_expired(order: commands.Open | commands.Close) -> bool:
    return order.expires_ms != 0 and order.now_ms > order.expires_ms


def _filled(fill: Fill, series: int = NONE) -> Outcome:
    if fill.refusal.code != Reject.NONE:
        return replace(_answer(fill.refusal), series=series)
    return Outcome(
        row=int(fill.position_id),
        notional=int(fill.notional),
        amount=int(fill.amount),
        fee=int(fill.fee),
        index_e8=int(fill.index_e8),
        series=series,
    )


def _open(memory: Memory, command: commands.Open) -> Done:
    if _is_expired(command):
        return _refuse(Reject.EXPIRED, command.expires_ms, command.now_ms)
    if command.token in memory.paused:
        return _refuse(Reject.PAUSED)
    if command.underlying not in memory.underlyings or command.kind not in (CALL, PUT):
        return _refuse(Reject.SERIES_UNKNOWN)
    token = memory.make_room(command.token)
    fill = opening.open_position(
        token.state,
        token.rules,
        memory.market,
        memory.slot_of(command.token, command.account),
        memory.underlyings.index(command.underlying),
        command.kind == CALL,
        command.strike_e8,
        command.notional,
        command.limit_total,
        int(command.self_funding),
        command.fill_after_ms,
        command.now_ms,
    )
    return Done(_filled(fill), _moves_of(command.token, token), ())


def _close(memory: Memory, command: commands.Close) -> Done:
    if _is_expired(command):
        return _refuse(Reject.EXPIRED, command.expires_ms, command.now_ms)
    token = memory.make_room(command.token)
    account = memory.slot_of(command.token, command.account)
    slot = own_position(token, account, command.position_id)
    positions = token.state.positions
    series = NONE if slot == NONE else int(positions["series"][slot])
    is_whole = command.is_whole and slot != NONE
    fill = closing.close_position(
        token.state,
        token.rules,
        memory.market,
        account,
        command.position_id,
        int(positions["notional"][slot]) if is_whole else command.notional,
        command.min_total,
        command.fill_after_ms,
        command.now_ms,
    )
    if fill.refusal.code in _INDEX_FAULTS:
        assert command.order == 0  # the writer carries a queued one out on a fresh index only
        waiting = sum(each.command.account == command.account for each in memory.queue.values())
        if waiting >= QUEUED_MAX:
            return _refuse(Reject.QUEUE_LIMIT, QUEUED_MAX, waiting + 1)
        return Done(Outcome(row=command.position_id, queued=True, series=series), {}, ())
    return Done(_filled(fill, series), _moves_of(command.token, token), ())


def own_position(token: Token, account: int, position_id: int) -> int:
    """Return the row of an account's position, NONE where it has no such one."""
    if account == NONE:
        return NONE
    return int(closing.find_own_position(token.state, account, position_id))


def is_fillable(memory: Memory, waiting: Waiting, now_ms: int) -> bool:
    """Whether a queued close can be carried out now: on its index, in no action's window."""
    command, underlying = waiting.command, waiting.underlying
    if memory.is_halted(command.token, now_ms):
        return False
    state = memory.tokens[command.token].state
    fresh = check_fresh(state, memory.market, underlying, command.fill_after_ms, now_ms)
    return bool(fresh.code == Reject.NONE)


def _set_self_funding(memory: Memory, command: commands.SetSelfFunding) -> Done:
    token = memory.make_room(command.token)
    slot = memory.slot_of(command.token, command.account)
    refusal = funding.set_self_funding(
        token.state, slot, command.position_id, int(command.self_funding), command.now_ms
    )
    return Done(_answer(refusal, row=command.position_id), _moves_of(command.token, token), ())


def _tick_token(memory: Memory, name: str, underlying: int, now_ms: int) -> dict[str, Any]:
    """Let a token know of a tick, then run its due positions, slice by slice, to the last."""
    token = memory.make_room(name)
    refusal = tick.tick(token.state, token.rules, memory.market, underlying, now_ms)
    assert refusal.code == Reject.NONE  # the time was checked for all tokens before any ticked
    parts = list(_moves_of(name, token).values())
    due = 1
    while due:
        token = memory.make_room(name)
        due = tick.run_due(token.state, token.rules, memory.market, underlying, now_ms)
        parts += _moves_of(name, token).values()
    return {name: np.concatenate(parts)} if parts else {}


def _tick(memory: Memory, command: commands.Tick) -> Done:
    is_fed_vol_good = command.vol_e9 == 0 or FED_VOL_MIN_E9 <= command.vol_e9 <= FED_VOL_MAX_E9
    if command.sources < 1 or not is_fed_vol_good:
        return _refuse(Reject.OBSERVATION_REFUSED)
    underlying = memory.underlyings.index(command.underlying)
    before = memory.market.oracle[underlying].item()
    seen = Observation(command.price_e8, command.confidence_e8, command.published_ms)
    verdict, oracle = observe(
        OracleState(*before),
        seen,
        command.sources,
        command.now_ms,
        command.vol_e9,
        memory.oracle_rules,
    )
    if verdict not in (OracleVerdict.USED, OracleVerdict.JUMP_PENDING):
        refused = _refuse(Reject.OBSERVATION_REFUSED)
        return refused._replace(outcome=Outcome(code=refused.outcome.code, verdict=int(verdict)))
    words = tuple(int(each) for each in oracle)
    set_oracle(memory.market, underlying, words)
    moves: dict[str, Any] = {}
    if verdict == OracleVerdict.USED:
        memory.adopt_surface(underlying, command.now_ms)
        for name in memory.tokens:
            moves |= _tick_token(memory, name, underlying, command.now_ms)
    return Done(Outcome(verdict=int(verdict)), moves, words)


def _restart(memory: Memory, command: commands.Restart) -> Done:
    if command.underlying not in memory.underlyings:
        return _refuse(Reject.UNDERLYING_UNKNOWN)
    underlying = memory.underlyings.index(command.underlying)
    oracle = restart(OracleState(*memory.market.oracle[underlying].item()))
    words = tuple(int(each) for each in oracle)
    set_oracle(memory.market, underlying, words)
    return Done(Outcome(), {}, words)


def _publish_surface(memory: Memory, command: commands.PublishSurface) -> Done:
    if command.underlying not in memory.underlyings:
        return _refuse(Reject.UNDERLYING_UNKNOWN)
    underlying = memory.underlyings.index(command.underlying)
    last_ms = int(memory.market.published[underlying].published_ms)
    if command.now_ms <= last_ms:
        return _refuse(Reject.TIME_NOT_INCREASING, last_ms, command.now_ms)
    shape = published_shape(command)
    if shape_fault(shape):
        return _refuse(Reject.PARAMETERS_INVALID)
    try:
        memory.tabulate(underlying, shape)
    except SurfaceError:
        return _refuse(Reject.PARAMETERS_INVALID)
    memory.publish_surface(underlying, shape)
    return Done(Outcome(), {}, ())


def _check(memory: Memory, command: commands.Check) -> Done:
    token = memory.make_room(command.token)
    positions = token.state.positions[: token.state.pool[0].position_count]
    rows = [
        slot
        for slot in range(len(positions))
        if positions[slot].position_id == command.position_id and positions[slot].notional > 0
    ]
    row = rows[0] if rows else NONE
    refusal = tick.check(token.state, token.rules, memory.market, row, command.now_ms)
    return Done(_answer(refusal), _moves_of(command.token, token), ())


def _request(memory: Memory, command: commands.Request) -> Done:
    if command.token in memory.held and command.kind in _DEPOSITS:
        return _refuse(Reject.DEPOSITS_HELD)
    token = memory.make_room(command.token)
    slot = memory.slot_of(command.token, command.account)
    asked = provide.request(
        token.state,
        token.rules,
        slot,
        int(command.kind),
        command.amount,
        command.min_out,
        command.now_ms,
    )
    outcome = _answer(asked.refusal, row=int(asked.request), expected_ms=int(asked.expected_ms))
    return Done(outcome, _moves_of(command.token, token), ())


def _cancel(memory: Memory, command: commands.Cancel) -> Done:
    token = memory.make_room(command.token)
    slot = memory.slot_of(command.token, command.account)
    refusal = provide.cancel(token.state, token.rules, slot, command.request, command.now_ms)
    outcome = _answer(refusal, row=command.request)
    return Done(outcome, _moves_of(command.token, token), ())


def _flush(memory: Memory, command: commands.Flush) -> Done:
    token = memory.make_room(command.token)
    before = flushes.before_flush(token)
    flushed = flush.flush(token.state, token.rules, memory.market, command.now_ms)
    outcome = _answer(
        flushed.refusal,
        done=bool(flushed.done),
        nav=(int(flushed.nav.mid), int(flushed.nav_after.mid)),
        shares=(int(before.pool.main_shares), int(token.state.pool[0].main_shares)),
    )
    moves = _moves_of(command.token, token)
    if not flushed.done:
        return Done(outcome, moves, ())
    bundle = flushes.bundle_of(
        memory, command.token, before, flushed, moves[command.token], command.now_ms
    )
    written = msgspec.json.encode(bundle)
    outcome = replace(outcome, bundle=sha256(written).hexdigest())
    opened, shares = before.books, int(before.pool.insurance_shares)
    return Done(outcome, moves, (), Flushing(written, opened.nav, opened.insurance, shares))


_HANDLERS: dict[type[Any], Callable[[Memory, Any], Done]] = {
    commands.ListToken: operating.list_token,
    commands.StartUnderlying: _start_underlying,
    commands.Credit: _credit,
    commands.Withdraw: _withdraw,
    commands.Debit: _debit,
    commands.Open: _open,
    commands.Close: _close,
    commands.SetSelfFunding: _set_self_funding,
    commands.Pause: operating.pause,
    commands.Resume: operating.pause,
    commands.HoldDeposits: operating.pause,
    commands.AllowDeposits: operating.pause,
    commands.SetParameters: operating.set_parameters,
    commands.AdoptParameters: operating.adopt_parameters,
    commands.AnnounceAction: operating.announce_action,
    commands.WithdrawAction: operating.withdraw_action,
    commands.ApplyAction: operating.apply_action,
    commands.MoveBalance: operating.move_balance,
    commands.Tick: _tick,
    commands.Restart: _restart,
    commands.PublishSurface: _publish_surface,
    commands.Check: _check,
    commands.Request: _request,
    commands.Cancel: _cancel,
    commands.Flush: _flush,
}

_DEPOSITS = (RequestKind.DEPOSIT_MAIN, RequestKind.DEPOSIT_INSURANCE)
_OF_NO_TOKEN = (
    commands.ListToken,
    commands.StartUnderlying,
    commands.Tick,
    commands.Restart,
    commands.PublishSurface,
)


_OF_GENERATIONS = (commands.ApplyAction, commands.MoveBalance)

_HALTED = (
    commands.Credit,
    commands.Open,
    commands.Close,
    commands.Check,
    commands.Withdraw,
    commands.Request,
    commands.Cancel,
    commands.SetSelfFunding,
    commands.MoveBalance,
    commands.Flush,
    commands.SetParameters,
    commands.AdoptParameters,
)
"""What waits for a corporate action; the only place that says so."""
_CHANGES_RULES = (commands.AdoptParameters, commands.ApplyAction)
"""After which what is derived from marks is computed anew."""


def is_countable(command: Command) -> bool:
    """Whether every number is one that kernels count in, and the time one of this age."""
    for name in command.__slots__:
        value = getattr(command, name)
        if isinstance(value, int) and not -COUNT_MAX <= value <= COUNT_MAX:
            return False
    return 0 <= command.now_ms <= TIME_MAX_MS


def _last_ms(memory: Memory, command: Command) -> int:
    """Return the time a command must not be before: its token's clock, for a tick every token's.

    A tick must also be after the last one of its underlying.
    """
    if isinstance(command, commands.Tick):
        underlying = memory.underlyings.index(command.underlying)
        states = [token.state for token in memory.tokens.values()]
        clocks = [int(state.pool[0].now_ms) for state in states]
        return max(
            [*clocks, *(int(state.books[underlying].tick_ms) + 1 for state in states)], default=0
        )
    if isinstance(command, _OF_NO_TOKEN):
        return 0
    if isinstance(command, _OF_GENERATIONS):
        names = memory.generations(command.token)
        return max(int(memory.tokens[name].state.pool["now_ms"][0]) for name in names)
    return int(memory.tokens[command.token].state.pool["now_ms"][0])


def execute(memory: Memory, command: Command, sequence: int) -> Done:
    """Carry out one command, which will be the record of this number, on the state in memory.

    A refusal has changed nothing, but that a queued close which was refused waits no longer.
    """
    done = _decide(memory, command)
    memory.book(sequence, command, done.outcome)
    if isinstance(command, _CHANGES_RULES) and done.outcome.code == Reject.NONE:
        for name in memory.generations(command.token):
            token = memory.tokens[name]
            tick.remark(token.state, token.rules, memory.market)
    return done


def _decide(memory: Memory, command: Command) -> Done:
    if isinstance(command, commands.Tick) and command.underlying not in memory.underlyings:
        return _refuse(Reject.UNDERLYING_UNKNOWN)
    if not isinstance(command, _OF_NO_TOKEN) and command.token not in memory.tokens:
        return _refuse(Reject.TOKEN_UNKNOWN)
    last_ms = _last_ms(memory, command)
    if command.now_ms < last_ms:
        return _refuse(Reject.TIME_NOT_INCREASING, last_ms, command.now_ms)
    if isinstance(command, _HALTED):
        action = memory.halting_action(command.token, command.now_ms)
        if action is not None:
            return _refuse(Reject.CORPORATE_ACTION, action.ends_ms, command.now_ms)
    return _HANDLERS[type(command)](memory, command)
