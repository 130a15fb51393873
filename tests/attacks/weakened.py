"""An attack against rules in which one thing was weakened: it has to pay there.

The packages of the rules are copied, a piece of their source is replaced, and the attack runs in a
process of its own with the copy in place of the rules, interpreted.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("amm", "vaults", "tests/vaults", "tests/attacks")
SCRIPT = """
import importlib, json, sys
import vaults
assert vaults.__file__.startswith(sys.argv[1])
attack = getattr(importlib.import_module("tests.attacks." + sys.argv[2]), sys.argv[3])
print(json.dumps(int(attack(*json.loads(sys.argv[4])))))
"""


class Weakening(NamedTuple):
    """In `path`, the one place that reads `before` reads `after`."""

    path: str
    before: str
    after: str


def _weaken(checkout: Path, weakening: Weakening) -> None:
    path = checkout / weakening.path
    text = path.read_text()
    assert text.count(weakening.before) == 1, weakening
    path.write_text(text.replace(weakening.before, weakening.after))


def profit_against(weakenings: list[Weakening], module: str, attack: str, *inputs: Any) -> int:
    """Return what an attack, a function of a module beside this one, gains in base units."""
    with TemporaryDirectory() as folder:
        checkout = Path(folder).resolve()
        for name in COPIED:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, checkout / name, ignore=ignored)
        for weakening in weakenings:
            _weaken(checkout, weakening)
        command = [sys.executable, "-c", SCRIPT, str(checkout), module, attack, json.dumps(inputs)]
        environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(checkout)}
        done = subprocess.run(  # noqa: S603 - our own interpreter and script
            command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return int(json.loads(done.stdout))
