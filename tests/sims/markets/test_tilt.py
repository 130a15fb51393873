"""Tilted paths are rarer ones drawn more often; bounded weights make up for it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from amm.units import DAY_MS, HOUR_MS
from sims.markets.block import Clock, Floats
from sims.markets.regime_law import STRESSED, calibrated_law, transition
from sims.markets.regimes import Regimes
from sims.markets.tilt import Ratios, Tilt, draw_windows, tilted, weights_of

START_MS = 1_767_571_200_000
ERRORS_MAX = 4.0
CLOCK = Clock(START_MS, HOUR_MS, 24 * 6)
PATHS = 6_000
TILTS = {
    "stress": Tilt(stress=8.0),
    "jumps": Tilt(jumps=3.0),
    "size": Tilt(size=2.5, days=3),
    "push": Tilt(push=2.0, days=2),
    "rising": Tilt(push=2.0, days=2, rising=1.0),
    "all": Tilt(0.7, 2, push=1.5, rising=0.3, stress=4.0, jumps=1.5, size=2.0, mix=0.3),
}


def random(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def is_near(samples: Floats, value: float) -> bool:
    """Whether a mean is within 4 standard errors of a value."""
    error = samples.std(ddof=1) / np.sqrt(samples.size)
    return bool(abs(samples.mean() - value) <= ERRORS_MAX * error)


def moved(prices: Floats, hours: int) -> Floats:
    """Whether the first index moved far within some hours, as a number."""
    logs, far = np.log(prices[:, :, 0]), 0.04 if hours == 1 else 0.12
    return (np.abs(logs[:, hours:] - logs[:, :-hours]).max(axis=1) > far) * 1.0


@pytest.fixture(scope="module")
def plain() -> Floats:
    return Regimes(start=1).draw(CLOCK, 12_000, random(12)).prices


@pytest.mark.parametrize("name", TILTS)
def test_weights_make_up_for_the_tilt(plain: Floats, name: str) -> None:
    tilt, hours = TILTS[name], 1 if name in {"jumps", "size"} else 48
    block = Regimes(start=1, prices=(1.0, 1.0), tilt=tilt).draw(CLOCK, PATHS, random(11))
    weights, told, drawn = block.weights, moved(plain, hours), moved(block.prices, hours)
    assert weights.max() <= 1.0 / (1.0 - tilt.share) * (1.0 + 1e-12)
    assert weights.std() > 0.05
    assert is_near(weights, 1.0)
    assert is_near(weights * block.prices[:, -1, 0], 1.0)
    apart = (weights * drawn).mean() - told.mean()
    error = np.hypot((weights * drawn).std() / PATHS**0.5, told.std() / told.size**0.5)
    assert abs(apart) < ERRORS_MAX * error
    # Paths of weight 1 would tell another probability: the test above can fail.
    assert drawn.mean() - told.mean() > ERRORS_MAX * error


def test_weights_of_another_tilt_are_found_out() -> None:
    tilt = TILTS["push"]
    windows = draw_windows(tilt, CLOCK, PATHS, random(3))
    normals = random(4).standard_normal(windows.pushes.shape) + windows.pushes
    ratios = Ratios(np.zeros_like(normals), normals)
    assert is_near(weights_of(tilt, CLOCK, ratios), 1.0)
    for wrong in (replace(tilt, push=2.5), replace(tilt, days=4), replace(tilt, share=0.3)):
        assert not is_near(weights_of(wrong, CLOCK, ratios), 1.0)


def test_a_push_is_as_far_as_it_says() -> None:
    tilt = Tilt(share=0.95, days=2, push=3.0, rising=1.0)
    windows = draw_windows(tilt, CLOCK, 4_000, random())
    length = windows.inside.sum(axis=1)
    assert set(length.tolist()) == {0, 48}
    assert is_near((length > 0) * 1.0, 0.95)
    begins = windows.inside.argmax(axis=1)[length > 0]
    assert set((begins % 24).tolist()) == {0}
    assert {each // 24 for each in begins.tolist()} == set(range(5))
    pushed = windows.pushes.sum(axis=1)[length > 0] / np.sqrt(48)
    assert pushed == pytest.approx(np.full(pushed.size, 3.0))


def test_a_window_as_long_as_the_path_is_the_path() -> None:
    for days in (0, 6, 60):
        inside = draw_windows(Tilt(0.9, days, jumps=2.0), CLOCK, 50, random()).inside
        assert set(inside.mean(axis=1).tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("tilt", [Tilt(), Tilt(share=0.0, push=3.0), Tilt(days=3, mix=0.1)])
def test_without_a_tilt_paths_are_drawn_as_they_are(tilt: Tilt) -> None:
    told, drawn = (Regimes(tilt=each).draw(CLOCK, 8, random()) for each in (Tilt(), tilt))
    for one, other in zip(told, drawn, strict=True):
        assert np.array_equal(one, other)
    assert (drawn.weights == 1.0).all()


@pytest.mark.parametrize(
    "fields",
    [{"share": 1.0}, {"days": -1}, {"push": -1.0}, {"rising": 1.1},
     {"stress": 0.0}, {"jumps": 0.0}, {"size": 0.5}, {"mix": 1.0}],
)  # fmt: skip
def test_a_tilt_that_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"tilt: {next(iter(fields))} must be from"):
        Tilt(**fields)


def test_a_tilt_leaves_probabilities() -> None:
    told = transition(calibrated_law(), HOUR_MS / DAY_MS)
    for stress in (1.0, 5.0, 1e9):
        drawn = tilted(told, stress)
        assert np.allclose(drawn.sum(axis=1), 1.0)
        assert (drawn >= 0.0).all()
        assert (drawn[:2, STRESSED] >= told[:2, STRESSED]).all()
    assert np.array_equal(tilted(told, 1.0), told)
