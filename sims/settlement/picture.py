"""One picture of a settlement study: cover through a gap, who pays, and how often it fails."""

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sims.report import COLOURS
from sims.settlement.names import gap_name, unit_of
from sims.settlement.settling import COIN, DOLLAR, SETTLEMENTS, asked_of
from sims.settlement.study import Study, Through

_COLOUR_OF = {COIN: COLOURS[0], DOLLAR: COLOURS[1]}
_PAYERS = (
    ("by_main", "main", COLOURS[0]),
    ("by_insurance", "insurance", COLOURS[3]),
    ("missing", "nobody: holders go without", COLOURS[1]),
)
_BARS = 4


def picture(study: Study) -> bytes:
    """Return a PNG: cover by gap, who pays every promise, weekends that leave some uncovered."""
    style: Any = {"font.size": 9, "axes.grid": True, "grid.alpha": 0.25, "legend.frameon": False}
    with mpl.rc_context(style):
        figure = Figure(figsize=(12, 4.2), layout="constrained")
        first, second, third = figure.subplots(1, 3)
        _draw_cover(first, study)
        _draw_payers(second, study)
        _draw_weekends(third, study)
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=100, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw_cover(axes: Axes, study: Study) -> None:
    pools = study.mornings
    had = (pools.main + pools.insurance)[:, None]
    every = [row.gap for row in study.through]
    gaps = np.linspace(min(every), max(every), 100)
    for settlement in SETTLEMENTS:
        asked = asked_of(settlement, pools.locked[:, None], 1.0 + gaps)
        cover = had / np.maximum(asked, 1)
        low, middle, high = np.quantile(cover, (0.05, 0.5, 0.95), axis=0)
        colour = _COLOUR_OF[settlement]
        low, middle, high = (np.broadcast_to(each, gaps.shape) for each in (low, middle, high))
        axes.fill_between(100 * gaps, low, high, color=colour, alpha=0.25, lw=0)
        axes.plot(
            100 * gaps, middle, color=colour, lw=1.6, label=f"settled in {unit_of(settlement)}"
        )
    axes.axhline(1.0, color="black", lw=0.8)
    axes.axhspan(0.0, 1.0, color="black", alpha=0.05, lw=0)
    axes.text(100 * gaps[1], 0.03, "not every promise can be kept", fontsize=8)
    axes.set(title="What the pools have over what they can be asked", ylim=(0.0, 1.6))
    axes.set(xlabel="gap of the stock over the weekend, %", xlim=(100 * gaps[0], 100 * gaps[-1]))
    axes.legend(loc="upper left")


def _shown(study: Study) -> list[Through]:
    """Return the rows of the bars: no gap, the one singled out, and two between and beyond."""
    falls = sorted({row.gap for row in study.through if row.gap <= 0.0} | {study.gap}, reverse=True)
    places = np.unique(np.linspace(0, len(falls) - 1, _BARS).astype(np.int64))
    gaps = sorted({falls[place] for place in places} | {study.gap}, reverse=True)
    return [row for row in study.through if row.gap in gaps and row.idle == 0.0]


def _draw_payers(axes: Axes, study: Study) -> None:
    rows = _shown(study)
    place = np.arange(len(rows)) + 0.4 * (np.arange(len(rows)) // 2)
    bottom = np.zeros(len(rows))
    for name, label, colour in _PAYERS:
        height = 100 * np.array([getattr(row, name).value for row in rows])
        axes.bar(place, height, bottom=bottom, color=colour, width=0.8, label=label)
        bottom += height
    names = [f"{gap_name(row.gap)}\n{row.settlement}" for row in rows]
    axes.set_xticks(place, names, fontsize=7)
    axes.grid(visible=False, axis="x")
    axes.set(title="Who pays if every promise is called", ylabel="tokens, % of what the pools have")
    axes.legend(loc="upper left")


def _draw_weekends(axes: Axes, study: Study) -> None:
    rows = [row for row in study.weekends if row.settlement == DOLLAR]
    idle = np.array([100 * row.idle for row in rows])
    chance = np.array([100 * row.in_a_year.value for row in rows])
    error = np.array([100 * row.in_a_year.error * (row.in_a_year.value > 0.0) for row in rows])
    kept = np.array([100 * row.kept.value for row in rows])
    [coin] = (row for row in study.weekends if row.settlement == COIN)
    colour = _COLOUR_OF[DOLLAR]
    axes.plot(idle, kept, color=COLOURS[4], marker="s", ls="--", label="book and premium kept")
    axes.plot(idle, chance, color=colour, marker="o", label="years with promises uncovered")
    axes.errorbar(idle, chance, error, color=colour, capsize=3)
    token = 100 * coin.in_a_year.value
    axes.axhline(token, color=_COLOUR_OF[COIN], lw=1.6, label="those settled in the token")
    axes.set(title=f"Weekends of {study.stock}, settled in dollars", ylabel="%", ylim=(-4, 130))
    axes.set(xlabel="part of capacity left idle, %")
    axes.legend(loc="upper right", fontsize=8)
