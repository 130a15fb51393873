"""Tables of figures: every figure has a name that stays, a label to read, and a unit."""

import math
from typing import Any, NamedTuple

from sims.reports.figures import Figure

SHARE, TOKENS, DAYS, COUNT = "share", "tokens", "days", "count"
"""Units: parts of 1, amounts of the pool's token, days, numbers of things."""


class Row(NamedTuple):
    """One line of a table: figures by the name of their column."""

    name: str
    label: str
    unit: str
    cells: dict[str, Figure]


class Column(NamedTuple):
    """Head of a column; its unit, where that is not the row's."""

    head: str
    unit: str | None = None


class Table(NamedTuple):
    """Figures of one kind, columns by name."""

    name: str
    title: str
    note: str
    columns: dict[str, Column]
    rows: tuple[Row, ...]

    def figure(self, row: str, column: str) -> Figure:
        """Return one figure.

        Raises:
            KeyError: There is no such row, or it has no such column.
        """
        return {each.name: each for each in self.rows}[row].cells[column]

    def plain(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return value, error and unit of each figure by row and column."""
        return {
            row.name: {
                name: figure._asdict() | {"unit": self.columns[name].unit or row.unit}
                for name, figure in row.cells.items()
            }
            for row in self.rows
        }

    def lines(self) -> list[list[str]]:
        """Return label and figures of each row as they are read, empty where there is none."""
        return [
            [row.label]
            + [
                shown(row.cells[name], column.unit or row.unit) if name in row.cells else ""
                for name, column in self.columns.items()
            ]
            for row in self.rows
        ]


def shown(figure: Figure, unit: str, *, sign: bool = False) -> str:
    """Return a figure as it is read, with the digits its error leaves: `-1.23 ± 0.04 %`."""
    factor = 100.0 if unit == SHARE else 1.0
    value = factor * figure.value
    error = None if figure.error is None else factor * figure.error
    digits = _digits(value, error)
    told = f"{value:{'+' if sign else ''},.{digits}f}"
    if error is not None:
        told += f" ± {error:,.{digits}f}"
    return told + {SHARE: " %", DAYS: " d"}.get(unit, "")


def _digits(value: float, error: float | None) -> int:
    """Return how many decimals tell two digits of the error, or three of the value; 4 at most."""
    told, wanted = (error, 1) if error else (abs(value), 2)
    if told == 0.0:
        return 0
    most = 4 if abs(value) < 10.0 else 2
    return min(max(wanted - math.floor(math.log10(told)), 0), most)
