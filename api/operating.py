"""Handlers of what operators command: listings, versions of parameters, corporate actions.

And of balances that move between the generations of a token, for they are checked alike.
"""

from typing import Any

import numpy as np

from amm.units import AMOUNT_MAX, DAY_MS, mul_div_down
from api.actions import Action, announced, split_amount
from api.done import Done, answer, moves_of, refuse
from api.memory import Memory, Token
from vaults import commands, corporate, flush, generations, schedule
from vaults.capacity import backing
from vaults.commands import DIVIDEND, SPLIT, Outcome
from vaults.moves import RequestStatus
from vaults.params import SUPPLY_MAX, ParameterError, Parameters, validate_parameters
from vaults.rejects import Refusal, Reject, accepted
from vaults.rules import Rules

FIXED = ("seed", "token_vol")
"""Parameters a price depends on that was made before: of a share, or of a mark."""
PERIOD_MAX_MS = 7 * DAY_MS
"""The longest time between flushes that can be set for those who have provided already."""
COOLDOWN_MAX_MS = 10 * DAY_MS
"""The longest cooldown that can."""


def list_token(memory: Memory, command: commands.ListToken) -> Done:
    """Open the pools of a token, or of its next generation."""
    if command.token in memory.tokens:
        return refuse(Reject.DUPLICATE_REFERENCE)
    if len(command.terms) != len(memory.underlyings):
        return refuse(Reject.PARAMETERS_INVALID, len(memory.underlyings), len(command.terms))
    try:
        validate_parameters(command.parameters)
        memory.rules_of(command.parameters, command.terms)
    except ParameterError:
        return refuse(Reject.PARAMETERS_INVALID)
    generation = generations.generation_of(command.token)
    custody = memory.custody(command.token) + 2 * command.parameters.seed
    if generation > 1 and custody > SUPPLY_MAX:
        return refuse(Reject.SUPPLY_LIMIT, SUPPLY_MAX, custody)
    if not _is_next(memory, command.token, generation):
        return refuse(Reject.GENERATION, memory.generation(command.token) + 1, generation)
    memory.list_token(command)
    token = memory.make_room(command.token)
    refusal = flush.list_token(token.state, token.rules, command.now_ms)
    return Done(answer(refusal), moves_of(command.token, token), ())


def _is_next(memory: Memory, name: str, generation: int) -> bool:
    """Whether a generation may be listed: the first, or the one after an exhausted one."""
    if generation <= 1:
        return generation == 1
    before = memory.tokens.get(generations.named(generations.base_of(name), generation - 1))
    return before is not None and bool(before.state.pool[0].exhausted)


def pause(
    _memory: Memory,
    _command: (commands.Pause | commands.Resume | commands.HoldDeposits | commands.AllowDeposits),
) -> Done:
    """Stop something or let it go on, once more or anew: `Memory.book` keeps which."""
    return Done(Outcome(), {}, ())


# -- versions of parameters


def _has_providers(token: Token) -> bool:
    """Whether anybody but the seed holds shares, or has asked a pool for something."""
    pool = token.state.pool[0]
    if pool.main_shares > pool.main_seed_shares:
        return True
    if pool.insurance_shares > pool.insurance_seed_shares:
        return True
    waiting = token.state.requests[int(pool.request_first) : int(pool.request_count)]
    return bool((waiting.status == RequestStatus.OPEN).any())


def _check_waits(token: Token, parameters: Parameters) -> Refusal:
    """Check that nobody who has provided would be kept in for longer than was to be expected.

    From a flush for a week, in the cooldown for ten days, or for as long as is in force.
    """
    before = token.versions.in_force.parameters
    for allowed, now, then in (
        (PERIOD_MAX_MS, before.flush_period_ms, parameters.flush_period_ms),
        (COOLDOWN_MAX_MS, before.cooldown_ms, parameters.cooldown_ms),
    ):
        if then > max(allowed, now) and _has_providers(token):
            return Refusal(Reject.PARAMETERS_INVALID, max(allowed, now), then)
    return accepted()


def _check_capacity(token: Token, rules: Rules) -> Refusal:
    """Check that what is locked would be backed under other rules, or no less than it is.

    Losses can have left more locked than is backed: that is no reason to keep the rules.
    """
    pool = token.state.pool[0]
    main, insurance, locked = int(pool.main), int(pool.insurance), int(pool.locked)
    backed = int(backing(rules, main, insurance))
    if locked <= backed or backed >= int(backing(token.rules, main, insurance)):
        return accepted()
    return Refusal(Reject.BREAKS_CAPACITY, backed, locked)


def set_parameters(memory: Memory, command: commands.SetParameters) -> Done:
    """Announce a version; it takes the place of one that waits."""
    token = memory.tokens[command.token]
    if command.effective_ms < command.now_ms:
        return refuse(Reject.PARAMETERS_INVALID, command.now_ms, command.effective_ms)
    before = token.versions.in_force.parameters
    if any(getattr(command.parameters, name) != getattr(before, name) for name in FIXED):
        return refuse(Reject.PARAMETERS_INVALID)
    try:
        rules = memory.rules_of(command.parameters, token.listing.terms)
    except ParameterError:
        return refuse(Reject.PARAMETERS_INVALID)
    refusal = _check_waits(token, command.parameters)
    if refusal.code == Reject.NONE:
        refusal = _check_capacity(token, rules)
    return Done(answer(refusal, row=token.versions.next_number), {}, ())


def _binds(token: Token) -> bool:
    """Whether a request waits that its cut-off binds to the next flush."""
    pool = token.state.pool[0]
    asked = token.state.requests[int(pool.request_first) : int(pool.request_count)]
    return bool(((asked.status == RequestStatus.OPEN) & (asked.flush <= pool.flushes)).any())


def _adoption(memory: Memory, name: str, version: int, now_ms: int) -> Refusal:
    """Check that a version was announced, is due, binds nobody and backs what is locked."""
    token = memory.tokens[name]
    waiting = token.versions.announced
    if waiting is None or waiting.version != version:
        return Refusal(Reject.NOT_DUE, 0 if waiting is None else waiting.version, version)
    if now_ms < waiting.effective_ms:
        return Refusal(Reject.NOT_DUE, waiting.effective_ms, now_ms)
    cutoff_ms = int(token.state.pool[0].cutoff_ms)
    if now_ms > cutoff_ms and _binds(token):
        return Refusal(Reject.NOT_DUE, cutoff_ms, now_ms)
    refusal = _check_waits(token, waiting.parameters)
    if refusal.code:
        return refusal
    return _check_capacity(token, memory.rules_of(waiting.parameters, token.listing.terms))


def adopt_parameters(memory: Memory, command: commands.AdoptParameters) -> Done:
    """Let a flush that would come later than under a version come sooner.

    `Memory.book` puts it in force.
    """
    refusal = _adoption(memory, command.token, command.version, command.now_ms)
    if refusal.code:
        return Done(answer(refusal), {}, ())
    token = memory.make_room(command.token)
    waiting = token.versions.announced
    assert waiting is not None  # it was checked
    after = memory.rules_of(waiting.parameters, token.listing.terms)
    schedule.reschedule(token.state, after, command.now_ms)
    return Done(Outcome(row=command.version), moves_of(command.token, token), ())


def adoptable(memory: Memory, name: str, now_ms: int) -> int:
    """Return the version of a token that can be adopted now, 0 where there is none."""
    waiting = memory.tokens[name].versions.announced
    if waiting is None or now_ms < waiting.effective_ms or memory.is_halted(name, now_ms):
        return 0
    refusal = _adoption(memory, name, waiting.version, now_ms)
    return 0 if refusal.code else waiting.version


# -- corporate actions


def announce_action(memory: Memory, command: commands.AnnounceAction) -> Done:
    """Announce a corporate action; it takes the place of one whose window has not begun."""
    if command.effective_ms < command.now_ms or command.action not in (SPLIT, DIVIDEND):
        return refuse(Reject.PARAMETERS_INVALID, command.now_ms, command.effective_ms)
    if command.action == DIVIDEND and command.amount <= 0:
        return refuse(Reject.AMOUNT_NOT_POSITIVE, 1, command.amount)
    if command.action == DIVIDEND and command.amount > SUPPLY_MAX:
        return refuse(Reject.SUPPLY_LIMIT, SUPPLY_MAX, command.amount)
    waiting = memory.halting_action(command.token, command.now_ms)
    if waiting is not None:
        return refuse(Reject.CORPORATE_ACTION, waiting.ends_ms, command.now_ms)
    rests_ms = memory.rests_until(command.token, command.now_ms)
    if command.effective_ms < rests_ms:
        return refuse(Reject.CORPORATE_ACTION, rests_ms, command.effective_ms)
    numerator, denominator = command.numerator, command.denominator
    if command.action == SPLIT and not corporate.is_ratio(numerator, denominator):
        return refuse(Reject.RATIO, denominator, numerator)
    generation = generations.generation_of(command.token)
    if generation != 1:
        return refuse(Reject.GENERATION, 1, generation)
    if command.action == SPLIT:
        refusal = _check_split(memory, announced(command))
        if refusal.code:
            return Done(answer(refusal), {}, ())
    return Done(Outcome(row=memory.number_of_announcement(command) + 1), {}, ())


def withdraw_action(memory: Memory, command: commands.WithdrawAction) -> Done:
    """Take an announced action back, within its window too; `Memory.book` does."""
    action = memory.pending_action(command.token)
    if action is None or command.now_ms >= action.ends_ms:
        return refuse(Reject.ACTION_UNKNOWN)
    return Done(Outcome(), {}, ())


def apply_action(memory: Memory, command: commands.ApplyAction) -> Done:
    """Carry an announced action out in every generation of its token."""
    action = memory.pending_action(command.token)
    if action is None or command.now_ms >= action.ends_ms:
        return refuse(Reject.ACTION_UNKNOWN)
    if command.now_ms < action.effective_ms:
        return refuse(Reject.NOT_DUE, action.effective_ms, command.now_ms)
    if command.reference and command.reference in memory.references:
        return refuse(Reject.DUPLICATE_REFERENCE)
    if action.action == SPLIT:
        return _split(memory, action, command.now_ms)
    return _dividend(memory, action, command.now_ms)


def _check_split(memory: Memory, action: Action) -> Refusal:
    """Check that a split leaves amounts and positions that there can be."""
    numerator, denominator = action.numerator, action.denominator
    custody = memory.custody(action.token) * numerator // denominator
    if custody > AMOUNT_MAX:
        return Refusal(Reject.RATIO, AMOUNT_MAX, custody)
    for name in memory.generations(action.token):
        refusal = corporate.check_split(memory.tokens[name].state, numerator, denominator)
        if refusal.code:
            return refusal
    return accepted()


def _split(memory: Memory, action: Action, now_ms: int) -> Done:
    refusal = _check_split(memory, action)
    if refusal.code:
        return Done(answer(refusal), {}, ())
    moves: dict[str, Any] = {}
    for name in memory.generations(action.token):
        token = memory.make_room(name)
        waiting = (each.amount for each in memory.withdrawals_pending(name))
        pending = sum(split_amount(each, action) for each in waiting)
        refusal = corporate.split(
            token.state, token.rules, action.numerator, action.denominator, pending, now_ms
        )
        assert refusal.code == Reject.NONE  # it was checked for all before any was split
        moves |= moves_of(name, token)
    return Done(Outcome(), moves, ())


def _parts(memory: Memory, action: Action) -> dict[str, int]:
    """Return what each generation gets of a dividend: its part of all custody.

    The largest has what rounding leaves.
    """
    custodies = {
        name: int(memory.tokens[name].state.pool[0].custody)
        for name in memory.generations(action.token)
    }
    total = sum(custodies.values())
    parts = {name: int(mul_div_down(action.amount, n, total)) for name, n in custodies.items()}
    parts[max(custodies, key=custodies.__getitem__)] += action.amount - sum(parts.values())
    return {name: part for name, part in parts.items() if part}


def _dividend(memory: Memory, action: Action, now_ms: int) -> Done:
    custody = memory.custody(action.token)
    if custody == 0:
        return refuse(Reject.BALANCE, 0, action.amount)
    if custody + action.amount > SUPPLY_MAX:
        return refuse(Reject.SUPPLY_LIMIT, SUPPLY_MAX, custody + action.amount)
    moves: dict[str, Any] = {}
    for name, part in _parts(memory, action).items():
        token = memory.make_room_for_everybody(name)
        pending = np.zeros(int(token.state.pool[0].account_count), dtype=np.int64)
        for each in memory.withdrawals_pending(name):
            pending[memory.slot_of(name, each.account)] += each.amount
        corporate.dividend(token.state, token.rules, part, pending, now_ms)
        moves |= moves_of(name, token)
    return Done(Outcome(amount=action.amount), moves, ())


# -- generations


def move_balance(memory: Memory, command: commands.MoveBalance) -> Done:
    """Move free balance from one generation of a token to another."""
    if command.target not in memory.tokens:
        return refuse(Reject.TOKEN_UNKNOWN)
    account, now_ms, amount = command.account, command.now_ms, command.amount
    slot = memory.slot_of(command.token, account)
    source = memory.make_room(command.token)
    refusal = generations.check_move(source.state, source.rules, slot, amount, now_ms)
    if refusal.code:
        return Done(answer(refusal), {}, ())
    bases = {generations.base_of(name) for name in (command.token, command.target)}
    if len(bases) > 1 or command.token == command.target:
        return refuse(Reject.GENERATION)
    target, account_id = memory.make_room(command.target), memory.account_ids[account]
    generations.move_out(source.state, source.rules, slot, amount, now_ms)
    into = memory.slot_of(command.target, account)
    generations.move_in(target.state, target.rules, into, account_id, amount, now_ms)
    moves = moves_of(command.token, source) | moves_of(command.target, target)
    return Done(Outcome(amount=amount), moves, ())
