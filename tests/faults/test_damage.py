"""A damaged database: the start says so in one line, and changes nothing."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from amm.units import MINUTE_MS
from api.exchange import Exchange
from api.recovery import check_database
from api.storage.errors import StoreError
from api.storage.store import open_store
from tests.api.conftest import START_MS, Call, call, prepare, tick

__all__ = ["call"]
PAGE_BYTES = 4_096


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with rows of record 7, and records up to 15."""
    path = tmp_path_factory.mktemp("sound") / "exchange.sqlite"
    with closing(open_store(path)) as store:
        exchange = Exchange(store)
        prepare(exchange)
        exchange.checkpoint()
        assert exchange.journal_length == 7
        for minute in range(2, 6):
            tick(exchange, START_MS + minute * MINUTE_MS)
        exchange.commit()
    return path


@pytest.fixture
def database(sound: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(sound, tmp_path))


DAMAGES = {
    "UPDATE journal SET moves = x'00' WHERE sequence = 10": "record 10 does not match its digest",
    "DELETE FROM journal WHERE sequence = 10": "record 10 is missing",
    "DELETE FROM journal WHERE sequence > 11": "the journal ends at record 11",
    "DELETE FROM journal WHERE sequence > 6": "record 7 is missing, of which there are rows",
    "UPDATE token SET listing = x'c1'": "the state cannot be read",
}
"""What is done to it, and what is said."""


def contents(path: Path) -> list[str]:
    """Return everything in a database."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_start_on_damaged_rows_or_records_is_refused(database: Path, damage: str) -> None:
    """Whatever the writer would begin with must be what it once wrote."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(damage)
    before = contents(database)
    with closing(open_store(database)) as store:
        with pytest.raises(StoreError, match=DAMAGES[damage]) as refused:
            Exchange(store)
        assert "\n" not in str(refused.value)
    assert contents(database) == before


def test_rows_that_were_changed_are_found_by_the_check(database: Path) -> None:
    """A start takes them as they are; the journal knows better."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE pool SET custody = custody + 1")
    with closing(open_store(database)) as store:
        assert check_database(store).faults == ["state of TSLA.M"]


def test_the_command_line_tells_it_in_one_line(database: Path, call: Call) -> None:
    """Of pages that are torn; the file stays as it is."""
    pages = database.stat().st_size // PAGE_BYTES
    with database.open("r+b") as file:
        for page in range(2, pages):
            file.seek(page * PAGE_BYTES)
            file.write(bytes(64))
    before = database.read_bytes()
    for command in (("serve", "--port", "0", "--database"), ("db", "check")):
        status, output, errors = call(*command, database)
        assert (status, output) == (2, "")
        assert "Traceback" not in errors
        told = [line for line in errors.splitlines() if "compiling" not in line]
        assert len(told) == 1, errors
    assert database.read_bytes() == before
