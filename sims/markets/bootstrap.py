"""Markets made of blocks of recorded hours: the stationary bootstrap of Politis and Romano."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from amm.scenarios import UNDERLYINGS
from amm.units import HOUR_MS
from sims.markets.block import Clock, Ints, MarketBlock
from sims.markets.diffusion import Pair, accumulate, check_pair
from sims.markets.hours import FEEDS, Hours, read_hours
from sims.markets.sessions import hours_of_week, is_open
from sims.markets.surfaces import TIME_MAX_MS


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Blocks of recorded hours of geometric length, BTC, ETH and stocks together.

    A block begins at a random recorded hour of the same hour of the week on New York's clocks as
    the hour it is drawn for, so nights and weekends stay where they are. It also ends where history
    breaks or an hour is missing. Of each hour the returns and how far its low and high lie beyond
    its ends are kept as they were.

    Attributes:
        folder: Of the history.
        prices: Of BTC and ETH in USD at the start.
        mean_block_hours: Mean length of a block.
        stocks: Symbols, one column each, beginning at their last price; only hours in which all of
            them have one are drawn from. In a drawn holiday they stand still.
        feeds: What is fed as the vol levels: `realised`, that of the hour drawn, with squared
            returns of 10 days' mean age; `recorded`, what a vol index said in that hour, 0 where it
            said nothing; `estimator`, nothing.
        keeps_drift: Whether what recorded hours gained on average is kept; else it is taken off
            each return, so that E[S] = S0 for an hour drawn at random.
        start_ms: Hours that begin earlier are not drawn.
        end_ms: Nor are hours that end later.
    """

    folder: Path
    prices: Pair = (100_000.0, 4_000.0)
    mean_block_hours: float = 72.0
    stocks: tuple[str, ...] = ()
    feeds: str = "realised"
    keeps_drift: bool = False
    start_ms: int = 0
    end_ms: int = TIME_MAX_MS

    def __post_init__(self) -> None:
        """Refuse a bootstrap that cannot be; files are looked at when paths are drawn.

        Raises:
            ValueError: For a field out of its range.
        """
        check_pair(self.prices, (0.0, 0.0), 0.0)
        if not 1.0 <= self.mean_block_hours <= 1e5:
            raise ValueError("mean_block_hours must be from 1 to 100000")
        if self.feeds not in FEEDS:
            raise ValueError(f"feeds {self.feeds!r} is not one of {', '.join(FEEDS)}")
        if self.end_ms <= self.start_ms:
            raise ValueError("end_ms must be after start_ms")

    def hours(self) -> Hours:
        """Return the hours drawn from; files are read once.

        Raises:
            HistoryError: For files that are missing or damaged, and where hours of the week are
                missing altogether.
            SurfaceError: For damaged files of vol levels.
        """
        return read_hours(
            self.folder, self.stocks, self.feeds, self.keeps_drift, self.start_ms, self.end_ms
        )

    def draw(self, clock: Clock, paths: int, random: np.random.Generator) -> MarketBlock:
        """Return a block of paths; what it is depends on the arguments and the files only.

        Raises:
            HistoryError: As `hours`.
            ValueError: For steps that are not hours.
        """
        if clock.step_ms != HOUR_MS:
            raise ValueError("recorded hours are drawn: the steps must be hours")
        hours = self.hours()
        times_ms = clock.times_ms
        rows = draw_rows(
            hours, hours_of_week(times_ms[:-1]), paths, 1.0 / self.mean_block_hours, random
        )
        found = np.exp(accumulate(hours.moves[rows]))
        prices = found[..., :UNDERLYINGS] * np.asarray(self.prices)
        lows, highs = prices.copy(), prices.copy()
        ends = prices[:, :-1], prices[:, 1:]
        lows[:, 1:] = np.minimum(*ends) * np.exp(-hours.below)[rows]
        highs[:, 1:] = np.maximum(*ends) * np.exp(hours.above)[rows]
        levels = np.empty_like(prices)
        levels[:, 1:] = hours.levels[rows]
        levels[:, 0] = levels[:, 1]
        return MarketBlock(
            times_ms,
            prices,
            lows,
            highs,
            levels,
            found[..., UNDERLYINGS:] * hours.last_stocks,
            is_open(times_ms),
            np.ones(paths),
        )


def draw_rows(
    hours: Hours, hours_wanted: Ints, paths: int, chance: float, random: np.random.Generator
) -> Ints:
    """Draw which recorded hour each step takes.

    Args:
        hours: To draw from.
        hours_wanted: Hour of the week at which each step begins, shape (steps,).
        paths: How many.
        chance: That a block ends after an hour.
        random: What is drawn from.

    Returns:
        Rows of `hours`, shape (paths, steps).
    """
    begins = random.random((hours_wanted.size, paths)) < chance
    begins[0] = True
    counts = np.diff(hours.first)[hours_wanted]
    places = (random.random((hours_wanted.size, paths)) * counts[:, None]).astype(np.int64)
    drawn = hours.by_hour[hours.first[hours_wanted][:, None] + places]
    rows = np.empty((paths, hours_wanted.size), dtype=np.int64)
    row = drawn[0]
    for step, (is_begin, fresh) in enumerate(zip(begins, drawn, strict=True)):
        if step:
            row = np.where(is_begin | (hours.left[row] == 0), fresh, row + 1)
        rows[:, step] = row
    return rows
