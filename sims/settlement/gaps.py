"""Weekend gaps of a stock by the calibrated law, given what BTC did in the same hours."""

import numpy as np

from sims.markets.block import Clock, Floats
from sims.markets.regime_law import calibrated_law, daily_variances, stationary
from sims.markets.stock_model import Stocks, calibrated_stocks, draw_stocks

CELLS = 2_000_000
"""Prices drawn at a time, about: bounds memory."""


def stocks_of(name: str) -> Stocks:
    """Return one calibrated stock.

    Raises:
        ValueError: For a name that is not among them.
    """
    known = [each.name for each in calibrated_stocks().each]
    if name not in known:
        raise ValueError(f"stock: {name!r} is not one of {', '.join(known)}")
    return calibrated_stocks(name)


def draw_prices(
    name: str, clock: Clock, bitcoin: Floats, draws: int, random: np.random.Generator
) -> Floats:
    """Return prices at the end of a clock over those at its start, shape (paths, draws).

    Args:
        name: Of the stock; averages of squared returns, its own and BTC's, begin at their means.
        clock: From Friday's close to the row after Monday's opening.
        bitcoin: Log of BTC over its start, shape (paths, steps + 1).
        draws: Gaps of each path.
        random: What is drawn from.

    Raises:
        ValueError: For a stock that is not calibrated.
    """
    stocks, law = stocks_of(name), calibrated_law()
    usual = float(stationary(law) @ daily_variances(law))
    together = max(CELLS // (draws * bitcoin.shape[1]), 1)
    found = []
    for first in range(0, bitcoin.shape[0], together):
        paths = np.repeat(bitcoin[first : first + together], draws, axis=0)
        calm = np.zeros(paths.shape, dtype=np.bool_)  # matters to how stocks go together only
        prices, _ = draw_stocks(stocks, clock, paths, calm, np.full(len(paths), usual), random)
        found.append((prices[:, -1, 0] / prices[:, 0, 0]).reshape(-1, draws))
    return np.concatenate(found)
