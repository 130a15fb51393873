"""Figures of samples whose law is known, and errors that say how far off they are."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from sims.statistics import (
    Estimate,
    Floats,
    effective_count,
    estimate_of,
    probability,
    quantile,
    tail_mean,
    trials_of,
    variance_ratio,
    weighted_mean,
    weighted_tail_mean,
)

COUNT, RUNS, SHARE = 4_000, 200, 0.05
FIGURES: dict[str, tuple[Callable[[Floats, Floats], Estimate], float]] = {
    "mean": (weighted_mean, 0.0),
    "quantile": (lambda samples, weights: quantile(samples, SHARE, weights), norm.ppf(SHARE)),
    "tail mean": (
        lambda samples, weights: weighted_tail_mean(samples, SHARE, weights),
        -norm.pdf(norm.ppf(SHARE)) / SHARE,
    ),
    "probability": (lambda samples, weights: probability(samples < -2.0, weights), norm.cdf(-2.0)),
}


def _draw(seed: int, shift: float) -> tuple[Floats, Floats]:
    """Draw normals around `shift`, weighted as if they were drawn around 0."""
    samples = np.random.default_rng(seed).standard_normal(COUNT) + shift
    return samples, np.exp(shift * (shift / 2.0 - samples))


@pytest.mark.parametrize("shift", [0.0, -1.0])
@pytest.mark.parametrize("name", FIGURES)
def test_errors_are_how_far_off_figures_are(name: str, shift: float) -> None:
    figure, truth = FIGURES[name]
    found = [figure(*_draw(seed, shift)) for seed in range(RUNS)]
    off = np.array([each.value for each in found]) - truth
    said = math.sqrt(np.mean([each.error**2 for each in found]))
    assert abs(off.mean()) < 4.0 * said / math.sqrt(RUNS) + 0.1 * said
    assert off.std() == pytest.approx(said, rel=0.25)


@pytest.mark.parametrize("name", ["quantile", "tail mean", "probability"])
def test_drawing_where_it_matters_needs_fewer_paths(name: str) -> None:
    figure = FIGURES[name][0]
    gain = [
        variance_ratio(figure(*_draw(seed, 0.0)), figure(*_draw(seed, -1.0))) for seed in (1, 2)
    ]
    assert min(gain) > 1.5


def test_equal_weights_change_nothing() -> None:
    samples, weights = _draw(3, 0.0)
    assert weighted_mean(samples, 7.0 * weights) == pytest.approx(estimate_of(samples))
    assert weighted_tail_mean(samples, SHARE, weights) == pytest.approx(tail_mean(samples, SHARE))
    assert effective_count(7.0 * weights) == pytest.approx(COUNT)
    assert quantile(samples, 0.5, weights).value == pytest.approx(np.median(samples), abs=1e-3)


def test_what_was_not_seen_is_not_impossible() -> None:
    never = probability(np.zeros(99, dtype=np.bool_), np.ones(99))
    assert never == pytest.approx((0.0, 0.005))
    always = probability(np.ones(99, dtype=np.bool_), np.ones(99))
    assert always == pytest.approx((1.0, 0.005))


def test_quantiles_reach_to_the_ends() -> None:
    samples, weights = np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0])
    found = [quantile(samples, share, weights).value for share in (0.0, 0.25, 0.26, 0.75, 1.0)]
    assert found == [1.0, 1.0, 2.0, 2.0, 3.0]


def test_a_few_events_do_not_tell_their_own_error() -> None:
    """Ten seen that all weigh a hundredth, as by luck, count as drawn plainly; forty do not."""
    weights = np.ones(1_000)
    weights[:50] = 0.01
    events = np.zeros(1_000, dtype=np.bool_)
    events[:10] = True
    assert trials_of(events, weights) == effective_count(weights)
    events[:40] = True
    assert trials_of(events, weights) > 10 * effective_count(weights)


@pytest.mark.parametrize(
    ("weights", "events"),
    [
        ([0.0, 1.0, 1.0, 0.5], [True, False, False, False]),
        ([1e-18, 1.0, 1.0, 0.5], [False, True, True, True]),
        ([1e-170, 1.0, 1.0, 0.5], [True, False, False, False]),
    ],
)
def test_an_event_of_hardly_any_weight_is_one_not_seen(
    weights: list[float], events: list[bool]
) -> None:
    found = probability(np.array(events), np.array(weights))
    assert found.value == pytest.approx(round(found.value), abs=1e-15)
    assert 0.0 < found.error < 0.5
