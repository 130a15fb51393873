"""Settings from a file: behind command line and variables, refused by file and name."""

import inspect
import re
import tomllib
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import pytest
from typer.models import OptionInfo

from api.commands.config import APART
from api.commands.serve import serve
from tests.api.conftest import Call

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "operations" / "evergamma.toml"
SHOWN = re.compile(r"(# )?([a-z-]+) =( .*)?  # (.*)")


def options() -> dict[str, object]:
    """Return the default of every setting of `serve`, by the name of its option."""
    hints = get_type_hints(serve, include_extras=True)
    found = {}
    for name, parameter in inspect.signature(serve).parameters.items():
        if get_origin(hints[name]) is Annotated:
            (given,) = [each for each in get_args(hints[name]) if isinstance(each, OptionInfo)]
            named = [given.default, *(given.param_decls or ())]
            usual = "--" + name.replace("_", "-")
            option = next((each for each in named if str(each).startswith("--")), usual)
            found[option.removeprefix("--")] = parameter.default
    return {name: default for name, default in found.items() if name not in APART}


def shown(output: str) -> dict[str, tuple[str, str]]:
    """Return value and source of each setting that was printed."""
    lines = [SHOWN.fullmatch(line) for line in output.splitlines()]
    return {line[2]: ((line[3] or "").strip(), line[4]) for line in lines if line}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Where a test writes its settings."""
    return tmp_path / "evergamma.toml"


def test_the_example_has_every_setting_with_its_default_but_for_the_feed() -> None:
    """Prices are made up by default, which is for trying it out."""
    text = EXAMPLE.read_text()
    given = tomllib.loads(text)
    known = options()
    defaults = {name: default for name, default in known.items() if default is not None}
    assert defaults["feed"] == "simulated"
    assert given == defaults | {"feed": "push"}
    # What has no default is there too, and is a line that can be taken in.
    all_of_it = tomllib.loads(re.sub(r"^# (?=[a-z-]+ = )", "", text, flags=re.MULTILINE))
    assert set(all_of_it) == set(known)


def test_the_example_can_be_served(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVERGAMMA_DATA", raising=False)
    status, output, errors = call("serve", "--config", EXAMPLE, "--check")
    assert (status, errors) == (0, "")
    sources = {source for _, source in shown(output).values()}
    assert sources == {str(EXAMPLE), "default"}
    assert set(shown(output)) == set(options())


def test_the_command_line_goes_first_then_variables_then_the_file(
    call: Call, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text('port = 1\nrate = 2\nseed = 3\nspeed = 4\nhost = "::1"\n')
    monkeypatch.setenv("EVERGAMMA_CONFIG", str(config))
    monkeypatch.setenv("EVERGAMMA_PORT", "5")
    monkeypatch.setenv("EVERGAMMA_RATE", "6")
    status, output, _ = call("serve", "--port", "7", "--check")
    found = shown(output)
    assert status == 0
    assert found["port"] == ("7", "command line")
    assert found["rate"] == ("6", "EVERGAMMA_RATE")
    assert found["seed"] == ("3", str(config))
    assert found["speed"] == ("4.0", str(config))
    assert found["host"] == ('"::1"', str(config))
    assert found["body-max"] == ("262144", "default")


def test_what_is_printed_is_a_file_of_settings(call: Call, config: Path) -> None:
    _, before, _ = call("serve", "--check", "--tokens", "TSLA.M", "--access-log")
    config.write_text(before)
    status, after, _ = call("serve", "--config", config, "--check")
    assert status == 0
    values = {name: value for name, (value, _) in shown(before).items()}
    assert {name: value for name, (value, _) in shown(after).items()} == values
    assert values["access-log"] == "true"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://house@127.0.0.1/evergamma",
        "postgresql://house@db:5433/evergamma",
    ],
)
def test_an_address_without_a_password_is_taken_from_the_command_line(
    url: str, call: Call, tmp_path: Path
) -> None:
    status, output, errors = call(
        "serve", "--check", "--database", url, "--master-key", tmp_path / "k"
    )
    assert (status, errors) == (0, "")
    assert f'database = "{url}"' in output


@pytest.mark.parametrize("name", ["database", "replica"])
def test_a_password_is_not_printed_nor_taken_from_the_command_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    url = "postgresql://house:the-password@db/evergamma"
    monkeypatch.setenv("EVERGAMMA_DATABASE", "postgresql://db/evergamma")
    monkeypatch.setenv(f"EVERGAMMA_{name.upper()}", url)
    status, output, _ = call("serve", "--check")
    assert status == 0
    assert f'{name} = "postgresql://house:***@db' in output
    monkeypatch.delenv(f"EVERGAMMA_{name.upper()}")
    status, _, errors = call("serve", "--check", f"--{name}", url)
    assert status == 2
    assert f"--{name} has a password" in errors
    assert f"EVERGAMMA_{name.upper()}" in errors
    assert "the-password" not in output + errors
    url = "postgresql://house@db:5432/evergamma"
    status, output, _ = call("serve", "--check", f"--{name}", url)
    assert status == 0
    assert f'{name} = "{url}' in output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", "no setting prot; is it port?"),
        ("config = 'x'", "no setting config"),
        ("[serve]\nport = 1", "no setting serve"),
        ("port = 'high'", "port is 'high', not a number"),
        ("port = 1.5", "port is 1.5, not a number"),
        ("port = true", "port is True, not a number"),
        ("speed = 'fast'", "speed is 'fast', not a number"),
        ("demo = 1", "demo is 1, not true or false"),
        ("host = 1", "host is 1, not a text"),
        ("tokens = ['A']", "tokens is ['A'], not a text"),
        ("port = 70000", "--port 70000"),
        ("speed = nan", "--speed nan"),
        ("feed = 'tea'", "--feed 'tea'"),
        ("from = 'soon'", "--from: 'soon'"),
        ("tokens = 'tsla'", "--tokens"),
        ("trusted-proxies = 'me'", "--trusted-proxies 'me'"),
        ("log-format = 'xml'", "--log-format 'xml' is not auto, json or text"),
        ("metrics-port = -1", "--metrics-port -1"),
        ("connections-max = 0", "--connections-max 0"),
        ("patience = 0", "--patience 0"),
        ("drain = 31", "--drain 31"),
        ("port = ", "Invalid value"),
        ("port = 1\nport = 2", "Cannot overwrite"),
    ],
)
def test_bad_settings_get_one_line_with_the_file_and_the_name(
    call: Call, config: Path, text: str, words: str
) -> None:
    config.write_text(text)
    status, output, errors = call("serve", "--config", config)
    assert (status, output) == (2, "")
    assert len(errors.strip().splitlines()) == 1
    assert str(config) in errors
    assert words in errors


PUBLIC = {"host": "0.0.0.0", "domain": "exchange.example", "trusted-proxies": "127.0.0.1"}  # noqa: S104


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_server_has_made_up_prices_only_where_that_is_said(
    call: Call, config: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """In whatever way it is said; a feed of one's own is as good."""
    public = (f"--{name}", PUBLIC[name])
    status, output, errors = call("serve", *public)
    assert (status, output, len(errors.splitlines())) == (2, "", 1)
    assert f"--{name} {PUBLIC[name]}" in errors
    assert "--feed simulated if that is meant" in errors
    config.write_text(f'{name} = "{PUBLIC[name]}"\n')
    status, _, errors = call("serve", "--config", config, "--check")
    assert (status, errors.count(str(config))) == (2, 1)
    for feed in ("simulated", "push"):
        assert call("serve", "--check", "--feed", feed, *public)[0] == 0
    config.write_text('feed = "simulated"\n')
    assert call("serve", "--check", "--config", config, *public)[0] == 0
    monkeypatch.setenv("EVERGAMMA_FEED", "simulated")
    assert call("serve", "--check", *public)[0] == 0


def test_a_file_that_cannot_be_read(call: Call, tmp_path: Path, config: Path) -> None:
    config.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.toml", tmp_path, config):
        status, _, errors = call("serve", "--config", path)
        assert status == 2
        assert len(errors.strip().splitlines()) == 1
        assert f"--config {path}" in errors
