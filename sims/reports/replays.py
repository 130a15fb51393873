"""Paths of a run run again, step by step: the worst ones, and the moments that made them so."""

import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sims.drawdown.trace import Trace, trace_path
from sims.reports.figures import Sample
from sims.runs.results import Results
from sims.statistics import Floats
from vaults.condition import Condition

OF_A_KIND = 3
"""So many moments of a kind are told, the largest."""
STATES_MAX = 8
REPEATED = 1e-6
"""How close a path must come to where it ended; machines differ in the last digits of exp."""
Traces = Callable[[int], tuple[Trace, ...]]


class ReplayError(ValueError):
    """A path that is no longer what it was when it was run."""


class Moment(NamedTuple):
    """Something worth a look at the row of a trace; `is_loss` where it is main's largest losses."""

    row: int
    what: str
    is_loss: bool = False


class Replay(NamedTuple):
    """One path of one pool, run again.

    Attributes:
        number: Of the path, as `trace_path` takes it.
        weight: Of the path over the mean weight.
        drawdown: Its largest.
        trace: What the pool looked like.
        moments: In order of time.
    """

    number: int
    weight: float
    drawdown: float
    trace: Trace
    moments: tuple[Moment, ...]


def traces_of(results: Results, data: Path | None = None) -> Traces:
    """Return what runs a path again, once only; `data` is the folder of price history."""
    scenario = results.file.scenario(data)
    return cache(lambda number: trace_path(scenario, number))


def worst_paths(results: Results, pool: int, count: int) -> list[int]:
    """Return the rows of the paths with the deepest drawdowns, the deepest first."""
    order = np.argsort(-results.total("drawdown", pool), kind="stable")
    return [int(row) for row in order[:count]]


def middle_path(results: Results, pool: int) -> int:
    """Return the row of the path whose drawdown is the median."""
    drawdown = results.total("drawdown", pool)
    middle = Sample(drawdown, results.weights).quantile(0.5).value
    return int(np.argmax(drawdown == middle))


def replay(results: Results, pool: int, row: int, traces: Traces) -> Replay:
    """Run a path again.

    Args:
        results: Of the run.
        pool: Which one is looked at.
        row: Of the path in the results.
        traces: Of `traces_of`.

    Raises:
        ReplayError: It ends elsewhere than it did.
    """
    number, weights = int(results.numbers[row]), results.weights
    trace = traces(number)[pool]
    ended, ends = float(results.total("share_price", pool)[row]), float(trace.share_price[-1])
    if not math.isclose(ended, ends, rel_tol=REPEATED):
        raise ReplayError(
            f"path {number} ended at a share price of {ended:.9f}, and ends at {ends:.9f} now: it "
            "was run by another version or on other price history; leave out replays"
        )
    drawdown = float(results.total("drawdown", pool)[row])
    weight = float(weights[row] / weights.mean())
    return Replay(number, weight, drawdown, trace, moments_of(trace))


def moments_of(trace: Trace) -> tuple[Moment, ...]:
    """Return the moments that made a path what it is, in order of time."""
    price = trace.share_price
    change = np.diff(price, prepend=price[0]) / np.concatenate([price[:1], price[:-1]])
    found = [
        *(
            each._replace(is_loss=True)
            for each in _largest(-change, "main loses {:.2f} % in a step", 100.0)
        ),
        *_largest(_risen(trace.cashed_out), "{:,.1f} tokens paid at the cap"),
        *_largest(_risen(trace.advances), "insurance pays main {:,.1f} tokens"),
        *_changes_of_state(trace),
        *_drawdown(price),
    ]
    return tuple(sorted(found, key=lambda each: each.row))


def _risen(amounts: Floats) -> Floats:
    return np.diff(amounts, prepend=amounts[0])


def _largest(amounts: Floats, text: str, factor: float = 1.0) -> Iterator[Moment]:
    for row in np.argsort(-amounts, kind="stable")[:OF_A_KIND]:
        if amounts[row] > 0.0:
            yield Moment(int(row), text.format(factor * amounts[row]))


def _changes_of_state(trace: Trace) -> Iterator[Moment]:
    for row in np.flatnonzero(np.diff(trace.condition))[:STATES_MAX] + 1:
        yield Moment(int(row), f"state becomes {Condition(int(trace.condition[row])).name}")


def _drawdown(price: Floats) -> Iterator[Moment]:
    """Tell where the largest fall from a peak began and ended."""
    fallen = 1.0 - price / np.maximum.accumulate(price)
    low = int(np.argmax(fallen))
    if fallen[low] > 0.0:
        yield Moment(int(np.argmax(price[:low])), "peak before the largest drawdown")
        yield Moment(low, f"deepest: {100.0 * fallen[low]:.2f} % below the peak")
