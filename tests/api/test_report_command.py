"""`evergamma simulate report`, as a user runs it on the folder of a run."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.__main__ import app
from sims.runs.run import run
from sims.runs.workers import Threads
from sims.scenarios.reading import find_scenario


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run") / "default"
    run(find_scenario("default").with_settings({"days": 2, "paths": 12}), None, place, Threads(1))
    return place


@pytest.mark.compiled
def test_a_run_is_reported_where_it_is(folder: Path) -> None:
    asked = ["simulate", "report", str(folder), "--worst", "1", "--check-step", "4"]
    ran = CliRunner().invoke(app, asked)
    assert ran.exit_code == 0, ran.output
    assert "default: seed 1, 12 paths" in ran.stdout
    assert "Who holds a main share all the time can expect" in ran.stdout
    assert "Losses in the tail" in ran.stdout
    assert f"wrote {folder}/report.html" in ran.stdout
    statistics = json.loads((folder / "statistics.json").read_bytes())
    assert statistics["step_check"]["step_minutes"] == 30
    drawdown = statistics["pools"]["TSLA.M"]["distribution"]["drawdown"]["mean"]
    assert f"{100.0 * drawdown['value']:.2f}" in ran.stdout
    assert (folder / "TSLA.M-worst-1.png").exists()


@pytest.mark.compiled
def test_a_report_can_go_elsewhere(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "report"
    ran = CliRunner().invoke(
        app, ["simulate", "report", str(folder), "--worst", "0", "--output", str(output)]
    )
    assert ran.exit_code == 0, ran.output
    assert {"report.html", "statistics.json"} <= {path.name for path in output.iterdir()}


def test_where_no_run_is_there_is_no_report(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["simulate", "report", str(tmp_path)])
    assert ran.exit_code == 2
    assert "no run is there" in ran.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
