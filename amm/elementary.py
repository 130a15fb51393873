"""Exponential and logarithm without branches, so that loops over arrays become vector code.

Libm's are calls, which no compiler turns into vector instructions. These are a reduction of the
argument and a polynomial; inlined, a loop around them runs on four or eight numbers at once. The
fused multiply-add is explicit, so the same bits come out whether or not a loop was vectorised.
"""

import math
from typing import Any

from llvmlite import ir
from numba.core import config, types
from numba.extending import intrinsic

from amm.kernel import inline_kernel

_INTERPRETED = bool(getattr(config, "DISABLE_JIT", False))

_LOG2_E = 1.0 / math.log(2.0)
_LN2_HIGH = float.fromhex("0x1.62e42feep-1")
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_TO_INTEGER = 1.5 * 2.0**52
"""Added to a small number it leaves the nearest integer in the low bits."""
_EXP_MIN = -708.0
"""Below it the result would not be a normal number: it is 0."""
_EXP_MAX = 709.0
_MANTISSA_BITS = 52
_ONE_BIASED = 1023
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_HALF_OCTAVE = 1 << 51
_E0, _E1, _E2, _E3, _E4, _E5, _E6, _E7, _E8, _E9 = (
    float.fromhex("0x1.0000000000001p-1"),
    float.fromhex("0x1.5555555555556p-3"),
    float.fromhex("0x1.5555555553d68p-5"),
    float.fromhex("0x1.11111111109b5p-7"),
    float.fromhex("0x1.6c16c17889f3cp-10"),
    float.fromhex("0x1.a01a01a7c2f2cp-13"),
    float.fromhex("0x1.a019b914881bap-16"),
    float.fromhex("0x1.71de0db2eb873p-19"),
    float.fromhex("0x1.28917c9f3a495p-22"),
    float.fromhex("0x1.af389eea54156p-26"),
)
"""Coefficients of (e^r - 1 - r) / r^2 for |r| <= log(2) / 2, interpolated at Chebyshev's points in
60 digits: they leave 0.08 ulp of e^r."""
_L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8 = (
    float.fromhex("0x1.5555555555555p-1"),
    float.fromhex("0x1.9999999999f17p-2"),
    float.fromhex("0x1.24924923de6e4p-2"),
    float.fromhex("0x1.c71c72df58ccbp-3"),
    float.fromhex("0x1.745cac4391efcp-3"),
    float.fromhex("0x1.3b29d04e42195p-3"),
    float.fromhex("0x1.0e8c550123169p-3"),
    float.fromhex("0x1.169c3e2e987b4p-3"),
)
"""Coefficients of the odd series of log((1 + s) / (1 - s)) for |s| <= 1/5, interpolated likewise:
they leave 0.003 ulp. A ratio of 2/3 to 3/2 makes such an s."""


def _fma_code(_context: Any, _a: Any, _b: Any, _c: Any) -> Any:
    def emit(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), emit


def _bits_code(_context: Any, _number: Any) -> Any:
    def emit(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), emit


def _from_bits_code(_context: Any, _number: Any) -> Any:
    def emit(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), emit


_fma: Any = intrinsic(_fma_code)
_bits: Any = intrinsic(_bits_code)
_from_bits: Any = intrinsic(_from_bits_code)


@inline_kernel
def fma(a: float, b: float, c: float) -> float:
    """Return a b + c, rounded once."""
    return _fma(a, b, c)


@inline_kernel
def _exp_parts(x: float) -> tuple[float, float]:
    """Return e^r - 1 and the power of two whose product with e^r is e^x, for -708 <= x <= 709."""
    shifted = fma(x, _LOG2_E, _TO_INTEGER)
    twos = shifted - _TO_INTEGER
    r = fma(twos, -_LN2_LOW, fma(twos, -_LN2_HIGH, x))
    r2 = r * r
    r4 = r2 * r2
    low = fma(fma(_E3, r, _E2), r2, fma(_E1, r, _E0))
    middle = fma(fma(_E7, r, _E6), r2, fma(_E5, r, _E4))
    p = fma(fma(fma(_E9, r, _E8), r4, middle), r4, low)
    scale = _from_bits((_bits(shifted) + _ONE_BIASED) << _MANTISSA_BITS)
    return fma(p, r2, r), scale


@inline_kernel
def exp(x: float) -> float:
    """Return e^x to within an ulp; 0 below -708, e^709 above 709, NaN for NaN."""
    less_one, scale = _exp_parts(min(max(x, _EXP_MIN), _EXP_MAX))
    rare = 0.0 if x < _EXP_MIN else x
    return (less_one + 1.0) * scale if x >= _EXP_MIN else rare


@inline_kernel
def expm1(x: float) -> float:
    """Return e^x - 1 to within two ulps, also near 0; -1 below -708, e^709 above 709.

    For NaN the result means nothing.
    """
    less_one, scale = _exp_parts(min(max(x, _EXP_MIN), _EXP_MAX))
    return fma(less_one, scale, scale - 1.0)


@inline_kernel
def exp_less(x: float) -> float:
    """Return e^-x for x >= 0 to within an ulp; 0 above 708 and for NaN."""
    less_one, scale = _exp_parts(max(-x, _EXP_MIN))
    return (less_one + 1.0) * scale if x <= -_EXP_MIN else 0.0


@inline_kernel
def one_less_exp(x: float) -> float:
    """Return 1 - e^-x for x >= 0 to within two ulps, also near 0."""
    less_one, scale = _exp_parts(max(-x, _EXP_MIN))
    return fma(-less_one, scale, 1.0 - scale)


@inline_kernel
def _log_series(z: float) -> float:
    """Return (log((1 + s) / (1 - s)) / s - 2) / z for z = s^2."""
    z2 = z * z
    low = fma(fma(_L4, z, _L3), z2, fma(_L2, z, _L1))
    high = fma(fma(_L8, z, _L7), z2, fma(_L6, z, _L5))
    return fma(high, z2 * z2, low)


@inline_kernel
def log(x: float) -> float:
    """Return the natural logarithm of a normal number > 0 to within an ulp, also near 1.

    For 0, numbers below 2.3e-308, negative ones, infinity and NaN the result means nothing.
    """
    bits = _bits(x)
    octave = (bits - _SQRT_HALF_BITS) >> _MANTISSA_BITS
    f = _from_bits(bits - (octave << _MANTISSA_BITS)) - 1.0
    s = f / (2.0 + f)
    z = s * s
    half_square = 0.5 * f * f
    tail = fma(s, fma(_log_series(z), z, half_square), float(octave) * _LN2_LOW)
    return fma(float(octave), _LN2_HIGH, f - (half_square - tail))


@inline_kernel
def log_ratio(numerator: float, denominator: float) -> float:
    """Return log(numerator / denominator), normal numbers > 0, to within three ulps.

    It keeps its digits where the two are almost equal, since their difference is exact there.
    """
    bits = _bits(numerator)
    # The bits of a number grow like its logarithm, so their difference is near enough to tell
    # which power of two brings the numerator closest to the denominator.
    octave = (bits - _bits(denominator) + _HALF_OCTAVE) >> _MANTISSA_BITS
    near = _from_bits(bits - (octave << _MANTISSA_BITS))
    s = (near - denominator) / (near + denominator)
    z = s * s
    tail = fma(s * z, _log_series(z), float(octave) * _LN2_LOW)
    return fma(float(octave), _LN2_HIGH, fma(2.0, s, tail))


if _INTERPRETED:

    def fma(a: float, b: float, c: float) -> float:
        """Return a b + c, rounded twice: interpreted there is no fused one."""
        return float(a) * float(b) + float(c)  # NumPy's floats would warn of NaN

    def exp(x: float) -> float:
        """Return e^x, as the compiled one does."""
        return 0.0 if x < _EXP_MIN else math.exp(min(x, _EXP_MAX))

    def expm1(x: float) -> float:
        """Return e^x - 1."""
        return math.expm1(min(x, _EXP_MAX))

    def log(x: float) -> float:
        """Return the natural logarithm."""
        return math.log(x)

    def exp_less(x: float) -> float:
        """Return e^-x for x >= 0."""
        return exp(-x)

    def one_less_exp(x: float) -> float:
        """Return 1 - e^-x for x >= 0."""
        return -math.expm1(-x)

    def log_ratio(numerator: float, denominator: float) -> float:
        """Return log(numerator / denominator)."""
        less_one = (numerator - denominator) / denominator
        near = abs(less_one) < 0.5
        return math.log1p(less_one) if near else math.log(numerator / denominator)
