"""Put every fault into the pools and report which no test notices.

`python -m tests.mutation [module ...]` tries all of them, or those of some modules;
`python -m tests.mutation --sample 4` four, spread evenly, with the quickest tests alone.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ["NUMBA_DISABLE_JIT"] = "1"  # before anything imports Numba
os.environ["HYPOTHESIS_PROFILE"] = "interpreted"

from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutants import Mutant, all_mutants
from tests.mutation.run import survivors

ROOT = Path(__file__).resolve().parents[2]


def report(mutant: Mutant) -> None:
    """Name a fault nothing noticed."""
    print(f"survived: vaults/{mutant.module}.py:{mutant.line} {mutant.name}", flush=True)


def main(modules: list[str], sample: int) -> int:
    """Try the faults of some modules, or of all; returns 1 where one is not noticed."""
    begun = time.monotonic()
    known = all_mutants(ROOT)
    mutants = [each for each in known if not modules or each.module in modules]
    tried = [each for each in mutants if each.name not in EQUIVALENT]
    if sample:
        tried = tried[len(tried) // (2 * sample) :: len(tried) // sample][:sample]
    survived = survivors(tried, report, quick=sample > 0)
    names = {each.name for each in known}
    stale = [name for name in EQUIVALENT if name not in names]
    for name in stale:
        print(f"no such fault any more: {name}")
    print(
        f"{len(tried) - len(survived)} of {len(tried)} faults caught, "
        f"{len(EQUIVALENT)} equivalent, {time.monotonic() - begun:.0f} s"
    )
    return int(bool(survived or stale))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--sample", type=int, default=0)
    arguments = parser.parse_args()
    sys.exit(main(arguments.modules, arguments.sample))
