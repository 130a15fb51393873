"""What can be asked by names before an order is sent; nothing changes."""

from api.memory import Memory
from vaults import commands, opening, quotes
from vaults.commands import CALL, PUT
from vaults.ticker import Ticker, ticker
from vaults.trade import QuotedClosing, QuotedOpening


def quote(memory: Memory, order: commands.Open) -> QuotedOpening:
    """Return what an order would cost and do now; it is not executed, and nothing changes.

    Raises:
        KeyError: For a token that is not listed.
        ValueError: For an underlying that is not.
    """
    token = memory.make_room(order.token)
    return opening.quote_opening(
        token.state,
        token.rules,
        memory.market,
        memory.slot_of(order.token, order.account),
        memory.underlyings.index(order.underlying),
        order.kind == CALL,
        order.strike_e8,
        order.notional,
        order.now_ms,
    )


def quote_close(
    memory: Memory, token: str, account: str, position_id: int, notional: int, now_ms: int
) -> QuotedClosing:
    """Return what selling notional of an own position would pay now; nothing changes.

    Raises:
        KeyError: For a token that is not listed.
    """
    held = memory.make_room(token)
    slot = memory.slot_of(token, account)
    return quotes.quote_closing(
        held.state, held.rules, memory.market, slot, position_id, notional, now_ms
    )


def largest(memory: Memory, order: commands.Open) -> int:
    """Return the largest notional an order for this series could have now, in base units.

    Raises:
        KeyError: For a token that is not listed.
        ValueError: For an underlying that is not.
    """
    token = memory.make_room(order.token)
    return quotes.largest_opening(
        token.state,
        token.rules,
        memory.market,
        memory.slot_of(order.token, order.account),
        memory.underlyings.index(order.underlying),
        order.kind == CALL,
        order.strike_e8,
        order.now_ms,
    )


def ticker_of(memory: Memory, token: str, underlying: str, kind: str, strike_e8: int) -> Ticker:
    """Return a series, whether it was ever traded or not, at the mark.

    Raises:
        KeyError: For a token that is not listed.
        ValueError: For an underlying that is not, a kind that is none, a strike that is not
            positive; and where the underlying has no index yet.
    """
    slot = memory.underlyings.index(underlying)
    if kind not in (CALL, PUT) or strike_e8 <= 0 or memory.market.oracle[slot].index_e8 <= 0:
        raise ValueError(f"no mark of {underlying} {kind} {strike_e8}")
    held = memory.make_room(token)
    return ticker(held.state, held.rules, memory.market, slot, kind == CALL, strike_e8)
