"""The integers of a bundle, and the rules of the pools in plain integers on them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from amm.units import DAY_MS
from api.bundles import FlushBundle
from api.verification.checks import units, up
from api.wire import Advance

PPM = 1_000_000
AMOUNT_MAX = 2**53 - 1


@dataclass
class Pools:
    """Both pools while a flush goes on, in base units."""

    main: int
    insurance: int
    main_shares: int
    insurance_shares: int
    locked: int
    advances: int
    peak_insurance: int
    peak_shares: int


def pools_before(bundle: FlushBundle) -> Pools:
    """Return the pools as the flush found them."""
    row = bundle.before
    return Pools(
        units(row.main),
        units(row.insurance),
        units(row.main_shares),
        units(row.insurance_shares),
        units(row.locked),
        units(row.advances),
        units(row.peak_insurance),
        units(row.peak_shares),
    )


def part(amount: int, parameters: Mapping[str, float], name: str) -> int:
    """Return a part of an amount, by a parameter in millionths, rounded down."""
    return amount * int(parameters[name]) // PPM


def part_up(amount: int, parameters: Mapping[str, float], name: str) -> int:
    """Return the same, rounded up."""
    return up(amount * int(parameters[name]), PPM)


def peak_of(pools: Pools) -> int:
    """Return the highest insurance per share of the period, for today's shares."""
    if pools.peak_shares == 0:
        return pools.insurance
    peak = pools.peak_insurance * pools.insurance_shares // pools.peak_shares
    return max(peak, pools.insurance)


def stress_needed(stress: int, parameters: Mapping[str, float]) -> int:
    """Return what NAV a base stress asks for."""
    return up(stress * int(parameters["free_stress"] * PPM), PPM)


def free_main(pools: Pools, nav_low: int, stress: int, parameters: Mapping[str, float]) -> int:
    """Return what main redemptions could take."""
    backed = part(pools.insurance, parameters, "insurance_backing_ppm")
    own = part_up(pools.locked, parameters, "free_locked_ppm")
    unlocked = pools.main - max(pools.locked - backed, own, 0)
    return max(min(unlocked, nav_low - stress_needed(stress, parameters)), 0)


def free_insurance(pools: Pools, parameters: Mapping[str, float]) -> int:
    """Return what insurance redemptions could take."""
    reserve = part_up(peak_of(pools), parameters, "insurance_reserve_ppm")
    beyond = max(pools.locked - pools.main, 0)
    backing = up(beyond * PPM, max(int(parameters["insurance_backing_ppm"]), 1))
    return max(pools.insurance - max(reserve, backing), 0)


def exit_fee_ppm(
    pools: Pools, parameters: Mapping[str, float], from_main: int, from_insurance: int
) -> int:
    """Return the exit fee by the utilisation that exits leave behind."""
    main = max(pools.main - from_main, 0)
    insurance = max(pools.insurance - from_insurance, 0)
    backed = main + min(
        part(insurance, parameters, "insurance_backing_ppm"),
        part(main, parameters, "main_backing_ppm"),
    )
    used = float(pools.locked) / float(backed) if backed > 0 else 1.0
    begins = parameters["exit_fee_from"]
    above = (used - begins) / (1.0 - begins)
    slope = int(parameters["exit_fee_max_ppm"]) - int(parameters["exit_fee_ppm"])
    return int(parameters["exit_fee_ppm"]) + math.ceil(slope * min(max(above, 0.0), 1.0))


def shares_for(amount: int, supply: int, nav: int) -> int:
    """Return the shares a deposit buys."""
    return 0 if nav < 0 or amount <= 0 else max(amount * (supply + 1) // (nav + 1), 0)


def gross_for(shares: int, supply: int, nav: int) -> int:
    """Return what shares are worth before the exit fee."""
    return 0 if nav < 0 else max(shares * (nav + 1) // (supply + 1), 0)


def gate(free: int, condition: str, supply: int, nav: int, parameters: Mapping[str, float]) -> int:
    """Return what of what is free a pool in its condition lets go."""
    if condition == "WINDDOWN":
        return 0
    if condition == "STRESSED":
        return min(free, gross_for(part(supply, parameters, "stressed_share_ppm"), supply, nav))
    return free


@dataclass
class Cover:
    """How a cover period stands."""

    pnl: int
    peak: int
    deductible: int
    layer: int
    available: int
    claimed: int

    def loss(self, pnl: int) -> int:
        """Return what a result of the period lets main claim, as far as insurance has it or not."""
        uncovered = max(-pnl - self.deductible - self.claimed, 0)
        return max(min(uncovered, self.layer - self.claimed), 0)


def cover_of(
    pools: Pools, parameters: Mapping[str, float], period: tuple[int, int, int, int]
) -> Cover:
    """Return how cover stands; `period` is N_mid and I at its start, its result, what was claimed.

    They are those of the cover period that runs.
    """
    nav, insurance, pnl, claimed = period
    peak = peak_of(pools)
    reserve = part(peak, parameters, "insurance_reserve_ppm")
    most = part(insurance, parameters, "cover_epoch_ppm") - claimed
    return Cover(
        pnl,
        peak,
        part(max(nav, 0), parameters, "cover_deductible_ppm"),
        part(max(nav, 0), parameters, "cover_layer_ppm"),
        max(min(pools.insurance - reserve, most), 0),
        claimed,
    )


@dataclass
class Lot:
    """An advance, written off evenly."""

    day: int
    amount: int
    since: int
    until: int
    remaining: int


def lots_of(advances: list[Advance]) -> dict[int, Lot]:
    """Return advances by day."""
    return {
        each.day: Lot(each.day, units(each.amount), each.since, each.until, units(each.remaining))
        for each in advances
    }


def advance(lots: dict[int, Lot], amount: int, now_ms: int, days: int) -> None:
    """Book an advance in the lot of its day."""
    day = now_ms // DAY_MS
    left = lots[day].remaining if day in lots else 0
    lots[day] = Lot(day, left + amount, now_ms, now_ms + days * DAY_MS, left + amount)


def repay(lots: dict[int, Lot], amount: int, written_off_ms: int) -> None:
    """Take a repayment off the oldest lots."""
    left = amount
    for day in sorted(lots):
        lot = lots[day]
        paid = min(left, lot.remaining)
        if paid > 0:
            lot.remaining -= paid
            lot.amount = lot.remaining
            lot.since = max(lot.since, written_off_ms)
            left -= paid


def write_off(lots: dict[int, Lot], now_ms: int) -> None:
    """Write off what is due of every lot."""
    for lot in lots.values():
        if lot.remaining > 0:
            left_ms = max(lot.until - max(now_ms, lot.since), 0)
            lot.remaining = up(lot.amount * left_ms, lot.until - lot.since)
