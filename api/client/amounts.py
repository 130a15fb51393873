"""Amounts as callers have them, and as they cross the wire."""

from decimal import Decimal

AmountLike = str | int | Decimal
"""An amount in tokens, shares or USD."""


def amount_text(amount: AmountLike) -> str:
    """Return an amount as the plain decimal the exchange reads; it judges sign and size.

    Raises:
        TypeError: It is a float (or nothing like a number): 0.1 as a float is not 0.1.
        ValueError: It is not a finite number.
    """
    if isinstance(amount, str):
        return amount
    if isinstance(amount, float):
        raise TypeError(
            f"{amount!r} is a float, which does not hold most decimal amounts exactly: "
            f'give it as text ("{amount!r}"), int or decimal.Decimal'
        )
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise TypeError(f"{amount!r} is not an amount: give text, int or decimal.Decimal")
    if isinstance(amount, Decimal) and not amount.is_finite():
        raise ValueError(f"{amount!r} is not a finite number")
    text = format(amount, "f") if isinstance(amount, Decimal) else str(amount)
    # 0.50000000000 is exact too, but has more decimals than are read.
    return text.rstrip("0").rstrip(".") if "." in text else text
