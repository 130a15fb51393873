"""What coin and dollar settlement come to through a stock gap, each figure with its error."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sims.drawdown.scenario import Buyers, PoolPlan, Scenario
from sims.markets.block import Floats
from sims.markets.regimes import Regimes
from sims.settlement.gaps import draw_prices, stocks_of
from sims.settlement.morning import Mornings, last_weekend, run_mornings
from sims.settlement.settling import (
    COIN,
    DOLLAR,
    asked_of,
    forced_part,
    keep_idle,
    pay,
)
from sims.settlement.weekends import Weekends, through_weekends
from sims.statistics import Estimate, estimate_of, probability, quantile

START_MS = 1_768_176_000_000
"""Monday 2026-01-12, eleven days before the weekend: three mean holding times."""
DAYS = 15
ORDERS = 60.0
"""A day: more than the pool takes, so that the rules of capacity decide what is open."""
SIZE = 0.015
GAPS = (0.25, 0.0, -0.1, -0.2, -0.3, -0.4, -0.5, -0.6)
IDLE = (0.0, 0.1, 0.2, 0.3, 0.4)
SWEPT = ((COIN, 0.0), (DOLLAR, 0.0), (DOLLAR, 0.2))
"""Settlements sent through every gap, and what each leaves idle."""
DRAWS = 400
GAP_LEAST, GAP_MOST = -0.95, 3.0
PATHS_MIN = 20
ORDERS_LEAST, ORDERS_MOST = 4.0, 500.0
"""A day; with fewer some book is empty, and its cover has no bound."""


class Through(NamedTuple):
    """One settlement through one gap; amounts over what both pools have, in tokens.

    Attributes:
        settlement: `coin` or `dollar`.
        idle: Part of what may be locked that the venue leaves free.
        gap: Of the stock, as a simple return.
        cover: What both pools have over the most they can be asked, mean.
        cover_low: The same, 5 % quantile.
        uncovered: Chance that they can be asked for more than they have.
        by_main: What main pays if every promise is called in full.
        by_insurance: What insurance pays.
        missing: What holders go without.
        missing_dollars: The same at the token's new price, over the pools at its old one.
        holder_dollars: What a holder gets of each dollar promised on Friday, if all are called.
        extra: What main pays more than before the gap if all positions are sold at their marks.
        forced: Part of every position bought back so that locks are backed again.
        broken: Chance that not even the marks can be paid, the indices moving 30 % either way.
        broken_missing: What holders then go without, in the worse of both, 0 where all is paid.
    """

    settlement: str
    idle: float
    gap: float
    cover: Estimate
    cover_low: Estimate
    uncovered: Estimate
    by_main: Estimate
    by_insurance: Estimate
    missing: Estimate
    missing_dollars: Estimate
    holder_dollars: Estimate
    extra: Estimate
    forced: Estimate
    broken: Estimate
    broken_missing: Estimate


class Study(NamedTuple):
    """Everything a report shows.

    Attributes:
        stock: Whose law the weekends have.
        gap: That the picture singles out.
        seed: Of everything.
        mornings: The pools.
        through: Both settlements through each gap.
        weekends: Coin settlement, and dollar settlement with each part left idle.
    """

    stock: str
    gap: float
    seed: int
    mornings: Mornings
    through: tuple[Through, ...]
    weekends: tuple[Weekends, ...]


def scenario_of(paths: int, seed: int, orders: float = ORDERS) -> Scenario:
    """Return the scenario whose last weekend is studied; `orders` come in a day."""
    return Scenario(
        "settlement",
        Regimes(),
        pools=(PoolPlan(),),
        buyers=Buyers(orders_per_day=orders, size=SIZE),
        start_ms=START_MS,
        days=DAYS,
        paths=paths,
        seed=seed,
    )


def _chance(events: npt.NDArray[np.bool_]) -> Estimate:
    return probability(events, np.ones(events.size))


def through_gap(mornings: Mornings, settlement: str, idle: float, gap: float) -> Through:
    """Return what a gap does, over the paths.

    Args:
        mornings: The pools.
        settlement: `coin` or `dollar`.
        idle: Part of what may be locked that is left free.
        gap: Of the stock, as a simple return; > -1.
    """
    pools, _ = keep_idle(mornings, idle)
    price = np.full(pools.main.size, 1.0 + gap)
    had = np.asarray(pools.main + pools.insurance, dtype=np.float64)
    paid = pay(asked_of(settlement, pools.locked, price), pools.main, pools.insurance)
    marked = asked_of(settlement, pools.marked, price)
    moved = asked_of(settlement, pools.moved.max(axis=1), price)
    beyond = pay(moved, pools.main, pools.insurance).missing
    cover = had / np.maximum(paid.asked, 1)
    received = (paid.asked - paid.missing) * price / np.maximum(pools.locked, 1)
    return Through(
        settlement,
        idle,
        gap,
        cover=estimate_of(cover),
        cover_low=quantile(cover, 0.05, np.ones(cover.size)),
        uncovered=_chance(np.asarray(paid.missing > 0)),
        by_main=estimate_of(paid.by_main / had),
        by_insurance=estimate_of(paid.by_insurance / had),
        missing=estimate_of(paid.missing / had),
        missing_dollars=estimate_of(paid.missing * price / had),
        holder_dollars=estimate_of(received),
        extra=estimate_of((marked - pools.marked) / had),
        forced=estimate_of(forced_part(pools, settlement, price)),
        broken=_chance(np.asarray(beyond > 0)),
        broken_missing=estimate_of(beyond / had),
    )


def check_inputs(paths: int, stock: str, gap: float, orders: float) -> None:
    """Refuse what cannot be studied.

    Raises:
        ValueError: Naming the input.
    """
    stocks_of(stock)
    if not GAP_LEAST <= gap <= GAP_MOST:
        raise ValueError(f"gap: {gap:g} is not from {GAP_LEAST:g} to {GAP_MOST:g}")
    if paths < PATHS_MIN:
        raise ValueError(f"paths: {paths} are fewer than {PATHS_MIN}")
    if not ORDERS_LEAST <= orders <= ORDERS_MOST:
        span = f"{ORDERS_LEAST:g} to {ORDERS_MOST:g}"
        raise ValueError(f"orders: {orders:g} a day are not from {span}")


def draw_weekends(mornings: Mornings, stock: str, seed: int) -> Floats:
    """Return prices of a stock after the weekend of each path; see `draw_prices`."""
    weekend = last_weekend(scenario_of(mornings.main.size, seed).clock)
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 1])))
    return draw_prices(stock, weekend.clock, mornings.bitcoin, DRAWS, random)


def run_study(
    paths: int, seed: int, stock: str, gap: float, orders: float, tell: Callable[[int], None]
) -> Study:
    """Run the pools, then both settlements through every gap.

    Args:
        paths: Histories of the indices and of the book.
        seed: Of everything that is drawn.
        stock: Calibrated stock whose weekends are drawn.
        gap: To single out, as a simple return.
        orders: Of buyers, a day.
        tell: Told how many paths are done.

    Raises:
        ValueError: For an input that cannot be.
    """
    check_inputs(paths, stock, gap, orders)
    mornings = run_mornings(scenario_of(paths, seed, orders), tell)
    gaps = sorted({*GAPS, gap}, reverse=True)
    prices = draw_weekends(mornings, stock, seed)
    kinds = ((COIN, 0.0), *((DOLLAR, idle) for idle in IDLE))
    return Study(
        stock,
        gap,
        seed,
        mornings,
        tuple(through_gap(mornings, *kind, each) for each in gaps for kind in SWEPT),
        tuple(through_weekends(mornings, kind, stock, idle, prices) for kind, idle in kinds),
    )
