"""What a sweep changes: a setting, and the values or the range it takes."""

import math
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from sims.scenarios.file import ScenarioError, ScenarioFile
from sims.sweeps.settings import Value, is_counted, refuse_unfit, value_of

DIGITS = 12
"""Of a value taken from a range: 0.3, not 0.30000000000000004."""


class Axis(Struct, frozen=True, forbid_unknown_fields=True):
    """One setting of a sweep: a list of values, or a range."""

    setting: Annotated[str, Meta(min_length=1, description="Such as pools.parameters.fee.")]
    values: Annotated[tuple[Value, ...], Meta(description="All it takes; else low and high.")] = ()
    low: Annotated[float | None, Meta(description="Least value.")] = None
    high: Annotated[float | None, Meta(description="Largest value.")] = None
    steps: Annotated[int, Meta(ge=2, le=1_000, description="Values a grid takes of a range.")] = 3
    log: Annotated[bool, Meta(description="Whether equal ratios, not distances, are apart.")] = (
        False
    )
    times: Annotated[
        bool, Meta(description="Whether low and high are multiples of what the scenario has.")
    ] = False

    def __post_init__(self) -> None:
        """Refuse what is neither values nor a range.

        Raises:
            ValueError: Always then.
        """
        low, high = self.low, self.high
        if bool(self.values) == (low is not None or high is not None):
            raise ValueError(f"{self.setting}: takes either values, or low and high")
        if self.values:
            return
        if low is None or high is None or not -math.inf < low < high < math.inf:
            raise ValueError(f"{self.setting}: low must be below high")
        if self.log and low <= 0.0:
            raise ValueError(f"{self.setting}: a range by ratios begins above 0")

    def at(self, file: ScenarioFile, share: float) -> Value:
        """Return the value that so much of the range is below, `share` from 0 to 1.

        Raises:
            ScenarioError: The setting leads nowhere, or to what is no number.
        """
        refuse_unfit(self.setting)
        if self.values:
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        assert self.low is not None
        assert self.high is not None
        low, high = self.low, self.high
        value = low * (high / low) ** share if self.log else low + (high - low) * share
        has = value_of(file, self.setting)
        if isinstance(has, str | bool):
            raise ScenarioError(f"{self.setting}: is {has!r}, not a number: give values")
        value *= has if self.times else 1.0
        return round(value) if is_counted(has) else float(f"{value:.{DIGITS}g}")

    def levels(self, file: ScenarioFile) -> tuple[Value, ...]:
        """Return what a grid takes: the values, or `steps` of the range, both ends included.

        Raises:
            ScenarioError: As `at`.
        """
        refuse_unfit(self.setting)
        if self.values:
            return self.values
        every = (self.at(file, float(share)) for share in np.linspace(0.0, 1.0, self.steps))
        return tuple(dict.fromkeys(every))  # of whole units there may be fewer

    def ends(self, file: ScenarioFile) -> tuple[Value, Value]:
        """Return the ends of the range, or the first and the last of the values.

        Raises:
            ScenarioError: As `at`.
        """
        return self.at(file, 0.0), self.at(file, 1.0)
