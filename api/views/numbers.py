"""Numbers as decimal strings."""

from amm.units import DECIMALS


def fixed(number: int, places: int = DECIMALS) -> str:
    """Return number / 10**places exactly, without trailing zeros."""
    sign = "-" if number < 0 else ""
    whole, rest = divmod(abs(int(number)), 10**places)
    decimals = f"{rest:0{places}d}".rstrip("0") if places else ""
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def rounded(value: float, places: int = DECIMALS) -> str:
    """Return the result of a model, rounded to the nearest at some decimals."""
    return fixed(round(value * 10**places), places)


def quotient(numerator: int, denominator: int) -> str:
    """Return a ratio of two amounts, rounded down at 8 decimals."""
    return fixed(numerator * 10**DECIMALS // denominator)
