"""What the stream counts, for who watches it."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """What there is now, and what was done since the start."""

    connections: int = 0
    subscriptions: int = 0
    sent: int = 0
    cut: int = 0
