"""Machine code of kernels is made once for all processes of a machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.compiled

_ASK = """
from amm.normal import normal_cdf
normal_cdf(0.5)
print(sum(normal_cdf.stats.cache_misses.values()))
"""


def test_processes_that_start_together_compile_once(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    asking = [
        subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", _ASK], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    misses = [int(each.communicate(timeout=300)[0]) for each in asking]
    assert sum(misses) == 1
