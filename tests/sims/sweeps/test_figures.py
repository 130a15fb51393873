"""Figures and their paired errors, tornado and frontier, on numbers whose answers are known."""

import numpy as np
import pytest

from sims.drawdown.outcome import Floats
from sims.statistics import probability, weighted_mean, weighted_tail_mean
from sims.sweeps.design import Settings
from sims.sweeps.figures import (
    FIGURES,
    Measured,
    chance_of,
    covariance,
    difference,
    mean_of,
    ratio_of,
    shortfall_of,
)
from sims.sweeps.frontier import Standing, places_of
from sims.sweeps.sweep import Row
from sims.sweeps.tornado import for_report, swings_of

RANDOM = np.random.Generator(np.random.Philox(11))
PATHS = 4_000
GAINS = RANDOM.standard_normal(PATHS)
OTHER = GAINS + 0.1 * RANDOM.standard_normal(PATHS)
WEIGHTS = RANDOM.exponential(1.0, PATHS)
EQUAL = np.ones(PATHS)


@pytest.mark.parametrize("weights", [EQUAL, WEIGHTS], ids=["equal", "weighted"])
def test_figures_and_errors_are_those_of_the_statistics(weights: Floats) -> None:
    assert mean_of(GAINS, weights).estimate == pytest.approx(weighted_mean(GAINS, weights))
    tail = weighted_tail_mean(GAINS, 0.05, weights)
    assert shortfall_of(GAINS, weights).estimate == pytest.approx((-tail.value, tail.error))
    seen = probability(GAINS > 1.0, weights)
    assert chance_of(GAINS > 1.0, weights).estimate == pytest.approx(seen, rel=1e-2)
    never = np.zeros(PATHS, dtype=bool)
    assert chance_of(never, weights).estimate == pytest.approx(probability(never, weights))


@pytest.mark.parametrize("weights", [EQUAL, WEIGHTS], ids=["equal", "weighted"])
def test_the_error_of_a_difference_is_that_of_the_differences(weights: Floats) -> None:
    found = difference(mean_of(OTHER, weights), mean_of(GAINS, weights))
    assert found == pytest.approx(weighted_mean(OTHER - GAINS, weights))
    apart = np.hypot(mean_of(OTHER, weights).estimate.error, mean_of(GAINS, weights).estimate.error)
    assert found.error < 0.12 * apart


def test_runs_of_other_paths_have_the_error_of_independent_ones() -> None:
    one, other = mean_of(GAINS, EQUAL), mean_of(RANDOM.permutation(GAINS), EQUAL)
    apart = np.hypot(one.estimate.error, other.estimate.error)
    assert difference(one, other).error == pytest.approx(apart, rel=0.05)


def test_events_that_did_not_differ_are_not_said_to_be_alike() -> None:
    never = chance_of(np.zeros(100, dtype=bool), np.ones(100))
    assert difference(never, never) == (0.0, pytest.approx(0.5 / 101))


def test_rare_events_drawn_more_often_are_known_as_well_as_they_are() -> None:
    """Half of 1,000 paths see what one in 10,000 has: the error is a few percent, not 0.5 / n."""
    events = np.arange(1_000) % 2 == 0
    weights = np.where(events, 1e-4, 2.0)
    found, told = chance_of(events, weights).estimate, probability(events, weights)
    assert found == pytest.approx(told, rel=1e-3)
    assert 0.0 < found.error < 0.1 * found.value


def test_errors_of_a_ratio_and_a_difference_of_shortfalls_hold_over_many_samples() -> None:
    """The stated errors are the scatter of 400 samples of 500 paths, within 10 %."""
    ratios, tails = [], []
    for _ in range(400):
        below = RANDOM.exponential(1.0, 500)
        above = 0.3 * below + 0.1 * RANDOM.exponential(1.0, 500)
        weights = RANDOM.exponential(1.0, 500)
        ratios.append(ratio_of(above, below, weights).estimate)
        gains = RANDOM.standard_normal(500)
        more = 1.5 * gains + 0.3 * RANDOM.standard_normal(500)
        tails.append(difference(shortfall_of(more, weights), shortfall_of(gains, weights)))
    for found in (np.array(ratios), np.array(tails)):
        assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.1)
    assert np.mean(ratios, axis=0)[0] == pytest.approx(0.4, abs=0.003)
    nothing = ratio_of(np.zeros(5), np.zeros(5), np.ones(5)).estimate
    assert nothing == (0.0, 0.0)


def test_the_covariance_of_a_figure_with_itself_is_its_squared_error() -> None:
    found = mean_of(GAINS, WEIGHTS)
    assert covariance(found, found) == pytest.approx(found.estimate.error**2)


def _row(settings: Settings, gains: Floats) -> Row:
    mean = mean_of(gains, EQUAL)
    measured: dict[str, Measured] = dict.fromkeys(FIGURES, mean)
    return Row(settings, measured | {"shortfall": shortfall_of(gains, EQUAL)}, {})


def test_a_tornado_is_ordered_by_width_and_tells_both_ends() -> None:
    gains = {("a", 1): 0.1, ("a", 2): -0.1, ("b", 1): 0.3, ("b", 2): 0.4, ("c", 1): 0.0}
    rows = [_row({}, GAINS), *(_row({name: at}, GAINS + g) for (name, at), g in gains.items())]
    found = swings_of(rows, "pnl")
    assert [swing.setting for swing in found] == ["b", "a"]  # of c only one end was run
    assert [swing.width for swing in found] == [pytest.approx(0.4), pytest.approx(0.2)]
    wide = found[0]
    assert (wide.low, wide.high) == (1, 2)
    assert (wide.less.value, wide.more.value) == (pytest.approx(0.3), pytest.approx(0.4))
    assert wide.less.error < 1e-12  # each path is moved alike
    assert wide.base == rows[0].measured["pnl"].estimate
    assert wide.at_high.value == pytest.approx(wide.base.value + 0.4)
    bar = for_report(found, "TSLA.M", "pnl").ranked()[0]
    assert (bar.parameter, bar.high.value) == ("b", wide.at_high.value)
    assert bar.high.error == wide.more.error < 1e-12 < wide.at_high.error  # of the difference


def test_the_frontier_tells_better_from_worse_and_from_unknown() -> None:
    rows = [
        _row({"p": "base"}, GAINS),
        _row({"p": "riskier"}, 2.0 * GAINS + 1.0),  # earns more, loses more
        _row({"p": "worse"}, GAINS - 0.5),  # than base in both, on every path
        _row({"p": "noise"}, GAINS - 0.001 + 0.5 * RANDOM.standard_normal(PATHS)),
    ]
    noise, base = (rows[n].measured["pnl"].value for n in (3, 0))
    places = places_of(rows)
    assert [place.standing for place in places[:3]] == [
        Standing.EFFICIENT, Standing.EFFICIENT, Standing.DOMINATED,
    ]  # fmt: skip
    assert places[2].by == 0
    expected = Standing.UNDECIDED if noise < base else Standing.EFFICIENT
    assert places[3].standing is expected
    assert places[0].covariance < 0.0  # a better mean comes with a smaller loss
