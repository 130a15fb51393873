"""How numbers of a sweep are written."""

import math

from sims.statistics import Estimate
from sims.sweeps.design import Settings
from sims.sweeps.settings import Value

PERCENT = 100.0
PLACES_MAX = 4


def number(value: Value) -> str:
    """Return a value of a setting: four digits, words as they are."""
    if isinstance(value, str | bool):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def settings_told(settings: Settings) -> str:
    """Return settings in a line, each by the last part of its name."""
    parts = (f"{name.split('.')[-1]} {number(value)}" for name, value in settings.items())
    return ", ".join(parts) or "as it is"


def _places(error: float) -> int:
    """Return decimals that show two digits of an error."""
    if error <= 0.0:
        return 2
    return min(max(1 - math.floor(math.log10(error)), 0), PLACES_MAX)


def percent(found: Estimate) -> str:
    """Return an estimate in percent with its standard error."""
    value, error = PERCENT * found.value, PERCENT * found.error
    places = _places(error)
    return f"{value:.{places}f} ± {error:.{places}f}"


def percent_more(found: Estimate) -> str:
    """Return a difference in points of a percentage, with its sign and standard error."""
    value, error = PERCENT * found.value, PERCENT * found.error
    places = _places(error)
    return f"{value:+.{places}f} ± {error:.{places}f}"
