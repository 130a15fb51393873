"""Pictures of a run: prices, what a share of each pool was worth, and how much was locked."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from sims.series import PriceSeries, TokenSeries

COLOURS = ("#1b6ca8", "#d1495b", "#3a7d44", "#edae49", "#6a4c93")


def _dress(axes: Axes, label: str) -> None:
    axes.set_ylabel(label)
    axes.grid(visible=True, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0)
    axes.legend(loc="best", frameon=False, fontsize=9)


def draw_run(path: Path, title: str, prices: list[PriceSeries], tokens: list[TokenSeries]) -> None:
    """Write a PNG with three charts that share their time axis."""
    with mpl.rc_context({"font.size": 10}):
        figure = Figure(figsize=(10, 8), layout="constrained")
        top, middle, bottom = figure.subplots(3, 1, sharex=True)
        for colour, each in zip(COLOURS, prices, strict=False):
            change = 100.0 * (each.prices / each.prices[0] - 1.0)
            top.plot(each.times, change, color=colour, lw=1.2, label=each.symbol)
        for colour, series in zip(COLOURS, tokens, strict=False):
            gain = 100.0 * (series.share_price - 1.0)
            middle.plot(series.times, gain, color=colour, lw=1.4, label=series.token)
            used = 100.0 * series.utilisation
            bottom.plot(series.times, used, color=colour, lw=1.2, label=series.token)
        _dress(top, "index, % since start")
        _dress(middle, "main pool share price,\n% since start")
        _dress(bottom, "utilisation, %")
        bottom.set_ylim(0, 105)
        locator: Any = AutoDateLocator()  # type: ignore[no-untyped-call]
        bottom.xaxis.set_major_locator(locator)
        bottom.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        top.set_title(title, loc="left", fontweight="bold")
        figure.savefig(path, dpi=110)
