"""The stress library: scenarios shipped with claims, each run and judged."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sims.runs.run import Tell, run
from sims.runs.workers import Workers
from sims.scenarios.file import ScenarioError, ScenarioFile
from sims.scenarios.reading import find_scenario, stress_scenarios
from sims.stress.verdicts import Verdict, check_claims


class Stressed(NamedTuple):
    """What a stress came to.

    Attributes:
        file: The scenario as it was run: its market is the one that was used.
        paths: How many were run; fewer than the file's where the run was interrupted.
        verdicts: On each of its claims, pool by pool.
    """

    file: ScenarioFile
    paths: int
    verdicts: tuple[Verdict, ...]

    @property
    def is_whole(self) -> bool:
        """Whether all paths were run."""
        return self.paths == self.file.paths

    @property
    def holds(self) -> bool:
        """Whether every claim holds."""
        return all(verdict.holds for verdict in self.verdicts)


def find_stresses(names: Sequence[str]) -> list[ScenarioFile]:
    """Return stresses of the library by name, and scenario files with claims by path.

    Args:
        names: Which, in this order; none means the whole library.

    Raises:
        ScenarioError: For one that is not there, cannot be, or claims nothing.
    """
    files = [find_scenario(name) for name in names or stress_scenarios()]
    for name, file in zip(names, files, strict=False):
        if not file.claims:
            raise ScenarioError(f"{name}: claims: there are none to be checked")
    return files


def run_stress(
    file: ScenarioFile,
    data: Path | None = None,
    workers: Workers | None = None,
    tell: Tell = lambda _: None,
) -> Stressed:
    """Run a scenario and judge its claims; arguments and errors are those of `sims.runs.run`."""
    results = run(file, data, None, workers, tell)
    return Stressed(results.file, results.paths, tuple(check_claims(results)))
