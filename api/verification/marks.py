"""What a bundle says of marks: the valuation window, and series' values over its box."""

import math
from typing import NamedTuple

import numpy as np

from amm.mixture import discounting_period
from amm.scenarios import Contract, contract_value
from amm.ssvi import Ssvi
from amm.surface import COEFFICIENTS, Surface, SurfaceError, fill_surface, make_table
from amm.units import DAY_MS, MINUTE_MS, YEAR_MS
from api.bundles import FlushBundle, SeriesMarks, UnderlyingMarks
from api.verification.checks import Checks, units, up

WINDOW_MINUTES = 60
INDEX_AGE_MAX_MS = 10_000
PPM = 1_000_000


def _lower_median(numbers: list[int]) -> int:
    return sorted(numbers)[(len(numbers) - 1) // 2]


def check_windows(bundle: FlushBundle, checks: Checks) -> None:
    """Check medians, ends and quality of every valuation window against its minutes."""
    checks.begin("valuation windows")
    in_book = {series.underlying for series in bundle.series}
    for each in bundle.underlyings:
        last_minute = each.index_time // MINUTE_MS * MINUTE_MS
        earliest = last_minute - (WINDOW_MINUTES - 1) * MINUTE_MS
        at = each.underlying
        times = [minute.minute for minute in each.minutes]
        checks.equal(f"{at} minutes in order", times, sorted(set(times)))
        whole = [time // MINUTE_MS * MINUTE_MS for time in times]
        checks.equal(f"{at} minutes begin minutes", times, whole)
        outside = [time for time in times if not earliest <= time <= last_minute]
        checks.equal(f"{at} minutes outside the window", outside, [])
        checks.equal(f"{at} minute of the index", times[-1:], [last_minute])
        lasts = [units(minute.last) for minute in each.minutes]
        lows = [units(minute.low) for minute in each.minutes]
        highs = [units(minute.high) for minute in each.minutes]
        checks.equal(
            f"{at} minutes in their own range",
            [low <= last <= high for low, last, high in zip(lows, lasts, highs, strict=True)],
            [True] * len(lasts),
        )
        index = units(each.index)
        checks.equal(f"{at} last price", lasts[-1:], [index])
        checks.equal(
            f"{at} last vol", [units(m.vol, 9) for m in each.minutes[-1:]], [units(each.vol, 9)]
        )
        checks.amount(f"{at} median", each.median, _lower_median(lasts))
        checks.amount(f"{at} low", each.low, min([index, *lows]))
        checks.amount(f"{at} high", each.high, max([index, *highs]))
        vols = [units(minute.vol, 9) for minute in each.minutes]
        checks.amount(f"{at} median vol", each.median_vol, _lower_median(vols), 9)
        if at in in_book:
            _check_quality(bundle, each, checks)


def _check_quality(bundle: FlushBundle, each: UnderlyingMarks, checks: Checks) -> None:
    """Check that a flush was allowed on the marks of an underlying of the open book."""
    at, parameters = each.underlying, bundle.parameters
    enough = len(each.minutes) >= parameters["window_marks_min"]
    checks.equal(f"{at} enough minutes", len(each.minutes) if not enough else "", "")
    age = bundle.exchange_time - each.index_time
    checks.equal(f"{at} index fresh", age if age > INDEX_AGE_MAX_MS else "", "")
    move = abs(units(each.index) / units(each.median) - 1.0)
    checks.equal(f"{at} settled", move if move > parameters["unsettled_move"] else "", "")


class Box(NamedTuple):
    """The corners of an underlying's window, its mark, and the surfaces there."""

    middle: float
    low: float
    high: float
    mark: float
    carry: float
    surface: Surface
    surface_up: Surface
    surface_down: Surface
    calm: Surface
    stressed: Surface


def box_of(bundle: FlushBundle, each: UnderlyingMarks) -> Box:
    """Return the box of an underlying; surfaces are tabulated from their published shape.

    Raises:
        SurfaceError: The shape has no vols.
    """
    parameters, given = bundle.parameters, each.surface
    vol, median_vol = units(each.vol, 9) / 1e9, units(each.median_vol, 9) / 1e9
    quanto = float(each.correlation) * vol * parameters["token_vol"]
    carry = units(each.funding_carry, 9) / 1e9 + quanto
    years, rate = each.funding_period / YEAR_MS, units(each.discount_rate, 9) / 1e9
    long_vol = float(given.long_vol)
    shape = Ssvi(
        long_vol, long_vol, float(given.reversion), float(given.skew), float(given.curvature)
    )
    table = make_table(shape, discounting_period(years, rate))

    def at_level(level: float) -> Surface:
        return fill_surface(table, level, carry, np.empty(COEFFICIENTS))

    median, shift = units(each.median) / 1e8, parameters["box_vol"]
    return Box(
        median,
        min(units(each.low) / 1e8, median * (1.0 - parameters["box_spot"])),
        max(units(each.high) / 1e8, median * (1.0 + parameters["box_spot"])),
        units(each.index) / 1e8,
        carry,
        at_level(median_vol),
        at_level(median_vol + shift),
        at_level(median_vol - shift),
        at_level(vol),
        at_level(vol * parameters["stress_vol"]),
    )


def check_values(bundle: FlushBundle, checks: Checks) -> None:
    """Check the values of every series over its box, and what the base stress does to it."""
    checks.begin("values of series")
    boxes: dict[str, Box] = {}
    marks = {each.underlying: each for each in bundle.underlyings}
    for number, series in enumerate(bundle.series):
        name = series.underlying
        checks.equal(f"series {number} has an index", name in marks, computed=True)
        if name not in marks:
            continue
        try:
            if name not in boxes:
                boxes[name] = box_of(bundle, marks[name])
        except (SurfaceError, ValueError, AssertionError, OverflowError, ZeroDivisionError):
            checks.equal(f"{name} surface", "none", "a surface")
            return
        _check_series(f"series {number}", series, boxes[name], bundle.parameters, checks)


def _check_series(
    where: str, series: SeriesMarks, box: Box, parameters: dict[str, float], checks: Checks
) -> None:
    contract = Contract(
        series.kind == "call",
        units(series.strike) / 1e8,
        series.funding_period / YEAR_MS,
        units(series.discount_rate, 9) / 1e9,
        box.carry,
        units(series.cap, 6) / 1e6,
    )
    centre = contract_value(contract, box.middle, box.surface)
    corners = [
        contract_value(contract, index, surface)
        for index in (box.low, box.high)
        for surface in (box.surface_up, box.surface_down)
    ]
    checks.near(f"{where} value_mid", series.value_mid, centre)
    checks.near(f"{where} value_low", series.value_low, min(centre, *corners))
    checks.near(f"{where} value_high", series.value_high, max(centre, *corners))
    here, move = contract_value(contract, box.mark, box.calm), parameters["stress_move"]
    down = contract_value(contract, box.mark * (1.0 - move), box.stressed) - here
    up_ = contract_value(contract, box.mark * (1.0 + move), box.stressed) - here
    checks.near(f"{where} stress_down", series.stress_down, down)
    checks.near(f"{where} stress_up", series.stress_up, up_)


class Nav(NamedTuple):
    """N_lo, N_mid and N_hi, in base units."""

    low: int
    mid: int
    high: int


class Liabilities(NamedTuple):
    """What the open book is worth to its holders, in base units: ceil, ceil and floor."""

    mid: int
    high: int
    low: int


def liabilities(bundle: FlushBundle) -> Liabilities:
    """Return the sums over all series, floats added in the order of the bundle."""
    middle = low = high = 0.0
    for series in bundle.series:
        notional = float(units(series.open_notional))
        middle += notional * float(series.value_mid)
        low += notional * float(series.value_low)
        high += notional * float(series.value_high)
    return Liabilities(math.ceil(middle), math.ceil(high), math.floor(low))


def base_stress(bundle: FlushBundle) -> int:
    """Return what the base stress costs, each underlying moving the way that costs more."""
    by_underlying: dict[str, list[float]] = {}
    for series in bundle.series:
        sums = by_underlying.setdefault(series.underlying, [0.0, 0.0])
        notional = float(units(series.open_notional))
        sums[0] += notional * float(series.stress_down)
        sums[1] += notional * float(series.stress_up)
    total = 0.0
    for down, upwards in by_underlying.values():
        total += max(down, upwards, 0.0)
    return math.ceil(min(total, float(2**53 - 1)))


def accrued_to_main(receivable: int, phi_ppm: int) -> int:
    """Return main's part of premium accrued and not settled."""
    return receivable * (PPM - phi_ppm) // PPM


def unvested(bundle: FlushBundle) -> int:
    """Return the spread received and not yet earned."""
    vesting_ms = int(bundle.parameters["vest_days"]) * DAY_MS
    total = 0
    for lot in bundle.vesting:
        left_ms = (lot.day + 1) * DAY_MS + vesting_ms - bundle.exchange_time
        if left_ms > 0:
            total += up(units(lot.amount) * min(left_ms, vesting_ms), vesting_ms)
    return total


def net_asset_value(
    book: Liabilities, main: int, accrued: int, refundable: int, unearned: int
) -> Nav:
    """Return the three values of the main pool; `unearned` is V + adv."""
    backed = main + accrued
    return Nav(
        backed - book.high - refundable - unearned,
        backed - book.mid - refundable,
        backed - book.low,
    )
