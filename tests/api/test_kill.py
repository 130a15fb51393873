"""`kill -9` of the real server under load: nothing acknowledged is lost, nothing is done twice."""

from pathlib import Path

import pytest

from api.storage.url import DatabaseUrl
from tests.faults.kill import CONNECTIONS, kill_again_and_again

TIMES = 1
"""More of them: `python -m tests.faults kill --runs 20`."""

pytestmark = pytest.mark.databases


def test_a_killed_server_has_lost_nothing_and_does_nothing_twice(
    database: DatabaseUrl, tmp_path: Path
) -> None:
    kills = list(kill_again_and_again(tmp_path, TIMES, database))
    assert len(kills) == TIMES
    assert all(found.acknowledged >= CONNECTIONS for found in kills), "there was hardly any load"
    assert all(found.unanswered > 0 for found in kills), "nobody asked for anything at a kill"
