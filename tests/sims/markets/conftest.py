"""A folder of made-up history: what the readers of history need, and nothing real."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from amm.units import DAY_MS, HOUR_MS, MINUTE_MS
from sims.markets.sessions import sessions_between

BEGIN = 1_704_067_200_000
"""Monday, 1 January 2024, a holiday."""
WEEKS = 8
BROKEN = 5 * 7 * 24
"""The hour before which the history of BTC breaks."""
OUTAGE = (400, 401, 402)
"""Hours in which ETH was not observed."""
HEADER = "ts,open,high,low,close,volume,seg"


def stamp(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _walk(random: np.random.Generator, bars: int, start: float, deviation: float) -> np.ndarray:
    """Return open, high, low, close of each bar, shape (bars, 4); bars open off the last close."""
    moves = random.standard_t(4, bars) * deviation
    closes = start * np.exp(np.cumsum(moves))
    jumps = np.exp(random.normal(0.0, deviation / 20, bars))
    opens = np.append(start, closes[:-1]) * jumps
    reach = np.exp(random.exponential(deviation, (bars, 2)))
    highs = np.maximum(opens, closes) * reach[:, 0]
    lows = np.minimum(opens, closes) / reach[:, 1]
    return np.stack([opens, highs, lows, closes], axis=1)


def _write(path: Path, header: str, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def made_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight weeks of hours, with an outage and a break; a stock by bars and one by days."""
    folder, random = tmp_path_factory.mktemp("history"), np.random.default_rng(5)
    for symbol, start, deviation in (("BTC", 40_000.0, 0.006), ("ETH", 2_000.0, 0.008)):
        lines = []
        for hour, bar in enumerate(_walk(random, WEEKS * 168, start, deviation)):
            if symbol == "ETH" and hour in OUTAGE:
                continue
            seg = int(symbol == "BTC" and hour >= BROKEN)
            prices = ",".join(f"{price:.6f}" for price in bar)
            lines.append(f"{stamp(BEGIN + hour * HOUR_MS)},{prices},1,{seg}")
        _write(folder / "crypto" / f"{symbol}_1h.csv", HEADER, lines)
    sessions = sessions_between(BEGIN + 7 * DAY_MS, BEGIN + WEEKS * 7 * DAY_MS)
    bars, days = [], []
    for day_ms, open_ms, close_ms in zip(*sessions, strict=True):
        times = range(int(open_ms), int(close_ms), 15 * MINUTE_MS)
        found = _walk(random, len(times), 50.0, 0.004)
        rows = [",".join(f"{price:.4f}" for price in bar) for bar in found]
        bars += [f"{stamp(time)},{row},1,0" for time, row in zip(times, rows, strict=True)]
        prices = found[0, 0], found[:, 1].max(), found[:, 2].min(), found[-1, 3]
        days.append(f"{stamp(int(day_ms))[:10]},{','.join(f'{p:.4f}' for p in prices)},1,0")
    _write(folder / "stocks" / "15m" / "BARS.csv", HEADER, bars)
    _write(folder / "stocks" / "1d" / "DAYS.csv", HEADER.replace("ts", "date"), days)
    levels = [f"{stamp(BEGIN + day * DAY_MS)[:10]},{40 + day % 5}" for day in range(WEEKS * 7)]
    _write(folder / "vol" / "DVOL_BTC_1d.csv", "date,dvol", levels)
    return folder
