"""`kill -9` of the real server under load: nothing acknowledged is lost, nothing is done twice."""

from pathlib import Path

import pytest

from tests.benchmarks.kill import CONNECTIONS, kill_once

TIMES = 5
"""More of them: `python -m tests.benchmarks.kill --times 20`."""


@pytest.mark.parametrize("seed", range(TIMES))
def test_a_killed_server_has_lost_nothing_and_does_nothing_twice(tmp_path: Path, seed: int) -> None:
    found = kill_once(tmp_path, seed)
    assert found.acknowledged > CONNECTIONS, "there was hardly any load"
    assert found.unanswered > 0, "the server was killed while nobody asked for anything"
