"""Charts of many paths: fan of share prices, drawdowns, and the loss table of a book."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from sims.chapters.pricing_pictures import GREY
from sims.drawdown.trace import Trace
from sims.report import COLOURS
from sims.reports.drawing import PERCENT, chart
from sims.reports.figures import probability
from sims.reports.replays import Replay
from sims.statistics import Floats
from vaults.risk import SPOT_MOVES, VOL_MOVES

BANDS = ((0.01, 0.99), (0.05, 0.95), (0.25, 0.75))
WORST_SHOWN = 3
BINS_MIN, BINS_MAX = 10, 50
DEPTHS = 120
"""Drawdowns at which the survival curve is computed."""


def quantiles_by_day(values: Floats, weights: Floats, shares: Sequence[float]) -> Floats:
    """Return weighted quantiles of each day.

    Args:
        values: Shape (paths, days).
        weights: Shape (paths,).
        shares: From 0 to 1.

    Returns:
        Shape (shares, days).
    """
    order = np.argsort(values, axis=0)
    ordered = np.take_along_axis(values, order, axis=0)
    reached = np.cumsum(weights[order], axis=0) / weights.sum()
    found = np.empty((len(shares), values.shape[1]))
    for row, share in enumerate(shares):
        first = np.argmax(reached >= share - 1e-12, axis=0)
        found[row] = np.take_along_axis(ordered, first[None, :], axis=0)[0]
    return found


def draw_fan(prices: Floats, weights: Floats, worst: Sequence[Replay]) -> bytes:
    """Draw bands of main's share price by day, and the worst paths.

    Args:
        prices: Over the start, shape (paths, days + 1).
        weights: Shape (paths,).
        worst: Paths run again, the worst first.
    """
    change, days = PERCENT * (prices - 1.0), np.arange(prices.shape[1])
    with chart(10, 4.6) as begun:
        axes = begun.figure.subplots()
        for number, (low, high) in enumerate(BANDS):
            bottom, top = quantiles_by_day(change, weights, (low, high))
            label = f"{PERCENT * (high - low):.0f} of 100 paths"
            axes.fill_between(
                days, bottom, top, color=COLOURS[0], alpha=0.14 + 0.12 * number, lw=0, label=label
            )
        axes.plot(
            days, quantiles_by_day(change, weights, (0.5,))[0], color=COLOURS[0], label="median"
        )
        for style, each in zip(("-", "--", ":"), worst, strict=False):
            times = each.trace.times_ms
            axes.plot(
                (times - times[0]) / 86_400_000, PERCENT * (each.trace.share_price - 1.0),
                color=COLOURS[1], lw=1.0, ls=style, label=f"path {each.number}",
            )  # fmt: skip
        axes.axhline(0.0, color=GREY, lw=0.6)
        axes.set(xlabel="days", ylabel="main share price, % since start")
        axes.legend(loc="upper left", ncols=2)
    return begun.png


def draw_drawdowns(drawdown: Floats, weights: Floats) -> bytes:
    """Draw the histogram of largest drawdowns, and how often each depth is exceeded.

    Args:
        drawdown: Shape (paths,).
        weights: Shape (paths,).
    """
    with chart(10, 4.0) as begun:
        left, right = begun.figure.subplots(1, 2)
        shares = PERCENT * weights / weights.sum()
        bins = min(max(math.isqrt(2 * drawdown.size), BINS_MIN), BINS_MAX)
        left.hist(PERCENT * drawdown, bins=bins, weights=shares, color=COLOURS[0])
        left.set(xlabel="largest drawdown of a path, %", ylabel="paths, %", xlim=(0.0, None))
        left.set_title("how deep drawdowns are")
        _survival(right, drawdown, weights)
    return begun.png


def _survival(axes: Axes, drawdown: Floats, weights: Floats) -> None:
    deepest = max(float(drawdown.max()), 1e-4)
    depths = np.linspace(0.0, deepest, DEPTHS)
    told = [probability(drawdown > depth, weights) for depth in depths]
    values = PERCENT * np.array([each.value for each in told])
    seen = values > 0.0
    if drawdown.size > 1:
        errors = PERCENT * np.array([each.error or 0.0 for each in told])
        low = np.maximum(values - errors, values / 10.0)
        axes.fill_between(
            PERCENT * depths, np.where(seen, low, np.nan), np.where(seen, values + errors, np.nan),
            color=COLOURS[0], alpha=0.25, lw=0, label="± 1 standard error",
        )  # fmt: skip
    axes.plot(PERCENT * depths[seen], values[seen], color=COLOURS[0], label="paths exceeding it")
    axes.set(xlabel="drawdown, %", ylabel="paths, % (log scale)", yscale="log")
    axes.set(xlim=(0.0, None), ylim=(None, 130.0))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_title("how often a depth is exceeded")
    axes.legend(loc="lower left")


def _move(part: float) -> str:
    return f"{PERCENT * part:+.0f} %" if part else "none"


def draw_losses(trace: Trace, start: float) -> bytes:
    """Draw what a sudden move would have cost main where the pool was used most.

    Args:
        trace: Of a path.
        start: Tokens main began with.
    """
    losses = PERCENT * trace.losses.T / start
    most = max(float(np.abs(losses).max()), 1e-9)
    with chart(10, 3.6) as begun:
        axes = begun.figure.subplots()
        image = axes.imshow(losses, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
        axes.grid(visible=False)
        axes.set_xticks(range(SPOT_MOVES.size), [_move(each) for each in SPOT_MOVES])
        axes.set_yticks(range(VOL_MOVES.size), [_move(each) for each in VOL_MOVES])
        for (row, column), loss in np.ndenumerate(losses):
            colour = "white" if abs(loss) > 0.6 * most else "black"
            text = f"{loss + 0.0:.2f}".replace("-0.00", "0.00")
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
        axes.set(xlabel="move of both indices", ylabel="move of vol levels")
        begun.figure.colorbar(image, label="loss of main, % of its start", pad=0.01)
    return begun.png
