"""What every market is to the rest of the studies: prices at whole minutes."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class PricePath(NamedTuple):
    """Prices of some symbols, observed together; rows are in order of time.

    Minutes in which nothing was observed have no row. The rows before `start` warm up the vol
    estimator and nothing else.
    """

    symbols: tuple[str, ...]
    times_ms: npt.NDArray[np.int64]
    """Shape (rows,), strictly increasing."""
    prices_e8: npt.NDArray[np.int64]
    """Shape (rows, symbols), in 1e-8 USD; 0 where that symbol was not observed."""
    segment: npt.NDArray[np.int64]
    """Shape (rows,), from 0 up: across a change nothing may be computed, least of all a return."""
    start: int
    """The row at which the exchange opens."""
