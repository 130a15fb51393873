"""The bootstrap draws what was recorded, together, in blocks that keep to the week."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amm.units import DAY_MS, HOUR_MS, MINUTE_MS
from sims.markets.block import Clock
from sims.markets.bootstrap import Bootstrap, draw_rows
from sims.markets.history import HistoryError
from sims.markets.hours import MEMORY_HOURS, read_hours
from sims.markets.sessions import hours_of_week
from tests.sims.markets.conftest import BEGIN, BROKEN, OUTAGE, WEEKS

START = 1_767_571_200_000
"""Monday, 5 January 2026."""
CLOCK = Clock(START, HOUR_MS, 720)
HOURS = WEEKS * 168


def test_hours_are_those_with_one_before_them(made_history: Path) -> None:
    hours = Bootstrap(made_history).hours()
    # All but the first hour, the outage, the hour after it, and the one BTC begins anew with.
    count = HOURS - 1 - len(OUTAGE) - 1 - 1
    assert hours.moves.shape == (count, 2)
    ends = np.flatnonzero(hours.left == 0).tolist()
    assert ends == [OUTAGE[0] - 2, BROKEN - 2 - len(OUTAGE) - 1, count - 1]
    assert hours.left[0] == ends[0]
    assert hours.first.tolist() == sorted(hours.first)
    assert hours.first[-1] == count


def test_what_was_recorded_together_is_drawn_together(made_history: Path) -> None:
    model = Bootstrap(made_history, stocks=("BARS",), keeps_drift=True)
    hours, block = model.hours(), model.draw(CLOCK, 30, np.random.default_rng(1))
    prices = np.concatenate([block.prices, block.stocks], axis=2)
    moves = np.diff(np.log(prices), axis=1).reshape(-1, 3)
    order = np.argsort(hours.moves[:, 0])
    found = hours.moves[order]
    place = np.searchsorted(found[:, 0], moves[:, 0] - 1e-9)
    np.testing.assert_allclose(moves, found[place], atol=1e-9)
    rows = order[place]
    lower = np.minimum(block.prices[:, :-1], block.prices[:, 1:])
    upper = np.maximum(block.prices[:, :-1], block.prices[:, 1:])
    below = np.log(lower / block.lows[:, 1:]).reshape(-1, 2)
    above = np.log(block.highs[:, 1:] / upper).reshape(-1, 2)
    np.testing.assert_allclose(below, hours.below[rows], atol=1e-9)
    np.testing.assert_allclose(above, hours.above[rows], atol=1e-9)
    np.testing.assert_array_equal(block.levels[:, 1:].reshape(-1, 2), hours.levels[rows])
    assert np.unique(rows).size > 0.9 * len(hours.moves)


@pytest.mark.parametrize("mean", [5.0, 72.0])
def test_blocks_have_geometric_lengths_and_keep_to_the_week(market_data: Path, mean: float) -> None:
    hours = read_hours(market_data, (), "estimator", False, 0, 2**62)
    wanted = hours_of_week(CLOCK.times_ms[:-1])
    rows = draw_rows(hours, wanted, 400, 1.0 / mean, np.random.default_rng(2))
    begins = np.diff(rows, axis=1) != 1
    chance = 1.0 / mean
    error = math.sqrt(chance * (1 - chance) / begins.size)
    # Outages and breaks end some blocks too: one in a thousand hours has nothing after it.
    assert begins.mean() == pytest.approx(chance, abs=4 * error + 0.002)
    weekly = np.empty(len(hours.moves), dtype=np.int64)
    weekly[hours.by_hour] = np.repeat(np.arange(168), np.diff(hours.first))
    off = (weekly[rows] - wanted) % 168
    at_begin = off[:, 1:][begins]
    np.testing.assert_array_equal(at_begin, 0)
    # Within a block clocks may change: a block that spans it is an hour off until it ends.
    assert np.isin(off, [0, 1, 167]).all()
    assert (off == 0).mean() > 0.98


def test_recorded_hours_come_back_with_their_tails(market_data: Path) -> None:
    model = Bootstrap(market_data)
    block = model.draw(CLOCK, 400, np.random.default_rng(3))
    drawn = np.diff(np.log(block.prices), axis=1).reshape(-1, 2)
    source = model.hours().moves
    np.testing.assert_allclose(drawn.std(axis=0), source.std(axis=0), rtol=0.05)
    for share in (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999):
        rtol = 0.1 if share in {0.001, 0.999} else 0.06
        np.testing.assert_allclose(
            np.quantile(drawn, share, axis=0), np.quantile(source, share, axis=0), rtol, 5e-5
        )
    for column in (0, 1):
        kurtosis = [
            (((moves - moves.mean()) / moves.std()) ** 4).mean()
            for moves in (drawn[:, column], source[:, column])
        ]
        assert kurtosis[1] > 20.0
        assert kurtosis[0] == pytest.approx(kurtosis[1], rel=0.4)
    correlations = [np.corrcoef(moves.T)[0, 1] for moves in (drawn, source)]
    assert correlations[0] == pytest.approx(correlations[1], abs=0.02)


def test_recorded_hours_are_those_of_the_facts(market_data: Path) -> None:
    moves = Bootstrap(market_data, keeps_drift=True).hours().moves
    np.testing.assert_allclose(moves.std(axis=0), [0.0069, 0.0087], atol=0.00006)
    low = np.expm1(np.quantile(moves, [0.001, 0.0001], axis=0))
    np.testing.assert_allclose(low[0], [-0.044, -0.056], atol=0.002)
    np.testing.assert_allclose(low[1], [-0.092, -0.125], atol=0.008)


def test_vol_clusters_as_long_as_blocks_are(market_data: Path) -> None:
    def clustering(mean: float) -> float:
        model = Bootstrap(market_data, mean_block_hours=mean)
        block = model.draw(CLOCK, 200, np.random.default_rng(4))
        sizes = np.abs(np.diff(np.log(block.prices[..., 0]), axis=1))
        return float(np.corrcoef(sizes[:, :-24].ravel(), sizes[:, 24:].ravel())[0, 1])

    assert clustering(1.0) < 0.1 < clustering(72.0)


def test_drift_is_taken_off_unless_kept(made_history: Path) -> None:
    without, kept = (Bootstrap(made_history, keeps_drift=keeps).hours() for keeps in (False, True))
    np.testing.assert_allclose(np.exp(without.moves).mean(axis=0), 1.0, atol=1e-15)
    shift = kept.moves - without.moves
    assert np.ptp(shift, axis=0).max() < 1e-15
    np.testing.assert_allclose(shift[0], np.log(np.exp(kept.moves).mean(axis=0)), rtol=1e-9)
    assert np.abs(shift).max() > 1e-6
    np.testing.assert_array_equal(kept.levels, without.levels)


def test_prices_without_drift_stay_where_they_are_on_average(market_data: Path) -> None:
    block = Bootstrap(market_data).draw(CLOCK._replace(steps=168), 3_000, np.random.default_rng(5))
    ratios = block.prices[:, -1] / block.prices[:, 0]
    error = ratios.std(axis=0) / math.sqrt(len(ratios))
    assert (np.abs(ratios.mean(axis=0) - 1.0) < 4 * error).all()


def test_realised_levels_are_those_of_the_days_before(made_history: Path) -> None:
    hours = Bootstrap(made_history, keeps_drift=True).hours()
    squares = hours.moves**2
    expected = squares.mean(axis=0)
    for row in range(300):
        expected = expected + (squares[row] - expected) / MEMORY_HOURS
    np.testing.assert_allclose(hours.levels[299], np.sqrt(expected * 8_760), rtol=1e-12)
    anew = BROKEN - 1 - len(OUTAGE) - 1
    assert hours.left[anew - 1] == 0
    expected = squares.mean(axis=0) + (squares[anew] - squares.mean(axis=0)) / MEMORY_HOURS
    np.testing.assert_allclose(hours.levels[anew], np.sqrt(expected * 8_760), rtol=1e-12)


def test_recorded_levels_are_those_of_the_hour(made_history: Path) -> None:
    levels = Bootstrap(made_history, feeds="recorded").hours().levels
    assert set(np.round(levels[:, 0] / 0.92, 12)) == {0.0, 0.4, 0.41, 0.42, 0.43, 0.44}
    assert (levels[:22, 0] == 0.0).all()
    assert levels[22, 0] > 0.0  # the first hour that ends when the first day's index is out
    assert not levels[:, 1].any()
    assert not Bootstrap(made_history, feeds="estimator").hours().levels.any()


def test_hours_can_be_chosen(made_history: Path) -> None:
    begin, end = BEGIN + 7 * DAY_MS, BEGIN + 14 * DAY_MS
    hours = Bootstrap(made_history, start_ms=begin, end_ms=end).hours()
    assert len(hours.moves) == 168
    assert np.diff(hours.first).tolist() == [1] * 168
    with pytest.raises(HistoryError, match="too few hours"):
        Bootstrap(made_history, start_ms=begin + 1, end_ms=end).hours()


def test_stocks_narrow_the_hours_to_those_they_have(made_history: Path) -> None:
    alone, both = (
        Bootstrap(made_history, stocks=names, keeps_drift=True).hours() for names in ((), ("BARS",))
    )
    # The first price is that of Tuesday 14:30; from 15:00 on hours have one at both ends.
    assert len(alone.moves) - len(both.moves) == 24 + 15
    weekly = np.repeat(np.arange(168), np.diff(both.first))
    moves = both.moves[both.by_hour, 2]
    in_session = (weekly < 120) & (weekly % 24 >= 9) & (weekly % 24 < 16)
    assert not moves[~in_session].any()
    assert (moves[in_session] != 0.0).mean() > 0.9
    assert both.last_stocks.shape == (1,)


def test_steps_must_be_hours_on_the_hour(made_history: Path) -> None:
    random = np.random.default_rng(1)
    with pytest.raises(ValueError, match="the steps must be hours"):
        Bootstrap(made_history).draw(CLOCK._replace(step_ms=15 * MINUTE_MS), 2, random)
    with pytest.raises(ValueError, match="2026-01-05T00:30Z is not on the hour"):
        Bootstrap(made_history).draw(CLOCK._replace(start_ms=START + 30 * MINUTE_MS), 2, random)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"prices": (0.0, 1.0)}, "price must be"),
        ({"mean_block_hours": 0.5}, "mean_block_hours must be from 1"),
        ({"mean_block_hours": math.nan}, "mean_block_hours must be from 1"),
        ({"feeds": "rumour"}, "'rumour' is not one of realised, recorded, estimator"),
        ({"start_ms": 5, "end_ms": 5}, "end_ms must be after start_ms"),
    ],
)
def test_nonsense_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Bootstrap(Path(), **fields)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"has no BTC_1h\.csv"):
        Bootstrap(tmp_path).hours()
