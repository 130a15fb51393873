"""Simulated markets have the vols, correlation and mean they were asked for."""

import math

import numpy as np
import pytest

from amm.units import DAY_MS, MINUTE_MS, ONE
from sims.markets.path import PricePath
from sims.markets.simulated import simulate_path

START = 1_700_000_000_000
VOLS = (0.5, 0.65)


def simulate(days: int = 60, correlation: float = 0.8, seed: int = 1) -> PricePath:
    return simulate_path(("BTC", "ETH"), START, days, (100_000, 4_000), VOLS, correlation, seed)


def returns(path: PricePath) -> np.ndarray:
    return np.diff(np.log(path.prices_e8), axis=0)


def test_path_begins_at_its_prices_and_is_unbroken() -> None:
    path = simulate(days=2)
    assert path.symbols == ("BTC", "ETH")
    assert path.prices_e8[0].tolist() == [100_000 * ONE, 4_000 * ONE]
    assert path.times_ms.tolist() == list(range(START, START + 2 * DAY_MS, MINUTE_MS))
    assert set(path.segment.tolist()) == {0}
    assert path.start == 0
    assert {array.dtype for array in path[1:4]} == {np.dtype(np.int64)}


def test_same_seed_same_path() -> None:
    first, again, other = simulate(2), simulate(2), simulate(2, seed=2)
    np.testing.assert_array_equal(first.prices_e8, again.prices_e8)
    assert (first.prices_e8[1:] != other.prices_e8[1:]).mean() > 0.99


def test_realised_vols_are_those_asked_for() -> None:
    moves = returns(simulate())
    realised = np.sqrt((moves**2).mean(axis=0) * 365 * 1_440)
    np.testing.assert_allclose(realised, VOLS, rtol=4 / math.sqrt(2 * len(moves)))


@pytest.mark.parametrize("correlation", [-1, -0.5, 0, 0.8, 1])
def test_correlation_is_that_asked_for(correlation: float) -> None:
    moves = returns(simulate(correlation=correlation))
    error = (1 - correlation**2) / math.sqrt(len(moves))
    measured = np.corrcoef(moves.T)[0, 1]
    assert measured == pytest.approx(correlation, abs=4 * error + 1e-6)


def test_equal_correlations_of_three_symbols() -> None:
    path = simulate_path(("A", "B", "C"), START, 60, (1, 10, 100), (0.3, 0.6, 0.9), 0.4, 3)
    measured = np.corrcoef(returns(path).T)[np.triu_indices(3, 1)]
    np.testing.assert_allclose(measured, 0.4, atol=4 * (1 - 0.4**2) / math.sqrt(60 * 1_440))


def test_price_is_a_martingale() -> None:
    """The vol is so high that a wrong drift would show: by 5.7 standard errors were it 0."""
    paths, vol, days = 1_000, 4.0, 3
    names = [str(number) for number in range(paths)]
    prices = simulate_path(names, START, days, [50.0] * paths, [vol] * paths, 0, 5).prices_e8
    variance = vol**2 * (days * 1_440 - 1) / (365 * 1_440)
    ratios = prices[-1] / prices[0]
    error = math.sqrt(math.expm1(variance) / paths)
    assert ratios.mean() == pytest.approx(1, abs=4 * error)
    log_error = math.sqrt(variance / paths)
    assert np.log(ratios).mean() == pytest.approx(-variance / 2, abs=4 * log_error)


def test_price_never_reads_as_missing() -> None:
    path = simulate_path(("A",), START, 30, (1e-8,), (3.0,), 0, 7)
    assert path.prices_e8.min() == 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"symbols": ()}, "each once"),
        ({"symbols": ("A", "A")}, "each once"),
        ({"prices": (1.0,)}, "one price and one vol"),
        ({"vols": (1.0,)}, "one price and one vol"),
        ({"days": 0}, "at least one day"),
        ({"prices": (1.0, 0.0)}, "prices must be positive"),
        ({"prices": (1.0, math.nan)}, "prices must be positive"),
        ({"prices": (1.0, 1.1e9)}, "prices must be positive"),
        ({"vols": (0.5, -0.1)}, "not negative"),
        ({"vols": (0.5, math.nan)}, "not negative"),
        ({"correlation": 1.01}, "from -1 to 1"),
        ({"correlation": math.nan}, "from -1 to 1"),
        ({"prices": (1.0, 1e9)}, "leaves 1e9 USD"),
    ],
)
def test_nonsense_is_refused(change: dict[str, object], complaint: str) -> None:
    arguments: dict[str, object] = {
        "symbols": ("A", "B"),
        "start_ms": START,
        "days": 1,
        "prices": (1.0, 2.0),
        "vols": VOLS,
        "correlation": 0.5,
        "seed": 1,
    }
    with pytest.raises(ValueError, match=complaint):
        simulate_path(**(arguments | change))  # type: ignore[arg-type]
