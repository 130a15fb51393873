"""The `[market]` of a scenario file: which model draws the paths, with which numbers."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field, structs

from sims.markets.bars import HOURLY
from sims.markets.block import MarketModel
from sims.markets.bootstrap import Bootstrap
from sims.markets.brownian import Brownian
from sims.markets.chosen import Chosen
from sims.markets.diffusion import Pair
from sims.markets.history import UncoveredError
from sims.markets.regime_law import REGIMES, calibrated_law, scaled_law
from sims.markets.regime_steps import LEVEL_MAX, LEVEL_MIN
from sims.markets.regimes import Regimes
from sims.markets.replayed import Replayed
from sims.markets.script_leg import ScriptLeg
from sims.markets.scripted import Scripted, ScriptStock
from sims.markets.stock_model import Stocks, calibrated_stocks
from sims.markets.stock_motion import StockMotion
from sims.markets.surfaces import TIME_MAX_MS
from sims.markets.tilt import SHARE_MAX, Tilt
from sims.markets.vol_index import VolIndex

StockName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,15}$")]
"""It may become the name of a file of history."""
Time = Annotated[datetime, Meta(tz=True)]
Vol = Annotated[float, Meta(ge=0, le=10)]
Level = Annotated[float, Meta(ge=LEVEL_MIN, le=LEVEL_MAX)]
Price = Annotated[float, Meta(gt=0, le=1e8)]
StartPrice = Annotated[Price, Meta(description="In USD at the start.")]
Prices = Annotated[tuple[Price, Price], Meta(description="Of BTC and ETH in USD at the start.")]
Vols = Annotated[
    tuple[Vol, Vol], Meta(description="Of BTC and ETH, per square root of a year of 365 days.")
]
Correlation = Annotated[float, Meta(ge=-1, le=1)]
Folder = Annotated[str | None, Meta(description="Price history; none: what the command is given.")]


def time_ms(moment: datetime) -> int:
    """Return a moment in milliseconds UTC."""
    return round(moment.timestamp() * 1000)


def _history(given: str | None, data: Path | None) -> Path:
    if given is not None:
        return Path(given)
    if data is None:
        raise UncoveredError("this market needs price history: give a folder (docs/data.md)")
    return data


class BrownianStock(Struct, frozen=True, forbid_unknown_fields=True):
    """A stock of the textbook's market."""

    price: StartPrice = 100.0
    vol: Annotated[Vol, Meta(description="Per square root of a year.")] = 0.6
    correlation: Annotated[Correlation, Meta(description="Of its returns with those of BTC.")] = 0.3


class BrownianMarket(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="model", tag="brownian"
):
    """Correlated geometric Brownian motions without drift: `sims.markets.brownian`."""

    prices: Prices = (100_000.0, 4_000.0)
    vols: Vols = (0.55, 0.75)
    correlation: Annotated[Correlation, Meta(description="Of the returns of BTC and ETH.")] = 0.8
    stocks: Annotated[
        dict[StockName, BrownianStock], Meta(description="By name; pools may be of these.")
    ] = {}
    feeds_vol: Annotated[
        bool, Meta(description="Whether the vols are fed as vol levels; else they are estimated.")
    ] = False

    def columns(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the stocks it can draw, in order."""
        del wanted
        return tuple(self.stocks)

    def build(self, data: Path | None, stocks: tuple[str, ...]) -> MarketModel:
        """Return the model."""
        del data
        motions = (self.stocks[name] for name in stocks)
        each = tuple(StockMotion(one.price, one.vol, one.correlation) for one in motions)
        return Brownian(self.prices, self.vols, self.correlation, each, self.feeds_vol)


class Tilted(Struct, frozen=True, forbid_unknown_fields=True):
    """More of the rare paths, with weights that make up for it: `sims.markets.tilt`."""

    share: Annotated[
        float, Meta(ge=0, le=SHARE_MAX, description="Of paths, tilted: weights <= 1 / (1 - share).")
    ] = Tilt().share
    days: Annotated[
        int, Meta(ge=0, le=10_000, description="Length of the tilted window; 0: the whole path.")
    ] = 0
    push: Annotated[
        float, Meta(ge=0, le=10, description="Of BTC over the window, in standard deviations.")
    ] = 0.0
    rising: Annotated[float, Meta(ge=0, le=1, description="Odds that the push is upwards.")] = (
        Tilt().rising
    )
    stress: Annotated[
        float, Meta(ge=1, le=100, description="Factor of the chance to enter the stressed regime.")
    ] = 1.0
    jumps: Annotated[float, Meta(ge=1, le=100, description="Factor of the chance of a jump.")] = 1.0
    size: Annotated[float, Meta(ge=1, le=10, description="Factor of a jump's scale.")] = 1.0
    mix: Annotated[
        float, Meta(ge=0, le=SHARE_MAX, description="Share of jumps drawn from the wider law.")
    ] = Tilt().mix


class Choice(Struct, frozen=True, forbid_unknown_fields=True):
    """Far-moving paths run more often, with weights that make up for it: `sims.markets.chosen`."""

    candidates: Annotated[
        int, Meta(ge=1, le=1_000, description="Paths drawn for each that is run; 1: none chosen.")
    ] = 1
    days: Annotated[int, Meta(ge=1, le=10_000, description="Over which a move is far.")] = 4
    usual: Annotated[
        float, Meta(ge=0.001, le=10, description="Log move that doubles a path's odds.")
    ] = 0.15
    falls: Annotated[float, Meta(ge=0, le=10, description="What a fall counts against a rise.")] = (
        0.8
    )


class RegimesMarket(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="model", tag="regimes"
):
    """The default: calibrated regimes with jumps, stocks in sessions: `sims.markets.regimes`."""

    prices: Prices = (100_000.0, 3_500.0)
    drift: Annotated[
        float, Meta(ge=-5, le=5, description="Expected log growth a year; 0: martingales.")
    ] = 0.0
    vol_scale: Annotated[
        float, Meta(ge=0.1, le=10, description="Factor of all calibrated vols.")
    ] = 1.0
    start: Annotated[
        Literal["calm", "busy", "stressed"] | None,
        Meta(description="Regime at the start; none: drawn from the stationary law."),
    ] = None
    level: Annotated[Level | None, Meta(description="BTC's vol level at the start; none: any.")] = (
        None
    )
    tilt: Tilted = Tilted()
    choice: Choice = Choice()

    def columns(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the stocks it can draw: the calibrated ones of those wanted."""
        known = {stock.name for stock in calibrated_stocks().each}
        return tuple(name for name in wanted if name in known)

    def build(self, data: Path | None, stocks: tuple[str, ...]) -> MarketModel:
        """Return the model."""
        del data
        market = Regimes(
            law=scaled_law(calibrated_law(), self.vol_scale),
            prices=self.prices,
            drift=self.drift,
            start=-1 if self.start is None else REGIMES.index(self.start),
            level=0.0 if self.level is None else self.level,
            tilt=Tilt(**structs.asdict(self.tilt)),
            stocks=calibrated_stocks(*stocks) if stocks else Stocks(),
        )
        is_chosen = self.choice.candidates > 1
        return Chosen(market, **structs.asdict(self.choice)) if is_chosen else market


class BootstrapMarket(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="model", tag="bootstrap"
):
    """Blocks of recorded hours: `sims.markets.bootstrap`; the steps must be hours."""

    folder: Folder = None
    prices: Prices = (100_000.0, 4_000.0)
    mean_block_hours: Annotated[
        float, Meta(ge=1, le=1e5, description="Mean length of a block.")
    ] = 72.0
    feeds: Annotated[
        Literal["realised", "recorded", "estimator"], Meta(description="What vol levels are fed.")
    ] = "realised"
    keeps_drift: Annotated[
        bool, Meta(description="Whether what recorded hours gained on average is kept.")
    ] = False
    since: Annotated[Time | None, Meta(description="Earlier hours are not drawn.")] = None
    until: Annotated[Time | None, Meta(description="Nor are later ones.")] = None

    def columns(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the stocks it can draw; which have a history is seen when paths are drawn."""
        return wanted

    def build(self, data: Path | None, stocks: tuple[str, ...]) -> MarketModel:
        """Return the model."""
        return Bootstrap(
            _history(self.folder, data),
            self.prices,
            self.mean_block_hours,
            stocks,
            self.feeds,
            self.keeps_drift,
            0 if self.since is None else time_ms(self.since),
            TIME_MAX_MS if self.until is None else time_ms(self.until),
        )


class ReplayedMarket(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="model", tag="replayed"
):
    """History as it was, from the scenario's start on: `sims.markets.replayed`."""

    folder: Folder = None
    rows: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9_-]{1,64}$",
            description="Which bars: 1h, or such as 2025-10_15m; the steps are as long.",
        ),
    ] = HOURLY
    every_days: Annotated[
        int,
        Meta(ge=0, le=366, description="Paths begin multiples of so many days later; 0: never."),
    ] = 0
    until: Annotated[Time | None, Meta(description="No path goes beyond it.")] = None

    def columns(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the stocks it can draw; which have a history is seen when paths are drawn."""
        return wanted

    def build(self, data: Path | None, stocks: tuple[str, ...]) -> MarketModel:
        """Return the model."""
        end_ms = TIME_MAX_MS if self.until is None else time_ms(self.until)
        return Replayed(_history(self.folder, data), self.rows, stocks, self.every_days, end_ms)


class Leg(Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of a script; its end is reached exactly: `sims.markets.script_leg`."""

    hours: Annotated[float, Meta(gt=0, le=8_760, description="Its length, whole steps.")]
    returns: Annotated[
        Pair, Meta(description="Simple returns of BTC and ETH over it: -0.35 is a fall by 35 %.")
    ] = (0.0, 0.0)
    vol_multiple: Annotated[
        float, Meta(ge=0, le=20, description="Of the calm vols: noise and vol level of the leg.")
    ] = 1.0
    shape: Annotated[
        Literal["noise", "straight"], Meta(description="Brownian bridge, or a straight line.")
    ] = "noise"
    wicks: Annotated[
        Pair, Meta(description="How far BTC and ETH go beyond the ends of one step: -0.1 is a low.")
    ] = (0.0, 0.0)
    wick_at: Annotated[
        float, Meta(ge=0, le=1, description="Which step has them: 0 the first, 1 the last.")
    ] = 1.0
    stocks: Annotated[
        dict[StockName, float],
        Meta(description="Simple return of stocks, beside what comes with BTC."),
    ] = {}
    is_seen: Annotated[
        bool, Meta(description="Whether the exchange sees the indices; else its oracle stalls.")
    ] = True


class ScriptedStock(Struct, frozen=True, forbid_unknown_fields=True):
    """A stock of a script."""

    price: StartPrice = 100.0
    beta: Annotated[float, Meta(ge=-10, le=10, description="Its log move over that of BTC.")] = 0.0
    vol: Annotated[Vol, Meta(description="Of its own noise.")] = 0.0


class Index(Struct, frozen=True, forbid_unknown_fields=True):
    """How a vol index reacts: `sims.markets.vol_index`."""

    reaction: Annotated[
        float,
        Meta(ge=0, le=10, description="What its logarithm gains per unit of a falling log price."),
    ] = VolIndex().reaction
    reversion: Annotated[float, Meta(ge=0, le=1e5, description="A year, of what it gained.")] = (
        VolIndex().reversion
    )


class ScriptedMarket(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="model", tag="scripted"
):
    """Legs that every path follows, then calm: `sims.markets.scripted`."""

    legs: Annotated[
        tuple[Leg, ...], Meta(min_length=1, max_length=1_000, description="One after the other.")
    ]
    prices: Prices = (100_000.0, 4_000.0)
    vols: Vols = (0.55, 0.75)
    correlation: Annotated[Correlation, Meta(description="Of the noise of BTC and ETH.")] = 0.8
    stocks: Annotated[
        dict[StockName, ScriptedStock], Meta(description="By name; pools may be of these.")
    ] = {}
    feeds: Annotated[
        Literal["index", "vol", "estimator"], Meta(description="What vol levels are fed.")
    ] = "index"
    index: Index = field(default_factory=Index)

    def columns(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the stocks it can draw, in order."""
        del wanted
        return tuple(self.stocks)

    def build(self, data: Path | None, stocks: tuple[str, ...]) -> MarketModel:
        """Return the model.

        Raises:
            ValueError: For a leg that cannot be.
        """
        del data
        motions = (self.stocks[name] for name in stocks)
        return Scripted(
            tuple(self._leg(leg, stocks) for leg in self.legs),
            self.prices,
            self.vols,
            self.correlation,
            tuple(ScriptStock(one.price, one.beta, one.vol) for one in motions),
            self.feeds,
            VolIndex(self.index.reaction, self.index.reversion),
        )

    @staticmethod
    def _leg(leg: Leg, stocks: tuple[str, ...]) -> ScriptLeg:
        return ScriptLeg(
            leg.hours,
            leg.returns,
            vol_multiple=leg.vol_multiple,
            shape=leg.shape,
            wicks=leg.wicks,
            wick_at=leg.wick_at,
            stocks=tuple(leg.stocks.get(name, 0.0) for name in stocks) if leg.stocks else (),
            is_seen=leg.is_seen,
        )


Market = RegimesMarket | BrownianMarket | BootstrapMarket | ReplayedMarket | ScriptedMarket
