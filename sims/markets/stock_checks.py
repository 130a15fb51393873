"""The stocks of a market model against recorded days it was not calibrated on."""

from pathlib import Path

import numpy as np

from amm.units import DAY_MS, MINUTE_MS
from sims.markets.block import Clock, Floats, MarketBlock
from sims.markets.model_checks import BATCH, ERROR_DRAWS, Row, draw_blocks, row_of
from sims.markets.recorded_hours import Hours
from sims.markets.regimes import Regimes
from sims.markets.stock_bars import read_stock_bars
from sims.markets.stock_days import StockDays, of_kind, stock_days
from sims.markets.stock_sessions import session_steps

STEP_MS = 30 * MINUTE_MS
"""Exchanges open on the half hour: with such steps a gap is a step's whole move."""
PATHS = 120
_WARM_DAYS = 200
_BLOCK_DAYS = 28


def _figures(gaps: Floats, pause: Floats, kind: str) -> dict[str, float]:
    low, high = (0.05, 0.95) if kind == "weekend" else (0.01, 0.99)
    beta = float(np.cov(gaps, pause)[0, 1] / pause.var(ddof=1))
    return {
        f"{kind} {low:.0%} quantile": float(np.quantile(gaps, low)),
        f"{kind} {high:.0%} quantile": float(np.quantile(gaps, high)),
        f"{kind} std": float(gaps.std()),
        f"{kind} beta to BTC": beta,
    }


def recorded_figures(days: StockDays) -> dict[str, float]:
    """Return the figures of recorded gaps."""
    found: dict[str, float] = {}
    for kind in ("overnight", "weekend"):
        some = of_kind(days, kind)
        found |= _figures(some.gaps, some.pause, kind)
    return found


def drawn_figures(block: MarketBlock, clock: Clock, path: int, column: int) -> dict[str, float]:
    """Return the figures of the gaps of a drawn path."""
    steps = session_steps(clock)
    stock, btc = np.log(block.stocks[path, :, column]), np.log(block.prices[path, :, 0])
    gaps = stock[steps.opens + 1] - stock[steps.closed]
    pause = btc[steps.opens + 1] - btc[steps.closed]
    found: dict[str, float] = {}
    for kind in ("overnight", "weekend"):
        rows = steps.weekend == (kind == "weekend")
        found |= _figures(gaps[rows], pause[rows], kind)
    return found


def _errors(days: StockDays) -> dict[str, float]:
    """Return standard errors of the figures: blocks of days are drawn again."""
    random, number = np.random.default_rng(1), days.days_ms // (_BLOCK_DAYS * DAY_MS)
    blocks = [np.flatnonzero(number == each) for each in np.unique(number)]
    samples = []
    for _ in range(ERROR_DRAWS):
        drawn = random.integers(len(blocks), size=len(blocks)).tolist()
        rows = np.concatenate([blocks[each] for each in drawn])
        samples.append(recorded_figures(days.take(rows)))
    return {name: float(np.std([each[name] for each in samples], ddof=1)) for name in samples[0]}


def read_stock(folder: Path, name: str, hours: Hours, first_ms: int) -> StockDays:
    """Return the recorded days of a stock from a time on; sigma is known from the days before."""
    bars = read_stock_bars(folder, name)
    late = bars.times_ms >= first_ms - _WARM_DAYS * DAY_MS
    days = stock_days(bars.take(late), hours)
    return days.take(days.days_ms >= first_ms)


def check_stocks(
    model: Regimes, folder: Path, hours: Hours, first_ms: int, paths: int = PATHS, seed: int = 1
) -> tuple[Row, ...]:
    """Compare a model's stocks with recorded ones.

    Args:
        model: With stocks.
        folder: Of the data.
        hours: Recorded ones.
        first_ms: Days from then on are compared; a stock listed later is left out.
        paths: Drawn histories.
        seed: Of them.
    """
    end = int(hours.times_ms[-1]) // DAY_MS * DAY_MS
    clock = Clock(first_ms, STEP_MS, (end - first_ms) // STEP_MS)
    recorded = {}
    for column, stock in enumerate(model.stocks.each):
        days = read_stock(folder, stock.name, hours, first_ms)
        if days.days_ms.size and days.days_ms[0] < first_ms + 7 * DAY_MS:
            recorded[column] = days
    drawn: dict[int, list[dict[str, float]]] = {column: [] for column in recorded}
    for block in draw_blocks(model, clock, paths, seed, 1):
        for column, figures in drawn.items():
            figures += [drawn_figures(block, clock, path, column) for path in range(BATCH)]
    rows: list[Row] = []
    for column, days in recorded.items():
        name, data, errors = model.stocks.each[column].name, recorded_figures(days), _errors(days)
        for each, value in data.items():
            values = np.array([figures[each] for figures in drawn[column]])
            rows.append(row_of(f"{name} {each}", value, errors[each], values))
    return tuple(rows)
