"""Settings are refused as a whole; the master key is a file nobody else can read."""

from pathlib import Path
from typing import Any

import pytest

from api.settings import (
    DEMO_DATABASE,
    MASTER_KEY_BYTES,
    Settings,
    SettingsError,
    read_master_key,
    usual_master_key,
)
from api.storage.url import DatabaseUrl

REPLAY = {"feed": "replay", "data": Path("history"), "start_ms": 1, "end_ms": 2}


def make(**given: Any) -> Settings:
    return Settings(database=DatabaseUrl(Path("d.sqlite")), master_key=Path("m.key"), **given)


def test_defaults_are_those_of_a_machine_of_ones_own() -> None:
    settings = make()
    assert settings.is_loopback
    assert settings.is_rate_limited
    assert (settings.feed, settings.speed, settings.demo) == ("simulated", 1.0, False)


@pytest.mark.parametrize(
    ("given", "site"),
    [
        ({"port": 99}, ("127.0.0.1:99", "http://127.0.0.1:99")),
        ({"host": "::1"}, ("[::1]:8080", "http://[::1]:8080")),
        ({"domain": "exchange.example"}, ("exchange.example", "https://exchange.example")),
        ({"domain": "a.example:8443"}, ("a.example:8443", "https://a.example:8443")),
    ],
)
def test_wallets_log_in_to_a_site(given: dict[str, Any], site: tuple[str, str]) -> None:
    assert make(**given).site == site


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"port": 65_536}, "--port"),
        ({"port": -1}, "--port"),
        ({"speed": 0.5}, "--speed"),
        ({"speed": 601.0}, "--speed"),
        ({"speed": float("nan")}, "--speed"),
        ({"seed": -1}, "--seed"),
        ({"fill_delay_ms": 5_000}, "--fill-delay"),
        ({"rate_per_second": -1}, "--rate"),
        ({"rate_burst": 1_000_001}, "--rate-burst"),
        ({"body_max": 10}, "--body-max"),
        ({"withdrawal_hold_ms": -1}, "--withdrawal-hold"),
        ({"domain": "https://exchange.example"}, "--domain"),
        ({"domain": "exchange.example\n"}, "--domain"),
        ({"domain": ""}, "--domain"),
        ({"tokens": ("tsla",)}, "--tokens"),
        ({"tokens": ("TSLA.M", "TSLA.M")}, "--tokens"),
        ({"demo": True, "host": "0.0.0.0"}, "--demo"),  # noqa: S104
        ({"demo": True, "host": "exchange.example"}, "--demo"),
        ({"feed": "push", "speed": 2.0}, "--speed"),
        ({"start_ms": 1}, "--from"),
        (REPLAY | {"data": None}, "--data"),
        (REPLAY | {"start_ms": None}, "--from"),
        (REPLAY | {"end_ms": 1}, "--from"),
    ],
)
def test_what_cannot_be_is_refused_by_its_option(given: dict[str, Any], option: str) -> None:
    with pytest.raises(SettingsError, match=option) as refused:
        make(**given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_a_demo_is_for_this_machine(host: str) -> None:
    assert make(demo=True, host=host).is_loopback


@pytest.mark.parametrize("off", [{"rate_per_second": 0}, {"rate_burst": 0}])
def test_either_rate_turns_the_limit_off(off: dict[str, int]) -> None:
    assert not make(**off).is_rate_limited


def test_a_master_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "master.key"
    key = read_master_key(path)
    assert len(key) == MASTER_KEY_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert read_master_key(path) == key
    assert read_master_key(tmp_path / "other.key") != key


def test_servers_that_start_at_once_have_one_master_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who finds none, and then one that another has just made, takes that."""
    path = tmp_path / "master.key"
    key = read_master_key(path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "exists", lambda _: False)
        assert read_master_key(path) == key
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o700, 0o666])
def test_a_master_key_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    read_master_key(path)
    path.chmod(mode)
    with pytest.raises(SettingsError, match=f"{mode:04o}"):
        read_master_key(path)


def test_a_master_key_may_be_a_credential_of_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "credentials" / "master.key"
    key = read_master_key(path)
    path.chmod(0o440)
    with pytest.raises(SettingsError, match="0440"):
        read_master_key(path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(path.parent))
    assert read_master_key(path) == key
    path.chmod(0o444)
    with pytest.raises(SettingsError, match="0444"):
        read_master_key(path)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_damaged_master_key_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(bytes(length))
    path.chmod(0o600)
    with pytest.raises(SettingsError, match=f"has {length} bytes"):
        read_master_key(path)


def test_a_master_key_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="--master-key"):
        read_master_key(tmp_path / "file" / "master.key")


def test_a_key_beside_the_database_is_its_own(tmp_path: Path) -> None:
    database = DatabaseUrl(tmp_path / "exchange.sqlite")
    assert usual_master_key(database) == Path.home() / ".evergamma" / "master.key"
    (tmp_path / "exchange.key").write_bytes(b"")
    assert usual_master_key(database) == tmp_path / "exchange.key"
    assert usual_master_key(DatabaseUrl(DEMO_DATABASE), demo=True) == Path("run/demo.key")
    server = DatabaseUrl.parse("postgresql://db/exchange")
    assert usual_master_key(server, demo=True) == Path.home() / ".evergamma" / "master.key"


def test_a_replica_is_of_a_server() -> None:
    server, replica = (DatabaseUrl.parse(f"postgresql://{each}/eg") for each in ("a", "b"))
    place = {"master_key": Path("m.key"), "replica": replica}
    assert Settings(database=server, **place).replica is replica
    with pytest.raises(SettingsError, match="--replica"):
        Settings(database=DatabaseUrl(Path("d.sqlite")), **place)
