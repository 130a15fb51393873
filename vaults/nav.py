"""What the main pool is worth: at mid, and the two prices LPs enter and leave at.

    N_mid = M - ceil(sum n v) - R + A
    N_hi  = M - floor(sum n v_low) + A                     price of deposits
    N_lo  = M - V - adv - ceil(sum n v_high) - R + A       price of redemptions

R is impact that may have to be refunded, A main's share of premium accrued and not yet settled, V
spread received and not yet earned, adv insurance advances still to be repaid.
"""

from typing import NamedTuple

from amm.kernel import kernel
from amm.scenarios import UNDERLYINGS
from amm.units import DAY_MS, PPM, mul_div_down, mul_div_up, units_down, units_up
from vaults.market import Market
from vaults.rules import Rules
from vaults.state import VEST_LOTS, State
from vaults.valuation import value_over_window


class Nav(NamedTuple):
    """Net asset value of the main pool in base units, signed: a valuation never fails."""

    mid: int
    low: int
    high: int


@kernel
def _receivable(state: State) -> int:
    """Return the premium accrued and not yet settled, over all series."""
    receivable = 0
    for place in range(state.pool[0].live_series):
        receivable += state.series[state.live[place]].receivable
    return receivable


@kernel
def accrued_to_main(state: State) -> int:
    """Return A: main's share of the receivables."""
    return mul_div_down(_receivable(state), PPM - state.pool[0].phi_ppm, PPM)


@kernel
def accrued_to_insurance(state: State) -> int:
    """Return what of the receivables is not main's: who deposits must pay for it."""
    return _receivable(state) - accrued_to_main(state)


@kernel
def unvested_spread(state: State, rules: Rules, now_ms: int) -> int:
    """Return V: each day's spread vests evenly over the days after it."""
    vesting_ms = rules.parameters[0].vest_days * DAY_MS
    unvested = 0
    for slot in range(VEST_LOTS):
        amount, day = int(state.vesting[slot, 0]), int(state.vesting[slot, 1])
        left_ms = (day + 1) * DAY_MS + vesting_ms - now_ms
        if amount > 0 and left_ms > 0:
            unvested += mul_div_up(amount, min(left_ms, vesting_ms), vesting_ms)
    return unvested


@kernel
def mid_at_marks(state: State) -> int:
    """Return N_mid at the last marks, which a valuation window of one mark has as its medians."""
    worth = 0.0
    for place in range(state.pool[0].live_series):
        slot = state.live[place]
        worth += float(state.series[slot].open_notional) * state.marks[slot].value
    pool = state.pool[0]
    backed = int(pool.main) + accrued_to_main(state)
    return backed - units_up(worth) - int(pool.impact_refundable)


@kernel
def net_asset_value(state: State, rules: Rules, market: Market, now_ms: int) -> Nav:
    """Return the three values over the window of marks that ends now."""
    middle = low = high = 0.0
    for underlying in range(UNDERLYINGS):
        if state.books[underlying].ticks == 0:
            continue  # no mark, and no position
        value_over_window(state, rules, market, underlying)
        for place in range(state.pool[0].live_series):
            slot = state.live[place]
            series = state.series[slot]
            if series.underlying == underlying:
                notional, mark = float(series.open_notional), state.marks[slot]
                middle += notional * mark.value_median
                low += notional * mark.value_low
                high += notional * mark.value_high
    pool = state.pool[0]
    backed = int(pool.main) + accrued_to_main(state)
    refundable = int(pool.impact_refundable)
    unearned = unvested_spread(state, rules, now_ms) + int(pool.advances)
    return Nav(
        mid=backed - units_up(middle) - refundable,
        low=backed - units_up(high) - refundable - unearned,
        high=backed - units_down(low),
    )
