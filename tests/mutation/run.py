"""Runs the tests against faults: collected once, then a fork of the process for every fault.

Interpreted, a kernel is a plain function: the fork gives it the faulty code, whoever imported it.
"""

import importlib
import os
import signal
import types
from collections.abc import Callable
from itertools import zip_longest

import pytest

from tests.mutation.mutants import Mutant

FIRST = "tests/vaults/test_pool_arithmetic.py"
POOLS = (FIRST, "tests/vaults/test_crossing.py", "tests/vaults/test_pools.py")
PREMIUM = (FIRST, "tests/vaults/test_premium.py")
"""The quickest first: a fault is done with at its first failure."""
WORKERS = 2
SECONDS = 60
"""A fault that makes a test run for ever is noticed too."""


def tests_of(module: str) -> tuple[str, ...]:
    """Return the files with the tests that concern a module."""
    return PREMIUM if module in {"premium", "effects"} else POOLS


def put_in(mutant: Mutant) -> None:
    """Give the function of this process the faulty code."""
    module = importlib.import_module(f"vaults.{mutant.module}")
    faulty = types.ModuleType(module.__name__)
    exec(compile(mutant.source, f"{mutant.module} with a fault", "exec"), faulty.__dict__)  # noqa: S102
    for name in ("mul_div_down", "mul_div_up", "units_down", "units_up"):
        module.__dict__.setdefault(name, faulty.__dict__[name])
    module.__dict__[mutant.function].__code__ = faulty.__dict__[mutant.function].__code__


class Mutation:
    """The loop of a pytest session: once as the source is, then in a fork for every fault."""

    def __init__(self, mutants: list[Mutant], report: Callable[[Mutant], None]) -> None:
        self.mutants = mutants
        self.report = report
        self.survived: list[Mutant] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try every fault, two at a time; raises where a test fails without one."""
        _run(session, session.items)  # here, not in a fork: benches the tests share are made once
        if session.testsfailed:
            raise pytest.UsageError("a test fails on the source as it is")
        running: dict[int, Mutant] = {}
        for mutant in self.mutants:
            if len(running) == WORKERS:
                self._wait(running)
            running[self._fork(session, mutant)] = mutant
        while running:
            self._wait(running)
        return True

    def _wait(self, running: dict[int, Mutant]) -> None:
        process, status = os.wait()
        mutant = running.pop(process)
        if status == 0:
            self.survived.append(mutant)
            self.report(mutant)

    @staticmethod
    def _fork(session: pytest.Session, mutant: Mutant) -> int:
        """Return the process that runs the tests; its status is 0 where none fails."""
        process = os.fork()
        if process > 0:
            return process
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        signal.alarm(SECONDS)
        status = 1
        try:
            put_in(mutant)
            files = tests_of(mutant.module)
            _run(session, [each for each in session.items if each.nodeid.split("::")[0] in files])
            status = int(session.testsfailed > 0)
        finally:
            os._exit(status)


def _run(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Run tests until one fails."""
    for item, following in zip_longest(items, items[1:]):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return


def survivors(
    mutants: list[Mutant], report: Callable[[Mutant], None], *, quick: bool
) -> list[Mutant]:
    """Return the faults no test notices, reporting each; with the quickest tests alone or all."""
    loop = Mutation(mutants, report)
    files = [FIRST] if quick else [*POOLS, PREMIUM[1]]
    status = pytest.main(["-q", "-s", "--no-header", "--no-summary", *files], plugins=[loop])
    if status not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        raise RuntimeError(f"pytest could not run the tests: {status!r}")
    return sorted(loop.survived, key=mutants.index)
