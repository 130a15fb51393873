"""A market for when there is no history: correlated geometric Brownian motions."""

import math
from collections.abc import Sequence

import numpy as np

from amm.units import DAY_MS, MINUTE_MS, ONE, YEAR_MS
from sims.markets.path import PricePath

_PRICE_MAX_E8 = 10**9 * ONE


def simulate_path(
    symbols: Sequence[str],
    start_ms: int,
    days: int,
    prices: Sequence[float],
    vols: Sequence[float],
    correlation: float,
    seed: int,
) -> PricePath:
    """Return one path of one-minute prices without drift: E[S] = S0 at every minute.

    Args:
        symbols: Names, one per column.
        start_ms: Time of the first row, which holds `prices`.
        days: Length; the path has 1,440 rows a day and no warm-up.
        prices: First prices in USD; > 0.
        vols: Volatilities per sqrt(year); >= 0.
        correlation: Of the log returns of each two symbols, from -1/(symbols - 1) to 1.
        seed: Of the Philox stream; equal seeds give equal paths.

    Raises:
        ValueError: For an argument outside these ranges, or a path that leaves 1e9 USD.
    """
    _check(symbols, days, prices, vols, correlation)
    width, rows = len(symbols), days * (DAY_MS // MINUTE_MS)
    shocks = np.random.Generator(np.random.Philox(seed)).standard_normal((rows - 1, width))
    # The symmetric root of a matrix with equal correlations: it scales what the columns have in
    # common by the root of one eigenvalue and what sets them apart by the root of the other.
    common, apart = math.sqrt(max(1 + (width - 1) * correlation, 0)), math.sqrt(1 - correlation)
    shocks = apart * shocks + (common - apart) * shocks.mean(axis=1, keepdims=True)

    step = np.asarray(vols, dtype=np.float64) * math.sqrt(MINUTE_MS / YEAR_MS)
    logs = np.zeros((rows, width))
    np.cumsum(step * shocks - step * step / 2, axis=0, out=logs[1:])
    units = np.exp(logs) * (np.asarray(prices, dtype=np.float64) * ONE)
    if not units.max() <= _PRICE_MAX_E8:
        raise ValueError("the path leaves 1e9 USD: lower the vols or the days")
    return PricePath(
        symbols=tuple(symbols),
        times_ms=start_ms + MINUTE_MS * np.arange(rows, dtype=np.int64),
        # A price too small for one tick is one tick: 0 would say that there was none.
        prices_e8=np.maximum(np.rint(units).astype(np.int64), 1),
        segment=np.zeros(rows, dtype=np.int64),
        start=0,
    )


def _check(
    symbols: Sequence[str],
    days: int,
    prices: Sequence[float],
    vols: Sequence[float],
    correlation: float,
) -> None:
    width = len(symbols)
    if width == 0 or len(set(symbols)) != width:
        raise ValueError("symbols must be named, each once")
    if not len(prices) == len(vols) == width:
        raise ValueError("every symbol needs one price and one vol")
    if days < 1:
        raise ValueError("a path lasts at least one day")
    if not all(0 < price <= _PRICE_MAX_E8 / ONE for price in prices):
        raise ValueError("prices must be positive, at most 1e9 USD")
    if not all(0 <= vol < math.inf for vol in vols):
        raise ValueError("vols must be finite and not negative")
    lowest = -1 / (width - 1) if width > 1 else -1
    if not lowest <= correlation <= 1:
        raise ValueError(f"{width} symbols can be correlated from {lowest:g} to 1")
