"""Indices, series and tickers."""

from collections.abc import Iterator
from typing import Any

from amm.units import DAY_MS, YEAR_MS
from api.instruments import Series
from api.memory import Memory, Token
from api.quoting import ticker_of
from api.views.numbers import fixed, rounded
from api.wire import Index, Instrument, InstrumentDetail, MarkPoint, SeriesTerms, Ticker
from api.wire import Token as TokenGiven
from vaults.commands import CALL, PUT
from vaults.opening import find_series
from vaults.rules import mark_is_fresh
from vaults.state import NONE

DAYS = YEAR_MS / DAY_MS


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


def is_fresh(memory: Memory, underlying: int, now_ms: int) -> bool:
    """Whether an underlying may be traded on."""
    return bool(mark_is_fresh(memory.market, underlying, now_ms))


def token(memory: Memory, name: str) -> TokenGiven:
    """Return what may be traded in a token."""
    held = memory.tokens[name]
    parameters = held.rules.parameters[0]
    return TokenGiven(
        token=name,
        decimals=8,
        listed=held.listing.now_ms,
        paused=name in memory.paused,
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


def _strikes(memory: Memory, held: Token, underlying: int) -> range:
    """Return the strikes that may be opened now."""
    parameters, terms = held.rules.parameters[0], held.rules.terms[underlying]
    spot, step = int(memory.market.oracle[underlying].index_e8), int(terms.strike_step_e8)
    first = -(-int(spot * float(parameters.strike_low)) // step)
    last = int(spot * float(parameters.strike_high)) // step
    return range(max(first, 1) * step, (last + 1) * step, step)


def is_series(memory: Memory, series: Series) -> bool:
    """Whether a series was opened once or is on the ladder of its underlying."""
    if series.token not in memory.tokens or series.underlying not in memory.underlyings:
        return False
    underlying = memory.underlyings.index(series.underlying)
    step = int(memory.tokens[series.token].rules.terms[underlying].strike_step_e8)
    on_ladder = series.strike_e8 > 0 and series.strike_e8 % step == 0
    return on_ladder or find(memory, series) != NONE


def listed(memory: Memory, tokens: list[str], underlyings: list[str]) -> list[Series]:
    """Return every series that may be opened now or has been, by name order of the exchange."""
    found: dict[Series, None] = {}
    for name in tokens:
        held = memory.tokens[name]
        for symbol in underlyings:
            slot = memory.underlyings.index(symbol)
            for strike in _strikes(memory, held, slot):
                found[Series(symbol, name, CALL, strike)] = None
                found[Series(symbol, name, PUT, strike)] = None
        for series in opened(memory, name):
            if series.underlying in underlyings:
                found[series] = None
    return sorted(found, key=lambda each: (each.token, each.underlying, each.strike_e8, each.kind))


def opened(memory: Memory, name: str) -> Iterator[Series]:
    """Yield the series of a token that have open notional, or had some."""
    for slot in range(int(memory.tokens[name].state.pool[0].series_count)):
        yield series_of(memory, name, slot)


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
        can_open=series.strike_e8 in _strikes(memory, held, underlying),
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
