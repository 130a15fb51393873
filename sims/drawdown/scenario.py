"""A scenario: pools, the market they face, who trades with them, and how long and often."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta, Struct

from amm.ssvi import BTC_SURFACE, ETH_SURFACE, Ssvi
from amm.units import DAY_MS, MINUTE_MS
from sims.markets.block import Clock, MarketModel
from vaults.params import BTC_TERMS, ETH_TERMS, Parameters, Terms

Share = Annotated[float, Meta(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """One token's two pools.

    Attributes:
        token: Its name.
        stock: Column of `MarketBlock.stocks` its stock is in; -1 where there is none.
        main: Tokens main LPs bring at the start.
        insurance: Tokens insurers bring at the start.
        parameters: The token's.
        terms: Of each underlying.
        surfaces: Of each underlying, at any level.
    """

    token: str = "TSLA.M"
    stock: int = -1
    main: float = 10_000.0
    insurance: float = 1_500.0
    parameters: Parameters = field(default_factory=Parameters)
    terms: tuple[Terms, Terms] = (BTC_TERMS, ETH_TERMS)
    surfaces: tuple[Ssvi, Ssvi] = (BTC_SURFACE, ETH_SURFACE)


class Buyers(Struct, frozen=True, forbid_unknown_fields=True):
    """Who buys options; sizes are parts of what main LPs bring at the start."""

    orders_per_day: Annotated[
        float, Meta(ge=0, le=10_000, description="Mean number of orders; they come at random.")
    ] = 12.0
    size: Annotated[float, Meta(gt=0, le=1, description="Median notional of an order.")] = 0.008
    size_spread: Annotated[
        float, Meta(ge=0, le=3, description="Standard deviation of its logarithm.")
    ] = 0.8
    bitcoin: Annotated[
        Share, Meta(description="Share of orders in BTC; the others are in ETH.")
    ] = 0.6
    calls: Annotated[
        Share, Meta(description="Share of calls where the index has not moved for a day.")
    ] = 0.6
    momentum: Annotated[
        float, Meta(ge=-1, le=1, description="How much a day's move of 5 % shifts that share.")
    ] = 0.15
    strike_spread: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Standard deviation of log(strike / index), out of the money.",
        ),
    ] = 0.05
    strike_steps: Annotated[
        int, Meta(ge=1, le=100, description="Every so many-th strike is taken: round numbers.")
    ] = 2
    holding_days: Annotated[float, Meta(gt=0, le=3_650, description="Mean of the holding law.")] = (
        4.0
    )
    holding: Annotated[
        Literal["exponential", "fixed", "lognormal"], Meta(description="Law of the holding time.")
    ] = "exponential"
    self_funding: Annotated[
        Share,
        Meta(description="Share of positions that pay premium by selling parts of themselves."),
    ] = 0.3
    premium_days: Annotated[
        float,
        Meta(ge=1, le=365, description="Days of premium other buyers bring beside the price."),
    ] = 14.0
    take_profit: Annotated[
        Share, Meta(description="Share of positions sold early once worth twice what was paid.")
    ] = 0.2
    stop_loss: Annotated[
        Share, Meta(description="Share of positions sold early once worth half of what was paid.")
    ] = 0.15
    trailing: Annotated[
        Share,
        Meta(description="Share of positions sold early once they lost 30 % of their best value."),
    ] = 0.15

    def __post_init__(self) -> None:
        """Refuse rules of leaving that more than all positions have.

        Raises:
            ValueError: Always then.
        """
        if self.take_profit + self.stop_loss + self.trailing > 1.0:
            raise ValueError("take_profit, stop_loss and trailing are more than 1 together")


class Informed(Struct, frozen=True, forbid_unknown_fields=True):
    """Who knows something before the exchange does; sizes as of `Buyers`."""

    orders_per_day: Annotated[
        float,
        Meta(
            ge=0, le=10_000, description="Chances looked at; taken if a gain is left after costs."
        ),
    ] = 0.0
    size: Annotated[float, Meta(gt=0, le=1, description="Notional of an order.")] = 0.01
    lead_seconds: Annotated[
        float, Meta(ge=0, le=900, description="How much earlier than the exchange they see prices.")
    ] = 10.0
    vol_orders_per_day: Annotated[
        float,
        Meta(ge=0, le=10_000, description="Chances of those who see the vol level a step early."),
    ] = 0.0


class Providers(Struct, frozen=True, forbid_unknown_fields=True):
    """How LPs come and go; rates are parts of the pool's shares a day."""

    main_inflow: Annotated[
        Share, Meta(description="Tokens main LPs bring a day, over what they brought at the start.")
    ] = 0.005
    main_outflow: Annotated[Share, Meta(description="Part of main shares redeemed a day.")] = 0.005
    main_run: Annotated[
        Share,
        Meta(
            description="Part of them redeemed in a day for each 1 % the share price fell in one."
        ),
    ] = 0.01
    insurance_inflow: Annotated[Share, Meta(description="As main_inflow, of insurers.")] = 0.002
    insurance_outflow: Annotated[Share, Meta(description="As main_outflow, of insurers.")] = 0.002
    insurance_run: Annotated[Share, Meta(description="As main_run, of insurers.")] = 0.01


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything a drawdown study depends on.

    Attributes:
        name: Of the scenario.
        market: What draws the paths.
        pools: Of each token; all face the same market.
        buyers: Of each pool.
        informed: Of each pool.
        providers: Of each pool.
        start_ms: Time of the first row of each path.
        days: Length of a path.
        step_ms: Length of a step; whole minutes that divide a day, an hour at most.
        paths: How many.
        seed: Of everything that is drawn.
    """

    name: str
    market: MarketModel
    pools: tuple[PoolPlan, ...] = (PoolPlan(),)
    buyers: Buyers = field(default_factory=Buyers)
    informed: Informed = field(default_factory=Informed)
    providers: Providers = field(default_factory=Providers)
    start_ms: int = 1_767_571_200_000
    days: int = 30
    step_ms: int = 60 * MINUTE_MS
    paths: int = 10_000
    seed: int = 1

    @property
    def clock(self) -> Clock:
        """The moments of each path."""
        return Clock(self.start_ms, self.step_ms, self.days * DAY_MS // self.step_ms)
