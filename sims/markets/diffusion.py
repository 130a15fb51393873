"""From normal shocks to a block: what the models driven by Brownian motions share."""

from collections.abc import Sequence

import numpy as np

from amm.scenarios import UNDERLYINGS
from sims.markets.block import Clock, Floats, MarketBlock
from sims.markets.extremes import bridge_excess
from sims.markets.sessions import has_price, is_open
from sims.markets.stock_motion import check_price, check_vol, hold_while_closed

Pair = tuple[float, float]
"""One number for each underlying."""


def check_pair(prices: Pair, vols: Pair, correlation: float) -> None:
    """Refuse two underlyings that cannot be.

    Raises:
        ValueError: For a number out of its range, or not one of each per underlying.
    """
    if len(prices) != UNDERLYINGS or len(vols) != UNDERLYINGS:
        raise ValueError(f"prices and vols: {UNDERLYINGS} of each, for BTC and for ETH")
    for price, vol in zip(prices, vols, strict=True):
        check_price("prices", price)
        check_vol("vols", vol)
    if not -1.0 <= correlation <= 1.0:
        raise ValueError("correlation must be from -1 to 1")


def pair_shocks(random: np.random.Generator, paths: int, steps: int, correlation: float) -> Floats:
    """Draw standard normals of both underlyings, shape (paths, steps, UNDERLYINGS)."""
    shocks = random.standard_normal((paths, steps, UNDERLYINGS))
    shocks[..., 1] *= np.sqrt(1.0 - correlation**2)
    shocks[..., 1] += correlation * shocks[..., 0]
    return shocks


def accumulate(moves: Floats) -> Floats:
    """Return where log moves of shape (paths, steps, columns) lead: one row more, from 0."""
    paths, steps, columns = moves.shape
    logs = np.zeros((paths, steps + 1, columns))
    np.cumsum(moves, axis=1, out=logs[:, 1:])
    return logs


def block_of(
    clock: Clock,
    prices: Sequence[float],
    logs: Floats,
    variances: Floats,
    levels: Floats,
    stocks: Floats,
    random: np.random.Generator,
) -> MarketBlock:
    """Return a block with the extremes of its steps drawn.

    Args:
        clock: Of the block.
        prices: At the start.
        logs: Log price over that at the start, shape (paths, steps + 1, UNDERLYINGS).
        variances: Of each step given its ends, shape (steps, UNDERLYINGS) or (UNDERLYINGS,).
        levels: As fed, broadcast to the shape of `logs`.
        stocks: What the stocks are worth, shape (paths, steps + 1, stocks).
        random: What is drawn from.
    """
    times_ms = clock.times_ms
    found = np.exp(logs)
    found *= np.asarray(prices, dtype=np.float64)
    below, above = bridge_excess(np.diff(logs, axis=1), variances, random)
    lows, highs = found.copy(), found.copy()
    before, after = found[:, :-1], found[:, 1:]
    np.multiply(np.minimum(before, after), np.exp(-below), out=lows[:, 1:])
    np.multiply(np.maximum(before, after), np.exp(above), out=highs[:, 1:])
    return MarketBlock(
        times_ms,
        found,
        lows,
        highs,
        np.array(np.broadcast_to(levels, found.shape), order="C"),
        hold_while_closed(stocks, has_price(times_ms)),
        is_open(times_ms),
        np.ones(found.shape[0]),
    )
