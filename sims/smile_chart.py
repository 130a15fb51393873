"""A picture of a fitted chain: every expiry's quotes, its fit, and the live surface."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from amm.arbitrage import Shape
from amm.calibration import ChainFit
from amm.chain import Floats, Smile
from amm.ssvi import atm_variance, total_variance

QUOTE, EXPIRY, LIVE, ODD = "#2b2b2b", "#1b6ca8", "#edae49", "#d1495b"
COLUMNS_MAX = 4
PER_CENT = 100.0


def _vols(theta: float, shape: Shape, years: float, log_strikes: Floats) -> Floats:
    variances = [total_variance(theta, *shape, each) for each in log_strikes.tolist()]
    return PER_CENT * np.sqrt(np.array(variances) / years)


def _draw_smile(axes: Axes, label: str, smile: Smile, fit: ChainFit, place: int) -> None:
    expiry = fit.expiries[place]
    first, last = float(smile.log_strikes[0]), float(smile.log_strikes[-1])
    margin = 0.06 * (last - first)
    log_strikes = np.linspace(first - margin, last + margin, 161)
    years, live = smile.years, Shape(fit.surface.skew, fit.surface.curvature, 0.5)
    axes.axvline(0.0, color="#c8c8c8", lw=0.8, zorder=0)
    lines = (
        (LIVE, "live surface", atm_variance(fit.surface, years), live),
        (EXPIRY, "fit by expiry", expiry.theta, fit.shape),
    )
    for colour, name, theta, shape in lines:
        axes.plot(
            log_strikes, _vols(theta, shape, years, log_strikes), c=colour, lw=1.6, label=name
        )
    vols = PER_CENT * smile.vols
    axes.plot(smile.log_strikes, vols, "o", ms=3.0, c=QUOTE, label="market", zorder=3)
    odd = np.isin(smile.names, [outlier.name for outlier in fit.outliers])
    if odd.any():
        axes.plot(
            smile.log_strikes[odd], vols[odd], "o", ms=9.0, mfc="none", mec=ODD, label="outlier"
        )
    axes.set_title(
        f"{label}, {365.0 * years:.{1 if years < 10 / 365 else 0}f} d,"
        f" error {expiry.error:.2f} / {expiry.surface_error:.2f}",
        loc="left",
        fontsize=9,
    )
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0)


def draw_smiles(
    path: Path, title: str, labels: Sequence[str], chain: Sequence[Smile], fit: ChainFit
) -> None:
    """Write a PNG with one panel for each expiry, called by its label.

    Above each panel stand the errors of the fit by expiry and of the live surface, in vol points.
    """
    columns = min(COLUMNS_MAX if len(chain) > 6 else 3, len(chain))
    rows = math.ceil(len(chain) / columns)
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(max(3.4 * columns, 6.0), 2.5 * rows + 1.1), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for place, (label, smile) in enumerate(zip(labels, chain, strict=True)):
            _draw_smile(panels[place], label, smile, fit, place)
        for empty in panels[len(chain) :]:
            empty.set_visible(False)
        handles = {
            name: handle
            for panel in panels[: len(chain)]
            for handle, name in zip(*panel.get_legend_handles_labels(), strict=True)
        }
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower left", ncols=4, frameon=False
        )
        figure.supxlabel("log(strike / forward)", fontsize=9)
        figure.supylabel("implied vol, %", fontsize=9)
        figure.savefig(path, dpi=110)
