"""The command that opens a position.

Its order: quote, check, and only then move. What is computed before the first move is derived
from marks and may be thrown away.
"""

from amm.kernel import kernel
from amm.quote import OpenQuote, quote_open, quote_unit
from amm.revaluation import fill_shocked
from amm.scenarios import UNDERLYINGS, Contract
from amm.units import AMOUNT_MAX, DAY_MS, ONE, tokens_down, units_down, units_up
from vaults.capacity import backing, lock_of, utilisation
from vaults.ledger import post, transfer
from vaults.limits import check_backing, check_balance, check_limits, check_order
from vaults.market import Market
from vaults.moves import Bucket, Flow, Move
from vaults.premium import (
    NO_KEY,
    accrue_to,
    allot,
    index_at,
    owed_by_account,
    premium_for,
    reserve_of,
    settle_account,
)
from vaults.rejects import Refusal, Reject, accepted
from vaults.rules import (
    Rules,
    index_of,
    index_quality,
    make_contract,
    quote_rules,
)
from vaults.smile import buy_surface, fill_states, mark_surface
from vaults.state import NONE, State
from vaults.trade import Fill, Opening, PricedSeries, QuotedOpening, refused
from vaults.valuation import (
    contract_of,
    mark_series,
    potential_added,
    rate_of,
    value_book,
)

_CLOCK = Move.CLOCK.value
_ACCRUE = Move.ACCRUE.value
_SERIES = Move.SERIES.value
_POSITION = Move.POSITION.value
_FUNDING = Move.FUNDING.value
_RESIZE = Move.RESIZE.value
_SPREAD = Move.SPREAD.value
_COUNT = Move.COUNT.value
_BALANCES = Bucket.BALANCES.value
_MAIN = Bucket.MAIN.value
_FEES = Bucket.FEES.value
_OPEN = Flow.OPEN.value
_FEE = Flow.FEE.value
_IMPACT_PAID = Flow.IMPACT_PAID.value
_NONE = Reject.NONE.value
_ACCOUNT_UNKNOWN = Reject.ACCOUNT_UNKNOWN.value
_PRICE_LIMIT = Reject.PRICE_LIMIT.value


@kernel
def find_series(state: State, underlying: int, is_call: bool, strike_e8: int) -> int:
    """Return the row of a series, NONE where it was never listed."""
    for slot in range(state.pool[0].series_count):
        series = state.series[slot]
        if (
            series.strike_e8 == strike_e8
            and series.underlying == underlying
            and (series.is_call == 1) == is_call
        ):
            return slot
    return NONE


@kernel
def find_position(state: State, account: int, series: int) -> int:
    """Return the row of an account's position in a series, NONE where it has none."""
    slot = state.accounts[account].first_position
    while slot != NONE and state.positions[slot].series != series:
        slot = state.positions[slot].next_in_account
    return int(slot)


@kernel
def listed_contract(
    state: State,
    rules: Rules,
    market: Market,
    slot: int,
    underlying: int,
    is_call: bool,
    strike_e8: int,
) -> Contract:
    """Return the terms of a series: its own where it is listed, today's where it would be new."""
    if slot != NONE:
        return contract_of(state, rules, market, slot)
    terms = rules.terms[underlying]
    return make_contract(
        rules,
        market,
        underlying,
        is_call,
        strike_e8,
        terms.cap_ppm,
        terms.funding_period_ms,
        terms.discount_rate_e9,
    )


@kernel
def price_series(
    state: State,
    rules: Rules,
    market: Market,
    underlying: int,
    is_call: bool,
    strike_e8: int,
    now_ms: int,
) -> PricedSeries:
    """Quote one unit at the present marks; changes nothing but what is derived from marks."""
    slot = find_series(state, underlying, is_call, strike_e8)
    contract = listed_contract(state, rules, market, slot, underlying, is_call, strike_e8)
    index, surface = index_of(market, underlying), mark_surface(state, rules, market, underlying)
    value_book(state, rules, market)
    row = slot
    if slot == NONE or state.series[slot].open_notional == 0:
        row = state.losses.shape[0] - 1
        fill_states(state, rules, market, underlying)
        shocks = state.scratch.shocks
        fill_shocked(rules.scenarios, shocks, contract, index, row, state.losses, state.stress)
    unit = quote_unit(
        quote_rules(rules),
        index_quality(market, underlying, now_ms),
        contract,
        index,
        buy_surface(state, rules, market, underlying),
        rules.parameters[0].token_vol,
    )
    rate = rate_of(contract, index, surface, state.books[underlying].rent_e15)
    cap_ppm = rules.terms[underlying].cap_ppm if slot == NONE else state.series[slot].cap_ppm
    return PricedSeries(slot, contract, unit, row, int(cap_ppm), int(rate.rate_e15))


@kernel
def price_size(
    state: State, rules: Rules, underlying: int, priced: PricedSeries, notional: int
) -> Opening:
    """Quote an opening of some size.

    The impact of what the pool cannot bear grows without bound; the total stops at `AMOUNT_MAX`,
    which nobody can pay.
    """
    tokens = float(notional) / ONE
    change = potential_added(state, rules, underlying, state.losses[priced.row], tokens)
    quote = quote_open(priced.unit, tokens, change)
    return Opening(
        priced.slot,
        priced.contract,
        lock_of(notional, priced.cap_ppm),
        quote,
        units_up(min(quote.total * ONE, float(AMOUNT_MAX))),
        tokens_down(quote.fee),
        units_down(min(quote.impact * ONE, float(AMOUNT_MAX))),
        max(tokens_down(quote.spread + min(quote.impact, 0.0)), 0),
        priced.rate_e15,
        priced.row,
    )


@kernel
def price_opening(
    state: State,
    rules: Rules,
    market: Market,
    underlying: int,
    is_call: bool,
    strike_e8: int,
    notional: int,
    now_ms: int,
) -> Opening:
    """Quote an opening at the present marks; changes nothing but what is derived from marks."""
    priced = price_series(state, rules, market, underlying, is_call, strike_e8, now_ms)
    return price_size(state, rules, underlying, priced, notional)


@kernel
def _open_checked(
    state: State,
    rules: Rules,
    market: Market,
    account: int,
    underlying: int,
    strike_e8: int,
    notional: int,
    self_funding: int,
    opening: Opening,
    now_ms: int,
) -> Fill:
    """Do an opening that nothing speaks against."""
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    settle_account(state, rules, account, now_ms)
    slot = opening.slot
    if slot == NONE:
        slot = int(state.pool[0].series_count)
        terms = rules.terms[underlying]
        kind = 2 * underlying + int(opening.contract.is_call)
        period, rate = terms.funding_period_ms, terms.discount_rate_e9
        post(state, _SERIES, kind, strike_e8, terms.cap_ppm, period, rate)
        state.marks[slot].window_ticks = NONE
        state.marks[slot].losses_ticks = NONE
    if state.series[slot].open_notional == 0:
        mark_series(state, rules, market, slot)
        state.marks[slot].least_key_e15 = NO_KEY
        # An empty series sleeps through ticks: it wakes as if it had seen the last one.
        post(state, _ACCRUE, slot, 0, 0, 1, 0)
    accrue_to(state, slot, index_at(state, rules, slot, now_ms), 0)
    transfer(state, _BALANCES, _MAIN, account, opening.total - opening.fee, _OPEN)
    transfer(state, _BALANCES, _FEES, account, opening.fee, _FEE)
    position = find_position(state, account, slot)
    if position == NONE:
        post(state, _POSITION, account, slot, self_funding, 0, 0)
        position = int(state.accounts[account].first_position)
    elif state.positions[position].self_funding != self_funding:
        post(state, _FUNDING, position, self_funding, 0, 0, 0)
    post(state, _RESIZE, position, notional, opening.impact, 0, 0)
    value_book(state, rules, market)
    post(state, _SPREAD, opening.spread, now_ms, 0, 0, 0)
    if opening.impact > 0:
        post(state, _COUNT, _IMPACT_PAID, opening.impact, 0, 0, 0)
    allot(state, account)
    position_id = int(state.positions[position].position_id)
    index_e8 = int(market.oracle[underlying].index_e8)
    return Fill(accepted(), position_id, notional, opening.total, opening.fee, index_e8)


@kernel
def _days_covered(
    state: State, rules: Rules, account: int, opening: Opening, notional: int, now_ms: int
) -> float:
    """Return how long an account's balance lasts after an opening, at the present rates."""
    if account == NONE:
        return 0.0
    owed = owed_by_account(state, rules, account, now_ms)
    left = int(state.accounts[account].balance) - owed - opening.total
    day = reserve_of(state, account, DAY_MS) + premium_for(notional, opening.rate_e15, DAY_MS)
    return max(left, 0) / max(day, 1)


@kernel
def quote_opening(
    state: State,
    rules: Rules,
    market: Market,
    account: int,
    underlying: int,
    is_call: bool,
    strike_e8: int,
    notional: int,
    now_ms: int,
) -> QuotedOpening:
    """Return what buying notional of a series would cost and do now; `account` may be NONE."""
    pool = state.pool[0]
    used = utilisation(pool.locked, backing(rules, pool.main, pool.insurance))
    refusal = check_order(state, rules, market, underlying, strike_e8, notional, 0, now_ms)
    if refusal.code != _NONE:
        return QuotedOpening(refusal, OpenQuote(0.0, 0.0, 0.0, 0.0, 0.0), 0.0, 0.0, 0.0, used, used)
    opening = price_opening(state, rules, market, underlying, is_call, strike_e8, notional, now_ms)
    refusal = check_limits(state, rules, account, opening, notional)
    if refusal.code == _NONE:
        refusal = check_backing(state, rules, market, underlying, opening, notional, now_ms)
    if refusal.code == _NONE and account != NONE:
        refusal = check_balance(state, rules, account, opening, notional, 0, now_ms)
    backed = backing(rules, int(pool.main) + opening.total - opening.fee, pool.insurance)
    return QuotedOpening(
        refusal,
        opening.quote,
        premium_for(notional, opening.rate_e15, DAY_MS) / ONE,
        _days_covered(state, rules, account, opening, notional, now_ms),
        opening.lock / ONE,
        used,
        utilisation(int(pool.locked) + opening.lock, backed),
    )


@kernel
def open_position(
    state: State,
    rules: Rules,
    market: Market,
    account: int,
    underlying: int,
    is_call: bool,
    strike_e8: int,
    notional: int,
    limit_total: int,
    self_funding: int,
    fill_after_ms: int,
    now_ms: int,
) -> Fill:
    """Buy notional of a series for at most `limit_total`, all costs included.

    On an index published at `fill_after_ms` or later.
    """
    if account == NONE and 0 <= underlying < UNDERLYINGS:
        return refused(_ACCOUNT_UNKNOWN, 0, 0)
    refusal = check_order(
        state, rules, market, underlying, strike_e8, notional, fill_after_ms, now_ms
    )
    if refusal.code != _NONE:
        return Fill(refusal, 0, 0, 0, 0, 0)
    opening = price_opening(state, rules, market, underlying, is_call, strike_e8, notional, now_ms)
    refusal = check_limits(state, rules, account, opening, notional)
    if refusal.code == _NONE:
        refusal = check_backing(state, rules, market, underlying, opening, notional, now_ms)
    if refusal.code == _NONE and opening.total > limit_total:
        refusal = Refusal(_PRICE_LIMIT, limit_total, opening.total)
    if refusal.code == _NONE:
        refusal = check_balance(state, rules, account, opening, notional, self_funding, now_ms)
    if refusal.code != _NONE:
        return Fill(refusal, 0, 0, 0, 0, 0)
    return _open_checked(
        state,
        rules,
        market,
        account,
        underlying,
        strike_e8,
        notional,
        self_funding,
        opening,
        now_ms,
    )
