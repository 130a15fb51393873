"""Versions of parameters and corporate actions."""

from api.actions import Action
from api.actions import announced as action_of
from api.dispatch import Executed
from api.memory import Memory
from api.versions import Version
from api.views.numbers import fixed
from api.wire import CorporateAction, ParametersVersion, TokenParameters
from vaults.commands import DIVIDEND, SPLIT, AnnounceAction, SetParameters
from vaults.params import Parameters


def _named(parameters: Parameters) -> dict[str, float]:
    return {name: float(number) for name, number in parameters._asdict().items()}


def _version(each: Version) -> ParametersVersion:
    return ParametersVersion(
        version=each.version,
        announced=each.announced_ms,
        effective=each.effective_ms,
        parameters=_named(each.parameters),
    )


def parameters(memory: Memory, name: str) -> TokenParameters:
    """Return the parameters of a token in force, and those announced."""
    versions = memory.tokens[name].versions
    current, waiting = versions.in_force, versions.announced
    return TokenParameters(
        token=name,
        version=current.version,
        effective=current.adopted_ms,
        parameters=_named(current.parameters),
        announced=None if waiting is None else _version(waiting),
    )


def announced(executed: Executed) -> ParametersVersion:
    """Return a version as it was announced."""
    command = executed.command
    assert isinstance(command, SetParameters)
    return _version(
        Version(
            executed.outcome.row, command.parameters, executed.record.now_ms, command.effective_ms
        )
    )


def _action(number: int, each: Action, now_ms: int) -> CorporateAction:
    is_split, is_dividend = each.action == SPLIT, each.action == DIVIDEND
    return CorporateAction(
        id=str(number),
        token=each.token,
        action=each.action,  # type: ignore[arg-type]
        status=each.status(now_ms),  # type: ignore[arg-type]
        announced=each.announced_ms,
        effective=each.effective_ms,
        lapses=each.ends_ms,
        applied=each.applied_ms or None,
        numerator=each.numerator if is_split else None,
        denominator=each.denominator if is_split else None,
        amount=fixed(each.amount) if is_dividend else None,
    )


def action(memory: Memory, number: int, now_ms: int) -> CorporateAction:
    """Return a corporate action by its number."""
    return _action(number, memory.actions[number - 1], now_ms)


def action_announced(executed: Executed) -> CorporateAction:
    """Return an action as it was announced."""
    command = executed.command
    assert isinstance(command, AnnounceAction)
    return _action(executed.outcome.row, action_of(command), command.effective_ms - 1)
