"""Which settings matter most: a figure at both ends of each, all others as they are."""

from collections.abc import Sequence
from typing import NamedTuple

from sims.reports.tables import SHARE
from sims.reports.tornado import Bar, Tornado
from sims.statistics import Estimate
from sims.sweeps.figures import FIGURES, Measured, difference
from sims.sweeps.settings import Value
from sims.sweeps.sweep import Row
from sims.sweeps.wording import number


class Swing(NamedTuple):
    """What one setting does to one figure.

    Attributes:
        setting: Which.
        low: Its low end, or first value.
        high: Its high end, or last value.
        at_low: The figure there.
        base: The figure of the scenario as it is.
        at_high: The figure at the high end.
        less: The figure at the low end, less that of the scenario as it is, with its paired error.
        more: The same at the high end.
    """

    setting: str
    low: Value
    high: Value
    at_low: Estimate
    base: Estimate
    at_high: Estimate
    less: Estimate
    more: Estimate

    @property
    def width(self) -> float:
        """How far the setting moves the figure, either way."""
        moved = (0.0, self.less.value, self.more.value)
        return max(moved) - min(moved)


def swings_of(rows: Sequence[Row], figure: str) -> list[Swing]:
    """Return the swings of a figure, the widest first.

    Args:
        rows: The scenario as it is, then for each setting its low and its high end, as
            `sims.sweeps.design.one_at_a_time` has them.
        figure: Name of one of `sims.sweeps.figures.FIGURES`.
    """
    base = rows[0].measured[figure]
    ends: dict[str, list[tuple[Value, Measured]]] = {}
    for row in rows[1:]:
        (setting, value), *_ = row.settings.items()
        ends.setdefault(setting, []).append((value, row.measured[figure]))
    found = [
        Swing(
            setting,
            both[0][0],
            both[1][0],
            both[0][1].estimate,
            base.estimate,
            both[1][1].estimate,
            difference(both[0][1], base),
            difference(both[1][1], base),
        )
        for setting, both in ends.items()
        if len(both) == 2
    ]
    return sorted(found, key=lambda swing: -swing.width)


def for_report(swings: Sequence[Swing], token: str, figure: str) -> Tornado:
    """Return the swings of a figure as the report of a run shows them.

    Ends are read against the figure as it is, so they have the paired errors of the differences.
    """
    bars = (
        Bar(
            each.setting,
            number(each.low),
            number(each.high),
            each.at_low._replace(error=each.less.error),
            each.base,
            each.at_high._replace(error=each.more.error),
        )
        for each in swings
    )
    return Tornado(token, FIGURES[figure].title, SHARE, tuple(bars))
