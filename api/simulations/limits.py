"""How much of a machine simulations may take."""

from dataclasses import dataclass

from amm.units import MINUTE_MS
from sims.drawdown.outcome import DAILY, TOTALS
from sims.scenarios.file import ScenarioFile

KEPT_MAX = 100
"""Jobs of an account that have ended; older ones are forgotten."""
_MINUTES_A_DAY = 1_440
_DAY_MS = _MINUTES_A_DAY * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Limits:
    """What simulations may take.

    Attributes:
        processes: Jobs that run at a time, each in a process of its own; 0: there are none.
        steps: Steps of a job: of all its paths, of all its pools.
        jobs: Jobs of an account that have not ended.
        keep_days: How long a job is kept after its end.
        disk_mb: Megabytes that jobs which have not ended may write together.
        nice: How far their processes stand back for others; 19: as far as they can.
    """

    processes: int = 1
    steps: int = 100_000_000
    jobs: int = 4
    keep_days: int = 30
    disk_mb: int = 4_096
    nice: int = 19

    @property
    def keep_ms(self) -> int:
        """How long a job is kept after its end, in milliseconds."""
        return self.keep_days * _DAY_MS

    @property
    def disk(self) -> int:
        """Bytes that jobs which have not ended may write together."""
        return self.disk_mb * 1_000_000


def steps_of(scenario: ScenarioFile) -> int:
    """Return how many steps a job has."""
    steps = scenario.days * _MINUTES_A_DAY // scenario.step_minutes
    return scenario.paths * len(scenario.pools) * steps


def bytes_of(scenario: ScenarioFile) -> int:
    """Return how many bytes a job writes at most: what is written down of each path and pool."""
    numbers = 8 * (len(TOTALS) + 2) + 4 * len(DAILY) * (scenario.days + 1)
    return scenario.paths * len(scenario.pools) * numbers
