"""The exchange's clock: the wall's pace or faster, from any time, and never backwards."""

import pytest

from api.clock import Clock

WALL_MS = 1_760_000_000_000


class WallClock(Clock):
    """A clock on a wall that the test sets."""

    def __init__(
        self, speed: float = 1.0, start_ms: int | None = None, not_before_ms: int = 0
    ) -> None:
        self.shown_ms = WALL_MS
        super().__init__(speed, start_ms, not_before_ms)

    def wall_ms(self) -> int:
        """Return what the test says."""
        return self.shown_ms


def test_at_its_own_pace_it_is_the_wall_clock() -> None:
    clock = WallClock()
    for shown in (WALL_MS, WALL_MS + 1, WALL_MS + 123_456_789):
        clock.shown_ms = shown
        assert clock.now_ms() == clock.wall_ms() == shown


def test_a_faster_clock_begins_where_it_is_told() -> None:
    clock = WallClock(speed=60.0, start_ms=5_000)
    assert clock.now_ms() == 5_000
    clock.shown_ms += 1_000
    assert clock.now_ms() == 65_000


@pytest.mark.parametrize("start_ms", [None, 1_000, WALL_MS + 8_999])
def test_it_goes_on_after_the_journal(start_ms: int | None) -> None:
    clock = WallClock(1.0, start_ms, not_before_ms=WALL_MS + 9_000)
    assert clock.now_ms() == WALL_MS + 9_000
    clock.shown_ms += 7
    assert clock.now_ms() == WALL_MS + 9_007


def test_a_journal_of_the_past_does_not_hold_it_back() -> None:
    assert WallClock(not_before_ms=WALL_MS - 1).now_ms() == WALL_MS


def test_a_wall_clock_set_back_stops_it_until_it_is_made_up() -> None:
    clock = WallClock(speed=2.0)
    clock.shown_ms += 500
    before = clock.now_ms()
    clock.shown_ms -= 400
    assert clock.now_ms() == before
    clock.shown_ms += 401
    assert clock.now_ms() == before + 2


def test_waiting_is_counted_on_the_wall() -> None:
    clock = WallClock(speed=60.0, start_ms=0)
    assert clock.seconds_until(30_000) == pytest.approx(0.5)
    assert clock.seconds_until(-5) == 0.0


def test_the_real_wall_is_read() -> None:
    clock = Clock()
    first = clock.now_ms()
    assert first > WALL_MS
    assert clock.now_ms() >= first
