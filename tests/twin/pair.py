"""A bench and its twin: every command goes to both, and every integer must agree."""

from copy import copy, deepcopy
from typing import Any, Self

from amm.scenarios import UNDERLYINGS
from amm.units import MINUTE_MS
from tests.twin import accounts, flushing, promises, trading
from tests.twin.books import Books
from tests.twin.models import BenchModel
from tests.twin.trading import Order
from tests.vaults.harness import START, Bench
from vaults.moves import Flow, RequestKind
from vaults.params import BTC_TERMS, ETH_TERMS, Parameters, Terms
from vaults.rejects import Reject
from vaults.state import ADVANCE_LOTS, DUE_SLICE
from vaults.tick import run_due, tick

_COUNTED = [flow for flow in Flow if flow not in (Flow.DELTA, Flow.GAMMA, Flow.VEGA)]
"""Totals of money; the others are of figures that are models' alone."""


class DifferenceError(AssertionError):
    """The kernels and the twin do not agree; says in what, kernel first."""


def _of_pool(books: Books) -> dict[str, int]:
    cover = books.cover
    first = next((row for row, each in enumerate(books.requests) if each.status == 0), None)
    return {
        "main": books.main,
        "insurance": books.insurance,
        "balances": books.balances,
        "escrow_main": books.escrow(RequestKind.DEPOSIT_MAIN),
        "escrow_insurance": books.escrow(RequestKind.DEPOSIT_INSURANCE),
        "fees": books.fees,
        "pending": books.pending,
        "custody": books.custody,
        "main_shares": books.main_shares,
        "insurance_shares": books.insurance_shares,
        "main_seed_shares": books.main_seed,
        "insurance_seed_shares": books.insurance_seed,
        "locked": books.locked,
        "live_series": sum(1 for row in range(len(books.series)) if books.notional(row) > 0),
        "impact_refundable": books.refundable,
        "advances": books.advances,
        "written_off_ms": books.written_off,
        "nav_reference": books.nav_reference,
        "nav_after": books.nav_after,
        "phi_ppm": books.phi,
        "flushes": books.flushes,
        "next_flush_ms": books.next_flush,
        "cutoff_ms": books.cutoff,
        "rent_doubled": int(books.is_rent_doubled),
        "exhausted": int(books.is_exhausted),
        "cover_insurance": cover.insurance,
        "cover_nav": cover.nav,
        "cover_pnl": cover.pnl,
        "cover_claimed": cover.claimed,
        "peak_insurance": cover.peak,
        "peak_shares": cover.peak_shares,
        "account_count": len(books.accounts),
        "series_count": len(books.series),
        "position_id": books.last_position,
        "closed_nav": books.closed.nav,
        "closed_insurance": books.closed.insurance,
        "closed_accrued": books.closed.accrued,
        "closed_refundable": books.closed.refundable,
        "request_count": len(books.requests),
        "request_first": len(books.requests) if first is None else first,
        "now_ms": books.now,
    }


def _by_twin(books: Books) -> dict[str, Any]:
    """Return every integer the twin knows, by name."""
    return {
        "pool": _of_pool(books),
        "accounts": [
            (each.account_id, each.balance, each.main_shares, each.insurance_shares)
            for each in books.accounts
        ],
        "books": [(each.tick_ms, each.ticks, each.rent) for each in books.sampled],
        "series": [
            (
                each.underlying,
                int(each.is_call),
                each.strike_e8,
                each.terms.cap_ppm,
                each.terms.funding_period_ms,
                each.terms.discount_rate_e9,
                books.notional(row),
                sum(books.lock(one) for one in books.held_in(row)),
                each.index,
                each.tick_index,
                each.owed_e15 % 10**15,
                each.receivable,
            )
            for row, each in enumerate(books.series)
        ],
        "positions": {
            each.number: (
                each.account,
                each.series,
                each.notional,
                each.entry,
                each.impact,
                each.self_funding,
                each.allowance,
                each.key,
            )
            for each in books.positions.values()
        },
        "requests": [
            (
                each.account,
                int(each.kind),
                each.amount,
                each.min_out,
                each.created,
                each.flush,
                each.filled,
                each.paid,
                int(each.status),
            )
            for each in books.requests
        ],
        "spreads": {day: amount for day, amount in books.spreads.items() if amount},
        "lots": {
            day: (each.amount, each.since, each.until, each.remaining)
            for day, each in books.lots.items()
            if each.remaining
        },
        "flows": {flow.name: books.flows[flow] for flow in _COUNTED},
        "closed_flows": {flow.name: books.closed.flows[flow] for flow in _COUNTED},
        "rates": {row: each.rate for row, each in enumerate(books.series) if books.notional(row)},
    }


_SERIES = (
    "underlying",
    "is_call",
    "strike_e8",
    "cap_ppm",
    "funding_period_ms",
    "discount_rate_e9",
    "open_notional",
    "locked",
    "index_e15",
    "tick_index_e15",
    "remainder_e15",
    "receivable",
)
_POSITION = (
    "account",
    "series",
    "notional",
    "entry_index_e15",
    "impact_paid",
    "self_funding",
    "allowance",
    "key_e15",
)
_REQUEST = (
    "account",
    "kind",
    "amount",
    "min_out",
    "created_ms",
    "flush",
    "filled",
    "paid",
    "status",
)

_LOT = ("amount", "since_ms", "until_ms", "remaining")

_NOTIONAL = _SERIES.index("open_notional")


def _rows(records: Any, count: int, names: tuple[str, ...]) -> list[tuple[int, ...]]:
    """Return fields of the rows in use, as plain integers."""
    places = [records.dtype.names.index(name) for name in names]
    return [tuple(row[place] for place in places) for row in records[:count].tolist()]


def _by_kernels(bench: Bench, days: set[int]) -> dict[str, Any]:
    """Return the same of the kernels' state; spread is kept of a few days only."""
    state = bench.state
    pool = dict(zip(state.pool.dtype.names, state.pool[0].item(), strict=True))
    holder = ("account_id", "balance", "main_shares", "insurance_shares")
    positions = _rows(state.positions, pool["position_count"], ("position_id", *_POSITION))
    lots = _rows(state.advance_lots, ADVANCE_LOTS, ("day", *_LOT))
    flows, closed = state.flows.tolist(), state.closed_flows.tolist()
    series = _rows(state.series, pool["series_count"], _SERIES)
    rates = state.marks.rate_e15.tolist()
    unknown = ("position_count", "position_free", "account_positions_max")
    return {
        "pool": {name: number for name, number in pool.items() if name not in unknown},
        "accounts": _rows(state.accounts, pool["account_count"], holder),
        "books": _rows(state.books, UNDERLYINGS, ("tick_ms", "ticks", "rent_e15")),
        "series": series,
        "positions": {number: tuple(row) for number, *row in positions if row[2] > 0},
        "requests": _rows(state.requests, pool["request_count"], _REQUEST),
        "spreads": {day: amount for amount, day in state.vesting.tolist() if day in days},
        "lots": {day: tuple(row) for day, *row in lots if row[3] > 0},
        "flows": {flow.name: flows[flow] for flow in _COUNTED},
        "closed_flows": {flow.name: closed[flow] for flow in _COUNTED},
        "rates": {row: rates[row] for row, each in enumerate(series) if each[_NOTIONAL] > 0},
    }


def _differences(kernel: Any, twin: Any, name: str) -> list[str]:
    """Return where two pictures differ, as text."""
    if isinstance(twin, dict):
        if isinstance(kernel, dict) and kernel.keys() != twin.keys():
            return [f"{name}: {sorted(kernel)} is not {sorted(twin)}"]
        return [
            line for key in twin for line in _differences(kernel[key], twin[key], f"{name}.{key}")
        ]
    if isinstance(twin, list) and len(kernel) == len(twin):
        pairs = zip(kernel, twin, strict=True)
        return [
            line
            for place, (one, other) in enumerate(pairs)
            for line in _differences(one, other, f"{name}[{place}]")
        ]
    return [] if kernel == twin else [f"{name}: {kernel} is not {twin}"]


class Pair:
    """One token on the bench, and its twin."""

    def __init__(
        self,
        parameters: Parameters | None = None,
        terms: tuple[Terms, Terms] = (BTC_TERMS, ETH_TERMS),
        *,
        checked: bool = True,
    ) -> None:
        self.bench = Bench(parameters, terms, checked=checked)
        self.books = Books(self.bench.parameters, terms)
        self.model = BenchModel(self.bench)
        flushing.list_token(self.books, START)
        self.compare("list")

    def copy(self) -> Self:
        """Return a pair in the same state that goes its own way."""
        other = copy(self)
        other.bench, other.books = self.bench.copy(), deepcopy(self.books)
        other.model = BenchModel(other.bench)
        return other

    def compare(self, doing: str) -> None:
        """Raise `DifferenceError` unless every integer agrees."""
        kept = {int(day) for _, day in self.bench.state.vesting}
        days = {day for day, amount in self.books.spreads.items() if amount and day in kept}
        twin = _by_twin(self.books)
        twin["spreads"] = {day: self.books.spreads[day] for day in days}
        found = _differences(_by_kernels(self.bench, days), twin, doing)
        if found:
            raise DifferenceError("\n".join(found))

    def _agree(self, doing: str, kernel: int, twin: Reject) -> Reject:
        if kernel != twin:
            raise DifferenceError(f"{doing}: {Reject(kernel).name} is not {twin.name}")
        self.compare(doing)
        return twin

    # Commands.

    def account(self, amount: int) -> int:
        """Open an account with a balance; returns its row."""
        row = self.bench.account(amount)
        refusal = accounts.credit(self.books, None, 1_000 + row, amount, self.bench.now)
        self._agree("account", 0, refusal)
        return row

    def credit(self, account: int, amount: int) -> Reject:
        """Book a deposit."""
        code = self.bench.credit(account, amount).code
        refusal = accounts.credit(self.books, account, 0, amount, self.bench.now)
        return self._agree("credit", code, refusal)

    def withdraw(self, account: int, amount: int) -> Reject:
        """Take balance out."""
        code = self.bench.withdraw(account, amount).code
        refusal = accounts.withdraw(self.books, account, amount, self.bench.now)
        return self._agree("withdraw", code, refusal)

    def debit(self, amount: int) -> Reject:
        """Book a withdrawal paid out."""
        code = self.bench.debit(amount).code
        return self._agree("debit", code, accounts.debit(self.books, amount, self.bench.now))

    def open(
        self,
        account: int,
        notional: int,
        strike: float = 100_000,
        *,
        is_call: bool = True,
        underlying: int = 0,
        limit: int = 2**52,
        self_funding: bool = False,
    ) -> int:
        """Buy; returns the position's number, 0 where it was refused."""
        order = Order(
            account,
            underlying,
            is_call,
            round(strike * 10**8),
            notional,
            limit,
            int(self_funding),
            self.model.is_fresh(underlying),
        )
        index_e8 = self.model.index_e8(underlying)
        refusal = trading.refusal_before_price(self.books, order, index_e8)
        if refusal == Reject.NONE:
            order = self.model.priced(order)
        fill = self.bench.open(
            account,
            notional,
            strike,
            is_call=is_call,
            underlying=underlying,
            limit=limit,
            self_funding=self_funding,
        )
        self.refusal = self._agree("open", fill.refusal.code, self._opened(order, refusal, fill))
        return int(fill.position_id)

    def _opened(self, order: Order, refusal: Reject, fill: Any) -> Reject:
        """Let the twin do an opening, at the time of the bench."""
        if refusal != Reject.NONE:
            return refusal
        before, self.books.now = self.books.now, self.bench.now
        ask = trading.ask_of(order)
        refusal = trading.refusal_of_order(self.books, order, ask, self.model)
        if refusal != Reject.NONE:
            self.books.now = before
            return refusal
        number = trading.carry_out(self.books, order, ask)
        assert (number, ask.total, ask.fee) == (fill.position_id, fill.amount, fill.fee)
        return refusal

    def close(self, account: int, number: int, notional: int, least: int = 0) -> Reject:
        """Sell part or all of a position."""
        self.model.freeze()
        position = self.books.positions.get(number)
        is_fresh = position is not None and self.model.is_fresh(
            self.books.series[position.series].underlying
        )
        fill = self.bench.close(account, number, notional, least)
        before, self.books.now = self.books.now, self.bench.now
        refusal, received = trading.close(
            self.books, account, number, notional, least, is_fresh, self.model
        )
        if refusal != Reject.NONE:
            self.books.now = before
        assert received == fill.amount
        return self._agree("close", fill.refusal.code, refusal)

    def check(self, number: int) -> Reject:
        """Check a position between ticks."""
        self.model.freeze()
        position = self.books.positions[number]
        rows = self.bench.state.positions[: int(self.bench.pool.position_count)]
        (slot,) = (
            row for row, each in enumerate(rows) if each.position_id == number and each.notional
        )
        code = self.bench.check(slot).code
        is_fresh = self.model.is_fresh(self.books.series[position.series].underlying)
        refusal = trading.check(self.books, position, self.bench.now, is_fresh, self.model)
        return self._agree("check", code, refusal)

    def request(self, account: int, kind: RequestKind, amount: int, min_out: int = 0) -> Reject:
        """Ask to provide or to leave."""
        code = self.bench.request(account, kind, amount, min_out).refusal.code
        refusal = accounts.ask(self.books, account, kind, amount, min_out, self.bench.now)
        return self._agree("request", code, refusal)

    def cancel(self, account: int, row: int) -> Reject:
        """Take a request back."""
        code = self.bench.cancel(account, row).code
        return self._agree(
            "cancel", code, accounts.cancel(self.books, account, row, self.bench.now)
        )

    def tick(
        self,
        prices: tuple[float | None, float | None] = (None, None),
        vols: tuple[float | None, float | None] = (None, None),
        after_ms: int = MINUTE_MS,
    ) -> None:
        """Let time pass, then tick both underlyings; what is not given stays."""
        bench = self.bench
        bench.now += after_ms
        for underlying in (0, 1):
            price, vol = prices[underlying], vols[underlying]
            bench.publish(
                underlying,
                bench.prices[underlying] if price is None else price,
                bench.vols[underlying] if vol is None else vol,
            )
            code = bench.run(tick, bench.rules, bench.market, underlying, bench.now).code
            refusal = trading.tick(self.books, underlying, bench.now, self.model)
            self._agree("tick", code, refusal)
            self._run_due(underlying)

    def _run_due(self, underlying: int) -> None:
        """Run due positions slice by slice, on both sides."""
        bench, count = self.bench, 1
        while count > 0:
            self.model.freeze()
            count = bench.run(run_due, bench.rules, bench.market, underlying, bench.now)
            twins = trading.run_due(self.books, underlying, self.model, DUE_SLICE)
            self.compare(f"{count} due, {twins} by the twin")
            assert count == twins

    def warm(self, minutes: int = 31) -> None:
        """Tick at unchanged marks until the window is full."""
        for _ in range(minutes):
            self.tick()

    def flush(self) -> flushing.Flushed:
        """Flush now."""
        before = deepcopy(self.books)
        done = self.bench.flush()
        twins = flushing.flush(self.books, self.bench.now, self.model)
        self._agree("flush", done.refusal.code, twins.refusal)
        assert twins.done == bool(done.done)
        assert twins.nav == tuple(done.nav)
        assert twins.after == tuple(done.nav_after)
        promises.check_flush(before, self.books, twins)
        return twins

    def flush_when_due(self, ticks: int = 31) -> flushing.Flushed:
        """Jump to the next flush, fill its window with unchanged marks, and flush."""
        ahead = self.books.next_flush - self.bench.now - (ticks - 1) * MINUTE_MS
        assert ahead > 0
        self.tick(after_ms=ahead)
        self.warm(ticks - 1)
        return self.flush()
