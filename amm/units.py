"""Base units, exact products, and the one crossing from model floats to integer money.

Amounts count 1e-8 of a token, index prices 1e-8 USD. What someone pays rounds up, what someone
receives rounds down; the verb says which.
"""

import math
import re

from amm.kernel import kernel

DECIMALS = 8
ONE = 10**DECIMALS
"""Base units in one token, and price ticks in one USD."""
AMOUNT_MAX = 2**53 - 1
"""Largest amount: what JSON readers and float64 still count exactly (9.0e7 tokens)."""
PPM = 1_000_000
E15 = 10**15
"""Scale of the premium index: 1e-15 of a unit of notional."""
SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
YEAR_MS = 365 * DAY_MS
"""Years have 365 days everywhere."""

_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,15})(?:\.([0-9]+))?")


class AmountError(ValueError):
    """A text that is not an amount; the message says what is wrong with it."""


@kernel
def mul_div_down(a: int, b: int, d: int) -> int:
    """Return floor(a * b / d), exactly, though a * b may be far beyond int64.

    A float estimate is at most a few units off; the remainder, which is small and so survives
    int64 wrap-around, tells by how many.

    Args:
        a: First factor, 0 <= a < 2**62.
        b: Second factor, 0 <= b < 2**62.
        d: Divisor, 1 <= d < 2**60.

    Returns:
        The quotient, or -1 where it would exceed `AMOUNT_MAX`.
    """
    a, b, d = int(a), int(b), int(d)  # interpreted, NumPy's integers would warn of the wrap
    estimate = float(a) * float(b) * (1.0 / float(d))  # a constant's inverse needs no division
    if not estimate < AMOUNT_MAX + 8:  # the estimate may be a few units too high
        return -1
    quotient = int(math.floor(estimate))
    remainder = a * b - quotient * d
    while remainder < 0:
        quotient -= 1
        remainder += d
    while remainder >= d:
        quotient += 1
        remainder -= d
    return quotient if quotient <= AMOUNT_MAX else -1


@kernel
def mul_div_up(a: int, b: int, d: int) -> int:
    """Return ceil(a * b / d), exactly; domain and failure as `mul_div_down`."""
    a, b, d = int(a), int(b), int(d)
    quotient = mul_div_down(a, b, d)
    if quotient >= 0 and a * b - quotient * d > 0:
        return quotient + 1 if quotient < AMOUNT_MAX else -1
    return quotient


@kernel
def units_down(units: float) -> int:
    """Return a model amount in base units as an integer, rounded down: for what is received.

    The sign is kept (floor, not truncation). NaN and what exceeds `AMOUNT_MAX` are bugs of the
    caller and stop it.
    """
    assert -AMOUNT_MAX <= units <= AMOUNT_MAX
    return int(math.floor(units))


@kernel
def units_up(units: float) -> int:
    """Return a model amount in base units as an integer, rounded up: for what is paid."""
    assert -AMOUNT_MAX <= units <= AMOUNT_MAX
    return int(math.ceil(units))


@kernel
def tokens_down(tokens: float) -> int:
    """Return a model amount in tokens as base units, rounded down."""
    return units_down(tokens * ONE)


@kernel
def tokens_up(tokens: float) -> int:
    """Return a model amount in tokens as base units, rounded up."""
    return units_up(tokens * ONE)


def parse_amount(text: str) -> int:
    """Return the base units of a plain decimal such as "12.5".

    Raises:
        AmountError: For a sign, an exponent, more than 8 decimals or more than `AMOUNT_MAX`.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise AmountError(f"{text!r} is not a plain decimal number")
    whole, decimals = match.group(1), match.group(2) or ""
    if len(decimals) > DECIMALS:
        raise AmountError(f"{text!r} has {len(decimals)} decimals, at most {DECIMALS} are kept")
    amount = int(whole) * ONE + int(decimals.ljust(DECIMALS, "0"))
    if amount > AMOUNT_MAX:
        raise AmountError(f"{text!r} is more than {format_amount(AMOUNT_MAX)}")
    return amount


def format_amount(amount: int) -> str:
    """Return base units as a plain decimal without trailing zeros, as `parse_amount` reads."""
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), ONE)
    decimals = f"{rest:0{DECIMALS}d}".rstrip("0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"
