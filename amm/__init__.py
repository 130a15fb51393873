"""Prices: pure functions of their inputs. The lowest layer of the house."""

from amm.perpetual import Price
from amm.price import price

__all__ = ["Price", "price"]
