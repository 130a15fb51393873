"""The feed of outside sources that settings ask for."""

from collections.abc import Callable, Mapping

from api.feeds.belief import Belief, LastIndex
from api.feeds.deribit import DeribitSource
from api.feeds.median import MedianFeed
from api.feeds.places import PythSettings
from api.feeds.pyth import PythSource
from api.feeds.source import Source


def outside_feed(
    names: tuple[str, ...],
    pyth: PythSettings,
    deribit_url: str,
    indices: Mapping[str, LastIndex] | None = None,
) -> MedianFeed:
    """Return the median of the sources with these names, `pyth` or `deribit`.

    Args:
        names: Of the sources.
        pyth: Where Hermes is.
        deribit_url: Where Deribit is.
        indices: The last ones of the exchange, which first prices are compared with.
    """
    belief = Belief(indices)
    made: dict[str, Callable[[], Source]] = {
        "pyth": lambda: PythSource(pyth, belief=belief),
        "deribit": lambda: DeribitSource(deribit_url, tuple(pyth.ids), belief=belief),
    }
    return MedianFeed([made[name]() for name in names])
