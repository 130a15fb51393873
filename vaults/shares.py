"""Shares of a pool: what is received rounds down, what is paid rounds up, the pool keeps the dust.

One virtual share and one virtual unit, and a seed nobody can redeem, make a donation to the pool a
gift and not an attack on the next depositor.
"""

from amm.kernel import kernel
from amm.units import PPM, mul_div_down, mul_div_up


@kernel
def shares_for(amount: int, supply: int, nav: int) -> int:
    """Return the shares a deposit buys at a NAV; 0 where it buys none."""
    if nav < 0 or amount <= 0:
        return 0
    return max(mul_div_down(amount, supply + 1, nav + 1), 0)


@kernel
def cost_of(shares: int, supply: int, nav: int) -> int:
    """Return what shares cost at a NAV that is not negative; at most what bought them."""
    return mul_div_up(shares, nav + 1, supply + 1)


@kernel
def gross_for(shares: int, supply: int, nav: int) -> int:
    """Return what shares are worth at a NAV before the exit fee; 0 where it is negative."""
    if nav < 0:
        return 0
    return max(mul_div_down(shares, nav + 1, supply + 1), 0)


@kernel
def exit_fee(gross: int, fee_ppm: int) -> int:
    """Return the exit fee, rounded up; it stays in the pool."""
    return mul_div_up(gross, fee_ppm, PPM)
