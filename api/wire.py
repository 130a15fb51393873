"""What crosses the wire: requests and answers of the HTTP API, for server and client alike.

Amounts, prices and ratios are decimal strings, times integer milliseconds UTC, ids strings. What
a request does not know of is refused, never ignored. Only msgspec is imported here, so that a
client is light.
"""

from typing import Annotated, Generic, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

Item = TypeVar("Item")

Amount = Annotated[
    str,
    Meta(
        max_length=64,
        description="Decimal number without sign or exponent, at most 8 decimals.",
        examples=["10", "0.25"],
        # Only documented: `parse_amount` says better what is wrong.
        extra_json_schema={"extra": {"pattern": r"^(0|[1-9][0-9]{0,15})(\.[0-9]{1,8})?$"}},
    ),
]
"""An amount a caller gives; `amm.units.parse_amount` says what is wrong with one."""
Decimal = Annotated[str, Meta(description="Decimal number; may carry a minus sign.")]
"""A number the exchange gives."""
Millis = Annotated[int, Meta(description="Milliseconds since 1970 UTC.")]
Instant = Annotated[int, Meta(ge=1, le=7_258_118_400_000, description="Milliseconds UTC.")]
"""A time a caller gives, up to the year 2200."""
# A line feed may follow what `$` matches, so that each says that none does.
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}$(?!\n)", max_length=64)]
"""An account, a reference or a label of the caller's."""
TokenName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z0-9][A-Z0-9.]{0,15}(~([2-9]|[1-9][0-9]{1,2}))?$(?!\n)",
        examples=["TSLA.M", "TSLA.M~2"],
    ),
]
"""A token, or its k-th generation, NAME~k."""
Symbol = Annotated[str, Meta(pattern=r"^[A-Z]{2,8}$(?!\n)", examples=["BTC"])]
InstrumentName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z]{2,8}-[A-Z0-9][A-Z0-9.]{0,15}(~([2-9]|[1-9][0-9]{1,2}))?"
        r"-(0|[1-9][0-9]{0,15})(\.[0-9]{1,8})?-[CP]$",
        max_length=64,
        examples=["BTC-TSLA.M-100000-C"],
    ),
]
Side = Literal["open", "close"]
PoolName = Literal["main", "insurance"]
Role = Literal["read", "trade", "provide", "risk", "operator"]
Networks = Annotated[
    list[
        Annotated[
            str,
            Meta(pattern=r"^[0-9a-fA-F:.]{2,45}(/[0-9]{1,3})?$(?!\n)", examples=["203.0.113.0/24"]),
        ]
    ],
    Meta(max_length=32),
]
"""Networks that a key may be used from."""


class Asked(Struct, kw_only=True, forbid_unknown_fields=True):
    """A request body."""


class Given(Struct, kw_only=True):
    """An answer; clients read past fields they do not know."""


class Page(Struct, Generic[Item], kw_only=True):
    """A part of a list; `next` is the cursor of the rest, null at the end."""

    items: list[Item]
    next: str | None = None


class Problem(Struct, kw_only=True, omit_defaults=True):
    """Why a request was not carried out (RFC 9457); nothing has changed.

    Attributes:
        type: URI reference of the code's description.
        title: The code in words.
        status: The HTTP status.
        code: Stable code to branch on.
        detail: What happened, for people.
        request_id: Also in the header `EG-Request`.
        field: Where in the request.
        limit: What would have been allowed.
        actual: What it was.
        order_id: The refused order, where one was recorded.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    field: str | UnsetType = UNSET
    limit: str | UnsetType = UNSET
    actual: str | UnsetType = UNSET
    order_id: str | UnsetType = UNSET


# -- public


class ProblemCode(Given):
    """A code a problem can have."""

    code: str
    status: int
    title: str


class Health(Given):
    """That all is well."""

    status: Literal["ok"]


class Time(Given):
    """Both clocks; they differ only where a replay or a simulation runs at its own pace.

    `time` is the server's, which signatures are checked against; `exchange_time` that of the
    journal, which premium, `expires_at` and every other time of the exchange follow.
    """

    time: Millis
    exchange_time: Millis


class Index(Given):
    """The index of an underlying and its vol level.

    Attributes:
        symbol: Its name.
        price: USD; null before the first observation.
        confidence: Half-width of the confidence interval, USD.
        published: Time of the observation in force.
        age: Milliseconds since then.
        fresh: Whether it may be traded on.
        vol: Mark vol per sqrt(year).
        target_vol: What the mark follows.
        low: Of the last hour.
        high: Of the last hour.
    """

    symbol: str
    price: Decimal | None
    confidence: Decimal
    published: Millis
    age: int
    fresh: bool
    vol: Decimal
    target_vol: Decimal
    low: Decimal
    high: Decimal


StateName = Literal["NORMAL", "STALE", "STRESSED", "WINDDOWN", "EXHAUSTED", "PAUSED", "HALTED"]
"""What can be done in a token: its pools' condition, or what is in the way of trading first.

HALTED: a corporate action is awaited, nothing but that. EXHAUSTED: positions can be closed alone.
PAUSED: the operator lets nobody open. STALE: an index is not fresh. Then as the condition.
"""


class TokenState(Given):
    """One token in the status."""

    token: str
    state: StateName


class FeedPrice(Given):
    """The last good price of a symbol from one source: its publish time, 0 where there is none."""

    symbol: str
    published: Millis


class FeedSource(Given):
    """A source of prices.

    Attributes:
        name: As in the feed's.
        state: live: a fresh price of every symbol; part: of some; down: of none; starting: not
            heard of yet; refused: the last price of some symbol was not believed.
        last: When its last good price was published; 0: there was none.
        messages: Heard since the start.
        failures: Connections lost or refused, and prices that were no good.
        reconnects: Connections that were begun again.
        last_error: What was wrong last, or why it is refused.
        prices: Of each symbol.
    """

    name: str
    state: Literal["starting", "live", "part", "down", "refused"]
    last: Millis
    messages: int
    failures: int
    reconnects: int
    last_error: str | None
    prices: list[FeedPrice]


class Status(Given):
    """How the exchange is.

    Attributes:
        version: Of the software.
        rules_version: Of the rules the journal is written with.
        started: When the process began.
        exchange_time: Time of the journal.
        feed: Where prices come from.
        feeds: Each source of it; none where prices are pushed.
        journal: Commands journalled so far.
        indices: Every underlying.
        tokens: Every token.
        invariants: "hold", or the first that is broken, as I1 ... I15.
        invariants_checked: When they were last checked.
        waiting: Orders waiting for an index.
        lag: Milliseconds the last batch took from its first command to its commit.
    """

    version: str
    rules_version: str
    started: Millis
    exchange_time: Millis
    feed: str
    feeds: list[FeedSource]
    journal: int
    indices: list[Index]
    tokens: list[TokenState]
    invariants: str
    invariants_checked: Millis
    waiting: int
    lag: Decimal


class SeriesTerms(Given):
    """Terms of new series of one underlying in one token.

    Attributes:
        underlying: Its symbol.
        strike_step: USD between strikes.
        strike_low: Lowest strike that may be opened, over the index.
        strike_high: Highest.
        cap: Largest payoff per unit of notional.
        funding_period: Milliseconds over which a holder pays the time value once.
        discount_rate: Yield of the token, per year.
    """

    underlying: str
    strike_step: Decimal
    strike_low: Decimal
    strike_high: Decimal
    cap: Decimal
    funding_period: int
    discount_rate: Decimal


class StockSession(Given):
    """Whether the stock of a token trades.

    Attributes:
        name: REGULAR, EXTENDED before and after it, OVERNIGHT, CLOSED; HALTED where the operator
            says so.
        next: The one after it; null while HALTED.
        changes: When that begins.
    """

    name: Literal["REGULAR", "EXTENDED", "OVERNIGHT", "CLOSED", "HALTED"]
    next: Literal["REGULAR", "EXTENDED", "OVERNIGHT", "CLOSED"] | None
    changes: Millis | None


class StockPrice(Given):
    """What the stock of a token costs, for display: nothing is computed from it.

    Attributes:
        stock: USD a share.
        multiplier: Shares that a token stands for.
        reference: What a token should cost: stock x multiplier.
        token: What it costs where it is traded; null where that is not known.
        away: Whether that is more than 3 % from the reference.
        published: When, in exchange time.
    """

    stock: Decimal
    multiplier: Decimal
    reference: Decimal
    token: Decimal | None
    away: bool
    published: Millis


class Token(Given):
    """A listed token.

    Attributes:
        token: Its name.
        decimals: Kept of its amounts.
        listed: When, in exchange time.
        paused: Whether it takes no openings.
        deposits_held: Whether its pools take no deposits, because it does not follow its stock.
        session: Of its stock, where it is known.
        stock: Its stock's price, where the operator gives one.
        notional_min: Least notional of an opening.
        terms: Of new series, by underlying.
    """

    token: str
    decimals: int
    listed: Millis
    paused: bool
    deposits_held: bool
    session: StockSession | None
    stock: StockPrice | None
    notional_min: Decimal
    terms: list[SeriesTerms]


class Instrument(Given):
    """A series: a token, an underlying, a kind and a strike; it never expires.

    Attributes:
        instrument: Its name.
        token: What it is paid and settled in.
        underlying: Whose index it follows.
        kind: call or put.
        strike: USD.
        cap: Largest payoff per unit of notional; there it is cashed out.
        funding_period: Milliseconds.
        discount_rate: Per year.
        can_open: Whether the strike is within today's window.
        open_notional: Of all positions.
    """

    instrument: str
    token: str
    underlying: str
    kind: Literal["call", "put"]
    strike: Decimal
    cap: Decimal
    funding_period: int
    discount_rate: Decimal
    can_open: bool
    open_notional: Decimal


class Ticker(Given):
    """A series at the mark, per unit of notional; exchange_time is that of the mark.

    Attributes:
        instrument: Its name.
        exchange_time: When.
        index: USD.
        mark: Value.
        delta: Change of the value per unit of index over strike.
        gamma: Change of delta per unit of index over strike.
        vega: Change of the value per 1.00 of vol.
        vol: Of its strike.
        premium_per_day: What a holder streams, rent included.
        open_notional: Of all positions.
    """

    instrument: str
    exchange_time: Millis
    index: Decimal
    mark: Decimal
    delta: Decimal
    gamma: Decimal
    vega: Decimal
    vol: Decimal
    premium_per_day: Decimal
    open_notional: Decimal


class InstrumentDetail(Given):
    """A series and, where its underlying has an index, its ticker."""

    instrument: Instrument
    ticker: Ticker | None


class MarkPoint(Given):
    """A reading of a series; per unit of notional."""

    exchange_time: Millis
    index: Decimal
    mark: Decimal
    vol: Decimal
    premium_per_day: Decimal
    open_notional: Decimal


class PoolSide(Given):
    """One pool of a token, in tokens.

    Attributes:
        cash: What it holds.
        nav_low: Price base of redemptions.
        nav_mid: At the marks.
        nav_high: Price base of deposits.
        shares: Outstanding, seed included.
        share_price: (nav_mid + 1 unit) / (shares + 1 unit).
        deposits_waiting: Tokens asked to be deposited.
        redemptions_waiting: Shares asked to be redeemed.
        free: What redemptions could take now, in tokens.
    """

    cash: Decimal
    nav_low: Decimal
    nav_mid: Decimal
    nav_high: Decimal
    shares: Decimal
    share_price: Decimal
    deposits_waiting: Decimal
    redemptions_waiting: Decimal
    free: Decimal


Condition = Literal["NORMAL", "STALE", "STRESSED", "WINDDOWN", "EXHAUSTED"]
"""What the marks of a pool let it take on; see docs/pools.md."""


class Pool(Given):
    """Both pools of a token.

    Attributes:
        token: Its name.
        state: As in the status.
        condition: What its marks let it take on.
        main: First underwriter.
        insurance: Excess-of-loss cover.
        locked: The most all open positions can ever be paid.
        backing: What may be locked.
        utilisation: locked / backing.
        rent: What a locked token costs a year.
        insurance_share: Of streamed premium that goes to insurance.
        live_series: Series with open notional.
        flushes: Done so far.
        next_flush: When requests are priced.
        cutoff: Requests made later wait for the flush after.
    """

    token: str
    state: StateName
    condition: Condition
    main: PoolSide
    insurance: PoolSide
    locked: Decimal
    backing: Decimal
    utilisation: Decimal
    rent: Decimal
    insurance_share: Decimal
    live_series: int
    flushes: int
    next_flush: Millis
    cutoff: Millis


class Performance(Given):
    """What a pool's shares have earned, flush by flush, and what they can be expected to.

    Attributes:
        since: When the first flush counted was; null before there was one.
        flushes: Changes from flush to flush that are counted, the last year's at most.
        realised_apr: Logarithm of the growth of a share, a year; null before there is a change.
        realised_error: Its standard error, from the changes; null before there are two.
        premium_apr: What options stream now to this pool, a year, over what it is worth: before
            all gains and losses on the options. Null where it is worth nothing.
        drawdown: How far the share is now below its highest; a ratio.
        drawdown_max: The most it has been.
    """

    since: Millis | None
    flushes: int
    realised_apr: Decimal | None
    realised_error: Decimal | None
    premium_apr: Decimal | None
    drawdown: Decimal
    drawdown_max: Decimal


class Advance(Given):
    """What insurance advanced on a day, counted from 1970: written off from `since` to `until`.

    `amount` was left at `since`; `remaining` is what was left at the last flush or since.
    """

    day: int
    amount: Decimal
    since: Millis
    until: Millis
    remaining: Decimal


class Owed(Given):
    """What main will owe at a time, if no more is advanced or paid back."""

    exchange_time: Millis
    amount: Decimal


class Cover(Given):
    """How the cover period of main LPs stands, at the marks.

    Attributes:
        pnl: Main's profit and loss in it, flows and cover left out.
        deductible: What main LPs bear themselves.
        deductible_left: What of it they have not borne yet.
        layer: What insurance pays in the period at most.
        claimed: What it has paid.
        available: What it can pay now.
        claim: What it would pay if the flush were now.
        period_end: When the period's last flush is due.
        owed: Advances main has not paid back.
        advances: The lots of these, the oldest first.
        write_off: What will be left of them by and by.
    """

    pnl: Decimal
    deductible: Decimal
    deductible_left: Decimal
    layer: Decimal
    claimed: Decimal
    available: Decimal
    claim: Decimal
    period_end: Millis
    owed: Decimal
    advances: list[Advance]
    write_off: list[Owed]


class Attribution(Given):
    """Why a pool is worth what it is; the lines sum to `closed` - `opened`, to the unit.

    Of main they are of N_mid, of insurance of its cash; see `vaults.epoch`.
    """

    opened: Decimal
    closed: Decimal
    lines: dict[str, Decimal]


class PoolDetail(Pool):
    """Both pools of a token, and what its LPs have had and can expect of them.

    Attributes:
        stress: What the base stress would cost main.
        premium: What options stream now, a year.
        main_performance: Of a main share.
        insurance_performance: Of an insurance share.
        cover: How insurance stands behind main.
        main_attribution: Why N_mid has changed since the last flush, up to now.
        insurance_attribution: Why the cash of insurance has.
        session: Of the token's stock, where it is known.
    """

    session: StockSession | None
    stress: Decimal
    premium: Decimal
    main_performance: Performance
    insurance_performance: Performance
    cover: Cover
    main_attribution: Attribution
    insurance_attribution: Attribution


class PoolPoint(Given):
    """A reading of the main pool; `insurance` is the insurance pool's cash."""

    exchange_time: Millis
    nav_mid: Decimal
    shares: Decimal
    share_price: Decimal
    locked: Decimal
    utilisation: Decimal
    insurance: Decimal


class FlushRecord(Given):
    """A flush: NAV and shares of the main pool as priced, and after LPs came and went.

    `insurance` is the insurance pool's cash, after it as all that follows; `share_growth` is what a
    share has become of 1 since the flush before. `bundle` is the SHA-256 of the flush's bundle.
    """

    flush: int
    exchange_time: Millis
    nav_mid: Decimal
    shares: Decimal
    share_price: Decimal
    nav_mid_after: Decimal
    shares_after: Decimal
    share_price_after: Decimal
    share_growth: Decimal
    insurance: Decimal
    insurance_shares: Decimal
    insurance_share_price: Decimal
    insurance_share_growth: Decimal
    bundle: str


class Scenarios(Given):
    """What a move of all indices would cost main LPs now, in tokens.

    `losses[i][j]` belongs to `spot_moves[i]` and `vol_moves[j]`, relative moves both.
    """

    token: str
    spot_moves: list[Decimal]
    vol_moves: list[Decimal]
    losses: list[list[Decimal]]


class PublicTrade(Given):
    """A trade anybody may see; `price` is total over notional."""

    id: str
    exchange_time: Millis
    instrument: str
    side: Side
    notional: Decimal
    total: Decimal
    price: Decimal
    index: Decimal


class ParametersVersion(Given):
    """A version of a token's parameters that was announced."""

    version: int
    announced: Millis
    effective: Millis
    parameters: dict[str, float]


class TokenParameters(Given):
    """The parameters of a token; numbers as `docs/rules.md` names and scales them.

    Attributes:
        token: Its name.
        version: In force.
        effective: Since when.
        parameters: In force.
        announced: What takes their place, from `effective` on; null where nothing was announced.
    """

    token: str
    version: int
    effective: Millis
    parameters: dict[str, float]
    announced: ParametersVersion | None = None


class CorporateAction(Given):
    """A split or a dividend of a token, in all its generations.

    Trading waits from `effective` on (`open`), until it is done (`applied`), taken back
    (`withdrawn`) or `lapses`.

    Attributes:
        id: Its number.
        token: Name of the first generation.
        action: What it is.
        status: Where it stands.
        announced: When it was.
        effective: When its window opens.
        lapses: When its window closes at the latest, or it was taken back.
        applied: When it was done; null before.
        numerator: Of a split: new tokens ...
        denominator: ... for so many old ones.
        amount: Of a dividend: tokens for all custody together.
    """

    id: str
    token: str
    action: Literal["split", "dividend"]
    status: Literal["announced", "open", "applied", "withdrawn", "lapsed"]
    announced: Millis
    effective: Millis
    lapses: Millis
    applied: Millis | None
    numerator: int | None
    denominator: int | None
    amount: Decimal | None


# -- quote and trade


class QuoteRequest(Asked):
    """What an order would cost or bring now. With an account (a key's own) its balance counts."""

    instrument: InstrumentName
    side: Side
    notional: Amount
    account: Name | None = None


class Quote(Given):
    """An order's price now, in tokens; nothing is reserved.

    Attributes:
        instrument: Of the request.
        side: Of the request.
        notional: Of the request.
        exchange_time: When.
        index: USD.
        vol: Of the strike.
        mid: Value at the mark.
        impact: Risk charge of an open; of a close, minus what is refunded.
        spread: For a stale index, vol and correlation.
        fee: The protocol's.
        total: Paid by a buyer (mid + impact + spread + fee, rounded up), received by a seller.
        premium_per_day: What the order's notional streams, rent included.
        days_covered: How long the account's balance then lasts; null without an account.
        break_even: Index at which the payoff repays the total; null for a close.
        leverage: Exposure to the index over what is paid; null for a close.
        maximum_notional: Largest that would be filled now; null for a close.
        lock: The most it can ever be paid.
        utilisation: Of the pool, before.
        utilisation_after: And after.
        valid: Whether the order would be filled, but for its price limit.
        reason: Code of the refusal where not.
        limit: What would be allowed.
        actual: What it is.
    """

    instrument: str
    side: Side
    notional: Decimal
    exchange_time: Millis
    index: Decimal
    vol: Decimal
    mid: Decimal
    impact: Decimal
    spread: Decimal
    fee: Decimal
    total: Decimal
    premium_per_day: Decimal
    days_covered: Decimal | None
    break_even: Decimal | None
    leverage: Decimal | None
    maximum_notional: Decimal | None
    lock: Decimal
    utilisation: Decimal
    utilisation_after: Decimal
    valid: bool
    reason: str | None = None
    limit: str | None = None
    actual: str | None = None


class OrderRequest(Asked):
    """Open: buy notional for at most `limit_total`. Close: sell for at least `limit_total`.

    `expires_at` is in exchange time; a later fill is refused. `client_id` comes back unchanged.
    """

    instrument: InstrumentName
    side: Side
    notional: Amount
    limit_total: Amount
    self_funding: bool = False
    client_id: Name | None = None
    expires_at: Instant | None = None


class BatchRequest(Asked):
    """Orders that are carried out one after another; each has its own result."""

    orders: Annotated[list[OrderRequest], Meta(min_length=1, max_length=100)]


class CloseRequest(Asked):
    """Sell a position, or the part `notional` of it, for at least `limit_total`."""

    notional: Amount | None = None
    limit_total: Amount = "0"
    client_id: Name | None = None
    expires_at: Instant | None = None


class PositionPatch(Asked):
    """Switch self-funding on or off."""

    self_funding: bool


class Order(Given):
    """An order and what became of it.

    Attributes:
        id: Its number in the journal.
        status: filled; queued (a close on a stale mark: filled at the next fresh index); refused.
        instrument: What.
        side: Which way.
        notional: Asked for; of a close that leaves less than the minimum, all is sold.
        limit_total: Given with it.
        self_funding: Given with it.
        client_id: Given with it.
        expires_at: Given with it.
        exchange_time: When it was carried out.
        filled: Notional done.
        total: Paid by a buyer, received by a seller, fee included.
        fee: The protocol's part.
        index: It was done at, USD.
        position_id: Whose notional it changed.
        code: Of the refusal.
    """

    id: str
    status: Literal["filled", "queued", "refused"]
    instrument: str
    side: Side
    notional: Decimal
    limit_total: Decimal
    self_funding: bool
    client_id: str | None
    expires_at: Millis | None
    exchange_time: Millis
    filled: Decimal
    total: Decimal
    fee: Decimal
    index: Decimal | None
    position_id: str | None
    code: str | None = None


class BatchResult(Given):
    """The result of one order of a batch: the order, or why there is none."""

    status: int
    order: Order | None = None
    problem: Problem | None = None


class Batch(Given):
    """Results in the order of the request."""

    results: list[BatchResult]


class Trade(Given):
    """An own trade."""

    id: str
    exchange_time: Millis
    instrument: str
    side: Side
    notional: Decimal
    total: Decimal
    fee: Decimal
    price: Decimal
    index: Decimal
    position_id: str
    client_id: str | None


class Position(Given):
    """Notional of one series held by the account.

    Attributes:
        id: Its number.
        instrument: What.
        notional: How much.
        mark: Value per unit of notional.
        value: Of all of it at the mark.
        premium_owed: Since it was last settled.
        premium_per_day: At the present mark, rent included.
        impact_paid: Refundable, as the book's risk goes.
        lock: The most it can ever be paid.
        self_funding: Whether it pays premium out of its own sale.
    """

    id: str
    instrument: str
    notional: Decimal
    mark: Decimal
    value: Decimal
    premium_owed: Decimal
    premium_per_day: Decimal
    impact_paid: Decimal
    lock: Decimal
    self_funding: bool


class PremiumPayment(Given):
    """Premium settled from the account's balance; `to` is the pool that received it."""

    id: str
    exchange_time: Millis
    token: str
    to: PoolName
    amount: Decimal


# -- account


class Balance(Given):
    """What the account holds of one token.

    Attributes:
        token: Its name.
        balance: Free balance, premium owed included.
        withdrawable: Less premium owed and an hour of premium.
        premium_owed: Since the last settlements.
        positions_value: Of all positions at the mark.
        equity: balance - premium_owed + positions_value.
        premium_per_day: Of all positions.
        days_covered: How long the balance lasts; null without premium.
        next_check: When positions begin to fund themselves at the present rates; null as above.
        escrowed: Deposits that wait for a flush.
        main_shares: Free shares of the main pool.
        insurance_shares: Free shares of the insurance pool.
    """

    token: str
    balance: Decimal
    withdrawable: Decimal
    premium_owed: Decimal
    positions_value: Decimal
    equity: Decimal
    premium_per_day: Decimal
    days_covered: Decimal | None
    next_check: Millis | None
    escrowed: Decimal
    main_shares: Decimal
    insurance_shares: Decimal


class Account(Given):
    """An account: one balance for each token it ever held."""

    account: str
    exchange_time: Millis
    balances: list[Balance]


class LedgerLine(Given):
    """Tokens that moved between two buckets for an account.

    One of them is its balance, but for the fee of a close, which the pool pays.
    """

    id: str
    exchange_time: Millis
    token: str
    flow: str
    debited: str
    credited: str
    amount: Decimal


class WithdrawalRequest(Asked):
    """Take free balance out, to a destination by its label or id where the account lists some."""

    token: TokenName
    amount: Amount
    destination: Name | None = None


class TransferRequest(Asked):
    """Move free balance to another generation of the same token."""

    token: TokenName
    target: TokenName
    amount: Amount


class Transfer(Given):
    """A balance that was moved from one generation to another."""

    id: str
    token: str
    target: str
    amount: Decimal
    exchange_time: Millis


class Withdrawal(Given):
    """A withdrawal; completed once the operator has paid it out.

    Its `id` begins with its token, as TSLA.M-1.
    `destination` is the address it is sent to, null where none was named.
    """

    id: str
    account: str
    token: str
    amount: Decimal
    status: Literal["pending", "completed"]
    destination: str | None
    requested: Millis
    completed: Millis | None
    reference: str | None


class DestinationRequest(Asked):
    """A place withdrawals may be sent to, as the operator is to read it, and what to call it."""

    label: Name
    address: Annotated[str, Meta(pattern=r"^[!-~]{1,128}$(?!\n)", max_length=128)]


class Destination(Given):
    """A place withdrawals may be sent to.

    Attributes:
        id: Names it, as its label does while it is listed.
        label: The account's name of it.
        address: As the operator reads it.
        created: When it was listed.
        usable: From when on it can be used.
        removed: When it was removed; null: it is listed.
    """

    id: str
    label: str
    address: str
    created: Millis
    usable: Millis
    removed: Millis | None


class ListSwitch(Asked):
    """Whether to withdraw to the account's destinations only."""

    on: bool


class WithdrawalList(Given):
    """Whether the account withdraws to its destinations only.

    Attributes:
        on: Whether it does now.
        since: Since when; null where it does not.
        until: Until when, where it was switched off; null where it was not.
    """

    on: bool
    since: Millis | None
    until: Millis | None


class Deposit(Given):
    """A confirmed external deposit."""

    id: str
    token: str
    amount: Decimal
    exchange_time: Millis
    reference: str | None


# -- provide


class PoolDepositRequest(Asked):
    """Offer tokens to a pool; priced at a flush, returned there where it yields too few shares."""

    amount: Amount
    min_out: Amount = "0"


class RedemptionRequest(Asked):
    """Offer shares back; priced at a flush, returned there where it yields too few tokens."""

    shares: Amount
    min_out: Amount = "0"


class PoolRequest(Given):
    """A request of a provider.

    Attributes:
        id: Its number.
        token: Whose pools.
        pool: Which of them.
        kind: deposit (tokens) or redemption (shares).
        amount: Asked for: tokens or shares.
        filled: Part that was priced.
        received: For that part: shares or tokens.
        min_out: Least to be received.
        status: open, filled, cancelled or returned (it would have yielded less than min_out).
        requested: When.
        flush: Number of the first flush it can be in.
        expected: When that flush is, while the request is open.
        ahead: What others have offered of the same kind for earlier flushes and is still open.
        beside: The same, for the same flush: these are filled alike.
        fill_flush: Number of the flush that would fill the last of it, if every flush found as
            much free as there is now and nobody came; null where that is never, and where not open.
        fill_expected: When that flush is.

    The last four are null in the answer to the request itself.
    """

    id: str
    token: str
    pool: PoolName
    kind: Literal["deposit", "redemption"]
    amount: Decimal
    filled: Decimal
    received: Decimal
    min_out: Decimal
    status: Literal["open", "filled", "cancelled", "returned"]
    requested: Millis
    flush: int
    expected: Millis | None
    ahead: Decimal | None = None
    beside: Decimal | None = None
    fill_flush: int | None = None
    fill_expected: Millis | None = None


class Holding(Given):
    """Shares of one pool; `value` is what they would be redeemed for now, exit fee apart.

    `performance` is that of the pool's shares, whoever holds them; `attribution` that of the whole
    pool since the last flush, up to now, of which `share_of_pool` is the account's.
    """

    token: str
    pool: PoolName
    shares: Decimal
    shares_waiting: Decimal
    share_price: Decimal
    value: Decimal
    share_of_pool: Decimal
    performance: Performance
    attribution: Attribution


class Provider(Given):
    """Everything an account holds of pools."""

    account: str
    exchange_time: Millis
    holdings: list[Holding]
    requests: list[PoolRequest]


# -- operator


class DepositRequest(Asked):
    """Book a confirmed external deposit; its reference is unique."""

    account: Name
    token: TokenName
    amount: Amount
    reference: Name


class CompletionRequest(Asked):
    """Say that a withdrawal was paid out."""

    reference: Name | None = None


class ListingRequest(Asked):
    """List a token; parameters that are not given have their defaults."""

    token: TokenName
    parameters: dict[str, float] = {}


class ParametersRequest(Asked):
    """Announce changes of a token's parameters; what is not given stays as it is in force."""

    token: TokenName
    parameters: dict[str, float]
    effective_at: Instant


class CorporateActionRequest(Asked):
    """Announce a split (`numerator` new for `denominator` old) or a dividend of `amount`."""

    token: TokenName
    action: Literal["split", "dividend"]
    effective_at: Instant
    numerator: Annotated[int, Meta(ge=1, le=1_000)] = 1
    denominator: Annotated[int, Meta(ge=1, le=1_000)] = 1
    amount: Amount = "0"


class ApplicationRequest(Asked):
    """Carry out an announced action; a reference is unique on the exchange."""

    reference: Name | None = None


class TokenRequest(Asked):
    """One token."""

    token: TokenName


class UnderlyingRequest(Asked):
    """How volatile an underlying has been, per sqrt(year): where its vol estimator starts."""

    symbol: Symbol
    vol: Amount


class PriceRequest(Asked):
    """An observation; `vol` is a vol level, absent: estimated. `published_at` is exchange time."""

    symbol: Symbol
    price: Amount
    published_at: Instant
    confidence: Amount = "0"
    vol: Amount | None = None
    sources: Annotated[int, Meta(ge=1, le=1_000)] = 1


class StockPriceRequest(Asked):
    """What a token's stock costs in USD, and the token itself where it is traded.

    `published_at` is exchange time, at most an hour ago; `multiplier` the shares that a token
    stands for.
    """

    token: TokenName
    stock: Amount
    published_at: Instant
    multiplier: Amount = "1"
    token_price: Amount | None = None
    halted: bool = False


class StockPriceResult(Given):
    """The price as it is shown, and whether deposits into the token's pools are held now."""

    token: str
    deposits_held: bool
    stock: StockPrice


class PriceResult(Given):
    """What became of an observation: used, or held back by the jump guard."""

    symbol: str
    verdict: Literal["USED", "JUMP_PENDING"]
    exchange_time: Millis


class SurfaceRequest(Asked):
    """The smile of an underlying at any level, per year; in force from its next price."""

    symbol: Symbol
    long_vol: Amount
    reversion: Amount
    skew: Annotated[str, Meta(pattern=r"^-?(0|[1-9][0-9]{0,2})(\.[0-9]{1,9})?$", max_length=16)]
    curvature: Amount


class FlushResult(Given):
    """Whether a flush was done; it is postponed while marks are not good."""

    token: str
    done: bool
    next_flush: Millis


class Accepted(Given):
    """The command was carried out; `id` is its number in the journal."""

    id: str
    exchange_time: Millis


class KeyRequest(Asked):
    """A new key of an account.

    Attributes:
        account: Whose.
        roles: What it may do.
        label: What it is for.
        expires_at: When it ends; null: it stays.
        networks: Where it may be used from, as 203.0.113.0/24; none: anywhere.
        withdraw: Whether it may take money out, where its roles may.
    """

    account: Name
    roles: Annotated[list[Role], Meta(min_length=1, max_length=5)]
    label: Name | None = None
    expires_at: Instant | None = None
    networks: Networks = []
    withdraw: bool = True


class OwnKeyRequest(Asked):
    """A new key of the own account; what is null is as it is of the key that signs."""

    roles: Annotated[list[Role], Meta(min_length=1, max_length=5)]
    label: Name | None = None
    expires_at: Instant | None = None
    networks: Networks | None = None
    withdraw: bool | None = None


class RotationRequest(Asked):
    """Take another key in place of one, which stays good for `overlap` seconds."""

    overlap: Annotated[int, Meta(ge=60, le=86_400)] = 3_600


class Key(Given):
    """A key; its secret is shown once, when it is made.

    Attributes:
        id: Names it.
        account: Whose it is.
        roles: What it may do.
        label: What it is for.
        created: When it was made.
        revoked: When it was revoked; null: it was not.
        expires: When it ends; null: it stays.
        networks: Where it may be used from; none: anywhere.
        withdraw: Whether it may take money out, where its roles may.
        rotated_from: The key it has taken the place of.
        made_by: The key that made it, or how it came to be.
        secret: What requests are signed with.
    """

    id: str
    account: str
    roles: list[Role]
    label: str | None
    created: Millis
    revoked: Millis | None
    expires: Millis | None = None
    networks: list[str] = []
    withdraw: bool = True
    rotated_from: str | None = None
    made_by: str = ""
    secret: str | None = None


class EndedKey(Key):
    """A key that was revoked.

    Attributes:
        ended: How many keys that were made with it have ended with it, by this request.
    """

    ended: int = 0


class ChallengeRequest(Asked):
    """Log in with a wallet: an Ethereum address, and the network it is on."""

    address: Annotated[
        str,
        Meta(
            pattern=r"^0x[0-9A-Fa-f]{40}$(?!\n)",
            max_length=42,
            examples=["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"],
        ),
    ]
    chain_id: Annotated[int, Meta(ge=1, le=2**53)] = 1


class Challenge(Given):
    """What the wallet is to sign (EIP-4361, personal_sign), exactly as it is, and until when.

    `account` is the address with its checksum, as the account is named.
    """

    message: str
    account: str
    expires: Millis


class LoginRequest(Asked):
    """A message of the exchange and the wallet's signature of it, 65 bytes in hex."""

    message: Annotated[str, Meta(min_length=1, max_length=2_000)]
    signature: Annotated[str, Meta(pattern=r"^0x[0-9A-Fa-f]{130}$(?!\n)", max_length=132)]


class AuditLine(Given):
    """What an operator or the owner of a key did, or somebody tried.

    Attributes:
        id: Its number.
        time: When, of the server's clock.
        account: Whose key it was.
        key: Its id; where the signature was not good, the one that was claimed.
        address: Where it came from; empty for the command line.
        action: Method and route, or the command.
        subject: What it was about: what the path names, and what was made.
        request_id: As in the answer's header `EG-Request`.
        idempotency_key: Of the request.
        body_sha256: Of the body, hex; empty without one.
        status: Of the answer; 0 for the command line.
        code: Of the problem; empty where there was none.
        shard: Which of several servers of a database it was asked of; empty for the command line.
        journal_id: Number of its record in that server's journal, where it is in there.
    """

    id: str
    time: Millis
    account: str
    key: str
    address: str
    action: str
    subject: str
    request_id: str
    idempotency_key: str
    body_sha256: str
    status: int
    code: str
    shard: str
    journal_id: str | None


class Limits(Given):
    """The token bucket of the caller: a request takes its weight, tokens come back steadily."""

    capacity: int
    per_second: int
    remaining: int
    weights: dict[str, int]


# -- risk


class SimulationFigure(Given):
    """What a simulation says of a pool.

    Attributes:
        name: Which figure; docs/api.md lists them.
        value: Its estimate.
        error: The standard error of that; null where one path was run.
    """

    name: str
    value: Decimal
    error: Decimal | None


class SimulatedPool(Given):
    """The figures of a pool that are looked at first."""

    token: str
    figures: list[SimulationFigure]


class Simulation(Given):
    """A drawdown study that was asked for.

    Attributes:
        id: Names it.
        name: Of the scenario.
        state: How it is.
        tokens: Of the pools, in order.
        paths: How many are to be run.
        done: How many were.
        created: When it was asked for.
        begun: Since when it runs; after a restart of the server, since then.
        ended: When it ended.
        remaining: Seconds it will take about; null where that is not known yet.
        reason: Why it failed.
        pools: What it came to, once it is done.
    """

    id: str
    name: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    tokens: list[str]
    paths: int
    done: int
    created: Millis
    begun: Millis | None = None
    ended: Millis | None = None
    remaining: int | None = None
    reason: str | None = None
    pools: list[SimulatedPool] | None = None
