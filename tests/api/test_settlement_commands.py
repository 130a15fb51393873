"""`evergamma simulate settlement` and `evergamma study settlement`, as a user runs them."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.__main__ import app
from sims.chapters.page import blocks_of, rows_of
from sims.settlement.chapter import DEMANDS, STOCKS, STOCKS_IDLE
from sims.settlement.study import GAPS, IDLE, SWEPT

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.compiled
def test_both_settlements_are_compared_through_a_gap(tmp_path: Path) -> None:
    arguments = ["simulate", "settlement", "--paths", "20", "--stock", "MSTR", "--gap", "-0.35"]
    ran = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    assert "A gap of -35 %" in ran.stdout
    found = json.loads((tmp_path / "settlement.json").read_text("utf-8"))
    assert len(found["through"]) == len(SWEPT) * (len(GAPS) + 1)
    assert [row["stock"] for row in found["weekends"]] == ["MSTR"] * (1 + len(IDLE))
    singled = {row["settlement"]: row for row in found["through"] if row["gap"] == -0.35}
    assert singled["coin"]["missing"]["value"] == 0.0
    assert singled["dollar"]["cover"]["value"] < 1.0
    page = (tmp_path / "settlement.html").read_text("utf-8")
    assert "data:image/png;base64," in page
    assert "http" not in page  # nothing is fetched
    assert (tmp_path / "settlement.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.compiled
def test_the_chapter_is_written_anew(tmp_path: Path) -> None:
    page = Path(shutil.copy(DOCS / "settlement.md", tmp_path))
    before = blocks_of(page.read_text("utf-8"))
    ran = CliRunner().invoke(app, ["study", "settlement", "--paths", "20", "--docs", str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    after = blocks_of(page.read_text("utf-8"))
    assert "\n20 histories" in f"\n{after['about']}"
    for name, block in after.items():
        assert len(rows_of(block)) == len(rows_of(before[name]))
    assert len(rows_of(after["stocks"])) == len(STOCKS) * len(STOCKS_IDLE)
    assert len(rows_of(after["demand"])) == len(DEMANDS)
    assert (tmp_path / "pictures" / "settlement.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stock", "GME"], "stock: 'GME' is not one of TSLA"),
        (["--gap", "-1"], "gap: -1 is not from -0.95 to 3"),
        (["--gap", "nan"], "gap: nan is not from"),
        (["--paths", "5"], "paths: 5 are fewer than 20"),
        (["--orders", "0"], "orders: 0 a day are not from 4 to 500"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    output = tmp_path / "found"
    ran = CliRunner().invoke(app, ["simulate", "settlement", *arguments, "--output", str(output)])
    assert ran.exit_code == 2
    assert said in ran.stderr.splitlines()[-1]
    assert not output.exists()


def test_an_output_that_is_no_folder_is_told_before_anything_runs(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("kept")
    ran = CliRunner().invoke(app, ["simulate", "settlement", "--output", str(place)])
    assert ran.exit_code == 2
    assert "File exists" in ran.stderr
    assert place.read_text() == "kept"


def test_a_page_that_is_not_there_is_told_before_anything_runs(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["study", "settlement", "--docs", str(tmp_path)])
    assert ran.exit_code == 2
    assert "settlement.md is not there" in ran.stderr
