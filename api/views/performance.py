"""What shares have earned and can be expected to, with the error of saying so."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from amm.units import PPM, YEAR_MS
from api.memory import Memory, Token
from api.views.numbers import rounded
from api.wire import Performance, PoolName
from vaults.nav import net_asset_value
from vaults.state import State

FLUSHES_MAX = 366
"""Flushes that performance is told from: the last year's."""


class Growth(NamedTuple):
    """What a share has become of 1 between two flushes, whatever it was split into since."""

    until_ms: int
    factor: float


def growth(nav: int, shares: int, nav_after: int, shares_after: int) -> float:
    """Return what a share has become of 1; 0 where nothing is left of it, or nothing was."""
    before = (nav + 1) / (shares + 1)
    after = (nav_after + 1) / (shares_after + 1)
    return after / before if before > 0.0 and after > 0.0 else 0.0


def growths(flushes: Sequence[Any], pool: PoolName) -> list[Growth]:
    """Return a share's growth in each of the flushes, given the newest first, the oldest first."""
    if pool == "main":
        return [
            Growth(
                each.now_ms,
                growth(each.nav_opened, each.main_shares, each.nav_after, each.main_shares_after),
            )
            for each in reversed(flushes)
        ]
    return [
        Growth(
            each.now_ms,
            growth(
                each.insurance_opened,
                each.insurance_shares,
                each.insurance_after,
                each.insurance_shares_after,
            ),
        )
        for each in reversed(flushes)
    ]


class Realised(NamedTuple):
    """Logarithmic growth a year and its standard error; NaN where there are too few changes."""

    rate: float
    error: float


def realised(found: Sequence[Growth]) -> Realised:
    """Return the yearly rate of the growth between the first flush and the last.

    What came before the first flush is left out, for it took how long it took. The error takes the
    changes for independent draws: s sqrt(n) over the years, s their standard deviation.
    """
    changes = [math.log(each.factor) for each in found[1:] if each.factor > 0.0]
    if not changes or len(changes) < len(found) - 1:
        return Realised(math.nan, math.nan)
    count, years = len(changes), (found[-1].until_ms - found[0].until_ms) / YEAR_MS
    mean = sum(changes) / count
    if count < 2:
        return Realised(mean * count / years, math.nan)
    variance = sum((each - mean) ** 2 for each in changes) / (count - 1)
    return Realised(mean * count / years, math.sqrt(variance * count) / years)


class Drawdown(NamedTuple):
    """How far a share is below its highest, now and at most, as parts of that."""

    now: float
    most: float


def drawdown(factors: Sequence[float]) -> Drawdown:
    """Return the drawdown along successive growths."""
    price = highest = 1.0
    now = most = 0.0
    for factor in factors:
        price *= factor
        highest = max(highest, price)
        now = 1.0 - price / highest
        most = max(most, now)
    return Drawdown(now, most)


def premium_rate(state: State) -> float:
    """Return what all open options stream at the mark, base units a year."""
    count = int(state.pool[0].series_count)
    notionals, rates = state.series.open_notional[:count], state.marks.rate_e15[:count]
    return sum(
        float(notional) * rate / 1e15
        for notional, rate in zip(notionals.tolist(), rates.tolist(), strict=True)
        if notional > 0
    )


def _optional(number: float) -> str | None:
    return None if math.isnan(number) else rounded(number)


def performance(
    memory: Memory, token: Token, flushes: Sequence[Any], pool: PoolName, now_ms: int
) -> Performance:
    """Return what a share of a pool has earned; `flushes` are its newest, the newest first."""
    state, row = token.state, token.state.pool[0]
    is_main = pool == "main"
    if is_main:
        worth = int(net_asset_value(state, token.rules, memory.market, now_ms).mid)
        opened, shares = int(row.closed_nav), int(row.main_shares)
        part = PPM - int(row.phi_ppm)
    else:
        worth, opened = int(row.insurance), int(row.closed_insurance)
        shares, part = int(row.insurance_shares), int(row.phi_ppm)
    found = growths(flushes, pool)
    rate = realised(found)
    fallen = drawdown([*(each.factor for each in found), growth(opened, shares, worth, shares)])
    premium = premium_rate(state) * part / PPM
    return Performance(
        since=found[0].until_ms if found else None,
        flushes=max(len(found) - 1, 0),
        realised_apr=_optional(rate.rate),
        realised_error=_optional(rate.error),
        premium_apr=rounded(premium / worth) if worth > 0 else None,
        drawdown=rounded(fallen.now),
        drawdown_max=rounded(fallen.most),
    )
