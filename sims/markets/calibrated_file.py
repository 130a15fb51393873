"""`calibrated.toml`: all parameters of the default market with their standard errors.

`evergamma simulate calibrate` writes it; nobody edits it.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from amm.units import DAY_MS, HOUR_MS
from sims.markets.block import Clock
from sims.markets.calibration import (
    FalseAlarms,
    Levels,
    false_alarms,
    fit_law,
    stages_of,
)
from sims.markets.era_fit import era_spread_of
from sims.markets.history import HistoryError
from sims.markets.recorded_hours import Hours, days_of, hours_of, read_hours
from sims.markets.regime_law import STRESSED, RegimeLaw, law_of
from sims.markets.regimes import Regimes
from sims.markets.stock_fit import fit_stocks
from sims.markets.surfaces import read_levels
from sims.markets.table import read_day
from sims.markets.vols import LEVEL_PER_INDEX

SPLIT = "2024-07-01"
"""Data from this day on are left to the check."""
BLOCK_DAYS = 28
"""Whole weeks, so that hours of the week stay what they are."""
HOURS_MIN, LEVELS_MIN = 365 * 24, 180
"""What a fit takes at least: a year of hours, half a year of days."""
DRAWS = 40
_CORRECTED = (
    "btc_vols",
    "eth_vols",
    "correlations",
    "rates",
    "activity_spread",
    "jump_rates",
    "jump_scale",
    "jump_own",
    "wick_scale",
)
_CORRELATION_MAX = 0.98
_FACTOR_MAX = 2.0
"""No correction is larger: a transition that a drawn history happens to lack says nothing."""
_DRAWN, _DRAWN_DAYS, _DRAWN_FROM_MS = 4, 1_826, 1_546_300_800_000
"""Drawn histories a correction is taken from: about as long as the recorded one."""
_HEAD = """\
# Parameters of the default market (docs/market-model.md) and their standard errors.
# Written by `evergamma simulate calibrate`: not edited by hand.
"""


def read_recorded(folder: Path) -> tuple[Hours, Levels]:
    """Return the hours and vol levels of a data folder.

    Raises:
        HistoryError: For a folder without them.
        sims.markets.surfaces.SurfaceError: For damaged levels.
    """
    rows = read_levels(folder, "BTC")
    if not rows:
        raise HistoryError(f"{folder}: has no DVOL_BTC_1d.csv or .csv.gz, nor has its folder vol")
    times = np.array([row.time_ms for row in rows], dtype=np.int64)
    levels = Levels(times, LEVEL_PER_INDEX * np.array([row.level for row in rows]))
    return read_hours(folder), levels


def calibrate(
    folder: Path,
    split: str = SPLIT,
    draws: int = DRAWS,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Return the calibration on all that was recorded before a day.

    Args:
        folder: Of the data.
        split: The day.
        draws: Bootstrap samples behind the standard errors.
        tell: Given a line where a stage begins.

    Raises:
        HistoryError: For a file that is missing, damaged or not as described.
        ValueError: The day is none, or too little was recorded before it.
    """
    end = read_day("split", split)
    hours, levels = read_recorded(folder)
    hours = hours.between(0, end)
    known = levels.times_ms < end
    levels = Levels(levels.times_ms[known], levels.levels[known])
    if hours.times_ms.size < HOURS_MIN or levels.times_ms.size < LEVELS_MIN:
        raise ValueError(
            f"{hours.times_ms.size:,} hours and {levels.times_ms.size:,} vol levels before {split} "
            f"are too few: at least {HOURS_MIN:,} and {LEVELS_MIN:,}"
        )
    tell(f"{hours.times_ms.size:,} hours before {split}")
    law, false = fit_market(hours, levels)
    eras = era_spread_of(hours, law)
    law = replace(law, era_spread=eras.value)
    tell(f"{draws} bootstrap samples of {BLOCK_DAYS}-day blocks")
    spread = bootstrap_errors(hours, levels, false, draws) | {"era_spread": eras.error}
    tell("stocks")
    stages, _ = stages_of(hours)
    _, days = days_of(hours)
    stressed = (stages.chain.shares[:, STRESSED] > 0.5).tolist()
    stocks = fit_stocks(folder, hours, end, dict(zip(days.tolist(), stressed, strict=True)))
    about = {
        "split": split,
        "hours": int(hours.times_ms.size),
        "level_days": int(levels.times_ms.size),
        "draws": draws,
        "block_days": BLOCK_DAYS,
        "log_likelihood": stages.chain.log_likelihood,
    }
    return {"about": about, "market": asdict(law), "errors": spread, "stocks": stocks}


def fit_market(hours: Hours, levels: Levels) -> tuple[RegimeLaw, FalseAlarms]:
    """Return the law of recorded hours, and what the threshold tells wrongly under it."""
    false = FalseAlarms(np.zeros(3), 0.0)
    for _ in range(2):  # the second round changes what it tells wrongly by less than its error
        false = false_alarms(fit_law(hours, levels, false))
    return corrected(fit_law(hours, levels, false), false), false


def corrected(law: RegimeLaw, false: FalseAlarms, seed: int = 1) -> RegimeLaw:
    """Return a law without the bias of its estimators.

    They find on drawn histories of the law itself something else than the law: jumps that are no
    outliers are taken for diffusion, days for other regimes. What they find is off by a factor,
    and the law is divided by it.
    """
    clock = Clock(_DRAWN_FROM_MS, HOUR_MS, 24 * _DRAWN_DAYS)
    found = []
    for number in range(_DRAWN):
        block = Regimes(law).draw(clock, 1, np.random.default_rng([seed, number]))
        ends = np.arange(24, clock.steps + 1, 24)
        levels = Levels(block.times_ms[ends], block.levels[0, ends, 0])
        found.append(fit_law(hours_of(block, 0), levels, false))
    changes = {}
    for name in _CORRECTED:
        told = np.array(getattr(law, name))
        drawn = np.mean([getattr(each, name) for each in found], axis=0)
        factor = np.clip(told / np.maximum(drawn, 1e-12), 1.0 / _FACTOR_MAX, _FACTOR_MAX)
        better = told * factor
        if name == "correlations":
            better = np.minimum(better, _CORRELATION_MAX)
        changes[name] = better.tolist()
    return law_of(asdict(law) | changes)


def bootstrap_errors(
    hours: Hours, levels: Levels, false: FalseAlarms, draws: int, seed: int = 1
) -> dict[str, Any]:
    """Return the standard deviation of every parameter over histories made of drawn blocks."""
    random = np.random.default_rng(seed)
    laws = [fit_law(*_resample(hours, levels, random), false) for _ in range(draws)]
    found = {}
    for each in fields(RegimeLaw):
        values = np.array([getattr(law, each.name) for law in laws])
        found[each.name] = values.std(axis=0, ddof=1).tolist()
    return found


def _resample(hours: Hours, levels: Levels, random: np.random.Generator) -> tuple[Hours, Levels]:
    """Return as many blocks as there are, each drawn from all, one after the other in time."""
    length = BLOCK_DAYS * DAY_MS
    number, level_number = hours.times_ms // length, (levels.times_ms - 1) // length
    blocks = np.unique(number)
    parts, times, kept = [], [], []
    # Blocks with recorded levels are drawn among themselves, so that no sample is without.
    with_levels = np.isin(blocks, level_number)
    for place, block in enumerate(blocks):
        like = blocks[with_levels == with_levels[place]]
        drawn = int(like[int(random.integers(like.size))])
        shift = (int(block) - drawn) * length
        part = hours.take(number == drawn)
        parts.append(part._replace(times_ms=part.times_ms + shift))
        # The last level of a block is no neighbour of the first of the next.
        inside = (level_number == drawn) & (levels.times_ms % length != 0)
        times.append(levels.times_ms[inside] + shift)
        kept.append(levels.levels[inside])
    joined = Hours(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    return joined, Levels(np.concatenate(times), np.concatenate(kept))


def to_toml(table: Mapping[str, Any]) -> str:
    """Return the text of the file; numbers have six digits."""
    return _HEAD + "".join(_section((name,), each) for name, each in table.items())


def _section(path: tuple[str, ...], table: Mapping[str, Any]) -> str:
    """Return a table and those in it; tables of numbers only are written in one line."""
    inner = {name: each for name, each in table.items() if _is_deep(each)}
    plain = {name: each for name, each in table.items() if name not in inner}
    text = f"\n[{'.'.join(path)}]\n" if plain else ""
    text += "".join(f"{name} = {_value(each)}\n" for name, each in plain.items())
    return text + "".join(_section((*path, name), each) for name, each in inner.items())


def _is_deep(value: Any) -> bool:
    """Whether a value is a table with a section of its own."""
    if not isinstance(value, Mapping):
        return False
    return any(isinstance(each, Mapping) for each in value.values()) or "price" in value


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_value(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, str):
        return f'"{value}"'
    return str(value) if isinstance(value, int) else repr(float(f"{value:.6g}"))
