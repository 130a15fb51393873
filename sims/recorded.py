"""Stopping rules on recorded prices: does the moving smile give anybody more than a trade costs?

On a flat surface of the true vol no rule wins (`sims.stopping`). Here the index is what it was, the
vol level what the exchange would have made of it, and the smile moves with both, so nothing is
proved and all is measured. Every trade is one unit of notional, opened on a fixed schedule at the
ask of a small order and closed at the bid when a rule says so: no impact, no age of the index, no
rent, no carry, and strikes at exact moneyness rather than on the ladder.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.kernel import allocating_kernel, kernel
from amm.mixture import discounting_period
from amm.perpetual import payoff, perpetual_price
from amm.quote import IndexQuality, QuoteRules, quote_close, quote_open, quote_unit
from amm.scenarios import Contract
from amm.ssvi import Ssvi
from amm.surface import (
    COEFFICIENTS,
    SmileTable,
    Surface,
    fill_ratios,
    fill_surface,
    make_table,
    stretch_of,
)
from amm.surface import strike_vol as vol_of
from amm.units import DAY_MS, HOUR_MS, PPM, YEAR_MS
from sims.markets.levels import HourlyLevels
from sims.stopping import CAP, DAYS_MAX, WEEK
from sims.strategies import CONTRACTS, RULES, Best, Moment, closes, opens
from vaults.params import Parameters

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WARM_DAYS = 60
"""Of every segment, before its first trade."""
MID, HEDGE, NET, FLAT, DAYS = range(5)
"""Rows of what a trade brings: profit at the mark; gain of holding the mark's slope of the index;
profit at ask and bid; profit at the mark had the surface been flat; days held."""


class Smiles(NamedTuple):
    """Which surface opens, marks and closes a trade: one and the same, but for mutants.

    `ratios` is the marking table read off at every hour's mark, shape (hours, COEFFICIENTS).
    """

    opening: SmileTable
    marking: SmileTable
    closing: SmileTable
    ratios: Floats


def make_smiles(levels: HourlyLevels, opening: Ssvi, marking: Ssvi, closing: Ssvi) -> Smiles:
    """Return the surfaces of a history, from their shapes."""
    period = discounting_period(WEEK, 0.0)
    marks = make_table(marking, period)
    ratios = np.empty((levels.prices.size, COEFFICIENTS))
    _fill_ratios(marks, levels.mark, ratios)
    return Smiles(make_table(opening, period), marks, make_table(closing, period), ratios)


@kernel
def _fill_ratios(table: SmileTable, marks: Floats, ratios: Floats) -> None:
    for hour in range(marks.size):
        fill_ratios(table, marks[hour], 0.0, ratios[hour])


def small_order_rules(parameters: Parameters) -> QuoteRules:
    """Return the spread and fee schedule."""
    return QuoteRules(*(getattr(parameters, name) for name in QuoteRules._fields))


@kernel
def _look(smiles: Smiles, levels: HourlyLevels, hour: int, is_call: bool, strike: float) -> Moment:
    level, moneyness = levels.mark[hour], levels.prices[hour] / strike
    surface = Surface(level, stretch_of(smiles.marking, level), smiles.ratios[hour])
    place, step = -math.log(moneyness), 1e-4
    vol = vol_of(surface, place)
    skew = (vol_of(surface, place + step) - vol_of(surface, place - step)) / (2.0 * step)
    price = perpetual_price(is_call, moneyness, vol, WEEK, 0.0, 0.0, CAP)
    flat = perpetual_price(is_call, moneyness, level, WEEK, 0.0, 0.0, CAP)
    delta = price.delta - price.vega * skew / moneyness
    relative = vol / level
    return Moment(
        moneyness,
        level,
        relative,
        price.value,
        price.premium_rate,
        delta,
        flat.value,
        flat.premium_rate,
    )


@allocating_kernel
def _ask(
    smiles: Smiles, charge: QuoteRules, token_vol: float, contract: Contract, index: float,
    level: float,
) -> float:  # fmt: skip
    surface = fill_surface(smiles.opening, level, 0.0, np.empty(COEFFICIENTS))
    unit = quote_unit(charge, IndexQuality(0, 0.0, level), contract, index, surface, token_vol)
    return quote_open(unit, 1.0, 0.0).total


@allocating_kernel
def _bid(
    smiles: Smiles, charge: QuoteRules, token_vol: float, contract: Contract, index: float,
    level: float,
) -> float:  # fmt: skip
    if payoff(contract.is_call, index / contract.strike, CAP) >= CAP:
        return CAP
    surface = fill_surface(smiles.closing, level, 0.0, np.empty(COEFFICIENTS))
    unit = quote_unit(charge, IndexQuality(0, 0.0, level), contract, index, surface, token_vol)
    quote = quote_close(unit, 1.0, 0.0, 0.0, CAP)
    return quote.gross - quote.fee


@allocating_kernel
def _run_trade(
    levels: HourlyLevels,
    smiles: Smiles,
    charge: QuoteRules,
    token_vol: float,
    total_min: float,
    contract: Contract,
    hour: int,
    closing: Ints,
    open_now: npt.NDArray[np.bool_],
    draws: Floats,
    found: Floats,
) -> None:
    """Fill what one series, opened at an hour, brings each rule; shape (measures, rules)."""
    ask = _ask(smiles, charge, token_vol, contract, levels.prices[hour], levels.buy[hour])
    if ask < total_min:
        return
    first = now = _look(smiles, levels, hour, contract.is_call, contract.strike)
    best, running = Best(first.moneyness, first.value), open_now.copy()
    paid = flat_paid = hedge = 0.0
    at, end_ms = hour, levels.times_ms[hour] + DAYS_MAX * DAY_MS
    while running.any():
        before, at = now, at + 1
        now = _look(smiles, levels, at, contract.is_call, contract.strike)
        passed_ms = levels.times_ms[at] - levels.times_ms[at - 1]
        is_outage = passed_ms > HOUR_MS  # charged with the smaller of the rates at its ends
        years = passed_ms / YEAR_MS
        paid += years * (min(before.rate, now.rate) if is_outage else before.rate)
        flat_rate = min(before.flat_rate, now.flat_rate) if is_outage else before.flat_rate
        flat_paid += years * flat_rate
        hedge += before.delta * (now.moneyness - before.moneyness)
        best = Best(max(best.moneyness, now.moneyness), max(best.value, now.value))
        is_over = levels.times_ms[at] >= end_ms
        is_over = is_over or payoff(contract.is_call, now.moneyness, CAP) >= CAP
        elapsed, bid = (levels.times_ms[at] - levels.times_ms[hour]) / YEAR_MS, -1.0
        for rule in range(closing.size):
            if not running[rule] or not (
                is_over
                or closes(
                    closing[rule], contract.is_call, elapsed, first, now, best, draws[at - hour]
                )
            ):
                continue
            if bid < 0.0:
                bid = _bid(smiles, charge, token_vol, contract, levels.prices[at], levels.sell[at])
            running[rule] = False
            found[MID, rule] = now.value - first.value - paid
            found[HEDGE, rule] = hedge
            found[NET, rule] = bid - ask - paid
            found[FLAT, rule] = now.flat_value - first.flat_value - flat_paid
            found[DAYS, rule] = 365.0 * elapsed


@kernel
def _run_trades(
    levels: HourlyLevels,
    smiles: Smiles,
    charge: QuoteRules,
    token_vol: float,
    total_min: float,
    hours: Ints,
    open_now: npt.NDArray[np.bool_],
    closing: Ints,
    is_call: npt.NDArray[np.bool_],
    strikes: Floats,
    draws: Floats,
    found: Floats,
) -> None:
    """Fill shape (hour, contract, measure, rule); `open_now` has shape (hour, contract, rule)."""
    for i in range(hours.size):
        for j in range(strikes.size):
            strike = strikes[j] * levels.prices[hours[i]]
            contract = Contract(is_call[j], strike, WEEK, 0.0, 0.0, CAP)
            _run_trade(
                levels,
                smiles,
                charge,
                token_vol,
                total_min,
                contract,
                hours[i],
                closing,
                open_now[i, j],
                draws[i],
                found[i, j],
            )


def schedule(levels: HourlyLevels, every: int) -> Ints:
    """Return every so many hours of those that have a past and a whole holding in their segment."""
    hours = []
    for segment in np.unique(levels.segment):
        rows = np.flatnonzero(levels.segment == segment)
        times_ms = levels.times_ms[rows]
        has_past = times_ms >= times_ms[0] + WARM_DAYS * DAY_MS
        has_future = times_ms < times_ms[-1] - (DAYS_MAX + 1) * DAY_MS
        hours.append(rows[has_past & has_future][::every])
    return np.concatenate(hours)


def run_recorded(
    levels: HourlyLevels, smiles: Smiles, hours: Ints, parameters: Parameters, seed: int = 1
) -> Floats:
    """Return what every trade brought, shape (hour, contract, measure, rule); NaN where none."""
    found = np.full((hours.size, len(CONTRACTS), DAYS + 1, len(RULES)), np.nan)
    draws = np.random.default_rng(seed).random((hours.size, DAYS_MAX * 24 + 1))
    _run_trades(
        levels,
        smiles,
        small_order_rules(parameters),
        parameters.token_vol,
        parameters.total_min_ppm / PPM,
        hours,
        opens(levels, hours),
        np.array([rule.closes for rule in RULES]),
        np.array([is_call for is_call, _ in CONTRACTS]),
        np.array([strike for _, strike in CONTRACTS]),
        draws,
        found,
    )
    return found
