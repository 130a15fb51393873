"""The pictures of docs/pricing.md."""
# ruff: noqa: RUF001 - labels hold the symbols of the page

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import amm
from sims.chapters.free_option import (
    bachelier_value,
    best_exit,
    lattice_value,
    value_while_held,
)
from sims.report import COLOURS

Floats = npt.NDArray[np.float64]

DAY = 1.0 / 365.0
CAP = 0.5
BARRIER = 1.0 + CAP
PERCENT = 100.0
GREY = "#555555"

STYLE: Any = {
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.xmargin": 0.0,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "legend.frameon": False,
    "legend.fontsize": 9,
}

MONEYNESS = "moneyness x = index / strike"


def _figure(width: float, height: float, columns: int) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, columns)))


def _call(moneyness: Floats, vol: float, days: float, cap: float | None = None) -> amm.Price:
    return amm.price("call", moneyness, vol, days * DAY, cap=cap)


def _without_cash_out(moneyness: Floats, vol: float, days: float) -> Floats:
    """Return the value of the capped payoff where nobody is cashed out: a call spread."""
    far = _call(moneyness / BARRIER, vol, days).value
    return np.asarray(_call(moneyness, vol, days).value - BARRIER * far)


def draw_value(path: Path) -> None:
    """Draw the value over moneyness: by vol, and by funding period."""
    x = np.linspace(0.85, 1.15, 401)
    intrinsic = PERCENT * np.maximum(x - 1.0, 0.0)
    with mpl.rc_context(STYLE):
        figure, (left, right) = _figure(10, 3.9, 2)
        for colour, vol in zip(COLOURS, (0.3, 0.5, 0.8), strict=False):
            left.plot(x, PERCENT * _call(x, vol, 7.0).value, color=colour, label=f"σ = {vol:g}")
        for colour, days in zip(COLOURS, (1, 7, 30), strict=False):
            value = PERCENT * _call(x, 0.5, days).value
            right.plot(x, value, color=colour, label=f"T = {days} d")
        left.set_title("T = 7 days")
        right.set_title("σ = 0.5")
        for axes in (left, right):
            axes.plot(x, intrinsic, color=GREY, lw=1.2, ls="--", label="payoff φ")
            axes.set_xlabel(MONEYNESS)
            axes.set_ylabel("value of a call, % of notional")
            axes.set_ylim(0.0, 17.0)
            axes.legend(loc="upper left")
        figure.savefig(path, dpi=100)


def draw_premium(path: Path) -> None:
    """Draw the premium rate over moneyness: by vol, and what the cap does to it."""
    with mpl.rc_context(STYLE):
        figure, (left, right) = _figure(10, 3.9, 2)
        x = np.linspace(0.7, 1.4, 701)
        for colour, vol in zip(COLOURS, (0.3, 0.5, 0.8), strict=False):
            rate = PERCENT * DAY * _call(x, vol, 7.0, CAP).premium_rate
            left.plot(x, rate, color=colour, label=f"σ = {vol:g}")
        left.set_title("T = 7 days, cap 0.5")
        left.set_ylim(bottom=0.0)
        left.legend(loc="upper right")
        x = np.linspace(1.0, 2.0, 501)
        capped, inside = _call(x, 0.8, 30.0, CAP), x < BARRIER
        right.axhline(0.0, color=GREY, lw=0.8)
        right.axvline(BARRIER, color=GREY, lw=1.0, ls=":")
        uncapped = PERCENT * DAY * _call(x, 0.8, 30.0).premium_rate
        right.plot(x, uncapped, color=COLOURS[0], label="no cap")
        shown = PERCENT * DAY * np.asarray(capped.premium_rate)
        right.plot(
            x[inside], shown[inside], color=COLOURS[2], lw=2.2, label="cap 0.5, cash-out at B"
        )
        spread = _without_cash_out(x, 0.8, 30.0) - np.clip(x - 1.0, 0.0, CAP)
        right.plot(
            x, PERCENT * spread / 30.0, color=COLOURS[1], ls="--", label="cap 0.5, no cash-out"
        )
        right.annotate("B", (BARRIER, 0.24), (4, 0), textcoords="offset points", color=GREY)
        right.annotate("the pool would pay", (1.05, -0.3), color=COLOURS[1])
        right.set_title("T = 30 days, σ = 0.8")
        right.legend(loc="upper right")
        for axes in (left, right):
            axes.set_xlabel(MONEYNESS)
            axes.set_ylabel("premium rate κ(v − φ), % of notional a day")
        figure.savefig(path, dpi=100)


def draw_cap(path: Path) -> None:
    """Draw payoff and value near the barrier."""
    x = np.linspace(1.25, 1.75, 1001)
    vol, days = 0.8, 30.0
    inside = x < BARRIER
    capped = np.asarray(_call(x, vol, days, CAP).value)
    lines = (
        ("no cap", _call(x, vol, days).value, COLOURS[0], "-", 1.5),
        ("cap 0.5, no cash-out", _without_cash_out(x, vol, days), COLOURS[1], "--", 1.5),
    )
    payoff = np.clip(x - 1.0, 0.0, CAP)
    with mpl.rc_context(STYLE):
        figure, (left, right) = _figure(10, 3.9, 2)
        for name, value, colour, dashes, width in lines:
            left.plot(x, value, color=colour, ls=dashes, lw=width, label=name)
            shown = value - payoff if colour == COLOURS[1] else value - (x - 1.0)
            right.plot(x, PERCENT * shown, color=colour, ls=dashes, lw=width, label=name)
        name = "cap 0.5, cash-out at B"
        left.plot(x[inside], capped[inside], color=COLOURS[2], lw=2.2, label=name)
        over = PERCENT * (capped - payoff)
        right.plot(x[inside], over[inside], color=COLOURS[2], lw=2.2, label=name)
        left.plot(BARRIER, CAP, "o", color=COLOURS[2], ms=6)
        right.plot(BARRIER, 0.0, "o", color=COLOURS[2], ms=6)
        left.plot(x, payoff, color=GREY, lw=1.2, ls=":", label="payoff φ")
        right.axhline(0.0, color=GREY, lw=0.8)
        left.set_ylim(0.25, 0.7)
        left.set_ylabel("value of a call per unit of notional")
        right.set_ylabel("value less payoff, % of notional")
        for axes in (left, right):
            axes.axvline(BARRIER, color=GREY, lw=1.0, ls=":")
            axes.set_xlabel(MONEYNESS)
        left.annotate("B", (BARRIER, 0.26), (4, 0), textcoords="offset points", color=GREY)
        left.set_title("T = 30 days, σ = 0.8")
        right.set_title("The same, payoff taken off")
        left.legend(loc="upper left")
        figure.savefig(path, dpi=100)


def draw_free_option(path: Path, vol: float, fee: float) -> None:
    """Draw the worth of the free option over fees, and the best rule at one fee."""
    fees = fee * np.geomspace(0.1, 40.0, 200)
    dots = fee * np.geomspace(0.125, 32.0, 9)
    theory = PERCENT * np.array([bachelier_value(vol, each) for each in fees])
    found = PERCENT * np.array([lattice_value(vol, each) for each in dots])
    best = best_exit(vol, fee)
    x = np.linspace(0.9, 1.1, 401)
    with mpl.rc_context(STYLE):
        figure, (left, right) = _figure(10, 3.9, 2)
        left.loglog(fees, theory, color=COLOURS[0], label="theory, σ² / (16 f)")
        left.loglog(dots, found, "o", color=COLOURS[1], ms=5, label="dynamic programming")
        left.axvline(fee, color=GREY, lw=1.0, ls=":")
        left.annotate(
            "our premium rate\nat the strike",
            (fee, 0.06),
            (5, 0),
            textcoords="offset points",
            color=GREY,
            va="center",
            fontsize=9,
        )
        left.set_xlabel("fee f, notionals a year")
        left.set_ylabel("worth to the buyer, % of notional")
        left.set_title(f"Positive at every fee (σ = {vol:g})")
        left.legend(loc="upper right")
        held = PERCENT * value_while_held(best, vol, fee, x)
        right.axvspan(best.low, best.high, color=COLOURS[3], alpha=0.18, lw=0.0)
        right.plot(x, held, color=COLOURS[0], lw=2.0, label="value under the best rule")
        right.plot(
            x,
            PERCENT * np.maximum(x - 1.0, 0.0),
            color=GREY,
            lw=1.2,
            ls="--",
            label="received on leaving",
        )
        for at, text in ((0.925, "walk away"), (1.0, "stay and pay"), (1.077, "take the gain")):
            right.annotate(text, (at, 3.6), ha="center", fontsize=9, color=GREY)
        right.plot(1.0, PERCENT * best.value, "o", color=COLOURS[1], ms=6)
        right.annotate(
            f"{PERCENT * best.value:.2f} % for nothing",
            (1.0, PERCENT * best.value),
            (-10, 12),
            textcoords="offset points",
            ha="right",
            color=COLOURS[1],
        )
        right.set_ylim(0.0, 10.0)
        right.set_xlabel(MONEYNESS)
        right.set_ylabel("% of notional")
        right.set_title(f"The holder's rule at f = {fee:.3f} a year")
        right.legend(loc="upper left")
        figure.savefig(path, dpi=100)


def draw_stopping(
    path: Path,
    rules: Sequence[str],
    panels: Sequence[tuple[str, Floats, Floats]],
    expected: Floats,
) -> None:
    """Draw the mean profit of each rule with 4 standard errors, in basis points.

    Args:
        path: Where to.
        rules: Their names.
        panels: Title, means and standard errors of one contract each; the first is ours.
        expected: What ticks make of ours.
    """
    places = -np.arange(len(rules))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        for number, (axes, (title, means, errors)) in enumerate(
            zip(figure.subplots(1, len(panels), sharey=True), panels, strict=True)
        ):
            colour = COLOURS[0] if number == 0 else COLOURS[1]
            axes.axvline(0.0, color=GREY, lw=1.0)
            axes.errorbar(
                means, places, xerr=4.0 * errors, fmt="o", color=colour, ms=4, capsize=2.5, lw=1.4
            )
            axes.margins(x=0.08)
            axes.set_title(title)
        axes = figure.axes[0]
        axes.plot(expected, places, "|", color=COLOURS[3], ms=13, mew=2.2, label="ticks")
        axes.set_xlim(-1.0, 1.0)
        axes.set_ylim(-len(rules) + 0.4, 0.6)
        axes.set_yticks(places, rules)
        axes.legend(loc="upper right", handlelength=0.8)
        figure.supxlabel(
            "mean profit at mid, bp of notional, each panel at its own scale; "
            "bars are ±4 standard errors",
            size=10,
        )
        figure.savefig(path, dpi=100)
