"""`evergamma study waterfall`: it writes its page, and replays months under other parameters."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from api.histories import Stretch, replay_design
from sims.chapters.page import blocks_of, rows_of
from sims.chapters.waterfall import DOCS
from sims.chapters.waterfall_histories import histories_table
from sims.chapters.waterfall_pictures import draw_histories
from sims.chapters.waterfall_years import INSURANCE_FIRST, MAIN_FIRST
from tests.api.conftest import Call
from tests.api.test_command_line import hours, write

DAY_MS = 86_400_000
START_MS = 1_704_067_200_000


@pytest.mark.compiled
def test_the_command_writes_tables_and_pictures(call: Call, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    page = Path(shutil.copy(DOCS / "waterfall.md", docs))
    before = page.read_text()
    status, _, errors = call("study", "waterfall", "--quick", "--years", 2, "--docs", docs)
    assert status == 0, errors
    old, new = blocks_of(before), blocks_of(page.read_text())
    assert old["histories"] == new["histories"]
    assert old["main"] != new["main"]
    for name, block in new.items():
        assert len(rows_of(block)) == len(rows_of(old[name]))
    pictures = {path.name for path in (docs / "pictures").iterdir()}
    assert pictures == {"waterfall-weeks.png", "waterfall-frontier.png"}


def test_a_page_that_is_not_there_is_told_in_one_line(call: Call, tmp_path: Path) -> None:
    status, _, errors = call("study", "waterfall", "--quick", "--docs", tmp_path / "nowhere")
    assert status == 2
    assert errors.count("\n") == 1
    assert "waterfall.md is not there" in errors


@pytest.mark.compiled
def test_history_is_replayed_under_a_design(tmp_path: Path) -> None:
    """Same flow, other parameters: insurance first claims the first loss there is, if any."""
    for symbol, price in (("BTC", 42_000.0), ("ETH", 2_300.0)):
        write(tmp_path / f"{symbol}_1h.csv", hours(price))
    stretch = Stretch("January", START_MS, START_MS + 2 * DAY_MS)
    found = [
        replay_design(tmp_path, stretch, name, design)
        for name, design in (("none", MAIN_FIRST), ("first", INSURANCE_FIRST))
    ]
    for each in found:
        assert each.times.size == each.main.size == each.insurance.size == 2
        assert each.main[0] == 1.0
        assert each.insurance[0] == 3_001.0
    none, first = found
    assert none.claims == none.insurance_pnl == 0.0
    assert np.isclose(none.main[-1] - 1.0, none.main_pnl / 20_001.0, atol=0.01)
    assert none.premium > 0.0
    assert first.repaid == 0.0
    rows = rows_of(histories_table(found))
    assert [row[0] for row in rows] == ["January, none", "January, first"]
    draw_histories(tmp_path / "drawn.png", "January", found)
    assert (tmp_path / "drawn.png").stat().st_size > 1_000
