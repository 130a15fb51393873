"""Whoever runs the blocks, and however often they are lost, the results are the same."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sims.drawdown.outcome import DAILY, TOTALS
from sims.runs.parts import parts_there
from sims.runs.results import PARTS, RECORD, Results, read_results
from sims.runs.run import Progress, run
from sims.runs.workers import Dask, Processes, Threads, Workers, WorkersError
from sims.scenarios.file import ScenarioError, ScenarioFile, scenario_of
from sims.stress.verdicts import check_claims

pytestmark = pytest.mark.compiled

FILE = scenario_of(
    {
        "name": "short",
        "days": 1,
        "paths": 600,
        "pools": [{"token": "TSLA.M", "stock": "TSLA"}, {"token": "CRCL.M", "main": 500}],
        "buyers": {"orders_per_day": 40, "holding_days": 0.2},
    }
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenario by one thread, in a folder that stays as it is."""
    folder = tmp_path_factory.mktemp("written")
    run(FILE, folder=folder, workers=Threads(1))
    return folder


@pytest.fixture
def alone(written: Path) -> Results:
    """What one thread found."""
    return read_results(written)


@pytest.fixture
def begun(written: Path, tmp_path: Path) -> Path:
    """A copy of its folder, to go on in."""
    return Path(shutil.copytree(written, tmp_path / "begun"))


def _are_equal(one: Results, other: Results) -> bool:
    totals = all(
        np.array_equal(one.total(name, pool), other.total(name, pool))
        for pool in range(len(FILE.pools))
        for name in TOTALS
    )
    daily = all(np.array_equal(one.daily(name, 1), other.daily(name, 1)) for name in DAILY)
    numbers = np.array_equal(one.numbers, other.numbers)
    return totals and daily and numbers and np.array_equal(one.weights, other.weights)


def _kill_a_child(progress: Progress) -> None:
    """Kill one of this process's processes once the first block is there."""
    if 0 < progress.done < progress.paths and not _killed:
        child = multiprocessing.active_children()[0]
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        _killed.append(child.pid)


_killed: list[int] = []


def test_a_run_has_a_row_of_every_path_and_pool(alone: Results) -> None:
    assert alone.is_whole
    assert alone.numbers.tolist() == list(range(600))
    assert alone.total("drawdown", 0).shape == (600,)
    assert alone.daily("share_price", 1).shape == (600, 2)
    assert not np.array_equal(alone.total("drawdown", 0), alone.total("drawdown", 1))
    assert alone.total("trades").min() > 0.0


@pytest.mark.parametrize(
    "workers", [Threads(2), Processes(2), Dask(None, 2)], ids=lambda who: type(who).__name__
)
def test_nobody_can_tell_who_ran_the_blocks(
    alone: Results, workers: Workers, tmp_path: Path
) -> None:
    """Processes and workers of the cluster lose one of them while they run."""
    _killed.clear()
    tell = (lambda _: None) if isinstance(workers, Threads) else _kill_a_child
    found = run(FILE, folder=tmp_path, workers=workers, tell=tell)
    assert bool(_killed) != isinstance(workers, Threads)
    assert _are_equal(alone, found)


def test_an_address_where_nobody_answers_is_told() -> None:
    with pytest.raises(WorkersError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        run(FILE, workers=Dask("tcp://127.0.0.1:9", 2))


def test_a_run_is_taken_up_where_it_was_left(alone: Results, begun: Path) -> None:
    left = sorted((begun / PARTS).iterdir())
    left[1].unlink()
    (begun / PARTS / ".part-00000001.parquet.begun").write_bytes(b"half")
    before = left[0].stat().st_mtime_ns
    assert not read_results(begun).is_whole
    told: list[Progress] = []
    found = run(FILE, folder=begun, tell=told.append, resume=True)
    assert told[0] == Progress(600, 344)
    assert left[0].stat().st_mtime_ns == before
    assert _are_equal(alone, found)
    assert _are_equal(alone, read_results(begun))


@pytest.mark.parametrize(
    ("file", "resume", "said"),
    [
        (FILE, False, "a run is there; resume it"),
        (FILE.with_settings({"seed": 2}), True, "the run there is of another scenario"),
    ],
)
def test_no_run_is_written_over_another(
    file: ScenarioFile, resume: bool, said: str, begun: Path
) -> None:
    with pytest.raises(ScenarioError, match=said):
        run(file, folder=begun, resume=resume)


def test_a_run_taken_up_is_judged_by_what_its_file_claims_now(begun: Path) -> None:
    claim = {"says": "nobody trades", "figure": "trades", "at_most": 0}
    file = FILE.with_settings({"description": "asked again", "claims": [claim]})
    assert run(file, folder=begun, resume=True).file == file
    assert read_results(begun).file == file
    assert not any(verdict.holds for verdict in check_claims(read_results(begun)))


def test_a_crash_before_the_first_block_leaves_a_folder_that_can_be_used(tmp_path: Path) -> None:
    (tmp_path / f".{RECORD}.begun").write_bytes(b"half")
    assert run(FILE.with_settings({"paths": 2}), folder=tmp_path).is_whole


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", "utf-8")
    with pytest.raises(ScenarioError, match="is not empty, and no run is there"):
        run(FILE, folder=tmp_path, resume=True)
    with pytest.raises(ScenarioError, match="no run is there"):
        read_results(tmp_path)


def test_a_damaged_part_is_named(begun: Path, alone: Results) -> None:
    part = begun / PARTS / "part-00000001.parquet"
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(ScenarioError, match=r"part-00000001\.parquet: is damaged; remove it"):
        run(FILE, folder=begun, resume=True)
    part.unlink()
    assert _are_equal(alone, run(FILE, folder=begun, resume=True))


def test_two_do_not_run_the_same_at_once(begun: Path) -> None:
    (begun / PARTS / "part-00000001.parquet").unlink()

    def run_too(_: Progress) -> None:
        with pytest.raises(ScenarioError, match="another process is running this"):
            run(FILE, folder=begun, resume=True)
        told.append(True)

    told: list[bool] = []
    assert run(FILE, folder=begun, tell=run_too, resume=True).is_whole
    assert told


def test_an_interrupt_leaves_what_is_done(tmp_path: Path) -> None:
    """The command ends after the blocks under way, says so, and goes on when told to."""
    command = [sys.executable, "-m", "api", "simulate", "run", "default", "--threads", "1"]
    command += ["--set", "days=2", "--paths", "25600", "--output", str(tmp_path)]
    parts = tmp_path / PARTS
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        while process.poll() is None and not (parts.is_dir() and parts_there(parts)):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 130
    found = read_results(tmp_path)
    assert 0 < found.paths < 25_600
    assert f"{found.paths:,} of 25,600 paths: go on with --resume" in said
    assert found.numbers.tolist() == list(range(found.paths))
