"""Who holds what: every order that is filled gets a seat, an account of its own, until it is sold.

A seat's account is opened with its first order; what is left when its position is gone is taken
out, and the next order finds it empty.
"""

from typing import NamedTuple

import numpy as np

from amm.bundle import bundle
from amm.kernel import kernel
from amm.units import DAY_MS, ONE
from sims.drawdown.commands import buy, has_position, pay_in, sell_all, take_out
from sims.drawdown.orders import HOLD, STOP_LOSS, TAKE_PROFIT
from sims.drawdown.world import World
from vaults.premium import premium_for
from vaults.rejects import Reject
from vaults.state import NONE, Floats, Ints

_NONE = Reject.NONE.value

FIRST_SEAT = 2
"""Accounts before it are those of LPs: main's and insurance's."""

BUYER, INFORMED = range(2)
"""Who sits: whose profit it is."""


@bundle
class Seats(NamedTuple):
    """What is known of each seat, shape (seats,); row i is account FIRST_SEAT + i.

    Attributes:
        taken: 1 where somebody sits.
        until: Step at which the position is sold.
        rule: What ends it before.
        holder: BUYER or INFORMED.
        paid: What a unit of notional cost.
        best: The highest a unit was worth.
        opened: Seats that have an account, shape (1,).
        profit: Taken out less paid in so far, by holder, base units, shape (2,).
    """

    taken: Ints
    until: Ints
    rule: Ints
    holder: Ints
    paid: Floats
    best: Floats
    opened: Ints
    profit: Ints


def make_seats(seats: int) -> Seats:
    """Return seats nobody sits on."""
    taken, until, rule, holder = (np.zeros(seats, dtype=np.int64) for _ in range(4))
    opened, profit = np.zeros(1, dtype=np.int64), np.zeros(2, dtype=np.int64)
    return Seats(taken, until, rule, holder, np.zeros(seats), np.zeros(seats), opened, profit)


@kernel
def clear_seats(seats: Seats) -> None:
    """Let everybody go, as before the first order."""
    seats.taken[:] = 0
    seats.opened[0] = 0
    seats.profit[:] = 0


@kernel
def free_seat(seats: Seats) -> int:
    """Return a seat that is free, NONE where there is none."""
    for seat in range(seats.opened[0]):
        if seats.taken[seat] == 0:
            return seat
    if seats.opened[0] < seats.taken.shape[0]:
        return int(seats.opened[0])
    return NONE


@kernel
def take_seat(
    world: World,
    seats: Seats,
    seat: int,
    holder: int,
    underlying: int,
    is_call: bool,
    strike_e8: int,
    notional: int,
    self_funding: int,
    premium_days: float,
    now_ms: int,
) -> bool:
    """Buy for a seat that is free; returns whether the order was filled.

    Who does not fund itself keeps some days of premium; whatever else was brought is taken out.
    """
    account = FIRST_SEAT + seat
    if seat == seats.opened[0]:
        pay_in(world, NONE, notional, now_ms)
        seats.opened[0] += 1
    else:
        pay_in(world, account, notional, now_ms)
    fill = buy(world, account, underlying, is_call, strike_e8, notional, self_funding, now_ms)
    is_filled = fill.refusal.code == _NONE
    keep = 0
    if is_filled and self_funding == 0:
        series = world.state.positions[world.state.accounts[account].first_position].series
        day = premium_for(notional, world.state.marks[series].rate_e15, DAY_MS)
        keep = int(premium_days * day)
    seats.profit[holder] += take_out(world, account, keep, now_ms) - notional
    if is_filled:
        unit = float(fill.amount) / notional
        seats.taken[seat] = 1
        seats.holder[seat] = holder
        seats.paid[seat] = unit
        seats.best[seat] = unit
    return is_filled


@kernel
def leave_seat(world: World, seats: Seats, seat: int, now_ms: int) -> int:
    """Sell what a seat holds, if anything, and take all out; returns how many sales there were."""
    account, sales = FIRST_SEAT + seat, 0
    if has_position(world, account):
        if sell_all(world, account, now_ms).refusal.code != _NONE:
            return 0  # no index to sell on: at the next step
        sales = 1
    seats.profit[seats.holder[seat]] += take_out(world, account, 0, now_ms)
    seats.taken[seat] = 0
    return sales


@kernel
def _is_over(world: World, seats: Seats, seat: int, step: int) -> bool:
    """Whether a seat's position is gone, or to be sold now."""
    account = FIRST_SEAT + seat
    if not has_position(world, account) or step >= seats.until[seat]:
        return True
    rule = seats.rule[seat]
    if rule == HOLD:
        return False
    series = world.state.positions[world.state.accounts[account].first_position].series
    worth = world.state.marks[series].value
    seats.best[seat] = max(seats.best[seat], worth)
    if rule == TAKE_PROFIT:
        return bool(worth >= 2.0 * seats.paid[seat])
    if rule == STOP_LOSS:
        return bool(worth <= 0.5 * seats.paid[seat])
    return bool(worth <= 0.7 * seats.best[seat])


@kernel
def leave_when_over(world: World, seats: Seats, step: int, now_ms: int) -> int:
    """Let go whose time is over, whose rule says so, and who has nothing left; count sales."""
    sales = 0
    for seat in range(seats.opened[0]):
        if seats.taken[seat] == 1 and _is_over(world, seats, seat, step):
            sales += leave_seat(world, seats, seat, now_ms)
    return sales


@kernel
def worth_of_seats(world: World, seats: Seats, holder: int) -> float:
    """Return what holders of a kind have left at the marks, balances included, in tokens."""
    worth = 0.0
    for seat in range(seats.opened[0]):
        if seats.taken[seat] == 0 or seats.holder[seat] != holder:
            continue
        account = FIRST_SEAT + seat
        worth += float(world.state.accounts[account].balance)
        if has_position(world, account):
            position = world.state.positions[world.state.accounts[account].first_position]
            worth += float(position.notional) * world.state.marks[position.series].value
    return worth / ONE
