"""The chart of one path run again: index, share price, utilisation and insurance by time."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from sims.drawdown.trace import Trace
from sims.drawdown.world import SYMBOLS
from sims.report import COLOURS
from sims.reports.drawing import PERCENT, chart, with_dates
from sims.reports.replays import Replay
from vaults.condition import Condition

Times = npt.NDArray[np.datetime64]


def draw_replay(replay: Replay) -> bytes:
    """Draw a path step by step."""
    trace = replay.trace
    times = trace.times_ms.astype("datetime64[ms]")
    lines = (
        (PERCENT * (trace.share_price - 1.0), "main share price,\n% since start", COLOURS[0]),
        (PERCENT * trace.utilisation, "utilisation,\n%", COLOURS[2]),
        (PERCENT * trace.insurance, "insurance,\n% of its start", COLOURS[4]),
    )
    with chart(10, 7.6) as begun:
        first, *panels = begun.figure.subplots(4, 1, sharex=True)
        _prices(first, times, trace)
        for panel, (values, label, colour) in zip(panels, lines, strict=True):
            panel.plot(times, values, color=colour, lw=1.2)
            panel.set_ylabel(label)
        _losses(panels[0], times, replay)
        panels[1].set_ylim(bottom=0.0)
        panels[2].set_ylim(bottom=0.0)
        with_dates(panels[2])
    return begun.png


def _prices(axes: Axes, times: Times, trace: Trace) -> None:
    """Draw what indices and stock have done."""
    changes = PERCENT * (trace.prices / trace.prices[0] - 1.0)
    for colour, symbol, each in zip(COLOURS, SYMBOLS, changes.T, strict=False):
        axes.plot(times, each, color=colour, lw=1.2, label=symbol)
    if np.any(trace.stock != trace.stock[0]):
        stock = PERCENT * (trace.stock - 1.0)
        axes.plot(times, stock, color=COLOURS[4], lw=1.0, ls="--", label="stock")
    axes.set_ylabel("price,\n% since start")
    axes.legend(loc="best", ncols=3)


def _losses(axes: Axes, times: Times, replay: Replay) -> None:
    """Mark the largest losses, and when the state is not NORMAL."""
    trace = replay.trace
    rows = [each.row for each in replay.moments if each.is_loss]
    lost = PERCENT * (trace.share_price[rows] - 1.0)
    axes.plot(times[rows], lost, "v", color=COLOURS[1], ms=5, label="largest losses in a step")
    troubled = trace.condition != Condition.NORMAL.value
    if np.any(troubled):
        axes.fill_between(
            times, 0.0, 1.0, where=troubled, transform=axes.get_xaxis_transform(), lw=0,
            color=COLOURS[3], alpha=0.35, label="state not NORMAL",
        )  # fmt: skip
    axes.legend(loc="best")
