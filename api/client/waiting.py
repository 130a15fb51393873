"""How long to wait between two looks at what takes its time."""

from collections.abc import Iterator
from time import monotonic

FIRST_S, LONGEST_S = 0.2, 5.0
_GROWTH = 1.3


def pauses(what: str, timeout: float | None) -> Iterator[float]:
    """Yield seconds to wait before the next look, more each time.

    Args:
        what: Is waited for.
        timeout: Seconds after which nobody waits any more; none: for good.

    Raises:
        TimeoutError: They are over.
    """
    deadline = None if timeout is None else monotonic() + timeout
    seconds = FIRST_S
    while True:
        left = seconds if deadline is None else deadline - monotonic()
        if left <= 0.0:
            raise TimeoutError(f"{what} has not ended within {timeout:g} seconds")
        yield min(seconds, left)
        seconds = min(seconds * _GROWTH, LONGEST_S)
