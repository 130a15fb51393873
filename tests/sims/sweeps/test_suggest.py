"""The search for how far a setting may go, where the answer is known."""

import math

import numpy as np
import pytest

from sims.drawdown.outcome import Floats
from sims.scenarios.file import ScenarioError
from sims.statistics import Estimate
from sims.sweeps.settings import Value
from sims.sweeps.suggest import Found, Limit, Probe, Suggestion, search, upper_bound

DEPTH, CHANCE = 0.1, 0.05
EDGE = -DEPTH / math.log(CHANCE)
"""Drawdowns of `size` times an exponential number are deeper with P = exp(-depth / size)."""


def _search(
    drawn: Floats, low: float, high: float, halvings: int, *, is_cover: bool = False
) -> Suggestion:
    """Search on drawdowns that grow with the setting or, of cover, fall with it."""
    ones = np.ones(drawn.size)

    def probe(value: Value) -> Probe:
        size = (0.1 - float(value)) if is_cover else float(value)
        events = size * drawn > DEPTH
        bound = upper_bound(events, ones, 0.95)
        return Probe(value, Estimate(float(events.mean()), 0.0), bound, bound <= CHANCE, {})

    return search(lambda share: low + (high - low) * share, probe, halvings)


def _drawn(seed: int, paths: int) -> Floats:
    return np.random.Generator(np.random.Philox(seed)).exponential(1.0, paths)


def test_the_largest_value_is_found_just_below_the_edge() -> None:
    found = _search(_drawn(2, 100_000), 0.0, 0.1, halvings=10)
    assert found.found is Found.LARGEST
    assert found.best is not None
    assert found.beyond is not None
    assert 0.98 * EDGE < float(found.best.value) < EDGE
    assert float(found.beyond.value) - float(found.best.value) == pytest.approx(0.1 / 2**10)
    assert len(found.probes) == 12
    assert found.is_monotone
    values = [float(probe.value) for probe in found.probes]
    assert values == sorted(values)


def test_the_smallest_value_is_found_where_more_protects() -> None:
    found = _search(_drawn(2, 100_000), 0.0, 0.1, halvings=10, is_cover=True)
    assert found.found is Found.SMALLEST
    assert found.best is not None
    assert 0.1 - EDGE < float(found.best.value) < 0.1 - 0.98 * EDGE


def test_it_says_when_every_value_keeps_the_limit_or_none() -> None:
    for low, high, expected in ((0.001, 0.01, Found.EVERY), (0.05, 0.1, Found.NONE)):
        found = _search(_drawn(1, 1_000), low, high, halvings=10)
        assert found.found is expected
        assert found.best is found.beyond is None
        assert len(found.probes) == 3


def test_it_names_no_value_where_the_middle_is_unlike_both_ends() -> None:
    """Orders too large for the pool are refused: their risk rises with size, then falls."""

    def probe(value: Value) -> Probe:
        return Probe(value, Estimate(0.0, 0.0), 0.0, abs(float(value) - 0.5) > 0.2, {})

    found = search(lambda share: share, probe, halvings=10)
    assert found.found is Found.TURNS
    assert found.best is None
    assert [each.value for each in found.probes] == [0.0, 0.5, 1.0]


def test_halving_does_not_spoil_the_confidence() -> None:
    """Of 400 searches 5 % name too bold a value; 3 standard errors are 3.3 %."""
    bold = 0
    for seed in range(400):
        found = _search(_drawn(seed, 400), 0.001, 0.1, halvings=14)
        assert found.best is not None
        bold += float(found.best.value) > EDGE
    assert 0.017 < bold / 400 < 0.083


def test_what_is_counted_is_halved_until_nothing_is_between() -> None:
    tried: list[Value] = []

    def probe(value: Value) -> Probe:
        tried.append(value)
        return Probe(value, Estimate(0.0, 0.0), 0.0, int(value) <= 3, {})

    found = search(lambda share: round(8 * share), probe, halvings=20)
    assert found.best is not None
    assert found.best.value == 3
    assert sorted(map(int, tried)) == [0, 2, 3, 4, 8]


def test_probabilities_that_turn_are_told() -> None:
    probes = [Probe(n, Estimate(p, 0.0), p, True, {}) for n, p in enumerate((0.1, 0.3, 0.2))]
    assert not Suggestion(Found.EVERY, None, None, probes).is_monotone
    assert Suggestion(Found.EVERY, None, None, probes[:2]).is_monotone


def test_the_bound_is_exact_for_equal_weights() -> None:
    ones = np.ones(100)
    none, all_of_them = np.zeros(100, dtype=bool), np.ones(100, dtype=bool)
    assert upper_bound(none, ones, 0.95) == pytest.approx(1.0 - 0.05**0.01)
    assert upper_bound(all_of_them, ones, 0.95) == 1.0
    some = np.arange(100) < 7
    bound = upper_bound(some, ones, 0.95)
    below = sum(math.comb(100, k) * bound**k * (1 - bound) ** (100 - k) for k in range(8))
    assert below == pytest.approx(0.05)  # so few events would be as rare as that


def test_the_bound_of_weighted_paths_is_that_of_as_many_as_they_tell() -> None:
    some = np.arange(100) < 7
    pairs = np.repeat(some, 2)
    ones_and_none = np.tile([1.0, 0.0], 100)
    plain = upper_bound(some, np.ones(100), 0.95)
    assert upper_bound(pairs, ones_and_none, 0.95) == pytest.approx(plain, rel=0.01)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (Limit(0.0, 0.05), "depth is 0.0, must be between 0 and 1"),
        (Limit(0.1, 1.0), "chance is 1.0, must be between 0 and 1"),
        (Limit(0.1, 0.05, math.nan), "confidence is nan"),
        (Limit(0.1, 0.01), "paths is 100: this limit needs at least 299"),
    ],
)
def test_a_limit_that_cannot_be_shown_is_refused(limit: Limit, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        limit.validated(100)
