"""API keys: rows without secrets, seen by every process, and the commands that make them."""

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from api.access.records import (
    FORGET_MS,
    KeyRingError,
    Limits,
    LoginsFullError,
    RotatedError,
    read_address,
    read_networks,
)
from api.access.ring import LOGINS_MAX, LOOK_AGAIN_S, KeyRing
from api.exchange import Exchange, KeyConflictError
from api.recovery import check_database
from api.signing import secret_of
from api.storage.engines import access_engine
from api.storage.store import open_store
from api.storage.url import DatabaseUrl
from tests.api.conftest import Call, Run
from tests.api.databases import ask, change, drop_tables, postgresql_database
from tests.api.http.harness import until

pytestmark = pytest.mark.databases
MASTER = bytes(range(32))
NOW_MS = 1_760_000_000_000
SOMEBODY = ("create", "--account", "desk", "--role", "read", "--database", "d.sqlite")


@pytest.fixture
def ring(exchange: Exchange) -> Iterator[KeyRing]:
    """The keys of an exchange that is running."""
    made = KeyRing(access_engine(exchange.store.url), MASTER)
    yield made
    made.close()


@pytest.fixture
def elsewhere(ring: KeyRing, database: DatabaseUrl) -> Iterator[KeyRing]:
    """The same keys, as another process has them open."""
    assert ring.all() == []
    made = KeyRing(access_engine(database), MASTER)
    yield made
    made.close()


def test_a_key_is_found_with_its_secret(ring: KeyRing) -> None:
    made = ring.create("alice", ["trade", "read"], "laptop", NOW_MS)
    found = ring.find(made.id)
    assert found is made
    assert (found.account, found.roles) == ("alice", {"trade", "read"})
    assert (found.label, found.created_ms, found.revoked_ms) == ("laptop", NOW_MS, None)
    assert found.secret == secret_of(MASTER, made.id)
    assert made.id.startswith("eg_")
    assert len(made.id) == 23
    assert ring.find("eg_" + 20 * "x") is None


def test_no_secret_is_stored_or_shown(ring: KeyRing, database: DatabaseUrl) -> None:
    made = ring.create("alice", ["read"], None, NOW_MS)
    secret = made.secret
    assert secret not in repr(made)
    assert repr(MASTER) not in repr(made)
    path = database.path
    if path is None:
        rows = "string_agg(keys::text || masters::text, '')"
        tables = "evergamma.api_key AS keys, evergamma.api_master AS masters"
        stored = [str(ask(database, f"SELECT {rows} FROM {tables}")).encode()]  # noqa: S608
    else:
        stored = [each.read_bytes() for each in (path, path.with_name(path.name + "-wal"))]
    for content in stored:
        assert secret.encode() not in content
        assert MASTER not in content
        assert MASTER.hex().encode() not in content


def test_a_revoked_key_stays_revoked(ring: KeyRing) -> None:
    made = ring.create("alice", ["read"], None, NOW_MS)
    revoked = ring.revoke(made.id, NOW_MS + 5)
    assert revoked == [replace(made, revoked_ms=NOW_MS + 5)]
    assert ring.find(made.id) == revoked[0]
    assert ring.revoke(made.id, NOW_MS + 9) == revoked
    assert ring.revoke("eg_" + 20 * "x", NOW_MS) == []


def test_what_was_made_with_a_key_ends_with_it(ring: KeyRing, elsewhere: KeyRing) -> None:
    """Whoever had it may have made others; those of other accounts end where that is asked."""

    def make(account: str, maker: str) -> str:
        return ring.create(account, ["operator"], None, NOW_MS, made_by=maker).id

    def good() -> set[str]:
        return {each.id for each in elsewhere.all() if each.is_good(NOW_MS)}

    root = make("house", "command line")
    child, customer, other = make("house", root), make("kim", root), make("house", "command line")
    heir = ring.rotate(child, NOW_MS, 60_000, made_by=child)
    given = ring.rotate(other, NOW_MS, 60_000, made_by="command line")
    assert heir is not None
    assert given is not None
    grandchild, of_kim = make("house", heir.id), make("kim", customer)
    ended = elsewhere.revoke(root, NOW_MS + 1)
    assert ended[0].id == root
    assert {each.id for each in ended} == {root, child, heir.id, grandchild}
    assert good() == {customer, of_kim, other, given.id}
    # Later too; and what another hand has made in place of a key outlives it.
    assert {each.id for each in ring.revoke(root, NOW_MS, of_all=True)} == {root, customer, of_kim}
    assert [each.id for each in ring.revoke(other, NOW_MS)] == [other]
    elsewhere.look()
    assert good() == {given.id}


def test_who_revokes_a_key_stays(ring: KeyRing) -> None:
    """As its successor does; unless it is the key itself."""
    old = ring.create("kim", ["trade"], None, NOW_MS)
    new = ring.rotate(old.id, NOW_MS, 60_000, made_by=old.id)
    assert new is not None
    child = ring.create("kim", ["trade"], None, NOW_MS, made_by=new.id)
    thief = ring.create("kim", ["trade"], None, NOW_MS, made_by=old.id)
    ended = ring.revoke(old.id, NOW_MS, spared=new.id)
    assert [each.id for each in ended] == [old.id, thief.id]
    assert len(ring.revoke(new.id, NOW_MS, spared=new.id)) == 2
    assert {each.revoked_ms for each in ring.all()} == {NOW_MS}
    assert ring.find(child.id) is not None


def test_what_is_done_elsewhere_is_soon_known(ring: KeyRing, elsewhere: KeyRing) -> None:
    """A thread looks for it, so that nobody who asks for a key waits for the database."""
    other = ring.create("eve", ["read"], None, NOW_MS)
    assert LOOK_AGAIN_S <= 1.0
    ring.watch()
    made = elsewhere.create("bob", ["trade"], None, NOW_MS)
    assert until(lambda: ring.find(made.id)) == made
    elsewhere.look()
    elsewhere.revoke(other.id, NOW_MS + 1)
    found = until(lambda: [each for each in ring.all() if each.revoked_ms is not None])
    assert found == [replace(other, revoked_ms=NOW_MS + 1)]
    assert ring.find(made.id) == made


def test_a_row_that_cannot_be_read_hides_no_other(
    ring: KeyRing,
    elsewhere: KeyRing,
    database: DatabaseUrl,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is logged once; who is revoked meanwhile is, and it is read when it is whole again."""
    monkeypatch.setattr("api.access.ring.LOOK_AGAIN_S", 0.02)
    bad, good = (ring.create(name, ["read"], None, NOW_MS) for name in ("bob", "alice"))
    elsewhere.look()
    looks, look, where = [], elsewhere.look, "evergamma." if database.server else ""
    monkeypatch.setattr(elsewhere, "look", lambda: (looks.append(1), look()))
    elsewhere.watch()

    def rewrite(values: str, key: str) -> None:
        assert change(database, f"UPDATE {where}api_key SET {values} WHERE id = '{key}'") == 1  # noqa: S608

    rewrite("networks = 'nowhere', change = 100", bad.id)
    rewrite(f"revoked_ms = {NOW_MS}, change = 101", good.id)
    change(database, f"UPDATE {where}access_version SET version = 101")  # noqa: S608
    until(lambda: [each for each in elsewhere.all() if each.revoked_ms is not None])
    count = len(looks)
    until(lambda: len(looks) > count + 2)
    assert caplog.text.count("keys stay as they are known: 'nowhere' is not a network") == 1
    rewrite("networks = '', label = 'whole'", bad.id)
    until(lambda: elsewhere.find(bad.id) == replace(bad, label="whole"))


def test_keys_stay_known_without_a_database(
    ring: KeyRing, database: DatabaseUrl, caplog: pytest.LogCaptureFixture
) -> None:
    made = ring.create("alice", ["read"], None, NOW_MS)
    engine = access_engine(database)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE access_version RENAME TO gone"))
    ring.watch()
    until(lambda: "keys stay" in caplog.text)
    assert ring.find(made.id) is made
    with pytest.raises(SQLAlchemyError):
        ring.revoke(made.id, NOW_MS)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO access_version"))
    engine.dispose()
    assert ring.revoke(made.id, NOW_MS + 1) == [replace(made, revoked_ms=NOW_MS + 1)]


def test_batches_of_the_exchange_do_not_make_it_read_again(
    ring: KeyRing, exchange: Exchange
) -> None:
    """Records are the same objects, with the secrets they have derived."""
    made = ring.create("alice", ["read"], None, NOW_MS)
    exchange.note("something", "else")
    exchange.commit()
    assert ring.all()[0] is made


def test_limits_are_kept(ring: KeyRing, elsewhere: KeyRing) -> None:
    networks = read_networks(["2001:db8::/32", "203.0.113.7", "203.0.113.7/32"])
    limits = Limits(NOW_MS + 5, networks, may_withdraw=False)
    made = ring.create("alice", ["trade"], None, NOW_MS, limits=limits, made_by="house")
    elsewhere.look()
    assert elsewhere.all() == [made]
    assert made.is_narrow
    assert (made.is_good(NOW_MS + 4), made.is_good(NOW_MS + 5)) == (True, False)
    admitted = ["203.0.113.7", "::ffff:203.0.113.7", "2001:db8:1::9"]
    for written in [*admitted, "203.0.113.8", "2001:db9::1", "::1"]:
        address = read_address(written)
        assert address is not None
        assert limits.admit(address) == (written in admitted), written


@pytest.mark.parametrize(
    ("narrow", "wide", "is_within"),
    [
        (Limits(), Limits(), True),
        (Limits(), Limits(expires_ms=9), False),
        (Limits(expires_ms=9), Limits(expires_ms=9), True),
        (Limits(expires_ms=10), Limits(expires_ms=9), False),
        (Limits(), Limits(may_withdraw=False), False),
        (Limits(may_withdraw=False), Limits(), True),
        (Limits(), Limits(networks=read_networks(["10.0.0.0/8"])), False),
        (
            Limits(networks=read_networks(["10.1.0.0/16", "10.2.3.4"])),
            Limits(networks=read_networks(["10.0.0.0/8"])),
            True,
        ),
        (
            Limits(networks=read_networks(["10.1.0.0/16", "::/0"])),
            Limits(networks=read_networks(["10.0.0.0/8"])),
            False,
        ),
        (Limits(networks=read_networks(["::1"])), Limits(networks=read_networks(["::/8"])), True),
    ],
)
def test_limits_are_compared(narrow: Limits, wide: Limits, is_within: bool) -> None:
    assert narrow.is_within(wide) == is_within


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0", "nowhere", "::1/129", ""])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(KeyRingError, match="network"):
        read_networks([text])


def test_a_rotated_key_ends_after_the_overlap(ring: KeyRing, elsewhere: KeyRing) -> None:
    limits = Limits(NOW_MS + 1_000, read_networks(["10.0.0.0/8"]), may_withdraw=False)
    old = ring.create("alice", ["trade"], "desk", NOW_MS, limits=limits)
    new = ring.rotate(old.id, NOW_MS + 1, 100, "alice/1", "maker")
    assert new is not None
    assert new.id != old.id
    assert new.secret != old.secret
    assert (new.account, new.roles, new.label, new.limits) == ("alice", {"trade"}, "desk", limits)
    assert (new.rotated_from, new.made_by, new.created_ms) == (old.id, "maker", NOW_MS + 1)
    ended = ring.find(old.id)
    assert ended is not None
    assert ended.limits == limits._replace(expires_ms=NOW_MS + 101)
    elsewhere.look()
    assert elsewhere.all() == ring.all()
    # A retry has the same answer, another overlap is another request, and there is one successor.
    assert elsewhere.rotate(old.id, NOW_MS + 50, 100, "alice/1") == new
    with pytest.raises(KeyConflictError):
        ring.rotate(old.id, NOW_MS + 50, 99, "alice/1")
    with pytest.raises(RotatedError):
        ring.rotate(old.id, NOW_MS + 50, 100, "alice/2")
    assert ring.rotate("eg_" + 20 * "x", NOW_MS, 0) is None
    last = ring.rotate(new.id, NOW_MS + 2, 5_000)
    assert last is not None
    assert last.limits == limits


def test_what_is_no_more_good_has_no_successor(ring: KeyRing) -> None:
    made = ring.create("alice", ["read"], None, NOW_MS)
    ring.revoke(made.id, NOW_MS)
    short = ring.create("alice", ["read"], None, NOW_MS, limits=Limits(NOW_MS + 1))
    for each in (made, short):
        with pytest.raises(KeyRingError, match="revoked or expired"):
            ring.rotate(each.id, NOW_MS + 1, 0)
    with pytest.raises(KeyRingError, match="cannot expire"):
        ring.create("alice", ["read"], None, NOW_MS, limits=Limits(NOW_MS))


def rows(database: DatabaseUrl) -> object:
    """Return how many keys the table has."""
    return ask(database, f"SELECT count(*) FROM {'evergamma.' if database.server else ''}api_key")  # noqa: S608


def test_keys_of_logins_do_not_pile_up(
    ring: KeyRing, elsewhere: KeyRing, database: DatabaseUrl
) -> None:
    """Neither in the table nor in any server; nor do those that they make."""
    hour, day = 3_600_000, 86_400_000
    other = ring.create("0xAb", ["trade"], None, NOW_MS)
    for number in range(LOGINS_MAX + 2):
        made = ring.log_in("0xAb", NOW_MS + number, NOW_MS + number + hour)
    assert made.roles == {"read", "trade", "provide"}
    assert made.limits == Limits(NOW_MS + number + hour, (), may_withdraw=False)
    good = [each for each in ring.all() if each.is_good(NOW_MS + number)]
    assert len(good) == LOGINS_MAX + 1
    assert other in good
    assert made in good
    child = ring.create(
        "0xAb", ["read"], None, NOW_MS + number, limits=made.limits, made_by=made.id
    )
    elsewhere.look()
    assert elsewhere.all() == ring.all()
    assert child in ring.all()
    # Those that were ended by others are soon forgotten, the rest after their own end.
    soon = ring.log_in("0xCd", NOW_MS + number + FORGET_MS, NOW_MS + day)
    assert len(ring.all()) == rows(database) == LOGINS_MAX + 3
    later = ring.log_in("0xCd", NOW_MS + 2 * day, NOW_MS + 3 * day)
    elsewhere.look()
    assert ring.all() == elsewhere.all() == [other, later]
    assert rows(database) == 2
    assert soon not in ring.of("0xCd")


def test_an_old_login_ends_with_what_it_made(ring: KeyRing) -> None:
    first = ring.log_in("0xAb", NOW_MS, NOW_MS + 9)
    limits = Limits(NOW_MS + 9, may_withdraw=False)
    child = ring.create("0xAb", ["read"], None, NOW_MS, limits=limits, made_by=first.id)
    for _ in range(LOGINS_MAX):
        ring.log_in("0xAb", NOW_MS + 1, NOW_MS + 9)
    revoked = {each.id for each in ring.all() if each.revoked_ms is not None}
    assert revoked == {first.id, child.id}
    with pytest.raises(KeyRingError, match="was revoked"):
        ring.create("0xAb", ["read"], None, NOW_MS, limits=limits, made_by=first.id)


def test_there_is_room_for_so_many_logins(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused, but for what takes another's place."""
    monkeypatch.setattr("api.access.ring.LOGINS_TOTAL", LOGINS_MAX + 1)
    first = ring.log_in("0xCd", NOW_MS, NOW_MS + 9)
    for number in range(LOGINS_MAX):
        ring.log_in("0xAb", NOW_MS + number, NOW_MS + 9 + number)
    before = ring.all()
    with pytest.raises(LoginsFullError):
        ring.log_in("0xEf", NOW_MS, NOW_MS + 9)
    with pytest.raises(LoginsFullError):
        ring.create("0xCd", ["read"], None, NOW_MS, limits=first.limits, made_by=first.id)
    assert ring.all() == before
    assert ring.log_in("0xAb", NOW_MS, NOW_MS + 9).is_good(NOW_MS)
    assert ring.create("house", ["read"], None, NOW_MS).is_good(NOW_MS)
    later_ms = NOW_MS + 9 + FORGET_MS
    assert ring.log_in("0xEf", later_ms, later_ms + 9).is_good(later_ms)


def test_only_what_has_changed_is_read_again(
    ring: KeyRing, elsewhere: KeyRing, database: DatabaseUrl
) -> None:
    """A row changed behind everybody's back stays unknown when another one changes."""
    first = ring.create("alice", ["read"], "old", NOW_MS)
    elsewhere.look()
    table = f"{'evergamma.' if database.server else ''}api_key"
    assert change(database, f"UPDATE {table} SET label = 'new'") == 1  # noqa: S608
    second = ring.create("bob", ["read"], None, NOW_MS + 1)
    elsewhere.look()
    assert elsewhere.all() == [first, second]


def test_servers_that_start_at_once_make_the_tables_once(database: DatabaseUrl) -> None:
    if database.path is None:
        drop_tables(database)
    together = Barrier(4)

    def begin(_: int) -> int:
        together.wait(10)
        started = KeyRing(access_engine(database), MASTER)
        found = len(started.all())
        started.close()
        return found

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(begin, range(4))) == [0, 0, 0, 0]


def test_a_database_of_before_is_taken_over(database: DatabaseUrl) -> None:
    """Its keys have no limits, and stay good."""
    old_table = (
        "CREATE TABLE api_key (id TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL,"
        " roles TEXT NOT NULL CHECK (roles <> ''), label TEXT, created_ms BIGINT NOT NULL,"
        " revoked_ms BIGINT CHECK (revoked_ms >= created_ms))"
    )
    row = f"INSERT INTO api_key VALUES ('eg_old', 'a', 'trade', NULL, {NOW_MS}, NULL)"  # noqa: S608
    engine = access_engine(database)
    with engine.begin() as connection:
        for statement in ("DROP TABLE IF EXISTS api_key", old_table, row):
            connection.execute(text(statement))
    engine.dispose()
    for _ in range(2):
        ring = KeyRing(access_engine(database), MASTER)
        (old,) = ring.all()
        assert (old.id, old.roles, old.limits, old.made_by) == ("eg_old", {"trade"}, Limits(), "")
        ring.close()


def test_the_exchange_still_takes_its_database(ring: KeyRing, exchange: Exchange) -> None:
    """Tables of keys are beside those of the exchange, and outside what `db check` compares."""
    ring.create("alice", ["read"], None, NOW_MS)
    exchange.store.close()
    store = open_store(exchange.store.url, must_exist=True)
    assert check_database(store).faults == []
    store.close()


def test_another_master_key_is_refused(ring: KeyRing, database: DatabaseUrl) -> None:
    """Every secret it derived would be wrong."""
    ring.create("alice", ["read"], None, NOW_MS)
    with pytest.raises(KeyRingError, match="another master key"):
        KeyRing(access_engine(database), bytes(32))


@pytest.mark.parametrize(
    ("account", "roles", "label"),
    [
        ("", ["read"], None),
        ("a b", ["read"], None),
        ("a" * 65, ["read"], None),
        ("alice", [], None),
        ("alice", ["admin"], None),
        ("alice", ["read"], "two\nlines"),
    ],
)
def test_what_is_no_key_is_not_made(
    ring: KeyRing, account: str, roles: list[str], label: str | None
) -> None:
    with pytest.raises(KeyRingError):
        ring.create(account, roles, label, NOW_MS)
    assert ring.all() == []


def test_rows_are_strict(ring: KeyRing, database: DatabaseUrl) -> None:
    made = ring.create("alice", ["read"], None, NOW_MS)
    engine = access_engine(database)
    for wrong in ("roles = ''", "created_ms = 'today'", "revoked_ms = 1"):
        statement = text(f"UPDATE api_key SET {wrong} WHERE id = :id")  # noqa: S608
        with engine.connect() as connection, pytest.raises(DBAPIError):
            connection.execute(statement, {"id": made.id})
    engine.dispose()


def test_keys_from_the_command_line(call: Call, tmp_path: Path) -> None:
    """Made before the first server, listed without its secret, revoked, each with one answer."""
    place = ("--database", "d.sqlite", "--master-key", "m.key")
    status, output, _ = call(
        "keys", "create", *place, "--account", "desk", "--role", "trade", "--role", "read", "--json"
    )
    made = json.loads(output)
    assert status == 0
    assert made["roles"] == ["read", "trade"]
    master = (tmp_path / "m.key").read_bytes()
    assert made["secret"] == secret_of(master, made["id"])

    _, output, _ = call("keys", "list", *place, "--json")
    del made["secret"]
    assert json.loads(output) == [made]
    status, output, _ = call("keys", "list", *place)
    assert made["id"] in output

    rotated = ("keys", "rotate", made["id"], "--overlap", "0.5", *place)
    status, output, _ = call(*rotated, "--json")
    new = json.loads(output)
    assert (status, new["rotated_from"], new["roles"]) == (0, made["id"], made["roles"])
    assert new["secret"] == secret_of(master, new["id"])
    status, _, errors = call(*rotated)
    assert (status, errors.count("\n")) == (2, 1)
    assert "successor" in errors

    status, output, _ = call("keys", "revoke", made["id"], "--with-descendants", *place)
    assert (status, output.count("\n")) == (0, 1)
    assert made["id"] in output
    _, output, _ = call("keys", "list", *place, "--json")
    assert {each["revoked"] is None for each in json.loads(output)} == {True, False}

    status, output, _ = call("audit", "--database", "d.sqlite", "--json")
    lines = json.loads(output)
    assert status == 0
    assert [each["action"].split()[-1] for each in lines] == ["revoke", made["id"], "create"]
    assert lines[0]["subject"] == lines[2]["subject"] == f"{made['id']} of desk"
    status, output, _ = call("audit", "--database", "d.sqlite", "--limit", "1")
    assert (status, output.count("evergamma keys")) == (0, 1)
    assert call("audit", "--account", "nobody", "--database", "d.sqlite", "--json")[1] == "[]\n"


def test_the_environment_says_where_the_keys_are(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EVERGAMMA_DATABASE", "env.sqlite")
    monkeypatch.setenv("EVERGAMMA_MASTER_KEY", "env.key")
    assert call("keys", "create", "--account", "desk", "--role", "read")[0] == 0
    assert (tmp_path / "env.sqlite").exists()
    arguments = ("--account", "desk", "--role", "read", "--database", "line.sqlite")
    assert call("keys", "create", *arguments)[0] == 0
    assert (tmp_path / "line.sqlite").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "--database", "none.sqlite"), "no such file"),
        (("revoke", "eg_nothing", "--database", "none.sqlite"), "no such file"),
        (("create", "--role", "read"), "--account"),
        (("create", "--account", "desk"), "--role"),
        (("create", "--account", "desk", "--role", "admin", "--database", "d.sqlite"), "roles"),
        (("rotate", "eg_nothing", "--database", "none.sqlite"), "no such file"),
        ((*SOMEBODY, "--network", "10.0.0.1/8"), "'10.0.0.1/8'"),
        ((*SOMEBODY, "--expires", "2020-01-01"), "cannot expire"),
        ((*SOMEBODY, "--expires", "soon"), "'soon'"),
        (("create", "--account", "a b", "--role", "read", "--database", "d.sqlite"), "'a b'"),
    ],
)
def test_bad_input_about_keys_gets_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.setenv("EVERGAMMA_MASTER_KEY", "m.key")
    status, output, errors = call("keys", *arguments)
    assert status == 2
    assert output == ""
    assert len(errors.strip().splitlines()) == 1
    assert words in errors


COMMANDS = [
    ("keys", "list"),
    ("keys", "create", "--account", "desk", "--role", "read"),
    ("keys", "rotate", "eg_nothing"),
    ("keys", "revoke", "eg_nothing"),
    ("audit",),
]


def refused(call: Call, command: tuple[str, ...], database: object) -> str:
    """Return the one line that a command is refused with."""
    status, output, errors = call(*command, "--database", str(database))
    assert (status, output, errors.count("\n")) == (2, "", 1), errors
    return errors


def files(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_is_no_exchange_is_left_as_it_is(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """A file of something else, none, an empty one, a text; no master key is made either."""
    monkeypatch.setenv("EVERGAMMA_MASTER_KEY", "m.key")
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as other:
        other.execute("CREATE TABLE api_key (number INTEGER)")
    (tmp_path / "text.sqlite").write_text(200 * "no database ")
    (tmp_path / "empty.sqlite").touch()
    before = files(tmp_path)
    for name, words in (
        ("other", "not a database of this exchange"),
        ("text", "not a database"),
        ("empty", "not a database of this exchange"),
        ("none", "no such file"),
    ):
        if "create" not in command or name in {"other", "text"}:
            assert words in refused(call, command, f"{name}.sqlite")
            assert files(tmp_path) == before


def test_a_server_of_something_else_is_left_as_it_is(call: Call, tmp_path: Path) -> None:
    """But keys can be made on an empty one, before its first server."""
    place = ("--master-key", "m.key", "--database")
    schemas = "SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace"
    with postgresql_database() as url:
        before = ask(url, schemas)
        for command in COMMANDS[::4]:
            assert "not a database of this exchange" in refused(call, command, url.with_password)
        change(url, "CREATE TABLE public.orders (number BIGINT)")
        for command in COMMANDS:
            assert "not a database of this exchange" in refused(call, command, url.with_password)
        assert (ask(url, schemas), files(tmp_path)) == (before, {})
        change(url, "DROP TABLE public.orders")
        for command in COMMANDS[1::-1]:
            assert call(*command, *place, url.with_password)[0] == 0
        open_store(url).close()
        assert "desk" in call("audit", "--database", url.with_password)[1]
        change(url, "UPDATE evergamma_main.alembic_version SET version_num = '9999'")
        for command in COMMANDS:
            assert "newer release" in refused(call, command, url.with_password)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_keys_of_a_newer_release_are_left_alone(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """And none are made by who only wants to read them."""
    monkeypatch.setenv("EVERGAMMA_MASTER_KEY", "m.key")
    open_store(tmp_path / "d.sqlite").close()
    url = DatabaseUrl(tmp_path / "d.sqlite")
    if "list" in command or "audit" in command:
        before = files(tmp_path)
        assert "no keys and no audit trail yet" in refused(call, command, "d.sqlite")
        assert files(tmp_path) == before
    assert call(*COMMANDS[1], "--database", "d.sqlite")[0] == 0
    newer = (
        "ALTER TABLE audit ADD later TEXT",
        "UPDATE alembic_version SET version_num = '9999'",
    )
    for statement in newer:
        change(url, statement)
        before = files(tmp_path)
        assert "newer release" in refused(call, command, "d.sqlite")
        assert files(tmp_path) == before


def test_keys_of_an_older_release_are_read_once_they_are_migrated(
    call: Call, tmp_path: Path
) -> None:
    assert call(*COMMANDS[1], "--database", "d.sqlite", "--master-key", "m.key")[0] == 0
    url = DatabaseUrl(tmp_path / "d.sqlite")
    change(url, "DROP INDEX ix_api_key_change")
    change(url, "ALTER TABLE api_key DROP COLUMN change")
    assert "db migrate" in refused(call, ("keys", "list"), "d.sqlite")
    assert call("db", "migrate", "d.sqlite")[0] == 0
    assert "desk" in call("keys", "list", "--database", "d.sqlite")[1]


def test_an_unknown_key_cannot_be_revoked(call: Call) -> None:
    place = ("--database", "d.sqlite", "--master-key", "m.key")
    assert call("keys", "create", *place, "--account", "desk", "--role", "read")[0] == 0
    status, _, errors = call("keys", "revoke", "eg_nothing", *place)
    assert status == 2
    assert "eg_nothing is no key" in errors


def test_another_process_makes_a_key_while_a_ring_is_open(
    ring: KeyRing, exchange: Exchange, run: Run, tmp_path: Path
) -> None:
    """The writer's lock does not keep the key commands out."""
    key_file = tmp_path / "m.key"
    key_file.write_bytes(MASTER)
    key_file.chmod(0o600)
    place = ("--database", exchange.store.url, "--master-key", key_file, "--json")
    done = run("keys", "create", "--account", "desk", "--role", "trade", *place)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    ring.look()
    found = ring.find(made["id"])
    assert found is not None
    assert found.made_by == "command line"
    assert found.secret == made["secret"]
