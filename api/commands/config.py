"""Settings from a file: TOML with the names of the long options, behind command line and variables.

What a file says becomes the default of its option, so that the command line parser does the rest.
"""

import difflib
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer

from api.commands.inputs import BadInputError, fail

APART = frozenset({"config", "check", "help"})
"""Options of a command that are no settings."""
_PASSWORD = re.compile(r"(://[^:/?#@]*:)[^/]*(?=@)|([?&](?:ssl)?password=)[^&]*")


def setting_names(context: typer.Context) -> dict[str, Any]:
    """Return the parameters of a command that are settings, by the names of their long options."""
    return {
        parameter.opts[0].removeprefix("--"): parameter
        for parameter in context.command.params
        if parameter.opts[0].removeprefix("--") not in APART
    }


def _kind_of(context: typer.Context, name: str) -> type:
    """Return what a parameter is in a file: a bool, an int, a float, or else a text."""
    assert context.command.callback is not None
    hint = get_type_hints(inspect.unwrap(context.command.callback))[name]
    kinds = (hint, *get_args(hint))
    return next((kind for kind in (bool, int, float) if kind in kinds), str)


def _is_of(value: object, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def read_config(path: Path, context: typer.Context) -> dict[str, Any]:
    """Return what a file says of a command's parameters, by their names in the program.

    Raises:
        BadInputError: It cannot be read, is no TOML, or says something there is no option for, or
            of another type than its option.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInputError(f"--config {path}: {error.strerror}") from None
    except ValueError as error:  # of TOML, or of UTF-8
        raise BadInputError(f"--config {path}: {error}") from None
    known, found = setting_names(context), {}
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; is it {near[0]}?" if near else ""
            raise BadInputError(f"{path}: there is no setting {name}{hint}")
        parameter = known[name]
        kind = _kind_of(context, parameter.name)
        if not _is_of(value, kind):
            needed = {bool: "true or false", str: "a text"}.get(kind, "a number")
            raise BadInputError(f"{path}: {name} is {value!r}, not {needed}")
        found[parameter.name] = value
    return found


def take_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take a file's settings as defaults; for the option that names it."""
    if path is not None:
        try:
            context.default_map = read_config(path, context)
        except BadInputError as error:
            raise fail(error) from None
    return path


def _source(context: typer.Context, parameter: Any) -> str:
    """Return where a setting is from, nothing for the command line."""
    source = context.get_parameter_source(parameter.name)
    kind = "" if source is None else source.name
    places = {
        "DEFAULT_MAP": str(context.params.get("config")),
        "ENVIRONMENT": str(parameter.envvar),
        "DEFAULT": "default",
    }
    return places.get(kind, "")


def is_given(context: typer.Context, name: str) -> bool:
    """Whether a setting was given, by command line, variable or file."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def refuse_passwords(context: typer.Context) -> None:
    """Let no password be given where every user of the machine can see it.

    Raises:
        BadInputError: An address on the command line has one.
    """
    for name, parameter in setting_names(context).items():
        value = str(context.params.get(parameter.name))
        if "://" in value and _PASSWORD.search(value) and not _source(context, parameter):
            where = f"{parameter.envvar}, or a file for --config"
            raise BadInputError(f"--{name} has a password, which others can see: use {where}")


def blamed(context: typer.Context, error: Exception) -> str:
    """Return what is wrong with a setting, with the file or the variable it is from in front."""
    for name, parameter in setting_names(context).items():
        if re.match(rf"--{name}(?![\w-])", str(error)):
            source = _source(context, parameter)
            return f"{source}: {error}" if source not in {"", "default"} else str(error)
    return str(error)


def _shown(name: str, value: object) -> str:
    """Return a value as TOML; of a secret only that it is set."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if not isinstance(value, Path) and re.search(r"(^|-)(secret|password|key|token)$", name):
        return '"***"'
    text = _PASSWORD.sub(r"\1\2***", str(value))
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def effective_settings(context: typer.Context, **found: object) -> Iterator[str]:
    """Return the lines of a file with the settings in force, and where each is from.

    Args:
        context: Of the command.
        found: What settings are that were not given and have no fixed default.
    """
    for name, parameter in setting_names(context).items():
        value = found.get(parameter.name, context.params.get(parameter.name))
        source = _source(context, parameter) or "command line"
        if value is None:
            yield f"# {name} =  # {source}"
        else:
            yield f"{name} = {_shown(name, value)}  # {source}"
