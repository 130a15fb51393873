"""How much each parameter moves a figure: the bars of a tornado, the widest on top."""

from typing import Any, NamedTuple

from sims.statistics import Estimate


class Bar(NamedTuple):
    """One parameter at a low and a high setting, all others as they are.

    Attributes:
        parameter: Path of the field, as `ScenarioFile.with_settings` takes it.
        low_setting: Its lower value, as it is read.
        high_setting: Its higher value.
        low: The figure at the lower value; its error is that of what it differs from `base` by.
        base: The figure as it is.
        high: The figure at the higher value, likewise.
    """

    parameter: str
    low_setting: str
    high_setting: str
    low: Estimate
    base: Estimate
    high: Estimate

    @property
    def width(self) -> float:
        """The most either setting changes the figure by."""
        return max(abs(self.low.value - self.base.value), abs(self.high.value - self.base.value))


class Tornado(NamedTuple):
    """Bars of one figure of one pool; `figure` and `unit` are its label and what it counts in.

    With `unit` "share" values are parts of 1, read in per cent.
    """

    token: str
    figure: str
    unit: str
    bars: tuple[Bar, ...]

    def ranked(self) -> tuple[Bar, ...]:
        """Return the bars, the widest first."""
        return tuple(sorted(self.bars, key=lambda each: -each.width))

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        estimates = ("low", "base", "high")
        bars = [
            bar._asdict() | {name: getattr(bar, name)._asdict() for name in estimates}
            for bar in self.ranked()
        ]
        return self._asdict() | {"bars": bars}
