"""What a history knows of vol, and when."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from amm.units import DAY_MS, HOUR_MS
from sims.markets.surfaces import LevelRow
from sims.markets.vols import (
    AGE_MAX_MS,
    LEVEL_PER_INDEX,
    VolHistory,
    level_at,
    levels_at,
    no_vols,
    read_vols,
    surface_at,
)

DAY = 1_760_000_000_000 // DAY_MS * DAY_MS


def test_a_level_counts_from_when_it_is_known_until_it_is_old() -> None:
    vols = VolHistory(((LevelRow(DAY, 0.5), LevelRow(DAY + HOUR_MS, 0.6)),), ((),))
    assert level_at(vols, 0, DAY - 1) == 0.0
    assert level_at(vols, 0, DAY) == 0.5
    assert level_at(vols, 0, DAY + HOUR_MS) == 0.6
    assert level_at(vols, 0, DAY + HOUR_MS + AGE_MAX_MS) == 0.6
    assert level_at(vols, 0, DAY + HOUR_MS + AGE_MAX_MS + 1) == 0.0


def test_a_folder_without_vols_knows_nothing(tmp_path: Path) -> None:
    vols = read_vols(tmp_path, ("BTC", "ETH"), DAY, DAY + DAY_MS)
    assert vols == no_vols(("BTC", "ETH"))
    assert surface_at(vols, 1, DAY) == (None, 0)


def test_an_index_is_known_after_its_day_and_stands_above_the_money(tmp_path: Path) -> None:
    lines = ["date,dvol,seg", "2025-10-08,40,0", "2025-10-09,50,0", "2025-10-10,60,0"]
    (tmp_path / "DVOL_BTC_1d.csv").write_text("\n".join(lines))
    start = 1_760_054_400_000  # midnight of 10 October 2025
    vols = read_vols(tmp_path, ("BTC", "ETH"), start, start + DAY_MS)
    assert level_at(vols, 0, start - 1) == pytest.approx(LEVEL_PER_INDEX * 0.4)
    assert level_at(vols, 0, start) == pytest.approx(LEVEL_PER_INDEX * 0.5)
    assert level_at(vols, 0, start + 2 * DAY_MS) == pytest.approx(LEVEL_PER_INDEX * 0.5)
    assert level_at(vols, 1, start) == 0.0


def test_surfaces_and_their_levels_come_together(market_data: Path) -> None:
    start = 1_767_571_200_000  # 5 January 2026
    vols = read_vols(market_data, ("BTC", "ETH"), start, start + DAY_MS)
    for symbol in (0, 1):
        surface, since = surface_at(vols, symbol, start)
        assert surface is not None
        assert 0 <= start - since < DAY_MS
        assert 0.2 < level_at(vols, symbol, start) < 1.0
    assert all(row.time_ms < start + DAY_MS for row in vols.surfaces[0])


def test_the_index_ratio_is_that_of_the_series(market_data: Path) -> None:
    with gzip.open(market_data / "derived" / "surface_series_6h.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    ratios = [100 * float(row["atm30"]) / float(row["dvol_like"]) for row in rows]
    assert np.median(ratios) == pytest.approx(LEVEL_PER_INDEX, abs=0.005)
    assert np.percentile(ratios, [5, 95]) == pytest.approx([0.89, 0.94], abs=0.006)


def test_levels_of_many_times_are_those_of_each() -> None:
    rows = tuple(LevelRow(DAY + hour * HOUR_MS, 0.3 + hour / 100) for hour in (0, 1, 5, 70))
    vols = VolHistory((rows, ()), ((), ()))
    times = DAY + HOUR_MS * np.arange(-3, 130)
    found = levels_at(vols, 0, times)
    assert found.tolist() == [level_at(vols, 0, int(time)) for time in times]
    assert (found == 0.0).sum() > 3
    assert not levels_at(vols, 1, times).any()
