"""Series of surfaces and levels are read as they are, and refused where they are not right."""

import gzip
from pathlib import Path

import pytest

from amm.ssvi import level_of
from amm.units import DAY_MS
from sims.markets.surfaces import (
    LevelRow,
    SurfaceError,
    SurfaceRow,
    read_levels,
    read_surfaces,
)
from sims.markets.table import iso_second

HEADER = "ts,currency,index," + ",".join(f"atm{d},rr25_{d},bf25_{d}" for d in (7, 30, 90, 180))
CALM = "0.37,-0.025,0.012,0.40,-0.038,0.011,0.42,-0.032,0.011,0.45,-0.031,0.007"


def row(ts: str = "2026-01-05T04:00:00Z", currency: str = "BTC", cells: str = CALM) -> str:
    return f"{ts},{currency},90000,{cells}"


def write(folder: Path, lines: list[str], header: str = HEADER) -> Path:
    path = folder / "surface_series_6h.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def without(*places: int) -> str:
    return ",".join("" if i in places else cell for i, cell in enumerate(CALM.split(",")))


def read_one(folder: Path, cells: str) -> SurfaceRow:
    write(folder, [row(cells=cells)])
    (found,) = read_surfaces(folder, ("BTC",))
    return found


def test_surfaces_are_read_in_order(tmp_path: Path) -> None:
    inner = tmp_path / "derived"
    inner.mkdir()
    lines = [row("2026-01-05T10:00:00Z"), row(currency="ETH"), row(), row(currency="DOGE")]
    (inner / "surface_series_6h.csv.gz").write_bytes(
        gzip.compress("\n".join([HEADER, *lines]).encode())
    )
    found = read_surfaces(tmp_path, ("BTC", "ETH"))
    assert [(each.symbol, iso_second(each.time_ms)[11:13]) for each in found] == [
        ("BTC", "04"),
        ("ETH", "04"),
        ("BTC", "10"),
    ]
    surface = found[0].surface
    assert found[0].level == 0.40
    assert level_of(surface) == pytest.approx(0.40, abs=0.01)
    assert -0.25 < surface.skew < -0.1
    assert 0.5 < surface.curvature < 1.0


def test_cells_may_be_missing(tmp_path: Path) -> None:
    full = read_one(tmp_path, CALM)
    holey = read_one(tmp_path, without(1, 3, 8))
    assert holey.level == level_of(holey.surface)
    assert holey.level == pytest.approx(full.level, abs=0.02)
    assert holey.surface.skew == pytest.approx(full.surface.skew, abs=0.05)


@pytest.mark.parametrize("places", [(0, 3, 6, 9), (1, 4, 7, 10), (2, 5, 8, 11)])
def test_a_row_too_empty_for_a_surface_is_left_out(tmp_path: Path, places: tuple[int, ...]) -> None:
    write(tmp_path, [row(cells=without(*places)), row("2026-01-05T10:00:00Z")])
    (found,) = read_surfaces(tmp_path, ("BTC",))
    assert iso_second(found.time_ms)[11:13] == "10"


BAD_SERIES = {
    "not a time": ([row("soon")], "line 2: ts 'soon'"),
    "twice": ([row(), row()], "line 3: BTC at 2026-01-05T04:00:00Z is there twice"),
    "NaN": ([row(cells=CALM.replace("0.40", "nan"))], "line 2: atm30 'nan'"),
    "per cent": ([row(cells=CALM.replace("0.40", "40"))], "line 2: vol 40"),
    "negative": ([row(cells=CALM.replace("0.40", "-0.4"))], "line 2: vol -0.4"),
    "wild wings": ([row(cells=CALM.replace("-0.038", "-38"))], "line 2: wings"),
    "short": ([row()[:-6]], "line 2: 14 cells"),
}


@pytest.mark.parametrize(("lines", "words"), BAD_SERIES.values(), ids=BAD_SERIES.keys())
def test_a_bad_series_is_refused(tmp_path: Path, lines: list[str], words: str) -> None:
    path = write(tmp_path, lines)
    with pytest.raises(SurfaceError) as caught:
        read_surfaces(tmp_path, ("BTC",))
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_a_folder_without_a_series_has_none(tmp_path: Path) -> None:
    assert read_surfaces(tmp_path, ("BTC",)) == []
    with pytest.raises(SurfaceError, match="no such folder"):
        read_surfaces(tmp_path / "none", ("BTC",))
    write(tmp_path, [row()], header="ts,currency")
    with pytest.raises(SurfaceError, match="line 1: no column atm7"):
        read_surfaces(tmp_path, ("BTC",))


# Levels


def levels(folder: Path, lines: list[str], name: str = "DVOL_BTC_1d.csv") -> list[LevelRow]:
    (folder / name).write_text("\n".join(["date,dvol,seg", *lines]) + "\n")
    return read_levels(folder, "BTC")


def test_a_level_counts_from_the_next_midnight(tmp_path: Path) -> None:
    found = levels(tmp_path, ["2025-03-01,54.71,0", "2025-03-05,53.5,0"])
    assert [(iso_second(each.time_ms), each.level) for each in found] == [
        ("2025-03-02T00:00:00Z", pytest.approx(0.5471)),
        ("2025-03-06T00:00:00Z", pytest.approx(0.535)),
    ]


def test_levels_are_found_in_their_folder_or_not_at_all(tmp_path: Path) -> None:
    assert read_levels(tmp_path, "ETH") == []
    (tmp_path / "vol").mkdir()
    (tmp_path / "vol" / "DVOL_ETH_1d.csv.gz").write_bytes(
        gzip.compress(b"date,dvol\n2025-03-01,70\n")
    )
    (found,) = read_levels(tmp_path, "ETH")
    assert found.level == 0.7
    assert read_levels(tmp_path, "BTC") == []


BAD_LEVELS = {
    "not a day": (["2025-03-01T00:00:00Z,50,0"], "line 2: date"),
    "unordered": (["2025-03-02,50,0", "2025-03-01,50,0"], "line 3: date"),
    "twice": (["2025-03-02,50,0", "2025-03-02,50,0"], "line 3: date"),
    "decimal": (["2025-03-01,0.55,0"], "line 2: dvol"),
    "NaN": (["2025-03-01,nan,0"], "line 2: dvol"),
    "empty": (["2025-03-01,,0"], "line 2: dvol"),
    "nothing": ([], "no levels"),
}


@pytest.mark.parametrize(("lines", "words"), BAD_LEVELS.values(), ids=BAD_LEVELS.keys())
def test_bad_levels_are_refused(tmp_path: Path, lines: list[str], words: str) -> None:
    with pytest.raises(SurfaceError, match=words):
        levels(tmp_path, lines)


def test_two_files_of_levels_and_a_path_for_a_symbol_are_refused(tmp_path: Path) -> None:
    levels(tmp_path, ["2025-03-01,50,0"])
    with pytest.raises(SurfaceError, match="both exist"):
        levels(tmp_path, ["2025-03-01,50,0"], "DVOL_BTC_1d.csv.gz")
    with pytest.raises(SurfaceError, match="not a symbol"):
        read_levels(tmp_path, "../BTC")


def test_the_real_series_is_close_to_its_quotes(market_data: Path) -> None:
    if not (market_data / "derived").is_dir() or not (market_data / "vol").is_dir():
        pytest.skip("no series")
    found = read_surfaces(market_data, ("BTC",))
    missed = [abs(level_of(each.surface) - each.level) for each in found]
    assert sum(missed) / len(missed) < 0.01
    assert max(missed) < 0.05
    assert all(each.surface.curvature * (1 + abs(each.surface.skew)) <= 2 for each in found)
    history = read_levels(market_data, "BTC")
    assert all(0.2 < each.level < 2.0 and each.time_ms % DAY_MS == 0 for each in history)
