"""Who runs the blocks: threads, processes, or workers of a Dask cluster.

A block depends on its scenario and number only, so nobody can tell afterwards who ran it. A block
that was lost with its worker is run again.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from sims.drawdown.blocks import run_block
from sims.drawdown.outcome import BlockOutcome
from sims.drawdown.scenario import Scenario
from sims.runs.digests import code_digest, market_digest

LOSSES_MAX = 3
"""A block that was lost so often is given up: it is what its workers die of."""
Stop = Callable[[], bool]


class WorkersError(RuntimeError):
    """Blocks that nobody could run; the message says why."""


class Workers(Protocol):
    """Who runs blocks."""

    def outcomes(
        self, scenario: Scenario, numbers: Iterable[int], stop: Stop
    ) -> Iterator[BlockOutcome]:
        """Return blocks as they are done; none is begun once `stop` says so."""
        ...


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _follow(
    submit: Callable[[int], Any],
    wait: Callable[[set[Any]], Any],
    numbers: Iterator[int],
    at_once: Callable[[], int],
    stop: Stop,
) -> Iterator[Any]:
    """Keep some blocks under way, and return each future when it is done."""
    pending: set[Any] = set()
    while True:
        most = at_once()
        while len(pending) < most and not stop():
            number = next(numbers, None)
            if number is None:
                break
            pending.add(submit(number))
        if not pending:
            return
        done, pending = wait(pending)
        yield from done


def _wait(pending: set[Future[BlockOutcome]]) -> tuple[Any, Any]:
    return tuple(wait_for(pending, return_when=FIRST_COMPLETED))  # type: ignore[return-value]


@dataclass(frozen=True)
class Threads:
    """Threads of this process; the kernels leave the interpreter's lock."""

    count: int

    def outcomes(
        self, scenario: Scenario, numbers: Iterable[int], stop: Stop
    ) -> Iterator[BlockOutcome]:
        """Return blocks as they are done."""
        with ThreadPoolExecutor(self.count) as pool:
            submit = lambda number: pool.submit(run_block, scenario, number)  # noqa: E731
            for future in _follow(submit, _wait, iter(numbers), lambda: self.count + 1, stop):
                yield future.result()


_scenario: list[Scenario] = []


def _begin_process(scenario: Scenario) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the process that gives out blocks
    _scenario[:] = [scenario]


def _run_in_process(number: int) -> BlockOutcome:
    return run_block(_scenario[0], number)


@dataclass(frozen=True)
class Processes:
    """Processes of this machine."""

    count: int

    def outcomes(
        self, scenario: Scenario, numbers: Iterable[int], stop: Stop
    ) -> Iterator[BlockOutcome]:
        """Return blocks as they are done.

        Raises:
            WorkersError: Processes died again and again.
        """
        left = dict.fromkeys(numbers)
        losses = 0
        while left and not stop():
            before = len(left)
            with suppress(BrokenProcessPool):
                for outcome in self._until_broken(scenario, list(left), stop):
                    del left[outcome.number]
                    yield outcome
                continue
            losses = losses + 1 if len(left) == before else 0
            if losses == LOSSES_MAX:
                raise WorkersError(f"processes died {LOSSES_MAX} times: out of memory?")

    def _until_broken(
        self, scenario: Scenario, numbers: list[int], stop: Stop
    ) -> Iterator[BlockOutcome]:
        with ProcessPoolExecutor(
            self.count,
            multiprocessing.get_context("spawn"),
            initializer=_begin_process,
            initargs=(scenario,),
        ) as pool:
            submit = lambda number: pool.submit(_run_in_process, number)  # noqa: E731
            for future in _follow(submit, _wait, iter(numbers), lambda: self.count + 1, stop):
                yield future.result()


_alike: set[tuple[str, str]] = set()


def _run_alike(scenario: Scenario, number: int, told: tuple[str, str]) -> BlockOutcome:
    """Run a block where code and market are what they are where the blocks are given out.

    Raises:
        WorkersError: They are not.
    """
    if told not in _alike:
        if code_digest() != told[0]:
            raise WorkersError("a worker has another version of the code")
        if market_digest(scenario) != told[1]:
            raise WorkersError("a worker draws another market: other price history, or processor")
        _alike.add(told)
    return run_block(scenario, number)


@dataclass(frozen=True)
class Dask:
    """Workers of a Dask cluster; needs the extra `cluster`.

    Attributes:
        address: Of its scheduler; none starts a cluster of `count` processes here.
        count: How many of those.
    """

    address: str | None
    count: int

    def outcomes(
        self, scenario: Scenario, numbers: Iterable[int], stop: Stop
    ) -> Iterator[BlockOutcome]:
        """Return blocks as they are done.

        Raises:
            WorkersError: The cluster cannot be reached, lost a block again and again, or has a
                worker with other code or price history.
        """
        try:
            import distributed  # noqa: PLC0415 - slow to load, and an extra
        except ImportError:
            raise WorkersError('install the extra for clusters: "evergamma[cluster]"') from None
        with _client(distributed, self.address, self.count) as client:
            wait: Any = lambda pending: distributed.wait(  # type: ignore[no-untyped-call]  # noqa: E731
                list(pending), return_when="FIRST_COMPLETED"
            )
            told = code_digest(), market_digest(scenario)
            submit = lambda number: client.submit(  # noqa: E731
                _run_alike, scenario, number, told, pure=False
            )
            # Two for each thread there is now: workers may join while blocks are run.
            at_once = lambda: 2 * max(sum(client.nthreads().values()), self.count)  # noqa: E731
            try:
                for future in _follow(submit, wait, iter(numbers), at_once, stop):
                    yield future.result()
            except distributed.scheduler.KilledWorker as error:
                raise WorkersError(f"workers died again and again: {error}") from None
            except (OSError, CancelledError) as error:
                raise WorkersError(f"the Dask cluster failed: {error!r}") from None


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Let processes begun meanwhile not hear an interrupt: it is for the one that began them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _client(distributed: Any, address: str | None, count: int) -> Iterator[Any]:
    """Connect to a cluster; one that is begun here ends with it."""
    with ExitStack() as stack:
        if address is None:
            with _deaf_children():
                cluster = distributed.LocalCluster(
                    n_workers=count,
                    threads_per_worker=1,
                    dashboard_address=None,
                    host="127.0.0.1",
                    silence_logs=logging.CRITICAL,
                )
            address = stack.enter_context(cluster).scheduler_address
        try:
            client = distributed.Client(address, timeout="10s")
        except (OSError, TimeoutError, ValueError) as error:
            message = f"no Dask scheduler answers at {address}: {error}"
            raise WorkersError(message) from None
        yield stack.enter_context(client)
