"""How often something was how large: counted in a fraction of a microsecond."""

from bisect import bisect_left


class Tally:
    """Counts values by the first bound they do not exceed.

    Attributes:
        bounds: In increasing order; what exceeds the last is counted too.
        counts: For each bound, and for what exceeds all.
        total: Sum of the values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, *bounds: float) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def note(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
