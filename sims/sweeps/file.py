"""A sweep file: which scenario is run at which settings, in TOML."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from sims.scenarios.file import ScenarioError, ScenarioFile
from sims.scenarios.reading import find_scenario, shipped_scenarios
from sims.sweeps.axes import Axis
from sims.sweeps.design import Settings, grid, one_at_a_time, sobol
from sims.sweeps.settings import Value

SHIPPED_TORNADO = Path(__file__).parent / "shipped" / "tornado.toml"


class SweepFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A sweep: a scenario, what is the same at every point, and what differs."""

    sweep: Annotated[tuple[Axis, ...], Meta(min_length=1, description="The settings it changes.")]
    scenario: Annotated[str, Meta(description="A shipped scenario, or a file beside this one.")] = (
        "default"
    )
    settings: Annotated[
        dict[str, Value], Meta(description="Changed at every point, such as paths.")
    ] = field(default_factory=dict)
    design: Annotated[
        Literal["grid", "sobol", "tornado"],
        Meta(description="All combinations, points evenly spread, or one setting at a time."),
    ] = "grid"
    points: Annotated[int, Meta(ge=1, description="Of a Sobol design: a power of two.")] = 16
    scramble: Annotated[int, Meta(ge=0, description="Seed of a Sobol design's scrambling.")] = 1

    def all_settings(self, base: ScenarioFile) -> list[Settings]:
        """Return the points, the scenario as it is first.

        Raises:
            ScenarioError: For settings that cannot be.
        """
        if self.design == "grid":
            found = grid(self.sweep, base)
        elif self.design == "sobol":
            found = sobol(self.sweep, base, self.points, self.scramble)
        else:
            found = one_at_a_time(self.sweep, base)
        return [{}, *found]


def sweep_of(content: object) -> SweepFile:
    """Return the sweep some plain data say.

    Raises:
        ScenarioError: For what is unknown, of another type, or out of its range.
    """
    try:
        return msgspec.convert(content, SweepFile)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        raise ScenarioError(f"{place.rstrip('`')}: {text}" if place else text) from None


def read_sweep_file(path: Path) -> SweepFile:
    """Return the sweep in a TOML file.

    Raises:
        ScenarioError: It cannot be read, or is none; the message names file and field.
    """
    try:
        return sweep_of(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from None
    except ValueError as error:  # of text, of TOML, or of a field
        raise ScenarioError(f"{path}: {error}") from None


def base_of(sweep: SweepFile, beside: Path | None = None) -> ScenarioFile:
    """Return the scenario a sweep is of; a relative path of it begins in the folder `beside`.

    Raises:
        ScenarioError: There is none, or it cannot be.
    """
    name = sweep.scenario
    if beside is not None and name not in shipped_scenarios():
        name = str(beside / name)
    return find_scenario(name).with_settings(sweep.settings)
