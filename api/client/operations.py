"""What can be asked of the exchange: each operation once, for both kinds of client.

An `Operation` is written as a function that returns its call, a `Listing` as one that returns
its list; on a client they are methods that carry it out. Amounts are text, int or
`decimal.Decimal`; times are milliseconds UTC.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from api.bundles import FlushBundle
from api.client.amounts import AmountLike, amount_text
from api.client.calls import Call, Listing, Operation, Pages, change, path, read, with_query
from api.wire import (
    Accepted,
    Account,
    ApplicationRequest,
    AuditLine,
    Batch,
    BatchRequest,
    Challenge,
    ChallengeRequest,
    CloseRequest,
    CompletionRequest,
    CorporateAction,
    CorporateActionRequest,
    Deposit,
    DepositRequest,
    Destination,
    DestinationRequest,
    EndedKey,
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
    ListSwitch,
    LoginRequest,
    MarkPoint,
    Order,
    OrderRequest,
    OwnKeyRequest,
    ParametersRequest,
    ParametersVersion,
    Pool,
    PoolDepositRequest,
    PoolDetail,
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
    RotationRequest,
    Scenarios,
    Side,
    Simulation,
    Status,
    StockPriceRequest,
    StockPriceResult,
    SurfaceRequest,
    Ticker,
    Time,
    Token,
    TokenParameters,
    TokenRequest,
    Trade,
    Transfer,
    TransferRequest,
    UnderlyingRequest,
    Withdrawal,
    WithdrawalList,
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
    def pool(self, token: str) -> Call[PoolDetail]:
        """Return both pools of a token, and what their shares have earned."""
        return read(path("pools", token), PoolDetail)

    @Listing
    def pool_history(self, token: str, *, since: int | None = None) -> Pages[PoolPoint]:
        """List the readings of a token's main pool from an exchange time on, oldest first."""
        return Pages(with_query(path("pools", token, "history"), since=since), PoolPoint)

    @Listing
    def flushes(self, token: str) -> Pages[FlushRecord]:
        """List the flushes of a token."""
        return Pages(path("pools", token, "flushes"), FlushRecord)

    @Operation
    def flush(self, token: str, number: int) -> Call[FlushBundle]:
        """Return everything a flush of a token was made from and came to."""
        return read(path("pools", token, "flushes", number), FlushBundle)

    @Operation
    def flush_text(self, token: str, number: int) -> Call[msgspec.Raw]:
        """Return the same as the bytes the journal has the SHA-256 of."""
        return read(path("pools", token, "flushes", number), msgspec.Raw)

    @Operation
    def scenarios(self, token: str) -> Call[Scenarios]:
        """Return what moves of index and vol would cost the main pool now."""
        return read(path("pools", token, "scenarios"), Scenarios)

    @Listing
    def parameters(self) -> Pages[TokenParameters]:
        """List the parameters in force and announced, token by token."""
        return Pages(path("parameters"), TokenParameters)

    @Listing
    def corporate_actions(self) -> Pages[CorporateAction]:
        """List corporate actions, announced, done, withdrawn and lapsed, newest first."""
        return Pages(path("corporate-actions"), CorporateAction)

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
        self,
        token: str,
        amount: AmountLike,
        destination: str | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Call[Withdrawal]:
        """Take free balance out, to a destination by its label or id; the operator pays it out."""
        asked = WithdrawalRequest(token=token, amount=amount_text(amount), destination=destination)
        return change("POST", path("withdrawals"), asked, Withdrawal, idempotency_key)

    @Listing
    def destinations(self) -> Pages[Destination]:
        """List where the account has withdrawals sent."""
        return Pages(path("withdrawal-destinations"), Destination)

    @Operation
    def add_destination(
        self, label: str, address: str, *, idempotency_key: str | None = None
    ) -> Call[Destination]:
        """List where withdrawals may be sent; it can be used after the holding period."""
        asked = DestinationRequest(label=label, address=address)
        return change("POST", path("withdrawal-destinations"), asked, Destination, idempotency_key)

    @Operation
    def remove_destination(
        self, destination_id: str, *, idempotency_key: str | None = None
    ) -> Call[Destination]:
        """Remove a destination, now."""
        target = path("withdrawal-destinations", destination_id)
        return change("DELETE", target, None, Destination, idempotency_key)

    @Operation
    def withdrawal_list(self) -> Call[WithdrawalList]:
        """Return whether the account withdraws to its destinations only."""
        return read(path("withdrawal-list"), WithdrawalList)

    @Operation
    def keep_to_list(
        self, on: bool = True, *, idempotency_key: str | None = None
    ) -> Call[WithdrawalList]:
        """Withdraw to the account's destinations only; or no more, after the holding period."""
        asked = ListSwitch(on=on)
        return change("POST", path("withdrawal-list"), asked, WithdrawalList, idempotency_key)

    @Listing
    def withdrawals(self) -> Pages[Withdrawal]:
        """List own withdrawals."""
        return Pages(path("withdrawals"), Withdrawal)

    @Operation
    def move_balance(
        self, token: str, target: str, amount: AmountLike, *, idempotency_key: str | None = None
    ) -> Call[Transfer]:
        """Move free balance to another generation of the same token."""
        asked = TransferRequest(token=token, target=target, amount=amount_text(amount))
        return change("POST", path("transfers"), asked, Transfer, idempotency_key)

    # -- keys

    @Operation
    def login_challenge(self, address: str, chain_id: int = 1) -> Call[Challenge]:
        """Return a message for a wallet to sign (EIP-4361, personal_sign)."""
        asked = msgspec.json.encode(ChallengeRequest(address=address, chain_id=chain_id))
        return Call("POST", path("login", "challenge"), Challenge, asked, is_signed=False)

    @Operation
    def log_in(self, message: str, signature: str) -> Call[Key]:
        """Make a key of the wallet's account for a day; it cannot withdraw. Once a message."""
        asked = msgspec.json.encode(LoginRequest(message=message, signature=signature))
        return Call("POST", path("login"), Key, asked, is_signed=False)

    @Listing
    def keys(self) -> Pages[Key]:
        """List the account's keys, without their secrets."""
        return Pages(path("keys"), Key)

    @Operation
    def make_key(
        self,
        roles: Sequence[Role],
        label: str | None = None,
        *,
        expires_at: int | None = None,
        networks: Sequence[str] | None = None,
        withdraw: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Call[Key]:
        """Make another key of the account, which may do no more than the one that signs."""
        asked = OwnKeyRequest(
            roles=list(roles),
            label=label,
            expires_at=expires_at,
            networks=None if networks is None else list(networks),
            withdraw=withdraw,
        )
        return change("POST", path("keys"), asked, Key, idempotency_key)

    @Operation
    def rotate_key(self, overlap: int = 3_600, *, idempotency_key: str | None = None) -> Call[Key]:
        """Make the successor of the key that signs, which stays good for `overlap` seconds."""
        asked = RotationRequest(overlap=overlap)
        return change("POST", path("keys", "rotate"), asked, Key, idempotency_key)

    @Operation
    def revoke_key(self, key_id: str, *, idempotency_key: str | None = None) -> Call[EndedKey]:
        """End a key of the account and what was made with it, now."""
        return change("DELETE", path("keys", key_id), None, EndedKey, idempotency_key)

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

    # -- risk

    @Operation
    def simulate(
        self, scenario: msgspec.Struct | Mapping[str, object], *, idempotency_key: str | None = None
    ) -> Call[Simulation]:
        """Have a scenario run: the fields of a scenario file, or a `ScenarioFile` itself.

        Raises:
            RefusedError: It cannot be run here; `field` says why.
        """
        target = path("risk", "simulations")
        return change("POST", target, scenario, Simulation, idempotency_key)

    @Listing
    def simulations(self) -> Pages[Simulation]:
        """List own simulations, newest first."""
        return Pages(path("risk", "simulations"), Simulation)

    @Operation
    def simulation(self, simulation_id: str) -> Call[Simulation]:
        """Return an own simulation, how far it is, and what it came to."""
        return read(path("risk", "simulations", simulation_id), Simulation)

    @Operation
    def simulation_report(self, simulation_id: str) -> Call[bytes]:
        """Return the report of an own simulation that is done, a page of HTML."""
        return read(path("risk", "simulations", simulation_id, "report"), bytes)

    @Operation
    def simulation_statistics(self, simulation_id: str) -> Call[dict[str, Any]]:
        """Return all statistics of an own simulation that is done."""
        return read(path("risk", "simulations", simulation_id, "statistics"), dict[str, Any])

    @Operation
    def cancel_simulation(
        self, simulation_id: str, *, idempotency_key: str | None = None
    ) -> Call[None]:
        """Cancel an own simulation; one that has ended stays as it is."""
        target = path("risk", "simulations", simulation_id)
        return change("DELETE", target, None, type(None), idempotency_key)


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

    @Listing
    def withdrawals(
        self, status: Literal["pending", "completed"] | None = None
    ) -> Pages[Withdrawal]:
        """List everybody's withdrawals, oldest first, with where they are to be sent."""
        return Pages(with_query(path("operator", "withdrawals"), status=status), Withdrawal)

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
    def set_parameters(
        self,
        token: str,
        parameters: Mapping[str, float],
        effective_at: int,
        *,
        idempotency_key: str | None = None,
    ) -> Call[ParametersVersion]:
        """Announce changes of a token's parameters, in force from a time on."""
        asked = ParametersRequest(
            token=token, parameters=dict(parameters), effective_at=effective_at
        )
        return change(
            "POST", path("operator", "parameters"), asked, ParametersVersion, idempotency_key
        )

    @Operation
    def announce_split(
        self,
        token: str,
        numerator: int,
        denominator: int,
        effective_at: int,
        *,
        idempotency_key: str | None = None,
    ) -> Call[CorporateAction]:
        """Announce that `numerator` new tokens take the place of `denominator` old ones."""
        asked = CorporateActionRequest(
            token=token,
            action="split",
            effective_at=effective_at,
            numerator=numerator,
            denominator=denominator,
        )
        target = path("operator", "corporate-actions")
        return change("POST", target, asked, CorporateAction, idempotency_key)

    @Operation
    def announce_dividend(
        self,
        token: str,
        amount: AmountLike,
        effective_at: int,
        *,
        idempotency_key: str | None = None,
    ) -> Call[CorporateAction]:
        """Announce a dividend in tokens, to be divided among all custody."""
        asked = CorporateActionRequest(
            token=token, action="dividend", effective_at=effective_at, amount=amount_text(amount)
        )
        target = path("operator", "corporate-actions")
        return change("POST", target, asked, CorporateAction, idempotency_key)

    @Operation
    def withdraw_action(self, token: str, *, idempotency_key: str | None = None) -> Call[Accepted]:
        """Take a token's announced corporate action back, within its window too."""
        target = path("operator", "corporate-actions", token)
        return change("DELETE", target, None, Accepted, idempotency_key)

    @Operation
    def apply_action(
        self, token: str, reference: str | None = None, *, idempotency_key: str | None = None
    ) -> Call[Accepted]:
        """Carry out a token's announced corporate action, within its window."""
        asked = ApplicationRequest(reference=reference)
        target = path("operator", "corporate-actions", token, "apply")
        return change("POST", target, asked, Accepted, idempotency_key)

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
    def publish_stock_price(
        self,
        token: str,
        stock: AmountLike,
        published_at: int,
        *,
        multiplier: AmountLike = "1",
        token_price: AmountLike | None = None,
        halted: bool = False,
        idempotency_key: str | None = None,
    ) -> Call[StockPriceResult]:
        """Say what a token's stock costs in USD, and the token; `published_at` is exchange time."""
        asked = StockPriceRequest(
            token=token,
            stock=amount_text(stock),
            published_at=published_at,
            multiplier=amount_text(multiplier),
            token_price=None if token_price is None else amount_text(token_price),
            halted=halted,
        )
        place = path("operator", "stock-prices")
        return change("POST", place, asked, StockPriceResult, idempotency_key)

    @Operation
    def allow_deposits(self, token: str, *, idempotency_key: str | None = None) -> Call[Accepted]:
        """Take LPs' deposits in a token again that were held."""
        asked = TokenRequest(token=token)
        place = path("operator", "allow-deposits")
        return change("POST", place, asked, Accepted, idempotency_key)

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
        expires_at: int | None = None,
        networks: Sequence[str] = (),
        withdraw: bool = True,
        idempotency_key: str | None = None,
    ) -> Call[Key]:
        """Make a key for an account; its secret is shown this once."""
        asked = KeyRequest(
            account=account,
            roles=list(roles),
            label=label,
            expires_at=expires_at,
            networks=list(networks),
            withdraw=withdraw,
        )
        return change("POST", path("operator", "keys"), asked, Key, idempotency_key)

    @Listing
    def keys(self) -> Pages[Key]:
        """List keys, without their secrets."""
        return Pages(path("operator", "keys"), Key)

    @Operation
    def rotate_key(
        self, key_id: str, overlap: int = 3_600, *, idempotency_key: str | None = None
    ) -> Call[Key]:
        """Make the successor of a key, which stays good for `overlap` seconds."""
        target, asked = path("operator", "keys", key_id, "rotate"), RotationRequest(overlap=overlap)
        return change("POST", target, asked, Key, idempotency_key)

    @Operation
    def revoke_key(
        self, key_id: str, *, descendants: bool = False, idempotency_key: str | None = None
    ) -> Call[EndedKey]:
        """End a key and what it made for its account, now; of `descendants`, others' too."""
        target = path("operator", "keys", key_id)
        target = with_query(target, descendants="true" if descendants else None)
        return change("DELETE", target, None, EndedKey, idempotency_key)

    @Listing
    def audit(self, account: str | None = None) -> Pages[AuditLine]:
        """List what operators and owners of keys did and others tried, newest first."""
        return Pages(with_query(path("operator", "audit"), account=account), AuditLine)
