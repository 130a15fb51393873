"""Traders who know something before the exchange does: the index, or the next vol level.

They see what the index will be a few seconds on, buy if that pays for getting in and out, and sell
when the exchange has seen it too. The seconds are part of the path: its next price stays what it
was, and what lies between is a Brownian bridge.
"""

import math
from typing import NamedTuple

from amm.kernel import kernel
from amm.units import ONE, SECOND_MS, YEAR_MS
from sims.drawdown.commands import tick_index
from sims.drawdown.orders import HOLD
from sims.drawdown.seats import INFORMED, Seats, free_seat, leave_seat, take_seat
from sims.drawdown.world import World
from vaults.opening import price_opening
from vaults.rules import index_of, mark_level
from vaults.state import NONE

E9 = 1e9
LEVEL_GAIN = 0.02
"""Who sees the next vol level buys if it is so much higher."""


class Knowledge(NamedTuple):
    """What informed traders are: notional of an order in base units, and how early they see."""

    notional: int
    lead_ms: int


@kernel
def _strike_at_the_money(world: World, underlying: int) -> int:
    step = int(world.rules.terms[underlying].strike_step_e8)
    index_e8 = int(world.market.oracle[underlying].index_e8)
    return (index_e8 + step // 2) // step * step


@kernel
def _pays(
    world: World,
    knowledge: Knowledge,
    underlying: int,
    is_call: bool,
    strike_e8: int,
    move: float,
    now_ms: int,
) -> bool:
    """Whether a move of the index is worth more than getting in and out."""
    opening = price_opening(
        world.state,
        world.rules,
        world.market,
        underlying,
        is_call,
        strike_e8,
        knowledge.notional,
        now_ms,
    )
    quote = opening.quote
    gain = 0.5 * abs(move) * knowledge.notional / ONE  # half the index: at the money
    return gain > 2.0 * (quote.spread + quote.fee) + max(quote.impact, 0.0) * 0.5


@kernel
def snipe_index(
    world: World,
    seats: Seats,
    knowledge: Knowledge,
    underlying: int,
    next_price: float,
    noise: float,
    step_ms: int,
    now_ms: int,
) -> int:
    """Trade on the index of the seconds to come, if that pays; returns the trades done."""
    seat = free_seat(seats)
    lead = knowledge.lead_ms / step_ms
    if seat == NONE or not next_price > 0.0:
        return 0
    index = index_of(world.market, underlying)
    sigma = mark_level(world.market, underlying) * math.sqrt(step_ms / YEAR_MS)
    move = lead * math.log(next_price / index) + sigma * math.sqrt(lead * (1.0 - lead)) * noise
    is_call = move > 0.0
    strike_e8 = _strike_at_the_money(world, underlying)
    if not _pays(world, knowledge, underlying, is_call, strike_e8, move, now_ms):
        return 0
    is_filled = take_seat(
        world, seats, seat, INFORMED, underlying, is_call, strike_e8, knowledge.notional, 0,
        1.0, now_ms,
    )  # fmt: skip
    if not is_filled:
        return 0
    seen_ms = now_ms + max(knowledge.lead_ms, SECOND_MS)
    level_e9 = int(world.market.oracle[underlying].target_vol_e9)
    tick_index(world, underlying, int(index * math.exp(move) * ONE), level_e9, seen_ms)
    return 1 + leave_seat(world, seats, seat, seen_ms)


@kernel
def snipe_level(
    world: World,
    seats: Seats,
    knowledge: Knowledge,
    underlying: int,
    next_level: float,
    step: int,
    now_ms: int,
) -> int:
    """Buy at the money before the vol level rises, to sell a step later; returns trades done."""
    seat = free_seat(seats)
    known = world.market.oracle[underlying].target_vol_e9 / E9
    if seat == NONE or next_level < known + LEVEL_GAIN:
        return 0
    strike_e8 = _strike_at_the_money(world, underlying)
    is_filled = take_seat(
        world, seats, seat, INFORMED, underlying, True, strike_e8, knowledge.notional, 0,
        1.0, now_ms,
    )  # fmt: skip
    if is_filled:
        seats.until[seat] = step + 1
        seats.rule[seat] = HOLD
    return int(is_filled)
