"""A stock's last price, from bars and from days, and what is refused of their files."""

from pathlib import Path

import numpy as np
import pytest

from amm.units import DAY_MS, HOUR_MS, MINUTE_MS
from sims.markets.history import HistoryError
from sims.markets.stock_prices import AGE_MAX_MS, stock_prices

MONDAY = 1_704_672_000_000
"""8 January 2024; New York opens at 14:30 and closes at 21:00."""
OPEN, CLOSE = MONDAY + 14 * HOUR_MS + 30 * MINUTE_MS, MONDAY + 21 * HOUR_MS
BAR_HEADER = "ts,open,high,low,close,volume,seg"
DAY_HEADER = "date,open,high,low,close,volume,seg"


def write(folder: Path, length: str, lines: list[str]) -> None:
    path = folder / "stocks" / length / "ABC.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    header = BAR_HEADER if length == "15m" else DAY_HEADER
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def prices(folder: Path, *times_ms: int) -> list[float]:
    return stock_prices(folder, "ABC", np.array(times_ms)).tolist()


def test_days_give_the_open_until_the_close(tmp_path: Path) -> None:
    write(tmp_path, "1d", ["2024-01-08,10,13,9,12,5,0", "2024-01-09,11,11,11,11,5,0"])
    found = prices(tmp_path, OPEN - 1, OPEN, CLOSE - 1, CLOSE, OPEN + DAY_MS - 1, OPEN + DAY_MS)
    assert np.isnan(found[0])
    assert found[1:] == [10, 10, 12, 12, 11]


def test_bars_give_their_closes_and_the_open_after_a_night(tmp_path: Path) -> None:
    write(
        tmp_path,
        "15m",
        [
            "2024-01-08T14:30:00Z,10,13,9,12,5,0",
            "2024-01-08T14:45:00Z,12.5,13,9,11,5,0",
            "2024-01-09T14:30:00Z,20,20,20,20,5,0",
        ],
    )
    quarter = 15 * MINUTE_MS
    found = prices(
        tmp_path, OPEN, OPEN + quarter, OPEN + 2 * quarter, OPEN + DAY_MS - 1, OPEN + DAY_MS
    )
    assert found == [10, 12, 11, 11, 20]


def test_bars_come_before_days(tmp_path: Path) -> None:
    write(tmp_path, "15m", ["2024-01-09T14:30:00Z,20,20,20,20,5,0"])
    write(tmp_path, "1d", ["2024-01-08,10,13,9,12,5,0", "2024-01-09,11,11,11,11,5,0"])
    assert prices(tmp_path, OPEN, CLOSE, OPEN + DAY_MS, CLOSE + DAY_MS) == [10, 12, 20, 20]


def test_an_old_price_is_none(tmp_path: Path) -> None:
    write(tmp_path, "1d", ["2024-01-08,10,13,9,12,5,0"])
    found = prices(tmp_path, CLOSE + AGE_MAX_MS, CLOSE + AGE_MAX_MS + 1)
    assert found[0] == 12
    assert np.isnan(found[1])


@pytest.mark.parametrize(
    ("length", "line", "complaint"),
    [
        ("1d", "2024-01-07,1,1,1,1,5,0", "line 2: New York did not trade on that date"),
        ("1d", "2024-13-07,1,1,1,1,5,0", "line 2: date 2024-13-07T00:00:00Z is no time"),
        ("1d", "2024-01-08,1,1,2,1,5,0", "line 2: low 2 is above open or close"),
        ("1d", "2024-01-08,1,1,1,1,5,0\n2024-01-08,1,1,1,1,5,0", "line 3: date 2024-01-08 is not"),
        ("15m", "2024-01-08T14:40:00Z,1,1,1,1,5,0", "line 2: .* not on the grid of 15 minutes"),
        ("15m", "2024-01-08T14:30:00Z,1,1,1,x,5,0", "line 2: close 'x' is not a finite number"),
        ("15m", "2024-01-08T14:30:00Z,1,1,1,1,5,a", "line 2: seg 'a' is not an integer"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, length: str, line: str, complaint: str) -> None:
    write(tmp_path, length, [line])
    with pytest.raises(HistoryError, match=complaint) as caught:
        prices(tmp_path, OPEN)
    assert "ABC.csv, line" in str(caught.value)


@pytest.mark.parametrize("length", ["15m", "1d"])
def test_an_empty_file_is_refused(tmp_path: Path, length: str) -> None:
    write(tmp_path, length, [])
    with pytest.raises(HistoryError, match="no prices below the header"):
        prices(tmp_path, OPEN)


@pytest.mark.parametrize("symbol", ["../ABC", "", "A B"])
def test_a_symbol_is_not_a_path(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(HistoryError, match="is not a symbol"):
        stock_prices(tmp_path, symbol, np.array([OPEN]))


@pytest.mark.parametrize(
    "symbol",
    ["TSLA", "NVDA", "AMZN", "AAPL", "GOOG", "COIN", "MSTR", "CRCL", "SPY", "QQQ"],
)
def test_recorded_stocks_are_read_whole(market_data: Path, symbol: str) -> None:
    days = MONDAY + DAY_MS * np.arange(530, 700)
    found = stock_prices(market_data, symbol, days)
    assert np.isfinite(found).all()
    assert (found > 1).all()
    assert np.abs(np.diff(np.log(found))).max() < 0.5
