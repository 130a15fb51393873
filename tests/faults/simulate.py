"""Deterministic fault simulation: lives of an exchange, with faults at any boundary, and restarts.

A life is a series of commands on one database; now and then the writer dies, or the database
fails, at a boundary that the seed chooses. Then a new exchange is started on what is left, and
everything is looked at before it goes on. The real exchange and the real store run throughout.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import NamedTuple

from api import checkpoint
from tests.faults.alone import LifeAlone
from tests.faults.callers import LifeServed
from tests.faults.databases import DATABASES
from tests.faults.life import Life

RECORDS_MAX = 40
"""Records after which a commit saves the rows too: often, here."""
CRASHES_MAX = 30
"""Crashes of one life; then another begins."""
KINDS = {"alone": LifeAlone, "served": LifeServed}
"""Lives of an exchange on its own, and of one behind a service with many callers."""


class Plan(NamedTuple):
    """What is simulated: the same plan gives the same run.

    `first` is the life it begins with; `kind` one of `KINDS`, or empty for each in turn;
    `database` one of `DATABASES`.
    """

    crashes: int
    seed: int
    first: int = 0
    kind: str = ""
    database: str = "sqlite"


class Run(NamedTuple):
    """What has happened, and a digest of all journals that came of it."""

    tally: Counter[str]
    digest: str


@contextmanager
def often_saved() -> Iterator[None]:
    """Let the rows be saved with every few commits, not after thousands of records."""
    usual = checkpoint.RECORDS_MAX
    checkpoint.RECORDS_MAX = RECORDS_MAX
    try:
        yield
    finally:
        checkpoint.RECORDS_MAX = usual


def simulate(
    plan: Plan, folder: Path, progress: Callable[[Counter[str]], None] = lambda _tally: None
) -> Run:
    """Run lives until there were so many crashes; return what has happened.

    Raises:
        BrokenPromiseError: Something was lost, done twice, or does not add up; the command that
            lives the same life again is on standard error.
    """
    tally, digest = Counter[str](), sha256()
    kinds = [plan.kind] if plan.kind else list(KINDS)
    with often_saved():
        for number in count(plan.first):
            crashes = min(CRASHES_MAX, plan.crashes - tally["crashes"])
            if crashes <= 0:
                return Run(tally, digest.hexdigest()[:16])
            kind = kinds[number % len(kinds)]
            try:
                life = _live(plan, kind, number, crashes, folder / str(number))
            except BaseException:
                again = (
                    f"--database {plan.database} --seed {plan.seed} --life {number} --kind {kind}"
                )
                print("python -m tests.faults simulate --crashes", crashes, again, file=sys.stderr)  # noqa: T201
                raise
            tally += life.tally
            digest.update(life.witness.digest)
            progress(tally)
    raise AssertionError  # lives are without end


def _live(plan: Plan, kind: str, number: int, crashes: int, folder: Path) -> Life:
    """Live one life, and remove what it leaves."""
    with closing(DATABASES[plan.database](folder / "database")) as database:
        life = KINDS[kind](f"{plan.seed}/{number}", database, folder / "twin")
        with closing(life):
            life.run(crashes)
    return life
