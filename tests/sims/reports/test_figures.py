"""Figures against numbers worked out by hand, and errors that say how far off they are."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sims.reports.figures import Figure, Floats, Sample, Weeks, probability, ratio
from sims.reports.tables import DAYS, SHARE, TOKENS, shown

ONES = np.ones(10)
VALUES = np.array([-5.0, -4.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])


def test_means_quantiles_and_tails_are_those_worked_out_by_hand() -> None:
    sample = Sample(VALUES, ONES)
    mean = sample.mean()
    assert mean.value == pytest.approx(2.7)
    assert mean.error == pytest.approx(VALUES.std(ddof=1) / math.sqrt(10))
    assert sample.quantile(0.2).value == -4.0
    assert sample.quantile(0.5).value == 3.0
    assert sample.tail_mean(0.2).value == pytest.approx(-4.5)
    assert sample.tail_mean(0.3).value == pytest.approx(-8.0 / 3.0)


def test_weights_count() -> None:
    weights = np.array([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 3.0])
    sample = Sample(VALUES, weights)
    assert sample.mean().value == pytest.approx((-5.0 + 3.0 * 8.0) / 4.0)
    assert sample.quantile(0.25).value == -5.0
    assert sample.quantile(0.26).value == 8.0
    assert probability(VALUES > 0.0, weights).value == pytest.approx(0.75)


def test_what_paths_cannot_tell_has_no_error() -> None:
    alone = Sample(np.array([3.0]), np.ones(1))
    same = Sample(np.full(10, 3.0), ONES)
    for sample in (alone, same):
        told = (sample.mean(), sample.quantile(0.05), sample.tail_mean(0.05))
        assert told == (Figure(3.0, None),) * 3
    assert Sample(VALUES, ONES).quantile(0.05).error is None  # one path in the tail
    assert Sample(VALUES, ONES).quantile(0.5).error is not None
    assert probability(np.array([True]), np.ones(1)) == Figure(1.0, None)
    assert probability(VALUES > -9.0, ONES).value == 1.0
    assert probability(VALUES > -9.0, ONES).error is not None  # ten times is not always


def test_a_ratio_is_that_of_the_means() -> None:
    above, below = np.array([1.0, 0.0, 2.0]), np.array([2.0, 1.0, 3.0])
    found = ratio(above, below, np.ones(3))
    assert found.value == pytest.approx(0.5)
    # Delta method: residuals 0, -0.5, 0.5 over the mean 2, their mean's standard error.
    assert found.error == pytest.approx(math.sqrt(0.5 / 2.0 / 3.0) / 2.0)
    assert ratio(np.zeros(3), np.zeros(3), np.ones(3)) == Figure(0.0, None)


def test_weeks_of_all_paths_are_one_sample() -> None:
    changes = VALUES.reshape(5, 2)
    weeks = Weeks(changes, np.ones(5))
    assert weeks.quantile(0.2).value == -4.0
    assert weeks.tail_mean(0.3).value == pytest.approx(-8.0 / 3.0)
    heavy = Weeks(changes, np.array([0.0, 1.0, 1.0, 1.0, 1.0]))
    assert heavy.quantile(0.01).value == 1.0


def test_errors_of_weeks_know_that_those_of_a_path_are_alike() -> None:
    runs, paths, count = 300, 400, 4
    found: dict[str, list[Figure]] = {"quantile": [], "tail mean": []}
    for seed in range(runs):
        random = np.random.default_rng(seed)
        common = random.standard_normal((paths, 1))
        weeks = Weeks(common + 0.3 * random.standard_normal((paths, count)), np.ones(paths))
        found["quantile"].append(weeks.quantile(0.05))
        found["tail mean"].append(weeks.tail_mean(0.05))
    for figures in found.values():
        scatter = np.std([each.value for each in figures])
        said = math.sqrt(np.mean([(each.error or math.nan) ** 2 for each in figures]))
        assert scatter == pytest.approx(said, rel=0.2)


@given(
    arrays(np.float64, 40, elements=st.floats(-1.0, 1.0)),
    arrays(np.float64, 40, elements=st.floats(0.01, 10.0)),
    st.sampled_from([0.01, 0.05, 0.5]),
)
def test_shortfall_is_at_least_value_at_risk(values: Floats, weights: Floats, share: float) -> None:
    for sample in (Sample(values, weights), Weeks(values.reshape(20, 2), weights[:20])):
        assert sample.tail_mean(share).value <= sample.quantile(share).value + 1e-12


@pytest.mark.parametrize(
    ("figure", "unit", "text"),
    [
        (Figure(0.012345, 0.0012), SHARE, "1.23 ± 0.12 %"),
        (Figure(-0.5, None), SHARE, "-50.0 %"),
        (Figure(0.0, 0.0005), SHARE, "0.000 ± 0.050 %"),
        (Figure(0.0, None), TOKENS, "0"),
        (Figure(12345.6, 78.0), TOKENS, "12,346 ± 78"),
        (Figure(99.9985, 0.00004), TOKENS, "100.00 ± 0.00"),
        (Figure(5.25, 0.44), DAYS, "5.25 ± 0.44 d"),
    ],
)
def test_figures_are_read_with_the_digits_their_errors_leave(
    figure: Figure, unit: str, text: str
) -> None:
    assert shown(figure, unit) == text


def test_a_loss_is_no_negative_zero() -> None:
    assert math.copysign(1.0, Figure(0.0, None).times(-1.0).value) == 1.0
    assert Figure(2.0, 0.5).times(-2.0) == Figure(-4.0, 1.0)
