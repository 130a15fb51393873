"""What is counted of simulations, for who watches them."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counts:
    """What there is now, and what was done since the start of this server.

    Attributes:
        queued: Jobs that wait.
        running: Jobs that run.
        paths: Paths that were run.
        ended: Jobs that have ended, by how.
    """

    queued: int = 0
    running: int = 0
    paths: int = 0
    ended: Counter[str] = field(
        default_factory=lambda: Counter({"done": 0, "failed": 0, "cancelled": 0})
    )
