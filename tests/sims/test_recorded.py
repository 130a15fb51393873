"""On recorded prices no stopping rule earns what a trade costs, though the smile moves."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from amm.perpetual import perpetual_price
from amm.ssvi import DEFAULT_SURFACES, FLAT
from amm.units import DAY_MS, HOUR_MS
from sims.chapters.page import rows_of
from sims.chapters.recorded import EVERY_HOURS, Floats, Ints, estimate, outcome_of, read_history
from sims.markets.levels import HourlyLevels, hourly_levels
from sims.markets.simulated import simulate_path
from sims.markets.surfaces import LevelRow
from sims.markets.vols import VolHistory, no_vols
from sims.recorded import MID, make_smiles, run_recorded, schedule
from sims.stopping import CAP, WEEK
from sims.strategies import CONTRACTS, RULES
from vaults.params import Parameters

PAGE = Path(__file__).parents[2] / "docs" / "pricing.md"
START_MS = 1_760_011_200_000 // DAY_MS * DAY_MS
SYMBOLS = ("BTC", "ETH")
ERRORS_MAX = 4.0
TRADES_MIN = 60
"""Fewer of one contract say nothing by themselves."""
STEP, MUTANT_STEP = 61, 97


@pytest.fixture(scope="module")
def history(market_data: Path) -> dict[str, HourlyLevels]:
    return read_history(market_data)


def wins(found: Floats, times_ms: Ints) -> Iterator[tuple[str, str, object, float]]:
    """Yield what breaks the claim: measure, rule, contract (None: all), errors above 0."""
    for place, rule in enumerate(RULES):
        outcome = outcome_of(found, place)
        measures = (
            ("net", outcome.net),
            ("hedge taken off", outcome.hedged),
            ("smile over cost", outcome.smile - outcome.cost),
        )
        for name, profits in measures:
            for contract in (None, *range(len(CONTRACTS))):
                some = profits if contract is None else profits[:, contract : contract + 1]
                mean, error, trades = estimate(some, times_ms)
                if trades >= TRADES_MIN and mean > ERRORS_MAX * error:
                    yield name, rule.name, contract and CONTRACTS[contract], mean / error


def constant_levels(vol: float, days: int, seed: int) -> HourlyLevels:
    """Return hours of an index that has the vol of its level."""
    hours = 24 * days
    moves = np.random.default_rng(seed).standard_normal(hours) * vol / np.sqrt(8760.0)
    prices = 100_000.0 * np.exp(np.cumsum(moves - vol * vol / 17520.0))
    level = np.full(hours, vol)
    times_ms = START_MS + HOUR_MS * np.arange(hours)
    segment = np.zeros(hours, dtype=np.int64)
    return HourlyLevels(times_ms, segment, prices, level, level, level, level)


@pytest.mark.compiled
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_no_rule_earns_its_round_trip(history: dict[str, HourlyLevels], symbol: str) -> None:
    levels, shape = history[symbol], DEFAULT_SURFACES[symbol]
    hours = schedule(levels, STEP)
    smiles = make_smiles(levels, shape, shape, shape)
    found = run_recorded(levels, smiles, hours, Parameters())
    assert not list(wins(found, levels.times_ms[hours]))
    rows = {row[0]: row[1:] for row in shown(symbol)}
    for place, rule in enumerate(RULES):
        outcome = outcome_of(found, place)
        for cell, profits in zip(rows[rule.name][2:4], (outcome.net, outcome.hedged), strict=True):
            mean, error = (float(part) / 1e4 for part in cell.split("±"))
            now = estimate(profits, levels.times_ms[hours])
            assert abs(mean - now.mean) <= ERRORS_MAX * np.hypot(error, now.error)


@pytest.mark.compiled
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_opening_at_the_vol_of_the_money_gives_the_wings_away(
    history: dict[str, HourlyLevels], symbol: str
) -> None:
    levels, shape = history[symbol], DEFAULT_SURFACES[symbol]
    hours = schedule(levels, MUTANT_STEP)
    mutant = make_smiles(levels, FLAT, shape, shape)
    found = run_recorded(levels, mutant, hours, Parameters())
    broken = {name for name, *_ in wins(found, levels.times_ms[hours])}
    assert broken == {"net", "hedge taken off", "smile over cost"}


@pytest.mark.compiled
def test_a_vol_of_the_day_before_gives_jumps_away(history: dict[str, HourlyLevels]) -> None:
    """Of ETH: the daily vols recorded for BTC are hours old when they come, and jump less."""
    levels, shape = history["ETH"], DEFAULT_SURFACES["ETH"]
    hours = schedule(levels, EVERY_HOURS)
    smiles = make_smiles(levels, shape, shape, shape)
    stale = levels._replace(buy=np.concatenate([levels.mark[:24], levels.mark[:-24]]))
    found = run_recorded(stale, smiles, hours, Parameters())
    broken = {(name, rule) for name, rule, *_ in wins(found, levels.times_ms[hours])}
    assert ("hedge taken off", "after a vol jump, for a day") in broken


@pytest.mark.compiled
def test_on_a_flat_surface_of_the_true_vol_only_ticks_and_costs_count() -> None:
    levels = constant_levels(0.6, 800, 7)
    hours = schedule(levels, 97)
    found = run_recorded(levels, make_smiles(levels, FLAT, FLAT, FLAT), hours, Parameters())
    times_ms = levels.times_ms[hours]
    for place, rule in enumerate(RULES):
        if rule.opens:
            assert estimate(found[:, :, MID, place], times_ms).trades == 0 or rule.opens < 3
            continue
        outcome = outcome_of(found, place)
        traded = ~np.isnan(outcome.smile)
        assert np.abs(outcome.smile[traded]).max() < 1e-12
        assert outcome.cost[traded].min() >= 0.0
        at_mid = estimate(outcome.hedged + outcome.cost, times_ms)
        assert -1e-4 - ERRORS_MAX * at_mid.error < at_mid.mean < ERRORS_MAX * at_mid.error


@pytest.mark.compiled
def test_an_outage_is_charged_the_smaller_rate_and_the_barrier_pays_the_cap() -> None:
    levels = constant_levels(0.6, 100, 1)
    start, gap = 70 * 24, 3
    prices = np.full(levels.prices.size, 100.0)
    prices[start + 2 :] = 130.0
    times_ms = levels.times_ms + np.where(np.arange(prices.size) > start + 1, gap * HOUR_MS, 0)
    levels = levels._replace(prices=prices, times_ms=times_ms)
    smiles = make_smiles(levels, FLAT, FLAT, FLAT)
    found = run_recorded(levels, smiles, np.array([start]), Parameters())
    rule = [each.name for each in RULES].index("out of a band of moneyness")
    at_the_money, inside = CONTRACTS.index((True, 1.0)), CONTRACTS.index((True, 0.8))
    opened = perpetual_price(True, 1.0, 0.6, WEEK, 0.0, 0.0, CAP)
    left = perpetual_price(True, 1.3, 0.6, WEEK, 0.0, 0.0, CAP)
    paid = (opened.premium_rate + (gap + 1) * left.premium_rate) / 8760.0
    profit = found[0, at_the_money, MID, rule]
    assert profit == pytest.approx(left.value - opened.value - paid, abs=1e-12)
    deep = perpetual_price(True, 1.25, 0.6, WEEK, 0.0, 0.0, CAP)
    assert found[0, inside, MID, rule] == pytest.approx(
        CAP - deep.value - deep.premium_rate / 8760.0, abs=1e-12
    )
    outcome = outcome_of(found, rule)
    assert 0.0 < outcome.cost[0, inside] < outcome.cost[0, at_the_money]  # a cash-out is free


def test_the_schedule_leaves_a_past_and_a_whole_holding() -> None:
    levels = constant_levels(0.6, 100, 1)
    hours = schedule(levels, 10)
    assert hours[0] == 60 * 24
    assert levels.times_ms[hours[-1]] + 21 * DAY_MS <= levels.times_ms[-1]
    split = levels._replace(segment=np.repeat([0, 1], 50 * 24))
    assert schedule(split, 10).size == 0


def test_levels_are_recorded_ones_while_young_and_the_mark_follows() -> None:
    path = simulate_path(("BTC",), START_MS, 6, (100_000.0,), (0.4,), 0.0, 1)
    jump_ms = START_MS + 2 * DAY_MS
    fed = VolHistory(((LevelRow(START_MS, 0.5), LevelRow(jump_ms, 0.8)),), ((),))
    levels = hourly_levels(path, 0, fed)
    at = int(np.searchsorted(levels.times_ms, jump_ms))
    assert levels.mark[at - 1] == 0.5
    assert levels.mark[at] == pytest.approx(0.51)
    assert levels.buy[at] == 0.8
    assert levels.sell[at] == levels.mark[at]
    assert levels.mark[at + 1] == 0.8
    estimated = hourly_levels(path, 0, no_vols(("BTC",)))
    assert levels.recent[-1] == estimated.recent[-1]
    assert levels.mark[-1] == estimated.mark[-1]  # the last level is more than two days old
    assert (levels.buy >= levels.mark).all()
    assert (levels.sell <= levels.mark).all()
    assert abs(estimated.recent[-1] - 0.4) < 0.2


def test_errors_are_by_blocks_of_time() -> None:
    times_ms = START_MS + DAY_MS * np.arange(600)
    profits = np.repeat(np.arange(10.0), 60)[:, None]
    found = estimate(profits, times_ms - times_ms[0] % (60 * DAY_MS))
    assert found.mean == pytest.approx(4.5)
    assert found.error == pytest.approx(np.arange(10.0).std(ddof=1) / np.sqrt(10.0))
    assert found.trades == 600
    assert np.isnan(estimate(profits[:20], times_ms[:20]).error)
    assert estimate(np.full((3, 2), np.nan), times_ms[:3]).trades == 0


def shown(symbol: str) -> list[list[str]]:
    """Return the page's rows for a symbol."""
    text = PAGE.read_text()
    return rows_of(text[text.index(f"| {symbol} | at mid") :].split("\n\n")[0])


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_page_has_every_rule(symbol: str) -> None:
    assert [row[0] for row in shown(symbol)] == [rule.name for rule in RULES]
