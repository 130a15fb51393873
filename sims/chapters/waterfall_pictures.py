"""The pictures of docs/waterfall.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from sims.chapters.pricing_pictures import STYLE
from sims.chapters.waterfall_histories import History
from sims.report import COLOURS
from sims.statistics import Floats

PERCENT = 100.0


def draw_weeks(path: Path, panels: Mapping[str, Mapping[str, Floats]]) -> None:
    """Draw how often the worst week of a year is at least so bad.

    Args:
        path: Where to.
        panels: By title and design: the worst week of each year, over NAV, ascending.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        for axes, (title, designs) in zip(
            figure.subplots(1, len(panels)), panels.items(), strict=True
        ):
            for colour, (name, weeks) in zip(COLOURS, designs.items(), strict=False):
                share = PERCENT * np.arange(1, weeks.size + 1) / weeks.size
                axes.plot(PERCENT * weeks, share, color=colour, lw=1.5, label=name)
            axes.set_yscale("log")
            axes.set_ylim(0.5, 100.0)
            axes.yaxis.set_major_formatter("{x:g}")
            axes.set_xlim(right=0.0)
            axes.set_title(f"book {title}")
            axes.set_xlabel("worst week of a year, % of main's NAV")
        axes = figure.axes[0]
        axes.set_ylabel("years at least so bad, %")
        axes.legend(loc="upper left")
        figure.savefig(path, dpi=100)


def draw_frontier(path: Path, panels: Mapping[str, Mapping[str, tuple[float, float]]]) -> None:
    """Draw what each design costs at a fair price against what it betters.

    Args:
        path: Where to.
        panels: By title and design: cost in % of premium, points of the worst week.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.8), layout="constrained")
        for axes, (title, designs) in zip(
            figure.subplots(1, len(panels)), panels.items(), strict=True
        ):
            ranked = sorted(designs.items(), key=lambda each: each[1][1])
            for number, (name, (price, better)) in enumerate(ranked):
                is_ours = name == "ours"
                axes.plot(price, better, "o", color=COLOURS[int(is_ours)], ms=7 if is_ours else 5)
                axes.annotate(
                    name, (price, better), (6, 4 - 13 * (number % 2)), textcoords="offset points",
                    fontsize=8, fontweight="bold" if is_ours else "normal",
                )  # fmt: skip
            axes.margins(0.22, 0.12)
            axes.set_title(f"book {title}")
            axes.set_xlabel("insurers' fair gain, % of premium")
        figure.axes[0].set_ylabel("worst week (CVaR 5 %) better by, points of NAV")
        figure.savefig(path, dpi=100)


def draw_histories(path: Path, name: str, histories: Sequence[History]) -> None:
    """Draw one stretch: main's share price and insurance's cash under each design."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.0), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        for colour, each in zip(COLOURS, histories, strict=False):
            left.plot(each.times, PERCENT * (each.main - 1.0), color=colour, label=each.design)
            cash = PERCENT * each.insurance / each.insurance[0]
            right.plot(each.times, cash, color=colour, label=each.design)
        left.set_title(f"{name}: share price of main, % since the first flush")
        right.set_title("insurance, % of what it began with")
        right.set_ylim(bottom=0.0)
        left.legend(loc="lower left")
        locator: Any = AutoDateLocator()  # type: ignore[no-untyped-call]
        left.xaxis.set_major_locator(locator)
        left.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        figure.savefig(path, dpi=100)
