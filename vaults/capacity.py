"""How much the pools can lock, how much of it is used, and what using it costs."""

import math

from amm.kernel import kernel
from amm.units import E15, PPM, mul_div_down, mul_div_up
from vaults.rules import Rules


@kernel
def backing(rules: Rules, main: int, insurance: int) -> int:
    """Return M + K, what may be locked.

    K is the part of the insurance pool that counts: half of it, at most a quarter of M. Every
    lock is the most its position can ever be paid, so `locked <= M + K` funds every payout.
    """
    parameters = rules.parameters[0]
    of_insurance = mul_div_down(insurance, parameters.insurance_backing_ppm, PPM)
    of_main = mul_div_down(main, parameters.main_backing_ppm, PPM)
    return main + min(of_insurance, of_main)


@kernel
def utilisation(locked: int, backed: int) -> float:
    """Return locked / (M + K); 1 where there is nothing to lock."""
    if backed <= 0:
        return 1.0
    return float(locked) / float(backed)


@kernel
def rent_rate_e15(rules: Rules, used: float, doubled: int) -> int:
    """Return the yearly price of one locked token at a utilisation, in 1e-15, rounded up."""
    parameters = rules.parameters[0]
    above = (used - parameters.rent_from) / (1.0 - parameters.rent_from)
    rent = parameters.rent_max * min(max(above, 0.0), 1.0)
    return int(math.ceil(rent * E15)) * (2 if doubled == 1 else 1)


@kernel
def lock_of(notional: int, cap_ppm: int) -> int:
    """Return ceil(N cap): the most a position can ever be paid."""
    return mul_div_up(notional, cap_ppm, PPM)
