"""What runs come to: against small arrays by hand, identities, and runs that tell little."""

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sims.reports.attribution import attribution
from sims.reports.pool_tables import growth_a_year, whole_weeks
from sims.reports.summary import Summary, summarise, to_json
from sims.reports.verdict import cautions, verdict
from tests.sims.reports.runs import drawn, file_of, results

FILE = file_of(days=15, paths=400)


def _figures(content: Any) -> Iterator[dict[str, Any]]:
    if isinstance(content, dict):
        if "error" in content:
            yield content
        for each in content.values():
            yield from _figures(each)


def _summary(paths: int) -> Summary:
    return summarise(drawn(FILE, paths), "0")


def test_growth_a_year_is_that_of_the_exchange() -> None:
    grown = growth_a_year(np.array([0.01, 0.0, -1.5]), 30)
    assert grown[0] == pytest.approx(math.log(1.01) * 365.0 / 30.0)
    assert grown[1] == 0.0
    assert grown[2] == pytest.approx(math.log(1e-4) * 365.0 / 30.0)  # worthless


def test_weeks_follow_one_another_and_the_rest_is_left_out() -> None:
    prices = np.arange(1.0, 18.0)[None, :]
    weeks = whole_weeks(prices, np.ones(1))
    assert weeks is not None
    np.testing.assert_allclose(weeks.changes, [[8.0 / 1.0 - 1.0, 15.0 / 8.0 - 1.0]])
    assert whole_weeks(prices[:, :7], np.ones(1)) is None


def test_figures_are_those_of_the_paths() -> None:
    prices = np.ones((4, 16))
    prices[:, -1] = [0.9, 1.0, 1.1, 1.2]
    totals = {
        "share_price": prices[:, -1],
        "drawdown": np.array([0.1, 0.0, 0.02, 0.3]),
        "under_water": np.array([0.5, 0.0, 0.5, 1.0]),
        "claims": np.array([0.0, 0.0, 3.0, 0.0]),
        "flushes": np.full(4, 10.0),
        "stressed": np.array([0.2, 0.0, 0.0, 0.0]),
        "exhausted": np.array([0.1, 0.0, 0.0, 0.0]),
        "impact_paid": np.full(4, 5.0),
        "impact_refunded": np.full(4, 2.0),
    }
    tables = summarise(results(FILE, totals, prices), "0").pools[0].tables
    spread = tables["distribution"]
    assert spread.figure("share_price", "mean").value == pytest.approx(0.05)
    assert spread.figure("under_water", "mean").value == pytest.approx(7.5)
    assert tables["tails"].figure("share_price", "var95").value == pytest.approx(0.1)
    survival = {row.name: row.cells["paths"].value for row in tables["survival"].rows}
    assert survival["above_1"] == pytest.approx(0.75)
    assert survival["above_2"] == pytest.approx(0.5)  # exceeded, not reached
    assert survival["above_50"] == 0.0
    events = tables["events"]
    assert events.figure("claim", "paths").value == pytest.approx(0.25)
    assert events.figure("not_normal", "paths").value == pytest.approx(0.25)
    assert events.figure("not_normal", "flushes").value == pytest.approx(0.075)
    assert tables["money"].figure("impact", "mean").value == pytest.approx(3.0)


def test_survival_falls_and_shortfall_is_beyond_value_at_risk() -> None:
    tables = _summary(400).pools[0].tables
    survival = [row.cells["paths"].value for row in tables["survival"].rows]
    assert survival == sorted(survival, reverse=True)
    assert survival[0] > survival[2] > 0.0
    for row in tables["tails"].rows:
        for level in (95, 99):
            assert row.cells[f"var{level}"].value <= row.cells[f"es{level}"].value + 1e-12


def test_parts_sum_to_the_profit_whatever_the_weights() -> None:
    run = drawn(FILE, 50)
    weights = np.linspace(0.1, 3.0, 50)
    parts, profit = attribution(run.total, 10_001.0, weights)
    assert sum(each.amount.value for each in parts) == pytest.approx(profit.value, rel=1e-12)
    mean = 10_001.0 * float(weights @ run.total("main_pnl") / weights.sum())
    assert profit.value == pytest.approx(mean, rel=1e-12)
    assert profit.error is not None
    assert {each.name for each in parts if each.amount.value == 0.0} == {"to_insurance", "impact"}


def test_statistics_are_told_under_names_that_stay() -> None:
    summary = _summary(400)
    content = json.loads(to_json(summary))
    assert content["version"] == 1
    assert content["run"]["digest"] == FILE.digest()
    assert content["run"]["seed"] == FILE.seed
    found = content["pools"]["TSLA.M"]["tails"]["week"]["es95"]
    told = summary.pools[0].tables["tails"].figure("week", "es95")
    assert found == {"value": told.value, "error": told.error, "unit": "share"}
    assert content["pools"]["TSLA.M"]["money"]["premium"]["part"]["unit"] == "share"
    assert all(math.isfinite(each["value"]) for each in _figures(content))
    errors = [each["error"] for each in _figures(content) if each["error"] is not None]
    assert len(errors) > 50
    assert all(math.isfinite(error) for error in errors)


def test_one_path_tells_no_errors() -> None:
    summary = _summary(1)
    figures = list(_figures(json.loads(to_json(summary))))
    assert figures
    assert {each["error"] for each in figures} == {None}
    assert any("One path has no scatter" in text for text in cautions(summary))
    assert "±" not in " ".join(verdict(drawn(FILE, 1), summary, 0))


def test_a_run_that_was_not_finished_says_so() -> None:
    partial, whole = _summary(300), _summary(400)
    assert any("300 of 400 paths" in text for text in cautions(partial))
    assert cautions(whole) == []


def test_weighted_paths_say_what_they_are_worth() -> None:
    weights = np.where(np.arange(400) < 40, 10.0, 0.1)
    run = drawn(FILE, 400, weights)
    summary = summarise(run, "0")
    assert summary.effective == pytest.approx(436.0**2 / (4000.0 + 3.6))
    assert any("tell as much as 47" in text for text in cautions(summary))
    told = summary.pools[0].tables["distribution"].figure("drawdown", "mean").value
    mean = float(weights @ run.total("drawdown") / weights.sum())
    assert told == pytest.approx(mean)


def test_paths_shorter_than_a_week_have_no_weeks() -> None:
    short = file_of(days=3, paths=20)
    run = results(short, {"worst_week": np.linspace(-0.1, 0.0, 20)}, np.ones((20, 4)))
    rows = {row.name for row in summarise(run, "0").pools[0].tables["tails"].rows}
    assert rows == {"worst_week", "share_price", "main_pnl", "insurance_pnl"}
