"""Charts of bars: what a profit is made of, and what moves a figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from sims.chapters.pricing_pictures import GREY
from sims.report import COLOURS
from sims.reports.attribution import Part
from sims.reports.drawing import PERCENT, chart
from sims.reports.figures import Figure
from sims.reports.tables import SHARE
from sims.reports.tornado import Bar, Tornado

GAIN, LOSS, WHOLE = COLOURS[0], COLOURS[1], GREY
LOWER, HIGHER = COLOURS[0], COLOURS[3]


def draw_waterfall(parts: Sequence[Part], profit: Figure, start: float) -> bytes:
    """Draw what main's mean profit is made of: bars that sum to it.

    Args:
        parts: In the order drawn; those of 0 are left out.
        profit: Their sum.
        start: Tokens main began with.
    """
    told = [each for each in parts if each.amount.value != 0.0]
    figures = [each.amount.times(PERCENT / start) for each in (*told, Part("", "", profit))]
    labels = [*(each.label for each in told), "profit"]
    ends = np.cumsum([each.value for each in figures[:-1]])
    bottoms = [0.0, *ends[:-1].tolist(), 0.0][-len(figures) :]
    with chart(10, 4.2) as begun:
        axes = begun.figure.subplots()
        for place, (figure, bottom) in enumerate(zip(figures, bottoms, strict=True)):
            is_sum = place == len(figures) - 1
            _step(axes, place, figure, bottom, WHOLE if is_sum else None)
        axes.set_xticks(range(len(labels)), labels)
        axes.axhline(0.0, color="black", lw=0.8)
        axes.grid(visible=False, axis="x")
        axes.set(xmargin=0.03, ymargin=0.12, ylabel="% of main's start, mean of paths")
    return begun.png


def _step(axes: Axes, place: int, figure: Figure, bottom: float, colour: str | None) -> None:
    """Draw one bar, the error of its end, and its value above both."""
    end, error = bottom + figure.value, figure.error or 0.0
    colour = colour or (GAIN if figure.value > 0.0 else LOSS)
    axes.bar(place, figure.value, bottom=bottom, color=colour, width=0.6)
    if error > 0.0:
        axes.errorbar(place, end, yerr=error, ecolor="black", capsize=4, lw=1)
    above = (place, max(bottom, end + error))
    text = f"{figure.value:+.2f}"
    axes.annotate(text, above, (0, 4), textcoords="offset points", ha="center", fontsize=9)


def draw_tornado(tornado: Tornado) -> bytes:
    """Draw the bars of a tornado, the error of each end, and what it is set to there."""
    bars = tornado.ranked()[::-1]
    factor, unit = (PERCENT, "%") if tornado.unit == SHARE else (1.0, tornado.unit)
    with chart(10, 1.4 + 0.5 * len(bars)) as begun:
        axes = begun.figure.subplots()
        for place, bar in enumerate(bars):
            base = factor * bar.base.value
            axes.plot([base, base], [place - 0.45, place + 0.45], color="black", lw=1)
            _end(axes, place, bar, LOWER, factor)
            _end(axes, place, bar, HIGHER, factor)
        axes.set_yticks(range(len(bars)), [each.parameter for each in bars])
        axes.grid(visible=False, axis="y")
        axes.set(xmargin=0.15, xlabel=f"{tornado.figure}, {unit}; black line: as it is")
        if bars:
            axes.legend(loc="lower right")
    return begun.png


def _end(axes: Axes, place: int, bar: Bar, colour: str, factor: float) -> None:
    is_lower = colour == LOWER
    end, setting = (bar.low, bar.low_setting) if is_lower else (bar.high, bar.high_setting)
    value, base = factor * end.value, factor * bar.base.value
    label = f"{'lower' if is_lower else 'higher'} setting" if place == 0 else None
    axes.barh(place, value - base, left=base, height=0.6, color=colour, label=label)
    axes.errorbar(value, place, xerr=factor * end.error, color="black", capsize=3, lw=1)
    is_left = value < base
    axes.annotate(
        setting, (value, place), (-6 if is_left else 6, 9), textcoords="offset points",
        ha="right" if is_left else "left", fontsize=8,
    )  # fmt: skip
