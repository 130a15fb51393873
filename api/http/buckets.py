"""Rate limits: one token bucket a caller, in memory."""

import math
from time import monotonic
from typing import NamedTuple

_CALLERS_MAX = 100_000
"""Beyond it, buckets that are full again are forgotten."""


class Level(NamedTuple):
    """A bucket after a request: `wait` seconds until it can be sent, 0 where it was taken."""

    capacity: int
    remaining: int
    reset: int
    wait: int

    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Return the headers that tell a caller."""
        return (
            (b"ratelimit-limit", str(self.capacity).encode()),
            (b"ratelimit-remaining", str(self.remaining).encode()),
            (b"ratelimit-reset", str(self.reset).encode()),
        )


class Buckets:
    """A bucket for every caller: `capacity` requests at once, `per_second` in the long run.

    With `per_second` 0 there is no limit.
    """

    def __init__(self, capacity: int, per_second: int) -> None:
        self.capacity = capacity
        self.per_second = per_second
        self._filled: dict[str, tuple[float, float]] = {}

    def take(self, caller: str, weight: int) -> Level | None:
        """Take a request's weight, a full bucket at most; None where there is no limit."""
        if self.per_second == 0:
            return None
        weight = min(weight, self.capacity)  # or it could never be sent
        now = monotonic()
        held = self._held(caller, now)
        is_taken = held >= weight
        wait = 0 if is_taken else max(1, math.ceil((weight - held) / self.per_second))
        held -= weight if is_taken else 0
        if caller not in self._filled and len(self._filled) >= _CALLERS_MAX:
            self._forget(now)
        self._filled[caller] = (held, now)
        reset = math.ceil((self.capacity - held) / self.per_second)
        return Level(self.capacity, int(held), reset, wait)

    def remaining(self, caller: str) -> int:
        """Return what a caller could take now."""
        return int(self._held(caller, monotonic())) if self.per_second else self.capacity

    def _held(self, caller: str, now: float) -> float:
        held, since = self._filled.get(caller, (float(self.capacity), now))
        return min(held + (now - since) * self.per_second, float(self.capacity))

    def _forget(self, now: float) -> None:
        full = [each for each in self._filled if self._held(each, now) >= self.capacity]
        for caller in full:
            del self._filled[caller]
