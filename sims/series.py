"""What a run leaves to be pictured: figures over time."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]


class TokenSeries(NamedTuple):
    """One token over time: share price (1 at the start) and utilisation, shape (times,)."""

    token: str
    times: Times
    share_price: Floats
    utilisation: Floats


class PriceSeries(NamedTuple):
    """Index prices of an underlying over time, shape (times,)."""

    symbol: str
    times: Times
    prices: Floats
