"""Cover: what the insurance pool pays main LPs for, what they pay back, and what that costs.

Main bears the first part of a cover period's loss, insurance the next, and half of what main gains
later repays it. What is owed is dated and fades, so no known day makes it worthless.
"""

from typing import NamedTuple

from amm.kernel import kernel
from amm.units import DAY_MS, PPM, mul_div_down, mul_div_up
from vaults.ledger import post, transfer
from vaults.moves import Bucket, Flow, Move
from vaults.rules import Rules
from vaults.state import NONE, State

_ADVANCE = Move.ADVANCE.value
_REPAY = Move.REPAY.value
_MAIN = Bucket.MAIN.value
_INSURANCE = Bucket.INSURANCE.value
_CLAIM = Flow.CLAIM.value
_REPAYMENT = Flow.REPAYMENT.value


class Cover(NamedTuple):
    """How a cover period stands, in base units.

    Attributes:
        pnl: Main's profit and loss since the period began, LP flows and cover itself left out.
        peak: Insurance at its highest in the period, for today's shares.
        deductible: What main bears itself.
        layer: What insurance pays at most in the period.
        available: What insurance can pay now.
        claimed: What it has paid.
    """

    pnl: int
    peak: int
    deductible: int
    layer: int
    available: int
    claimed: int


@kernel
def peak_insurance(state: State) -> int:
    """Return I_peak: the highest insurance per share in the cover period, for today's shares."""
    pool = state.pool[0]
    if pool.peak_shares == 0:
        return int(pool.insurance)
    peak = mul_div_down(pool.peak_insurance, pool.insurance_shares, pool.peak_shares)
    return max(peak, int(pool.insurance))


@kernel
def cover_of(state: State, rules: Rules, gain: int) -> Cover:
    """Return how the cover period stands after main has gained `gain` since the last flush."""
    parameters = rules.parameters[0]
    pool = state.pool[0]
    nav, claimed = max(int(pool.cover_nav), 0), int(pool.cover_claimed)
    peak = peak_insurance(state)
    reserve = mul_div_down(peak, parameters.insurance_reserve_ppm, PPM)
    of_period = mul_div_down(pool.cover_insurance, parameters.cover_epoch_ppm, PPM) - claimed
    return Cover(
        pnl=int(pool.cover_pnl) + gain,
        peak=peak,
        deductible=mul_div_down(nav, parameters.cover_deductible_ppm, PPM),
        layer=mul_div_down(nav, parameters.cover_layer_ppm, PPM),
        available=max(min(int(pool.insurance) - reserve, of_period), 0),
        claimed=claimed,
    )


@kernel
def covered_loss(cover: Cover, pnl: int) -> int:
    """Return what a period's result lets main claim now, as far as insurance has it or not."""
    uncovered = max(-pnl - cover.deductible - cover.claimed, 0)
    return max(min(uncovered, cover.layer - cover.claimed), 0)


@kernel
def claim_of(cover: Cover) -> int:
    """Return what insurance pays main now."""
    return min(covered_loss(cover, cover.pnl), cover.available)


@kernel
def repayment_of(state: State, rules: Rules, gain: int, free: int) -> int:
    """Return what main pays back: half of what it gained, out of what is free."""
    share = mul_div_down(max(gain, 0), rules.parameters[0].repay_share_ppm, PPM)
    return max(min(int(state.pool[0].advances), share, free), 0)


@kernel
def book_advance(state: State, rules: Rules, amount: int, now_ms: int) -> None:
    """Let main owe what insurance pays for it; written off evenly over the days that follow."""
    until_ms = now_ms + int(rules.parameters[0].write_off_days) * DAY_MS
    post(state, _ADVANCE, amount, now_ms, until_ms, 0, 0)


@kernel
def pay_claim(state: State, rules: Rules, claim: int, now_ms: int) -> None:
    """Move a claim from insurance to main, which owes it from then on."""
    if claim > 0:
        transfer(state, _INSURANCE, _MAIN, NONE, claim, _CLAIM)
        book_advance(state, rules, claim, now_ms)


@kernel
def repay(state: State, amount: int) -> None:
    """Move from main to insurance what it pays back."""
    if amount > 0:
        transfer(state, _MAIN, _INSURANCE, NONE, amount, _REPAYMENT)
        post(state, _REPAY, amount, 0, 0, 0, 0)


@kernel
def cover_price_ppm(state: State, rules: Rules, stress: int) -> int:
    """Return phi: insurance's share of premium, by the need for cover over what is there.

    The need is what the base stress would let main claim from here. The curve is 1 %, 1.5 %, 3 %
    and 8 % at a need of 0, 0.5, 1 and 2 times the cover; without cover nothing is charged.
    """
    cover = cover_of(state, rules, 0)
    least = mul_div_down(state.pool[0].main, rules.parameters[0].cover_least_ppm, PPM)
    if cover.available <= 0 or cover.available < least:
        return 0
    need = float(covered_loss(cover, cover.pnl - stress)) / cover.available
    if need <= 0.5:
        share = 0.010 + (0.015 - 0.010) * need / 0.5
    elif need <= 1.0:
        share = 0.015 + (0.030 - 0.015) * (need - 0.5) / 0.5
    else:
        share = 0.030 + (0.080 - 0.030) * min(need - 1.0, 1.0)
    return int(share * PPM)


@kernel
def free_insurance(state: State, rules: Rules) -> int:
    """Return what insurance LPs can take: above the reserve and what backs locks beyond M."""
    parameters = rules.parameters[0]
    pool = state.pool[0]
    reserve = mul_div_up(peak_insurance(state), parameters.insurance_reserve_ppm, PPM)
    beyond = max(int(pool.locked) - int(pool.main), 0)
    backing = mul_div_up(beyond, PPM, max(parameters.insurance_backing_ppm, 1))
    if backing < 0:
        return 0
    return max(int(pool.insurance) - max(reserve, backing), 0)
