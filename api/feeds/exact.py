"""Decimal numbers of others as integers of ours, without a float between."""

import re
from decimal import Decimal

PRICE_MAX_E8 = 10**17
"""No underlying costs a billion dollars: a larger number is a mistake."""
DIGITS_MAX = 40
EXPONENT_MAX = 40
TIME_MAX_MS = 2**53
_WHOLE = re.compile(r"-?[0-9]{1,40}")


class PayloadError(ValueError):
    """What a source says makes no sense; the message is one line."""


def whole(text: str | int) -> int:
    """Return an integer that is given as a text.

    Raises:
        PayloadError: It is not one, or has more than 40 digits.
    """
    shown = str(text) if isinstance(text, str) or abs(text) < 10**DIGITS_MAX else "too large"
    if not _WHOLE.fullmatch(shown):
        raise PayloadError(f"{shown[:20]!r} is no number")
    return int(shown)


def price_e8(digits: int, exponent: int) -> int:
    """Return digits x 10^exponent in 1e-8, the nearest, halves up.

    Raises:
        PayloadError: It is not positive or too large.
    """
    scaled = _scaled(digits, exponent, half=True)
    if not 0 < scaled <= PRICE_MAX_E8:
        raise PayloadError("a number that is not positive" if scaled <= 0 else "a huge number")
    return scaled


def width_e8(digits: int, exponent: int) -> int:
    """Return the half-width of a confidence interval in 1e-8, rounded up.

    Raises:
        PayloadError: It is negative or too large.
    """
    scaled = -_scaled(-digits, exponent, half=False)
    if not 0 <= scaled <= PRICE_MAX_E8:
        raise PayloadError("the confidence is no width")
    return scaled


def parts(number: Decimal) -> tuple[int, int]:
    """Return (digits, exponent) of a decimal number.

    Raises:
        PayloadError: It is not finite, or has more than 40 digits.
    """
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or len(digits) > DIGITS_MAX:
        raise PayloadError("a number that is none")
    value = int("".join(map(str, digits)) or "0")
    return (-value if sign else value), exponent


def time_ms(number: int) -> int:
    """Return a time in milliseconds since 1970.

    Raises:
        PayloadError: It is none.
    """
    if not 0 < number <= TIME_MAX_MS:
        raise PayloadError("the time is none")
    return number


def _scaled(digits: int, exponent: int, *, half: bool) -> int:
    """Return floor(digits x 10^(exponent + 8)), or that of half more."""
    if abs(exponent) > EXPONENT_MAX or abs(digits) >= 10**DIGITS_MAX:
        raise PayloadError("an exponent or a number out of reach")
    shift = exponent + 8
    if shift >= 0:
        return digits * 10**shift
    unit: int = 10**-shift
    return (digits + (unit // 2 if half else 0)) // unit
