"""A scenario file: everything a drawdown study depends on, in TOML.

`docs/simulator.md` describes it; what a field may be stands here and in `sims.scenarios.markets`.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct, field

from amm.units import DAY_MS, MINUTE_MS
from sims.drawdown.scenario import Buyers, Informed, Providers, Scenario
from sims.markets.block import Clock
from sims.markets.history import UncoveredError
from sims.markets.surfaces import SurfaceError
from sims.scenarios.claims import Claim
from sims.scenarios.markets import Market, RegimesMarket, Time, time_ms
from sims.scenarios.pool import Pool
from vaults.params import ParameterError

STEPS_MAX = 1_000_000
"""Of a path: more would not fit into memory."""
_MINUTES_A_DAY = 1_440
_MODEL = "market.model"


class ScenarioError(ValueError):
    """A scenario that cannot be; the message names the field."""


class ScenarioFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A drawdown study: pools, the market they face, who trades, how long and how often."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Of the study.")]
    description: Annotated[str, Meta(max_length=2_000, description="What it asks.")] = ""
    start: Annotated[Time, Meta(description="When each path starts; a whole minute.")] = datetime(
        2026, 1, 5, tzinfo=UTC
    )
    days: Annotated[int, Meta(ge=1, le=3_650, description="Length of a path.")] = 30
    step_minutes: Annotated[int, Meta(ge=1, le=60, description="Between ticks; divides a day.")] = (
        60
    )
    paths: Annotated[int, Meta(ge=1, le=10_000_000, description="How many.")] = 10_000
    seed: Annotated[int, Meta(ge=0, le=2**53, description="Of everything that is drawn.")] = 1
    market: Annotated[Market, Meta(description="What draws the paths.")] = field(
        default_factory=RegimesMarket
    )
    pools: Annotated[
        tuple[Pool, ...],
        Meta(min_length=1, max_length=16, description="All face the same market."),
    ] = (Pool(),)
    buyers: Buyers = field(default_factory=Buyers)
    informed: Informed = field(default_factory=Informed)
    providers: Providers = field(default_factory=Providers)
    otherwise: Annotated[
        Market | None, Meta(description="The market where there is no history for the other.")
    ] = None
    claims: Annotated[
        tuple[Claim, ...], Meta(max_length=100, description="What has to hold of the paths.")
    ] = ()

    def __post_init__(self) -> None:
        """Refuse what single fields do not tell.

        Raises:
            ValueError: Always then.
        """
        if _MINUTES_A_DAY % self.step_minutes:
            raise ValueError("step_minutes does not divide a day")
        if self.days * _MINUTES_A_DAY // self.step_minutes > STEPS_MAX:
            raise ValueError(f"days / step_minutes is more than {STEPS_MAX:,} steps of a path")
        if time_ms(self.start) % MINUTE_MS or not time_ms(self.start) >= 0:
            raise ValueError("start is no whole minute since 1970")
        names = [pool.token for pool in self.pools]
        if len(set(names)) < len(names):
            raise ValueError("pools: a token is named twice")
        for number, claim in enumerate(self.claims):
            claim.check(names, self.days, f"claims.{number}")

    def resolved(self, data: Path | None = None) -> "ScenarioFile":
        """Return the file with the one market it is run with, given a folder of price history.

        Raises:
            ScenarioError: For history that is there and cannot be used.
        """
        if self.otherwise is None:
            return self
        step_ms = self.step_minutes * MINUTE_MS
        clock = Clock(time_ms(self.start), step_ms, self.days * DAY_MS // step_ms)
        market = self.market
        try:
            model = market.build(data, self._stocks())
            model.draw(clock, 1, np.random.default_rng(self.seed))
        except UncoveredError:
            market = self.otherwise
        except (SurfaceError, ValueError) as error:
            raise ScenarioError(f"market: {error}") from None
        return msgspec.structs.replace(self, market=market, otherwise=None)

    def _stocks(self) -> tuple[str, ...]:
        """Return the stocks the pools are of, each once."""
        return tuple(dict.fromkeys(pool.stock for pool in self.pools if pool.stock is not None))

    def scenario(self, data: Path | None = None) -> Scenario:
        """Return what is run.

        Args:
            data: Folder of price history, for markets that draw from one.

        Raises:
            ScenarioError: For what cannot be run.
        """
        if self.otherwise is not None:
            return self.resolved(data).scenario(data)
        wanted = self._stocks()
        known = self.market.columns(wanted)
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise ScenarioError(f"pools: the market has no stock {unknown[0]}")
        columns = {name: column for column, name in enumerate(wanted)} | {None: -1}
        try:
            pools = tuple(pool.plan(columns[pool.stock]) for pool in self.pools)
            market = self.market.build(data, wanted)
        except ParameterError as error:
            raise ScenarioError(f"pools: {error}") from None
        except ValueError as error:
            raise ScenarioError(f"market: {error}") from None
        return Scenario(
            self.name,
            market,
            pools,
            self.buyers,
            self.informed,
            self.providers,
            time_ms(self.start),
            self.days,
            self.step_minutes * MINUTE_MS,
            self.paths,
            self.seed,
        )

    def with_settings(self, settings: Mapping[str, object]) -> "ScenarioFile":
        """Return the file with some fields changed.

        Args:
            settings: Values by path, such as `buyers.size`, `market.vol_scale`, `pools.0.main` or
                `pools.parameters.fee`; without its number every pool is meant. Another
                `market.model` begins with the defaults of that model.

        Raises:
            ScenarioError: For a path that leads nowhere, or a value that cannot be.
        """
        content = msgspec.json.decode(msgspec.json.encode(self))
        if _MODEL in settings:  # the fields of one model say nothing of another's
            content["market"] = {"model": settings[_MODEL]}
        for path, value in settings.items():
            _put(content, path.split("."), value, path)
        return scenario_of(content)

    def digest(self) -> str:
        """Return what tells studies apart whose outcomes may differ: 64 hexadecimal digits."""
        content = msgspec.to_builtins(self)
        for told in ("name", "description", "claims"):
            del content[told]
        return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()


def _put(content: Any, path: list[str], value: object, whole: str) -> None:
    """Put a value where a path leads; a list without a number means each of it."""
    step, *rest = path
    if isinstance(content, list):
        is_one = step.isdigit() and int(step) < len(content)
        for each in [content[int(step)]] if is_one else content:
            _put(each, rest if is_one else path, value, whole)
    elif not isinstance(content, dict) or not step:
        raise ScenarioError(f"{whole}: leads nowhere")
    elif rest:
        _put(content.setdefault(step, {}), rest, value, whole)
    else:
        content[step] = value


def _message(error: msgspec.ValidationError) -> str:
    """Return what is wrong, the field first."""
    text, _, place = str(error).partition(" - at `$.")
    return f"{place.rstrip('`')}: {text}" if place else text


def _numbers(content: object) -> Iterator[float]:
    if isinstance(content, float):
        yield content
    elif isinstance(content, dict | list | tuple):
        for each in content.values() if isinstance(content, dict) else content:
            yield from _numbers(each)


def scenario_of(content: object) -> ScenarioFile:
    """Return the file some plain data say.

    Raises:
        ScenarioError: For what is unknown, of another type, or out of its range.
    """
    if not all(map(math.isfinite, _numbers(content))):
        raise ScenarioError("nan and inf are no numbers of a scenario")
    try:
        return msgspec.convert(content, ScenarioFile)
    except msgspec.ValidationError as error:
        raise ScenarioError(_message(error)) from None
