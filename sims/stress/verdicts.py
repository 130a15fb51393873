"""Which claims of a scenario hold of the paths it was run with."""

import math
from typing import NamedTuple

from sims.drawdown.outcome import Floats
from sims.runs.results import Results
from sims.scenarios.claims import Claim
from sims.statistics import Estimate, quantile, weighted_mean

_SHARES = {"least": 0.0, "median": 0.5, "most": 1.0}


class Verdict(NamedTuple):
    """What became of a claim.

    Attributes:
        claim: What was claimed.
        token: Of the pool it was looked at in.
        figure: What was found; a single path leaves its error unknown, NaN.
        holds: Whether the figure keeps the claim's limits.
    """

    claim: Claim
    token: str
    figure: Estimate
    holds: bool


def check_claims(results: Results) -> list[Verdict]:
    """Return a verdict on each claim of a run's scenario, pool by pool."""
    return [
        _judge(results, claim, pool)
        for claim in results.file.claims
        for pool, token in enumerate(results.tokens)
        if claim.pool in {None, token}
    ]


def _judge(results: Results, claim: Claim, pool: int) -> Verdict:
    samples = _samples(results, claim, pool)
    figure = _estimate(claim, samples, results.weights[: samples.size])
    return Verdict(claim, results.tokens[pool], figure, claim.allows(figure.value))


def _samples(results: Results, claim: Claim, pool: int) -> Floats:
    """Return the figure of every path, shape (paths,); daily figures of those that are read."""
    if claim.days is None:
        return results.total(claim.figure, pool)
    daily = results.daily(claim.figure, pool).astype("float64")
    first, last = claim.days
    return daily[:, last] - daily[:, first]


def _estimate(claim: Claim, samples: Floats, weights: Floats) -> Estimate:
    if samples.size == 1:
        return Estimate(float(samples[0]), math.nan)
    if claim.statistic == "mean":
        return weighted_mean(samples, weights)
    share = _SHARES.get(claim.statistic, claim.share)
    assert share is not None, "a claim has a share where its statistic is quantile"
    return quantile(samples, share, weights)
