"""The faults are what they should be, and a few of them are noticed; all of them by command."""

import subprocess
import sys
from pathlib import Path

from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutants import Target, all_mutants, mutants_of

ROOT = Path(__file__).resolve().parents[2]
SOURCE = '''"""A module."""


def worth(amount: int, supply: int) -> int:
    """Return what it is worth."""
    if amount < supply:
        return 0
    return max(mul_div_up(amount, supply + 1, 3), 0)
'''


def test_every_kind_of_fault_is_made() -> None:
    """A bound, a clamp turned and each side of it dropped, a rounding, the virtual share."""
    faults = list(mutants_of(SOURCE, Target("shares")))
    assert [(each.line, each.after) for each in sorted(faults, key=lambda each: each.line)] == [
        (6, "amount <= supply"),
        (8, "min(mul_div_up(amount, supply + 1, 3), 0)"),
        (8, "(0)"),
        (8, "(mul_div_up(amount, supply + 1, 3))"),
        (8, "mul_div_down(amount, supply + 1, 3)"),
        (8, "(supply)"),
    ]
    for fault in faults:
        compile(fault.source, "fault", "exec")
        changed = set(fault.source.splitlines()) - set(SOURCE.splitlines())
        assert len(changed) == 2  # the fault, and the import it may need


def test_what_counts_as_equivalent_still_exists() -> None:
    """A reason given for a fault that can no longer be made is of no use."""
    faults = all_mutants(ROOT)
    assert len(faults) > 200
    assert set(EQUIVALENT) <= {each.name for each in faults}


def test_a_sample_is_noticed() -> None:
    """Four of them, through the command."""
    command = [sys.executable, "-m", "tests.mutation", "--sample", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 faults caught" in done.stdout
