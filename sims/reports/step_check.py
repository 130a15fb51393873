"""How much of a drawdown is due to the length of a step.

Between the ends of a step pools are not looked at, so shorter steps see deeper falls. What that
comes to is measured by paths of the same market with shorter steps. They cannot be the same paths,
so the error of the difference is that of two independent means.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

from sims.reports.figures import Figure, Sample
from sims.runs.results import Results
from sims.runs.run import Tell, run
from sims.runs.workers import Workers
from sims.scenarios.file import ScenarioError

_DAY_MINUTES = 1_440


class Compared(NamedTuple):
    """The mean of one figure of one pool at both lengths, parts of 1; `change` is finer less."""

    token: str
    name: str
    coarse: Figure
    fine: Figure
    change: Figure


class StepCheck(NamedTuple):
    """What shorter steps change: their length, how many paths were run with them, and means."""

    minutes: int
    paths: int
    means: tuple[Compared, ...]

    def plain(self) -> dict[str, Any]:
        """Return it as plain data, means by token and name."""
        pools: dict[str, dict[str, Any]] = {}
        for each in self.means:
            found = {
                "coarse": each.coarse._asdict(),
                "fine": each.fine._asdict(),
                "change": each.change._asdict(),
            }
            pools.setdefault(each.token, {})[each.name] = found
        return {"step_minutes": self.minutes, "paths": self.paths, "pools": pools}


FIGURES = ("drawdown", "main_pnl")


def shorter(minutes: int) -> int:
    """Return the longest step of at most half the length that divides a day.

    Raises:
        ScenarioError: A minute is the shortest.
    """
    if minutes == 1:
        raise ScenarioError("step_minutes: there is no shorter step than a minute to check with")
    return next(each for each in range(minutes // 2, 0, -1) if _DAY_MINUTES % each == 0)


def check_step(
    results: Results,
    paths: int,
    data: Path | None = None,
    workers: Workers | None = None,
    tell: Tell = lambda _: None,
) -> StepCheck:
    """Run some paths with shorter steps and compare them with a run.

    Args:
        results: Of the run.
        paths: How many are run.
        data: Folder of price history, for markets that draw from one.
        workers: Who runs them.
        tell: Told after each block.

    Raises:
        ScenarioError: There is no shorter step, or the market has none.
    """
    minutes = shorter(results.file.step_minutes)
    file = results.file.with_settings({"step_minutes": minutes, "paths": paths})
    try:
        fine = run(file, data, None, workers, tell)
    except ScenarioError as error:
        raise ScenarioError(f"steps of {minutes} minutes cannot be checked: {error}") from None
    means = tuple(
        _compared(results, fine, pool, name)
        for pool in range(len(results.tokens))
        for name in FIGURES
    )
    return StepCheck(minutes, fine.paths, means)


def _compared(results: Results, fine: Results, pool: int, name: str) -> Compared:
    before = Sample(results.total(name, pool), results.weights).mean()
    after = Sample(fine.total(name, pool), fine.weights).mean()
    change = after.value - before.value
    errors = (before.error, after.error)
    told = None if None in errors else math.hypot(*(each for each in errors if each is not None))
    return Compared(results.tokens[pool], name, before, after, Figure(change, told))
