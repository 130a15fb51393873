"""One path of one token: the loop that lets time pass, by the exchange's own kernels.

A step is a tick of both underlyings at its end, after a tick of its own for every extreme that
reaches the barrier of an open series. Then those sell whose time has come, orders and requests are
taken, and the pools are flushed if a flush is due.
"""

import math
from typing import NamedTuple

from amm.bundle import bundle
from amm.kernel import kernel
from amm.scenarios import UNDERLYINGS
from amm.units import DAY_MS, HOUR_MS, ONE, PPM
from sims.drawdown.commands import ask, flush_it, list_it, pay_in, start_vol, tick_index
from sims.drawdown.informed import Knowledge, snipe_index, snipe_level
from sims.drawdown.orders import Orders
from sims.drawdown.providing import INSURERS, MAIN_LPS, Provision, provide_and_run
from sims.drawdown.recording import (
    DAY_INSURANCE_PRICE,
    DAY_PRICE,
    OPENED,
    ORDERS,
    REFUSED,
    TRADES,
    Record,
    begin_record,
    insurance_price,
    main_price,
    note_day,
    note_flush,
    note_step,
)
from sims.drawdown.seats import BUYER, Seats, clear_seats, free_seat, leave_when_over, take_seat
from sims.drawdown.world import World, has_rows
from vaults.flush import next_flush
from vaults.market import Market
from vaults.moves import Flow, RequestKind
from vaults.rules import index_of
from vaults.state import NONE, Floats, Ints

E9 = 1e9
_DEPOSIT_MAIN = RequestKind.DEPOSIT_MAIN.value
_DEPOSIT_INSURANCE = RequestKind.DEPOSIT_INSURANCE.value
_PREMIUM_INSURANCE = Flow.PREMIUM_INSURANCE.value


@bundle
class Plan(NamedTuple):
    """How a path is run: what LPs bring in base units, and how traders and LPs behave."""

    main: int
    insurance: int
    step_ms: int
    calls: float
    momentum: float
    strike_steps: int
    premium_days: float
    knowledge: Knowledge
    provision: Provision


@bundle
class Path(NamedTuple):
    """What a path meets: rows of `MarketBlock`, its part of `Orders`, `Chances` and moods.

    Its orders are those from row `bounds[0]` to before row `bounds[1]`.
    """

    times_ms: Ints
    prices: Floats
    lows: Floats
    highs: Floats
    levels: Floats
    stock: Floats
    orders: Orders
    bounds: Ints
    sees_index: Ints
    noise: Floats
    sees_level: Ints
    moods: Floats


@kernel
def _e8(price: float) -> int:
    return max(int(math.floor(price * ONE + 0.5)), 1)


@kernel
def _e9(level: float) -> int:
    return int(math.floor(level * E9 + 0.5))


@kernel
def _fund(world: World, plan: Plan, path: Path) -> None:
    """List the token and let its first LPs in, by the last flush before the path starts."""
    start_ms, parameters = path.times_ms[0], world.rules.parameters[0]
    flush_ms = next_flush(parameters, start_ms - parameters.flush_period_ms - 1)
    asked_ms = flush_ms - parameters.cutoff_ms - HOUR_MS
    list_it(world, asked_ms)
    pay_in(world, NONE, plan.main, asked_ms)
    pay_in(world, NONE, max(plan.insurance, 1), asked_ms)  # the account of insurers, also of none
    ask(world, MAIN_LPS, _DEPOSIT_MAIN, plan.main, asked_ms)
    if plan.insurance > 0:
        ask(world, INSURERS, _DEPOSIT_INSURANCE, plan.insurance, asked_ms)
    for underlying in range(UNDERLYINGS):
        level = path.levels[0, underlying]
        if level > 0.0:
            start_vol(world, underlying, int((0.9 * level) ** 2 * 1e12), asked_ms)
        tick_index(world, underlying, _e8(path.prices[0, underlying]), _e9(level), flush_ms)
    flush_it(world, flush_ms)
    if start_ms > flush_ms:
        for underlying in range(UNDERLYINGS):
            level = path.levels[0, underlying]
            tick_index(world, underlying, _e8(path.prices[0, underlying]), _e9(level), start_ms)


@kernel
def _reaches_barrier(world: World, underlying: int, low: float, high: float) -> tuple[bool, bool]:
    """Whether an open series is cashed out at the low, and at the high, of a step."""
    at_low = at_high = False
    state = world.state
    for place in range(state.pool[0].live_series):
        series = state.series[state.live[place]]
        if series.underlying != underlying:
            continue
        strike, cap = series.strike_e8 / ONE, series.cap_ppm / PPM
        if series.is_call == 1:
            at_high = at_high or high >= strike * (1.0 + cap)
        else:
            at_low = at_low or low <= strike * (1.0 - cap)
    return at_low, at_high


@kernel
def _tick_extreme(
    world: World, path: Path, step: int, underlying: int, third: int, step_ms: int
) -> None:
    """Let the exchange see the low or high that came in a third of a step, if it cashes out."""
    low, high = path.lows[step, underlying], path.highs[step, underlying]
    at_low, at_high = _reaches_barrier(world, underlying, low, high)
    falls = path.prices[step, underlying] < path.prices[step - 1, underlying]
    is_high = falls == (third == 1)
    if at_high if is_high else at_low:
        level_e9 = _e9(path.levels[step - 1, underlying])
        now_ms = path.times_ms[step - 1] + third * step_ms // 3
        tick_index(world, underlying, _e8(high if is_high else low), level_e9, now_ms)


@kernel
def _is_observed(path: Path, step: int, underlying: int) -> bool:
    """Whether there are prices at both ends of a step."""
    return bool(path.prices[step - 1, underlying] > 0.0 and path.prices[step, underlying] > 0.0)


@kernel
def _cashes_out(world: World, path: Path, step: int) -> bool:
    """Whether a low or high of a step cashes out an open series, which few do."""
    for underlying in range(UNDERLYINGS):
        low, high = path.lows[step, underlying], path.highs[step, underlying]
        at_low, at_high = _reaches_barrier(world, underlying, low, high)
        if (at_low or at_high) and _is_observed(path, step, underlying):
            return True
    return False


@kernel
def _tick_step(world: World, path: Path, step: int, step_ms: int) -> None:
    """Let the exchange see a step; a price that is not a number was not observed."""
    if _cashes_out(world, path, step):
        for third in (1, 2):
            for underlying in range(UNDERLYINGS):
                if _is_observed(path, step, underlying):
                    _tick_extreme(world, path, step, underlying, third, step_ms)
    for underlying in range(UNDERLYINGS):
        price = path.prices[step, underlying]
        if price > 0.0:
            level_e9 = _e9(path.levels[step, underlying])
            tick_index(world, underlying, _e8(price), level_e9, path.times_ms[step])


@kernel
def _strike(market: Market, world: World, plan: Plan, underlying: int, away: float) -> int:
    """Return the round strike nearest to a log distance from the index."""
    grid = plan.strike_steps * int(world.rules.terms[underlying].strike_step_e8)
    wanted = index_of(market, underlying) * math.exp(away) * ONE
    return max(int(math.floor(wanted / grid + 0.5)), 1) * grid


@kernel
def _take_orders(
    world: World, seats: Seats, plan: Plan, path: Path, record: Record, step: int, first: int
) -> int:
    """Take the orders of a step, from row `first` on; returns the row after them, NONE if full."""
    orders, kept = path.orders, record.kept
    day = DAY_MS // plan.step_ms
    row = first
    while row < path.bounds[1] and orders.step[row] == step:
        seat = free_seat(seats)
        if seat == NONE or not has_rows(world.state):
            return NONE
        underlying = orders.underlying[row]
        before = path.prices[max(step - day, 0), underlying]
        move = math.log(path.prices[step, underlying] / before)
        shift = plan.momentum * move / 0.05 if abs(move) < 10.0 else 0.0
        is_call = orders.kind[row] < plan.calls + min(max(shift, -0.4), 0.4)
        away = orders.away[row] if is_call else -orders.away[row]
        strike_e8 = _strike(world.market, world, plan, underlying, away)
        notional = int(orders.size[row] * plan.main)
        kept[ORDERS] += 1.0
        is_filled = take_seat(
            world, seats, seat, BUYER, underlying, is_call, strike_e8, notional,
            orders.self_funding[row], plan.premium_days, path.times_ms[step],
        )  # fmt: skip
        if is_filled:
            seats.until[seat] = step + orders.hold[row]
            seats.rule[seat] = orders.rule[row]
            kept[OPENED] += notional
            kept[TRADES] += 1.0
        else:
            kept[REFUSED] += notional
        row += 1
    return row


@kernel
def _trade_informed(
    world: World, seats: Seats, plan: Plan, path: Path, record: Record, step: int
) -> None:
    """Let those look who know the index of the next seconds, or the next vol level."""
    if step + 1 >= path.times_ms.shape[0]:
        return
    now_ms = path.times_ms[step]
    if path.sees_index[step] > 0:
        underlying = path.sees_index[step] - 1
        record.kept[TRADES] += snipe_index(
            world, seats, plan.knowledge, underlying, path.prices[step + 1, underlying],
            path.noise[step], plan.step_ms, now_ms,
        )  # fmt: skip
    if path.sees_level[step] > 0:
        underlying = path.sees_level[step] - 1
        record.kept[TRADES] += snipe_level(
            world, seats, plan.knowledge, underlying, path.levels[step + 1, underlying], step,
            now_ms,
        )  # fmt: skip


@kernel
def _begin_day(world: World, plan: Plan, path: Path, record: Record, step: int) -> None:
    """Let LPs decide, once a day, by what their shares did since the day before."""
    kept, now_ms = record.kept, path.times_ms[step]
    day = step * plan.step_ms // DAY_MS
    main, insurance = main_price(world), insurance_price(world)
    change = main / kept[DAY_PRICE] - 1.0 if kept[DAY_PRICE] > 0.0 else 0.0
    change_insurance = insurance / kept[DAY_INSURANCE_PRICE] - 1.0
    provide_and_run(world, plan.provision, path.moods[day], change, change_insurance, now_ms)
    kept[DAY_PRICE], kept[DAY_INSURANCE_PRICE] = main, insurance


@kernel
def _flush_when_due(world: World, record: Record, now_ms: int) -> None:
    pool = world.state.pool[0]
    if now_ms < pool.next_flush_ms:
        return
    insurance, got = int(pool.insurance), int(world.state.flows[_PREMIUM_INSURANCE])
    note_flush(record, world, flush_it(world, now_ms), insurance, got)


@kernel
def run_steps(
    world: World, seats: Seats, plan: Plan, path: Path, record: Record, first: int, last: int,
    row: int,
) -> int:  # fmt: skip
    """Run the steps from `first` to `last`.

    Returns:
        The order that comes next, to be passed as `row`; NONE where the world has no room for what
        comes: the path must be run again from its start in a larger one.
    """
    day = DAY_MS // plan.step_ms
    for step in range(first, last + 1):
        now_ms = path.times_ms[step]
        _tick_step(world, path, step, plan.step_ms)
        record.kept[TRADES] += leave_when_over(world, seats, step, now_ms)
        row = _take_orders(world, seats, plan, path, record, step, row)
        if row == NONE or not has_rows(world.state):
            return NONE
        if step % day == 0:
            _begin_day(world, plan, path, record, step)
        _flush_when_due(world, record, now_ms)
        note_step(record, world)
        if step % day == 0:
            note_day(record, world, step // day, path.stock[step])
        _trade_informed(world, seats, plan, path, record, step)  # last: it lets seconds pass
    return row


@kernel
def begin_path(world: World, seats: Seats, plan: Plan, path: Path, record: Record) -> None:
    """Fund the pools of a world nothing was done to, and begin the record."""
    clear_seats(seats)
    _fund(world, plan, path)
    begin_record(record, world)
    note_day(record, world, 0, path.stock[0])
