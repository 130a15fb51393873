"""Comparisons of what a bundle says with what was computed from it, and decimals as integers."""

from decimal import Decimal
from typing import NamedTuple

DECIMALS = 8
VALUE_TOLERANCE = 1e-9
"""Values of one unit are models' floats: another machine may find another last digit."""


class Difference(NamedTuple):
    """What is not as it should be: where, what is said, and what was computed."""

    where: str
    said: str
    computed: str


class Group(NamedTuple):
    """Comparisons about one thing, and the first that failed."""

    name: str
    compared: int
    first: Difference | None


class Checks:
    """Counts comparisons group by group and keeps the first difference of each."""

    def __init__(self) -> None:
        self.groups: list[Group] = []

    def begin(self, name: str) -> None:
        """Begin a group."""
        self.groups.append(Group(name, 0, None))

    def equal(self, where: str, said: object, computed: object) -> None:
        """Compare what is said with what was computed."""
        name, count, first = self.groups[-1]
        if said != computed and first is None:
            first = Difference(where, str(said), str(computed))
        self.groups[-1] = Group(name, count + 1, first)

    def amount(self, where: str, said: str, computed: int, places: int = DECIMALS) -> None:
        """Compare a decimal string with an integer of its last place."""
        number = units(said, places)
        shown = format(Decimal(computed).scaleb(-places), "f")
        name, count, first = self.groups[-1]
        if number != computed and first is None:
            first = Difference(where, said, shown)
        self.groups[-1] = Group(name, count + 1, first)

    def near(self, where: str, said: str, computed: float) -> None:
        """Compare a value of one unit with the model's, to the tolerance of floats."""
        is_near = abs(float(said) - computed) <= VALUE_TOLERANCE
        self.equal(where, said if not is_near else "", repr(computed) if not is_near else "")

    @property
    def first(self) -> Difference | None:
        """The first difference of all."""
        return next((group.first for group in self.groups if group.first is not None), None)


def units(text: str, places: int = DECIMALS) -> int:
    """Return a decimal string as an integer of its last place, exactly.

    Raises:
        ValueError: It has more places.
    """
    scaled = Decimal(text).scaleb(places)
    whole = int(scaled)
    if whole != scaled:
        raise ValueError(f"{text!r} has more than {places} decimals")
    return whole


def up(numerator: int, denominator: int) -> int:
    """Return a quotient rounded up."""
    return -(-numerator // denominator)
