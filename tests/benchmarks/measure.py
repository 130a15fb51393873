"""How figures are taken."""

import math
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Figure(NamedTuple):
    """One line of the page.

    Attributes:
        what: What was measured.
        value: The figure.
        beside: What it is to be compared with, from the same run.
        bar: What it has to reach; empty where nothing is asked of it.
    """

    what: str
    value: str
    beside: str = ""
    bar: str = ""


class Times(NamedTuple):
    """How long single calls took, in nanoseconds."""

    nanoseconds: list[int]

    def take(self, call: Callable[..., object], *inputs: object) -> None:
        """Time one call."""
        begun = time.perf_counter_ns()
        call(*inputs)
        self.nanoseconds.append(time.perf_counter_ns() - begun)

    @property
    def least(self) -> float:
        """The least, in microseconds: what neighbours disturb least."""
        return min(self.nanoseconds) / 1e3

    def __str__(self) -> str:
        """Give the least and the median."""
        return f"{self.least:.1f} us, median {statistics.median(self.nanoseconds) / 1e3:.1f} us"


def least_seconds(
    call: Callable[[], object],
    repeats: int = 25,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the least time of a call, after one to warm up: what neighbours disturb least."""
    call()
    least = math.inf
    for _ in range(repeats):
        begun = clock()
        call()
        least = min(least, clock() - begun)
    return least


def nanoseconds(
    call: Callable[[], object],
    count: int,
    repeats: int = 25,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the least time that a call takes for each of the `count` things it does."""
    return least_seconds(call, repeats, clock) / count * 1e9
