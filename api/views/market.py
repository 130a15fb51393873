"""Indices, series and tickers."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any

from amm.units import DAY_MS, YEAR_MS
from api.depeg import StockPrice as Price
from api.depeg import Stocks
from api.feeds.health import FeedHealth
from api.instruments import Series
from api.memory import Memory, Token
from api.quoting import ticker_of
from api.sessions import Session
from api.views.numbers import fixed, rounded
from api.wire import (
    FeedPrice,
    FeedSource,
    Index,
    Instrument,
    InstrumentDetail,
    MarkPoint,
    SeriesTerms,
    StockPrice,
    StockSession,
    Ticker,
)
from api.wire import Token as TokenGiven
from vaults.commands import CALL, PUT
from vaults.generations import base_of
from vaults.opening import find_series
from vaults.rules import mark_is_fresh
from vaults.state import NONE

DAYS = YEAR_MS / DAY_MS
Place = tuple[str, str, int, str]
"""Of a series among all: token, underlying, strike in 1e-8 USD, kind."""
_Written = tuple[int, str]
"""Strike and kind of a series of one token on one underlying."""


def index(memory: Memory, symbol: str, now_ms: int) -> Index:
    """Return the index of an underlying the exchange has."""
    slot = memory.underlyings.index(symbol)
    oracle, window = memory.market.oracle[slot], memory.market.windows[slot]
    has_index = int(oracle.index_e8) > 0
    return Index(
        symbol=symbol,
        price=fixed(oracle.index_e8) if has_index else None,
        confidence=fixed(oracle.confidence_e8),
        published=int(oracle.index_ms),
        age=now_ms - int(oracle.index_ms) if has_index else 0,
        fresh=is_fresh(memory, slot, now_ms),
        vol=fixed(oracle.mark_vol_e9, 9),
        target_vol=fixed(oracle.target_vol_e9, 9),
        low=fixed(window.low_e8),
        high=fixed(window.high_e8),
    )


def feed_source(health: FeedHealth) -> FeedSource:
    """Return how a source of prices is."""
    return FeedSource(
        name=health.name,
        state=health.state,
        last=health.last_ms,
        messages=health.messages,
        failures=health.failures,
        reconnects=health.reconnects,
        last_error=health.last_error,
        prices=[
            FeedPrice(symbol=symbol, published=at_ms)
            for symbol, at_ms in health.published_ms.items()
        ],
    )


def is_fresh(memory: Memory, underlying: int, now_ms: int) -> bool:
    """Whether an underlying may be traded on."""
    return bool(mark_is_fresh(memory.market, underlying, now_ms))


def stock_session(name: str, session: Session | None, stocks: Stocks) -> StockSession | None:
    """Return the session of a token's stock; None where it is not known."""
    if stocks.is_halted(base_of(name)):
        return StockSession(name="HALTED", next=None, changes=None)
    if session is None:
        return None
    return StockSession(name=session.name, next=session.next_name, changes=session.changes_ms)


def stock_price(price: Price) -> StockPrice:
    """Return what the operator said of a stock."""
    return StockPrice(
        stock=fixed(price.stock_e8),
        multiplier=fixed(price.multiplier_e8),
        reference=fixed(price.reference_e8),
        token=fixed(price.token_e8) if price.token_e8 else None,
        away=price.token_e8 > 0 and price.is_away,
        published=price.published_ms,
    )


def token(memory: Memory, name: str, session: Session | None, stocks: Stocks) -> TokenGiven:
    """Return what may be traded in a token, and how its stock is."""
    price = stocks.last(base_of(name))
    held = memory.tokens[name]
    parameters = held.rules.parameters[0]
    return TokenGiven(
        token=name,
        decimals=8,
        listed=held.listing.now_ms,
        paused=name in memory.paused,
        deposits_held=name in memory.held,
        session=stock_session(name, session, stocks),
        stock=None if price is None else stock_price(price),
        notional_min=fixed(parameters.notional_min),
        terms=[
            SeriesTerms(
                underlying=symbol,
                strike_step=fixed(terms.strike_step_e8),
                strike_low=rounded(float(parameters.strike_low)),
                strike_high=rounded(float(parameters.strike_high)),
                cap=fixed(terms.cap_ppm, 6),
                funding_period=int(terms.funding_period_ms),
                discount_rate=fixed(terms.discount_rate_e9, 9),
            )
            for symbol, terms in zip(memory.underlyings, held.rules.terms, strict=True)
        ],
    )


def series_of(memory: Memory, name: str, slot: int) -> Series:
    """Return the series in a row of a token."""
    row = memory.tokens[name].state.series[slot]
    kind = CALL if row.is_call else PUT
    return Series(memory.underlyings[int(row.underlying)], name, kind, int(row.strike_e8))


def find(memory: Memory, series: Series) -> int:
    """Return the row of a series in its token, NONE where it was never opened."""
    underlying = memory.underlyings.index(series.underlying)
    state = memory.tokens[series.token].state
    return int(find_series(state, underlying, series.kind == CALL, series.strike_e8))


def strikes(memory: Memory, held: Token, underlying: int) -> range:
    """Return the strikes that may be opened now."""
    # By columns: records of rows take longer to make, and a page asks for each of its items.
    rules = held.rules
    spot = int(memory.market.oracle["index_e8"][underlying])
    step = int(rules.terms["strike_step_e8"][underlying])
    first = -(-int(spot * float(rules.parameters["strike_low"][0])) // step)
    last = int(spot * float(rules.parameters["strike_high"][0])) // step
    return range(max(first, 1) * step, (last + 1) * step, step)


def can_open(memory: Memory, series: Series) -> bool:
    """Whether the strike of a series that is one is within today's window."""
    underlying = memory.underlyings.index(series.underlying)
    return series.strike_e8 in strikes(memory, memory.tokens[series.token], underlying)


def is_tradable(memory: Memory, series: Series) -> bool:
    """Whether a series can be opened now, or is held and can be sold."""
    if not is_series(memory, series):
        return False
    slot = find(memory, series)
    rows = memory.tokens[series.token].state.series
    return can_open(memory, series) or (slot != NONE and int(rows[slot].open_notional) > 0)


def is_series(memory: Memory, series: Series) -> bool:
    """Whether a series was opened once or is on the ladder of its underlying."""
    if series.token not in memory.tokens or series.underlying not in memory.underlyings:
        return False
    underlying = memory.underlyings.index(series.underlying)
    step = int(memory.tokens[series.token].rules.terms[underlying].strike_step_e8)
    on_ladder = series.strike_e8 > 0 and series.strike_e8 % step == 0
    return on_ladder or find(memory, series) != NONE


def place(series: Series) -> Place:
    """Return where a series stands in the order of all."""
    return series.token, series.underlying, series.strike_e8, series.kind


def listed(
    memory: Memory, tokens: Iterable[str], underlyings: Iterable[str], after: Place | None
) -> Iterator[Series]:
    """Yield every series that may be opened now or has been, in order, after a place.

    What a token has is looked up when its turn comes: who takes a few causes the work of a few.
    """

    def written(name: str, underlying: int) -> set[_Written]:
        held = memory.tokens[name]
        ladder = product(strikes(memory, held, underlying), (CALL, PUT))
        return {*ladder, *_opened(held, underlying, notional_min=0)}

    return _in_order(memory, tokens, underlyings, after, written)


def live(
    memory: Memory, tokens: Iterable[str], underlyings: Iterable[str], after: Place | None
) -> Iterator[Series]:
    """Yield every series that has open notional, in order, after a place."""

    def written(name: str, underlying: int) -> set[_Written]:
        return set(_opened(memory.tokens[name], underlying, notional_min=1))

    names = [name for name in tokens if memory.tokens[name].state.pool["live_series"][0] > 0]
    return _in_order(memory, names, underlyings, after, written)


def _in_order(
    memory: Memory,
    tokens: Iterable[str],
    underlyings: Iterable[str],
    after: Place | None,
    written: Callable[[str, int], set[_Written]],
) -> Iterator[Series]:
    symbols = sorted(underlyings)
    for name in sorted(tokens):
        for symbol in symbols:
            if after is not None and (name, symbol) < after[:2]:
                continue
            found = sorted(written(name, memory.underlyings.index(symbol)))
            is_begun = after is not None and (name, symbol) == after[:2]
            first = bisect_right(found, after[2:]) if after is not None and is_begun else 0
            for strike_e8, kind in found[first:]:
                yield Series(symbol, name, kind, strike_e8)


def _opened(held: Token, underlying: int, *, notional_min: int) -> Iterator[_Written]:
    """Yield the series of a token on an underlying that were opened and have so much open."""
    rows = held.state.series[: int(held.state.pool[0].series_count)]
    rows = rows[(rows["underlying"] == underlying) & (rows["open_notional"] >= notional_min)]
    for strike_e8, is_call in zip(
        rows["strike_e8"].tolist(), rows["is_call"].tolist(), strict=True
    ):
        yield strike_e8, CALL if is_call else PUT


def instrument(memory: Memory, series: Series) -> Instrument:
    """Return the terms of a series: its own where it was opened, today's where it would be new."""
    held = memory.tokens[series.token]
    underlying = memory.underlyings.index(series.underlying)
    slot = find(memory, series)
    terms = held.rules.terms[underlying] if slot == NONE else held.state.series[slot]
    return Instrument(
        instrument=series.name,
        token=series.token,
        underlying=series.underlying,
        kind="call" if series.kind == CALL else "put",
        strike=fixed(series.strike_e8),
        cap=fixed(terms.cap_ppm, 6),
        funding_period=int(terms.funding_period_ms),
        discount_rate=fixed(terms.discount_rate_e9, 9),
        can_open=can_open(memory, series),
        open_notional=fixed(0 if slot == NONE else held.state.series[slot].open_notional),
    )


def ticker(memory: Memory, series: Series) -> Ticker | None:
    """Return a series at the mark, None before the first index of its underlying."""
    underlying = memory.underlyings.index(series.underlying)
    oracle = memory.market.oracle[underlying]
    if int(oracle.index_e8) == 0:
        return None
    seen = ticker_of(memory, series.token, series.underlying, series.kind, series.strike_e8)
    return Ticker(
        instrument=series.name,
        exchange_time=int(oracle.index_ms),
        index=fixed(oracle.index_e8),
        mark=rounded(seen.value),
        delta=rounded(seen.delta),
        gamma=rounded(seen.gamma),
        vega=rounded(seen.vega),
        vol=rounded(seen.vol),
        premium_per_day=rounded(seen.premium_rate / DAYS),
        open_notional=fixed(seen.open_notional),
    )


def detail(memory: Memory, series: Series) -> InstrumentDetail:
    """Return a series with its ticker."""
    return InstrumentDetail(instrument=instrument(memory, series), ticker=ticker(memory, series))


def mark_point(row: Any) -> MarkPoint:
    """Return a stored reading of a series."""
    return MarkPoint(
        exchange_time=row.now_ms,
        index=fixed(row.index_e8),
        mark=fixed(row.value_e15, 15),
        vol=fixed(row.vol_e9, 9),
        premium_per_day=rounded(row.premium_rate_e15 / 1e15 / DAYS),
        open_notional=fixed(row.open_notional),
    )
