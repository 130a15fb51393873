"""Points of a sweep: where they are, in which order, and what cannot be one."""

from pathlib import Path

import numpy as np
import pytest

from sims.scenarios.file import ScenarioError
from sims.scenarios.reading import find_scenario
from sims.sweeps.axes import Axis
from sims.sweeps.design import grid, one_at_a_time, sobol
from sims.sweeps.file import SHIPPED_TORNADO, base_of, read_sweep_file, sweep_of
from sims.sweeps.points import check
from sims.sweeps.settings import value_of

BASE = find_scenario("default")
SIZE = Axis("buyers.size", low=0.004, high=0.016, log=True)
FEE = Axis("pools.parameters.fee", values=(1e-4, 3e-4))


def test_a_grid_has_every_combination_the_last_setting_fastest() -> None:
    points = grid([SIZE, FEE], BASE)
    assert [tuple(point.values()) for point in points] == [
        (0.004, 1e-4), (0.004, 3e-4), (0.008, 1e-4), (0.008, 3e-4), (0.016, 1e-4), (0.016, 3e-4),
    ]  # fmt: skip
    assert list(points[0]) == ["buyers.size", "pools.parameters.fee"]


def test_a_range_ends_where_it_says_and_is_counted_in_whole_units() -> None:
    share = Axis("pools.parameters.stress_share_ppm", low=100_000, high=100_003, steps=10)
    assert share.levels(BASE) == (100_000, 100_001, 100_002, 100_003)
    assert Axis("buyers.calls", low=0.1, high=0.5, steps=5).levels(BASE) == (
        0.1,
        0.2,
        0.3,
        0.4,
        0.5,
    )


def test_multiples_are_of_what_the_scenario_has() -> None:
    fee = Axis("pools.parameters.fee", low=0.5, high=2.0, times=True)
    assert fee.ends(BASE) == (1.5e-4, 6e-4)
    changed = BASE.with_settings({"pools.parameters.fee": 1e-3})
    assert fee.ends(changed) == (5e-4, 2e-3)


def test_a_sobol_design_has_a_point_in_every_part_of_every_range() -> None:
    calls = Axis("buyers.calls", low=0.0, high=1.0)
    which = Axis("market.start", values=("calm", "busy"))
    points = sobol([SIZE, calls, which], BASE, 64, seed=3)
    shares = np.array([point["buyers.calls"] for point in points], dtype=float)
    assert sorted(np.floor(64 * shares)) == list(range(64))
    sizes = np.log(np.array([point["buyers.size"] for point in points], dtype=float) / 0.004)
    assert sorted(np.floor(64 * sizes / np.log(4.0))) == list(range(64))
    # Of the plane, every rectangle of a quarter by a quarter has a sixteenth of the points.
    cells = np.floor(4 * shares) + 4 * np.floor(4 * sizes / np.log(4.0))
    assert np.bincount(cells.astype(int)).tolist() == [4] * 16
    assert sum(point["market.start"] == "calm" for point in points) == 32
    assert points == sobol([SIZE, calls, which], BASE, 64, seed=3)
    assert points != sobol([SIZE, calls, which], BASE, 64, seed=4)


def test_a_tornado_moves_one_setting_at_a_time() -> None:
    assert one_at_a_time([SIZE, FEE], BASE) == [
        {"buyers.size": 0.004}, {"buyers.size": 0.016},
        {"pools.parameters.fee": 1e-4}, {"pools.parameters.fee": 3e-4},
    ]  # fmt: skip


def test_the_shipped_tornado_runs_on_the_default_scenario() -> None:
    axes = read_sweep_file(SHIPPED_TORNADO).sweep
    assert 8 <= len(axes) <= 12
    check(BASE, one_at_a_time(axes, BASE), None)
    for axis in axes:
        low, high = axis.ends(BASE)
        assert isinstance(low, int | float)
        assert isinstance(high, int | float)
        base = value_of(BASE, axis.setting)
        assert isinstance(base, int | float)
        assert low <= base <= high


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        ({"setting": "buyers.size"}, "buyers.size: takes either values, or low and high"),
        ({"setting": "buyers.size", "low": 0.1}, "buyers.size: low must be below high"),
        ({"setting": "buyers.size", "low": 0.1, "high": 0.1}, "low must be below high"),
        ({"setting": "x", "low": 0.1, "high": float("nan")}, "low must be below high"),
        ({"setting": "x", "low": 0, "high": 1, "values": [2]}, "either values"),
        ({"setting": "x", "low": 0, "high": 1, "log": True}, "begins above 0"),
        ({"setting": "x", "lowest": 0}, "lowest"),
    ],
)
def test_an_axis_that_cannot_be_is_named(axis: dict[str, object], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        sweep_of({"sweep": [axis]})


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        (Axis("paths", values=(100,)), "paths: is the same at every point"),
        (Axis("seed", low=1, high=5), "seed: is the same at every point"),
        (Axis("buyers.weight", low=1, high=5), "buyers.weight: leads nowhere"),
        (Axis("buyers", low=1, high=5), "buyers: is no single value"),
        (Axis("market.model", low=1, high=5), "market.model: is 'regimes', not a number"),
        (Axis("buyers.weight", values=(1,)), "weight"),
        (Axis("pools.parameters.fees", values=(1,)), "fees is no parameter"),
        (Axis("pools.parameters.fee", values=(0.01, 0.5)), "fee = 0.5: pools: fee is 0.5, must be"),
        (Axis("pools.parameters.vest_days", values=(2.5,)), "vest_days is 2.5, must be a whole"),
        (Axis("buyers.size", values=("large",)), "buyers.size = large"),
    ],
)
def test_a_setting_that_cannot_be_is_named_before_anything_runs(axis: Axis, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        check(BASE, grid([axis], BASE), None)


def test_pools_that_differ_are_named_one_by_one() -> None:
    two = BASE.with_settings({"pools": [{"token": "A.M", "main": 100}, {"token": "B.M"}]})
    half = Axis("pools.main", low=0.5, high=1.0, times=True)
    with pytest.raises(ScenarioError, match=r"pools.main: the pools differ in it"):
        half.ends(two)
    assert Axis("pools.0.main", low=0.5, high=1.0, times=True).ends(two) == (50.0, 100.0)


def test_designs_that_cannot_be_are_refused() -> None:
    with pytest.raises(ScenarioError, match="points is 12, must be a power of two"):
        sobol([SIZE], BASE, 12, seed=1)
    with pytest.raises(ScenarioError, match="a setting is named twice"):
        grid([SIZE, SIZE], BASE)
    wide = Axis("buyers.calls", low=0.0, high=1.0, steps=1000)
    with pytest.raises(ScenarioError, match="6,000 points are more than 4,096"):
        grid([wide, SIZE, FEE], BASE)


def test_a_sweep_file_names_its_scenario_and_what_all_points_share(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\ndays = 3\n')
    (tmp_path / "sweep.toml").write_text(
        'scenario = "mine.toml"\n[settings]\npaths = 50\n"buyers.calls" = 0.5\n'
        '[[sweep]]\nsetting = "buyers.size"\nvalues = [0.01, 0.02]\n'
    )
    sweep = read_sweep_file(tmp_path / "sweep.toml")
    base = base_of(sweep, tmp_path)
    assert (base.name, base.days, base.paths, base.buyers.calls) == ("mine", 3, 50, 0.5)
    assert sweep.all_settings(base) == [{}, {"buyers.size": 0.01}, {"buyers.size": 0.02}]
    (tmp_path / "sweep.toml").write_text("design = 'spiral'\nsweep = [{setting='x', values=[1]}]")
    with pytest.raises(ScenarioError, match=r"sweep\.toml: design: Invalid enum value 'spiral'"):
        read_sweep_file(tmp_path / "sweep.toml")
    with pytest.raises(ScenarioError, match="nowhere"):
        read_sweep_file(tmp_path / "nowhere.toml")
