"""A scenario: pools, the market they face, who trades with them, and how long and often."""

from dataclasses import dataclass, field

from amm.units import DAY_MS, MINUTE_MS
from sims.markets.block import Clock, MarketModel
from vaults.params import BTC_TERMS, ETH_TERMS, Parameters, Terms


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
    """

    token: str = "TSLA.M"
    stock: int = -1
    main: float = 10_000.0
    insurance: float = 1_500.0
    parameters: Parameters = field(default_factory=Parameters)
    terms: tuple[Terms, Terms] = (BTC_TERMS, ETH_TERMS)


@dataclass(frozen=True, slots=True)
class Buyers:
    """Who buys options; sizes are parts of what main LPs bring at the start.

    Attributes:
        orders_per_day: Mean number of orders; they come at random.
        size: Median notional of an order.
        size_spread: Standard deviation of its logarithm.
        bitcoin: Share of orders in the first underlying.
        calls: Share of calls where the index has not moved for a day.
        momentum: How much a day's move of 5 % shifts that share.
        strike_spread: Standard deviation of log(strike / index), out of the money.
        strike_steps: Buyers take every so many-th strike of the ladder: round numbers.
        holding_days: Mean of the holding law.
        holding: Law of the holding time: `exponential`, `fixed` or `lognormal`.
        self_funding: Share of positions that pay their premium by selling parts of themselves.
        premium_days: Days of premium other buyers bring beside the price.
        take_profit: Share of positions sold early once worth twice what was paid.
        stop_loss: Share of positions sold early once worth half of what was paid.
        trailing: Share of positions sold early once they lost 30 % of their best value.
    """

    orders_per_day: float = 12.0
    size: float = 0.008
    size_spread: float = 0.8
    bitcoin: float = 0.6
    calls: float = 0.6
    momentum: float = 0.15
    strike_spread: float = 0.05
    strike_steps: int = 2
    holding_days: float = 4.0
    holding: str = "exponential"
    self_funding: float = 0.3
    premium_days: float = 14.0
    take_profit: float = 0.2
    stop_loss: float = 0.15
    trailing: float = 0.15


@dataclass(frozen=True, slots=True)
class Informed:
    """Who knows something before the exchange does; sizes as of `Buyers`.

    Attributes:
        orders_per_day: Chances they look at, each one taken if it promises a gain after costs.
        size: Notional of an order.
        lead_seconds: How much earlier than the exchange they see the index.
        vol_orders_per_day: Chances of those who see the next vol level a step early.
    """

    orders_per_day: float = 0.0
    size: float = 0.01
    lead_seconds: float = 10.0
    vol_orders_per_day: float = 0.0


@dataclass(frozen=True, slots=True)
class Providers:
    """How LPs come and go; rates are parts of the pool's shares a day.

    Attributes:
        main_inflow: Tokens main LPs bring a day, over what they brought at the start.
        main_outflow: Part of main shares redeemed a day.
        main_run: Part of main shares redeemed in a day for each 1 % the share price fell since the
            day before.
        insurance_inflow: As `main_inflow`, of insurers.
        insurance_outflow: As `main_outflow`.
        insurance_run: As `main_run`.
    """

    main_inflow: float = 0.005
    main_outflow: float = 0.005
    main_run: float = 0.01
    insurance_inflow: float = 0.002
    insurance_outflow: float = 0.002
    insurance_run: float = 0.01


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
