"""History is read as it is, walked through every extreme, and refused where it is not right."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, ONE
from sims.markets.history import HistoryError, read_path
from sims.markets.path import PricePath

HEADER = "ts,open,high,low,close,volume,seg"


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000


BEGIN = instant("2024-01-01")


def hour_text(hour: int) -> str:
    return datetime.fromtimestamp(BEGIN // 1_000 + hour * 3_600, UTC).strftime("%Y-%m-%dT%H:00:00Z")


def bar(hour: int, prices: str = "100,110,95,105", seg: int = 0) -> str:
    return f"{hour_text(hour)},{prices},12.5,{seg}"


def write(folder: Path, lines: list[str], symbol: str = "BTC", header: str = HEADER) -> Path:
    path = folder / f"{symbol}_1h.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def read(
    folder: Path, hours: int = 4, first: int = 0, symbols: tuple[str, ...] = ("BTC",), warm: int = 0
) -> PricePath:
    start_ms = BEGIN + first * HOUR_MS
    return read_path(folder, symbols, start_ms, start_ms + hours * HOUR_MS, warmup_days=warm)


def prices_of(path: PricePath, hour: int = 0, column: int = 0) -> list[float]:
    return [price / ONE for price in path.prices_e8[60 * hour : 60 * hour + 60, column].tolist()]


# The walk


def test_rising_hour_goes_to_its_low_first(tmp_path: Path) -> None:
    write(tmp_path, [bar(0, "100,110,95,105")])
    walked = prices_of(read(tmp_path, hours=1))
    assert [walked[minute] for minute in (0, 10, 20, 39, 49, 59)] == [
        100,
        97.5,
        95,
        110,
        107.5,
        105,
    ]


def test_falling_hour_goes_to_its_high_first(tmp_path: Path) -> None:
    write(tmp_path, [bar(0, "100,110,80,90")])
    walked = prices_of(read(tmp_path, hours=1))
    assert [walked[minute] for minute in (0, 10, 20, 39, 49, 59)] == [100, 105, 110, 80, 85, 90]


def test_rows_are_minutes_of_the_range(tmp_path: Path) -> None:
    write(tmp_path, [bar(hour) for hour in range(4)])
    path = read_path(tmp_path, ["BTC"], BEGIN + 90 * MINUTE_MS, BEGIN + 3 * HOUR_MS, 0)
    assert path.symbols == ("BTC",)
    assert path.times_ms.tolist() == list(
        range(BEGIN + 90 * MINUTE_MS, BEGIN + 3 * HOUR_MS, 60_000)
    )
    assert path.prices_e8.shape == (90, 1)
    assert {array.dtype for array in path[1:4]} == {np.dtype(np.int64)}
    assert path.start == 0


def test_prices_are_exact(tmp_path: Path) -> None:
    write(tmp_path, [bar(0, "69123.45678901,1e9,0.00000001,69123.45678902")])
    walked = read(tmp_path, hours=1).prices_e8[:, 0].tolist()
    assert (walked[0], walked[20], walked[39]) == (6912345678901, 1, 10**17)
    assert walked[59] == 6912345678902


# What a path is made of


@pytest.mark.parametrize("place", ["BTC_1h.csv", "BTC_1h.csv.gz", "crypto/BTC_1h.csv.gz"])
def test_files_are_found(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    header, line = HEADER.replace("ts,", "ts,note,"), bar(0).replace("Z,", 'Z,"a, b",')
    text = f"\ufeff{header}\r\n{line}".encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    assert prices_of(read(tmp_path, hours=1))[0] == 100


def test_warm_up_reaches_back_to_the_break(tmp_path: Path) -> None:
    write(tmp_path, [bar(hour, seg=int(hour >= 30)) for hour in range(60)])
    path = read(tmp_path, hours=2, first=58, warm=60)
    assert path.times_ms[0] == BEGIN + 30 * HOUR_MS
    assert path.start == 28 * 60
    assert path.times_ms[path.start] == BEGIN + 58 * HOUR_MS
    assert set(path.segment.tolist()) == {0}
    assert read(tmp_path, hours=2, first=58, warm=1).start == 24 * 60
    assert read(tmp_path, hours=2, first=29, warm=1).segment.tolist()[-61:] == [0] + [1] * 60


def test_break_of_one_symbol_breaks_the_path(tmp_path: Path) -> None:
    write(tmp_path, [bar(hour) for hour in range(6)])
    write(tmp_path, [bar(hour, seg=7 * (hour >= 3)) for hour in range(6)], symbol="ETH")
    path = read(tmp_path, hours=6, symbols=("BTC", "ETH"))
    assert path.segment[::60].tolist() == [0, 0, 0, 1, 1, 1]
    assert read(tmp_path, hours=2, first=4, symbols=("BTC", "ETH"), warm=1).start == 60


def test_outage_is_a_missing_observation(tmp_path: Path) -> None:
    write(tmp_path, [bar(hour) for hour in (0, 1, 4, 5)])
    write(tmp_path, [bar(hour, "7,7,7,7") for hour in (0, 1, 2, 4, 5)], symbol="ETH")
    path = read(tmp_path, hours=6, symbols=("BTC", "ETH"))
    assert path.times_ms[::60].tolist() == [BEGIN + hour * HOUR_MS for hour in (0, 1, 2, 4, 5)]
    assert (path.prices_e8[:, 0] == 0).tolist() == [False] * 120 + [True] * 60 + [False] * 120
    assert path.prices_e8[:, 1].min() == 7 * ONE
    assert set(path.segment.tolist()) == {0}
    quiet = read(tmp_path, hours=1, first=2, symbols=("BTC", "ETH"))
    assert set(quiet.prices_e8[:, 0].tolist()) == {0}
    with pytest.raises(HistoryError, match=r"no prices from .* an outage"):
        read(tmp_path, hours=1, first=3, symbols=("BTC", "ETH"))


def test_gap_of_half_a_day_is_an_outage_and_more_is_not(tmp_path: Path) -> None:
    write(tmp_path, [bar(0), bar(13)])
    assert read(tmp_path, hours=14).times_ms.size == 120
    write(tmp_path, [bar(0), bar(14)])
    with pytest.raises(HistoryError, match=r"line 3: nothing from .*01T01:00Z .* seg is still 0"):
        read(tmp_path, hours=15)
    write(tmp_path, [bar(0), bar(14, seg=1)])
    assert read(tmp_path, hours=15).segment.tolist() == [0] * 60 + [1] * 60


def test_prices_outside_of_the_range_are_not_read(tmp_path: Path) -> None:
    write(tmp_path, [bar(0, "x,x,x,x"), bar(1), bar(2, "1,2,3,4")])
    assert prices_of(read(tmp_path, hours=1, first=1))[0] == 100


# What is refused


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (bar(1, "abc,110,95,105"), "open 'abc' is not a finite number"),
        (bar(1, "100,nan,95,105"), "high 'nan' is not a finite number"),
        (bar(1, "100,110,-inf,105"), "low '-inf' is not a finite number"),
        (bar(1, "100,1e999,95,105"), "high '1e999' is not a finite number"),
        (bar(1, "1_00,110,95,105"), "open '1_00' is not a finite number"),
        (bar(1, "100,110,95,"), "close '' is not a finite number"),
        (bar(1, "100,110,0,105"), "low 0 is not a positive price"),
        (bar(1, "100,110,-5,105"), "low -5 is not a positive price"),
        (bar(1, "100,110,1e-9,105"), "low 1e-9 is not a positive price"),
        (bar(1, "100,1000000000.1,95,105"), "high 1000000000.1 is more than 1e9 USD"),
        (bar(1, "100,110,101,105"), "low 101 is above open or close"),
        (bar(1, "105,110,101,100"), "low 101 is above open or close"),
        (bar(1, "100,104,95,105"), "high 104 is below open or close"),
        (bar(1, "105,104,95,100"), "high 104 is below open or close"),
        (bar(1).replace("12.5", "-1"), "volume -1 is negative"),
        (bar(1).replace("12.5", "?"), r"volume '\?' is not a finite number"),
        (bar(1)[:-1] + "0.5", "seg '0.5' is not an integer"),
        (bar(1)[:-1], "seg '' is not an integer"),
        (bar(0), "ts 2024-01-01T00:00Z is not after the line before"),
        (bar(-1), "ts 2023-12-31T23:00Z is not after the line before"),
        (bar(1).replace("01:00:00", "01:30:00"), "not on the hour"),
        (bar(1).replace("01:00:00", "01:00:01"), "not on the hour"),
        (bar(1).replace("2024-01-01", "2024-13-01"), "is no time"),
        (bar(1).replace("Z", "+01:00"), "is not a time such as"),
        (bar(1).replace("T", " "), "is not a time such as"),
        (bar(1) + ",1", "8 cells under 7 columns"),
        ("", "0 cells under 7 columns"),
        (bar(1)[:-2], "6 cells under 7 columns"),
        ('"' + bar(1), "unexpected end of data"),
    ],
)
def test_bad_line_is_refused(tmp_path: Path, line: str, complaint: str) -> None:
    path = write(tmp_path, [bar(0)])
    with path.open("a", encoding="utf-8") as lines:
        lines.write(line + "\n")
    with pytest.raises(HistoryError, match=complaint) as caught:
        read(tmp_path, hours=2)
    assert str(caught.value).startswith(f"{path}, line 3: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("date,open,high,low,close,volume,seg", "line 1: no column ts"),
        ("ts,open,high,low,close,volume,segment", "line 1: no column seg"),
        ("", "line 1: no column ts, open, high, low, close, volume, seg"),
        (HEADER + ",open", "line 1: two columns have the same name"),
    ],
)
def test_wrong_header_is_refused(tmp_path: Path, header: str, complaint: str) -> None:
    write(tmp_path, [bar(0)], header=header)
    with pytest.raises(HistoryError, match=complaint):
        read(tmp_path)


def truncate(content: bytes) -> bytes:
    return content[:-20]


def corrupt(content: bytes) -> bytes:
    return content[:40] + bytes(20) + content[60:]


@pytest.mark.parametrize("damage", [truncate, corrupt, gzip.decompress])
def test_damaged_gzip_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    lines = "\n".join([HEADER, *(bar(hour) for hour in range(50))])
    whole, path = gzip.compress(lines.encode()), tmp_path / "BTC_1h.csv.gz"
    path.write_bytes(whole)
    assert read(tmp_path).times_ms.size == 240
    path.write_bytes(damage(whole))
    with pytest.raises(HistoryError, match=r"BTC_1h\.csv\.gz: damaged or truncated gzip"):
        read(tmp_path)


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "BTC_1h.csv"
    path.write_bytes(f"{HEADER}\n{bar(0)}\n".encode() + b"\xff\xfe\n")
    with pytest.raises(HistoryError, match="line 3: not UTF-8"):
        read(tmp_path)
    path.write_bytes(f"{HEADER}\n{bar(0)}\n".encode("utf-16"))
    with pytest.raises(HistoryError, match="line 1: not UTF-8"):
        read(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="nowhere: no such folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(HistoryError, match=r"has no BTC_1h\.csv or BTC_1h\.csv\.gz"):
        read(tmp_path)
    (tmp_path / "BTC_1h.csv").mkdir()
    with pytest.raises(HistoryError, match=r"has no BTC_1h\.csv"):
        read(tmp_path)


def test_two_files_of_one_symbol_are_refused(tmp_path: Path) -> None:
    write(tmp_path, [bar(0)])
    (tmp_path / "crypto").mkdir()
    write(tmp_path / "crypto", [bar(0)])
    with pytest.raises(HistoryError, match="both exist"):
        read(tmp_path, hours=1)


@pytest.mark.parametrize("symbol", ["../BTC", "", "B TC", "BTC\n"])
def test_symbol_is_not_a_path(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(HistoryError, match="is not a symbol"):
        read(tmp_path, symbols=(symbol,))


@pytest.mark.parametrize(("first", "hours"), [(-1, 2), (3, 3), (5, 1), (2, 4), (8, 3), (20, 1)])
def test_range_must_begin_and_end_within_the_history(
    tmp_path: Path, first: int, hours: int
) -> None:
    write(tmp_path, [bar(hour, seg=int(hour > 3)) for hour in (0, 1, 2, 3, 7, 8, 9)])
    assert read(tmp_path, hours=8, first=2).times_ms.size == 5 * 60
    covered = "only 2024-01-01T00:00Z to 2024-01-01T04:00Z, 2024-01-01T07:00Z to 2024-01-01T10:00Z"
    with pytest.raises(HistoryError, match=rf"BTC_1h\.csv: .* is not covered, {covered}"):
        read(tmp_path, hours, first)


def test_nonsense_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    write(tmp_path, [])
    with pytest.raises(HistoryError, match="the range ends at"):
        read(tmp_path, hours=0)
    with pytest.raises(HistoryError, match="each once"):
        read(tmp_path, symbols=("BTC", "BTC"))
    with pytest.raises(HistoryError, match="each once"):
        read(tmp_path, symbols=())
    with pytest.raises(HistoryError, match="must not be negative"):
        read(tmp_path, warm=-1)
    with pytest.raises(HistoryError, match="no prices below the header"):
        read(tmp_path)


# Real markets


def test_crash_of_march_2020(market_data: Path) -> None:
    start_ms = instant("2020-03-12")
    path = read_path(market_data, ("BTC", "ETH"), start_ms, start_ms + DAY_MS)
    assert (path.times_ms[0], path.times_ms[path.start]) == (start_ms - 60 * DAY_MS, start_ms)
    day = path.prices_e8[path.start :, 0]
    assert day.size == 1_440
    assert [price / ONE for price in (day.min(), day.max(), day[-1])] == [4410, 7966.17, 4800]
    assert day.argmin() == 23 * 60 + 39


def test_every_bar_is_walked_through_its_extremes(market_data: Path) -> None:
    start_ms, end_ms = instant("2021-05-15"), instant("2021-05-25")
    path = read_path(market_data, ("BTC",), start_ms, end_ms, 0)
    hours = path.prices_e8.reshape(-1, 60)
    with gzip.open(market_data / "crypto" / "BTC_1h.csv.gz", "rt") as lines:
        bars = [line.split(",") for line in lines if "2021-05-15" <= line[:10] < "2021-05-25"]
    expected = np.array([[round(float(cell) * ONE) for cell in cells[1:5]] for cells in bars])
    walked = np.column_stack([hours[:, 0], hours.max(axis=1), hours.min(axis=1), hours[:, -1]])
    np.testing.assert_array_equal(walked, expected)
    assert path.prices_e8.min() == 30_000 * ONE


def test_withheld_windows_are_breaks(market_data: Path) -> None:
    path = read_path(market_data, ("BTC", "ETH"), instant("2022-08-30"), instant("2023-03-02"), 1)
    change = int(np.flatnonzero(np.diff(path.segment))[0])
    assert path.times_ms[change + 1] - path.times_ms[change] > 100 * DAY_MS
    with pytest.raises(HistoryError, match="only 2019-01-01T00:00Z to 2022-09-01T00:00Z, 2023-03"):
        read_path(market_data, ("BTC",), instant("2022-12-01"), instant("2023-04-01"))


def test_seven_years_are_read_without_a_fault(market_data: Path) -> None:
    path = read_path(market_data, ("BTC", "ETH"), instant("2019-01-01"), instant("2026-01-01"))
    assert path.times_ms.size > 3_400_000
    assert path.prices_e8.min() > 0
    assert np.diff(path.times_ms).min() == MINUTE_MS
