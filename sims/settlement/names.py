"""How gaps and settlements are called in tables and pictures."""

from sims.settlement.settling import COIN


def gap_name(gap: float) -> str:
    """Return a gap in %, with its sign."""
    return f"{100.0 * gap:+.3g} %" if gap else "0 %"


def settled_in(settlement: str, idle: float) -> str:
    """Return the name of a settlement, with what its venue leaves idle."""
    return f"{settlement}, {100.0 * idle:.0f} % idle" if idle else settlement


def unit_of(settlement: str) -> str:
    """Return what a settlement promises."""
    return "the stock token" if settlement == COIN else "dollars"
