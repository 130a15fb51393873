"""The exact price under a smile: Europeans mixed over an exponential expiry, each at its own vol.

    v(k) = integral of kappa exp(-(kappa + discount_rate) t) European(k, t, vol(k, t)) dt

with the vol of the SSVI surface at the log strike from that expiry's forward. The weights do not
depend on the strike, so a surface without arbitrage gives prices without arbitrage. On a flat
surface this is the closed form of `amm.perpetual`.

With t = period y^2 the integrand is smooth in y but for a layer near 0, as wide as the strike is
far from the money; y = y_max s^2 resolves it. 48 Gauss-Legendre nodes in s then give 1e-9 of the
value; nodes in y would leave 1e-7 just off the money, Gauss-Laguerre nodes in t 1e-4.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.black_scholes import european_value
from amm.kernel import allocating_kernel, kernel
from amm.ssvi import Ssvi, mean_decay

Floats = npt.NDArray[np.float64]

_GAUSS_X, _GAUSS_W = np.polynomial.legendre.leggauss(48)
_S = 0.5 * (_GAUSS_X + 1.0)
NODES = _S**2
"""Of y / y_max."""
WEIGHTS = _S * _GAUSS_W
Y_MAX = 6.0
"""Where the integral over y is cut: exp(-36) of the weight lies beyond."""


@kernel
def discounting_period(funding_period: float, discount_rate: float) -> float:
    """Return the mean of the discounted exponential expiry, 1 / (kappa + discount_rate)."""
    return funding_period / (1.0 + discount_rate * funding_period)


@kernel
def reach(deviations: float) -> float:
    """Return where to cut the integral over y for a strike so many deviations from the money.

    Far from the money the value comes from expiries around y^2 = |deviations| / sqrt 2.
    """
    return max(Y_MAX, 4.0 + 1.3 * math.sqrt(abs(deviations) / math.sqrt(2.0)))


class Expiries(NamedTuple):
    """The nodes of one integral, shape (48,); they do not depend on the strike.

    Attributes:
        weights: Of the Europeans in the sum.
        years: Time to expiry.
        theta: Variance at the money.
        curving: phi of `amm.ssvi`, the scale of log strikes.
        values: Room for the Europeans.
    """

    weights: Floats
    years: Floats
    theta: Floats
    curving: Floats
    values: Floats


@allocating_kernel
def make_expiries() -> Expiries:
    """Return room for the nodes of an integral."""
    count = NODES.size
    return Expiries(
        np.empty(count), np.empty(count), np.empty(count), np.empty(count), np.empty(count)
    )


@kernel
def fill_expiries(surface: Ssvi, period: float, y_max: float, expiries: Expiries) -> None:
    """Fill the nodes of an integral up to `y_max` over a surface."""
    long_variance = surface.long_vol * surface.long_vol
    excess = surface.short_vol * surface.short_vol - long_variance
    for node in range(NODES.size):
        y = y_max * NODES[node]
        years = period * y * y
        theta = years * (long_variance + excess * mean_decay(surface.reversion, years))
        expiries.weights[node] = 2.0 * y_max * WEIGHTS[node] * y * math.exp(-y * y)
        expiries.years[node] = years
        expiries.theta[node] = theta
        expiries.curving[node] = surface.curvature / math.sqrt(theta * (1.0 + theta))


@kernel
def mixed_value(surface: Ssvi, log_strike: float, carry: float, expiries: Expiries) -> float:
    """Return the mixture at log(strike / index), out of the money, per unit of notional.

    Only the option that is out of the money is integrated: the other follows from parity, without
    loss of digits. Discounting is left to the caller.

    Args:
        surface: The live surface.
        log_strike: log(strike / index); a call from 0 up, a put below.
        carry: Drift of the index in units of the token, per year.
        expiries: The nodes, filled for this surface.
    """
    is_call = log_strike >= 0.0
    moneyness = math.exp(-log_strike)
    straight = 1.0 - surface.skew * surface.skew
    for node in range(NODES.size):
        years, theta = expiries.years[node], expiries.theta[node]
        curved = expiries.curving[node] * (log_strike - carry * years)
        turned = curved + surface.skew
        w = 0.5 * theta * (1.0 + surface.skew * curved + math.sqrt(turned * turned + straight))
        vol = math.sqrt(w / years)
        expiries.values[node] = european_value(is_call, moneyness, vol, years, 0.0, carry)
    total = 0.0
    for node in range(NODES.size):
        total += expiries.weights[node] * expiries.values[node]
    return total


@allocating_kernel
def smile_value(
    surface: Ssvi,
    is_call: bool,
    moneyness: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
) -> float:
    """Return the exact uncapped value per unit of notional under a smile.

    Args:
        surface: The live surface.
        is_call: Whether the option gains when the index rises.
        moneyness: Index over strike, > 0.
        funding_period: Years over which a holder pays the time value once; > 0.
        discount_rate: Yield of the settlement token, per year.
        carry: Drift of the index in units of the token, per year.

    Returns:
        The value to 1e-8 of itself where it is at least 1e-6, and to 1e-9 elsewhere.
    """
    period = discounting_period(funding_period, discount_rate)
    log_strike = -math.log(moneyness)
    scale = math.sqrt(surface.short_vol * surface.long_vol * period)
    y_max = reach(log_strike / scale)
    expiries = make_expiries()
    fill_expiries(surface, period, y_max, expiries)
    value = mixed_value(surface, log_strike, carry, expiries) * period / funding_period
    if is_call != (log_strike >= 0.0):
        side = 1.0 if is_call else -1.0
        rate = 1.0 / funding_period
        grown = moneyness * rate / (rate + discount_rate - carry)
        value += side * (grown - rate / (rate + discount_rate))
    return value
