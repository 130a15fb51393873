"""What is deployed: the unit, the image's steps, and a page that tells the truth about both."""

import configparser
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from api.client import Client
from api.listening import ACCEPT_S, STOP_S
from api.service import STOP_MAX
from api.settings import DRAIN_MAX_S
from tests.benchmarks.serving import Process
from tests.operations.install import ROOT, copy_sources, run, run_steps, stages

FOLDER = ROOT / "docs" / "operations"
PAGE = FOLDER.with_suffix(".md")
MADE_UP = "PRICES ARE MADE UP"


class Unit(configparser.RawConfigParser):
    """A unit of systemd, where a name may come again."""

    def __init__(self, text: str) -> None:
        super().__init__(strict=False, interpolation=None, delimiters=("=",))
        self.optionxform = str  # type: ignore[assignment]
        self.read_string(text)


@pytest.fixture(scope="module")
def unit() -> Unit:
    """The unit of the exchange."""
    return Unit((FOLDER / "evergamma.service").read_text())


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    """It is parsed at least, where there is no systemd."""
    analyze = shutil.which("systemd-analyze")
    text = (FOLDER / "evergamma.service").read_text()
    assert Unit(text).sections() == ["Unit", "Service", "Install"]
    if analyze is None:
        return
    place = tmp_path / "evergamma.service"
    place.write_text(text.replace("/opt/evergamma/bin/evergamma", sys.executable))
    done = subprocess.run(  # noqa: S603
        [analyze, "verify", str(place)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_leaves_time_to_stop(unit: Unit) -> None:
    """As much as the server may take, however long it drains; and it starts again."""
    service = unit["Service"]
    longest = DRAIN_MAX_S + ACCEPT_S + STOP_S + STOP_MAX
    assert int(service["TimeoutStopSec"]) > longest + 10
    assert service["KillSignal"] == "SIGTERM"
    assert "TimeoutStartSec" not in service  # it would bound nothing: without Type= none is awaited
    assert service["Restart"] == "always"


def test_the_unit_gives_away_little(unit: Unit) -> None:
    service = unit["Service"]
    for name in ("DynamicUser", "NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices"):
        assert service[name] == "yes", name
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert "master-key" not in service["ExecStart"]


def test_the_image_is_built_from_what_it_copies(tmp_path: Path) -> None:
    """The step that makes the wheel, run where only that is; the wheel serves on its own."""
    place = copy_sources(tmp_path)
    (step,) = [each for each in run_steps(tmp_path) if "--no-build-isolation" in each]
    run(step.replace(f"{tmp_path}/tools/bin/python", sys.executable), place)
    (wheel,) = (tmp_path / "wheels").glob("evergamma-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        packed.extractall(tmp_path / "installed")
    for needed in ("swagger-ui.css.gz", "swagger-ui-bundle.js.gz", "swagger-ui.LICENSE"):
        assert f"api/http/docs/{needed}" in names
    assert not any(name.startswith(("tests/", "docs/")) for name in names)
    done = run(f"PYTHONPATH={tmp_path}/installed {sys.executable} -m api serve --check", tmp_path)
    assert 'host = "127.0.0.1"' in done


def test_every_step_of_the_image_is_known() -> None:
    """The full install is a command; what it runs is what the file says."""
    first, second = stages()
    assert [line.split()[0] for line in first].count("RUN") == len(run_steps(Path("/x")))
    assert all("/x/" in step for step in run_steps(Path("/x")))
    assert 'ENTRYPOINT ["evergamma"]' in second
    assert "STOPSIGNAL SIGTERM" in second
    assert [line for line in second if line.startswith("USER")] == ["USER 10001"]


class Shipped(Process):
    """A server with the settings that are shipped, on a port and in a folder of its own."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.places = ("--database", f"{folder}/d.sqlite", "--master-key", f"{folder}/master.key")
        settings = ("--config", str(FOLDER / "evergamma.toml"), "--port", "0")
        super().__init__(["-m", "api", "serve", *settings, *self.places, *more], folder / "log")


def commands_of(section: str, language: str) -> str:
    """Return the commands of a section of the page."""
    text = PAGE.read_text().split(f"## {section}\n")[1].split("\n## ")[0]
    (found,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(found)


def test_the_first_key_and_the_first_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page's commands as they are, but for the places, on a server with what is shipped."""
    section = "The first key, the first token"
    with Shipped(tmp_path) as server:
        command = commands_of(section, "bash").replace(
            "/opt/evergamma/bin/evergamma", f"PYTHONPATH={ROOT} {sys.executable} -m api"
        )
        for usual, here in (
            ("/var/lib/evergamma/run/exchange.sqlite", f"{tmp_path}/d.sqlite"),
            ("/etc/evergamma/master.key", f"{tmp_path}/master.key"),
        ):
            assert usual in command
            command = command.replace(usual, here)
        printed = dict(line.split() for line in run(command, tmp_path).splitlines())
        monkeypatch.setenv("EG_URL", server.url)
        monkeypatch.setenv("EG_KEY", printed["key"])
        monkeypatch.setenv("EG_SECRET", printed["secret"])
        exec(commands_of(section, "python"), {})  # noqa: S102
        with Client(server.url, *capsys.readouterr().out.split()) as alice:
            (held,) = alice.account().balances
            assert (held.token, held.balance) == ("TSLA.M", "100")
            assert alice.status().feed == "push"
        server.stop()
        assert MADE_UP not in server.said


def test_made_up_prices_are_told_of_in_the_log(tmp_path: Path) -> None:
    with Shipped(tmp_path, "--feed", "simulated", "--domain", "exchange.example") as server:
        server.stop()
        (line,) = [each for each in server.said.splitlines() if MADE_UP in each]
    assert json.loads(line)["level"] == "warning"


def test_the_image_and_the_settings_make_no_prices_up() -> None:
    _, image = stages()
    (environment,) = [line for line in image if line.startswith("ENV ")]
    assert "EVERGAMMA_FEED=push" in environment.split()
    page = PAGE.read_text()
    assert "EVERGAMMA_TRUSTED_PROXIES=" in page
    assert "EVERGAMMA_DOMAIN=exchange.example" in page
    proxied = tomllib.loads(commands_of("Install", "toml"))
    assert proxied == {"trusted-proxies": "127.0.0.1", "domain": "exchange.example"}


def test_files_the_page_names_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE.read_text()):
        assert (PAGE.parent / target).exists(), target
    for path in FOLDER.iterdir():
        assert f"operations/{path.name}" in PAGE.read_text(), path.name
