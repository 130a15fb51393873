"""Prices: pure functions of their inputs. The lowest layer of the house."""

from amm.black_scholes import EuropeanPrice
from amm.european import european_price, european_value
from amm.implied_vol import european_implied_vol, implied_vol
from amm.perpetual import Price
from amm.price import price, value
from amm.sensitivities import Sensitivities, sensitivities

__all__ = [
    "EuropeanPrice",
    "Price",
    "Sensitivities",
    "european_implied_vol",
    "european_price",
    "european_value",
    "implied_vol",
    "price",
    "sensitivities",
    "value",
]
