"""Whatever parameters are accepted, no command, quote or valuation fails with them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amm.oracle import VARIANCE_MAX_E12
from amm.scenarios import UNDERLYINGS
from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, ONE, PPM, SECOND_MS
from tests.vaults.harness import BTC, ETH, Bench
from vaults.account import spendable
from vaults.market import set_oracle
from vaults.moves import RequestKind
from vaults.opening import quote_opening
from vaults.params import (
    BTC_TERMS,
    ETH_TERMS,
    PARAMETER_RANGES,
    SUPPLY_MAX,
    TERM_RANGES,
    ParameterError,
    Parameters,
    Range,
    Terms,
    validate_parameters,
    validate_terms,
    validate_together,
)
from vaults.quotes import largest_opening, quote_closing
from vaults.risk import SPOT_MOVES, VOL_MOVES, book_greeks, loss_table
from vaults.state import NONE

VOLS = (0.05, 0.2, 0.6, 3.0, 10.0)
"""From the least vol level a feed may say to the greatest."""
MOVES = (0.02, 0.3, 0.51, 0.7, 0.97, 1.0, 1.02, 1.4, 1.49, 1.89, 5.0, 40.0)
DEPOSITS = (0, ONE, 10_000 * ONE, SUPPLY_MAX // 8)
"""An empty pool has its seed; the last leaves room for what traders pay with."""
OPEN_TO_ALL: dict[str, Any] = {
    "series_live_max": 256,
    "series_share_ppm": PPM,
    "account_share_ppm": PPM,
    "notional_min": 1_000,
    "total_min_ppm": 0,
    "stress_share_ppm": PPM,
}
"""Limits that let trades happen: where one of them is drawn, hardly any does."""
SILENCES = (SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS, 4 * DAY_MS)


def numbers(within: Range, kind: type) -> st.SearchStrategy[float | None]:
    """Numbers of one field, its ends more often than others; None leaves it as it is."""
    least, most = within
    inside: st.SearchStrategy[Any] = st.floats(least, most)
    if kind is int:
        inside = st.integers(int(least), int(most))
    return st.one_of(st.none(), st.just(kind(least)), st.just(kind(most)), inside)


def changes_of(ranges: Any, kinds: Any) -> st.SearchStrategy[dict[str, float | None]]:
    """Changes of any fields."""
    return st.fixed_dictionaries({name: numbers(ranges[name], kinds[name]) for name in ranges})


@st.composite
def accepted(draw: st.DrawFn) -> tuple[Parameters, tuple[Terms, Terms]]:
    """Sets that are accepted: of the changes drawn those that are, one after another."""
    fixed = OPEN_TO_ALL if draw(st.integers(0, 3)) else {}
    parameters, terms = Parameters(**fixed), [BTC_TERMS, ETH_TERMS]
    for underlying in (BTC, ETH):
        for name, value in draw(changes_of(TERM_RANGES, Terms.__annotations__)).items():
            if value is None:
                continue
            changed = terms[underlying]._replace(**{name: value})  # type: ignore[arg-type]
            if is_accepted(parameters, changed):
                terms[underlying] = changed
    for name, value in draw(changes_of(PARAMETER_RANGES, Parameters.__annotations__)).items():
        if value is None or name in fixed:
            continue
        changed_parameters = parameters._replace(**{name: value})  # type: ignore[arg-type]
        if is_accepted(changed_parameters, *terms):
            parameters = changed_parameters
    return parameters, (terms[BTC], terms[ETH])


def is_accepted(parameters: Parameters, *terms: Terms) -> bool:
    """Whether a set passes all that is checked."""
    try:
        validate_parameters(parameters)
        for each in terms:
            validate_terms(each)
            validate_together(parameters, each)
    except ParameterError:
        return False
    return True


def stressed(bench: Bench, underlying: int) -> None:
    """Let the index be as uncertain, and its last minutes as wild, as an oracle can say."""
    words = bench.market.oracle[underlying]
    index_e8 = int(words.index_e8)
    words = words.item()
    names = bench.market.oracle.dtype.names
    changed = dict(zip(names, words, strict=True)) | {
        "confidence_e8": index_e8 // 200,
        "variance_5m_e12": VARIANCE_MAX_E12,
        "variance_1d_e12": VARIANCE_MAX_E12,
        "target_vol_e9": 10**10,
    }
    set_oracle(bench.market, underlying, tuple(changed[name] for name in names))


def strike_near(bench: Bench, underlying: int, ratio: float) -> int:
    """Return the strike on the ladder next to a multiple of the index."""
    step = bench.terms[underlying].strike_step_e8
    index_e8 = int(bench.market.oracle[underlying].index_e8)
    return max(round(index_e8 * ratio / step), 1) * step


def look(bench: Bench, account: int) -> None:
    """Read whatever is computed from the marks."""
    place = (bench.state, bench.rules, bench.market)
    bench.nav()
    for underlying in range(UNDERLYINGS):
        book_greeks(*place, underlying)
        for is_call in (False, True):
            for ratio in (0.71, 1.0, 1.39):
                strike_e8 = strike_near(bench, underlying, ratio)
                for notional in (bench.parameters.notional_min, SUPPLY_MAX, 2**52 - 1):
                    asked = (account, underlying, is_call, strike_e8, notional)
                    quote_opening(*place, *asked, bench.now)
    loss_table(*place, SPOT_MOVES, VOL_MOVES)
    for position in bench.live_positions():
        holder = int(position.account)
        inputs = (holder, int(position.position_id), int(position.notional))
        quote_closing(*place, *inputs, bench.now)
    if account != NONE:
        spendable(bench.state, bench.rules, account, bench.now)


def buy(bench: Bench, account: int, draw: st.DrawFn) -> None:
    """Buy a share of the most that can be bought of some series, or what cannot be bought."""
    underlying, is_call = draw(st.integers(0, 1)), draw(st.booleans())
    low, high = bench.parameters.strike_low, bench.parameters.strike_high
    step = bench.terms[underlying].strike_step_e8 / ONE / bench.prices[underlying]
    ends = [min(low + step, 1.0), 1.0, max(high - step, 1.0)]
    strike_e8 = strike_near(bench, underlying, draw(st.sampled_from(ends) | st.floats(low, high)))
    place = (bench.state, bench.rules, bench.market)
    largest = largest_opening(*place, account, underlying, is_call, strike_e8, bench.now)
    notional = round(largest * draw(st.sampled_from([1.0, 0.5, 0.01])))
    bench.open(
        account,
        max(notional, bench.parameters.notional_min),
        strike_e8 / ONE,
        is_call=is_call,
        underlying=underlying,
        limit=SUPPLY_MAX,
        self_funding=draw(st.booleans()),
    )


def sell(bench: Bench, draw: st.DrawFn) -> None:
    """Sell a part of every position."""
    for position in bench.live_positions():
        holder, position_id = int(position.account), int(position.position_id)
        part = draw(st.sampled_from([1.0, 0.5, 0.001]))
        bench.close(holder, position_id, max(int(position.notional * part), 1))
    for slot in range(int(bench.pool.position_count)):
        bench.check(slot)


def provide(bench: Bench, provider: int, draw: st.DrawFn) -> None:
    """Ask for anything a provider can, and go or wait."""
    row = bench.state.accounts[provider]
    kind = draw(st.sampled_from(RequestKind))
    held = {
        RequestKind.REDEEM_MAIN: int(row.main_shares),
        RequestKind.REDEEM_INSURANCE: int(row.insurance_shares),
    }
    amount = held.get(kind, bench.balance(provider))
    bench.request(provider, kind, max(amount // draw(st.sampled_from([1, 2, 1_000])), 1))
    if draw(st.booleans()):
        bench.cancel(provider, int(bench.pool.request_count) - 1)


def move_on(bench: Bench, draw: st.DrawFn) -> None:
    """Tick: anywhere, as calm or as wild as can be, after a while."""
    move, other = draw(st.sampled_from(MOVES)), draw(st.sampled_from(MOVES))
    prices = [
        min(max(price * by, 1.0), 1e7)
        for price, by in zip(bench.prices, (move, other), strict=True)
    ]
    vols = draw(st.sampled_from(VOLS)), draw(st.sampled_from(VOLS))
    after_ms = draw(st.sampled_from(SILENCES))
    bench.tick(*prices, btc_vol=vols[BTC], eth_vol=vols[ETH], after_ms=after_ms)
    if draw(st.booleans()):
        stressed(bench, BTC)
        bench.now += 9 * SECOND_MS


def flush_now(bench: Bench) -> None:
    """Go to the flush, unless it is beyond the time there is, and price it."""
    due_ms = int(bench.pool.next_flush_ms)
    if due_ms < bench.now + 8 * DAY_MS:
        bench.tick(after_ms=max(due_ms - bench.now, SECOND_MS))
        for _ in range(3):
            bench.tick(after_ms=SECOND_MS)
        bench.flush()


@pytest.mark.compiled
@settings(max_examples=settings().max_examples // 2)
@given(rules=accepted(), plan=st.data())
def test_whatever_is_accepted_never_fails(
    rules: tuple[Parameters, tuple[Terms, Terms]], plan: Any
) -> None:
    """Quotes, trades, ticks, flushes and valuations, near the ends of all that is legal.

    The index falls to a fiftieth or rises forty times, vol levels are 5 % or 1000 %, pools have
    nothing but their seed or most of what custody may hold; every invariant holds throughout.
    """
    bench = Bench(*rules)
    bench.tick(after_ms=HOUR_MS)
    free = SUPPLY_MAX - int(bench.pool.custody)
    deposit = plan.draw(st.sampled_from(DEPOSITS))
    provider = bench.account(max(min(2 * deposit + ONE, free // 2), 1))
    trader = bench.account(max(free // 4, 1))
    for kind in (RequestKind.DEPOSIT_MAIN, RequestKind.DEPOSIT_INSURANCE):
        if deposit > 0:
            bench.request(provider, kind, deposit)
    flush_now(bench)
    draw: st.DrawFn = plan.draw
    for _ in range(plan.draw(st.integers(1, 8))):
        look(bench, trader)
        for _ in range(3):
            buy(bench, trader, draw)
        move_on(bench, draw)
        look(bench, NONE)
        if plan.draw(st.booleans()):
            sell(bench, draw)
        if plan.draw(st.booleans()):
            provide(bench, provider, draw)
        if plan.draw(st.booleans()):
            flush_now(bench)
    bench.drain(trader)
