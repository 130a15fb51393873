"""The state of one token: everything a command can read or change, as arrays of integers.

Rows are structured arrays whose fields are the annotations of the classes here. What is derived
from marks (`SeriesMark`, `losses`, `stress`, `book`, `surfaces`) can be recomputed at any time and
is never stored; nor is `live`, which repeats what the series say.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from amm.bundle import bundle
from amm.kernel import kernel
from amm.scenarios import MOVES, REGIMES, UNDERLYINGS
from amm.surface import COEFFICIENTS
from vaults.scratch import DUE_SLICE, Scratch, new_scratch

Records = Any
"""A structured array: its fields have no static types."""
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NONE = -1
"""No row: the end of a list."""
MOVE_WIDTH = 6
VEST_LOTS = 8
ADVANCE_LOTS = 96
"""Days of advances that are told apart: more than it takes to write one off."""
SURFACES = 8
"""Levels of one underlying whose surfaces are kept; see `vaults.smile`."""


class PoolRow(NamedTuple):
    """Both pools of one token; the buckets of custody come first.

    custody = main + insurance + balances + escrow_main + escrow_insurance + fees + pending

    `nav_after` is N_mid when the last flush ended; `cover_pnl` is main's profit and loss from the
    start of the cover period up to then, `cover_claimed` what insurance has paid in the period.
    The fields from `closed_nav` on are N_mid, I, A and R when the last flush closed its books: with
    `State.closed_flows`, what the profit and loss of the next epoch is told apart from.
    Requests before `request_first` are all at their end.
    """

    main: int = 0
    insurance: int = 0
    balances: int = 0
    escrow_main: int = 0
    escrow_insurance: int = 0
    fees: int = 0
    pending: int = 0
    custody: int = 0
    main_shares: int = 0
    insurance_shares: int = 0
    main_seed_shares: int = 0
    insurance_seed_shares: int = 0
    locked: int = 0
    live_series: int = 0
    impact_refundable: int = 0
    advances: int = 0
    written_off_ms: int = 0
    nav_reference: int = 0
    nav_after: int = 0
    phi_ppm: int = 0
    flushes: int = 0
    next_flush_ms: int = 0
    cutoff_ms: int = 0
    rent_doubled: int = 0
    exhausted: int = 0
    cover_insurance: int = 0
    cover_nav: int = 0
    cover_pnl: int = 0
    cover_claimed: int = 0
    peak_insurance: int = 0
    peak_shares: int = 0
    closed_nav: int = 0
    closed_insurance: int = 0
    closed_accrued: int = 0
    closed_refundable: int = 0
    account_positions_max: int = 0
    account_count: int = 0
    series_count: int = 0
    position_count: int = 0
    position_free: int = NONE
    position_id: int = 0
    request_count: int = 0
    request_first: int = 0
    now_ms: int = 0


class BookRow(NamedTuple):
    """One underlying's part of a token: what was sampled at its last tick."""

    tick_ms: int = 0
    ticks: int = 0
    rent_e15: int = 0
    measured_index_e8: int = 0
    measured_vol_e9: int = 0
    measured_ms: int = 0


class SeriesRow(NamedTuple):
    """One series: its terms, fixed for life, and the premium index of all its positions.

    `tick_index_e15` is the index at the last tick; between ticks the index is read from there, so
    it does not depend on how often it was looked at. `remainder_e15` carries the fraction of a
    base unit that the receivable has not counted yet.
    """

    underlying: int
    is_call: int
    strike_e8: int
    cap_ppm: int
    funding_period_ms: int
    discount_rate_e9: int
    open_notional: int = 0
    locked: int = 0
    index_e15: int = 0
    tick_index_e15: int = 0
    remainder_e15: int = 0
    receivable: int = 0
    first_position: int = NONE


class SeriesMark(NamedTuple):
    """What the last marks say of a series; derived, per unit of notional.

    `least_key_e15` is a lower bound of its positions' keys: none is due below it.
    """

    value: float = 0.0
    rate_e15: int = 0
    rent_e15: int = 0
    value_median: float = 0.0
    value_low: float = 0.0
    value_high: float = 0.0
    window_ticks: int = NONE
    losses_ticks: int = NONE
    least_key_e15: int = 0


class SurfaceKey(NamedTuple):
    """What a row of `State.surfaces` was read off for; no level is 0."""

    level: float = 0.0
    carry: float = 0.0


class ValuedRow(NamedTuple):
    """At which tick the book's losses were summed up; `NONE` after a trade."""

    ticks: int = NONE


class AccountRow(NamedTuple):
    """What one account holds of this token; what is escrowed stands in its requests."""

    account_id: int
    balance: int = 0
    main_shares: int = 0
    insurance_shares: int = 0
    position_count: int = 0
    first_position: int = NONE


class PositionRow(NamedTuple):
    """Notional of one series held by one account.

    `entry_index_e15` is the premium index of its last settlement, `allowance` what of the
    account's balance stands behind its premium, `key_e15` the index up to which that lasts.
    """

    position_id: int
    account: int
    series: int
    notional: int = 0
    entry_index_e15: int = 0
    impact_paid: int = 0
    self_funding: int = 0
    allowance: int = 0
    key_e15: int = 0
    next_in_series: int = NONE
    previous_in_series: int = NONE
    next_in_account: int = NONE
    previous_in_account: int = NONE


class AdvanceLot(NamedTuple):
    """What insurance advanced to main in one day, written off evenly from `since_ms` on.

    `amount` was left at `since_ms`, `remaining` is left now, nothing will be at `until_ms`.
    """

    amount: int = 0
    since_ms: int = 0
    until_ms: int = 0
    remaining: int = 0
    day: int = 0


class RequestRow(NamedTuple):
    """A deposit (tokens) or redemption (shares) waiting for a flush; `amount` is what is open."""

    account: int
    kind: int
    amount: int
    min_out: int
    created_ms: int
    flush: int
    filled: int = 0
    paid: int = 0
    status: int = 0


@bundle
class State(NamedTuple):
    """One token. `log` receives every move of the running command; see `vaults.moves`.

    `live` has the rows of all series with open notional, ascending: the first `pool.live_series`.
    The last row of `losses` and of `stress` is that of a series about to be listed.
    """

    pool: Records
    books: Records
    series: Records
    marks: Records
    losses: Floats
    stress: Floats
    book: Floats
    valued: Records
    surfaces: Floats
    surface_keys: Records
    accounts: Records
    positions: Records
    requests: Records
    vesting: Ints
    advance_lots: Records
    flows: Ints
    closed_flows: Ints
    log: Ints
    log_count: Ints
    live: Ints
    scratch: Scratch


STORED = (
    "pool",
    "books",
    "series",
    "accounts",
    "positions",
    "requests",
    "vesting",
    "advance_lots",
    "flows",
    "closed_flows",
)
"""The parts of a state that are not derived from marks."""


_COUNTERS = {
    "series": "series_count",
    "accounts": "account_count",
    "positions": "position_count",
    "requests": "request_count",
}
"""Where the pool counts the rows in use of a part that grows."""


def words_in_use(state: State, part: str) -> Ints:
    """Return the integers of one part, a row each, shape (rows in use, fields)."""
    array = np.asarray(getattr(state, part))
    counter = _COUNTERS.get(part)
    count = int(array.shape[0] if counter is None else np.asarray(state.pool)[counter][0])
    return array[:count].view(np.int64).reshape(count, -1 if count else 1)


def record_type(row: type[Any]) -> np.dtype[Any]:
    """Return the structured type of a row: int64 for `int`, float64 for `float`."""
    kinds = {int: np.int64, float: np.float64}
    return np.dtype([(name, kinds[kind]) for name, kind in row.__annotations__.items()])


def records(row: type[Any], count: int) -> Records:
    """Return `count` zeroed records of a row type."""
    return np.zeros(count, dtype=record_type(row)).view(np.recarray)


def record(values: Any) -> Records:
    """Return one record, as an array of length one, holding the values of a row."""
    return np.array([tuple(values)], dtype=record_type(type(values))).view(np.recarray)


def empty_state(flow_count: int, capacity: int = 64) -> State:
    """Return a token with nothing in it and room for `capacity` rows of each kind."""
    return State(
        pool=record(PoolRow()),
        books=records(BookRow, UNDERLYINGS),
        series=records(SeriesRow, capacity),
        marks=records(SeriesMark, capacity),
        losses=np.zeros((capacity + 1, REGIMES, MOVES)),
        stress=np.zeros((capacity + 1, 2)),
        book=np.zeros((UNDERLYINGS, REGIMES, MOVES)),
        valued=np.array([tuple(ValuedRow())] * UNDERLYINGS, record_type(ValuedRow)).view(
            np.recarray
        ),
        surfaces=np.zeros((UNDERLYINGS, SURFACES, COEFFICIENTS)),
        surface_keys=records(SurfaceKey, UNDERLYINGS * SURFACES).reshape(UNDERLYINGS, SURFACES),
        accounts=records(AccountRow, capacity),
        positions=records(PositionRow, capacity),
        requests=records(RequestRow, capacity),
        vesting=np.zeros((VEST_LOTS, 2), dtype=np.int64),
        advance_lots=records(AdvanceLot, ADVANCE_LOTS),
        flows=np.zeros(flow_count, dtype=np.int64),
        closed_flows=np.zeros(flow_count, dtype=np.int64),
        log=np.zeros((1024, MOVE_WIDTH), dtype=np.int64),
        log_count=np.zeros(1, dtype=np.int64),
        live=np.zeros(capacity, dtype=np.int64),
        scratch=new_scratch(),
    )


def _room(array: Any, needed: int) -> Any:
    """Return the array, or one of twice the size with the same rows where there is no room."""
    if needed <= array.shape[0]:
        return array
    return _resized(array, max(needed, 2 * array.shape[0]))


def _resized(array: Any, rows: int) -> Any:
    """Return the array with so many rows, no fewer than it has."""
    if rows == array.shape[0]:
        return array
    larger = np.zeros((rows, *array.shape[1:]), dtype=array.dtype)
    larger[: array.shape[0]] = array
    return larger.view(type(array))


@kernel
def moves_max(state: State) -> int:
    """Return a bound of the moves one kernel call can make.

    Every position may be settled and given an allowance once, every open request be filled, every
    holder of an exhausted pool be paid out; and each of a slice of due positions may have all
    positions of its account given allowances twice.
    """
    pool = state.pool[0]
    rows = pool.position_count + pool.request_count - pool.request_first + pool.series_count
    if pool.exhausted == 1:
        rows += pool.account_count
    return 64 + 12 * (rows + 2) + DUE_SLICE * (16 + 4 * (1 + pool.account_positions_max))


@kernel
def has_room(state: State) -> bool:
    """Whether there is room for one command more: a row of each kind and all its moves."""
    pool = state.pool[0]
    return bool(
        pool.series_count < state.series.shape[0]
        and pool.account_count < state.accounts.shape[0]
        and pool.position_count < state.positions.shape[0]
        and pool.request_count < state.requests.shape[0]
        and moves_max(state) <= state.log.shape[0]
    )


def logged_for_everybody(state: State) -> State:
    """Return the state with room in the log for a transfer of every account more."""
    needed = moves_max(state) + int(state.pool[0].account_count)
    return state._replace(log=_room(state.log, needed))


def with_room(state: State) -> State:
    """Return the state, with larger arrays and the same rows where it has no room."""
    if has_room(state):
        return state
    pool = state.pool[0]
    series = _room(state.series, pool.series_count + 1)
    rows = series.shape[0]
    return state._replace(
        series=series,
        marks=_resized(state.marks, rows),
        losses=_resized(state.losses, rows + 1),
        stress=_resized(state.stress, rows + 1),
        live=_resized(state.live, rows),
        accounts=_room(state.accounts, pool.account_count + 1),
        positions=_room(state.positions, pool.position_count + 1),
        requests=_room(state.requests, pool.request_count + 1),
        log=_room(state.log, moves_max(state)),
    )
