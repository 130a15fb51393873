"""Exact products, directed rounding, and amounts as text."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from amm.units import (
    AMOUNT_MAX,
    ONE,
    AmountError,
    format_amount,
    mul_div_down,
    mul_div_up,
    parse_amount,
    tokens_down,
    tokens_up,
    units_down,
    units_up,
)

FACTORS = st.integers(0, 62).flatmap(lambda bits: st.integers(0, 2**bits - 1))
DIVISORS = st.integers(1, 60).flatmap(lambda bits: st.integers(1, 2**bits - 1))
AMOUNTS = st.integers(0, AMOUNT_MAX)


@st.composite
def near_whole_quotients(draw: st.DrawFn) -> tuple[int, int, int]:
    """Products whose quotient is within one of an integer, where a float estimate misleads."""
    a = draw(st.integers(1, 2**62 - 1))
    d = draw(DIVISORS)
    quotient = draw(st.integers(0, AMOUNT_MAX + 2))
    b = quotient * d // a + draw(st.integers(-1, 1))
    return a, max(0, min(b, 2**62 - 1)), d


def exact_or_failure(quotient: int) -> int:
    return quotient if quotient <= AMOUNT_MAX else -1


@given(st.tuples(FACTORS, FACTORS, DIVISORS) | near_whole_quotients())
@example((2**62 - 1, 2**62 - 1, 1))
@example((2**62 - 1, AMOUNT_MAX // 8, 2**59 - 1))
@example((0, 2**62 - 1, 1))
def test_mul_div_is_exact(arguments: tuple[int, int, int]) -> None:
    """Both directions equal Python's unbounded integers, or fail beyond the largest amount."""
    a, b, d = arguments
    assert mul_div_down(a, b, d) == exact_or_failure(a * b // d)
    assert mul_div_up(a, b, d) == exact_or_failure(-(-a * b // d))


@pytest.mark.parametrize("quotient", range(AMOUNT_MAX - 4, AMOUNT_MAX + 5))
@pytest.mark.parametrize("d", [1, 2, 3, 2**59 + 1, 2**60 - 1])
def test_mul_div_is_exact_around_the_largest_amount(quotient: int, d: int) -> None:
    """It fails beyond the largest amount, and not one unit earlier or later."""
    for a, b in ((quotient, d), (d, quotient)):
        assert mul_div_down(a, b, d) == exact_or_failure(quotient)
        assert mul_div_up(a, b, d) == exact_or_failure(quotient)
    wide = 2**61 - 1
    b = -(-quotient * d // wide)
    assert mul_div_down(wide, b, d) == exact_or_failure(wide * b // d)


@given(near_whole_quotients())
def test_mul_div_takes_numpy_integers(arguments: tuple[int, int, int]) -> None:
    """Integers out of arrays give the same, without a warning of overflow."""
    a, b, d = arguments
    assert mul_div_down(*map(np.int64, arguments)) == exact_or_failure(a * b // d)
    assert mul_div_up(*map(np.int64, arguments)) == exact_or_failure(-(-a * b // d))


@pytest.mark.compiled
def test_mul_div_knows_integers_only() -> None:
    """Each has one compiled version, all of int64: no float money can slip in."""
    for kernel in (mul_div_down, mul_div_up):
        kernel(3, 5, 7)
        assert [list(map(str, signature)) for signature in kernel.signatures] == [["int64"] * 3]


@given(st.floats(-AMOUNT_MAX / ONE, AMOUNT_MAX / ONE))
def test_tokens_become_units_in_the_named_direction(tokens: float) -> None:
    """Down is at most the amount, up at least, and they differ by less than two units."""
    low, high = tokens_down(tokens), tokens_up(tokens)
    assert type(low) is int
    assert type(high) is int
    assert low <= tokens * ONE <= high
    assert high - low <= 1


@given(st.floats(-AMOUNT_MAX, AMOUNT_MAX))
def test_units_become_integers_in_the_named_direction(units: float) -> None:
    """The same for model amounts that are in base units already."""
    assert units_down(units) == math.floor(units)
    assert units_up(units) == math.ceil(units)


@pytest.mark.parametrize("crossing", [tokens_down, tokens_up, units_down, units_up])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1e17])
def test_what_is_no_amount_stops_the_crossing(crossing: object, wrong: float) -> None:
    """NaN and what is too large never become money."""
    with pytest.raises(AssertionError):
        crossing(wrong)


@given(AMOUNTS)
@example(0)
@example(ONE)
@example(AMOUNT_MAX)
def test_text_and_amount_round_trip(amount: int) -> None:
    """Formatting and parsing lose nothing, and no zero is trailing."""
    text = format_amount(amount)
    assert parse_amount(text) == amount
    assert "." not in text or not text.endswith("0")
    assert format_amount(-amount) == (f"-{text}" if amount else text)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("12.5", 1_250_000_000),
        ("0.00000001", 1),
        ("1.10", 110_000_000),
        ("90071992.54740991", AMOUNT_MAX),
    ],
)
def test_plain_decimals_are_amounts(text: str, amount: int) -> None:
    """Up to eight decimals count, trailing zeros among them."""
    assert parse_amount(text) == amount


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        *(
            (text, "plain decimal")
            for text in ("", ".", "1.", ".5", "01", "+1", "-1", "1e5", "0x1")
        ),
        *((text, "plain decimal") for text in (" 1", "1 ", "1\n", "1,5", "1_000", "nan", "inf")),
        ("1.000000000", "9 decimals"),
        ("90071992.54740992", "more than 90071992.54740991"),
        ("9999999999999999", "more than"),
        ("1" * 17, "plain decimal"),
    ],
)
def test_other_texts_are_refused(text: str, complaint: str) -> None:
    """Each is an `AmountError` that says what is wrong."""
    with pytest.raises(AmountError, match=complaint):
        parse_amount(text)
