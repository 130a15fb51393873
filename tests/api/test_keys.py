"""API keys: rows without secrets, seen by every process, and the commands that make them."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import api.keys
from api.exchange import Exchange
from api.keys import KeyRing, KeyRingError
from api.recovery import check_database
from api.signing import secret_of
from api.store import Store
from tests.api.conftest import Call, Run

MASTER = bytes(range(32))
NOW_MS = 1_760_000_000_000


@pytest.fixture
def ring(exchange: Exchange) -> Iterator[KeyRing]:
    """The keys of an exchange that is running."""
    made = KeyRing(exchange.store.path, MASTER)
    yield made
    made.close()


@pytest.fixture
def elsewhere(ring: KeyRing, database: Path) -> Iterator[KeyRing]:
    """The same keys, as another process has them open."""
    assert ring.all() == []
    made = KeyRing(database, MASTER)
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


def test_no_secret_is_stored_or_shown(ring: KeyRing, database: Path) -> None:
    made = ring.create("alice", ["read"], None, NOW_MS)
    secret = made.secret
    assert secret not in repr(made)
    assert repr(MASTER) not in repr(made)
    for file in (database, database.with_name(database.name + "-wal")):
        assert secret.encode() not in file.read_bytes()
        assert MASTER not in file.read_bytes()


def test_a_revoked_key_stays_revoked(ring: KeyRing) -> None:
    made = ring.create("alice", ["read"], None, NOW_MS)
    revoked = ring.revoke(made.id, NOW_MS + 5)
    assert revoked is not None
    assert revoked.revoked_ms == NOW_MS + 5
    assert ring.find(made.id) == revoked
    assert ring.revoke(made.id, NOW_MS + 9) == revoked
    assert ring.revoke("eg_" + 20 * "x", NOW_MS) is None


def test_a_key_made_elsewhere_is_known_at_once(ring: KeyRing, elsewhere: KeyRing) -> None:
    """An id that is not known makes the ring look again."""
    made = elsewhere.create("bob", ["trade"], None, NOW_MS)
    assert ring.find(made.id) == made


def test_a_key_revoked_elsewhere_is_soon_known(
    ring: KeyRing, elsewhere: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before it is time to look again, which is a second at the most."""
    made = ring.create("bob", ["trade"], None, NOW_MS)
    other = ring.create("eve", ["read"], None, NOW_MS)
    assert api.keys.LOOK_AGAIN_S <= 1.0
    monkeypatch.setattr(api.keys, "LOOK_AGAIN_S", 0.0)
    elsewhere.revoke(made.id, NOW_MS + 1)
    found = ring.find(made.id)
    assert found is not None
    assert found.revoked_ms == NOW_MS + 1
    assert ring.find(other.id) is other


def test_batches_of_the_exchange_do_not_make_it_read_again(
    ring: KeyRing, exchange: Exchange
) -> None:
    """Records are the same objects, with the secrets they have derived."""
    made = ring.create("alice", ["read"], None, NOW_MS)
    exchange.note("something", "else")
    exchange.commit()
    assert ring.all()[0] is made


def test_the_exchange_still_takes_its_database(ring: KeyRing, exchange: Exchange) -> None:
    """Tables of keys are beside those of the exchange, and outside what `db check` compares."""
    ring.create("alice", ["read"], None, NOW_MS)
    exchange.store.close()
    store = Store(exchange.store.path, must_exist=True)
    assert check_database(store).faults == []
    store.close()


def test_another_master_key_is_refused(ring: KeyRing, database: Path) -> None:
    """Every secret it derived would be wrong."""
    ring.create("alice", ["read"], None, NOW_MS)
    with pytest.raises(KeyRingError, match="another master key"):
        KeyRing(database, bytes(32))


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


def test_rows_are_strict(ring: KeyRing, database: Path) -> None:
    made = ring.create("alice", ["read"], None, NOW_MS)
    connection = sqlite3.connect(database)
    for change in ("roles = ''", "created_ms = 'today'", "revoked_ms = 1"):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(f"UPDATE api_key SET {change} WHERE id = ?", (made.id,))  # noqa: S608
    connection.close()


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

    status, output, _ = call("keys", "revoke", made["id"], *place)
    assert status == 0
    assert made["id"] in output
    _, output, _ = call("keys", "list", *place, "--json")
    assert json.loads(output)[0]["revoked"] >= made["created"]


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
    place = ("--database", exchange.store.path, "--master-key", key_file, "--json")
    done = run("keys", "create", "--account", "desk", "--role", "trade", *place)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    found = ring.find(made["id"])
    assert found is not None
    assert found.secret == made["secret"]
