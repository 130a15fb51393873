"""How far a setting may go before drawdowns are more likely than a stated limit.

The search halves the range between a value that keeps the limit and one that does not. All values
meet the same paths, and a value keeps the limit if the upper confidence bound of the probability
does. Where that bound rises with the setting, or falls, halving does not spoil the confidence: too
bold a value is named only if the bound at the true edge is too low, which is as rare as it says.
"""

import math
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sims.drawdown.outcome import Floats
from sims.runs.results import Results
from sims.runs.workers import Workers
from sims.scenarios.file import ScenarioError, ScenarioFile
from sims.statistics import Estimate, probability, trials_of, weighted_mean
from sims.sweeps.axes import Axis
from sims.sweeps.figures import FIGURES
from sims.sweeps.points import Points, Reached, Tell, check
from sims.sweeps.settings import Value

CONFIDENCE = 0.95
HALVINGS = 5


class Limit(NamedTuple):
    """P(drawdown > depth) <= chance, with so much confidence."""

    depth: float
    chance: float
    confidence: float = CONFIDENCE

    def validated(self, paths: int) -> "Limit":
        """Return the limit.

        Raises:
            ScenarioError: It is none, or so few paths could not show that it is kept.
        """
        for name, value in self._asdict().items():
            if not 0.0 < value < 1.0:
                raise ScenarioError(f"{name} is {value}, must be between 0 and 1")
        least = math.ceil(math.log(1.0 - self.confidence) / math.log(1.0 - self.chance))
        if paths < least:
            raise ScenarioError(f"paths is {paths:,}: this limit needs at least {least:,}")
        return self


class Probe(NamedTuple):
    """A value that was tried.

    Attributes:
        value: Of the setting.
        chance: Of a drawdown beyond the limit's depth.
        bound: Its upper confidence bound.
        keeps: Whether that is within the limit.
        figures: All of `sims.sweeps.figures.FIGURES`, among them what it costs.
    """

    value: Value
    chance: Estimate
    bound: float
    keeps: bool
    figures: dict[str, Estimate]


class Found(StrEnum):
    """How a search ended."""

    LARGEST = "largest"  # the limit is kept up to a value
    SMALLEST = "smallest"  # from a value on
    EVERY = "every"  # at both ends, and in the middle
    NONE = "none"  # at none of these
    TURNS = "turns"  # at both ends but not in the middle, or there only


class Suggestion(NamedTuple):
    """What a search came to.

    Attributes:
        found: How it ended.
        best: The probe that goes farthest and keeps the limit; none if none was found.
        beyond: The nearest one that does not.
        probes: All, by value.
    """

    found: Found
    best: Probe | None
    beyond: Probe | None
    probes: list[Probe]

    @property
    def is_monotone(self) -> bool:
        """Whether probabilities only rose, or only fell, from probe to probe."""
        steps = np.diff([probe.chance.value for probe in self.probes])
        return bool((steps >= 0.0).all() or (steps <= 0.0).all())


def upper_bound(events: npt.NDArray[np.bool_], weights: Floats, confidence: float) -> float:
    """Return what the probability of an event is below, with so much confidence.

    That of Clopper and Pearson (1934), of as many independent trials as `trials_of` says; with
    equal weights it holds exactly, with others nearly, from some twenty events on.

    Args:
        events: Whether it was seen, shape (paths,) with 2 paths or more.
        weights: Shape (paths,), >= 0.
        confidence: From 0 to 1, one-sided.
    """
    from scipy.special import betaincinv  # noqa: PLC0415 - slow to load

    if events.all():
        return 1.0
    trials = trials_of(events, weights)
    happened = weighted_mean(events.astype(np.float64), weights).value * trials
    return float(betaincinv(happened + 1.0, trials - happened, confidence))


def search(
    at: Callable[[float], Value], probe: Callable[[Value], Probe], halvings: int
) -> Suggestion:
    """Return how far a setting may go.

    Args:
        at: Value of the setting by its share of the range, from 0 to 1.
        probe: Tries a value. That it keeps the limit may change once over the range: where both
            ends are alike the middle is tried as well, and nothing else.
        halvings: How often the range is halved.
    """
    tried: dict[float, Probe] = {share: probe(at(share)) for share in (0.0, 1.0)}
    low, high = tried[0.0], tried[1.0]
    if low.keeps == high.keeps:
        middle = probe(at(0.5))
        found = Found.EVERY if low.keeps else Found.NONE
        turns = middle.keeps != low.keeps
        return Suggestion(Found.TURNS if turns else found, None, None, [low, middle, high])
    keeps, fails = (0.0, 1.0) if low.keeps else (1.0, 0.0)
    for _ in range(halvings):
        share = (keeps + fails) / 2.0
        if at(share) in {tried[keeps].value, tried[fails].value}:
            break
        tried[share] = probe(at(share))
        keeps, fails = (share, fails) if tried[share].keeps else (keeps, share)
    side = Found.LARGEST if low.keeps else Found.SMALLEST
    probes = [tried[share] for share in sorted(tried)]
    return Suggestion(side, tried[keeps], tried[fails], probes)


def probe_of(value: Value, results: Results, pool: int, limit: Limit) -> Probe:
    """Return what a run says of a limit."""
    events = results.total("drawdown", pool) > limit.depth
    bound = upper_bound(events, results.weights, limit.confidence)
    figures = {name: each.measure(results, pool).estimate for name, each in FIGURES.items()}
    chance = probability(events, results.weights)
    return Probe(value, chance, bound, bound <= limit.chance, figures)


def suggest(
    base: ScenarioFile,
    axis: Axis,
    limit: Limit,
    folder: Path,
    pool: int = 0,
    data: Path | None = None,
    workers: Workers | None = None,
    tell: Tell = lambda _: None,
    *,
    halvings: int = HALVINGS,
    resume: bool = False,
) -> Suggestion:
    """Return how far a setting of a scenario may go before a limit is broken.

    Args:
        base: The scenario.
        axis: The setting and its range.
        limit: What must hold of each path's deepest drawdown of main's share price.
        folder: Where the runs are written, each in a folder of its own.
        pool: Number of the token the limit is for.
        data: Folder of price history, for markets that draw from one.
        workers: Who runs the blocks; as many threads as there are cores.
        tell: Told as the runs go on.
        halvings: How often the range is halved.
        resume: Whether runs found in the folder are taken as they are.

    Raises:
        ScenarioError: For a limit, a setting or a range that cannot be, before anything is run.
        sims.sweeps.points.InterruptedSweepError: It was interrupted; what is done stays.
        sims.runs.workers.WorkersError: Nobody could run some blocks.
    """
    limit.validated(base.paths)
    check(base, [{axis.setting: end} for end in axis.ends(base)], data)
    points = Points(base, folder, data, workers, resume=resume)
    count = 0

    def probe(value: Value) -> Probe:
        nonlocal count
        number, count = count, count + 1
        results = points.run(
            {axis.setting: value}, lambda run: tell(Reached(halvings + 2, number, run))
        )
        return probe_of(value, results, pool, limit)

    return search(lambda share: axis.at(base, share), probe, halvings)
