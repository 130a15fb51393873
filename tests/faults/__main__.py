"""Make faults, by the thousand: `python -m tests.faults simulate --crashes 10000 --seed 1`."""

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from api.storage.url import DatabaseUrl
from tests.api.databases import postgresql_database
from tests.faults.databases import DATABASES
from tests.faults.kill import kill_again_and_again
from tests.faults.power import cut_power
from tests.faults.simulate import KINDS, Plan, simulate


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    made = commands.add_parser("simulate", help="crash at every boundary, and start again")
    made.add_argument("--crashes", type=int, default=10_000)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--database", choices=tuple(DATABASES), default="sqlite")
    made.add_argument("--life", type=int, default=0, help="the first one")
    made.add_argument("--kind", choices=tuple(KINDS), default="", help="else each in turn")
    made.set_defaults(run=_simulate)
    made = commands.add_parser("power", help="cut the power of SQLite, and recover")
    made.add_argument("--images", type=int, default=5_000)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--synchronous", choices=("FULL", "NORMAL", "OFF"), default="FULL")
    made.set_defaults(run=_cut_power)
    made = commands.add_parser("kill", help="kill -9 a real server under load, and verify")
    made.add_argument("--runs", type=int, default=20)
    made.add_argument("--database", default="sqlite", help="sqlite, postgresql, or an empty one")
    made.set_defaults(run=_kill)
    return parser


def _kill(asked: argparse.Namespace) -> None:
    begun, acknowledged, unanswered = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        database = None
        if asked.database == "postgresql":
            database = stack.enter_context(postgresql_database())
        elif asked.database != "sqlite":
            database = DatabaseUrl.parse(asked.database)
        for number, found in enumerate(
            kill_again_and_again(Path(folder), asked.runs, database), start=1
        ):
            print(
                f"{number} of {asked.runs}: {found.acknowledged} acknowledged, all there,", end=" "
            )
            print(f"{found.unanswered} unanswered, done once when sent again", flush=True)
            acknowledged += found.acknowledged
            unanswered += found.unanswered
    print(f"{acknowledged:,} acknowledged, 0 lost; {unanswered} sent again, 0 done twice;")
    print("invariants hold, and the journal rebuilds the rows. ", end="")
    print(f"{time.monotonic() - begun:.0f} s")


def _cut_power(asked: argparse.Namespace) -> None:
    begun, lost, found = time.monotonic(), 0, set[int]()
    with tempfile.TemporaryDirectory() as folder:
        for each in cut_power(asked.images, asked.seed, Path(folder), asked.synchronous):
            lost += each.found < each.promised
            found.add(each.found)
    print(f"{asked.images:,} images, {len(found)} different journals; in all the chain is whole,")
    print(f"the rows are what the journal rebuilds, and the exchange goes on; {lost} of them lack")
    print(f"something acknowledged. {time.monotonic() - begun:.0f} s")
    sys.exit(lost > 0)


def _simulate(asked: argparse.Namespace) -> None:
    logging.disable(logging.CRITICAL)  # what fails here was made to
    begun = time.monotonic()
    plan = Plan(asked.crashes, asked.seed, asked.life, asked.kind, asked.database)

    def progress(tally: Counter[str]) -> None:
        print(f"\r{tally['crashes']} crashes", end="", file=sys.stderr)

    with tempfile.TemporaryDirectory() as folder:
        tally, digest = simulate(plan, Path(folder), progress)
    print(file=sys.stderr)
    for words, number in sorted(tally.items()):
        print(f"{number:>8,} {words}")
    print(f"digest of all journals: {digest}")
    print(f"in {time.monotonic() - begun:.0f} s; nothing was lost or done twice, and all adds up")


def main() -> None:
    """Do as asked."""
    asked = _parser().parse_args()
    asked.run(asked)


if __name__ == "__main__":
    main()
