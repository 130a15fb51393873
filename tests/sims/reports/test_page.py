"""The page and its charts: whole, of itself, and saying what the statistics say."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from sims.reports.charts import quantiles_by_day
from sims.reports.figures import Figure
from sims.reports.step_check import Compared, StepCheck, shorter
from sims.reports.tables import shown
from sims.reports.tornado import Bar, Tornado
from sims.reports.write import PAGE, STATISTICS, write_report
from sims.scenarios.file import ScenarioError
from sims.statistics import Estimate
from tests.sims.reports.runs import drawn, file_of

FILE = file_of(days=15, paths=400, description="Fees < 1 % & more")
EMPTY = {"meta", "img", "br"}
PNG = b"\x89PNG\r\n"


class Page(HTMLParser):
    """A page read: whether its tags fit, what it loads, and the cells of its tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.cells: dict[str, list[str]] = {}
        self._table = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what is loaded, and where tables and cells begin."""
        values = dict(attrs)
        self.loaded += [value or "" for name, value in attrs if name in {"src", "href", "data"}]
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == "table":
            self._table = values.get("id") or ""
        if tag == "td":
            self.cells.setdefault(self._table, []).append("")

    def handle_endtag(self, tag: str) -> None:
        """Check that it closes what was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Add to the cell that is open."""
        if "td" in self.open:
            self.cells[self._table][-1] += data


def _bar(name: str, low: float, high: float) -> Bar:
    return Bar(name, "1", "2", Estimate(low, 0.01), Estimate(0.1, 0.01), Estimate(high, 0.01))


TORNADO = Tornado("TSLA.M", "ES", "share", (_bar("narrow", 0.09, 0.12), _bar("wide", 0.3, 0.05)))
STEP = StepCheck(
    30,
    100,
    (Compared("TSLA.M", "drawdown", Figure(0.1, 0.01), Figure(0.13, 0.02), Figure(0.03, 0.022)),),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("report")
    write_report(drawn(FILE, 400), place, worst=0, tornados=[TORNADO], step=STEP)
    return place


def test_a_page_is_of_itself_and_has_every_chart(folder: Path) -> None:
    page = Page((folder / PAGE).read_text("utf-8"))
    assert page.open == []
    charts = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    assert charts.keys() == {
        "TSLA.M-share-price.png", "TSLA.M-drawdown.png", "TSLA.M-profit.png", "tornado-1.png",
    }  # fmt: skip
    embedded = [
        base64.b64decode(each.removeprefix("data:image/png;base64,")) for each in page.loaded
    ]
    assert sorted(embedded) == sorted(charts.values())
    assert all(each.startswith(PNG) for each in embedded)


def test_a_page_loads_nothing_and_runs_nothing(folder: Path) -> None:
    text = (folder / PAGE).read_text("utf-8")
    assert not re.search(r"https?://|<script|@import|url\(", text)


def test_the_page_says_what_the_statistics_say(folder: Path) -> None:
    cells = Page((folder / PAGE).read_text("utf-8")).cells
    statistics = json.loads((folder / STATISTICS).read_bytes())
    tables = statistics["pools"]["TSLA.M"]
    compared = 0
    for name in ("distribution", "tails", "survival", "events", "money", "traders"):
        read = {" ".join(cell.split()).replace("± ", "±").replace("±", " ± ").replace("  ", " ")
                for cell in cells[f"TSLA.M-{name}"]}  # fmt: skip
        for row in tables[name].values():
            for each in row.values():
                assert shown(Figure(each["value"], each["error"]), each["unit"]) in read
                compared += 1
    assert compared > 150
    assert statistics["step_check"]["pools"]["TSLA.M"]["drawdown"]["change"]["value"] == 0.03
    assert "3.0 ± 2.2 %" in cells["step-check"]
    assert [bar["parameter"] for bar in statistics["tornados"][0]["bars"]] == ["wide", "narrow"]


def test_words_of_a_scenario_are_words_on_the_page(folder: Path) -> None:
    text = (folder / PAGE).read_text("utf-8")
    assert "Fees &lt; 1 % &amp; more" in text
    assert FILE.digest() in text
    assert "not measured" not in text


def test_pictures_of_an_earlier_report_go_others_stay(tmp_path: Path) -> None:
    for name in ("TSLA.M-worst-9.png", "tornado-1.png", "mine.png"):
        (tmp_path / name).write_bytes(PNG)
    write_report(drawn(FILE, 300), tmp_path, worst=0)
    left = {path.name for path in tmp_path.glob("*.png")}
    assert "mine.png" in left
    assert not {"TSLA.M-worst-9.png", "tornado-1.png"} & left
    text = (tmp_path / PAGE).read_text("utf-8")
    assert "partial: 300 of 400" in text
    assert "Discretisation error: not measured" in text


def test_one_path_has_a_report(tmp_path: Path) -> None:
    written = write_report(drawn(FILE, 1), tmp_path, worst=0)
    text = written.page.read_text("utf-8")
    assert "One path has no scatter" in text
    assert not re.search(r"\b(nan|inf|None)\b", re.sub(r"base64,[^\"]*", "", text))


def test_every_pool_has_a_section(tmp_path: Path) -> None:
    pools = [{"token": "TSLA.M"}, {"token": "NVDA.M", "insurance": 0}]
    written = write_report(drawn(file_of(days=15, paths=20, pools=pools), 20), tmp_path, worst=0)
    assert "insurers" in written.verdicts[0][0]
    assert "there are no insurers" in written.verdicts[1][0]
    cells = Page(written.page.read_text("utf-8")).cells
    assert {"TSLA.M-tails", "NVDA.M-tails"} <= cells.keys()
    assert (tmp_path / "NVDA.M-profit.png").exists()


def test_bands_are_weighted_quantiles_of_each_day() -> None:
    values = np.array([[1.0, 5.0], [2.0, 4.0], [3.0, 3.0], [4.0, 2.0]])
    weights = np.array([1.0, 1.0, 1.0, 5.0])
    found = quantiles_by_day(values, weights, (0.125, 0.25, 0.5))
    np.testing.assert_array_equal(found, [[1.0, 2.0], [2.0, 2.0], [4.0, 2.0]])


def test_a_shorter_step_divides_a_day() -> None:
    assert [shorter(minutes) for minutes in (60, 45, 15, 5, 2)] == [30, 20, 6, 2, 1]
    with pytest.raises(ScenarioError, match="step_minutes"):
        shorter(1)
