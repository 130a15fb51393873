"""Stocks that move with BTC, and whose last price stands still while their exchange is closed."""

from dataclasses import dataclass

import numpy as np

from sims.markets.block import Bools, Floats


@dataclass(frozen=True, slots=True)
class StockMotion:
    """A geometric Brownian motion; what happens while the exchange is closed is the gap.

    Attributes:
        price: In USD at the start.
        vol: Per square root of a year of 365 days, nights and weekends as lively as sessions.
        correlation: Of its log returns with those of BTC. With anything else it is correlated
            through BTC only.
    """

    price: float = 100.0
    vol: float = 0.6
    correlation: float = 0.3

    def __post_init__(self) -> None:
        """Refuse a stock that cannot be.

        Raises:
            ValueError: For a number out of its range.
        """
        check_price("stock", self.price)
        check_vol("stock", self.vol)
        if not -1.0 <= self.correlation <= 1.0:
            raise ValueError("stock: correlation must be from -1 to 1")


PRICE_MAX = 1e8
"""USD at the start: a path may rise from there."""
VOL_MAX = 10.0


def check_price(name: str, price: float) -> None:
    """Refuse a price nothing can start from.

    Raises:
        ValueError: Always then.
    """
    if not 0.0 < price <= PRICE_MAX:
        raise ValueError(f"{name}: price must be more than 0, at most {PRICE_MAX:g} USD")


def check_vol(name: str, vol: float) -> None:
    """Refuse a vol no market has.

    Raises:
        ValueError: Always then.
    """
    if not 0.0 <= vol <= VOL_MAX:
        raise ValueError(f"{name}: vol must be from 0 to {VOL_MAX:g} per square root of a year")


def hold_while_closed(prices: Floats, has_price: Bools) -> Floats:
    """Return the last price at each moment.

    Args:
        prices: What the stock is worth, shape (paths, steps + 1, stocks).
        has_price: Whether its exchange says so, shape (steps + 1,); it is known at the start.
    """
    rows = np.where(has_price, np.arange(has_price.size), 0)
    return np.ascontiguousarray(prices[:, np.maximum.accumulate(rows)])
