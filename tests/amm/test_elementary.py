"""Exponential and logarithm against many digits, at their edges and interpreted."""

import math
import os
import subprocess
import sys

import mpmath
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mpmath import mpf

from amm.elementary import exp, exp_less, fma, log, log_ratio, one_less_exp

NORMAL = st.floats(2.3e-308, 1e308)
NEAR_ONE = st.floats(0.5, 2) | st.floats(-1e-6, 1e-6).map(lambda d: 1 + d)


def ulps(got: float, expected: mpf) -> float:
    """Return the error in units of the last place of what is expected."""
    return float(abs(mpf(got) - expected) / mpf(math.ulp(float(expected))))


@given(st.floats(-708, 709) | st.floats(-1, 1) | st.floats(-1e-12, 1e-12))
@example(0.0)
@example(-708.0)
@example(709.0)
@example(0.5 * math.log(2))
@example(-0.5 * math.log(2))
def test_exp_is_right_to_an_ulp(x: float) -> None:
    """Over the whole range of normal results."""
    with mpmath.workdps(40):
        assert ulps(exp(x), mpmath.exp(mpf(x))) <= 1.0


@given(st.floats(0, 708) | st.floats(0, 1) | st.floats(0, 1e-12))
@example(0.0)
@example(708.0)
def test_decay_and_its_complement_are_right(x: float) -> None:
    """e^-x to an ulp and 1 - e^-x to two, down to x itself."""
    with mpmath.workdps(400):
        assert ulps(exp_less(x), mpmath.exp(-mpf(x))) <= 1.0
        assert ulps(one_less_exp(x), -mpmath.expm1(-mpf(x))) <= 2.0


@given(NORMAL | NEAR_ONE)
@example(1.0)
@example(math.nextafter(1, 0))
@example(math.nextafter(1, 2))
@example(sys.float_info.min)
@example(sys.float_info.max)
def test_log_is_right_to_an_ulp(x: float) -> None:
    """Over all normal numbers, next to 1 too."""
    with mpmath.workdps(60):
        assert ulps(log(x), mpmath.log(mpf(x))) <= 1.0


@given(st.floats(1e-150, 1e150), NEAR_ONE | st.floats(0.6, 1.6) | st.floats(1e-150, 1e150))
@example(1.0, 1.5)
@example(3.0, 1 / 3)
@example(1.4999999, 1 / 1.4999999)
@example(0.05, 1e-12)
def test_log_ratio_is_right_next_to_one_too(denominator: float, ratio: float) -> None:
    """It knows the ratio better than a rounded quotient would."""
    numerator = denominator * ratio
    with mpmath.workdps(60):
        expected = mpmath.log(mpf(numerator) / mpf(denominator))
        assert ulps(log_ratio(numerator, denominator), expected) <= 3.0


def test_edges() -> None:
    """What has no normal result is 0 or stops; NaN stays NaN."""
    assert exp(-708.1) == exp(-math.inf) == exp_less(708.1) == exp_less(math.inf) == 0.0
    assert exp(710.0) == exp(math.inf) == exp(709.0)
    assert one_less_exp(800.0) == one_less_exp(math.inf) == 1.0
    assert math.isnan(exp(math.nan))
    assert log(1.0) == log_ratio(3.7, 3.7) == one_less_exp(0.0) == 0.0
    assert exp(0.0) == exp_less(0.0) == 1.0


@pytest.mark.compiled
@given(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100), st.floats(-1e100, 1e100))
@example(1 + 2**-52, 1 - 2**-52, -1.0)
def test_fma_rounds_once(a: float, b: float, c: float) -> None:
    """The exact product and sum, then one rounding."""
    with mpmath.workprec(2200):
        exact = mpf(a) * mpf(b) + mpf(c)
        assert fma(a, b, c) == float(exact)


POINTS = [0.0, 1e-9, 0.3, 1.0, 17.25, 700.0]
CODE = f"""
from amm.elementary import exp, exp_less, log, log_ratio, one_less_exp
for x in {POINTS}:
    row = exp(x), exp_less(x), one_less_exp(x), log(1 + x), log_ratio(1 + x, 3.0)
    print(*map(float.hex, map(float, row)))
"""


@pytest.mark.compiled
def test_interpreted_and_compiled_agree() -> None:
    """The twins that run without the compiler are the same functions, to rounding."""
    rows = []
    for interpreted in ("0", "1"):
        environment = os.environ | {"NUMBA_DISABLE_JIT": interpreted}
        command = [sys.executable, "-c", CODE]
        done = subprocess.run(  # noqa: S603
            command, env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        rows.append([float.fromhex(number) for number in done.stdout.split()])
    assert rows[0] == pytest.approx(rows[1], rel=1e-15, abs=1e-300)
    assert len(rows[0]) == 5 * len(POINTS)
