"""One leg of a shock script: so far, in so many hours, in such a manner."""

import math
from dataclasses import dataclass

from amm.scenarios import UNDERLYINGS
from amm.units import HOUR_MS
from sims.markets.diffusion import Pair

SHAPES = ("noise", "straight")
MOVE_MAX = 5.0
"""Of a log move."""
HOURS_MAX = 24.0 * 365.0
VOL_MULTIPLE_MAX = 20.0


@dataclass(frozen=True, slots=True)
class ScriptLeg:
    """A stretch of a script; its end is reached exactly, on every path.

    Attributes:
        hours: Its length, a whole number of steps.
        returns: Simple returns of BTC and ETH over the leg: -0.35 is a fall by 35 %.
        log_moves: The same in logarithms, instead of `returns`; none: `returns` count.
        vol_multiple: Of the calm vols, for the noise and the vol level of the leg.
        shape: `straight`, a line in the logarithm, whose steps have no extremes beyond their ends;
            or `noise`, a Brownian bridge around that line.
        wicks: How far BTC and ETH go beyond the ends of one step, as a simple return: -0.1 makes
            its low 10 % lower than its lower end, 0.1 its high 10 % higher than its higher end.
        wick_at: Which step has the wicks: 0 for the first of the leg, 1 for its last.
        stocks: Simple return of each stock over the leg, beside what comes with BTC; while its
            exchange is closed it becomes a gap. None: 0.
        is_seen: Whether the exchange sees the indices; else their prices are NaN, as where nothing
            was observed, though the market moves on.
    """

    hours: float
    returns: Pair = (0.0, 0.0)
    log_moves: Pair | None = None
    vol_multiple: float = 1.0
    shape: str = "noise"
    wicks: Pair = (0.0, 0.0)
    wick_at: float = 1.0
    stocks: tuple[float, ...] = ()
    is_seen: bool = True

    def __post_init__(self) -> None:
        """Refuse a leg that cannot be.

        Raises:
            ValueError: For a number out of its range.
        """
        if not 0.0 < self.hours <= HOURS_MAX:
            raise ValueError(f"leg: hours must be more than 0, at most {HOURS_MAX:g}")
        if self.log_moves is not None and any(self.returns):
            raise ValueError("leg: either returns or log_moves")
        pairs = (self.returns, self.wicks, self.log_moves or (0.0, 0.0))
        if any(len(pair) != UNDERLYINGS for pair in pairs):
            raise ValueError(f"leg: returns, log_moves and wicks are {UNDERLYINGS}, of BTC and ETH")
        for each in (*self.returns, *self.wicks, *self.stocks):
            if not -1.0 < each <= math.expm1(MOVE_MAX):
                raise ValueError("leg: a return must be more than -1, such as -0.35")
        if not all(abs(move) <= MOVE_MAX for move in self.log_moves or ()):
            raise ValueError(f"leg: a log move must be from {-MOVE_MAX:g} to {MOVE_MAX:g}")
        if not 0.0 <= self.vol_multiple <= VOL_MULTIPLE_MAX:
            raise ValueError(f"leg: vol_multiple must be from 0 to {VOL_MULTIPLE_MAX:g}")
        if self.shape not in SHAPES:
            raise ValueError(f"leg: shape {self.shape!r} is not one of {', '.join(SHAPES)}")
        if not 0.0 <= self.wick_at <= 1.0:
            raise ValueError("leg: wick_at must be from 0 to 1")

    @property
    def moves(self) -> Pair:
        """Log moves of BTC and ETH over the leg."""
        if self.log_moves is not None:
            return self.log_moves
        bitcoin, ether = self.returns
        return math.log1p(bitcoin), math.log1p(ether)

    def steps(self, step_ms: int) -> int:
        """Return how many steps the leg has.

        Raises:
            ValueError: Where it ends between two steps.
        """
        length_ms = self.hours * HOUR_MS
        steps = round(length_ms / step_ms)
        if steps < 1 or abs(steps * step_ms - length_ms) > 1.0:
            minutes = step_ms / 60_000
            raise ValueError(
                f"leg: {self.hours:g} hours are no whole number of {minutes:g} minutes"
            )
        return steps
