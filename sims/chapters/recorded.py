"""The table of docs/pricing.md on recorded prices: `python -m sims.chapters.recorded FOLDER`.

The folder is described in docs/data.md; the data is not shipped, so the page's table is pasted.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.oracle import OracleRules
from amm.ssvi import DEFAULT_SURFACES
from amm.units import DAY_MS
from sims.chapters.page import table
from sims.markets.history import read_path
from sims.markets.levels import HOURLY_RULES, HourlyLevels, hourly_levels
from sims.markets.vols import VolHistory, no_vols, read_vols
from sims.recorded import FLAT, HEDGE, MID, NET, make_smiles, run_recorded, schedule
from sims.strategies import RULES
from vaults.params import Parameters

SYMBOLS = ("BTC", "ETH")
START_MS, END_MS = 1_546_300_800_000, 1_767_225_600_000
"""The years 2019 to 2025."""
EVERY_HOURS = 25
"""Between openings: every hour of the day gets its turn."""
BLOCK_MS = 60 * DAY_MS
"""Trades opened in the same block may depend on each other; they are held for 20 days at most."""
BP = 1e4

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Estimate(NamedTuple):
    """A mean over trades, its standard error by blocks of time, and how many trades there were."""

    mean: float
    error: float
    trades: int


class Outcome(NamedTuple):
    """What trades brought, each of shape (hours, contracts), NaN where there was none.

    Attributes:
        mid: Profit at the mark.
        cost: What spread, fee and the worse of two levels take off it.
        net: Profit at ask and bid.
        hedged: Net, with the gains of holding the index taken off.
        smile: Profit at the mark over that of the same trade on a flat surface.
    """

    mid: Floats
    cost: Floats
    net: Floats
    hedged: Floats
    smile: Floats


def read_history(
    folder: Path, is_estimated: bool = False, rules: OracleRules = HOURLY_RULES
) -> dict[str, HourlyLevels]:
    """Return index and levels of each symbol; recorded levels unless all are to be estimated."""
    path = read_path(folder, SYMBOLS, START_MS, END_MS, 0)
    vols: VolHistory = no_vols(SYMBOLS)
    if not is_estimated:
        vols = read_vols(folder, SYMBOLS, START_MS, END_MS)
    return {symbol: hourly_levels(path, place, vols, rules) for place, symbol in enumerate(SYMBOLS)}


def outcome_of(found: Floats, rule: int) -> Outcome:
    """Return what one rule's trades brought, from what `run_recorded` returned."""
    mid, hedge, net, flat = (found[:, :, row, rule] for row in (MID, HEDGE, NET, FLAT))
    return Outcome(mid, mid - net, net, net - hedge, mid - flat)


def estimate(profits: Floats, times_ms: Ints) -> Estimate:
    """Return the mean of trades opened at some times, shape (times, contracts), NaN left out."""
    blocks = np.unique(times_ms // BLOCK_MS, return_inverse=True)[1]
    traded = ~np.isnan(profits)
    counts = np.bincount(blocks, traded.sum(axis=1))
    sums = np.bincount(blocks, np.where(traded, profits, 0.0).sum(axis=1))
    if not counts.any():
        return Estimate(np.nan, np.nan, 0)
    mean = sums.sum() / counts.sum()
    off = (sums - mean * counts)[counts > 0]
    if off.size == 1:
        return Estimate(mean, np.nan, int(counts.sum()))
    variance = np.square(off).sum() * off.size / (off.size - 1)
    return Estimate(mean, float(np.sqrt(variance)) / counts.sum(), int(counts.sum()))


def _cell(profits: Floats, times_ms: Ints) -> str:
    found = estimate(profits, times_ms)
    return f"{BP * found.mean:+.1f} ± {BP * found.error:.1f}"


def recorded_table(symbol: str, levels: HourlyLevels) -> str:
    """Return the table of one symbol, in bp of notional."""
    shape = DEFAULT_SURFACES[symbol]
    hours = schedule(levels, EVERY_HOURS)
    smiles = make_smiles(levels, shape, shape, shape)
    found = run_recorded(levels, smiles, hours, Parameters())
    times_ms = levels.times_ms[hours]
    rows = []
    for place, rule in enumerate(RULES):
        outcome = outcome_of(found, place)
        cost = f"{BP * estimate(outcome.cost, times_ms).mean:.1f}"
        cells = [_cell(each, times_ms) for each in (outcome.mid, outcome.net, outcome.hedged)]
        cells.insert(1, cost)
        rows.append((rule.name, *cells, _cell(outcome.smile, times_ms)))
    head = (symbol, "at mid", "cost", "net", "net, hedge taken off", "smile less flat")
    return table(head, rows)


def main() -> None:
    """Print the tables."""
    for symbol, levels in read_history(Path(sys.argv[1])).items():
        sys.stdout.write(recorded_table(symbol, levels) + "\n")


if __name__ == "__main__":
    main()
