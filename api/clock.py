"""Two clocks: the wall's, which signatures are checked against, and the exchange's.

They differ only where a market runs at its own pace: a replay begins when its history does, and a
simulation may run many times faster than the wall. This is the one place that reads the time.
"""

import time
from datetime import UTC, datetime


class Clock:
    """The exchange's time: `start_ms` when it was made, then `speed` times as fast as the wall.

    Args:
        speed: Milliseconds of the exchange per millisecond of the wall; > 0.
        start_ms: Where it begins; none: at the present.
        not_before_ms: It never shows an earlier time. Given the journal's last, a restarted
            exchange goes on where it stopped.
    """

    def __init__(
        self, speed: float = 1.0, start_ms: int | None = None, not_before_ms: int = 0
    ) -> None:
        assert speed > 0.0
        self.speed = speed
        self._wall_origin_ms = self.wall_ms()
        start = self._wall_origin_ms if start_ms is None else start_ms
        self._origin_ms = max(start, not_before_ms)
        self._last_ms = self._origin_ms

    def wall_ms(self) -> int:
        """Return the time of the wall clock."""
        return time.time_ns() // 1_000_000

    def now_ms(self) -> int:
        """Return the exchange's time; it stands still while the wall clock is set back."""
        elapsed_ms = self.wall_ms() - self._wall_origin_ms
        self._last_ms = max(self._last_ms, self._origin_ms + int(elapsed_ms * self.speed))
        return self._last_ms

    def seconds_until(self, time_ms: int) -> float:
        """Return the seconds on the wall until the exchange's clock shows a time; 0 if it has."""
        return max(0.0, (time_ms - self.now_ms()) / (1_000 * self.speed))


def iso_millisecond(at_ms: int) -> str:
    """Return a time such as 2024-01-31T13:00:00.000Z."""
    text = datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
