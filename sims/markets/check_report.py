"""What a check of the market model found: table, picture, page and figures."""

import base64
import html
import io
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sims.chapters.page import table
from sims.markets.block import Floats
from sims.markets.model_checks import RANKS, Checks, Fit, Row
from sims.markets.table import iso_minute
from sims.report import COLOURS

_PAGE = """\
<!doctype html><html lang="en"><meta charset="utf-8"><title>Market model against data</title>
<style>body{{font:15px/1.5 sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse}}td,th{{padding:.15rem .8rem;text-align:right}}
td:first-child,th:first-child{{text-align:left}}tr.fails{{background:#fbe3e4}}img{{width:100%}}
</style><h1>Market model against data</h1><p>{about}</p><p>{verdict}</p>
<img alt="quantiles, drawdowns, transforms and figures" src="data:image/png;base64,{picture}">
{tables}</html>
"""


def about(checks: Checks) -> str:
    """Return what was compared, in a sentence."""
    return (
        f"{checks.hours:,} recorded hours from {iso_minute(checks.first_ms)} against "
        f"{checks.paths} drawn histories of the same length (seed {checks.seed}). "
        "± is a standard error of recorded figures (28-day blocks drawn again) and the standard "
        "deviation over drawn histories. p is how usual the recorded figure is among drawn ones."
    )


def verdict(checks: Checks) -> str:
    """Return what fails, in a sentence."""
    every: Sequence[Row | Fit] = (*checks.rows, *checks.fits)
    failed = [each.name for each in every if each.fails]
    names = ", ".join(failed) if failed else "nothing"
    return f"{len(failed)} of {len(every)} fail (p < 0.01): {names}."


class Line(NamedTuple):
    """The cells of one comparison, and whether it fails."""

    cells: tuple[str, str, str, str]
    fails: bool


class Compared(NamedTuple):
    """A table of comparisons."""

    head: tuple[str, str, str, str]
    lines: list[Line]


def _line(each: Row | Fit, data: str, model: str) -> Line:
    p = f"{each.p:.3f}{' fails' if each.fails else ''}"
    return Line((each.name, data, model, p), each.fails)


def tables(checks: Checks) -> tuple[Compared, Compared]:
    """Return the table of figures and that of distributions."""
    figures = [
        _line(row, f"{row.data:.4g} ± {row.error:.2g}", f"{row.model:.4g} ± {row.spread:.2g}")
        for row in checks.rows
    ]
    fits = [_line(fit, f"{fit.distance:.4f}", f"{fit.usual:.4f}") for fit in checks.fits]
    return (
        Compared(("figure", "recorded", "model", "p"), figures),
        Compared(("distribution", "distance", "95 % of drawn below", "p"), fits),
    )


def markdown(checks: Checks) -> str:
    """Return both tables in Markdown."""
    return "\n".join(
        table(each.head, [line.cells for line in each.lines]) for each in tables(checks)
    )


def to_json(checks: Checks) -> str:
    """Return figures and distributions."""
    found: dict[str, Any] = {
        "first_ms": checks.first_ms,
        "hours": checks.hours,
        "paths": checks.paths,
        "seed": checks.seed,
        "figures": [row._asdict() | {"fails": row.fails} for row in checks.rows],
        "distributions": [fit._asdict() | {"fails": fit.fails} for fit in checks.fits],
    }
    return json.dumps(found, indent=1) + "\n"


def page(checks: Checks) -> str:
    """Return a page of HTML that needs no other file."""
    return _PAGE.format(
        about=html.escape(about(checks)),
        verdict=html.escape(verdict(checks)),
        picture=base64.b64encode(picture(checks)).decode(),
        tables="".join(map(_html_table, tables(checks))),
    )


def _html_table(compared: Compared) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)

    body = "".join(
        f"<tr{' class=fails' if line.fails else ''}>{row(line.cells, 'td')}</tr>"
        for line in compared.lines
    )
    return f"<table><tr>{row(compared.head, 'th')}</tr>{body}</table>"


def _band(axes: Axes, across: Floats, drawn: Floats, data: Floats) -> None:
    low, middle, high = np.quantile(drawn, (0.05, 0.5, 0.95), axis=0)
    axes.fill_between(across, low, high, color=COLOURS[0], alpha=0.25, lw=0, label="drawn, 5-95 %")
    axes.plot(across, middle, color=COLOURS[0], lw=1.2, label="drawn, median")
    axes.plot(across, data, color=COLOURS[1], lw=1.6, label="recorded")


def picture(checks: Checks) -> bytes:
    """Return a PNG: tails of hours and days, drawdowns, and how far out each figure is."""
    style: Any = {"font.size": 9, "axes.grid": True, "grid.alpha": 0.25, "legend.frameon": False}
    with mpl.rc_context(style):
        figure = Figure(figsize=(10, 7), layout="constrained")
        (first, second), (third, fourth) = figure.subplots(2, 2)
        falling = RANKS < 0.5
        for axes, name in ((first, "BTC hour"), (second, "BTC day")):
            drawn, data = checks.curves.drawn[name], checks.curves.data[name]
            _band(axes, RANKS[falling], -100 * drawn[:, falling], -100 * data[falling])
            axes.set(xscale="log", xlabel="share of moves that are worse", ylabel="fall, %")
            axes.set(title=f"{name}: left tail")
            axes.legend()
        drawn, data = checks.curves.drawn["drawdown"], checks.curves.data["drawdown"]
        _band(third, RANKS, 100 * drawn, 100 * data)
        third.set(title="BTC: deepest fall in 30 days", xlabel="rank", ylabel="%")
        _scores(fourth, checks.rows)
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=100, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _scores(axes: Axes, rows: Sequence[Row]) -> None:
    """Show how many standard deviations of drawn histories each recorded figure is out."""
    scores = np.array([(row.data - row.model) / max(row.spread, 1e-12) for row in rows])
    colours = [COLOURS[1] if row.fails else COLOURS[0] for row in rows]
    axes.scatter(np.clip(scores, -6, 6), np.arange(len(rows)), c=colours, s=12)
    axes.axvspan(-2, 2, color="#888888", alpha=0.12, lw=0)
    axes.set(title="figures: recorded less model, in drawn standard deviations", yticks=[])
    axes.set(xlabel="red: p < 0.01", xlim=(-6.3, 6.3), ylim=(len(rows), -1))
