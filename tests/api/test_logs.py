"""The log: lines machines and people read, and a destination that nobody waits for."""

import json
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from api.logs import WAITING_MAX, Access, Log
from tests.api.http.harness import until

LOG = logging.getLogger("evergamma")
SECRET = "secret"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where the lines of a log are."""
    return tmp_path / "log"


def written(place: Path, log_format: Any = "json", level: Any = "info") -> Log:
    number = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    return Log(log_format, level, number)


def events(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.read_text().splitlines()]


def test_an_event_is_a_line_with_its_fields(place: Path) -> None:
    with written(place):
        LOG.warning("refused %s", "it", extra={"request_id": "r1", "code": "KEY_UNKNOWN"})
        logging.getLogger("asyncio").error("two\nlines")
        LOG.debug("nobody asked")
    first, second = events(place)
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "warning",
        "logger": "evergamma",
        "event": "refused it",
        "request_id": "r1",
        "code": "KEY_UNKNOWN",
    }
    assert (second["logger"], second["event"]) == ("asyncio", "two\nlines")


def test_an_exception_is_a_field_with_its_traceback(place: Path) -> None:
    """What a database was given is not in it."""
    engine = create_engine("sqlite://")
    with written(place):
        try:
            with engine.connect() as connection:
                connection.execute(text("INSERT INTO none VALUES (:x)"), {"x": "the " + SECRET})
        except SQLAlchemyError as error:
            LOG.exception("lost")
            LOG.exception("lost", exc_info=Exception("wrapped as the service does", error))
    engine.dispose()
    for event in events(place):
        assert "the " + SECRET not in event["exception"]
    assert "no such table: none" in events(place)[0]["exception"]
    assert "Traceback" in events(place)[0]["exception"]


def test_for_people_a_line_is_text(place: Path) -> None:
    with written(place, "text") as log:
        LOG.error("fault", extra={"request_id": "r1"}, exc_info=ValueError("bad"))
        log.access(Access("GET", "/v1/time", 200, 0.4, "", "", "r2"))
    first, exception, second = place.read_text().splitlines()
    assert first.endswith("error   fault request_id=r1")
    assert exception == "ValueError: bad"
    assert second.endswith("request method=GET route=/v1/time status=200 ms=0.4 request_id=r2")


def test_warnings_and_failed_threads_are_logged(place: Path) -> None:
    with written(place):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            warnings.warn("mind that", stacklevel=1)
        thread = threading.Thread(target=lambda: 1 // 0)
        thread.start()
        thread.join()
    warned, failed = events(place)
    assert "mind that" in warned["event"]
    assert "ZeroDivisionError" in failed["exception"]


def test_whoever_logs_does_not_wait_for_a_blocked_destination() -> None:
    """What is too much is dropped, counted, and told once lines flow again."""
    read, write = os.pipe()
    log = Log("json", "info", write)
    more = WAITING_MAX + 5_000
    with log:
        for number in range(more):
            LOG.info("event", extra={"number": number + 1})
        assert log.dropped > 0
        with open(read) as lines:  # noqa: PTH123
            told, numbers = 0, []
            while told < log.dropped or not numbers:  # others may have lines too
                event = json.loads(lines.readline())
                told += event.get("lines", 0)
                numbers += [event["number"]] if "number" in event else []
            dropped = log.dropped
    assert told == dropped < more
    assert numbers == list(range(1, len(numbers) + 1))
    os.close(write)


def test_a_full_disk_drops_lines_and_nothing_else() -> None:
    number = os.open("/dev/full", os.O_WRONLY)
    with Log("json", "info", number) as log:
        LOG.info("event")
        until(lambda: log.dropped >= 1)  # others may have lines too
    os.close(number)


def test_the_logging_of_others_is_left_as_it_was(place: Path) -> None:
    before = logging.getLogger().handlers, logging.getLogger().level, threading.excepthook
    with written(place), closing(os.fdopen(os.dup(2))):
        pass
    assert (logging.getLogger().handlers, logging.getLogger().level, threading.excepthook) == before
