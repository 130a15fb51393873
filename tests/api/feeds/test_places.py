"""Settings of outside sources."""

from pathlib import Path

import pytest

from api.feeds.places import (
    PYTH_IDS,
    PYTH_KEY_VARIABLE,
    PlaceError,
    PythSettings,
    parse_ids,
    read_pyth_key,
)
from api.settings import Settings, SettingsError
from api.storage.url import DatabaseUrl

OTHER = "0x" + "AB" * 32


def make(**given: object) -> Settings:
    return Settings(database=DatabaseUrl(Path("d")), master_key=Path("k"), **given)  # type: ignore[arg-type]


def test_ids_that_are_left_out_are_the_usual_ones() -> None:
    assert parse_ids(f"ETH={OTHER}", ("BTC", "ETH")) == {"BTC": PYTH_IDS["BTC"], "ETH": "ab" * 32}


@pytest.mark.parametrize(
    "text",
    ["", "BTC", "BTC=", "BTC=12", f"SOL={OTHER}", f"BTC={OTHER},ETH={OTHER}", f"BTC={OTHER}g"],
)
def test_ids_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(PlaceError, match="--pyth-ids"):
        parse_ids(text, ("BTC", "ETH"))


def test_a_key_comes_from_its_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PYTH_KEY_VARIABLE, raising=False)
    assert read_pyth_key(None) is None
    monkeypatch.setenv(PYTH_KEY_VARIABLE, "from-the-environment")
    assert read_pyth_key(None) == "from-the-environment"
    file = tmp_path / "pyth.key"
    file.write_text("from-a-file\n")
    file.chmod(0o600)
    assert read_pyth_key(file) == "from-a-file"


@pytest.mark.parametrize("text", ["", "two words", "a\r\nHost: b", "clé", "x" * 1_001])
def test_a_key_that_is_none_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pyth.key"
    file.write_bytes(text.encode())
    file.chmod(0o600)
    with pytest.raises(PlaceError, match="holds no key") as refused:
        read_pyth_key(file)
    assert "\n" not in str(refused.value)
    assert not text or text not in str(refused.value)


def test_a_key_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pyth.key"
    file.write_text("key")
    file.chmod(0o644)
    with pytest.raises(PlaceError, match="0644"):
        read_pyth_key(file)


def test_a_key_may_be_a_credential_of_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pyth.key"
    file.write_text("key")
    file.chmod(0o440)
    with pytest.raises(PlaceError, match="0440"):
        read_pyth_key(file)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_pyth_key(file) == "key"


@pytest.mark.parametrize(
    "url",
    ["", "hermes", "ws://host", "https://", "https://me@host", "https://host/?key=1", "http://h:x"],
)
def test_an_address_that_is_more_or_less_than_one_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="--pyth-url"):
        make(pyth=PythSettings(url=url))


def test_a_key_is_not_sent_in_clear() -> None:
    with pytest.raises(SettingsError, match="https"):
        make(pyth=PythSettings(url="http://hermes.example", key="secret"))
    make(pyth=PythSettings(url="http://127.0.0.1:1", key="secret"))
    settings = make(pyth=PythSettings(url="https://hermes.example", key="secret"))
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("feed", "sources"),
    [("push", ()), ("pyth", ("pyth",)), ("deribit,pyth", ("deribit", "pyth"))],
)
def test_sources_of_a_feed(feed: str, sources: tuple[str, ...]) -> None:
    assert make(feed=feed).sources == sources


@pytest.mark.parametrize("feed", ["", "moon", "pyth,", "pyth,push", "replay,pyth", "pyth, deribit"])
def test_feeds_that_do_not_go_together_are_refused(feed: str) -> None:
    with pytest.raises(SettingsError, match="stay alone"):
        make(feed=feed)
