"""What a scenario has where a setting leads: its value, and whether that is counted."""

from collections.abc import Mapping
from typing import Any

import msgspec

from sims.scenarios.file import ScenarioError, ScenarioFile
from vaults.params import BTC_TERMS, ETH_TERMS, Parameters, Terms

Value = int | float | str | bool
SAME_FOR_ALL = ("name", "description", "paths", "seed")
"""What is no setting: points of a sweep meet the same paths."""


def refuse_unfit(setting: str) -> None:
    """Refuse what may not differ between the points of a sweep.

    Raises:
        ScenarioError: Always then.
    """
    if setting in SAME_FOR_ALL:
        raise ScenarioError(f"{setting}: is the same at every point of a sweep")


def value_of(file: ScenarioFile, setting: str) -> Value:
    """Return what a scenario has where a setting leads, defaults of the exchange included.

    Args:
        file: The scenario.
        setting: As `ScenarioFile.with_settings` takes it.

    Raises:
        ScenarioError: It leads nowhere, to no value, or to another one in each pool.
    """
    content: Any = msgspec.to_builtins(file)
    for pool in content["pools"]:
        terms = {"BTC": BTC_TERMS, "ETH": ETH_TERMS}
        pool["parameters"] = _whole(Parameters(), pool["parameters"])
        pool["terms"] = {name: _whole(own, pool["terms"].get(name)) for name, own in terms.items()}
    found = dict.fromkeys(_values(content, setting.split("."), setting))
    if len(found) != 1:
        raise ScenarioError(f"{setting}: the pools differ in it; name one, such as pools.0")
    return next(iter(found))


def _whole(rules: Parameters | Terms, given: Mapping[str, float] | None) -> dict[str, float]:
    """Return all parameters or terms, of the types they are kept in."""
    kinds = type(rules).__annotations__
    changed = {name: kinds[name](value) for name, value in (given or {}).items() if name in kinds}
    return rules._asdict() | changed


def _values(content: Any, path: list[str], setting: str) -> list[Value]:
    if not path:
        if not isinstance(content, int | float | str):
            raise ScenarioError(f"{setting}: is no single value")
        return [content]
    step, *rest = path
    if isinstance(content, list | tuple) and content:
        is_one = step.isdigit() and int(step) < len(content)
        if is_one:
            return _values(content[int(step)], rest, setting)
        return [value for each in content for value in _values(each, path, setting)]
    if not isinstance(content, dict) or step not in content:
        raise ScenarioError(f"{setting}: leads nowhere")
    return _values(content[step], rest, setting)


def is_counted(value: Value) -> bool:
    """Whether a value is counted in whole units: millionths, milliseconds, steps."""
    return isinstance(value, int) and not isinstance(value, bool)
