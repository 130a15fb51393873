"""The one way to change the state: post a move, which applies it and writes it to the log."""

from amm.kernel import kernel
from vaults.effects import (
    accrue,
    add_shares,
    book_advance,
    book_spread,
    change_bucket,
    close_books,
    fill_request,
    hold_shares,
    insert_position,
    new_account,
    new_request,
    new_series,
    note_peak,
    repay_advances,
    resize,
    set_flush,
    set_measured,
    settle,
    track_cover,
    write_off_advances,
)
from vaults.moves import Move
from vaults.split import split
from vaults.state import State

_TRANSFER = Move.TRANSFER.value
_ACCRUE = Move.ACCRUE.value
_SETTLE = Move.SETTLE.value
_RESIZE = Move.RESIZE.value
_ALLOT = Move.ALLOT.value
_ACCOUNT = Move.ACCOUNT.value
_SERIES = Move.SERIES.value
_POSITION = Move.POSITION.value
_SHARES = Move.SHARES.value
_HOLD = Move.HOLD.value
_REQUEST = Move.REQUEST.value
_FILL = Move.FILL.value
_TICK = Move.TICK.value
_SPREAD = Move.SPREAD.value
_FLUSH = Move.FLUSH.value
_COVER = Move.COVER.value
_ADVANCE = Move.ADVANCE.value
_COUNT = Move.COUNT.value
_CLOCK = Move.CLOCK.value
_CUTOFF = Move.CUTOFF.value
_FUNDING = Move.FUNDING.value
_REPAY = Move.REPAY.value
_WRITE_OFF = Move.WRITE_OFF.value
_EXHAUST = Move.EXHAUST.value
_MEASURE = Move.MEASURE.value
_SPLIT = Move.SPLIT.value
_REBASE = Move.REBASE.value
_PEAK = Move.PEAK.value
_CLOSE_BOOKS = Move.CLOSE_BOOKS.value


@kernel
def apply(state: State, kind: int, a: int, b: int, c: int, d: int, e: int) -> None:  # noqa: C901, PLR0912, PLR0915
    """Apply one move; a kind that does not exist, or a broken balance, is a bug and stops."""
    if kind == _TRANSFER:
        assert d >= 0
        change_bucket(state, a, c, -d)
        change_bucket(state, b, c, d)
        state.flows[e] += d
    elif kind == _ACCRUE:
        accrue(state, a, b, c, d)
    elif kind == _SETTLE:
        settle(state, a)
    elif kind == _ALLOT:
        state.positions[a].allowance = b
        state.positions[a].key_e15 = c
    elif kind == _RESIZE:
        resize(state, a, b, c)
    elif kind == _POSITION:
        insert_position(state, a, b, c)
    elif kind == _TICK:
        state.books[a].rent_e15 = b
        state.books[a].tick_ms = c
        state.books[a].ticks += 1
    elif kind == _SPREAD:
        book_spread(state, a, b)
    elif kind == _COUNT:
        state.flows[a] += b
    elif kind == _SHARES:
        add_shares(state, a, b, c)
    elif kind == _HOLD:
        hold_shares(state, a, b, c)
    elif kind == _REQUEST:
        new_request(state, a, b, c, d, e)
    elif kind == _FILL:
        fill_request(state, a, b, c, d)
    elif kind == _FLUSH:
        set_flush(state, a, b, c, d, e)
    elif kind == _COVER:
        track_cover(state, a, b, c, d)
    elif kind == _ADVANCE:
        book_advance(state, a, b, c)
    elif kind == _ACCOUNT:
        new_account(state, a)
    elif kind == _SERIES:
        new_series(state, a, b, c, d, e)
    elif kind == _FUNDING:
        state.positions[a].self_funding = b
    elif kind == _CUTOFF:
        state.pool[0].cutoff_ms = a
    elif kind == _REPAY:
        repay_advances(state, a)
    elif kind == _WRITE_OFF:
        write_off_advances(state, a)
    elif kind == _EXHAUST:
        state.pool[0].exhausted = 1
    elif kind == _MEASURE:
        set_measured(state, a, b, c, d)
    elif kind == _SPLIT:
        split(state, a, b, c)
    elif kind == _PEAK:
        note_peak(state)
    elif kind == _REBASE:
        state.pool[0].nav_after += a
    elif kind == _CLOSE_BOOKS:
        close_books(state, a)
    else:
        assert kind == _CLOCK
        state.pool[0].now_ms = a


@kernel
def post(state: State, kind: int, a: int, b: int, c: int, d: int, e: int) -> None:
    """Apply a move and write it to the log of the running command."""
    count = state.log_count[0]
    assert count < state.log.shape[0]
    row = state.log[count]
    row[0] = kind
    row[1] = a
    row[2] = b
    row[3] = c
    row[4] = d
    row[5] = e
    state.log_count[0] = count + 1
    apply(state, kind, a, b, c, d, e)


@kernel
def transfer(state: State, source: int, target: int, account: int, amount: int, flow: int) -> None:
    """Post a transfer, unless nothing moves."""
    if amount > 0:
        post(state, _TRANSFER, source, target, account, amount, flow)


@kernel
def replay_moves(state: State, moves: object) -> None:
    """Apply moves read from the journal, shape (n, MOVE_WIDTH), in order."""
    for row in moves:  # type: ignore[attr-defined]
        apply(state, row[0], row[1], row[2], row[3], row[4], row[5])
