"""A batch on SQLite, while others write to the file too."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from api.storage.store import open_store
from api.storage.writes import Writes, upsert
from api.tables import SETTINGS


def test_a_turn_is_waited_for_in_the_thread(tmp_path: Path) -> None:
    """Somebody makes a key just now: nothing waits for it where requests are answered."""
    path = tmp_path / "exchange.sqlite"
    store = open_store(path)
    writes: Writes = []
    upsert(writes, SETTINGS, [{"name": "turn", "value": "mine"}])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        commit = store.stage(writes)
        assert store.may_wait
        with ThreadPoolExecutor(1) as thread:
            written = thread.submit(commit)
            other.execute("COMMIT")
            written.result(30)
    assert store.setting("turn") == "mine"
    store.stage(writes)()
    assert not store.may_wait
    store.close()
