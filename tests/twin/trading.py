"""Trades of the twin: opening, selling, cash-outs, and positions that pay for themselves."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Protocol

from tests.twin.books import (
    DAY,
    LARGEST,
    MILLION,
    TOKEN,
    YEAR,
    Books,
    Position,
    Sampled,
    Series,
    down,
    up,
)
from tests.twin.premium import (
    accrue,
    allot,
    endow,
    index_now,
    is_due,
    owed_by,
    premium_over,
    reserve_of,
    settle,
    settle_seller,
    stream_rate,
)
from tests.twin.worth import (
    Condition,
    Model,
    UnitPrice,
    capacity,
    condition_of,
    net_asset_value,
    rent_now,
    stress_of,
)
from vaults.moves import Flow
from vaults.rejects import Reject


class Seller(Protocol):
    """A model that quotes sales, and is told of those the twin makes."""

    def sale(self, position: int, notional: int) -> tuple[UnitPrice, float]:
        """Return the price of a unit, and by how much U falls, in tokens."""

    def sold(self, position: int, notional: int, impact: int) -> None:
        """Take a sale into account."""


@dataclass(frozen=True)
class Order:
    """An opening that is asked for, and what models say of it.

    `change` is by how much U rises and `stress` what one unit adds to the base stress; models are
    asked only for what can be priced, so there is none for an order refused before that.
    """

    account: int
    underlying: int
    is_call: bool
    strike_e8: int
    notional: int
    limit: int
    self_funding: int
    is_fresh: bool
    price: UnitPrice | None = None
    change: float = 0.0
    stress: tuple[float, float] = (0.0, 0.0)
    stream_e15: int = 0


@dataclass(frozen=True)
class Ask:
    """What an opening costs, in whole units."""

    total: int
    fee: int
    impact: int
    spread: int


def ask_of(order: Order) -> Ask:
    """Turn an order's price into money: the buyer pays up, the protocol and R get the floor."""
    assert order.price is not None
    tokens = order.notional / TOKEN
    mid, spread = tokens * order.price.value, tokens * order.price.spread
    fee, impact = tokens * order.price.fee, max(order.change, -spread)
    total = mid + impact + spread + fee
    return Ask(
        total=ceil(min(total * TOKEN, float(LARGEST))),
        fee=floor(fee * TOKEN),
        impact=floor(min(impact * TOKEN, float(LARGEST))),
        spread=max(0, floor((spread + min(impact, 0.0)) * TOKEN)),
    )


def refusal_before_price(books: Books, order: Order, index_e8: int) -> Reject:
    """Return the first thing to be said against an order before it is priced."""
    parameters, step = books.parameters, books.terms[order.underlying].strike_step_e8
    if books.is_exhausted:
        return Reject.EXHAUSTED
    if order.notional <= 0:
        return Reject.AMOUNT_NOT_POSITIVE
    if order.notional > LARGEST // 2:
        return Reject.AMOUNT_TOO_LARGE
    if not order.is_fresh:
        return Reject.MARK_STALE
    if order.strike_e8 <= 0 or order.strike_e8 % step:
        return Reject.STRIKE_OFF_LADDER
    low, high = float(index_e8) * parameters.strike_low, float(index_e8) * parameters.strike_high
    if not low <= order.strike_e8 <= high:
        return Reject.STRIKE_WINDOW
    if order.notional < parameters.notional_min:
        return Reject.NOTIONAL_MIN
    return Reject.NONE


def find_series(books: Books, order: Order) -> int | None:
    """Return the row of an order's series."""
    wanted = (order.underlying, order.is_call, order.strike_e8)
    rows = [(each.underlying, each.is_call, each.strike_e8) for each in books.series]
    return rows.index(wanted) if wanted in rows else None


def _refusal_of_limits(books: Books, order: Order, ask: Ask) -> Reject:
    parameters = books.parameters
    row = find_series(books, order)
    terms = books.terms[order.underlying] if row is None else books.series[row].terms
    lock = up(order.notional, terms.cap_ppm, MILLION)
    live = sum(1 for each in range(len(books.series)) if books.notional(each) > 0)
    held = [] if row is None else books.held_in(row)
    if not held and live >= parameters.series_live_max:
        return Reject.SERIES_LIMIT
    backed = capacity(books, books.main, books.insurance)
    in_series = lock + sum(books.lock(each) for each in held)
    if in_series > down(backed, parameters.series_share_ppm, MILLION):
        return Reject.SERIES_SHARE
    by_account = lock + sum(books.lock(each) for each in books.held_by(order.account))
    if by_account > down(backed, parameters.account_share_ppm, MILLION):
        return Reject.ACCOUNT_SHARE
    if ask.total < up(order.notional, parameters.total_min_ppm, MILLION):
        return Reject.TOTAL_MIN
    return Reject.NONE


def _refusal_of_backing(books: Books, order: Order, ask: Ask, model: Model) -> Reject:
    row = find_series(books, order)
    terms = books.terms[order.underlying] if row is None else books.series[row].terms
    locked = books.locked + up(order.notional, terms.cap_ppm, MILLION)
    if locked > capacity(books, books.main + ask.total - ask.fee, books.insurance):
        return Reject.CAPACITY
    nav, before = net_asset_value(books, model), stress_of(books, model)
    condition = condition_of(books, nav, before)
    if condition == Condition.WINDDOWN:
        return Reject.WINDDOWN
    stress = stress_of(books, model, (order.underlying, order.stress, order.notional))
    most = down(max(0, nav.low), books.parameters.stress_share_ppm, MILLION)
    is_bearable = stress <= most and condition == Condition.NORMAL
    return Reject.NONE if is_bearable or stress < before else Reject.STRESS_LIMIT


def _order_rate(books: Books, order: Order) -> tuple[int, int]:
    row = find_series(books, order)
    terms = books.terms[order.underlying] if row is None else books.series[row].terms
    return stream_rate(order.stream_e15, books.sampled[order.underlying].rent, terms.cap_ppm)


def _refusal_of_balance(books: Books, order: Order, ask: Ask) -> Reject:
    parameters, rate = books.parameters, _order_rate(books, order)[0]
    hour, day = parameters.keep_reserve_ms, parameters.open_reserve_ms
    kept = reserve_of(books, order.account, hour) + premium_over(order.notional, rate, hour)
    if not order.self_funding:
        kept = max(kept, premium_over(order.notional, rate, day))
    needed = ask.total + kept + owed_by(books, order.account)
    return Reject.BALANCE if books.accounts[order.account].balance < needed else Reject.NONE


def refusal_of_order(books: Books, order: Order, ask: Ask, model: Model) -> Reject:
    """Return the first limit an order that could be priced does not keep."""
    refusal = _refusal_of_limits(books, order, ask)
    if refusal == Reject.NONE:
        refusal = _refusal_of_backing(books, order, ask, model)
    if refusal == Reject.NONE and ask.total > order.limit:
        refusal = Reject.PRICE_LIMIT
    if refusal == Reject.NONE:
        refusal = _refusal_of_balance(books, order, ask)
    return refusal


def _series_for(books: Books, order: Order) -> int:
    """Return the row of an order's series, listing it, or waking it from an empty sleep."""
    row = find_series(books, order)
    if row is None:
        terms = books.terms[order.underlying]
        row = len(books.series)
        books.series.append(Series(order.underlying, order.is_call, order.strike_e8, terms))
    series = books.series[row]
    if books.notional(row) == 0:
        series.rate, series.rent = _order_rate(books, order)
        series.tick_index = series.index
    return row


def _position_for(books: Books, order: Order, row: int) -> Position:
    """Return the account's position in a series, a new one where it has none."""
    for each in books.held_in(row):
        if each.account == order.account:
            each.self_funding = order.self_funding
            return each
    books.last_position += 1
    number, index = books.last_position, books.series[row].index
    position = Position(number, order.account, row, index, order.self_funding)
    books.positions[number] = position
    return position


def carry_out(books: Books, order: Order, ask: Ask) -> int:
    """Do an opening; returns the position's number."""
    settle(books, order.account)
    row = _series_for(books, order)
    accrue(books, row, index_now(books, row))
    books.accounts[order.account].balance -= ask.total
    books.main += ask.total - ask.fee
    books.fees += ask.fee
    books.flows[Flow.OPEN] += ask.total - ask.fee
    books.flows[Flow.FEE] += ask.fee
    position = _position_for(books, order, row)
    position.notional += order.notional
    position.impact += ask.impact
    book_spread(books, ask.spread)
    books.flows[Flow.IMPACT_PAID] += max(0, ask.impact)
    allot(books, order.account)
    return position.number


def book_spread(books: Books, amount: int) -> None:
    """Book spread of today, from which it vests."""
    day = books.now // DAY
    books.spreads[day] = books.spreads.get(day, 0) + amount
    books.flows[Flow.SPREAD] += amount


@dataclass(frozen=True)
class Bid:
    """What a sale pays, in whole units; `impact` is the part the position no longer remembers."""

    gross: int
    fee: int
    impact: int
    refunded: int
    spread: int

    @property
    def net(self) -> int:
        """What the seller receives."""
        return self.gross - self.fee


def bid_of(books: Books, position: Position, notional: int, model: Seller) -> Bid:
    """Turn a sale's price into money: gross <= floor(N cap), refund <= the impact of the part."""
    price, relief = model.sale(position.number, notional)
    tokens = notional / TOKEN
    mid, spread, fee = tokens * price.value, tokens * price.spread, tokens * price.fee
    impact = floor(Fraction(position.impact * notional, position.notional))
    refund = min(relief, impact / TOKEN)
    cap = down(notional, books.series[position.series].terms.cap_ppm, MILLION)
    gross = max(0, min(cap, floor((mid + refund - spread) * TOKEN)))
    return Bid(
        gross=gross,
        fee=min(ceil(fee * TOKEN), gross),
        impact=impact,
        refunded=max(0, min(floor(refund * TOKEN), impact)),
        spread=max(0, floor((mid + max(refund, 0.0)) * TOKEN) - gross),
    )


def _shrink(books: Books, position: Position, notional: int, impact: int) -> None:
    """Take notional and impact off a position; an empty one is gone, an empty series owes none."""
    position.notional -= notional
    position.impact -= impact
    if position.notional == 0:
        assert position.impact == 0
        del books.positions[position.number]
    if books.notional(position.series) == 0:
        books.series[position.series].owed_e15 = 0


def sell(books: Books, position: Position, notional: int, bid: Bid, model: Seller) -> None:
    """Carry out a sale; what is left of the balance is not yet divided."""
    books.from_pools(position.account, bid.net, Flow.CLOSE)
    books.from_pools(None, bid.fee, Flow.FEE)
    settle_seller(books, position, bid.net)
    _shrink(books, position, notional, bid.impact)
    book_spread(books, bid.spread)
    books.flows[Flow.IMPACT_REFUNDED] += bid.refunded
    model.sold(position.number, notional, bid.impact)


def _sell_all(books: Books, position: Position, model: Seller) -> None:
    notional = position.notional
    sell(books, position, notional, bid_of(books, position, notional, model), model)
    allot(books, position.account)


def close(
    books: Books,
    account: int,
    number: int,
    notional: int,
    least: int,
    is_fresh: bool,
    model: Seller,
) -> tuple[Reject, int]:
    """Sell part or all of an own position; returns what the seller received."""
    position = books.positions.get(number)
    if position is None or position.account != account:
        return Reject.POSITION_UNKNOWN, 0
    if notional <= 0:
        return Reject.AMOUNT_NOT_POSITIVE, 0
    if notional > position.notional:
        return Reject.SIZE_EXCEEDS_POSITION, 0
    if position.notional - notional < books.parameters.notional_min:
        notional = position.notional
    if not is_fresh:
        return Reject.MARK_STALE, 0
    bid = bid_of(books, position, notional, model)
    if bid.net < least:
        return Reject.PRICE_LIMIT, 0
    sell(books, position, notional, bid, model)
    allot(books, account)
    return Reject.NONE, bid.net


def _has_reached_cap(series: Series, index_e8: int) -> bool:
    """Whether the index is at or beyond the barrier B."""
    sign = 1 if series.is_call else -1
    barrier = series.strike_e8 * (MILLION + sign * series.terms.cap_ppm)
    return sign * (index_e8 * MILLION - barrier) >= 0


def _cash_out(books: Books, position: Position) -> None:
    """Pay exactly the cap: no spread, no fee, no refund."""
    payout = down(position.notional, books.series[position.series].terms.cap_ppm, MILLION)
    books.from_pools(position.account, payout, Flow.CASH_OUT)
    settle_seller(books, position, payout)
    _shrink(books, position, position.notional, position.impact)


def tick(books: Books, underlying: int, now: int, model: Model) -> Reject:
    """Accrue with the old rates, take the new ones, and cash out what has reached its cap."""
    sampled = books.sampled[underlying]
    if now <= sampled.tick_ms:
        return Reject.TIME_NOT_INCREASING
    elapsed = now - sampled.tick_ms if sampled.ticks else 0
    rent = rent_now(books)
    books.now = now
    for row in list(books.live(underlying)):
        series = books.series[row]
        unit = model.stream_e15(underlying, series.is_call, series.strike_e8)
        rate, of_rent = stream_rate(unit, rent, series.terms.cap_ppm)
        is_gap = elapsed > books.parameters.accrual_gap_ms
        charged = min(series.rate, rate) if is_gap else series.rate
        added = min(up(charged, elapsed, YEAR), LARGEST)
        accrue(books, row, max(series.index, series.tick_index + added))
        series.tick_index, series.rate, series.rent = series.index, rate, of_rent
    _sample(sampled, rent, now)
    _cash_out_reached(books, underlying, model.index_e8(underlying))
    return Reject.NONE


def _sample(sampled: Sampled, rent: int, now: int) -> None:
    sampled.rent, sampled.tick_ms = rent, now
    sampled.ticks += 1


def _cash_out_reached(books: Books, underlying: int, index_e8: int) -> None:
    paid = set()
    for row in list(books.live(underlying)):
        if _has_reached_cap(books.series[row], index_e8):
            for position in books.held_in(row):
                paid.add(position.account)
                _cash_out(books, position)
    for account in sorted(paid):
        allot(books, account)


def _fund_itself(books: Books, position: Position, model: Seller) -> None:
    """Sell just enough for the next day: x = (N p - a) / (b + p), rounded up."""
    parameters, series = books.parameters, books.series[position.series]
    notional = position.notional
    bid = bid_of(books, position, notional, model).net
    premium = premium_over(notional, series.rate, parameters.self_funding_ms)
    short = premium - position.allowance
    sold = notional
    if short > 0 and bid > 0:
        sold = min(notional, up(notional, short, bid + premium))
    if notional - sold < parameters.notional_min:
        _sell_all(books, position, model)
        return
    part = bid_of(books, position, sold, model)
    allowance = position.allowance + part.net
    sell(books, position, sold, part, model)
    endow(books, position, allowance)
    if is_due(books, position):
        _sell_all(books, position, model)


def run(books: Books, position: Position, model: Seller) -> None:
    """Settle the account of a due position, and let the position fund itself if it must."""
    if owed_by(books, position.account) > books.accounts[position.account].balance:
        _sell_all(books, position, model)
        return
    settle(books, position.account)
    allot(books, position.account)
    if is_due(books, position):
        _fund_itself(books, position, model)


def run_due(books: Books, underlying: int, model: Seller, at_most: int) -> int:
    """Run the first due positions of an underlying by key, then number; returns how many."""
    due = [
        each
        for each in books.positions.values()
        if books.series[each.series].underlying == underlying and is_due(books, each)
    ]
    due.sort(key=lambda each: (each.key, each.number))
    for each in due[:at_most]:
        if each.number in books.positions and is_due(books, each):
            run(books, each, model)
    return len(due[:at_most])


def check(books: Books, position: Position, now: int, is_fresh: bool, model: Seller) -> Reject:
    """Run one due position between ticks."""
    if not is_due(books, position):
        return Reject.NOT_DUE
    if not is_fresh:
        return Reject.MARK_STALE
    books.now = now
    run(books, position, model)
    return Reject.NONE
