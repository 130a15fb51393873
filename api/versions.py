"""Versions of a token's parameters: those that were ever in force, and the one announced."""

from typing import NamedTuple

from vaults.params import PARAMETER_RANGES, Parameters
from vaults.split import scaled


class Version(NamedTuple):
    """A complete set of parameters; `adopted_ms` is 0 until it is in force."""

    version: int
    parameters: Parameters
    announced_ms: int
    effective_ms: int
    adopted_ms: int = 0


class Versions(NamedTuple):
    """Those that were adopted, the last of them in force, and the one announced, if any."""

    adopted: tuple[Version, ...]
    announced: Version | None = None

    @property
    def in_force(self) -> Version:
        """The version in force."""
        return self.adopted[-1]

    @property
    def next_number(self) -> int:
        """A number no version has had."""
        return (self.announced or self.in_force).version + 1

    def with_announced(
        self, parameters: Parameters, announced_ms: int, effective_ms: int
    ) -> "Versions":
        """Return them with another announced, which takes the place of one that waits."""
        return self._replace(
            announced=Version(self.next_number, parameters, announced_ms, effective_ms)
        )

    def with_adopted(self, now_ms: int) -> "Versions":
        """Return them with the announced one in force."""
        assert self.announced is not None
        return Versions((*self.adopted, self.announced._replace(adopted_ms=now_ms)))

    def split(self, numerator: int, denominator: int, effective_ms: int, now_ms: int) -> "Versions":
        """Return them with what is an amount in the last times p/q; in the announced one too."""
        number = self.next_number
        after = split_parameters(self.in_force.parameters, numerator, denominator)
        adopted = (*self.adopted, Version(number, after, effective_ms, effective_ms, now_ms))
        waiting = self.announced
        if waiting is not None:
            later = split_parameters(waiting.parameters, numerator, denominator)
            waiting = waiting._replace(version=number + 1, parameters=later)
        return Versions(adopted, waiting)


def first_version(parameters: Parameters, now_ms: int) -> Versions:
    """Return the versions of a token that is being listed."""
    return Versions((Version(1, parameters, now_ms, now_ms, now_ms),))


def split_parameters(parameters: Parameters, numerator: int, denominator: int) -> Parameters:
    """Return the same parameters for amounts that are multiplied by p/q.

    The least notional stays within its range. The seed is what was paid in, and bound by none.
    """
    notional = int(scaled(parameters.notional_min, numerator, denominator))
    least, most = PARAMETER_RANGES["notional_min"]
    return parameters._replace(
        seed=max(int(scaled(parameters.seed, numerator, denominator)), 1),
        notional_min=int(min(max(notional, least), most)),
    )
