"""The audit trail: rows in the order of what was done, whatever the database is up to."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from api.access.tables import bring_up_to_date
from api.access.trail import GATHER_S, TEXT_MAX, AuditEvent, Trail
from api.storage.engines import access_engine
from api.storage.url import DatabaseUrl
from tests.api.conftest import until


@pytest.fixture
def engine(database: DatabaseUrl) -> Iterator[Engine]:
    """A database with nothing in it yet."""
    made = access_engine(database)
    bring_up_to_date(made)
    yield made
    made.dispose()


def actions(trail: Trail) -> list[str]:
    return [row.action for row in trail.page(None, 100)]


def test_rows_are_read_newest_first(engine: Engine) -> None:
    trail = Trail(engine, {"ann/1": 7}.get)
    trail.append(
        [AuditEvent(n, f"a{n}", "ann" if n % 2 else "bob", record="ann/1") for n in range(5)]
    )
    assert actions(trail) == ["a4", "a3", "a2", "a1", "a0"]
    rows = trail.page(None, 2)
    assert [row.action for row in trail.page(rows[-1].number, 2)] == ["a2", "a1"]
    assert [row.action for row in trail.page(None, 9, "ann")] == ["a3", "a1"]
    assert {row.journal for row in rows} == {7}
    trail.append([AuditEvent(9, "last", record="ann/2")])
    assert trail.page(None, 1)[0].journal is None


def test_what_is_kept_is_written_before_it_goes_on(engine: Engine) -> None:
    """And what was noted before it too; what is noted after is written at the end at the latest."""
    trail = Trail(engine)

    async def do() -> list[str]:
        for number in range(3):
            trail.note(AuditEvent(0, f"noted {number}"))
        await trail.keep(AuditEvent(0, "kept"))
        found = actions(trail)
        trail.note(AuditEvent(0, "late"))
        await trail.stop()
        return found

    assert GATHER_S > 0
    assert asyncio.run(do()) == ["kept", "noted 2", "noted 1", "noted 0"]
    assert actions(trail)[0] == "late"


def test_rows_wait_for_a_database(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """In their order; what is done meanwhile is behind them."""
    trail = Trail(engine)

    def rename(old: str, new: str) -> None:
        with engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    async def do() -> None:
        rename("audit", "gone")
        first = asyncio.create_task(trail.keep(AuditEvent(0, "first")))
        await until(lambda: "waits" in caplog.text)
        trail.note(AuditEvent(0, "second"))
        rename("gone", "audit")
        await first
        await trail.stop()

    asyncio.run(do())
    assert actions(trail) == ["second", "first"]
    assert caplog.text.count("waits") == 1


@pytest.mark.databases
def test_a_row_that_the_database_refuses_keeps_no_other_out(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does one stop those that come later; what is no text is made one."""
    trail = Trail(engine)

    async def do() -> None:
        trail.note(AuditEvent(0, "first"))
        trail.note(AuditEvent(2**70, "refused"))
        trail.note(AuditEvent(0, "a\0b\ud800c\n", subject="s" * 1_000))
        await trail.keep(AuditEvent(0, "last"))
        await trail.keep(AuditEvent(0, "later"))
        await trail.stop()

    asyncio.run(do())
    rows = trail.page(None, 9)
    assert [row.action for row in rows] == ["later", "last", "a?b?c?", "first"]
    assert rows[2].subject == "s" * TEXT_MAX
    assert caplog.text.count("not in the audit trail") == 1
    assert f"AuditEvent(at_ms={2**70}, action='refused'" in caplog.text


def test_what_cannot_be_written_to_the_end_is_logged(
    engine: Engine,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.access.trail.WAIT_S", 0.05)
    trail = Trail(engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit RENAME TO gone"))

    async def do() -> None:
        await trail.keep(AuditEvent(0, "lost"))
        await trail.stop()

    asyncio.run(do())
    assert "not in the audit trail: AuditEvent(at_ms=0, action='lost'" in caplog.text
