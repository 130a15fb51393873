"""History as it was: recorded prices with their real lows and highs, at their own times."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from amm.units import DAY_MS
from sims.markets.archive import Archive, covered_by, read_archive, whole_windows
from sims.markets.bars import HOURLY, bar_length
from sims.markets.block import Clock, Ints, MarketBlock
from sims.markets.history import HistoryError, UncoveredError
from sims.markets.sessions import is_open
from sims.markets.start_levels import start_levels
from sims.markets.surfaces import TIME_MAX_MS
from sims.markets.table import iso_minute


@dataclass(frozen=True, slots=True)
class Replayed:
    """The history that begins when the clock does, or ones that begin whole days later.

    What was not observed stays so: where a bar is missing, price, low and high are NaN. Vol levels
    are fed where one was recorded and not two days old; elsewhere they are 0, the estimator's. At
    the start there always is one: `sims.markets.start_levels` looks at what came before.

    Attributes:
        folder: Of the history.
        rows: Which bars: `1h`, or such as `2025-10_15m`; the clock's steps are so many bars each.
        stocks: Symbols, one column each. They stand still while their exchange is closed.
        every_days: 0 gives every path the same history. Else each path begins a whole multiple of
            so many days after the clock's start, drawn at random, none twice in a block while
            there are others. The clock and the sessions stay those of its start, so with stocks it
            must be whole weeks; holidays and the change to summer time are then off by what they
            are.
        end_ms: No path goes beyond it.
    """

    folder: Path
    rows: str = HOURLY
    stocks: tuple[str, ...] = ()
    every_days: int = 0
    end_ms: int = TIME_MAX_MS

    def __post_init__(self) -> None:
        """Refuse a replay that cannot be; files are looked at when paths are drawn.

        Raises:
            ValueError: For a field out of its range.
        """
        bar_length(self.rows)
        if self.every_days < 0:
            raise ValueError("every_days must not be negative")
        if self.stocks and self.every_days % 7:
            raise ValueError("every_days must be whole weeks where there are stocks")

    def draw(self, clock: Clock, paths: int, random: np.random.Generator) -> MarketBlock:
        """Return a block of paths; what it is depends on the arguments and the files only.

        Raises:
            UncoveredError: For files that are missing, and for times they do not cover.
            HistoryError: For damaged files.
            SurfaceError: For damaged files of vol levels.
        """
        archive = read_archive(self.folder, self.rows, clock.step_ms, self.stocks)
        starts = self._starts(archive, clock, paths, random)
        rows = starts[:, None] + np.arange(clock.steps)
        moments = starts[:, None] + np.arange(clock.steps + 1)
        prices = np.concatenate([archive.opens[starts][:, None], archive.closes[rows]], axis=1)
        lows, highs = prices.copy(), prices.copy()
        # A bar may open beyond the last one's close; what was not observed stays NaN.
        lows[:, 1:] = np.minimum(archive.lows[rows], np.fmin(prices[:, :-1], prices[:, 1:]))
        highs[:, 1:] = np.maximum(archive.highs[rows], np.fmax(prices[:, :-1], prices[:, 1:]))
        levels = archive.levels[moments]
        levels[:, 0] = start_levels(archive, starts)
        times_ms = clock.times_ms
        stocks = archive.stocks[moments]
        return MarketBlock(
            times_ms,
            prices,
            lows,
            highs,
            levels,
            stocks,
            is_open(times_ms),
            np.ones(paths),
        )

    def _starts(
        self, archive: Archive, clock: Clock, paths: int, random: np.random.Generator
    ) -> Ints:
        """Return the row each path begins at."""
        first, odd = divmod(clock.start_ms - int(archive.times_ms[0]), clock.step_ms)
        if odd:
            raise HistoryError(f"{self.folder}: no bar begins at {iso_minute(clock.start_ms)}")
        fits = whole_windows(archive, clock.steps)
        fits &= archive.times_ms[:-1] + clock.steps * clock.step_ms <= self.end_ms
        if self.every_days == 0:
            if not (0 <= first < fits.size and fits[first]):
                raise self._uncovered(archive, clock)
            return np.full(paths, first)
        shift = self.every_days * (DAY_MS // clock.step_ms)
        rows = np.arange(first % shift if first < 0 else first, fits.size, shift)
        rows = rows[fits[rows]]
        if rows.size == 0:
            raise self._uncovered(archive, clock)
        rounds = [random.permutation(rows) for _ in range(-(-paths // rows.size))]
        return np.concatenate(rounds)[:paths]

    def _uncovered(self, archive: Archive, clock: Clock) -> UncoveredError:
        begin, end = iso_minute(clock.start_ms), iso_minute(int(clock.times_ms[-1]))
        return UncoveredError(
            f"{self.folder}: prices of everything from {begin} to {end} are not covered, unbroken "
            f"are only {covered_by(archive)}"
        )
