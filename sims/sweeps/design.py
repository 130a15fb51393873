"""Which points a sweep has: a grid, a Sobol sequence, or one setting at a time."""

import itertools
from collections.abc import Sequence

from sims.scenarios.file import ScenarioError, ScenarioFile
from sims.sweeps.axes import Axis
from sims.sweeps.settings import Value

Settings = dict[str, Value]
POINTS_MAX = 4_096


def _refuse(axes: Sequence[Axis], points: int) -> None:
    names = [axis.setting for axis in axes]
    if not names:
        raise ScenarioError("sweep: no setting is given")
    if len(set(names)) < len(names):
        raise ScenarioError("sweep: a setting is named twice")
    if points > POINTS_MAX:
        raise ScenarioError(f"sweep: {points:,} points are more than {POINTS_MAX:,}")


def grid(axes: Sequence[Axis], file: ScenarioFile) -> list[Settings]:
    """Return every combination; the last setting changes fastest.

    Raises:
        ScenarioError: For settings that cannot be, or too many points.
    """
    names = [axis.setting for axis in axes]
    levels = [axis.levels(file) for axis in axes]
    points = 1
    for each in levels:
        points *= len(each)
    _refuse(axes, points)
    return [dict(zip(names, taken, strict=True)) for taken in itertools.product(*levels)]


def sobol(axes: Sequence[Axis], file: ScenarioFile, points: int, seed: int) -> list[Settings]:
    """Return points that fill the space evenly: a scrambled Sobol sequence.

    Of every range each of `points` equal parts has one point. A list of values is divided so.

    Args:
        axes: What is changed.
        file: The scenario.
        points: A power of two: only then the sequence is balanced.
        seed: Of the scrambling.

    Raises:
        ScenarioError: For settings that cannot be, or a number of points that is no power of two.
    """
    from scipy.stats import qmc  # noqa: PLC0415 - slow to load

    if points < 1 or points & (points - 1):
        raise ScenarioError(f"points is {points}, must be a power of two")
    _refuse(axes, points)
    shares = qmc.Sobol(len(axes), rng=seed).random_base2(points.bit_length() - 1)
    return [
        {axis.setting: axis.at(file, float(share)) for axis, share in zip(axes, row, strict=True)}
        for row in shares
    ]


def one_at_a_time(axes: Sequence[Axis], file: ScenarioFile) -> list[Settings]:
    """Return the low and the high end of each setting in turn, all others as they are.

    Raises:
        ScenarioError: For settings that cannot be.
    """
    _refuse(axes, 2 * len(axes))
    return [{axis.setting: end} for axis in axes for end in axis.ends(file)]
