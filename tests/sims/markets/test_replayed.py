"""A replay is the history, to the cent, at its own times."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amm.oracle import OracleRules
from amm.units import DAY_MS, HOUR_MS, MINUTE_MS
from sims.markets.block import Clock, MarketBlock
from sims.markets.history import HistoryError
from sims.markets.replayed import Replayed
from tests.sims.markets.conftest import BEGIN, BROKEN, OUTAGE, WEEKS, stamp


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000


def draw(model: Replayed, clock: Clock, paths: int = 3, seed: int = 1) -> MarketBlock:
    return model.draw(clock, paths, np.random.default_rng(seed))


def replay(folder: Path, start: str, days: int, **fields: Any) -> MarketBlock:
    step_ms = fields.pop("step_ms", HOUR_MS)
    clock = Clock(instant(start), step_ms, days * DAY_MS // step_ms)
    return draw(Replayed(folder, **fields), clock)


# Made-up history


def test_bars_are_placed_where_they_were(made_history: Path) -> None:
    lines = (made_history / "crypto" / "BTC_1h.csv").read_text().splitlines()[1:]
    bars = np.array([[float(cell) for cell in line.split(",")[1:5]] for line in lines])
    block = draw(Replayed(made_history), Clock(BEGIN + 24 * HOUR_MS, HOUR_MS, 48))
    wanted = bars[24:72]
    for path in range(3):
        assert block.prices[path, 0, 0] == pytest.approx(wanted[0, 0])
        np.testing.assert_allclose(block.prices[path, 1:, 0], wanted[:, 3], rtol=1e-9)
        lows = np.minimum(wanted[:, 2], block.prices[path, :-1, 0])
        highs = np.maximum(wanted[:, 1], block.prices[path, :-1, 0])
        np.testing.assert_allclose(block.lows[path, 1:, 0], lows, rtol=1e-9)
        np.testing.assert_allclose(block.highs[path, 1:, 0], highs, rtol=1e-9)


def test_hours_of_an_outage_are_not_observed(made_history: Path) -> None:
    first = OUTAGE[0] - 10
    block = draw(Replayed(made_history), Clock(BEGIN + first * HOUR_MS, HOUR_MS, 24))
    missing = [1 + hour - first for hour in OUTAGE]
    for array in (block.prices, block.lows, block.highs):
        assert np.flatnonzero(np.isnan(array[0, :, 1])).tolist() == missing
        assert np.isfinite(array[:, :, 0]).all()
    after = missing[-1] + 1
    assert block.lows[0, after, 1] <= block.prices[0, after, 1] <= block.highs[0, after, 1]
    with pytest.raises(HistoryError, match="not covered"):
        draw(Replayed(made_history), Clock(BEGIN + OUTAGE[0] * HOUR_MS, HOUR_MS, 24))


def test_a_break_is_not_replayed_across(made_history: Path) -> None:
    def clock(first: int, steps: int) -> Clock:
        return Clock(BEGIN + first * HOUR_MS, HOUR_MS, steps)

    model = Replayed(made_history)
    assert draw(model, clock(BROKEN - 24, 24)).prices.shape == (3, 25, 2)
    assert (
        draw(model, clock(BROKEN, WEEKS * 168 - BROKEN)).times_ms[-1] == BEGIN + WEEKS * 7 * DAY_MS
    )
    covered = "only 2024-01-01T00:00Z to 2024-02-05T00:00Z, 2024-02-05T00:00Z to 2024-02-26T00:00Z"
    for first, steps in ((BROKEN - 24, 25), (-1, 5), (WEEKS * 168 - 5, 6), (10**6, 5)):
        with pytest.raises(HistoryError, match=covered):
            draw(model, clock(first, steps))


def test_days_are_drawn_without_repetition(made_history: Path) -> None:
    model, clock = Replayed(made_history, every_days=1), Clock(BEGIN, HOUR_MS, 7 * 24)
    block = draw(model, clock, paths=70)
    opens = {
        draw(Replayed(made_history), clock._replace(start_ms=BEGIN + day * DAY_MS)).prices[0, 0, 0]
        for day in [*range(29), *range(35, 50)]
    }
    found = block.prices[:, 0, 0].tolist()
    assert len(opens) == 44
    assert set(found[:44]) == opens
    assert len(set(found[44:])) == 26
    assert found[:44] != draw(model, clock, paths=70, seed=2).prices[:44, 0, 0].tolist()
    early = Replayed(made_history, every_days=7, end_ms=BEGIN + 21 * DAY_MS)
    assert len(set(draw(early, clock, paths=9).prices[:, 0, 0])) == 3


def test_levels_are_fed_where_recorded(made_history: Path) -> None:
    levels = draw(Replayed(made_history), Clock(BEGIN, HOUR_MS, 72)).levels
    assert (levels[:, 0] > 0.0).all()
    assert not levels[:, 1:24].any()
    np.testing.assert_allclose(levels[:, 24:48, 0], 0.92 * 0.40)
    np.testing.assert_allclose(levels[:, 48:72, 0], 0.92 * 0.41)
    assert not levels[:, 1:, 1].any()


def write_walk(folder: Path, days: int, change: int, vols: tuple[float, float], seg: bool) -> Path:
    """Write hours of which each moves by exactly its vol, up and down; vols change on a day."""
    for symbol in ("BTC", "ETH"):
        lines, price = ["ts,open,high,low,close,volume,seg"], 100.0
        for hour in range(24 * days):
            late = hour >= 24 * change
            move = vols[late] / np.sqrt(8_760.0) * (1 if hour % 2 else -1)
            end = price * float(np.exp(move))
            low, high = sorted((price, end))
            cells = f"{price:.9f},{high:.9f},{low:.9f},{end:.9f},1,{int(late and seg)}"
            lines.append(f"{stamp(BEGIN + hour * HOUR_MS)},{cells}")
            price = end
        (folder / f"{symbol}_1h.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("seg", [False, True])
def test_a_replay_begins_at_the_vol_of_the_days_before(tmp_path: Path, seg: bool) -> None:
    """Also across a break: the estimator keeps what it knew."""
    model = Replayed(write_walk(tmp_path, 90, 80, (0.5, 0.9), seg))
    rules = OracleRules()
    before, after = (
        draw(model, Clock(BEGIN + day * DAY_MS, HOUR_MS, 24)).levels[0, 0] for day in (80, 90 - 1)
    )
    np.testing.assert_allclose(before, 0.5 + rules.vol_add_on, rtol=2e-3)
    assert (after > 0.65).all()
    assert (after < 0.9 + rules.vol_add_on).all()


USUAL = 0.8 / 0.67449 + OracleRules().vol_add_on
"""Of moves of a vol of 0.8 that all are as large: half of normal ones are below 0.67 deviations."""


def test_without_days_before_a_replay_begins_at_the_usual_vol_of_its_first(tmp_path: Path) -> None:
    folder = write_walk(tmp_path, 3, 0, (0.5, 0.8), False)
    levels = draw(Replayed(folder), Clock(BEGIN, HOUR_MS, 48)).levels
    np.testing.assert_allclose(levels[:, 0], USUAL, rtol=1e-4)
    assert not levels[:, 1:].any()


def test_a_crash_on_the_first_day_does_not_rule_its_start(tmp_path: Path) -> None:
    folder = write_walk(tmp_path, 3, 0, (0.5, 0.8), False)
    path = folder / "BTC_1h.csv"
    lines = path.read_text().splitlines()
    cells = lines[11].split(",")
    cells[3] = cells[4] = str(float(cells[1]) * 0.7)
    path.write_text("\n".join([*lines[:11], ",".join(cells), *lines[12:]]) + "\n")
    levels = draw(Replayed(folder), Clock(BEGIN, HOUR_MS, 48)).levels
    np.testing.assert_allclose(levels[0, 0], USUAL, rtol=1e-4)


def test_files_may_name_utc_either_way_and_have_columns_in_any_order(tmp_path: Path) -> None:
    folder = write_walk(tmp_path, 3, 0, (0.5, 0.8), False)
    clock = Clock(BEGIN, HOUR_MS, 48)
    told = draw(Replayed(folder), clock)
    other = tmp_path / "other" / "crypto"
    other.mkdir(parents=True)
    for symbol in ("BTC", "ETH"):
        rows = [line.split(",") for line in (folder / f"{symbol}_1h.csv").read_text().split()]
        text = "\n".join(",".join([*reversed(row), "x"]) for row in rows)
        packed = gzip.compress(text.replace("Z,", "+00:00,").encode())
        (other / f"{symbol}_1h.csv.gz").write_bytes(packed)
    for one, two in zip(told, draw(Replayed(other.parent), clock), strict=True):
        np.testing.assert_array_equal(one, two)


def test_bars_longer_than_their_name_says_are_refused(tmp_path: Path) -> None:
    write_walk(tmp_path, 2, 0, (0.5, 0.8), False)
    for symbol in ("BTC", "ETH"):
        (tmp_path / f"{symbol}_1h.csv").rename(tmp_path / f"{symbol}_5m.csv")
    with pytest.raises(HistoryError, match=r"BTC_5m\.csv: no bar begins less than 60 minutes"):
        draw(Replayed(tmp_path, rows="5m"), Clock(BEGIN, HOUR_MS, 4))


def test_a_stock_must_be_known_throughout(made_history: Path) -> None:
    model = Replayed(made_history, stocks=("BARS",))
    with pytest.raises(HistoryError, match="unbroken are only 2024-01-02T15:00Z"):
        draw(model, Clock(BEGIN, HOUR_MS, 24))
    with pytest.raises(HistoryError, match=r"has no NONE\.csv or NONE\.csv\.gz in its folders"):
        draw(Replayed(made_history, stocks=("NONE",)), Clock(BEGIN, HOUR_MS, 24))


def test_bars_must_fit_the_steps(made_history: Path) -> None:
    with pytest.raises(HistoryError, match="bars of 60 minutes do not fit in steps of 15"):
        draw(Replayed(made_history), Clock(BEGIN, 15 * MINUTE_MS, 4))
    with pytest.raises(HistoryError, match="no bar begins at 2024-01-02T00:30Z"):
        draw(Replayed(made_history), Clock(BEGIN + DAY_MS + 30 * MINUTE_MS, HOUR_MS, 4))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"rows": "hourly"}, "do not end in a length"),
        ({"rows": "7m"}, "do not end in a length"),
        ({"rows": "0h"}, "do not end in a length"),
        ({"every_days": -1}, "must not be negative"),
        ({"every_days": 1, "stocks": ("TSLA",)}, "whole weeks"),
    ],
)
def test_nonsense_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Replayed(Path(), **fields)


def test_damaged_lines_are_named(tmp_path: Path) -> None:
    for symbol in ("BTC", "ETH"):
        text = "ts,open,high,low,close,volume,seg\n2024-01-01T00:00:00Z,1,2,3,1,1,0\n"
        (tmp_path / f"{symbol}_1h.csv").write_text(text)
    with pytest.raises(HistoryError, match=r"BTC_1h\.csv, line 2: low 3 is above open or close"):
        draw(Replayed(tmp_path), Clock(BEGIN, HOUR_MS, 1))


# Real markets


def worst(block: MarketBlock, steps: int, column: int) -> float:
    """Return the worst fall from a price to a low at most so many steps later."""
    prices, lows = block.prices[0, :, column], block.lows[0, :, column]
    falls = [np.nanmin(lows[step:] / prices[:-step]) for step in range(1, steps + 1)]
    return float(min(falls)) - 1.0


@pytest.mark.parametrize(
    ("start", "days", "bitcoin", "ether"),
    [
        ("2020-03-11", 4, (-0.245, -0.348, -0.506), (-0.256, -0.324, -0.533)),
        ("2021-05-17", 8, (-0.160, -0.256, -0.313), (-0.280, -0.365, -0.450)),
        ("2024-08-02", 5, (-0.071, -0.109, -0.198), (-0.165, -0.227, -0.278)),
        ("2025-10-09", 4, (-0.107, -0.133, -0.162), (-0.113, -0.161, -0.216)),
    ],
)
def test_crashes_are_as_deep_as_they_were(
    market_data: Path, start: str, days: int, bitcoin: tuple[float, ...], ether: tuple[float, ...]
) -> None:
    block = replay(market_data, start, days)
    for column, depths in ((0, bitcoin), (1, ether)):
        found = [worst(block, steps, column) for steps in (1, 4, 24)]
        assert found == pytest.approx(depths, abs=0.011)


def test_march_2020(market_data: Path) -> None:
    block = replay(market_data, "2020-03-12", 1, stocks=("TSLA", "MSTR"))
    bitcoin = block.lows[0, :, 0]
    assert bitcoin.min() == 4_410.0
    assert block.times_ms[bitcoin.argmin()] == instant("2020-03-13")
    assert block.highs[0, :, 0].max() == 7_966.17
    assert block.prices[0, [0, -1], 0].tolist() == [7_934.58, 4_800.0]
    assert not block.levels[:, 1:].any()
    # A quiet week and a bad one before it; the exchange's usual start would be 0.6 for both.
    np.testing.assert_allclose(block.levels[0, 0], [0.658, 1.091], atol=0.001)
    # Days only: the open until the close.
    assert np.unique(block.stocks[0, :, 0]).size == 3
    np.testing.assert_array_equal(np.diff(block.stocks[0, 14:20], axis=0), 0.0)


def test_october_2025_in_quarters_of_an_hour(market_data: Path) -> None:
    step_ms = 15 * MINUTE_MS
    block = replay(market_data, "2025-10-09", 4, step_ms=step_ms, rows="2025-10_15m")
    bitcoin = block.lows[0, 1:, 0] / block.prices[0, :-1, 0] - 1
    assert bitcoin.min() == pytest.approx(-0.095, abs=0.0006)
    assert block.times_ms[bitcoin.argmin()] == instant("2025-10-10T21:15")
    closes = block.prices[0, 1:, 0] / block.prices[0, :-1, 0] - 1
    assert closes.min() == pytest.approx(-0.026, abs=0.0006)
    assert (block.levels[0, :, 0] > 0.3).all()
    hourly = replay(market_data, "2025-10-09", 4, rows="2025-10_15m")
    np.testing.assert_array_equal(hourly.prices[0], block.prices[0, ::4])
    quarters = block.lows[0, 1:].reshape(-1, 4, 2).min(axis=1)
    np.testing.assert_array_equal(hourly.lows[0, 1:], quarters)


def test_stocks_gap_when_they_did(market_data: Path) -> None:
    block = replay(
        market_data, "2024-08-02", 4, step_ms=15 * MINUTE_MS, rows="2024-08_15m",
        stocks=("COIN", "NVDA", "MSTR"),
    )  # fmt: skip
    friday, monday = (
        int(np.searchsorted(block.times_ms, instant(time)))
        for time in ("2024-08-02T20:00", "2024-08-05T13:30")
    )
    gaps = block.stocks[0, monday] / block.stocks[0, friday] - 1
    assert gaps == pytest.approx([-0.208, -0.142, -0.274], abs=0.001)
    np.testing.assert_array_equal(np.diff(block.stocks[0, friday:monday], axis=0), 0.0)
    assert not block.is_open[friday:monday].any()
    assert block.is_open[monday]


def test_withheld_windows_are_not_replayed(market_data: Path) -> None:
    with pytest.raises(HistoryError, match="not covered"):
        replay(market_data, "2022-08-30", 5)


def test_seven_years_of_weeks(market_data: Path) -> None:
    model = Replayed(market_data, every_days=7)
    block = draw(model, Clock(instant("2019-01-07"), HOUR_MS, 720), paths=400)
    assert np.unique(block.prices[:, 0, 0]).size > 300
    assert np.isnan(block.prices).mean() < 0.002
