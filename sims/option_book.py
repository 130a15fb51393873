"""A book of perpetual options for studies: orders come, are held for a while and leave.

What is charged, streamed, locked and paid is the exchange's; which orders come is a model. The
book is not that of an exchange: it has no series and no accounts, so one path of a year takes
milliseconds. All of it is bought by one buyer, `BUYER`.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.kernel import allocating_kernel, kernel
from amm.perpetual import payoff
from amm.quote import IndexQuality, QuoteRules, quote_close, quote_open, quote_unit
from amm.scenarios import UNDERLYINGS, Contract, contract_value
from amm.surface import COEFFICIENTS, Surface
from amm.units import (
    DAY_MS,
    ONE,
    PPM,
    YEAR_MS,
    mul_div_down,
    tokens_down,
    tokens_up,
    units_up,
)
from sims.markets.jumps import STEPS_A_DAY
from vaults.capacity import backing, lock_of, rent_rate_e15, utilisation
from vaults.closing import pay_out
from vaults.ledger import post, transfer
from vaults.moves import Bucket, Flow, Move
from vaults.params import BTC_TERMS, ETH_TERMS, Parameters
from vaults.premium import pay_premium, premium_for
from vaults.rules import Rules, make_rules
from vaults.state import State
from vaults.valuation import rate_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ORDERS_A_DAY = 4
SLOTS = 64
"""Positions open at a time, at most; an order that finds no room is not taken."""
STEP_MS = DAY_MS // STEPS_A_DAY
BUYER = 0

_SPREAD = Move.SPREAD.value
_COUNT = Move.COUNT.value
_MAIN = Bucket.MAIN.value
_BALANCES = Bucket.BALANCES.value
_FEES = Bucket.FEES.value
_OPEN = Flow.OPEN.value
_CLOSE = Flow.CLOSE.value
_FEE = Flow.FEE.value
_CASH_OUT = Flow.CASH_OUT.value
_ACCRUED = Flow.PREMIUM_ACCRUED.value


class Demand(NamedTuple):
    """What buyers want.

    Attributes:
        notional: That would be open if every order were taken, over main's NAV.
        calls: Share of calls where the index has not moved.
        momentum: How much a day's move of 5 % shifts it.
        strike_spread: Standard deviation of the log of strike over index, out of the money.
        holding_days: Mean time a position is held; exponential.
        size_spread: Standard deviation of the log of an order's size.
    """

    notional: float
    calls: float = 0.6
    momentum: float = 0.15
    strike_spread: float = 0.05
    holding_days: float = 4.0
    size_spread: float = 0.5


class Orders(NamedTuple):
    """What a year's orders are drawn from; each of shape (paths, days, ORDERS_A_DAY)."""

    kinds: Floats
    strikes: Floats
    sizes: Floats
    steps: Ints


class Book(NamedTuple):
    """Positions of one path; `notional` is 0 where a slot is free.

    `value` and `rate_e15`, which is a year's, are those of one unit at the last mark.
    """

    underlying: Ints
    is_call: Ints
    strike: Floats
    notional: Ints
    until: Ints
    rate_e15: Ints
    value: Floats


class BookRules(NamedTuple):
    """What positions are priced, charged and limited by."""

    rules: Rules
    quotes: QuoteRules
    flat: Floats


def make_book_rules(parameters: Parameters) -> BookRules:
    """Return the rules of a book on BTC and ETH, with one vol for every strike."""
    return BookRules(
        make_rules(parameters, (BTC_TERMS, ETH_TERMS)),
        QuoteRules(*(getattr(parameters, name) for name in QuoteRules._fields)),
        np.ones(COEFFICIENTS),
    )


def draw_orders(demand: Demand, paths: int, days: int, random: np.random.Generator) -> Orders:
    """Draw the orders of some paths."""
    shape = (paths, days, ORDERS_A_DAY)
    sizes = random.standard_normal(shape) * demand.size_spread - demand.size_spread**2 / 2.0
    holding = random.exponential(demand.holding_days * STEPS_A_DAY, shape)
    return Orders(
        random.random(shape),
        np.abs(random.standard_normal(shape)) * demand.strike_spread - 0.01,
        np.exp(sizes) * demand.notional / (ORDERS_A_DAY * demand.holding_days),
        np.maximum(np.ceil(holding), 1.0).astype(np.int64),
    )


def empty_book() -> Book:
    """Return a book without positions."""
    whole = [np.zeros(SLOTS, dtype=np.int64) for _ in range(5)]
    underlying, is_call, notional, until, rate_e15 = whole
    return Book(underlying, is_call, np.zeros(SLOTS), notional, until, rate_e15, np.zeros(SLOTS))


@kernel
def _contract(terms: BookRules, underlying: int, is_call: int, strike: float) -> Contract:
    of_series = terms.rules.terms[underlying]
    years, cap = of_series.funding_period_ms / YEAR_MS, of_series.cap_ppm / PPM
    return Contract(is_call == 1, strike, years, 0.0, 0.0, cap)


@kernel
def _contract_in(terms: BookRules, book: Book, slot: int) -> Contract:
    return _contract(terms, book.underlying[slot], book.is_call[slot], book.strike[slot])


@kernel
def _unlock(state: State, terms: BookRules, book: Book, slot: int) -> None:
    """Free the slot of a position and what it locked. The book here is no exchange's."""
    cap_ppm = terms.rules.terms[book.underlying[slot]].cap_ppm
    state.pool[0].locked -= lock_of(book.notional[slot], cap_ppm)
    book.notional[slot] = 0


@kernel
def collect_premium(state: State, book: Book) -> None:
    """Stream a step's premium, at the rates of its left end, to both pools."""
    for slot in range(SLOTS):
        if book.notional[slot] > 0:
            owed = premium_for(book.notional[slot], book.rate_e15[slot], STEP_MS)
            pay_premium(state, BUYER, owed, owed)
            post(state, _COUNT, _ACCRUED, owed, 0, 0, 0)
            state.log_count[0] = 0


@kernel
def _quote_quality(level: float) -> IndexQuality:
    return IndexQuality(0, 0.0, level)


@kernel
def close_due(
    state: State,
    terms: BookRules,
    book: Book,
    index: Floats,
    levels: Floats,
    step: int,
    now_ms: int,
) -> None:
    """Cash out what is at its cap, sell what has been held for its time."""
    rules = terms.rules
    for slot in range(SLOTS):
        notional = book.notional[slot]
        if notional == 0:
            continue
        contract = _contract_in(terms, book, slot)
        underlying = book.underlying[slot]
        moneyness = index[underlying] / contract.strike
        if payoff(contract.is_call, moneyness, contract.cap) >= contract.cap:
            cap = mul_div_down(notional, rules.terms[underlying].cap_ppm, PPM)
            pay_out(state, rules, _BALANCES, BUYER, cap, _CASH_OUT, now_ms)
        elif step >= book.until[slot]:
            level = levels[underlying]
            unit = quote_unit(
                terms.quotes, _quote_quality(level), contract, index[underlying],
                Surface(level, 0.0, terms.flat), rules.parameters[0].token_vol,
            )  # fmt: skip
            quote = quote_close(unit, notional / ONE, 0.0, 0.0, contract.cap)
            fee = tokens_down(quote.fee)
            gross = max(tokens_down(quote.gross), fee)
            pay_out(state, rules, _BALANCES, BUYER, gross - fee, _CLOSE, now_ms)
            pay_out(state, rules, _FEES, BUYER, fee, _FEE, now_ms)
            post(state, _SPREAD, tokens_down(quote.spread), now_ms, 0, 0, 0)
        else:
            continue
        _unlock(state, terms, book, slot)
        state.log_count[0] = 0


class Worth(NamedTuple):
    """What the book is worth, in base units: at the mark, and as redemptions are priced."""

    mid: float
    high: float


@kernel
def mark(
    state: State, terms: BookRules, book: Book, index: Floats, levels: Floats, is_flush: bool
) -> Worth:
    """Mark every position; the upper value is computed for flushes only."""
    rules = terms.rules
    pool, parameters = state.pool[0], rules.parameters[0]
    used = utilisation(pool.locked, backing(rules, pool.main, pool.insurance))
    rent_e15 = rent_rate_e15(rules, used, 0)
    middle = high = 0.0
    for underlying in range(UNDERLYINGS):
        calm = Surface(levels[underlying], 0.0, terms.flat)
        up = Surface(levels[underlying] + parameters.box_vol, 0.0, terms.flat)
        here = index[underlying]
        for slot in range(SLOTS):
            if book.notional[slot] == 0 or book.underlying[slot] != underlying:
                continue
            contract, notional = _contract_in(terms, book, slot), float(book.notional[slot])
            rate = rate_of(contract, here, calm, rent_e15)
            book.rate_e15[slot], book.value[slot] = rate.rate_e15, rate.value
            middle += notional * rate.value
            if is_flush:
                above = contract_value(contract, here * (1.0 + parameters.box_spot), up)
                below = contract_value(contract, here * (1.0 - parameters.box_spot), up)
                high += notional * max(above, below)
    return Worth(middle, high)


@kernel
def _stressed(
    terms: BookRules, contract: Contract, here: float, level: float, value: float
) -> tuple[float, float]:
    """Return what a unit of notional gains in the base stress on its value, index down and up."""
    parameters = terms.rules.parameters[0]
    high = Surface(level * parameters.stress_vol, 0.0, terms.flat)
    down = contract_value(contract, here * (1.0 - parameters.stress_move), high)
    up = contract_value(contract, here * (1.0 + parameters.stress_move), high)
    return down - value, up - value


@kernel
def stress_book(terms: BookRules, book: Book, index: Floats, levels: Floats, sums: Floats) -> None:
    """Fill the book's gains in the base stress, shape (UNDERLYINGS, 2), in base units."""
    sums[:] = 0.0
    for slot in range(SLOTS):
        if book.notional[slot] > 0:
            underlying = book.underlying[slot]
            contract = _contract_in(terms, book, slot)
            down, up = _stressed(
                terms, contract, index[underlying], levels[underlying], book.value[slot]
            )
            sums[underlying, 0] += book.notional[slot] * down
            sums[underlying, 1] += book.notional[slot] * up


@kernel
def stress_of(sums: Floats) -> int:
    """Return the base stress: every underlying moves the way that costs more."""
    total = 0.0
    for underlying in range(UNDERLYINGS):
        total += max(sums[underlying, 0], sums[underlying, 1], 0.0)
    return units_up(total)


@kernel
def _open(
    state: State,
    terms: BookRules,
    book: Book,
    contract: Contract,
    underlying: int,
    notional: int,
    index: float,
    level: float,
    stress_max: int,
    sums: Floats,
    until: int,
    now_ms: int,
) -> None:
    """Open a position, unless locks or the base stress would be more than the pools can bear."""
    rules = terms.rules
    pool = state.pool[0]
    slot = 0
    while slot < SLOTS and book.notional[slot] > 0:
        slot += 1
    lock = lock_of(notional, rules.terms[underlying].cap_ppm)
    if slot == SLOTS or pool.locked + lock > backing(rules, pool.main, pool.insurance):
        return
    surface = Surface(level, 0.0, terms.flat)
    token_vol = rules.parameters[0].token_vol
    unit = quote_unit(terms.quotes, _quote_quality(level), contract, index, surface, token_vol)
    down, up = _stressed(terms, contract, index, level, unit.value)
    sums[underlying, 0] += notional * down
    sums[underlying, 1] += notional * up
    if stress_of(sums) > stress_max:
        sums[underlying, 0] -= notional * down
        sums[underlying, 1] -= notional * up
        return
    quote = quote_open(unit, notional / ONE, 0.0)
    fee = tokens_down(quote.fee)
    transfer(state, _BALANCES, _MAIN, BUYER, tokens_up(quote.total) - fee, _OPEN)
    transfer(state, _BALANCES, _FEES, BUYER, fee, _FEE)
    post(state, _SPREAD, tokens_down(quote.spread), now_ms, 0, 0, 0)
    state.log_count[0] = 0
    pool.locked += lock
    used = utilisation(pool.locked, backing(rules, pool.main, pool.insurance))
    rate = rate_of(contract, index, surface, rent_rate_e15(rules, used, 0))
    book.underlying[slot] = underlying
    book.is_call[slot] = int(contract.is_call)
    book.strike[slot] = contract.strike
    book.notional[slot] = notional
    book.until[slot] = until
    book.rate_e15[slot], book.value[slot] = rate.rate_e15, rate.value


@allocating_kernel
def take_orders(
    state: State, terms: BookRules, book: Book, demand: Demand, orders: Orders, path: int, day: int,
    index: Floats, before: Floats, levels: Floats, low: int, sums: Floats, step: int, now_ms: int,
) -> None:  # fmt: skip
    """Take the orders of a day, scaled to main's NAV of the flush before them."""
    reference = int(state.pool[0].nav_reference)
    stress_max = mul_div_down(max(low, 0), terms.rules.parameters[0].stress_share_ppm, PPM)
    for number in range(ORDERS_A_DAY):
        underlying = 0 if number % 5 < 3 else 1
        here, level = index[underlying], levels[underlying]
        shift = demand.momentum * np.log(here / before[underlying]) / 0.05
        odds = demand.calls + min(max(shift, -0.4), 0.4)
        is_call = orders.kinds[path, day, number] < odds
        away = orders.strikes[path, day, number]
        strike = here * np.exp(away if is_call else -away)
        notional = int(orders.sizes[path, day, number] * reference)
        if notional > 0:
            _open(
                state, terms, book, _contract(terms, underlying, int(is_call), strike),
                underlying, notional, here, level, stress_max, sums,
                step + orders.steps[path, day, number], now_ms,
            )  # fmt: skip
