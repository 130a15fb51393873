"""A desk that trades by a pricing rule, and rules known to be exploitable.

The desk keeps the open book and what every position paid, in floats and without limits on size: a
search that finds no profit here finds none in the exchange, which only rounds and refuses.
"""

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from amm.quote import (
    CloseQuote,
    IndexQuality,
    OpenQuote,
    QuoteRules,
    UnitQuote,
    quote_close,
    quote_open,
    quote_unit,
)
from amm.revaluation import fill_shocked, fill_shocks, new_shocks
from amm.scenarios import (
    MOVES,
    REGIMES,
    UNDERLYINGS,
    Contract,
    Floats,
    contract_value,
    fill_weights,
    potential_change,
    scenario_set,
)
from amm.surface import Surface, flat_surface

SCENARIOS = scenario_set()
RULES = QuoteRules(
    stale_sigmas=3.0,
    spread_floor=1e-4,
    vol_spread=0.005,
    correlation_spread=0.10,
    fee=3e-4,
    fee_of_value=0.125,
)
FRESH = IndexQuality(age_ms=0, confidence=0.0, realised_vol=0.0)
TOKEN_VOL = 0.6
WEEK = 7 / 365
POOL = 10_000.0
"""N_ref of the pools in these tests, in tokens."""
TOLERANCE = 0.10 * POOL


class Series(NamedTuple):
    """One series of one of the two underlyings."""

    underlying: int
    contract: Contract


class Market(NamedTuple):
    """Index and volatility of both underlyings, and how well the index is known."""

    indices: tuple[float, float]
    vols: tuple[float, float]
    quality: IndexQuality = FRESH

    def surface(self, series: Series) -> Surface:
        """The flat surface of a series' underlying."""
        return flat_surface(self.vols[series.underlying])

    def index(self, series: Series) -> float:
        """The index of a series' underlying."""
        return self.indices[series.underlying]


class Leg(NamedTuple):
    """One trade: an opening where `notional` is positive, else a closing."""

    account: int
    series: int
    notional: float


class Position:
    """What an account holds of a series, and the signed impact it paid for it."""

    def __init__(self) -> None:
        self.notional = 0.0
        self.impact_paid = 0.0


def series_of(
    underlying: int, is_call: bool, strike: float, cap: float = 0.5, carry: float = 0.0
) -> Series:
    """Return a series with a funding period of a week."""
    return Series(underlying, Contract(is_call, strike, WEEK, 0.0, carry, cap))


@functools.lru_cache(maxsize=256)
def losses_of(series: Series, market: Market) -> Floats:
    """Return the centred values of one unit of a series."""
    return shocked(series.contract, market.index(series), market.vols[series.underlying])[0]


def shocked(contract: Contract, index: float, vol: float) -> tuple[Floats, Floats]:
    """Return the centred values and the base stress of one unit at a flat vol."""
    losses, stress = np.empty((1, REGIMES, MOVES)), np.empty((1, 2))
    calm, stressed = flat_surface(vol), flat_surface(1.5 * vol)
    shocks = new_shocks()
    fill_shocks(shocks, SCENARIOS, calm, stressed, stressed, 0.3, 1)
    fill_shocked(SCENARIOS, shocks, contract, index, 0, losses, stress)
    return losses[0], stress[0]


def log_weights_of(book: Floats, tolerance: float, underlying: int) -> Floats:
    """Return the tilted log probabilities of one underlying's states."""
    log_weights = np.empty((REGIMES, MOVES))
    fill_weights(SCENARIOS, book, tolerance, underlying, log_weights, np.empty(MOVES))
    return log_weights


@functools.lru_cache(maxsize=256)
def unit_of(series: Series, market: Market, rules: QuoteRules = RULES) -> UnitQuote:
    """Return the quote of one unit of a series."""
    return quote_unit(
        rules,
        market.quality,
        series.contract,
        market.index(series),
        market.surface(series),
        TOKEN_VOL,
    )


class Desk:
    """The exchange's rule: a difference of U, refunded up to what was paid."""

    def __init__(
        self,
        market: Market,
        series: Sequence[Series],
        others: Iterable[float] = (),
        rules: QuoteRules = RULES,
    ) -> None:
        """Start with a book that others hold: notional per series, none where not given."""
        self.series = series
        self.rules = rules
        pairs = itertools.zip_longest(series, others, fillvalue=0.0)
        self.open_notional = [notional for _, notional in pairs]
        self.positions: dict[tuple[int, int], Position] = {}
        self.move(market)

    def move(self, market: Market) -> None:
        """Go to another state of the market."""
        self.market = market
        self.units = [unit_of(series, market, self.rules) for series in self.series]
        self.losses = [losses_of(series, market) for series in self.series]

    def book(self) -> Floats:
        """Return the losses of the open book."""
        book = np.zeros((UNDERLYINGS, REGIMES, MOVES))
        for series, notional, losses in zip(
            self.series, self.open_notional, self.losses, strict=True
        ):
            book[series.underlying] += notional * losses
        return book

    def charge(self, number: int, notional: float) -> float:
        """Return the risk charge of a change of the book, before caps."""
        log_weights = log_weights_of(self.book(), TOLERANCE, self.series[number].underlying)
        return potential_change(log_weights, self.losses[number], notional, TOLERANCE)

    def refundable(self, _relief: float, impact_paid: float) -> float:
        """Return the most that a closing is refunded."""
        return impact_paid

    def open(self, account: int, number: int, notional: float) -> OpenQuote:
        """Buy, and return what it cost."""
        quote = quote_open(self.units[number], notional, self.charge(number, notional))
        position = self.positions.setdefault((account, number), Position())
        position.notional += notional
        position.impact_paid += quote.impact
        self.open_notional[number] += notional
        return quote

    def close(self, account: int, number: int, notional: float) -> CloseQuote:
        """Sell, all that is held where nothing but rounding would be left."""
        position = self.positions[account, number]
        if position.notional - notional <= 1e-12 * position.notional:
            notional = position.notional
        assert notional <= position.notional
        released = position.impact_paid * (notional / position.notional)
        relief = -self.charge(number, -notional)
        quote = quote_close(
            self.units[number],
            notional,
            relief,
            self.refundable(relief, released),
            self.series[number].contract.cap,
        )
        position.notional -= notional
        position.impact_paid -= released
        self.open_notional[number] -= notional
        return quote

    def cost(self, legs: Iterable[Leg]) -> tuple[float, float]:
        """Trade, and return what the traders are short of, and the fees in it."""
        cost = fees = 0.0
        for account, number, notional in legs:
            if notional > 0.0:
                bought = self.open(account, number, notional)
                cost += bought.total
                fees += bought.fee
            else:
                sold = self.close(account, number, -notional)
                cost -= sold.gross - sold.fee
                fees += sold.fee
        return cost, fees


class Uncapped(Desk):
    """Mutant: refunds whatever the closing takes off the book's charge."""

    def refundable(self, relief: float, _impact_paid: float) -> float:
        """Return all of the relief."""
        return relief


class SharedUtilisation(Uncapped):
    """Mutant: one multiplier of value for all series, integrated along the trade.

    It charges an at-the-money call of one N_ref about what the exchange does.
    """

    def charge(self, number: int, notional: float) -> float:
        """Return the integral of what utilisation adds to the value."""
        pairs = zip(self.series, self.open_notional, strict=True)
        before = sum(series.contract.cap * held for series, held in pairs) / POOL
        middle = before + 0.5 * self.series[number].contract.cap * notional / POOL
        return 0.48 * middle * notional * self.units[number].value


class EndPointVol(Uncapped):
    """Mutant: the whole trade at the vol the underlying has after it."""

    def charge(self, number: int, notional: float) -> float:
        """Return what the shift of vol after the trade adds to the value."""
        series = self.series[number]
        held = sum(
            notional
            for each, notional in zip(self.series, self.open_notional, strict=True)
            if each.underlying == series.underlying
        )
        shifted = self.market.vols[series.underlying] + 0.06 * (held + notional) / POOL
        value = contract_value(series.contract, self.market.index(series), flat_surface(shifted))
        return notional * (value - self.units[number].value)


MARKET = Market((100_000.0, 4_000.0), (0.5, 0.65))
STRIKES = (0.75, 0.9, 1.0, 1.1, 1.3)
SERIES = [
    series_of(underlying, is_call, strike * MARKET.indices[underlying])
    for underlying in range(UNDERLYINGS)
    for is_call in (True, False)
    for strike in STRIKES
]


def interleave(columns: Sequence[Sequence[Leg]], order: Iterable[int]) -> list[Leg]:
    """Merge columns of legs, each keeping its own order: `order` says whose leg comes next."""
    rest = [iter(column) for column in columns]
    return [next(rest[column]) for column in order]


def _size(random: np.random.Generator) -> float:
    return float(POOL * 10.0 ** random.uniform(-3.0, 0.0))


def random_loop(random: np.random.Generator) -> list[Leg]:
    """Return 2 to 8 legs by up to three accounts that end flat, some in parts."""
    columns: list[list[Leg]] = []
    for _ in range(random.integers(1, 5)):
        key = int(random.integers(3)), int(random.integers(len(SERIES)))
        opened = [_size(random) for _ in range(1 + (random.random() < 0.2))]
        part = sum(opened) * random.choice([0.0, random.uniform(0.05, 0.95)], p=[0.8, 0.2])
        closed = [size for size in (part, sum(opened) - part) if size > 0.0]
        legs = [Leg(*key, size) for size in opened] + [Leg(*key, -size) for size in closed]
        is_new = all(column[0][:2] != key for column in columns)
        if is_new and sum(map(len, columns)) + len(legs) <= 8:
            columns.append(legs)
    order = np.repeat(range(len(columns)), [len(column) for column in columns])
    return interleave(columns, random.permutation(order))


def random_others(random: np.random.Generator) -> list[float]:
    """Return the book of everyone else: empty, or some of most series."""
    scale = random.choice([0.0, 0.1, 0.5]) * POOL / len(SERIES)
    return [float(scale * random.exponential() * (random.random() < 0.6)) for _ in SERIES]


def best_loop(rule: type[Desk], tries: int) -> float:
    """Search closed loops at one state of the market; return the most one gained beyond fees.

    The gain is per token traded, with the fees given back: no rule may rely on them.
    """
    random = np.random.default_rng(7)
    best = -math.inf
    for _ in range(tries):
        legs = random_loop(random)
        cost, fees = rule(MARKET, SERIES, random_others(random)).cost(legs)
        best = max(best, (fees - cost) / sum(abs(leg.notional) for leg in legs))
    return best


def best_split(rule: type[Desk], tries: int) -> float:
    """Search openings in parts; return the most that one saved, per token paid in one."""
    random = np.random.default_rng(8)
    best = -math.inf
    for _ in range(tries):
        others, number = random_others(random), int(random.integers(len(SERIES)))
        parts = [_size(random) for _ in range(random.integers(2, 7))]
        whole, _ = rule(MARKET, SERIES, others).cost([Leg(0, number, sum(parts))])
        split, _ = rule(MARKET, SERIES, others).cost([Leg(0, number, part) for part in parts])
        best = max(best, (whole - split) / whole)
    return best
