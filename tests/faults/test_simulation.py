"""Crashes at every boundary of a write: nothing acknowledged is lost, nothing is done twice."""

from pathlib import Path

import pytest

from api.dispatch import Executed
from tests.faults.alone import LifeAlone
from tests.faults.boundaries import Boundary
from tests.faults.databases import DATABASES
from tests.faults.simulate import KINDS, Plan, simulate
from tests.faults.traffic import Asked
from tests.faults.witness import BrokenPromiseError

pytestmark = pytest.mark.compiled
CRASHES = {"sqlite": 60, "postgresql": 20}
"""More of them: `python -m tests.faults simulate --crashes 10000 --seed 1`."""


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_crash_loses_what_was_acknowledged_or_does_it_twice(
    tmp_path: Path, kind: str, database: str
) -> None:
    """At each boundary, in the recovery too; whatever was answered stays answered."""
    plan = Plan(CRASHES[database], seed=6, kind=kind, database=database)
    tally, _ = simulate(plan, tmp_path)
    assert tally["crashes"] >= CRASHES[database]
    if database == "sqlite":  # on a server fewer, for each start takes its time
        assert all(tally[f"crash {boundary}"] for boundary in Boundary), tally
        assert tally["failures"] > 0


def test_the_same_seed_is_the_same_run(tmp_path: Path) -> None:
    """To the last byte of every journal; another seed is another run."""
    first, again, other = (
        simulate(Plan(4, seed), tmp_path / str(n)) for n, seed in enumerate((3, 3, 4))
    )
    assert first == again
    assert first.digest != other.digest


def test_an_exchange_that_answers_too_early_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Were answers given before their commit, the simulation would say so, and how to see it."""

    class Hasty(LifeAlone):
        def send(self, asked: Asked) -> Executed:
            executed = super().send(asked)
            self.witness.acknowledge(asked[0], executed)
            return executed

    monkeypatch.setitem(KINDS, "alone", Hasty)
    with pytest.raises(BrokenPromiseError):
        simulate(Plan(30, seed=6, kind="alone"), tmp_path)
    assert "--seed 6 --life 0 --kind alone" in capsys.readouterr().err
