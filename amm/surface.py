"""The volatility surface of one underlying, as the quotes see it.

Quotes read one thing from a surface: the *perpetual vol* of a strike, the flat volatility at which
the closed form gives that strike's value. A flat surface has the same one everywhere.
"""

from typing import NamedTuple

from amm.kernel import kernel


class FlatSurface(NamedTuple):
    """One volatility for every strike, per square root of a year."""

    level: float


@kernel
def strike_vol(surface: FlatSurface, _log_strike: float) -> float:
    """Return the perpetual vol at log(strike / index)."""
    return surface.level


@kernel
def at_level(_surface: FlatSurface, level: float) -> FlatSurface:
    """Return the surface moved to another at-the-money level."""
    return FlatSurface(level)
