"""Names of series: `BTC-TSLA.M-100000-C` is the 100,000 USD call on BTC paid in TSLA.M."""

from functools import lru_cache
from typing import NamedTuple

from amm.units import AmountError, format_amount, parse_amount
from vaults.commands import CALL, PUT


class Series(NamedTuple):
    """A series by names; the strike in 1e-8 USD."""

    underlying: str
    token: str
    kind: str
    strike_e8: int

    @property
    def name(self) -> str:
        """Its name on the wire."""
        return _name(self)


@lru_cache(maxsize=4_096)
def _name(series: Series) -> str:
    letter = "C" if series.kind == CALL else "P"
    return f"{series.underlying}-{series.token}-{format_amount(series.strike_e8)}-{letter}"


@lru_cache(maxsize=4_096)
def parse_series(name: str) -> Series:
    """Return the series a name stands for.

    Raises:
        AmountError: Where it is no such name, or not the one way to write it.
    """
    parts = name.split("-")
    if len(parts) != 4 or parts[3] not in ("C", "P"):
        raise AmountError(f"{name!r} is not an instrument such as BTC-TSLA.M-100000-C")
    underlying, token, strike, letter = parts
    series = Series(underlying, token, CALL if letter == "C" else PUT, parse_amount(strike))
    if series.name != name:
        raise AmountError(f"{name!r} is written {series.name}")
    return series


def position_name(token: str, position_id: int) -> str:
    """Return the id of a position, a request or a withdrawal on the wire."""
    return f"{token}-{position_id}"


def parse_numbered(name: str) -> tuple[str, int] | None:
    """Return token and number of an id that `position_name` makes, None where it is none."""
    token, _, number = name.rpartition("-")
    if not (token and number.isascii() and number.isdigit() and len(number) <= 15):
        return None
    return token, int(number)
