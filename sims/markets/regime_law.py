"""The parameters of the regime-switching market, and the file they are shipped in."""

import functools
import math
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from amm.units import DAY_MS, HOUR_MS
from sims.markets.block import Floats, Ints
from sims.markets.jump_law import JumpLaw, mean_square

Triple = tuple[float, float, float]

REGIMES = ("calm", "busy", "stressed")
CALM, BUSY, STRESSED = range(3)
SHIPPED = Path(__file__).parent / "calibrated.toml"
HOURS_A_YEAR = 24.0 * 365.0
_HALVINGS = 12


@dataclass(frozen=True, slots=True)
class RegimeLaw:
    """Regime-switching jump diffusion of two indices; a triple has one value for each regime.

    Attributes:
        btc_vols: Diffusive vol of the first index, per sqrt(year), root mean square of activity.
        eth_vols: Of the second.
        correlations: Of the two diffusions.
        rates: Transitions a day, from row to column; the diagonal is 0.
        activity_spread: Stationary standard deviation of the log of activity.
        activity_hours: Half-life of the log of activity.
        hours: Activity of the 24 hours UTC; with the weekend its mean square is 1.
        weekend: Further factor of activity on Saturday and Sunday.
        jump_rates: Jumps a day, in an hour of mean activity.
        jump_scale: Scale of a jump's Student-t law, in vols of an hour of its regime.
        jump_freedom: Its degrees of freedom.
        jump_cut: Largest jump of the first index, as a logarithm.
        jump_beta: Log jump of the second index for one of the first.
        jump_own: Standard deviation of what it jumps beside that, in jump scales.
        wick_scale: Vol that the extremes within a step have, over that of the closes.
        wick_rate: Excursions a day that are taken back within the step.
        wick_size: Their mean depth beyond the extreme, in vols of an hour; exponential.
        level_anchors: What the vol level of the first index reverts to where it does not move.
        level_ratio: Settled level of the second index over that of the first.
        level_reversion: Of the log of the level, a day.
        level_slope: What log return adds to the log of the level.
        level_square: What a squared log return adds to it.
        level_noise: Standard deviation of its own moves in a day.
        era_spread: Standard deviation of the log of what all vols are multiplied with, the same
            for a whole path; its mean square is 1.
    """

    btc_vols: Triple
    eth_vols: Triple
    correlations: Triple
    rates: tuple[Triple, Triple, Triple]
    activity_spread: float
    activity_hours: float
    hours: tuple[float, ...]
    weekend: tuple[float, float]
    jump_rates: Triple
    jump_scale: float
    jump_freedom: float
    jump_cut: float
    jump_beta: float
    jump_own: float
    wick_scale: float
    wick_rate: float
    wick_size: float
    level_anchors: Triple
    level_ratio: float
    level_reversion: float
    level_slope: float
    level_square: float
    level_noise: float
    era_spread: float

    def jumps(self, regime: int) -> JumpLaw:
        """Return the law of a jump of the first index in a regime."""
        scale = self.jump_scale * self.btc_vols[regime] / math.sqrt(HOURS_A_YEAR)
        return JumpLaw(0.0, scale, self.jump_freedom, self.jump_cut)

    def own_jump(self, regime: int) -> float:
        """Return the standard deviation of what the second index jumps by itself."""
        return self.jump_own * self.jumps(regime).scale


def transition(law: RegimeLaw, days: float) -> Floats:
    """Return the probabilities of going from row to column in a time."""
    rates = np.array(law.rates)
    np.fill_diagonal(rates, 0.0)
    rates -= np.diag(rates.sum(axis=1))
    step = rates * (days / 2**_HALVINGS)
    # Second order, then squared: exp(rates * days) to far below any sampling error.
    result = np.eye(len(REGIMES)) + step + step @ step / 2.0
    for _ in range(_HALVINGS):
        result = result @ result
    return result / result.sum(axis=1, keepdims=True)


def stationary(law: RegimeLaw) -> Floats:
    """Return the share of time in each regime."""
    return np.asarray(transition(law, 10_000.0)[0])


def daily_variances(law: RegimeLaw) -> Floats:
    """Return the variance of the first index in a day of each regime, jumps and all."""
    found = []
    for regime, (vol, rate) in enumerate(zip(law.btc_vols, law.jump_rates, strict=True)):
        found.append(vol**2 / 365.0 + rate * mean_square(law.jumps(regime)))
    return np.array(found)


def seasons(law: RegimeLaw, times_ms: Ints) -> Floats:
    """Return the activity of the hour of the week that each time is in."""
    hour = times_ms % DAY_MS // HOUR_MS
    weekday = (times_ms // DAY_MS + 3) % 7  # 1970-01-01 was a Thursday
    days = np.array([1.0] * 5 + list(law.weekend))
    return np.asarray(np.array(law.hours)[hour] * days[weekday])


def _frozen(value: Any) -> Any:
    return tuple(_frozen(each) for each in value) if isinstance(value, list | tuple) else value


def law_of(table: dict[str, Any]) -> RegimeLaw:
    """Return the law a table of a TOML file holds."""
    return RegimeLaw(**{each.name: _frozen(table[each.name]) for each in fields(RegimeLaw)})


@functools.cache
def shipped() -> dict[str, Any]:
    """Return the calibration shipped with the package."""
    return tomllib.loads(SHIPPED.read_text("utf-8"))


def calibrated_law() -> RegimeLaw:
    """Return the law shipped with the package."""
    return law_of(shipped()["market"])


def scaled_law(law: RegimeLaw, factor: float) -> RegimeLaw:
    """Return a law whose vols, jumps and vol levels are a factor of what they were."""

    def times(values: Triple) -> Triple:
        return factor * values[0], factor * values[1], factor * values[2]

    # Squared moves lift levels less, in proportion; it takes a larger factor to lift them the same.
    return replace(
        law,
        btc_vols=times(law.btc_vols),
        eth_vols=times(law.eth_vols),
        level_anchors=times(law.level_anchors),
        level_square=law.level_square / factor**2,
    )
