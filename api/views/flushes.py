"""A flush as its bundle: what it was made from, taken before; what it came to, taken after."""

from decimal import Decimal as Exact
from typing import Any, NamedTuple

from amm.units import MINUTE_MS
from api.bundles import (
    BUNDLE_VERSION,
    BooksGiven,
    CoverFigures,
    FlushBundle,
    FlushEvent,
    FlushRequest,
    FlushResults,
    MinuteMarks,
    PoolFigures,
    SeriesMarks,
    SideFigures,
    SplitDone,
    SpreadLot,
    SurfaceMarks,
    UnderlyingMarks,
    Valuation,
)
from api.journal import Moves
from api.memory import Memory, Token
from api.views.attribution import attribution
from api.views.cover import advances
from api.views.names import KINDS, STATUSES
from api.views.numbers import fixed
from api.wire import Advance
from vaults.commands import SPLIT
from vaults.condition import Condition
from vaults.epoch import Books, Visits, books_of, insurance_lines, main_lines
from vaults.flush import Flushed, Side
from vaults.generations import base_of
from vaults.market import WINDOW_MINUTES
from vaults.moves import Bucket, Flow, Move, RequestKind, RequestStatus
from vaults.nav import Nav
from vaults.state import RequestRow, State

FILL = "fill"


class Before(NamedTuple):
    """What a flush changes, as it was."""

    pool: Any
    vesting: list[SpreadLot]
    advances: list[Advance]
    requests: dict[int, RequestRow]
    books: Books


def before_flush(token: Token) -> Before:
    """Return what a flush is about to change."""
    state = token.state
    pool = state.pool[0]
    first, count = int(pool.request_first), int(pool.request_count)
    return Before(
        pool=state.pool.copy()[0],
        vesting=[
            SpreadLot(day=day, amount=fixed(amount))
            for amount, day in state.vesting.tolist()
            if amount
        ],
        advances=advances(state),
        requests={
            slot: RequestRow(*state.requests[slot].item())
            for slot in range(first, count)
            if state.requests[slot].status == RequestStatus.OPEN
        },
        books=books_of(state),
    )


def bundle_of(
    memory: Memory, name: str, before: Before, flushed: Flushed, moves: Moves, now_ms: int
) -> FlushBundle:
    """Return the bundle of a flush that has just been done."""
    token = memory.tokens[name]
    state, parameters = token.state, token.rules.parameters[0]
    events = _events(moves)
    closed = books_of(state)
    main = main_lines(
        before.books,
        closed,
        int(before.pool.nav_after) - before.books.nav,
        _visits(events, Bucket.MAIN),
    )
    insurance = insurance_lines(before.books, closed, _visits(events, Bucket.INSURANCE))
    return FlushBundle(
        version=BUNDLE_VERSION,
        token=name,
        flush=int(state.pool[0].flushes),
        exchange_time=now_ms,
        parameters_version=token.versions.in_force.version,
        parameters={name: parameters[name].item() for name in parameters.dtype.names},
        underlyings=_underlyings(memory, token),
        series=[_series(memory, state, slot) for slot in _open_series(state)],
        before=_figures(before.pool),
        vesting=before.vesting,
        advances=before.advances,
        requests=[_request(state, slot, row) for slot, row in before.requests.items()],
        events=[_event(each) for each in events],
        results=_results(flushed),
        after=_figures(state.pool[0]),
        advances_after=advances(state),
        splits=_splits(memory, name),
        opened=_books(before.books),
        closed=_books(closed),
        main=attribution(before.books.nav, closed.nav, main),
        insurance=attribution(before.books.insurance, closed.insurance, insurance),
    )


def _open_series(state: State) -> list[int]:
    """Return the rows with open notional in the order they are summed in: by underlying."""
    rows = state.series[: int(state.pool[0].series_count)]
    live = (rows.open_notional > 0).nonzero()[0].tolist()
    return sorted(live, key=lambda slot: (int(rows[slot].underlying), slot))


def exact(number: float) -> str:
    """Return a binary number as the shortest decimal that stands for it."""
    return format(Exact(repr(float(number))), "f")


def _underlyings(memory: Memory, token: Token) -> list[UnderlyingMarks]:
    """Return the marks of every underlying that has any, for a token."""
    market, found = memory.market, []
    for slot, name in enumerate(memory.underlyings):
        if token.state.books[slot].ticks == 0:
            continue
        oracle, window, terms = market.oracle[slot], market.windows[slot], token.listing.terms[slot]
        minute = int(oracle.index_ms) // MINUTE_MS
        surface, shape = memory.surfaces()[slot], market.shapes[slot]
        found.append(
            UnderlyingMarks(
                underlying=name,
                index=fixed(oracle.index_e8),
                index_time=int(oracle.index_ms),
                vol=fixed(oracle.mark_vol_e9, 9),
                minutes=[
                    MinuteMarks(
                        minute=at * MINUTE_MS,
                        low=fixed(low),
                        high=fixed(high),
                        last=fixed(last),
                        vol=fixed(vol, 9),
                    )
                    for at, low, high, last, vol in sorted(market.minutes[slot].tolist())
                    if last > 0 and minute - WINDOW_MINUTES < at <= minute
                ],
                median=fixed(window.median_e8),
                low=fixed(window.low_e8),
                high=fixed(window.high_e8),
                median_vol=fixed(window.median_vol_e9, 9),
                surface=SurfaceMarks(
                    published=int(shape.published_ms),
                    long_vol=exact(surface.long_vol),
                    reversion=exact(surface.reversion),
                    skew=exact(surface.skew),
                    curvature=exact(surface.curvature),
                ),
                funding_period=terms.funding_period_ms,
                discount_rate=fixed(terms.discount_rate_e9, 9),
                funding_carry=fixed(terms.funding_carry_e9, 9),
                correlation=exact(terms.correlation),
            )
        )
    return found


def _series(memory: Memory, state: State, slot: int) -> SeriesMarks:
    """Return an open series; a flush changes nothing of it but what is receivable."""
    row, mark, stress = state.series[slot], state.marks[slot], state.stress[slot]
    return SeriesMarks(
        underlying=memory.underlyings[int(row.underlying)],
        kind="call" if row.is_call else "put",
        strike=fixed(row.strike_e8),
        cap=fixed(row.cap_ppm, 6),
        funding_period=int(row.funding_period_ms),
        discount_rate=fixed(row.discount_rate_e9, 9),
        open_notional=fixed(row.open_notional),
        locked=fixed(row.locked),
        receivable=fixed(row.receivable),
        value_mid=exact(mark.value_median),
        value_low=exact(mark.value_low),
        value_high=exact(mark.value_high),
        stress_down=exact(stress[0]),
        stress_up=exact(stress[1]),
    )


def _splits(memory: Memory, name: str) -> list[SplitDone]:
    """Return the splits that were done, in their order: one is announced at a time.

    All of them, since times do not tell a split from a flush in the same millisecond.
    """
    base = base_of(name)
    return [
        SplitDone(numerator=each.numerator, denominator=each.denominator, applied=each.applied_ms)
        for each in memory.actions
        if each.token == base and each.action == SPLIT and each.applied_ms
    ]


def _figures(pool: Any) -> PoolFigures:
    """Return both pools of a row."""
    return PoolFigures(
        main=fixed(pool.main),
        insurance=fixed(pool.insurance),
        main_shares=fixed(pool.main_shares),
        main_seed_shares=fixed(pool.main_seed_shares),
        insurance_shares=fixed(pool.insurance_shares),
        locked=fixed(pool.locked),
        impact_refundable=fixed(pool.impact_refundable),
        advances=fixed(pool.advances),
        written_off=int(pool.written_off_ms),
        nav_reference=fixed(pool.nav_reference),
        nav_after=fixed(pool.nav_after),
        insurance_share=fixed(pool.phi_ppm, 6),
        rent_doubled=bool(pool.rent_doubled),
        exhausted=bool(pool.exhausted),
        flushes=int(pool.flushes),
        next_flush=int(pool.next_flush_ms),
        cutoff=int(pool.cutoff_ms),
        cover_insurance=fixed(pool.cover_insurance),
        cover_nav=fixed(pool.cover_nav),
        cover_pnl=fixed(pool.cover_pnl),
        cover_claimed=fixed(pool.cover_claimed),
        peak_insurance=fixed(pool.peak_insurance),
        peak_shares=fixed(pool.peak_shares),
    )


def _request(state: State, slot: int, row: RequestRow) -> FlushRequest:
    """Return a request as it was, and what has become of it."""
    pool, kind = KINDS[RequestKind(row.kind)]
    now = state.requests[slot]
    return FlushRequest(
        number=slot,
        pool=pool,
        kind=kind,
        flush=row.flush + 1,
        created=row.created_ms,
        amount=fixed(row.amount),
        filled=fixed(row.filled),
        received=fixed(row.paid),
        min_out=fixed(row.min_out),
        filled_now=fixed(now.filled - row.filled),
        received_now=fixed(now.paid - row.paid),
        status=STATUSES[RequestStatus(int(now.status))],
    )


class Happened(NamedTuple):
    """A transfer, or the fill of a request, in base units; see `FlushEvent`."""

    event: str
    amount: int
    source: Bucket | None = None
    target: Bucket | None = None
    request: int | None = None
    received: int = 0


def _events(moves: Moves) -> list[Happened]:
    """Return the transfers and fills among the moves of a flush."""
    found = []
    for kind, first, second, third, fourth, fifth in moves.tolist():
        if kind == Move.TRANSFER:
            name = Flow(fifth).name.lower()
            found.append(Happened(name, fourth, Bucket(first), Bucket(second)))
        elif kind == Move.FILL:
            found.append(Happened(FILL, second, request=first, received=third))
    return found


def _event(each: Happened) -> FlushEvent:
    if each.source is None or each.target is None:
        return FlushEvent(
            event=each.event,
            amount=fixed(each.amount),
            request=each.request,
            received=fixed(each.received),
        )
    return FlushEvent(
        event=each.event,
        amount=fixed(each.amount),
        source=each.source.name.lower(),
        target=each.target.name.lower(),
    )


def _visits(events: list[Happened], pool: Bucket) -> Visits:
    """Return what LPs brought to a pool and took from it."""
    leaving = {Flow.REDEMPTION.name.lower(), Flow.DISSOLUTION.name.lower()}
    entering = Flow.DEPOSIT.name.lower()
    return Visits(
        sum(each.amount for each in events if each.target is pool and each.event == entering),
        sum(each.amount for each in events if each.source is pool and each.event in leaving),
    )


def _valuation(nav: Nav) -> Valuation:
    return Valuation(low=fixed(nav.low), mid=fixed(nav.mid), high=fixed(nav.high))


def _side(side: Side) -> SideFigures:
    return SideFigures(
        supply=fixed(side.supply),
        low=fixed(side.low),
        cross=fixed(side.cross),
        high=fixed(side.high),
        free=fixed(side.free),
        exit_fee=fixed(side.exit_fee_ppm, 6),
        crossed=fixed(side.crossed),
    )


def _results(flushed: Flushed) -> FlushResults:
    cover = flushed.cover
    return FlushResults(
        condition=Condition(int(flushed.condition)).name,
        stress=fixed(flushed.stress),
        before=_valuation(flushed.before),
        cover=CoverFigures(
            pnl=fixed(cover.pnl),
            peak=fixed(cover.peak),
            deductible=fixed(cover.deductible),
            layer=fixed(cover.layer),
            available=fixed(cover.available),
            claimed=fixed(cover.claimed),
        ),
        claim=fixed(flushed.claim),
        repaid=fixed(flushed.repaid),
        written_off=fixed(flushed.written_off),
        nav=_valuation(flushed.nav),
        main=_side(flushed.main),
        insurance=_side(flushed.insurance),
        nav_after=_valuation(flushed.nav_after),
        insurance_share=fixed(flushed.phi_ppm, 6),
        new_period=bool(flushed.new_period),
    )


def _books(books: Books) -> BooksGiven:
    return BooksGiven(
        nav=fixed(books.nav),
        insurance=fixed(books.insurance),
        accrued=fixed(books.accrued),
        refundable=fixed(books.refundable),
        flows={flow.name.lower(): fixed(books.flows[flow]) for flow in Flow},
    )
