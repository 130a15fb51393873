"""Paths run again for a report are those of the run; moments are where things happened."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sims.drawdown.trace import Trace
from sims.reports.replays import ReplayError, middle_path, moments_of, traces_of, worst_paths
from sims.reports.step_check import check_step
from sims.reports.write import write_report
from sims.runs.results import RECORD, Results, read_results
from sims.runs.run import run
from sims.runs.workers import Threads
from sims.scenarios.file import ScenarioError
from tests.sims.reports.runs import drawn, file_of
from vaults.condition import Condition

LEGS = [{"hours": 24}, {"hours": 12, "returns": [-0.45, -0.5]}]
CRASH = file_of(
    days=3, paths=6, seed=4, market={"model": "scripted", "legs": LEGS},
    pools=[{"token": "TSLA.M"}], buyers={"orders_per_day": 60.0, "size": 0.02},
)  # fmt: skip


def _trace(price: list[float], **changes: list[float]) -> Trace:
    rows = len(price)
    given = {name: np.array(values) for name, values in changes.items()}
    nothing: dict[str, Any] = {name: np.zeros(rows, dtype=np.int64) for name in Trace._fields}
    return Trace(**(nothing | {"share_price": np.array(price)} | given))


def test_moments_are_where_things_happened() -> None:
    trace = _trace(
        [1.0, 1.1, 0.99, 0.88, 1.0, 1.0],
        cashed_out=[0.0, 0.0, 7.0, 7.0, 12.0, 12.0],
        advances=[0.0, 0.0, 0.0, 50.0, 30.0, 30.0],
        condition=[0, 0, 2, 2, 0, 0],
    )
    told = {(each.row, each.what) for each in moments_of(trace)}
    assert told == {
        (1, "peak before the largest drawdown"),
        (2, "main loses 10.00 % in a step"),
        (3, "main loses 11.11 % in a step"),
        (2, "7.0 tokens paid at the cap"),
        (4, "5.0 tokens paid at the cap"),
        (3, "insurance pays main 50.0 tokens"),
        (2, f"state becomes {Condition.STRESSED.name}"),
        (4, f"state becomes {Condition.NORMAL.name}"),
        (3, "deepest: 20.00 % below the peak"),
    }
    rows = [each.row for each in moments_of(trace)]
    assert rows == sorted(rows)
    assert moments_of(_trace([1.0, 1.0, 1.0])) == ()


def test_the_worst_paths_and_the_middle_one_are_found() -> None:
    results = drawn(file_of(days=15, paths=101), 101)
    drawdown = results.total("drawdown")
    worst = worst_paths(results, 0, 3)
    assert drawdown[worst].tolist() == sorted(drawdown, reverse=True)[:3]
    assert drawdown[middle_path(results, 0)] == np.median(drawdown)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run") / "crash"
    run(CRASH, None, place, Threads(1))
    return place


@pytest.fixture(scope="module")
def crash(folder: Path) -> Results:
    return read_results(folder)


@pytest.mark.compiled
def test_a_report_replays_the_worst_paths_of_a_run(crash: Results, tmp_path: Path) -> None:
    written = write_report(crash, tmp_path, worst=2)
    text = written.page.read_text("utf-8")
    for row in worst_paths(crash, 0, 2):
        depth = 100.0 * crash.total("drawdown")[row]
        assert f"Path {crash.numbers[row]}: largest drawdown {depth:.2f} %" in text
        assert f"deepest: {depth:.2f} % below the peak" in text
    assert "in a step" in text
    parts, profit = written.summary.pools[0].parts, written.summary.pools[0].profit
    amounts = {each.name: each.amount.value for each in parts}
    assert sum(amounts.values()) == pytest.approx(profit.value, rel=1e-9)
    assert amounts["options"] < 0.0 < amounts["premium"]  # puts are worth more after a crash
    names = {path.name for path in tmp_path.glob("*.png")}
    assert {"TSLA.M-losses.png", "TSLA.M-worst-1.png", "TSLA.M-worst-2.png"} <= names


@pytest.mark.compiled
def test_a_run_of_other_paths_is_not_replayed(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    record = json.loads((other / RECORD).read_bytes())
    record["scenario"]["seed"] = CRASH.seed + 1
    (other / RECORD).write_text(json.dumps(record), "utf-8")
    with pytest.raises(ReplayError, match="share price"):
        write_report(read_results(other), tmp_path / "report", worst=1)
    assert not (tmp_path / "report").exists()


@pytest.mark.compiled
def test_shorter_steps_are_run_and_compared(crash: Results) -> None:
    step = check_step(crash, 4, workers=Threads(1))
    assert (step.minutes, step.paths) == (30, 4)
    for each in step.means:
        assert each.change.value == pytest.approx(each.fine.value - each.coarse.value)
        assert each.coarse.error is not None
        assert each.fine.error is not None
        assert each.change.error == pytest.approx(np.hypot(each.coarse.error, each.fine.error))
        assert each.coarse.value == pytest.approx(crash.total(each.name).mean())


def test_a_market_of_bars_has_no_shorter_steps(tmp_path: Path) -> None:
    market = {"model": "bootstrap", "folder": str(tmp_path)}
    results = drawn(file_of(days=15, paths=4, market=market, pools=[{}]), 4)
    with pytest.raises(ScenarioError, match="30 minutes cannot be checked"):
        check_step(results, 4)


@pytest.mark.compiled
def test_a_path_of_two_pools_is_run_once(crash: Results) -> None:
    traces = traces_of(crash)
    assert traces(2) is traces(2)
