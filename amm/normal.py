"""The normal distribution in terms of its Mills ratio, without branches.

The Mills ratio, tail over density,

    M(z) = N(-z) / n(z) = exp(z^2 / 2) * integral of exp(-t^2 / 2) from z to infinity,

falls smoothly from 2.4 at -0.75 to 1 / z far out, so one quotient of polynomials has it to the last
digit where the tail itself has long underflowed. Everything about a European option is a density
times Mills ratios: the density is one exponential, and the small numbers stay in it.
"""

import math

from amm.elementary import exp, fma
from amm.kernel import inline_kernel

INVERSE_SQRT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)

MILLS_MIN = -0.75
"""Below it the ratio is not approximated: N(-z) = 1 - n(z) M(-z) loses nothing there."""
FAR = 1e10
"""As many deviations as any number of them: every tail has vanished."""
NARROW = 0.25
"""Up to this width a difference of Mills ratios is a Taylor series about its centre."""

# The best rational approximation of degrees 11 and 12 on -0.8 ... infinity in relative error,
# 6e-18, by iterated reweighting of least squares in 60 digits. All coefficients are positive and
# the leading ones 1, which makes it 1 / z far out.
_P0, _P1, _P2, _P3, _P4, _P5, _P6, _P7, _P8, _P9, _P10 = (
    17235108.364603095,
    30116465.32178107,
    26109072.738568466,
    14575036.392682472,
    5768537.904460851,
    1691076.295563378,
    373785.96180875174,
    62262.14897244675,
    7667.84179322012,
    666.7276618749772,
    37.0038563406314,
)
_Q0, _Q1, _Q2, _Q3, _Q4, _Q5, _Q6, _Q7, _Q8, _Q9, _Q10, _Q11 = (
    13751626.867881132,
    35001673.47000823,
    41883507.465025015,
    31203967.322406888,
    16148182.291717676,
    6127358.195132201,
    1752014.9900230605,
    381379.7958714956,
    62926.87663457901,
    7704.845649558542,
    667.7276618749867,
    37.00385634063139,
)
_R0, _R1, _R2, _R3, _R4 = (1.0 / ((2 * k + 2) * (2 * k + 3)) for k in range(5))


@inline_kernel
def mills_ratio(z: float) -> float:
    """Return N(-z) / n(z) for -0.75 <= z <= 2 `FAR` to within two ulps."""
    p = z + _P10
    p = fma(p, z, _P9)
    p = fma(p, z, _P8)
    p = fma(p, z, _P7)
    p = fma(p, z, _P6)
    p = fma(p, z, _P5)
    p = fma(p, z, _P4)
    p = fma(p, z, _P3)
    p = fma(p, z, _P2)
    p = fma(p, z, _P1)
    p = fma(p, z, _P0)
    q = z + _Q11
    q = fma(q, z, _Q10)
    q = fma(q, z, _Q9)
    q = fma(q, z, _Q8)
    q = fma(q, z, _Q7)
    q = fma(q, z, _Q6)
    q = fma(q, z, _Q5)
    q = fma(q, z, _Q4)
    q = fma(q, z, _Q3)
    q = fma(q, z, _Q2)
    q = fma(q, z, _Q1)
    q = fma(q, z, _Q0)
    return p / q


@inline_kernel
def mills_slope(z: float, ratio: float, width: float) -> float:
    """Return (M(z - width / 2) - M(z + width / 2)) / width for a width up to `NARROW`.

    Args:
        z: At least -0.75.
        ratio: M(z).
        width: At least 0; at 0 the result is -M'(z).

    It is a Taylor series. From M' = z M - 1, the odd terms c_k = M^(2k + 1) / (2k + 1)! follow as
    (2k + 2)(2k + 3) c_(k+1) = (z^2 + 4k + 3) c_k - c_(k-1), beginning with c_-1 = -1.
    """
    square = z * z
    c0 = fma(z, ratio, -1.0)
    c1 = fma(square + 3.0, c0, 1.0) * _R0
    c2 = fma(square + 7.0, c1, -c0) * _R1
    c3 = fma(square + 11.0, c2, -c1) * _R2
    c4 = fma(square + 15.0, c3, -c2) * _R3
    c5 = fma(square + 19.0, c4, -c3) * _R4
    w = 0.25 * width * width
    series = fma(c5, w, c4)
    series = fma(series, w, c3)
    series = fma(series, w, c2)
    series = fma(series, w, c1)
    return -fma(series, w, c0)


@inline_kernel
def normal_density(deviations: float) -> float:
    """Return the density of a standard normal variable; 0 beyond 37.6 deviations.

    The square is exact: its rounding alone would cost deviations^2 / 4 ulps.
    """
    z = min(abs(deviations), 40.0)
    square = z * z
    rest = fma(z, z, -square)
    return INVERSE_SQRT_TWO_PI * (1.0 - 0.5 * rest) * exp(-0.5 * square)


@inline_kernel
def normal_cdf(deviations: float) -> float:
    """Return the chance that a standard normal variable is below `deviations`.

    The lower tail keeps its digits; it is 0 below -37.6.
    """
    tail = normal_density(deviations) * mills_ratio(min(abs(deviations), FAR))
    return tail if deviations < 0.0 else 1.0 - tail
