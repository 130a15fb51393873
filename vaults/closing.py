"""What ends a position, or a part of it: a sale, a release for its own premium, a cash-out."""

from typing import NamedTuple

from amm.kernel import kernel
from amm.quote import UnitQuote, quote_close, quote_unit
from amm.units import (
    ONE,
    PPM,
    mul_div_down,
    mul_div_up,
    tokens_down,
    tokens_up,
)
from vaults.insurance import book_advance
from vaults.ledger import post, transfer
from vaults.market import Market
from vaults.moves import Bucket, Flow, Move
from vaults.premium import (
    allot,
    settle_seller,
)
from vaults.rejects import Refusal, Reject, accepted
from vaults.rules import (
    Rules,
    check_fresh,
    index_of,
    index_quality,
    quote_rules,
)
from vaults.smile import sell_surface
from vaults.state import NONE, State
from vaults.trade import Closing, Fill, refused
from vaults.valuation import (
    contract_of,
    potential_added,
    value_book,
)

_CLOCK = Move.CLOCK.value
_RESIZE = Move.RESIZE.value
_SPREAD = Move.SPREAD.value
_COUNT = Move.COUNT.value
_BALANCES = Bucket.BALANCES.value
_MAIN = Bucket.MAIN.value
_INSURANCE = Bucket.INSURANCE.value
_FEES = Bucket.FEES.value
_CLOSE = Flow.CLOSE.value
_CASH_OUT = Flow.CASH_OUT.value
_FEE = Flow.FEE.value
_IMPACT_REFUNDED = Flow.IMPACT_REFUNDED.value
_PAID_BY_INSURANCE = Flow.PAID_BY_INSURANCE.value
_NONE = Reject.NONE.value
_ACCOUNT_UNKNOWN = Reject.ACCOUNT_UNKNOWN.value
_POSITION_UNKNOWN = Reject.POSITION_UNKNOWN.value
_AMOUNT_NOT_POSITIVE = Reject.AMOUNT_NOT_POSITIVE.value
_SIZE_EXCEEDS_POSITION = Reject.SIZE_EXCEEDS_POSITION.value
_PRICE_LIMIT = Reject.PRICE_LIMIT.value


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
        sell_surface(state, rules, market, underlying),
        rules.parameters[0].token_vol,
    )
    tokens = float(notional) / ONE
    relief = -potential_added(state, rules, underlying, state.losses[series_slot], -tokens)
    released = _impact_part(int(position.impact_paid), notional, int(position.notional))
    quote = quote_close(unit, tokens, relief, float(released) / ONE, contract.cap)
    cap = mul_div_down(notional, state.series[series_slot].cap_ppm, PPM)
    gross = max(0, min(cap, tokens_down(quote.mid + quote.refund - quote.spread)))
    # What of mid and refund is not paid out is spread, a rebate taken back included.
    kept = tokens_down(quote.mid + max(quote.refund, 0.0)) - gross
    return Closing(
        quote,
        gross,
        min(tokens_up(quote.fee), gross),
        released,
        max(0, min(tokens_down(quote.refund), released)),
        max(kept, 0),
    )


@kernel
def pay_out(
    state: State, rules: Rules, bucket: int, account: int, amount: int, flow: int, now_ms: int
) -> None:
    """Pay from main, and beyond it from insurance, which main LPs then owe."""
    from_main = min(amount, int(state.pool[0].main))
    transfer(state, _MAIN, bucket, account, from_main, flow)
    if from_main < amount:
        transfer(state, _INSURANCE, bucket, account, amount - from_main, flow)
        book_advance(state, rules, amount - from_main, now_ms)
        post(state, _COUNT, _PAID_BY_INSURANCE, amount - from_main, 0, 0, 0)


@kernel
def release(
    state: State, rules: Rules, slot: int, notional: int, closing: Closing, now_ms: int
) -> None:
    """Close a part of a position at a price; what is left of the balance is not yet divided.

    The proceeds come first and the settlement after, so a sale can pay its own premium.
    """
    account = int(state.positions[slot].account)
    proceeds = closing.gross - closing.fee
    pay_out(state, rules, _BALANCES, account, proceeds, _CLOSE, now_ms)
    pay_out(state, rules, _FEES, account, closing.fee, _FEE, now_ms)
    settle_seller(state, rules, slot, proceeds, now_ms)
    post(state, _RESIZE, slot, -notional, -closing.impact_released, 0, 0)
    post(state, _SPREAD, closing.spread, now_ms, 0, 0, 0)
    if closing.refunded > 0:
        post(state, _COUNT, _IMPACT_REFUNDED, closing.refunded, 0, 0, 0)


@kernel
def find_own_position(state: State, account: int, position_id: int) -> int:
    """Return the row of an account's position, NONE where it has no such position."""
    slot = int(state.accounts[account].first_position)
    while slot != NONE and state.positions[slot].position_id != position_id:
        slot = int(state.positions[slot].next_in_account)
    return slot


class Sale(NamedTuple):
    """A sale that nothing but its price may speak against: the position's row, and how much."""

    refusal: Refusal
    slot: int
    notional: int


@kernel
def check_sale(
    state: State,
    rules: Rules,
    market: Market,
    account: int,
    position_id: int,
    notional: int,
    fill_after_ms: int,
    now_ms: int,
) -> Sale:
    """Check what can be said of a sale before it is priced; the index comes last."""
    if account == NONE:
        return Sale(Refusal(_ACCOUNT_UNKNOWN, 0, 0), NONE, 0)
    slot = find_own_position(state, account, position_id)
    if slot == NONE:
        return Sale(Refusal(_POSITION_UNKNOWN, 0, position_id), NONE, 0)
    if notional <= 0:
        return Sale(Refusal(_AMOUNT_NOT_POSITIVE, 1, notional), NONE, 0)
    held = int(state.positions[slot].notional)
    if notional > held:
        return Sale(Refusal(_SIZE_EXCEEDS_POSITION, held, notional), NONE, 0)
    if held - notional < rules.parameters[0].notional_min:
        notional = held
    underlying = state.series[state.positions[slot].series].underlying
    return Sale(check_fresh(state, market, underlying, fill_after_ms, now_ms), slot, notional)


@kernel
def close_position(
    state: State,
    rules: Rules,
    market: Market,
    account: int,
    position_id: int,
    notional: int,
    min_total: int,
    fill_after_ms: int,
    now_ms: int,
) -> Fill:
    """Sell notional of an own position for at least `min_total`, all costs deducted.

    On an index published at `fill_after_ms` or later: what is refused for its index alone may be
    carried out at a later one. A remnant below the minimum notional is closed with it.
    """
    sale = check_sale(state, rules, market, account, position_id, notional, fill_after_ms, now_ms)
    if sale.refusal.code != _NONE:
        return Fill(sale.refusal, 0, 0, 0, 0, 0)
    slot, notional = sale.slot, sale.notional
    closing = price_closing(state, rules, market, slot, notional, now_ms)
    if closing.gross - closing.fee < min_total:
        return refused(_PRICE_LIMIT, min_total, closing.gross - closing.fee)
    series = state.series[state.positions[slot].series]
    index_e8 = int(market.oracle[series.underlying].index_e8)
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    release(state, rules, slot, notional, closing, now_ms)
    allot(state, account)
    amount = closing.gross - closing.fee
    return Fill(accepted(), position_id, notional, amount, closing.fee, index_e8)


@kernel
def cash_out(state: State, rules: Rules, slot: int, now_ms: int) -> None:
    """Pay a position its cap: no spread, no fee, no refund of impact; the balance is not divided.

    The payout comes first and the settlement after, so it can pay the position's premium.
    """
    position = state.positions[slot]
    account, notional = int(position.account), int(position.notional)
    cap_ppm = state.series[position.series].cap_ppm
    payout = mul_div_down(notional, cap_ppm, PPM)
    pay_out(state, rules, _BALANCES, account, payout, _CASH_OUT, now_ms)
    settle_seller(state, rules, slot, payout, now_ms)
    post(state, _RESIZE, slot, -notional, -int(position.impact_paid), 0, 0)
