"""Stock tokens: they move while their exchange is open and gap when it opens.

In the hours between, the last price stands. A gap is `sigma * (mu + s * T) + slope * (log move of
BTC over the closed hours)`; sigma is the stock's own average of squared daily returns. The slope
rises with sigma and falls with the same average of BTC's days: what is steady is how the two are
correlated. It differs from one era to another, for all stocks alike.
"""

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sims.markets.block import Bools, Clock, Floats
from sims.markets.regime_law import shipped
from sims.markets.stock_betas import DECAY, Betas, btc_average
from sims.markets.stock_sessions import session_steps

GAP_MAX = 15.0
"""A Student-t of a gap is cut off there, so that its exponential has a mean."""


class Gap(NamedTuple):
    """The law of a gap: see the head of this file.

    Attributes:
        mean: mu.
        scale: s.
        freedom: Degrees of freedom of T.
        beta: Slope on BTC over the closed hours, where both have their usual vols.
        beta_spread: Standard deviation of the same from one era to another.
    """

    mean: float
    scale: float
    freedom: float
    beta: float
    beta_spread: float = 0.0


class Stock(NamedTuple):
    """One stock.

    Attributes:
        name: Its ticker.
        price: At the start, USD.
        sigma: Of the daily log return: at the start, and what its average tends to.
        session: Standard deviation of a session's own log return, over sigma.
        session_beta: As `Gap.beta`, while the exchange is open.
        overnight: Law of the gap after one night.
        weekend: Law of the gap after more.
        session_spread: As `Gap.beta_spread`.
    """

    name: str
    price: float
    sigma: float
    session: float
    session_beta: float
    overnight: Gap
    weekend: Gap
    session_spread: float = 0.0


@dataclass(frozen=True, slots=True)
class Stocks:
    """All stocks of a market.

    Attributes:
        each: In the order of the columns of `MarketBlock.stocks`.
        correlation: Of what two stocks do beside BTC, where the regime is not the stressed one.
        stressed: The same where it is.
        reversion: Part of the way of sigma squared to its mean in a day.
        premium: Share of the gaps' mean that is drawn; 0 makes each price a martingale.
        btc_sigma: Usual vol of a day of BTC, root mean square; 0: slopes are the same at any vol.
    """

    each: tuple[Stock, ...] = ()
    correlation: float = 0.35
    stressed: float = 0.7
    reversion: float = 0.01
    premium: float = 0.0
    btc_sigma: float = 0.0


def calibrated_stocks(*names: str) -> Stocks:
    """Return stocks of the calibration shipped with the package; all of them without names.

    Raises:
        KeyError: For a name that is not among them.
    """
    table = shipped()["stocks"]
    wanted = names or tuple(table["each"])
    each = tuple(_stock(name, table["each"][name]) for name in wanted)
    return Stocks(each, table["correlation"], table["stressed"], btc_sigma=table["btc_sigma"])


def _stock(name: str, table: dict[str, Any]) -> Stock:
    gaps = [Gap(**table[each]) for each in ("overnight", "weekend")]
    own = (table[each] for each in ("price", "sigma", "session", "session_beta"))
    return Stock(name, *own, *gaps)._replace(session_spread=table["session_spread"])


def draw_stocks(
    stocks: Stocks,
    clock: Clock,
    btc: Floats,
    is_stressed: Bools,
    btc_variances: Floats,
    random: np.random.Generator,
) -> tuple[Floats, Bools]:
    """Return prices, shape (paths, steps + 1, stocks), and whether the exchange is open.

    Args:
        stocks: Which.
        clock: Moments of the history.
        btc: Log index over its start, shape (paths, steps + 1).
        is_stressed: Whether the regime is the stressed one, same shape.
        btc_variances: Average squared return of a day of BTC at the start, shape (paths,).
        random: What the shocks come from.
    """
    steps, width = session_steps(clock), len(stocks.each)
    if width == 0:
        return np.empty((*btc.shape, 0)), steps.is_open
    apart = np.where(is_stressed[:, :-1], stocks.stressed, stocks.correlation)
    logs = np.zeros((*btc.shape, width))
    sigma2 = np.tile([stock.sigma**2 for stock in stocks.each], (btc.shape[0], 1))
    betas = _betas(stocks, np.asarray(random.standard_normal(btc.shape[0])))
    last, btc2 = np.zeros_like(sigma2), btc_variances
    bounds = [0, *steps.opens.tolist(), clock.steps]
    for day, (begin, end) in enumerate(itertools.pairwise(bounds)):
        now = logs[:, begin].copy()
        if day > 0:
            sigma2 = average_square(stocks, sigma2, now - last)
            last = now.copy()
            closed = int(steps.closed[day - 1])
            pause = btc[:, begin] - btc[:, closed]
            law = "weekend" if steps.weekend[day - 1] else "overnight"
            slopes = betas.at(law, sigma2, btc2)
            now += _gaps(stocks, law, sigma2, slopes, pause, apart[:, begin], random)
        here = slice(begin, end)
        moves = np.diff(btc[:, begin : end + 1], axis=1)
        slopes = betas.at("session", sigma2, btc2)
        logs[:, begin + 1 : end + 1] = now[:, None] + _session(
            stocks, sigma2, slopes, steps.share[here], moves, apart[:, here], random
        )
        btc2 = btc_average(btc2, moves, clock.step_ms)
    start = np.array([stock.price for stock in stocks.each])
    return start * np.exp(logs), steps.is_open


def _betas(stocks: Stocks, eras: Floats) -> Betas:
    pairs = {
        "session": np.array([(each.session_beta, each.session_spread) for each in stocks.each]),
        "overnight": np.array([each.overnight[-2:] for each in stocks.each]),
        "weekend": np.array([each.weekend[-2:] for each in stocks.each]),
    }
    sigmas = np.array([each.sigma for each in stocks.each])
    return Betas(pairs, eras, sigmas, stocks.btc_sigma)


def average_square(stocks: Stocks, sigma2: Floats, moves: Floats) -> Floats:
    """Return sigma squared after a day whose log return, close to close, was `moves`."""
    mean = np.array([stock.sigma**2 for stock in stocks.each])
    kept = DECAY * sigma2 + (1.0 - DECAY) * moves**2
    return np.asarray(kept + stocks.reversion * (mean - kept))


def _normals(apart: Floats, width: int, random: np.random.Generator) -> Floats:
    """Draw standard normals with correlations `apart`, shape (*apart.shape, width)."""
    common = np.sqrt(apart)[..., None] * random.standard_normal(apart.shape)[..., None]
    own = np.sqrt(1.0 - apart)[..., None]
    return np.asarray(common + own * random.standard_normal((*apart.shape, width)))


def _follow(slopes: Floats, move: Floats) -> Floats:
    """Return what stocks move with BTC, less what that adds to their mean to second order."""
    move = move[..., None]
    return np.asarray(slopes * move + slopes * (1.0 - slopes) * move**2 / 2.0)


def _session(
    stocks: Stocks,
    sigma2: Floats,
    slopes: Floats,
    share: Floats,
    moves: Floats,
    apart: Floats,
    random: np.random.Generator,
) -> Floats:
    """Return log moves since the start of a day, shape (paths, steps, stocks)."""
    found = np.zeros((*moves.shape, len(stocks.each)))
    is_moving = share > 0.0
    if is_moving.any():
        parts = np.array([stock.session**2 for stock in stocks.each])
        variance = sigma2[:, None] * parts * share[is_moving, None]
        shocks = _normals(apart[:, is_moving], len(stocks.each), random)
        own = np.sqrt(variance) * shocks - variance / 2.0
        found[:, is_moving] = own + _follow(slopes[:, None], moves[:, is_moving])
    return np.asarray(np.cumsum(found, axis=1))


def _gaps(
    stocks: Stocks,
    kind: str,
    sigma2: Floats,
    slopes: Floats,
    move: Floats,
    apart: Floats,
    random: np.random.Generator,
) -> Floats:
    """Return log gaps of one opening, shape (paths, stocks)."""
    laws: list[Gap] = [getattr(stock, kind) for stock in stocks.each]
    means, scales, freedoms, *_ = np.array(laws).T
    sigma = np.sqrt(sigma2)
    # News of a weekend is everybody's, that of a night a company's: earnings.
    ranks = random.random((move.size, 1 if kind == "weekend" else len(laws)))
    shocks = _student(_normals(apart, len(laws), random), ranks, freedoms)
    own = sigma * scales * shocks
    for place, law in enumerate(laws):
        own[:, place] -= _log_mean(law.freedom, sigma[:, place] * law.scale)
    return np.asarray(own + stocks.premium * sigma * means + _follow(slopes, move))


def _student(normals: Floats, ranks: Floats, freedoms: Floats) -> Floats:
    """Return Student-t numbers whose divisors have the given ranks, cut off."""
    from scipy.special import gammaincinv  # noqa: PLC0415 - slow to load

    squares = 2.0 * np.asarray(gammaincinv(freedoms / 2.0, ranks)) / freedoms
    found = normals / np.sqrt(np.maximum(squares, 1e-12))
    return np.asarray(np.clip(found, -GAP_MAX, GAP_MAX))


@functools.cache
def _even_moments(freedom: float) -> tuple[float, ...]:
    """Return E[T^2], E[T^4], ... of a Student-t cut off at `GAP_MAX`, each over its factorial."""
    from scipy.stats import t as student  # noqa: PLC0415 - slow to load

    nodes = np.linspace(0.0, GAP_MAX, 20_001)
    density = np.asarray(student.pdf(nodes, freedom))
    tail = float(student.sf(GAP_MAX, freedom))
    return tuple(
        2.0
        * (float(np.trapezoid(density * nodes**power, nodes)) + tail * GAP_MAX**power)
        / math.factorial(power)
        for power in (2, 4, 6, 8, 10, 12)
    )


def _log_mean(freedom: float, scale: Floats) -> Floats:
    """Return log E[exp(scale T)]."""
    total = np.zeros_like(scale)
    for power, moment in enumerate(_even_moments(freedom), start=1):
        total += moment * scale ** (2 * power)
    return np.log1p(total)
