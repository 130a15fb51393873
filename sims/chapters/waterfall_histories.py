"""What recorded months did to both pools under each design, as docs/waterfall.md tells it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sims.chapters.page import table

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]


class History(NamedTuple):
    """One design through one stretch of recorded prices.

    Amounts are in tokens.

    Attributes:
        name: Of the stretch.
        design: Its name.
        times: Of the flushes, the first being that which took the deposits; shape (flushes,).
        main: Share price of the main pool after each, 1 at the first.
        insurance: The insurance pool's cash after each; nobody comes or goes.
        main_pnl: Main's profit and loss over the whole; what it still owes is not taken off.
        insurance_pnl: Insurance's, in cash.
        claims: What insurance paid main.
        repaid: What main paid back.
        written_off: What it need not pay back any more.
        premium: Premium streamed.
        utilisation: The highest.
    """

    name: str
    design: str
    times: Times
    main: Floats
    insurance: Floats
    main_pnl: float
    insurance_pnl: float
    claims: float
    repaid: float
    written_off: float
    premium: float
    utilisation: float


def _worst(prices: Floats, flushes: int) -> str:
    flushes = min(flushes, prices.size - 1)
    changes = prices[flushes:] / prices[:-flushes] - 1.0
    return f"{100.0 * changes.min():+.1f} %"


def histories_table(histories: Sequence[History]) -> str:
    """Return a row for each history and design."""
    rows = []
    for each in histories:
        lowest = each.insurance.min() / each.insurance[0]
        rows.append(
            (
                f"{each.name}, {each.design}",
                f"{each.main_pnl:+,.0f}",
                _worst(each.main, 1),
                _worst(each.main, 7),
                f"{each.claims:,.0f}",
                f"{each.repaid:,.0f}",
                f"{each.written_off:,.0f}",
                f"{each.insurance_pnl:+,.0f}",
                f"{100.0 * lowest:.0f} %",
            )
        )
    head = (
        "", "main", "worst day", "worst week", "claimed", "repaid", "written off", "insurance",
        "lowest I",
    )  # fmt: skip
    return table(head, rows)
