"""A scenario run from its file: blocks given out, written down as they come, taken up again."""

import fcntl
import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from sims.drawdown.blocks import block_count, block_paths
from sims.drawdown.outcome import BlockOutcome
from sims.drawdown.scenario import Scenario
from sims.markets.history import HistoryError
from sims.markets.surfaces import SurfaceError
from sims.runs.digests import code_digest, market_digest
from sims.runs.parts import BEGUN, parts_there, table_of, write_part, write_whole
from sims.runs.results import PARTS, RECORD, Results, read_record, read_results, results_of
from sims.runs.workers import Stop, Threads, Workers, WorkersError, cores
from sims.scenarios.file import ScenarioError, ScenarioFile

_TOLD = {"version": "version", "code": "code", "digest": "scenario", "market": "market"}
"""What has to be the same where a run is taken up, and what it is called."""


class Progress(NamedTuple):
    """How far a run is; blocks that were there before count as done."""

    paths: int
    done: int


Tell = Callable[[Progress], None]


def run(
    file: ScenarioFile,
    data: Path | None = None,
    folder: Path | None = None,
    workers: Workers | None = None,
    tell: Tell = lambda _: None,
    *,
    resume: bool = False,
) -> Results:
    """Run a scenario.

    An interrupt (Ctrl-C) ends the run after the blocks under way; `Results.is_whole` says so. A
    second one drops what is under way; what is in the folder stays valid.

    Args:
        file: The scenario.
        data: Folder of price history, for markets that draw from one.
        folder: Where parts are written as they come, one per block; none: results stay in memory.
        workers: Who runs the blocks; as many threads as there are cores.
        tell: Told after each block.
        resume: Whether a run of the same scenario in the folder is taken up.

    Raises:
        KeyboardInterrupt: Before one block was done.
        ScenarioError: For a scenario that cannot be run, and a folder that has another run.
        sims.runs.workers.WorkersError: Nobody could run some blocks.
    """
    file = file.resolved(data)
    scenario = file.scenario(data)
    record = {
        "version": version("evergamma"),
        "code": code_digest(),
        "digest": file.digest(),
        "market": _market_digest(scenario),
        "scenario": msgspec.to_builtins(file, enc_hook=str),
    }
    with _alone_in(folder):
        there = _begin(folder, record, resume=resume)
        return _run_missing(file, scenario, folder, there, workers or Threads(cores()), tell)


def _run_missing(
    file: ScenarioFile,
    scenario: Scenario,
    folder: Path | None,
    there: set[int],
    workers: Workers,
    tell: Tell,
) -> Results:
    """Run the blocks that are not there."""
    size = block_paths(scenario)
    numbers = [number for number in range(block_count(scenario)) if number not in there]
    done = sum(_paths_of(scenario, number) for number in there)
    tell(Progress(file.paths, done))
    tables: dict[int, pa.Table] = {}
    with _until_interrupted() as is_stopped:
        for outcome in _outcomes(workers, scenario, numbers, is_stopped):
            table = table_of(outcome, tuple(p.token for p in file.pools), outcome.number * size)
            if folder is None:
                tables[outcome.number] = table
            else:
                write_part(folder / PARTS, outcome.number, table)
            done += _paths_of(scenario, outcome.number)
            tell(Progress(file.paths, done))
    if not done:
        raise KeyboardInterrupt
    if folder is not None:
        return read_results(folder)
    return results_of(file, [tables[number] for number in sorted(tables)])


def _outcomes(
    workers: Workers, scenario: Scenario, numbers: list[int], stop: Stop
) -> Iterator[BlockOutcome]:
    try:
        yield from workers.outcomes(scenario, numbers, stop)
    except MemoryError as error:  # a path that needs more rows than any should
        raise WorkersError(str(error) or "out of memory") from None
    except (HistoryError, SurfaceError) as error:  # where the workers are it is another one
        raise WorkersError(f"market: {error}") from None


def _paths_of(scenario: Scenario, number: int) -> int:
    size = block_paths(scenario)
    return max(min(size, scenario.paths - number * size), 0)


def _market_digest(scenario: Scenario) -> str:
    """Return what the market is told by.

    Raises:
        ScenarioError: For a market that cannot be drawn.
    """
    try:
        return market_digest(scenario)
    except (HistoryError, SurfaceError, ValueError, KeyError) as error:
        raise ScenarioError(f"market: {error}") from None


@contextmanager
def _alone_in(folder: Path | None) -> Iterator[None]:
    """Keep others out of the folder of a run; the system lets go of it with the process.

    Raises:
        ScenarioError: Somebody is in it.
    """
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".run{BEGUN}").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ScenarioError(f"{folder}: another process is running this") from None
        yield


def _begin(folder: Path | None, record: dict[str, Any], *, resume: bool) -> set[int]:
    """Make ready the folder of a run; returns the blocks that are there.

    What is told of a run taken up, its claims among it, is what its scenario says now.
    """
    if folder is None:
        return set()
    if (folder / RECORD).exists():
        if not resume:
            raise ScenarioError(f"{folder}: a run is there; resume it, or name another folder")
        found = read_record(folder)
        for told, name in _TOLD.items():
            if found.get(told) != record[told]:
                raise ScenarioError(f"{folder}: the run there is of another {name}")
    elif folder.exists() and any(each.suffix != BEGUN for each in folder.iterdir()):
        raise ScenarioError(f"{folder}: is not empty, and no run is there")
    # The record comes first: a folder left by a crash is then either empty or a run.
    write_whole(folder / RECORD, json.dumps(record, indent=1).encode() + b"\n")
    (folder / PARTS).mkdir(exist_ok=True)
    return parts_there(folder / PARTS)


@contextmanager
def _until_interrupted() -> Iterator[Callable[[], bool]]:
    """Tell whether an interrupt came; the second one is not waited for."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped.is_set
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(number: int, frame: Any) -> None:
        del number, frame
        stopped.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield stopped.is_set
    finally:
        signal.signal(signal.SIGINT, before)
