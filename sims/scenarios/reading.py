"""Where scenario files are found, and how they are read."""

import tomllib
from pathlib import Path

import msgspec

from sims.scenarios.file import ScenarioError, ScenarioFile, scenario_of

SHIPPED = Path(__file__).parent / "shipped"
STRESSES = Path(__file__).parent / "stresses"


def read_scenario(path: Path) -> ScenarioFile:
    """Return the file at a path, in TOML or, where its name ends so, JSON.

    Raises:
        ScenarioError: It cannot be read, or is none; the message names file and field.
    """
    try:
        text = path.read_text("utf-8")
        decode = msgspec.json.decode if path.suffix == ".json" else tomllib.loads
        return scenario_of(decode(text))
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from None
    except ValueError as error:  # of text, of TOML or JSON, or of a field
        raise ScenarioError(f"{path}: {error}") from None


def shipped_scenarios() -> dict[str, Path]:
    """Return the files shipped with the package by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def stress_scenarios() -> dict[str, Path]:
    """Return the files of the stress library by name."""
    return {path.stem: path for path in sorted(STRESSES.glob("*.toml"))}


def find_scenario(name: str) -> ScenarioFile:
    """Return a shipped scenario or a stress by name, or the file at a path.

    Raises:
        ScenarioError: There is none, or it cannot be.
    """
    shipped = shipped_scenarios() | stress_scenarios()
    path = shipped.get(name, Path(name))
    if path.suffix not in {".toml", ".json"}:
        raise ScenarioError(f"{name}: neither a .toml file nor one of {', '.join(shipped)}")
    return read_scenario(path)
