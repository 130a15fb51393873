"""What main's profit is made of: amounts that sum to it.

The exchange counts premium, rent, spread and impact as they come, and what passes between the
pools. What is left of the profit is the options themselves: their value when bought, less what was
paid for them when sold or cashed out, less the value of those still open. Impact that may still
have to be refunded at the end is no profit, and is taken off there too; so is insurance's part of
premium not yet settled, hours of it.
"""

from collections.abc import Callable
from typing import NamedTuple

from sims.reports.figures import Figure, Sample
from sims.statistics import Floats


class Part(NamedTuple):
    """A part of a profit, in tokens a path."""

    name: str
    label: str
    amount: Figure


def attribution(
    total: Callable[[str], Floats], start: float, weights: Floats
) -> tuple[tuple[Part, ...], Figure]:
    """Return the parts of main's mean profit, and that profit.

    Args:
        total: Returns one of `sims.drawdown.outcome.TOTALS`, shape (paths,).
        start: Tokens main began with.
        weights: Shape (paths,).
    """
    profit = start * total("main_pnl")
    parts = {
        "premium": ("premium", total("premium") - total("written_off")),
        "rent": ("rent", total("rent")),
        "to_insurance": ("to insurance", -total("to_insurance")),
        "spread": ("spread", total("spread")),
        "impact": ("impact,\nless refunded", total("impact_paid") - total("impact_refunded")),
        "insurance": (
            "from insurance,\nless repaid",
            total("claims") + total("shortfall") - total("repaid"),
        ),
    }
    rest = profit - sum(amount for _, amount in parts.values())
    parts["options"] = ("options and\nopen refunds", rest)
    told = tuple(
        Part(name, label, Sample(amount, weights).mean()) for name, (label, amount) in parts.items()
    )
    return told, Sample(profit, weights).mean()
