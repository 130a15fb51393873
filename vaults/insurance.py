"""What main LPs pay for cover, and what must stay in the insurance pool.

Claims on the cover, and the repayment of advances, are not part of the rules yet: what the pool
does today is to back locks and to pay whatever main cannot.
"""

from amm.kernel import kernel
from amm.units import PPM, mul_div_down, mul_div_up
from vaults.rules import Rules
from vaults.state import State


@kernel
def peak_insurance(state: State) -> int:
    """Return I_peak: the highest insurance per share in the cover period, for today's shares."""
    pool = state.pool[0]
    if pool.peak_shares == 0:
        return int(pool.insurance)
    return mul_div_down(pool.peak_insurance, pool.insurance_shares, pool.peak_shares)


@kernel
def available_cover(state: State, rules: Rules) -> int:
    """Return what a claim could take now: above the reserve, and half of the period's start."""
    parameters = rules.parameters[0]
    pool = state.pool[0]
    reserve = mul_div_down(peak_insurance(state), parameters.insurance_reserve_ppm, PPM)
    epoch = mul_div_down(pool.cover_insurance, parameters.cover_epoch_ppm, PPM)
    return max(min(int(pool.insurance) - reserve, epoch), 0)


@kernel
def cover_price_ppm(state: State, rules: Rules, stress: int) -> int:
    """Return phi: insurance's share of premium, by the need for cover over what is there.

    The need is the claim the base stress would cause. The curve is 1 %, 1.5 %, 3 % and 8 % at a
    need of 0, 0.5, 1 and 2 times the cover; without cover nothing is charged.
    """
    parameters = rules.parameters[0]
    pool = state.pool[0]
    available = available_cover(state, rules)
    if available <= 0 or available < mul_div_down(pool.main, parameters.cover_least_ppm, PPM):
        return 0
    nav = max(int(pool.cover_nav), 0)
    deductible = mul_div_down(nav, parameters.cover_deductible_ppm, PPM)
    layer = mul_div_down(nav, parameters.cover_layer_ppm, PPM)
    need = float(min(max(stress - deductible, 0), layer)) / available
    if need <= 0.5:
        share = 0.010 + (0.015 - 0.010) * need / 0.5
    elif need <= 1.0:
        share = 0.015 + (0.030 - 0.015) * (need - 0.5) / 0.5
    else:
        share = 0.030 + (0.080 - 0.030) * min(need - 1.0, 1.0)
    return int(share * PPM)


@kernel
def redeemable_insurance(state: State, rules: Rules) -> int:
    """Return what insurance LPs can take: above the reserve and what backs locks beyond M."""
    parameters = rules.parameters[0]
    pool = state.pool[0]
    reserve = mul_div_up(peak_insurance(state), parameters.insurance_reserve_ppm, PPM)
    beyond = max(int(pool.locked) - int(pool.main), 0)
    backing = mul_div_up(beyond, PPM, max(parameters.insurance_backing_ppm, 1))
    if backing < 0:
        return 0
    return max(int(pool.insurance) - max(reserve, backing), 0)
