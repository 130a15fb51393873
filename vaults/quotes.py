"""What can be asked before an order is sent: what a sale would pay, and how much can be bought."""

from amm.kernel import kernel
from amm.quote import CloseQuote
from amm.units import AMOUNT_MAX
from vaults.closing import check_sale, price_closing
from vaults.limits import check_backing, check_balance, check_limits, check_order
from vaults.market import Market
from vaults.opening import price_series, price_size
from vaults.rejects import Reject
from vaults.rules import Rules
from vaults.state import NONE, State
from vaults.trade import Opening, PricedSeries, QuotedClosing

_NONE = Reject.NONE.value
_TOTAL_MIN = Reject.TOTAL_MIN.value


@kernel
def quote_closing(
    state: State,
    rules: Rules,
    market: Market,
    account: int,
    position_id: int,
    notional: int,
    now_ms: int,
) -> QuotedClosing:
    """Return what selling notional of an own position would pay now."""
    sale = check_sale(state, rules, market, account, position_id, notional, 0, now_ms)
    if sale.refusal.code != _NONE:
        return QuotedClosing(sale.refusal, CloseQuote(0.0, 0.0, 0.0, 0.0, 0.0), 0, 0, 0, 0)
    closing = price_closing(state, rules, market, sale.slot, sale.notional, now_ms)
    total = closing.gross - closing.fee
    return QuotedClosing(
        sale.refusal, closing.quote, sale.notional, closing.gross, closing.fee, total
    )


@kernel
def _is_bearable(
    state: State,
    rules: Rules,
    market: Market,
    account: int,
    underlying: int,
    opening: Opening,
    notional: int,
    now_ms: int,
) -> bool:
    """Whether nothing that limits the size of an opening from above speaks against it."""
    code = check_limits(state, rules, account, opening, notional).code
    if code not in (_NONE, _TOTAL_MIN):
        return False
    if check_backing(state, rules, market, underlying, opening, notional, now_ms).code != _NONE:
        return False
    if account == NONE:
        return True
    return check_balance(state, rules, account, opening, notional, 0, now_ms).code == _NONE


@kernel
def _largest_bearable(
    state: State,
    rules: Rules,
    market: Market,
    account: int,
    underlying: int,
    priced: PricedSeries,
    now_ms: int,
) -> int:
    """Return by bisection the largest notional that is not too large, 0 where all are."""
    accepted, refused = int(rules.parameters[0].notional_min), AMOUNT_MAX // 2 + 1
    smallest = price_size(state, rules, underlying, priced, accepted)
    if not _is_bearable(state, rules, market, account, underlying, smallest, accepted, now_ms):
        return 0
    while refused - accepted > 1:
        middle = accepted + (refused - accepted) // 2
        opening = price_size(state, rules, underlying, priced, middle)
        if _is_bearable(state, rules, market, account, underlying, opening, middle, now_ms):
            accepted = middle
        else:
            refused = middle
    return accepted


@kernel
def largest_opening(
    state: State,
    rules: Rules,
    market: Market,
    account: int,
    underlying: int,
    is_call: bool,
    strike_e8: int,
    now_ms: int,
) -> int:
    """Return the largest notional of a series that can be bought now, 0 where none can.

    For an account it is also what its balance pays for, with a day of premium; `account` may be
    NONE. A unit costs no less in a larger order, so if the largest is too cheap, all are.
    """
    least = int(rules.parameters[0].notional_min)
    if check_order(state, rules, market, underlying, strike_e8, least, 0, now_ms).code != _NONE:
        return 0
    priced = price_series(state, rules, market, underlying, is_call, strike_e8, now_ms)
    largest = _largest_bearable(state, rules, market, account, underlying, priced, now_ms)
    if largest == 0:
        return 0
    opening = price_size(state, rules, underlying, priced, largest)
    if check_limits(state, rules, account, opening, largest).code != _NONE:
        return 0
    return largest
