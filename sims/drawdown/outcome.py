"""What is written down of each path, and nothing else: what statistics are computed from."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TOTALS = (
    "share_price",  # at the end, 1 at the start
    "lowest",  # the lowest at any step
    "drawdown",  # largest fall from a running maximum, as a part of it, >= 0
    "under_water",  # share of steps below the running maximum
    "worst_day",  # lowest change of share price over a day, flush to flush
    "worst_week",  # the same over seven
    "main_pnl",  # profit of main LPs over what they brought at the start, flows taken out
    "insurance_pnl",  # of insurers, over what they brought
    "premium",  # streamed, rent left out; this and the amounts below in tokens
    "rent",
    "to_insurance",  # the part of both that insurance got
    "spread",
    "impact_paid",
    "impact_refunded",
    "paid_in",  # what openings paid main: value, spread and impact
    "paid_out",  # what closings received from the pools
    "cashed_out",  # what was paid at the cap
    "fees",
    "written_off",  # premium nobody could pay
    "claims",  # insurance to main
    "repaid",  # main to insurance
    "forgiven",  # advances written off
    "shortfall",  # paid by insurance where main was empty
    "insurance",  # insurance cash at the end, over that at the start
    "insurance_low",  # the lowest
    "below_reserve",  # share of flushes with insurance below its reserve
    "advances",  # still owed at the end
    "utilisation",  # mean over steps
    "utilisation_max",
    "opened",  # notional
    "refused",  # notional refused
    "orders",
    "trades",  # openings and closings carried out
    "queue_days",  # longest a redemption has waited beyond its first flush
    "queued",  # share of flushes after which main redemptions wait
    "postponed",  # flushes postponed
    "flushes",
    "stressed",  # share of flushes in STRESSED
    "winding_down",  # in WINDDOWN
    "exhausted",  # in EXHAUSTED
    "brought",  # tokens by main LPs after the start
    "taken",  # by main LPs
    "informed_pnl",  # what informed traders made
    "buyers_pnl",  # what all other buyers made
)
"""What is written down of each path and pool."""

DAILY = ("share_price", "drawdown", "insurance", "utilisation", "premium", "stock")
"""What is written down at the end of each day: insurance over its start, premium of the day over
what main LPs brought, the stock's price over its start (1 where there is none)."""


class BlockOutcome(NamedTuple):
    """What a block of paths did to the pools.

    Attributes:
        number: Of the block.
        weights: Of `MarketBlock`, shape (paths,).
        totals: Shape (pools, paths, TOTALS).
        daily: Shape (pools, paths, days + 1, DAILY), single precision; row 0 is the start.
    """

    number: int
    weights: Floats
    totals: Floats
    daily: npt.NDArray[np.float32]


def total(outcome: BlockOutcome, name: str) -> Floats:
    """Return one figure of every path, shape (pools, paths)."""
    found: Floats = outcome.totals[:, :, TOTALS.index(name)]
    return found
