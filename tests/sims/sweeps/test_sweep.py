"""Sweeps as they are run: on the same paths, each point once, taken up where they were left."""

import shutil
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from sims.drawdown.outcome import BlockOutcome
from sims.drawdown.scenario import Scenario
from sims.runs.run import run
from sims.runs.workers import Stop, Threads
from sims.scenarios.file import ScenarioError, scenario_of
from sims.sweeps.axes import Axis
from sims.sweeps.design import Settings
from sims.sweeps.figures import FIGURES
from sims.sweeps.findings import frontier_report, sweep_report, tornado_report
from sims.sweeps.points import InterruptedSweepError
from sims.sweeps.suggest import Found, Limit, suggest
from sims.sweeps.sweep import Sweep, pool_number, read_sweep, rows_of, run_sweep

pytestmark = pytest.mark.compiled

FILE = scenario_of(
    {
        "name": "short",
        "days": 2,
        "paths": 64,
        "pools": [{"token": "TSLA.M", "stock": "TSLA", "main": 1_000, "insurance": 100}],
        "buyers": {"orders_per_day": 40, "holding_days": 0.5, "size": 0.02},
    }
)
POINTS: list[Settings] = [{}, {"buyers.size": 0.015}, {"pools.parameters.vol_spread": 0.01}]


class Counted:
    """One thread that remembers how many blocks it was asked for."""

    def __init__(self) -> None:
        self.blocks = 0

    def outcomes(
        self, scenario: Scenario, numbers: Iterable[int], stop: Stop
    ) -> Iterator[BlockOutcome]:
        """Return blocks as they are done."""
        wanted = list(numbers)
        self.blocks += len(wanted)
        return Threads(1).outcomes(scenario, wanted, stop)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that was run; it stays as it is."""
    found = tmp_path_factory.mktemp("sweeps") / "ran"
    run_sweep(FILE, POINTS, found, workers=Threads(1))
    return found


@pytest.fixture
def ran(folder: Path) -> Sweep:
    return read_sweep(folder)


def test_points_are_what_single_runs_are(ran: Sweep) -> None:
    alone = run(FILE.with_settings(POINTS[1]), workers=Threads(1))
    results = ran.results[1]
    assert results is not None
    assert np.array_equal(results.total("main_pnl"), alone.total("main_pnl"))
    assert ran.names == ["buyers.size", "pools.parameters.vol_spread"]


def test_common_paths_make_differences_far_surer(ran: Sweep) -> None:
    base, smaller, wider = rows_of(ran)
    assert base.more["pnl"] == (0.0, 0.0)
    for row in (smaller, wider):
        for name in ("pnl", "drawdown", "utilisation"):
            apart = np.hypot(base.measured[name].estimate.error, row.measured[name].estimate.error)
            assert 0.0 < row.more[name].error < 0.5 * apart
    assert smaller.more["utilisation"].value < -5.0 * smaller.more["utilisation"].error


def test_every_figure_is_a_number(ran: Sweep) -> None:
    for row in rows_of(ran):
        assert row.measured.keys() == row.more.keys() == FIGURES.keys()
        for each in row.measured.values():
            assert np.isfinite(each.estimate).all()
            assert each.pulls.shape == (64,)
            assert abs(each.pulls.sum()) < 1e-12


def test_a_sweep_taken_up_runs_no_point_again_but_new_ones(folder: Path, tmp_path: Path) -> None:
    copy, workers = Path(shutil.copytree(folder, tmp_path / "copy")), Counted()
    again = run_sweep(FILE, POINTS, copy, workers=workers, resume=True)
    assert workers.blocks == 0
    more = [*POINTS, {"buyers.size": 0.02}, {"buyers.size": 0.01}]  # the last but one: as it is
    longer = run_sweep(FILE, more, copy, workers=workers, resume=True)
    assert workers.blocks == 1
    assert rows_of(longer)[3].more["pnl"] == (0.0, 0.0)
    assert len(rows_of(again)) == 3


class Interrupted(Counted):
    """One thread during whose second run somebody interrupts."""

    def outcomes(
        self, scenario: Scenario, numbers: Iterable[int], stop: Stop
    ) -> Iterator[BlockOutcome]:
        """Return blocks as they are done."""
        for outcome in super().outcomes(scenario, numbers, stop):
            if self.blocks == 2:
                signal.raise_signal(signal.SIGINT)
            yield outcome


def test_a_sweep_interrupted_in_the_last_block_of_a_point_ends_there(tmp_path: Path) -> None:
    with pytest.raises(InterruptedSweepError):
        run_sweep(FILE, POINTS, tmp_path, workers=Interrupted())
    begun = read_sweep(tmp_path)
    assert [results is not None for results in begun.results] == [True, True, False]
    assert "1 of 3 points have not been run whole." in sweep_report(begun).sentences
    with pytest.raises(ScenarioError, match="is not empty; resume it"):
        run_sweep(FILE, POINTS, tmp_path)
    workers = Counted()
    run_sweep(FILE, POINTS, tmp_path, workers=workers, resume=True)
    assert workers.blocks == 1


@pytest.mark.parametrize(
    ("file", "point", "said"),
    [
        (FILE, {"buyers.sizes": 1}, "buyers.sizes = 1"),
        (FILE, {"pools.parameters.fee": 0.5}, "fee is 0.5, must be from"),
        (FILE, {"pools.stock": "MOON"}, "the market has no stock MOON"),
        (FILE.with_settings({"paths": 1}), {}, "paths is 1: errors need at least 2"),
    ],
)
def test_bad_settings_leave_nothing_behind(
    file: object, point: Settings, said: str, tmp_path: Path
) -> None:
    assert isinstance(file, type(FILE))
    with pytest.raises(ScenarioError, match=said):
        run_sweep(file, [{}, point], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_folder_of_another_scenario_is_not_taken_up(folder: Path) -> None:
    other = FILE.with_settings({"seed": 2})
    with pytest.raises(ScenarioError, match="the sweep there is of another scenario"):
        run_sweep(other, POINTS, folder, resume=True)
    with pytest.raises(ScenarioError, match="no sweep is there"):
        read_sweep(folder / "points")
    with pytest.raises(ScenarioError, match=r"token NVDA\.M is none of TSLA\.M"):
        pool_number(FILE, "NVDA.M")


def test_reports_say_what_was_measured(ran: Sweep) -> None:
    rows = rows_of(ran)
    found = sweep_report(ran)
    pnl = rows[1].measured["pnl"].estimate
    assert found.content["points"][1]["figures"]["pnl"] == pnl._asdict()
    assert found.content["digest"] == FILE.digest()
    assert [len(each.rows) for each in found.tables] == [3, 2, 3]
    assert found.picture.startswith(b"\x89PNG")
    standing = [place["standing"] for place in frontier_report(ran).content["points"]]
    assert "efficient" in standing
    ends = {"buyers.size": (0.015, 0.02)}
    both = [{}, *({name: at} for name, pair in ends.items() for at in pair)]
    swings = Sweep(FILE, both, [ran.results[0], ran.results[1], ran.results[0]])
    (swing,) = tornado_report(swings).content["tornado"]["pnl"]
    assert (swing["setting"], swing["low"], swing["high"]) == ("buyers.size", 0.015, 0.02)
    assert swing["less"] == rows[1].more["pnl"]._asdict()
    assert swing["more"] == {"value": 0.0, "error": 0.0}


def test_a_search_ends_between_a_value_that_keeps_the_limit_and_one_that_does_not(
    tmp_path: Path,
) -> None:
    axis = Axis("buyers.size", low=0.002, high=0.2, log=True)
    limit, workers = Limit(0.005, 0.2), Counted()
    found = suggest(FILE, axis, limit, tmp_path, workers=workers, halvings=3)
    assert found.found is Found.LARGEST
    assert found.best is not None
    assert found.beyond is not None
    assert found.best.bound <= 0.2 < found.beyond.bound
    assert workers.blocks == len(found.probes) == 5
    again = suggest(FILE, axis, limit, tmp_path, workers=workers, halvings=3, resume=True)
    assert workers.blocks == 5
    assert again == found
