"""`evergamma simulate sweep`, `tornado`, `frontier` and `suggest`, as a user runs them."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.__main__ import app
from api.commands.inputs import BadInputError
from api.commands.sweeping import axis_of
from sims.sweeps.axes import Axis

SCENARIO = """
name = "short"
days = 2
paths = 64
[[pools]]
main = 1_000
insurance = 100
[buyers]
orders_per_day = 40
holding_days = 0.5
"""


def _call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "short.toml"
    path.write_text(SCENARIO)
    return path


def _are_written(folder: Path, name: str) -> dict[str, object]:
    """Check page and picture; return the figures."""
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / f"{name}.html").read_text("utf-8")
    parser = HTMLParser()
    parser.feed(page)
    assert "data:image/png;base64," in page
    assert "http" not in page  # nothing is fetched
    found: dict[str, object] = json.loads((folder / f"{name}.json").read_text("utf-8"))
    assert found["version"] == 1
    assert found["seed"] == 1
    return found


@pytest.mark.compiled
def test_a_sweep_is_run_taken_up_and_ranked(scenario: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ran"
    ranges = ["--set-range", "buyers.size=0.005,0.02", "--set-range", "buyers.calls=0.2:0.8:2"]
    arguments = ["sweep", "--scenario", scenario, *ranges, "--output", folder, "--threads", 1]
    ran = _call(*arguments)
    assert ran.exit_code == 0, ran.output
    points = _are_written(folder, "sweep")["points"]
    assert isinstance(points, list)
    assert [each["settings"].get("buyers.size") for each in points] == [
        None, 0.005, 0.005, 0.02, 0.02,
    ]  # fmt: skip
    assert "size 0.005, calls 0.2" in ran.stdout
    refused = _call(*arguments)
    assert refused.exit_code == 2
    assert "is not empty; resume it" in refused.stderr
    parts = {path: path.stat().st_mtime_ns for path in folder.glob("points/*/parts/*")}
    assert len(parts) == 5
    assert _call(*arguments, "--resume").exit_code == 0
    assert parts == {path: path.stat().st_mtime_ns for path in folder.glob("points/*/parts/*")}
    ranked = _call("frontier", folder)
    assert ranked.exit_code == 0, ranked.output
    assert "efficient" in ranked.stdout
    places = _are_written(folder, "frontier")["points"]
    assert isinstance(places, list)
    assert [each["settings"] for each in places] == [each["settings"] for each in points]


@pytest.mark.compiled
def test_a_tornado_is_drawn_of_some_shipped_settings(scenario: Path, tmp_path: Path) -> None:
    ran = _call(
        "tornado", scenario, "--settings", "buyers.size,pools.parameters.fee", "--figures",
        "pnl,phi", "--output", tmp_path / "ran", "--threads", 1, "--report",
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    swings = _are_written(tmp_path / "ran", "tornado")["tornado"]
    assert isinstance(swings, dict)
    assert list(swings) == ["pnl", "phi"]
    assert {each["setting"] for each in swings["phi"]} == {"buyers.size", "pools.parameters.fee"}
    (size,) = (each for each in swings["pnl"] if each["setting"] == "buyers.size")
    assert (size["low"], size["high"]) == (0.004, 0.016)  # half and twice the default
    told = json.loads((tmp_path / "ran" / "report" / "statistics.json").read_text("utf-8"))
    bar = next(each for each in told["tornados"][0]["bars"] if each["parameter"] == "buyers.size")
    assert bar["low"]["value"] == size["at_low"]["value"]
    assert bar["low"]["error"] == size["less"]["error"]  # of the paired difference
    assert (tmp_path / "ran" / "report" / "tornado-2.png").is_file()


@pytest.mark.compiled
def test_a_search_says_how_far_and_fails_where_nothing_will_do(
    scenario: Path, tmp_path: Path
) -> None:
    asked = ["suggest", scenario, "--setting", "buyers.size", "--threads", 1, "--halvings", 2]
    ran = _call(
        *asked, "--low", 0.002, "--high", 0.2, "--log", "--drawdown", 0.005, "--probability", 0.2,
        "--output", tmp_path / "some",
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    found = _are_written(tmp_path / "some", "suggest")
    assert found["found"] == "largest"
    assert "P(drawdown > 0.5 %) <= 20 % with 95 % confidence: holds at buyers.size" in ran.stdout
    none = _call(
        *asked, "--low", 0.2, "--high", 0.3, "--drawdown", 0.0001, "--output", tmp_path / "none"
    )
    assert none.exit_code == 1
    assert "no value is named" in none.stdout
    assert _are_written(tmp_path / "none", "suggest")["value"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sweep"], "give either a sweep file or --set-range"),
        (["sweep", "nowhere.toml"], "nowhere.toml: No such file"),
        (["sweep", "--set-range", "buyers.size"], "--set-range 'buyers.size'"),
        (["sweep", "--set-range", "buyers.size=2:1"], "buyers.size: low must be below high"),
        (["sweep", "--set-range", "buyers.size=1:x"], "could not convert string to float: 'x'"),
        (["sweep", "--set-range", "a=1,2", "--sobol", "3"], "points is 3, must be a power of two"),
        (["sweep", "--set-range", "a=1,2", "--token", "X.M"], "token X.M is none of TSLA.M"),
        (["sweep", "--set-range", "a=1,2"], "a = 1: Object contains unknown field `a`"),
        (["tornado", "default", "--settings", "a"], "--settings a is none of buyers.size"),
        (["tornado", "default", "--figures", "a"], "--figures a is none of pnl"),
        (["frontier", "nowhere"], "nowhere: no sweep is there"),
        (
            ["suggest", "default", "--setting", "a", "--low", "0", "--high", "1"],
            "a: leads nowhere",
        ),
        (
            ["suggest", "default", "--setting", "a", "--low", "1", "--high", "0"],
            "a: low must be below high",
        ),
        (
            ["suggest", "default", "--setting", "a", "--low", "0", "--high", "1", "--paths", "9"],
            "paths is 9: this limit needs at least 59",
        ),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = _call(*arguments)
    assert ran.exit_code == 2
    assert said in ran.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_ranges_are_read_as_they_are_written() -> None:
    assert axis_of("a=1:8:4:log") == Axis("a", low=1.0, high=8.0, steps=4, log=True)
    assert axis_of(" a = 0.5:2:times") == Axis("a", low=0.5, high=2.0, times=True)
    assert axis_of("a=1,2.5").values == (1, 2.5)
    assert axis_of("market.start=calm,busy").values == ("calm", "busy")
    with pytest.raises(BadInputError, match="--set-range"):
        axis_of("a=1:2:3:often")
