"""`evergamma simulate calibrate` and `check-market`, as a user runs them, on recorded prices."""

import json
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.__main__ import app
from api.commands.inputs import data_folder

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.skipif(data_folder(None) is None, reason="no price history"),
]


def test_the_market_is_calibrated_into_a_file(tmp_path: Path) -> None:
    output = tmp_path / "found.toml"
    ran = CliRunner().invoke(
        app, ["simulate", "calibrate", "--draws", "2", "--output", str(output)]
    )
    assert ran.exit_code == 0, ran.output
    assert f"wrote {output}" in ran.stdout
    assert tomllib.loads(output.read_text("utf-8"))["about"]["split"] == "2024-07-01"


def test_the_market_is_checked_and_what_fails_is_named(tmp_path: Path) -> None:
    arguments = ["simulate", "check-market", "--paths", "200", "--level", "2.5"]
    ran = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    figures = json.loads((tmp_path / "market-check.json").read_text("utf-8"))
    assert {"figures", "distributions"} <= set(figures)
    assert "BTC vol a year" in ran.stdout.splitlines()[-2]  # as in a crash
    page = (tmp_path / "market-check.html").read_text("utf-8")
    assert "data:image/png;base64," in page
    assert "http" not in page  # nothing is fetched


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["calibrate", "--split", "soon"], "soon"),
        (["calibrate", "--split", "2020-01-01"], "are too few"),
        (["check-market", "--split", "2031-01-01"], "0 recorded hours are too few"),
        (["check-market", "--level", "9"], "level must be from 0.1 to 3, or 0"),
        (["calibrate", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str) -> None:
    ran = CliRunner().invoke(app, ["simulate", *arguments])
    assert ran.exit_code == 2
    assert said in ran.stderr.splitlines()[-1]
