"""The figures and the picture of docs/settlement.md."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from sims.chapters.page import paragraph, table, with_blocks
from sims.settlement.morning import run_mornings
from sims.settlement.names import gap_name
from sims.settlement.picture import picture
from sims.settlement.report import (
    about,
    percent,
    ratio,
    through_sheet,
    verdict,
    weekends_row,
    weekends_sheet,
)
from sims.settlement.settling import DOLLAR
from sims.settlement.study import (
    Study,
    draw_weekends,
    scenario_of,
    through_gap,
)
from sims.settlement.weekends import through_weekends
from sims.statistics import estimate_of

PAGE, PICTURE = "settlement.md", "settlement.png"
STOCKS = ("TSLA", "NVDA", "AMZN", "AAPL", "GOOG", "COIN", "MSTR", "CRCL")
STOCKS_IDLE = (0.0, 0.2)
DEMANDS = (4.0, 8.0, 16.0, 32.0, 60.0)
DEMAND_SHARE = 4
"""Pools of other demand are run on a part of the paths: they say where, not how often."""


def _stocks_table(study: Study) -> str:
    """Return how often weekends of every stock leave dollar promises uncovered."""
    rows, head = [], ("stock", *weekends_sheet(study).head[1:])
    for stock in STOCKS:
        prices = draw_weekends(study.mornings, stock, study.seed)
        for idle in STOCKS_IDLE:
            found = through_weekends(study.mornings, DOLLAR, stock, idle, prices)
            rows.append((stock, *weekends_row(found)[1:]))
    return table(head, rows)


def _demand_table(study: Study, tell: Callable[[int], None]) -> str:
    """Return what a gap does to pools that are less full."""
    rows = []
    paths = max(study.mornings.main.size // DEMAND_SHARE, 2)
    for orders in DEMANDS:
        pools = run_mornings(scenario_of(paths, study.seed, orders), tell)
        full = pools.locked / (pools.main + pools.insurance)
        found = through_gap(pools, DOLLAR, 0.0, study.gap)
        deepest = gap_name(float(np.max(full)) - 1.0)
        cells = (percent(estimate_of(full)), deepest, ratio(found.cover))
        rows.append((f"{orders:g}", *cells, percent(found.uncovered), percent(found.missing)))
    gap = gap_name(study.gap)
    head = ("orders a day", "locks over M + I, %", "least gap that uncovers any")
    return table((*head, f"cover at {gap}", f"P(uncovered) at {gap}", f"missing at {gap}"), rows)


def write_chapter(docs: Path, study: Study, tell: Callable[[int], None]) -> None:
    """Write the figures of the page and its picture.

    Args:
        docs: Folder of the page; pictures are in a folder of its own there.
        study: What was found.
        tell: Told how many paths of the pools of other demand are done.

    Raises:
        FileNotFoundError: There is no such page.
        KeyError: It has other blocks than this writes.
    """
    text = (docs / PAGE).read_text("utf-8")
    through, weekends = through_sheet(study), weekends_sheet(study)
    blocks = {
        "about": lambda: paragraph(about(study)),
        "verdict": lambda: paragraph(verdict(study)),
        "gaps": lambda: table(through.head, through.rows),
        "weekends": lambda: table(weekends.head, weekends.rows),
        "stocks": lambda: _stocks_table(study),
        "demand": lambda: _demand_table(study, tell),
    }
    written = with_blocks(text, blocks)
    (docs / "pictures").mkdir(exist_ok=True)
    (docs / "pictures" / PICTURE).write_bytes(picture(study))
    (docs / PAGE).write_text(written, "utf-8")
