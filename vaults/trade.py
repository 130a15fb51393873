"""The commands that open and close positions.

Both have one order: read premium up to now, quote, check, and only then move. What is computed
before the first move is derived from marks and may be thrown away.
"""

import math
from typing import NamedTuple

import numpy as np

from amm.kernel import kernel
from amm.quote import CloseQuote, OpenQuote, UnitQuote, quote_close, quote_open, quote_unit
from amm.scenarios import (
    MOVES,
    REGIMES,
    UNDERLYINGS,
    Contract,
    fill_losses,
    fill_weights,
    potential_change,
    stress_increases,
)
from amm.units import AMOUNT_MAX, ONE, PPM, mul_div_down, mul_div_up, units_down, units_up
from vaults.capacity import backing
from vaults.market import Market
from vaults.moves import Bucket, Flow, Move, lock_of, post, transfer
from vaults.nav import net_asset_value
from vaults.premium import (
    NO_KEY,
    accrue_to,
    allot,
    index_at,
    owed_by_account,
    premium_for,
    reserve_of,
    settle_account,
    settle_seller,
)
from vaults.rejects import Refusal, Reject, accepted
from vaults.rules import (
    Rules,
    buy_surface,
    index_of,
    index_quality,
    make_contract,
    mark_is_fresh,
    mark_surface,
    quote_rules,
    sell_surface,
)
from vaults.state import NONE, Floats, State
from vaults.valuation import (
    base_stress,
    book_losses,
    contract_of,
    mark_series,
    rate_of,
    risk_tolerance,
    value_book,
    value_scenarios,
)

_CLOCK = Move.CLOCK.value
_ACCRUE = Move.ACCRUE.value
_SERIES = Move.SERIES.value
_POSITION = Move.POSITION.value
_RESIZE = Move.RESIZE.value
_SPREAD = Move.SPREAD.value
_COUNT = Move.COUNT.value
_ADVANCE = Move.ADVANCE.value
_BALANCES = Bucket.BALANCES.value
_MAIN = Bucket.MAIN.value
_INSURANCE = Bucket.INSURANCE.value
_FEES = Bucket.FEES.value
_OPEN = Flow.OPEN.value
_CLOSE = Flow.CLOSE.value
_CASH_OUT = Flow.CASH_OUT.value
_FEE = Flow.FEE.value
_IMPACT_PAID = Flow.IMPACT_PAID.value
_IMPACT_REFUNDED = Flow.IMPACT_REFUNDED.value

_NONE = Reject.NONE.value
_UNDERLYING_UNKNOWN = Reject.UNDERLYING_UNKNOWN.value
_ACCOUNT_UNKNOWN = Reject.ACCOUNT_UNKNOWN.value
_POSITION_UNKNOWN = Reject.POSITION_UNKNOWN.value
_AMOUNT_NOT_POSITIVE = Reject.AMOUNT_NOT_POSITIVE.value
_AMOUNT_TOO_LARGE = Reject.AMOUNT_TOO_LARGE.value
_MARK_STALE = Reject.MARK_STALE.value
_STRIKE_OFF_LADDER = Reject.STRIKE_OFF_LADDER.value
_STRIKE_WINDOW = Reject.STRIKE_WINDOW.value
_NOTIONAL_MIN = Reject.NOTIONAL_MIN.value
_SIZE_EXCEEDS_POSITION = Reject.SIZE_EXCEEDS_POSITION.value
_SERIES_LIMIT = Reject.SERIES_LIMIT.value
_SERIES_SHARE = Reject.SERIES_SHARE.value
_ACCOUNT_SHARE = Reject.ACCOUNT_SHARE.value
_TOTAL_MIN = Reject.TOTAL_MIN.value
_CAPACITY = Reject.CAPACITY.value
_STRESS_LIMIT = Reject.STRESS_LIMIT.value
_PRICE_LIMIT = Reject.PRICE_LIMIT.value
_BALANCE = Reject.BALANCE.value


class Opening(NamedTuple):
    """An opening that has been priced but not done.

    `slot` is the series' row, NONE for a series to be listed; amounts are base units, `quote` is
    in tokens; `stress` is the increase per unit in the base stress, `lock` what is locked for it.
    """

    slot: int
    contract: Contract
    lock: int
    quote: OpenQuote
    total: int
    fee: int
    impact: int
    spread: int
    rate_e15: int
    stress: Floats


class Closing(NamedTuple):
    """A closing that has been priced but not done; amounts are base units."""

    quote: CloseQuote
    gross: int
    fee: int
    impact_released: int
    refunded: int
    spread: int


class Fill(NamedTuple):
    """What a trade did, in base units: zero where it was refused.

    `amount` is what the buyer paid or the seller received.
    """

    refusal: Refusal
    position_id: int
    notional: int
    amount: int
    fee: int


@kernel
def refused(code: int, limit: int, actual: int) -> Fill:
    """Return a fill that did not happen."""
    return Fill(Refusal(code, limit, actual), 0, 0, 0, 0)


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
def _listed_contract(
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
def _impact_of(
    state: State, rules: Rules, underlying: int, losses: Floats, notional: float
) -> float:
    """Return the change of U by adding `notional` tokens of a series with these losses."""
    tolerance = risk_tolerance(state, rules)
    log_weights = np.empty((REGIMES, MOVES))
    fill_weights(rules.scenarios, book_losses(state), tolerance, underlying, log_weights)
    return potential_change(log_weights, losses, notional, tolerance)


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
    """Quote an opening at the present marks; changes nothing but what is derived from marks.

    The impact of what the pool cannot bear grows without bound; the total stops at `AMOUNT_MAX`,
    which nobody can pay.
    """
    parameters = rules.parameters[0]
    slot = find_series(state, underlying, is_call, strike_e8)
    contract = _listed_contract(state, rules, market, slot, underlying, is_call, strike_e8)
    index, surface = index_of(market, underlying), mark_surface(market, underlying)
    value_book(state, rules, market)
    losses = np.empty((REGIMES, MOVES))
    fill_losses(rules.scenarios, contract, index, surface, losses)
    stress = np.empty(2)
    stress_increases(
        contract, index, surface, parameters.stress_move, parameters.stress_vol, stress
    )
    unit = quote_unit(
        quote_rules(rules),
        index_quality(market, underlying, now_ms),
        contract,
        index,
        buy_surface(market, underlying),
        parameters.token_vol,
    )
    tokens = float(notional) / ONE
    change = _impact_of(state, rules, underlying, losses, tokens)
    quote = quote_open(unit, tokens, change)
    rate = rate_of(contract, market, underlying, state.books[underlying].rent_e15)
    cap_ppm = rules.terms[underlying].cap_ppm if slot == NONE else state.series[slot].cap_ppm
    return Opening(
        slot,
        contract,
        lock_of(notional, cap_ppm),
        quote,
        units_up(min(quote.total * ONE, float(AMOUNT_MAX))),
        units_down(quote.fee * ONE),
        units_down(min(quote.impact * ONE, float(AMOUNT_MAX))),
        max(units_down((quote.spread + min(quote.impact, 0.0)) * ONE), 0),
        rate.rate_e15,
        stress,
    )


@kernel
def _check_order(
    rules: Rules,
    market: Market,
    account: int,
    underlying: int,
    strike_e8: int,
    notional: int,
    now_ms: int,
) -> Refusal:
    """Check what can be said of an opening before it is priced."""
    parameters = rules.parameters[0]
    if not 0 <= underlying < UNDERLYINGS:
        return Refusal(_UNDERLYING_UNKNOWN, UNDERLYINGS, underlying)
    if account == NONE:
        return Refusal(_ACCOUNT_UNKNOWN, 0, 0)
    if notional <= 0:
        return Refusal(_AMOUNT_NOT_POSITIVE, 1, notional)
    if notional > AMOUNT_MAX // 2:
        return Refusal(_AMOUNT_TOO_LARGE, AMOUNT_MAX // 2, notional)
    if not mark_is_fresh(market, underlying, now_ms):
        return Refusal(_MARK_STALE, market.oracle[underlying].index_ms, now_ms)
    step = rules.terms[underlying].strike_step_e8
    if strike_e8 <= 0 or strike_e8 % step != 0:
        return Refusal(_STRIKE_OFF_LADDER, step, strike_e8)
    index_e8 = float(market.oracle[underlying].index_e8)
    if strike_e8 < index_e8 * parameters.strike_low:
        return Refusal(_STRIKE_WINDOW, int(math.ceil(index_e8 * parameters.strike_low)), strike_e8)
    if strike_e8 > index_e8 * parameters.strike_high:
        return Refusal(_STRIKE_WINDOW, int(index_e8 * parameters.strike_high), strike_e8)
    if notional < parameters.notional_min:
        return Refusal(_NOTIONAL_MIN, parameters.notional_min, notional)
    return accepted()


@kernel
def locked_by(state: State, account: int) -> int:
    """Return the locks of all positions of an account."""
    locked = 0
    slot = state.accounts[account].first_position
    while slot != NONE:
        position = state.positions[slot]
        locked += lock_of(position.notional, state.series[position.series].cap_ppm)
        slot = position.next_in_account
    return locked


@kernel
def _check_limits(
    state: State, rules: Rules, account: int, opening: Opening, notional: int
) -> Refusal:
    """Check the limits on concentration and the least total."""
    parameters = rules.parameters[0]
    pool = state.pool[0]
    is_live = opening.slot != NONE and state.series[opening.slot].open_notional > 0
    if not is_live and pool.live_series >= parameters.series_live_max:
        return Refusal(_SERIES_LIMIT, parameters.series_live_max, pool.live_series)
    backed = backing(rules, pool.main, pool.insurance)
    in_series = opening.lock + (int(state.series[opening.slot].locked) if is_live else 0)
    series_max = mul_div_down(backed, parameters.series_share_ppm, PPM)
    if in_series > series_max:
        return Refusal(_SERIES_SHARE, series_max, in_series)
    by_account = opening.lock + locked_by(state, account)
    account_max = mul_div_down(backed, parameters.account_share_ppm, PPM)
    if by_account > account_max:
        return Refusal(_ACCOUNT_SHARE, account_max, by_account)
    total_min = mul_div_up(notional, parameters.total_min_ppm, PPM)
    if opening.total < total_min:
        return Refusal(_TOTAL_MIN, total_min, opening.total)
    return accepted()


@kernel
def _check_backing(
    state: State,
    rules: Rules,
    market: Market,
    underlying: int,
    opening: Opening,
    notional: int,
    now_ms: int,
) -> Refusal:
    """Check that every lock stays funded and the base stress bearable after the opening."""
    pool = state.pool[0]
    locked = int(pool.locked) + opening.lock
    backed = backing(rules, int(pool.main) + opening.total - opening.fee, pool.insurance)
    if locked > backed:
        return Refusal(_CAPACITY, backed, locked)
    stress = units_up(base_stress(state, underlying, opening.stress, notional))
    nav = net_asset_value(state, rules, market, now_ms)
    stress_max = mul_div_down(max(nav.low, 0), rules.parameters[0].stress_share_ppm, PPM)
    if stress > stress_max:
        return Refusal(_STRESS_LIMIT, stress_max, stress)
    return accepted()


@kernel
def _check_balance(
    state: State,
    rules: Rules,
    account: int,
    opening: Opening,
    notional: int,
    self_funding: int,
    now_ms: int,
) -> Refusal:
    """Check that the account can pay, and has premium for a day.

    A self-funding position needs an hour's: enough for the first tick to run it in time.
    """
    parameters = rules.parameters[0]
    hour = parameters.keep_reserve_ms
    reserve = reserve_of(state, account, hour) + premium_for(notional, opening.rate_e15, hour)
    if self_funding == 0:
        day = premium_for(notional, opening.rate_e15, parameters.open_reserve_ms)
        reserve = max(reserve, day)
    needed = opening.total + reserve + owed_by_account(state, rules, account, now_ms)
    balance = int(state.accounts[account].balance)
    if balance < needed:
        return Refusal(_BALANCE, balance, needed)
    return accepted()


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
    post(state, _RESIZE, position, notional, opening.impact, 0, 0)
    value_scenarios(state, rules, market, slot)
    post(state, _SPREAD, opening.spread, now_ms, 0, 0, 0)
    if opening.impact > 0:
        post(state, _COUNT, _IMPACT_PAID, opening.impact, 0, 0, 0)
    allot(state, account)
    position_id = int(state.positions[position].position_id)
    return Fill(accepted(), position_id, notional, opening.total, opening.fee)


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
    now_ms: int,
) -> Fill:
    """Buy notional of a series for at most `limit_total`, all costs included."""
    refusal = _check_order(rules, market, account, underlying, strike_e8, notional, now_ms)
    if refusal.code != _NONE:
        return Fill(refusal, 0, 0, 0, 0)
    opening = price_opening(state, rules, market, underlying, is_call, strike_e8, notional, now_ms)
    refusal = _check_limits(state, rules, account, opening, notional)
    if refusal.code == _NONE:
        refusal = _check_backing(state, rules, market, underlying, opening, notional, now_ms)
    if refusal.code == _NONE and opening.total > limit_total:
        refusal = Refusal(_PRICE_LIMIT, limit_total, opening.total)
    if refusal.code == _NONE:
        refusal = _check_balance(state, rules, account, opening, notional, self_funding, now_ms)
    if refusal.code != _NONE:
        return Fill(refusal, 0, 0, 0, 0)
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


@kernel
def _impact_part(impact_paid: int, closed: int, notional: int) -> int:
    """Return the impact paid for a part of a position, rounded against the trader."""
    if impact_paid >= 0:
        return mul_div_down(impact_paid, closed, notional)
    return -mul_div_up(-impact_paid, closed, notional)


@kernel
def price_closing(
    state: State, rules: Rules, market: Market, slot: int, notional: int, now_ms: int
) -> Closing:
    """Quote the closing of a part of a position at the present marks."""
    position = state.positions[slot]
    series_slot = int(position.series)
    underlying = int(state.series[series_slot].underlying)
    value_book(state, rules, market)
    contract = contract_of(state, rules, market, series_slot)
    unit: UnitQuote = quote_unit(
        quote_rules(rules),
        index_quality(market, underlying, now_ms),
        contract,
        index_of(market, underlying),
        sell_surface(market, underlying),
        rules.parameters[0].token_vol,
    )
    tokens = float(notional) / ONE
    relief = -_impact_of(state, rules, underlying, state.losses[series_slot], -tokens)
    released = _impact_part(int(position.impact_paid), notional, int(position.notional))
    quote = quote_close(unit, tokens, relief, float(released) / ONE, contract.cap)
    cap = mul_div_down(notional, state.series[series_slot].cap_ppm, PPM)
    gross = max(0, min(cap, units_down((quote.mid + quote.refund - quote.spread) * ONE)))
    # What of mid and refund is not paid out is spread, a rebate taken back included.
    kept = units_down((quote.mid + max(quote.refund, 0.0)) * ONE) - gross
    return Closing(
        quote,
        gross,
        min(units_up(quote.fee * ONE), gross),
        released,
        max(0, min(units_down(quote.refund * ONE), released)),
        max(kept, 0),
    )


@kernel
def pay_out(state: State, bucket: int, account: int, amount: int, flow: int) -> None:
    """Pay from main, and beyond it from insurance, which main LPs then owe."""
    from_main = min(amount, int(state.pool[0].main))
    transfer(state, _MAIN, bucket, account, from_main, flow)
    if from_main < amount:
        transfer(state, _INSURANCE, bucket, account, amount - from_main, flow)
        post(state, _ADVANCE, amount - from_main, 0, 0, 0, 0)


@kernel
def release(
    state: State, rules: Rules, slot: int, notional: int, closing: Closing, now_ms: int
) -> None:
    """Close a part of a position at a price; what is left of the balance is not yet divided.

    The proceeds come first and the settlement after, so a sale can pay its own premium.
    """
    account = int(state.positions[slot].account)
    proceeds = closing.gross - closing.fee
    pay_out(state, _BALANCES, account, proceeds, _CLOSE)
    pay_out(state, _FEES, account, closing.fee, _FEE)
    settle_seller(state, rules, slot, proceeds, now_ms)
    post(state, _RESIZE, slot, -notional, -closing.impact_released, 0, 0)
    post(state, _SPREAD, closing.spread, now_ms, 0, 0, 0)
    if closing.refunded > 0:
        post(state, _COUNT, _IMPACT_REFUNDED, closing.refunded, 0, 0, 0)


@kernel
def close_position(
    state: State,
    rules: Rules,
    market: Market,
    account: int,
    position_id: int,
    notional: int,
    min_total: int,
    now_ms: int,
) -> Fill:
    """Sell notional of an own position for at least `min_total`, all costs deducted.

    A remnant below the minimum notional is closed with it.
    """
    if account == NONE:
        return refused(_ACCOUNT_UNKNOWN, 0, 0)
    slot = int(state.accounts[account].first_position)
    while slot != NONE and state.positions[slot].position_id != position_id:
        slot = int(state.positions[slot].next_in_account)
    if slot == NONE:
        return refused(_POSITION_UNKNOWN, 0, position_id)
    if notional <= 0:
        return refused(_AMOUNT_NOT_POSITIVE, 1, notional)
    position = state.positions[slot]
    underlying = state.series[position.series].underlying
    if not mark_is_fresh(market, underlying, now_ms):
        return refused(_MARK_STALE, market.oracle[underlying].index_ms, now_ms)
    held = int(position.notional)
    if notional > held:
        return refused(_SIZE_EXCEEDS_POSITION, held, notional)
    if held - notional < rules.parameters[0].notional_min:
        notional = held
    closing = price_closing(state, rules, market, slot, notional, now_ms)
    if closing.gross - closing.fee < min_total:
        return refused(_PRICE_LIMIT, min_total, closing.gross - closing.fee)
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    release(state, rules, slot, notional, closing, now_ms)
    allot(state, account)
    amount = closing.gross - closing.fee
    return Fill(accepted(), position_id, notional, amount, closing.fee)


@kernel
def cash_out(state: State, rules: Rules, slot: int, now_ms: int) -> None:
    """Pay a position its cap: no spread, no fee, no refund of impact; the balance is not divided.

    The payout comes first and the settlement after, so it can pay the position's premium.
    """
    position = state.positions[slot]
    account, notional = int(position.account), int(position.notional)
    cap_ppm = state.series[position.series].cap_ppm
    payout = mul_div_down(notional, cap_ppm, PPM)
    pay_out(state, _BALANCES, account, payout, _CASH_OUT)
    settle_seller(state, rules, slot, payout, now_ms)
    post(state, _RESIZE, slot, -notional, -int(position.impact_paid), 0, 0)
