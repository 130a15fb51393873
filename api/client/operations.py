"""What can be asked of the exchange: each operation once, for both kinds of client.

An `Operation` is written as a function that returns its call, a `Listing` as one that returns
its list; on a client they are methods that carry it out. Amounts are text, int or
`decimal.Decimal`; times are milliseconds UTC.
"""

from collections.abc import Mapping, Sequence

import msgspec

from api.client.amounts import AmountLike, amount_text
from api.client.calls import Call, Listing, Operation, Pages, change, path, read, with_query
from api.wire import (
    Accepted,
    Account,
    Batch,
    BatchRequest,
    CloseRequest,
    CompletionRequest,
    Deposit,
    DepositRequest,
    FlushRecord,
    FlushResult,
    Index,
    Instrument,
    InstrumentDetail,
    Key,
    KeyRequest,
    LedgerLine,
    Limits,
    ListingRequest,
    MarkPoint,
    Order,
    OrderRequest,
    Pool,
    PoolDepositRequest,
    PoolName,
    PoolPoint,
    PoolRequest,
    Position,
    PositionPatch,
    PremiumPayment,
    PriceRequest,
    PriceResult,
    ProblemCode,
    Provider,
    PublicTrade,
    Quote,
    QuoteRequest,
    RedemptionRequest,
    Role,
    Scenarios,
    Side,
    Status,
    SurfaceRequest,
    Ticker,
    Time,
    Token,
    TokenParameters,
    TokenRequest,
    Trade,
    UnderlyingRequest,
    Withdrawal,
    WithdrawalRequest,
)

TIME = Call("GET", path("time"), Time, is_signed=False)
"""Never signed, so that it is answered however wrong the caller's clock is."""


class Operations:
    """Everything a trader or a provider can ask."""

    # -- public

    @Operation
    def time(self) -> Call[Time]:
        """Return the server's clock and the exchange's."""
        return TIME

    @Operation
    def status(self) -> Call[Status]:
        """Return how the exchange is: indices, states of tokens, invariants."""
        return read(path("status"), Status)

    @Operation
    def index(self, symbol: str) -> Call[Index]:
        """Return the index of an underlying, such as BTC."""
        return read(path("indices", symbol), Index)

    @Listing
    def problems(self) -> Pages[ProblemCode]:
        """List every code a problem can have."""
        return Pages(path("problems"), ProblemCode)

    @Listing
    def underlyings(self) -> Pages[Index]:
        """List underlyings with their index."""
        return Pages(path("underlyings"), Index)

    @Listing
    def tokens(self) -> Pages[Token]:
        """List tokens and the terms of new series in them."""
        return Pages(path("tokens"), Token)

    @Listing
    def instruments(
        self, *, token: str | None = None, underlying: str | None = None
    ) -> Pages[Instrument]:
        """List series that can be opened or are held."""
        target = with_query(path("instruments"), token=token, underlying=underlying)
        return Pages(target, Instrument)

    @Operation
    def instrument(self, instrument: str) -> Call[InstrumentDetail]:
        """Return a series, such as BTC-TSLA.M-100000-C, at the mark."""
        return read(path("instruments", instrument), InstrumentDetail)

    @Listing
    def mark_history(self, instrument: str, *, since: int | None = None) -> Pages[MarkPoint]:
        """List the readings of a series from an exchange time on, oldest first."""
        target = with_query(path("instruments", instrument, "history"), since=since)
        return Pages(target, MarkPoint)

    @Listing
    def tickers(self, *, token: str | None = None, underlying: str | None = None) -> Pages[Ticker]:
        """List series at the mark."""
        return Pages(with_query(path("tickers"), token=token, underlying=underlying), Ticker)

    @Listing
    def pools(self) -> Pages[Pool]:
        """List the pools of every token."""
        return Pages(path("pools"), Pool)

    @Operation
    def pool(self, token: str) -> Call[Pool]:
        """Return both pools of a token."""
        return read(path("pools", token), Pool)

    @Listing
    def pool_history(self, token: str, *, since: int | None = None) -> Pages[PoolPoint]:
        """List the readings of a token's main pool from an exchange time on, oldest first."""
        return Pages(with_query(path("pools", token, "history"), since=since), PoolPoint)

    @Listing
    def flushes(self, token: str) -> Pages[FlushRecord]:
        """List the flushes of a token."""
        return Pages(path("pools", token, "flushes"), FlushRecord)

    @Operation
    def flush(self, token: str, number: int) -> Call[FlushRecord]:
        """Return one flush of a token."""
        return read(path("pools", token, "flushes", number), FlushRecord)

    @Operation
    def scenarios(self, token: str) -> Call[Scenarios]:
        """Return what moves of index and vol would cost the main pool now."""
        return read(path("pools", token, "scenarios"), Scenarios)

    @Listing
    def parameters(self) -> Pages[TokenParameters]:
        """List the parameters in force, token by token."""
        return Pages(path("parameters"), TokenParameters)

    @Listing
    def public_trades(self, token: str) -> Pages[PublicTrade]:
        """List everybody's trades in a token, without names, newest first."""
        return Pages(with_query(path("trades"), token=token), PublicTrade)

    @Operation
    def limits(self) -> Call[Limits]:
        """Return what is left of the caller's rate limit, and what requests weigh."""
        return read(path("limits"), Limits)

    # -- trade

    @Operation
    def quote(
        self,
        instrument: str,
        notional: AmountLike,
        side: Side = "open",
        *,
        account: str | None = None,
    ) -> Call[Quote]:
        """Return what an order would cost or bring now; nothing is reserved.

        With the key's own account its balance counts.
        """
        asked = QuoteRequest(
            instrument=instrument, side=side, notional=amount_text(notional), account=account
        )
        return Call("POST", path("quotes"), Quote, msgspec.json.encode(asked))

    @Operation
    def open(
        self,
        instrument: str,
        notional: AmountLike,
        *,
        limit_total: AmountLike,
        self_funding: bool = False,
        client_id: str | None = None,
        expires_at: int | None = None,
        idempotency_key: str | None = None,
    ) -> Call[Order]:
        """Buy notional of a series for at most `limit_total`, fee included.

        Raises:
            RefusedError: It costs more, or a limit of the pool, the account or the balance is met.
        """
        asked = OrderRequest(
            instrument=instrument,
            side="open",
            notional=amount_text(notional),
            limit_total=amount_text(limit_total),
            self_funding=self_funding,
            client_id=client_id,
            expires_at=expires_at,
        )
        return change("POST", path("orders"), asked, Order, idempotency_key)

    @Operation
    def close(
        self,
        position_id: str,
        notional: AmountLike | None = None,
        *,
        limit_total: AmountLike = "0",
        client_id: str | None = None,
        expires_at: int | None = None,
        idempotency_key: str | None = None,
    ) -> Call[Order]:
        """Sell a position, or the part `notional` of it, for at least `limit_total`.

        While the mark is stale the order is queued, and filled at the next fresh index.
        """
        asked = CloseRequest(
            notional=None if notional is None else amount_text(notional),
            limit_total=amount_text(limit_total),
            client_id=client_id,
            expires_at=expires_at,
        )
        target = path("positions", position_id, "close")
        return change("POST", target, asked, Order, idempotency_key)

    @Operation
    def place(self, order: OrderRequest, *, idempotency_key: str | None = None) -> Call[Order]:
        """Place an order as it crosses the wire; of either side, by instrument."""
        return change("POST", path("orders"), order, Order, idempotency_key)

    @Operation
    def place_all(
        self, orders: Sequence[OrderRequest], *, idempotency_key: str | None = None
    ) -> Call[Batch]:
        """Place up to 100 orders, one after another; each has its own result."""
        asked = BatchRequest(orders=list(orders))
        return change("POST", path("orders", "batch"), asked, Batch, idempotency_key)

    @Operation
    def order(self, order_id: str) -> Call[Order]:
        """Return an own order."""
        return read(path("orders", order_id), Order)

    @Listing
    def orders(self) -> Pages[Order]:
        """List own orders, refused ones too."""
        return Pages(path("orders"), Order)

    @Listing
    def trades(self) -> Pages[Trade]:
        """List own trades."""
        return Pages(path("account", "trades"), Trade)

    @Operation
    def position(self, position_id: str) -> Call[Position]:
        """Return an own position at the mark."""
        return read(path("positions", position_id), Position)

    @Listing
    def positions(self) -> Pages[Position]:
        """List own positions at the mark."""
        return Pages(path("positions"), Position)

    @Operation
    def set_self_funding(
        self, position_id: str, self_funding: bool, *, idempotency_key: str | None = None
    ) -> Call[Position]:
        """Say whether a position pays its premium out of its own sale."""
        asked = PositionPatch(self_funding=self_funding)
        return change("PATCH", path("positions", position_id), asked, Position, idempotency_key)

    @Listing
    def premium_payments(self) -> Pages[PremiumPayment]:
        """List the premium settled from the own balance."""
        return Pages(path("premium-payments"), PremiumPayment)

    # -- account

    @Operation
    def account(self, account: str | None = None) -> Call[Account]:
        """Return balances, equity, and how long they last.

        They are the key's own; of another account for the roles risk and operator.
        """
        return read(with_query(path("account"), account=account), Account)

    @Listing
    def ledger(self, account: str | None = None) -> Pages[LedgerLine]:
        """List what moved in and out of balances, newest first; whose, as in `account`."""
        return Pages(with_query(path("ledger"), account=account), LedgerLine)

    @Listing
    def deposits(self) -> Pages[Deposit]:
        """List what was credited to the account."""
        return Pages(path("deposits"), Deposit)

    @Operation
    def withdraw(
        self, token: str, amount: AmountLike, *, idempotency_key: str | None = None
    ) -> Call[Withdrawal]:
        """Take free balance out; the operator pays it out."""
        asked = WithdrawalRequest(token=token, amount=amount_text(amount))
        return change("POST", path("withdrawals"), asked, Withdrawal, idempotency_key)

    @Listing
    def withdrawals(self) -> Pages[Withdrawal]:
        """List own withdrawals."""
        return Pages(path("withdrawals"), Withdrawal)

    # -- provide

    @Operation
    def deposit(
        self,
        token: str,
        pool: PoolName,
        amount: AmountLike,
        min_out: AmountLike = "0",
        *,
        idempotency_key: str | None = None,
    ) -> Call[PoolRequest]:
        """Offer tokens to a pool; priced at a flush, returned if they yield below `min_out`."""
        asked = PoolDepositRequest(amount=amount_text(amount), min_out=amount_text(min_out))
        target = path("pools", token, pool, "deposits")
        return change("POST", target, asked, PoolRequest, idempotency_key)

    @Operation
    def redeem(
        self,
        token: str,
        pool: PoolName,
        shares: AmountLike,
        min_out: AmountLike = "0",
        *,
        idempotency_key: str | None = None,
    ) -> Call[PoolRequest]:
        """Offer shares back; priced at a flush, returned if they yield below `min_out`."""
        asked = RedemptionRequest(shares=amount_text(shares), min_out=amount_text(min_out))
        target = path("pools", token, pool, "redemptions")
        return change("POST", target, asked, PoolRequest, idempotency_key)

    @Operation
    def request(self, request_id: str) -> Call[PoolRequest]:
        """Return an own request of a pool."""
        return read(path("requests", request_id), PoolRequest)

    @Listing
    def requests(self) -> Pages[PoolRequest]:
        """List own requests of pools."""
        return Pages(path("requests"), PoolRequest)

    @Operation
    def cancel_request(
        self, request_id: str, *, idempotency_key: str | None = None
    ) -> Call[PoolRequest]:
        """Take a request back, up to the cut-off of its flush."""
        return change("DELETE", path("requests", request_id), None, PoolRequest, idempotency_key)

    @Operation
    def provider(self, account: str | None = None) -> Call[Provider]:
        """Return shares of pools, their value, and requests that wait; whose, as in `account`."""
        return read(with_query(path("provider"), account=account), Provider)


class OperatorOperations:
    """What an operator can ask, with a key of that role."""

    @Operation
    def credit(
        self,
        account: str,
        token: str,
        amount: AmountLike,
        reference: str,
        *,
        idempotency_key: str | None = None,
    ) -> Call[Deposit]:
        """Book a confirmed external deposit; an account exists from its first one on."""
        asked = DepositRequest(
            account=account, token=token, amount=amount_text(amount), reference=reference
        )
        return change("POST", path("operator", "deposits"), asked, Deposit, idempotency_key)

    @Operation
    def complete_withdrawal(
        self,
        withdrawal_id: str,
        reference: str | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Call[Withdrawal]:
        """Say that a withdrawal was paid out."""
        target = path("operator", "withdrawals", withdrawal_id, "complete")
        asked = CompletionRequest(reference=reference)
        return change("POST", target, asked, Withdrawal, idempotency_key)

    @Operation
    def list_token(
        self,
        token: str,
        parameters: Mapping[str, float] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Call[Token]:
        """Open the pools of a token; parameters that are not given have their defaults."""
        asked = ListingRequest(token=token, parameters=dict(parameters or {}))
        return change("POST", path("operator", "tokens"), asked, Token, idempotency_key)

    @Operation
    def pause(self, token: str, *, idempotency_key: str | None = None) -> Call[Accepted]:
        """Allow no new positions in a token; closes stay possible."""
        asked = TokenRequest(token=token)
        return change("POST", path("operator", "pause"), asked, Accepted, idempotency_key)

    @Operation
    def resume(self, token: str, *, idempotency_key: str | None = None) -> Call[Accepted]:
        """Allow new positions in a token again."""
        asked = TokenRequest(token=token)
        return change("POST", path("operator", "resume"), asked, Accepted, idempotency_key)

    @Operation
    def start_underlying(
        self, symbol: str, vol: AmountLike, *, idempotency_key: str | None = None
    ) -> Call[Accepted]:
        """Say how volatile an underlying has been, per sqrt(year), before its first price."""
        asked = UnderlyingRequest(symbol=symbol, vol=amount_text(vol))
        return change("POST", path("operator", "underlyings"), asked, Accepted, idempotency_key)

    @Operation
    def publish_price(
        self,
        symbol: str,
        price: AmountLike,
        published_at: int,
        *,
        confidence: AmountLike = "0",
        vol: AmountLike | None = None,
        sources: int = 1,
        idempotency_key: str | None = None,
    ) -> Call[PriceResult]:
        """Push an observation of an underlying, in USD; `published_at` is exchange time."""
        asked = PriceRequest(
            symbol=symbol,
            price=amount_text(price),
            published_at=published_at,
            confidence=amount_text(confidence),
            vol=None if vol is None else amount_text(vol),
            sources=sources,
        )
        return change("POST", path("operator", "prices"), asked, PriceResult, idempotency_key)

    @Operation
    def publish_surface(
        self, surface: SurfaceRequest, *, idempotency_key: str | None = None
    ) -> Call[Accepted]:
        """Publish the smile of an underlying; in force from its next price."""
        return change("POST", path("operator", "surfaces"), surface, Accepted, idempotency_key)

    @Operation
    def flush(self, token: str, *, idempotency_key: str | None = None) -> Call[FlushResult]:
        """Price the requests of a token's pools, where a flush is due."""
        asked = TokenRequest(token=token)
        return change("POST", path("operator", "flush"), asked, FlushResult, idempotency_key)

    @Operation
    def make_key(
        self,
        account: str,
        roles: Sequence[Role],
        label: str | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Call[Key]:
        """Make a key for an account; its secret is shown this once."""
        asked = KeyRequest(account=account, roles=list(roles), label=label)
        return change("POST", path("operator", "keys"), asked, Key, idempotency_key)

    @Listing
    def keys(self) -> Pages[Key]:
        """List keys, without their secrets."""
        return Pages(path("operator", "keys"), Key)

    @Operation
    def revoke_key(self, key_id: str, *, idempotency_key: str | None = None) -> Call[Key]:
        """End a key, now."""
        target = path("operator", "keys", key_id)
        return change("DELETE", target, None, Key, idempotency_key)
