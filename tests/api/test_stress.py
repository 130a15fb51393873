"""`evergamma simulate stress`, as a user runs it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.__main__ import app

PAGE = Path(__file__).parents[2] / "docs" / "stresses.md"
OWN = """
name = "own"
days = 2
paths = 2
[market]
model = "brownian"
[[claims]]
says = "Nobody comes."
figure = "orders"
statistic = "most"
at_most = {most}
"""


def _stress(*arguments: str | Path) -> tuple[int, str, str]:
    ran = CliRunner().invoke(app, ["simulate", "stress", *map(str, arguments)])
    return ran.exit_code, ran.stdout, ran.stderr


@pytest.mark.compiled
@pytest.mark.parametrize(("most", "status"), [(1_000, 0), (0, 1)])
def test_the_exit_status_says_whether_claims_hold(tmp_path: Path, most: int, status: int) -> None:
    own = tmp_path / "own.toml"
    own.write_text(OWN.format(most=most), "utf-8")
    found, shown, _ = _stress(own, "--seed", "7", "--output", tmp_path)
    assert found == status, shown
    assert f"wrote {tmp_path}/stress.json" in shown
    figures = json.loads((tmp_path / "stress.json").read_text("utf-8"))
    assert figures["holds"] == (status == 0)
    stress = figures["stresses"][0]
    assert (stress["name"], stress["market"], stress["paths"]) == ("own", "brownian", 2)
    assert stress["seed"] == 7
    claim = stress["claims"][0]
    assert claim["pool"] == "TSLA.M"
    assert (claim["value"] <= most) == claim["holds"] == (status == 0)
    assert ("FAILS" in shown) == (status == 1)


@pytest.mark.compiled
def test_a_single_path_has_a_figure_without_an_error(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(OWN.format(most=1_000), "utf-8")
    assert _stress(own, "--paths", "1", "--output", tmp_path)[0] == 0
    figures = json.loads((tmp_path / "stress.json").read_text("utf-8"))
    assert figures["stresses"][0]["claims"][0]["error"] is None


def test_the_library_is_listed() -> None:
    status, shown, _ = _stress("--list")
    assert status == 0
    assert len(shown.splitlines()) == 14
    assert "bank-run" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["default"], "default: claims: there are none to be checked"),
        (["no-such"], "no-such: neither a .toml file nor one of"),
        (["nowhere.toml"], "nowhere.toml: No such file"),
        (["bank-run", "--page", str(PAGE)], "--page is written of the whole library"),
        (["--page", "nowhere.md"], "nowhere.md"),
        (["may-2021", "--data", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    status, _, told = _stress(*arguments, "--output", tmp_path / "out")
    assert status == 2
    assert said in told.splitlines()[-1]
    assert not (tmp_path / "out").exists()
