"""What is written down of a path while it runs."""

from typing import NamedTuple

import numpy as np

from amm.bundle import bundle
from amm.kernel import kernel
from amm.units import ONE, PPM, mul_div_up
from sims.drawdown.outcome import DAILY, TOTALS
from sims.drawdown.providing import flushes_waited
from sims.drawdown.seats import BUYER, INFORMED, Seats, worth_of_seats
from sims.drawdown.world import World
from vaults.capacity import backing, utilisation
from vaults.condition import Condition
from vaults.flush import Flushed
from vaults.insurance import peak_insurance
from vaults.moves import Flow
from vaults.nav import mid_at_marks
from vaults.state import Floats, Ints

_STRESSED = Condition.STRESSED.value
_WINDDOWN = Condition.WINDDOWN.value
_EXHAUSTED = Condition.EXHAUSTED.value
_PREMIUM_INSURANCE = Flow.PREMIUM_INSURANCE.value
_ACCRUED = Flow.PREMIUM_ACCRUED.value
_RENT = Flow.RENT_ACCRUED.value

FROM_FLOWS = {
    "premium": Flow.PREMIUM_ACCRUED,
    "rent": Flow.RENT_ACCRUED,
    "to_insurance": Flow.PREMIUM_INSURANCE,
    "spread": Flow.SPREAD,
    "impact_paid": Flow.IMPACT_PAID,
    "impact_refunded": Flow.IMPACT_REFUNDED,
    "paid_in": Flow.OPEN,
    "paid_out": Flow.CLOSE,
    "cashed_out": Flow.CASH_OUT,
    "fees": Flow.FEE,
    "written_off": Flow.WRITTEN_OFF,
    "claims": Flow.CLAIM,
    "repaid": Flow.REPAYMENT,
    "forgiven": Flow.ADVANCE_WRITTEN_OFF,
    "shortfall": Flow.PAID_BY_INSURANCE,
}
"""Totals the exchange keeps itself."""

(
    PRICE, PEAK, LOWEST, DRAWDOWN, UNDER, INSURANCE_LOW, USED, USED_MAX, OPENED, REFUSED, ORDERS,
    TRADES, WAITED, QUEUED, POSTPONED, FLUSHES, STRESSED, WINDDOWN, EXHAUSTED, BELOW, BROUGHT,
    TAKEN, INSURANCE_FLOW, START_NAV, START_PRICE, START_INSURANCE, STEPS, DAY_PRICE,
    DAY_INSURANCE_PRICE,
) = range(29)  # fmt: skip
"""Numbers kept while a path runs."""
KEPT = DAY_INSURANCE_PRICE + 1

_D_PRICE = DAILY.index("share_price")
_D_DRAWDOWN = DAILY.index("drawdown")
_D_INSURANCE = DAILY.index("insurance")
_D_USED = DAILY.index("utilisation")
_D_PREMIUM = DAILY.index("premium")
_D_STOCK = DAILY.index("stock")


@bundle
class Record(NamedTuple):
    """What a path fills in.

    Attributes:
        kept: Numbers of the path so far, shape (KEPT,).
        daily: Shape (days + 1, DAILY).
        flows: `State.flows` as the path began, shape (FLOWS,).
    """

    kept: Floats
    daily: Floats
    flows: Ints


def make_record(days: int, flows: int) -> Record:
    """Return a record to be filled."""
    return Record(np.zeros(KEPT), np.zeros((days + 1, len(DAILY))), np.zeros(flows, dtype=np.int64))


@kernel
def main_price(world: World) -> float:
    """Return what a main share is worth at the marks, in tokens."""
    return (mid_at_marks(world.state) + 1.0) / (world.state.pool[0].main_shares + 1.0)


@kernel
def insurance_price(world: World) -> float:
    """Return what an insurance share is worth, in tokens."""
    pool = world.state.pool[0]
    return (pool.insurance + 1.0) / (pool.insurance_shares + 1.0)


@kernel
def used_of(world: World) -> float:
    """Return locked over what may be locked."""
    pool = world.state.pool[0]
    return utilisation(pool.locked, backing(world.rules, pool.main, pool.insurance))


@kernel
def begin_record(record: Record, world: World) -> None:
    """Begin with pools that have just been funded."""
    kept, pool = record.kept, world.state.pool[0]
    kept[:] = 0.0
    kept[START_NAV] = mid_at_marks(world.state)
    kept[START_PRICE] = main_price(world)
    kept[START_INSURANCE] = pool.insurance
    kept[PRICE] = kept[PEAK] = kept[LOWEST] = kept[INSURANCE_LOW] = 1.0
    kept[DAY_PRICE], kept[DAY_INSURANCE_PRICE] = main_price(world), insurance_price(world)
    for flow in range(record.flows.shape[0]):
        record.flows[flow] = world.state.flows[flow]


@kernel
def note_step(record: Record, world: World) -> None:
    """Note where the pools stand at the end of a step."""
    kept, used = record.kept, used_of(world)
    price = main_price(world) / kept[START_PRICE]
    kept[PRICE] = price
    kept[PEAK] = max(kept[PEAK], price)
    kept[LOWEST] = min(kept[LOWEST], price)
    kept[DRAWDOWN] = max(kept[DRAWDOWN], 1.0 - price / kept[PEAK])
    kept[UNDER] += int(price < kept[PEAK])
    kept[USED] += used
    kept[USED_MAX] = max(kept[USED_MAX], used)
    kept[STEPS] += 1.0
    insurance = world.state.pool[0].insurance / kept[START_INSURANCE]
    kept[INSURANCE_LOW] = min(kept[INSURANCE_LOW], insurance)


@kernel
def note_flush(
    record: Record, world: World, flushed: Flushed, insurance: int, to_insurance: int
) -> None:
    """Note a flush; the last two are what insurance had and had got before it."""
    kept, pool = record.kept, world.state.pool[0]
    if flushed.done == 0:
        kept[POSTPONED] += 1.0
        return
    kept[FLUSHES] += 1.0
    kept[STRESSED] += int(flushed.condition == _STRESSED)
    kept[WINDDOWN] += int(flushed.condition == _WINDDOWN)
    kept[EXHAUSTED] += int(flushed.condition == _EXHAUSTED)
    waited = flushes_waited(world)
    kept[WAITED] = max(kept[WAITED], float(waited))
    kept[QUEUED] += int(waited > 0)
    moved = float(flushed.nav_after.mid - flushed.nav.mid)
    kept[BROUGHT] += max(moved, 0.0)
    kept[TAKEN] += max(-moved, 0.0)
    settled = int(world.state.flows[_PREMIUM_INSURANCE]) - to_insurance
    before = insurance + settled - flushed.claim + flushed.repaid
    kept[INSURANCE_FLOW] += float(pool.insurance - before)
    reserve = mul_div_up(
        peak_insurance(world.state), world.rules.parameters[0].insurance_reserve_ppm, PPM
    )
    kept[BELOW] += int(pool.insurance < reserve)


@kernel
def note_day(record: Record, world: World, day: int, stock: float) -> None:
    """Note the end of a day."""
    row, kept = record.daily[day], record.kept
    flows, begun = world.state.flows, record.flows
    streamed = flows[_ACCRUED] + flows[_RENT] - begun[_ACCRUED] - begun[_RENT]
    row[_D_PRICE] = kept[PRICE]
    row[_D_DRAWDOWN] = 1.0 - kept[PRICE] / kept[PEAK]
    row[_D_INSURANCE] = world.state.pool[0].insurance / kept[START_INSURANCE]
    row[_D_USED] = used_of(world)
    row[_D_PREMIUM] = streamed / kept[START_NAV]
    row[_D_STOCK] = stock


def _worst(prices: Floats, days: int) -> float:
    """Return the lowest change over so many days, or over all where there are fewer."""
    days = min(days, prices.size - 1)
    return float((prices[days:] / prices[:-days] - 1.0).min())


def totals_of(record: Record, world: World, seats: Seats) -> Floats:
    """Return what a path came to, in the order of `TOTALS`."""
    kept, pool = record.kept, world.state.pool[0]
    moved = world.state.flows - record.flows
    found = {name: moved[flow] / ONE for name, flow in FROM_FLOWS.items()}
    prices, steps = record.daily[:, _D_PRICE], max(kept[STEPS], 1.0)
    flushes = max(kept[FLUSHES], 1.0)
    flow = kept[BROUGHT] - kept[TAKEN]
    nav, start = float(mid_at_marks(world.state)), kept[START_NAV]
    insurance, start_insurance = float(pool.insurance), kept[START_INSURANCE]
    found |= {
        "share_price": kept[PRICE],
        "lowest": kept[LOWEST],
        "drawdown": kept[DRAWDOWN],
        "under_water": kept[UNDER] / steps,
        "worst_day": _worst(prices, 1),
        "worst_week": _worst(prices, 7),
        "main_pnl": (nav - flow - start) / start,
        "insurance_pnl": (insurance - kept[INSURANCE_FLOW] - start_insurance) / start_insurance,
        "insurance": insurance / start_insurance,
        "insurance_low": kept[INSURANCE_LOW],
        "below_reserve": kept[BELOW] / flushes,
        "advances": pool.advances / ONE,
        "utilisation": kept[USED] / steps,
        "utilisation_max": kept[USED_MAX],
        "opened": kept[OPENED] / ONE,
        "refused": kept[REFUSED] / ONE,
        "orders": kept[ORDERS],
        "trades": kept[TRADES],
        "queue_days": kept[WAITED],
        "queued": kept[QUEUED] / flushes,
        "postponed": kept[POSTPONED],
        "flushes": kept[FLUSHES],
        "stressed": kept[STRESSED] / flushes,
        "winding_down": kept[WINDDOWN] / flushes,
        "exhausted": kept[EXHAUSTED] / flushes,
        "brought": kept[BROUGHT] / ONE,
        "taken": kept[TAKEN] / ONE,
        "informed_pnl": seats.profit[INFORMED] / ONE + worth_of_seats(world, seats, INFORMED),
        "buyers_pnl": seats.profit[BUYER] / ONE + worth_of_seats(world, seats, BUYER),
    }
    return np.array([float(found[name]) for name in TOTALS])
