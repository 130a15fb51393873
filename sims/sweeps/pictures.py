"""Pictures of sweeps: effects, tornado, frontier and search; each returns a PNG."""

import io
import textwrap
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Ellipse

from sims.report import COLOURS
from sims.statistics import Estimate
from sims.sweeps.figures import FIGURES
from sims.sweeps.frontier import Place, Standing
from sims.sweeps.settings import Value
from sims.sweeps.suggest import Limit, Suggestion
from sims.sweeps.sweep import Row
from sims.sweeps.tornado import Swing
from sims.sweeps.wording import number, settings_told

PERCENT = 100.0
TWO_SIDED = 1.96
"""Standard errors of a bar that holds 95 %."""
CONFIDENCE_RADIUS = 2.448
"""Of an ellipse that holds 95 % of two normal numbers: sqrt(-2 log 0.05)."""
SHOWN = ("pnl", "shortfall", "deep", "phi")
TITLE_WIDTH = 40
"""Characters of a tornado's title in a line."""
TICKS_MAX = 16
TICK_DISTANCE = 0.11
"""Of ticks with labels, at least, as a part of the axis."""
STYLE: Any = {
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "legend.frameon": False,
}


def _png(canvas: Canvas) -> bytes:
    buffer = io.BytesIO()
    canvas.savefig(buffer, dpi=100, format="png", metadata={"Software": None})
    return buffer.getvalue()


@contextmanager
def _canvas(width: float, height: float) -> Any:
    with mpl.rc_context(STYLE):
        yield Canvas(figsize=(width, height), layout="constrained")


def _bars(axes: Axes, across: Sequence[Any], found: Sequence[Estimate], **style: Any) -> None:
    values = [PERCENT * each.value for each in found]
    errors = [PERCENT * TWO_SIDED * each.error for each in found]
    axes.errorbar(across, values, yerr=errors, capsize=2, ms=4, **style)


def _across(axes: Axes, values: Sequence[Value]) -> list[Any]:
    """Return where values are drawn; words, and what is either, stand at equal distances."""
    if not all(isinstance(value, int | float) for value in values):
        names = list(dict.fromkeys(map(number, values)))
        axes.set_xticks(range(len(names)), names)
        return [names.index(number(value)) for value in values]
    numbers = sorted({float(value) for value in values})
    is_log = numbers[0] > 0.0 and numbers[-1] >= 4.0 * numbers[0]
    if is_log:
        axes.set_xscale("log")
    if len(numbers) <= TICKS_MAX:
        ticks = _apart(numbers, is_log=is_log)
        axes.set_xticks(ticks, [number(value) for value in ticks])
        axes.set_xticks([], minor=True)
    return [float(value) for value in values]


def _apart(numbers: Sequence[float], *, is_log: bool) -> list[float]:
    """Return those of ascending numbers whose labels do not overlap, the last among them."""
    places = np.log(numbers) if is_log else np.array(numbers)
    least = TICK_DISTANCE * (places[-1] - places[0])
    kept = [len(numbers) - 1]
    for index in range(len(numbers) - 2, -1, -1):
        if places[kept[-1]] - places[index] >= least:
            kept.append(index)
    return [numbers[index] for index in reversed(kept)]


def _groups(rows: Sequence[Row], name: str) -> list[list[Row]]:
    """Return rows that differ in one setting only, of a Sobol design each for itself."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if name in row.settings:
            others = settings_told({k: v for k, v in row.settings.items() if k != name})
            found.setdefault(others, []).append(row)
    return list(found.values())


def _draw_effect(axes: Axes, rows: Sequence[Row], name: str, figure: str) -> None:
    groups = _groups(rows, name)
    places = iter(_across(axes, [row.settings[name] for each in groups for row in each]))
    for each in groups:
        across = [next(places) for _ in each]
        found = [row.measured[figure].estimate for row in each]
        _bars(axes, across, found, fmt="o-", color=COLOURS[0], lw=0.9, alpha=0.75)
    base = PERCENT * rows[0].measured[figure].value
    axes.axhline(base, color=COLOURS[1], lw=1.0, ls="--", label="scenario as it is")
    if figure in {"deep", "phi"}:
        axes.set_ylim(bottom=0.0)


def draw_effects(rows: Sequence[Row], names: Sequence[str]) -> bytes:
    """Draw figures of every point against each setting; bars hold 95 %.

    Lines join points that differ in that setting only.
    """
    with _canvas(max(3.4 * len(names), 5.0), 2.3 * len(SHOWN)) as canvas:
        panels = canvas.subplots(len(SHOWN), len(names), squeeze=False, sharey="row")
        for column, name in enumerate(names):
            for axes, figure in zip(panels[:, column], SHOWN, strict=True):
                _draw_effect(axes, rows, name, figure)
            panels[-1, column].set_xlabel(name)
        for axes, figure in zip(panels[:, 0], SHOWN, strict=True):
            axes.set_title(f"{FIGURES[figure].title}, %")
        panels[0, 0].legend(fontsize=8)
        return _png(canvas)


def draw_tornado(swings: dict[str, list[Swing]]) -> bytes:
    """Draw one panel per figure: what each end of each setting adds; bars hold 95 %."""
    count = max(len(each) for each in swings.values())
    with _canvas(5.6 * len(swings), 1.3 + 0.36 * count) as canvas:
        panels = canvas.subplots(1, len(swings), squeeze=False)[0]
        for axes, (figure, found) in zip(panels, swings.items(), strict=True):
            base = PERCENT * found[0].base.value
            for row, swing in enumerate(found):
                for colour, end in ((COLOURS[0], swing.less), (COLOURS[3], swing.more)):
                    axes.barh(
                        row, PERCENT * end.value, 0.7, left=base, color=colour, alpha=0.85,
                        xerr=PERCENT * TWO_SIDED * end.error, ecolor="#444444", capsize=2,
                        error_kw={"lw": 0.9},
                    )  # fmt: skip
            axes.set_yticks(range(len(found)), [_ends(swing) for swing in found], fontsize=8)
            axes.invert_yaxis()
            axes.grid(visible=False, axis="y")
            axes.axvline(base, color="#222222", lw=0.9)
            axes.set_title(textwrap.fill(f"{FIGURES[figure].title}, %", TITLE_WIDTH))
        canvas.supxlabel("blue: low end, yellow: high end; whiskers: 95 % of the paired difference")
        return _png(canvas)


def _ends(swing: Swing) -> str:
    return f"{swing.setting}\n{number(swing.low)} to {number(swing.high)}"


_LOOKS = {
    Standing.EFFICIENT: (COLOURS[2], "o", "efficient"),
    Standing.UNDECIDED: (COLOURS[3], "s", "beaten, but within the errors"),
    Standing.DOMINATED: (COLOURS[1], "x", "another is better in both"),
}


def draw_frontier(places: Sequence[Place]) -> bytes:
    """Draw mean P&L against expected shortfall; ellipses hold 95 %, efficient points are named."""
    with _canvas(8.0, 5.4) as canvas:
        axes = canvas.subplots()
        for standing, (colour, marker, label) in _LOOKS.items():
            here = [place for place in places if place.standing is standing]
            across = [PERCENT * place.shortfall.value for place in here]
            up = [PERCENT * place.mean.value for place in here]
            axes.scatter(across, up, c=colour, marker=marker, label=label, zorder=3)
            for place in here:
                axes.add_patch(_ellipse(place, colour))
        efficient = [place for place in places if place.standing is Standing.EFFICIENT]
        ranked = sorted((p.shortfall.value, p.mean.value) for p in efficient)
        axes.plot(*(PERCENT * np.array(ranked)).T, color=COLOURS[2], lw=1.0, alpha=0.6)
        for place in [places[0], *(each for each in efficient if each.settings)]:
            at = PERCENT * place.shortfall.value, PERCENT * place.mean.value
            name = settings_told(place.settings)
            axes.annotate(name, at, (6, 5), textcoords="offset points", fontsize=7)
        axes.set_xlabel(f"{FIGURES['shortfall'].title}, %")
        axes.set_ylabel(f"{FIGURES['pnl'].title}, %")
        axes.margins(0.08, 0.08)
        axes.legend(loc="best", fontsize=8)
        return _png(canvas)


def _ellipse(place: Place, colour: str) -> Ellipse:
    """Return the region that holds both figures of a point with 95 %."""
    spread = [
        [place.shortfall.error**2, place.covariance],
        [place.covariance, place.mean.error**2],
    ]
    sizes, turns = np.linalg.eigh(np.array(spread))
    width, height = 2.0 * PERCENT * CONFIDENCE_RADIUS * np.sqrt(np.maximum(sizes, 0.0))
    angle = float(np.degrees(np.arctan2(turns[1, 0], turns[0, 0])))
    centre = PERCENT * place.shortfall.value, PERCENT * place.mean.value
    return Ellipse(centre, width, height, angle=angle, color=colour, alpha=0.13, lw=0)


def draw_search(found: Suggestion, setting: str, limit: Limit) -> bytes:
    """Draw the probability at every value tried, its upper bound, and what it costs or earns."""
    with _canvas(8.0, 5.6) as canvas:
        top, bottom = canvas.subplots(2, 1, height_ratios=(3, 2))
        across = _across(top, [probe.value for probe in found.probes])
        for place, probe in zip(across, found.probes, strict=True):
            colour = COLOURS[2] if probe.keeps else COLOURS[1]
            chance, bound = PERCENT * probe.chance.value, PERCENT * probe.bound
            top.vlines(place, chance, bound, color=colour, lw=1.4)
            top.plot(place, chance, "o", color=colour, ms=5)
            top.plot(place, bound, "_", color=colour, ms=12)
        top.axhline(PERCENT * limit.chance, color="#222222", lw=1.0, ls="--")
        top.set_title(
            f"P(drawdown > {PERCENT * limit.depth:g} %), %: dot, and upper bound with "
            f"{PERCENT * limit.confidence:g} % confidence; dashed: the limit"
        )
        top.set_ylim(bottom=0.0)
        across = _across(bottom, [probe.value for probe in found.probes])
        earned = [probe.figures["pnl"] for probe in found.probes]
        _bars(bottom, across, earned, fmt="o", color=COLOURS[0])
        bottom.set_title(f"{FIGURES['pnl'].title}, %")
        bottom.set_xlabel(setting)
        return _png(canvas)
