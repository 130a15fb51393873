"""The bundle of a flush: all it was made from and all it did, for anybody to recompute.

Amounts and shares are decimal strings in tokens, prices in USD; values per unit of notional,
vols and rates are decimal strings too, of as many digits as the binary number needs. Times are
milliseconds UTC. Accounts are not named. A bundle is kept as the bytes it was first written in:
the journal has their SHA-256. Only msgspec is imported here, so that a client is light.
"""

from typing import Literal

from api.wire import Advance, Attribution, Decimal, Given, Millis, PoolName

BUNDLE_VERSION = 1


class MinuteMarks(Given):
    """One minute of an index: lowest, highest and last price, and the vol level at the last."""

    minute: Millis
    low: Decimal
    high: Decimal
    last: Decimal
    vol: Decimal


class SurfaceMarks(Given):
    """The smile at any level; `published` is 0 for the default one."""

    published: Millis
    long_vol: Decimal
    reversion: Decimal
    skew: Decimal
    curvature: Decimal


class UnderlyingMarks(Given):
    """One underlying's marks.

    Attributes:
        underlying: Its name.
        index: The last price.
        index_time: When it was published.
        vol: The vol level at the mark.
        minutes: The valuation window, minute by minute.
        median: Of the window's last prices.
        low: The window's lowest price.
        high: The window's highest price.
        median_vol: Of the window's vol levels.
        surface: Smile in force.
        funding_period: Of new series, milliseconds: with `discount_rate` what the smile is for.
        discount_rate: Of new series, a year.
        funding_carry: Carry without the quanto term, a year.
        correlation: Of the underlying and the token.
    """

    underlying: str
    index: Decimal
    index_time: Millis
    vol: Decimal
    minutes: list[MinuteMarks]
    median: Decimal
    low: Decimal
    high: Decimal
    median_vol: Decimal
    surface: SurfaceMarks
    funding_period: Millis
    discount_rate: Decimal
    funding_carry: Decimal
    correlation: Decimal


class SeriesMarks(Given):
    """A series with open notional.

    Attributes:
        underlying: Its underlying.
        kind: call or put.
        strike: In USD.
        cap: Payoff limit per unit of notional.
        funding_period: Milliseconds.
        discount_rate: A year.
        open_notional: Of all positions together.
        locked: The most they can be paid.
        receivable: Premium not settled once everybody has paid: what rounding has left.
        value_mid: Of one unit, at the window's medians.
        value_low: The least over the window's box.
        value_high: The most over the window's box.
        stress_down: What the base stress adds to the value, index down.
        stress_up: The same, index up.
    """

    underlying: str
    kind: Literal["call", "put"]
    strike: Decimal
    cap: Decimal
    funding_period: Millis
    discount_rate: Decimal
    open_notional: Decimal
    locked: Decimal
    receivable: Decimal
    value_mid: Decimal
    value_low: Decimal
    value_high: Decimal
    stress_down: Decimal
    stress_up: Decimal


class PoolFigures(Given):
    """Both pools at a moment; the cover period's figures are those of the last flush."""

    main: Decimal
    insurance: Decimal
    main_shares: Decimal
    main_seed_shares: Decimal
    insurance_shares: Decimal
    locked: Decimal
    impact_refundable: Decimal
    advances: Decimal
    written_off: Millis
    nav_reference: Decimal
    nav_after: Decimal
    insurance_share: Decimal
    rent_doubled: bool
    exhausted: bool
    flushes: int
    next_flush: Millis
    cutoff: Millis
    cover_insurance: Decimal
    cover_nav: Decimal
    cover_pnl: Decimal
    cover_claimed: Decimal
    peak_insurance: Decimal
    peak_shares: Decimal


class SpreadLot(Given):
    """Spread received on a day, counted from 1970, that vests over the days after."""

    day: int
    amount: Decimal


class FlushRequest(Given):
    """A request that was open; `amount` is what it then asked for.

    `filled` and `received` are the parts before this flush, `filled_now` and `received_now` in it.
    """

    number: int
    pool: PoolName
    kind: Literal["deposit", "redemption"]
    flush: int
    created: Millis
    amount: Decimal
    filled: Decimal
    received: Decimal
    min_out: Decimal
    filled_now: Decimal
    received_now: Decimal
    status: Literal["open", "filled", "cancelled", "returned"]


class FlushEvent(Given):
    """What happened, in its order: a transfer, named by its flow, or the `fill` of a request.

    Of a transfer `amount` went from `source` to `target`. A fill took `amount` of what the request
    offers, and gave it `received`; one that takes nothing returns it.
    """

    event: str
    amount: Decimal
    source: str | None = None
    target: str | None = None
    request: int | None = None
    received: Decimal | None = None


class Valuation(Given):
    """N_lo, N_mid and N_hi."""

    low: Decimal
    mid: Decimal
    high: Decimal


class CoverFigures(Given):
    """The cover period as the flush found it.

    Attributes:
        pnl: Main's profit and loss in it, flows and cover left out.
        peak: Insurance at its highest, for today's shares.
        deductible: What main bears itself.
        layer: What insurance pays at most.
        available: What it could pay.
        claimed: What it had paid.
    """

    pnl: Decimal
    peak: Decimal
    deductible: Decimal
    layer: Decimal
    available: Decimal
    claimed: Decimal


class SideFigures(Given):
    """What one pool's LPs were priced with, and how much could leave.

    Attributes:
        supply: Shares before anyone came or went.
        low: NAV redemptions were paid at.
        cross: NAV shares changed hands at.
        high: NAV deposits were taken at.
        free: What net redemptions could take.
        exit_fee: What they paid, a ratio.
        crossed: Shares that changed hands.
    """

    supply: Decimal
    low: Decimal
    cross: Decimal
    high: Decimal
    free: Decimal
    exit_fee: Decimal
    crossed: Decimal


class FlushResults(Given):
    """What the flush came to.

    Attributes:
        condition: NORMAL, STRESSED, WINDDOWN or EXHAUSTED.
        stress: Base stress.
        before: NAV as the flush found it.
        cover: How the cover period stood.
        claim: What insurance paid main.
        repaid: What main paid back.
        written_off: What main owes no more.
        nav: NAV after these.
        main: Of the main pool.
        insurance: Of the insurance pool.
        nav_after: NAV after LPs have come and gone.
        insurance_share: Of streamed premium, until the next flush.
        new_period: Whether a cover period begins.
    """

    condition: str
    stress: Decimal
    before: Valuation
    cover: CoverFigures
    claim: Decimal
    repaid: Decimal
    written_off: Decimal
    nav: Valuation
    main: SideFigures
    insurance: SideFigures
    nav_after: Valuation
    insurance_share: Decimal
    new_period: bool


class SplitDone(Given):
    """A split: `numerator` new tokens for `denominator` old ones, every amount rounded down."""

    numerator: int
    denominator: int
    applied: Millis


class BooksGiven(Given):
    """What a flush closed its books with: totals by flow are since the token was listed."""

    nav: Decimal
    insurance: Decimal
    accrued: Decimal
    refundable: Decimal
    flows: dict[str, Decimal]


class FlushBundle(Given):
    """Everything a flush was made from and came to.

    Attributes:
        version: Of this description.
        token: Whose pools.
        flush: Its number, from 1.
        exchange_time: When.
        parameters_version: Of the parameters.
        parameters: In force, in the units of `GET /v1/parameters`.
        underlyings: Marks of those that have any.
        series: Those with open notional, in the order they are summed in.
        before: The pools as the flush found them.
        vesting: Spread not yet earned, then.
        advances: What main owed, then.
        requests: All that were open, in the order they were made.
        events: What was moved and filled, in its order.
        results: What it came to.
        after: The pools as the flush left them.
        advances_after: What main owes.
        splits: Every split of the token until this flush, the first one first; those that the
            bundle of the flush before has not are those of the epoch.
        opened: Books of the flush before, as splits have left them.
        closed: Books of this flush.
        main: Why N_mid has changed since the flush before.
        insurance: Why the insurance pool's cash has.
    """

    version: int
    token: str
    flush: int
    exchange_time: Millis
    parameters_version: int
    parameters: dict[str, float]
    underlyings: list[UnderlyingMarks]
    series: list[SeriesMarks]
    before: PoolFigures
    vesting: list[SpreadLot]
    advances: list[Advance]
    requests: list[FlushRequest]
    events: list[FlushEvent]
    results: FlushResults
    after: PoolFigures
    advances_after: list[Advance]
    splits: list[SplitDone]
    opened: BooksGiven
    closed: BooksGiven
    main: Attribution
    insurance: Attribution
