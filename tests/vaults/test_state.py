"""The arrays of a state: rows by name, room for what comes, and the moves that change them."""

import numpy as np
import pytest

from amm.units import E15, ONE
from tests.vaults.harness import BTC, RICH, clone, funded, replay
from vaults.invariants import states_are_equal
from vaults.ledger import apply
from vaults.moves import FLOWS, Flow, Move, RequestKind
from vaults.rejects import Reject
from vaults.state import (
    NONE,
    AccountRow,
    PoolRow,
    SeriesMark,
    State,
    empty_state,
    record,
    record_type,
    records,
    with_room,
)
from vaults.tick import remark


def test_a_record_has_the_fields_of_its_row() -> None:
    """Integers are int64, floats float64, values stand where they are named."""
    assert record_type(AccountRow).names == AccountRow._fields
    assert record_type(SeriesMark)["value"] == np.float64
    assert record_type(SeriesMark)["rate_e15"] == np.int64
    row = record(AccountRow(7, balance=5))
    assert (row[0].account_id, row[0].balance, row[0].first_position) == (7, 5, NONE)
    assert records(PoolRow, 3).shape == (3,)


@pytest.mark.parametrize("name", ["series", "marks", "accounts", "positions", "requests"])
def test_room_is_made_without_changing_what_is_there(name: str) -> None:
    """Where an array is full it doubles and keeps its rows; where it is not it is the same one."""
    state = empty_state(FLOWS, capacity=2)
    random = np.random.default_rng(1)
    array = getattr(state, name)
    array.view(np.int64)[:] = random.integers(1, 100, array.view(np.int64).shape)
    counts = {"marks": "series"}.get(name, name).removesuffix("s").replace("serie", "series")
    field = {"series": "series_count"}.get(counts, f"{counts}_count")
    setattr(state.pool[0], field, 1)
    assert getattr(with_room(state), name) is array
    setattr(state.pool[0], field, 2)
    larger = getattr(with_room(state), name)
    assert larger.shape[0] == 4
    assert np.array_equal(larger[:2], array)
    assert isinstance(larger, np.recarray)
    assert not larger[2:].view(np.int64).any()


def test_room_for_losses_and_the_log_grows_too() -> None:
    """The log has room for every position and request; losses follow the series."""
    state = empty_state(FLOWS, capacity=2)
    state.losses[:] = 0.25
    state.stress[:] = -0.5
    state.log[3] = 9
    state.pool[0].series_count = 2
    state.pool[0].position_count = 1_000
    larger = with_room(state)
    assert larger.losses.shape[0] == larger.stress.shape[0] == 5
    assert (larger.losses[:2] == 0.25).all()
    assert (larger.stress[:2] == -0.5).all()
    assert larger.log.shape[0] >= 8 * 1_000
    assert (larger.log[3] == 9).all()


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_every_series_has_a_row_of_everything_however_often_room_was_made(capacity: int) -> None:
    """And losses and stress one more, for a series about to be listed."""
    state = empty_state(FLOWS, capacity)
    for count in range(1, 40):
        state.pool[0].series_count = count
        state = with_room(state)
        rows = state.series.shape[0]
        assert rows > count
        assert state.marks.shape[0] == state.live.shape[0] == rows
        assert state.losses.shape[0] == state.stress.shape[0] == rows + 1


@pytest.mark.compiled
def test_many_accounts_and_positions_fit() -> None:
    """Commands go on beyond the first capacity of every array."""
    bench = funded()
    accounts = [bench.account(10 * ONE) for _ in range(70)]
    for account in accounts:
        assert bench.open(account, ONE).refusal.code == Reject.NONE
        bench.request(account, RequestKind.DEPOSIT_MAIN, ONE)
    assert bench.pool.position_count == 70
    assert bench.pool.request_count == 71
    bench.flush_when_due()
    assert all(int(bench.state.accounts[account].main_shares) > 0 for account in accounts)


def test_rows_of_closed_positions_are_used_again() -> None:
    """A closed position's row goes to the next one, its id does not."""
    bench = funded()
    account, other = bench.account(), bench.account()
    fills = [bench.open(account, ONE, 100_000 + 1_000 * place) for place in range(3)]
    bench.close(account, fills[1].position_id, ONE)
    assert bench.pool.position_free == 1
    again = bench.open(other, ONE, 95_000)
    assert again.position_id == 4
    assert bench.pool.position_count == 3
    assert bench.pool.position_free == NONE
    assert bench.position(4).account == other
    assert bench.close(account, 2, ONE).refusal.code == Reject.POSITION_UNKNOWN


def test_replaying_a_history_gives_its_state() -> None:
    """All moves since the listing, applied to an empty token: equal bit for bit."""
    bench = funded()
    log: list[np.ndarray] = []
    first = clone(bench.state)
    run = bench.run

    def spy(*inputs: object) -> object:
        result = run(*inputs)
        log.append(bench.moves)
        return result

    bench.run = spy  # type: ignore[method-assign]
    account = bench.account(RICH // 100)
    fill = bench.open(account, 50 * ONE)
    bench.tick(101_000)
    bench.close(account, fill.position_id, 20 * ONE)
    bench.request(account, RequestKind.DEPOSIT_MAIN, ONE)
    bench.flush_when_due()
    bench.tick(160_000)
    moves = np.concatenate(log)
    assert len(moves) > 60
    assert {int(kind) for kind in moves[:, 0]} >= {
        Move.TRANSFER,
        Move.ACCRUE,
        Move.SETTLE,
        Move.RESIZE,
        Move.ALLOT,
        Move.TICK,
        Move.FLUSH,
    }
    rebuilt = with_room(with_room(first))
    replay(rebuilt, moves)
    assert states_are_equal(rebuilt, bench.state)
    replay(rebuilt, moves[moves[:, 0] == Move.TRANSFER][-1:])
    assert not states_are_equal(rebuilt, bench.state)


def test_what_is_derived_from_marks_can_be_recomputed() -> None:
    """A state that was loaded has no marks; after `remark` it goes on as the other does."""
    bench = funded()
    account = bench.account()
    bench.open(account, 50 * ONE)
    bench.open(account, 50 * ONE, 110_000, is_call=False)
    bench.tick(101_000)
    loaded = bench.copy()
    for array in (loaded.state.marks.view(np.int64), loaded.state.losses, loaded.state.stress):
        array[:] = 0
    remark(loaded.state, loaded.rules, loaded.market)
    assert np.array_equal(loaded.state.marks.rate_e15, bench.state.marks.rate_e15)
    for each in (bench, loaded):
        each.tick(99_000)
        each.open(account, 5 * ONE)
        each.credit(account, 1)
    assert states_are_equal(bench.state, loaded.state)
    assert bench.nav() == loaded.nav()


def test_a_receivable_loses_no_fraction() -> None:
    """Many small accruals add up to the floor of their exact sum."""
    bench = funded()
    account = bench.account()
    bench.open(account, 1_234_567)
    start = int(bench.state.series[0].index_e15)
    series = bench.state.series[0]
    for _ in range(200):
        bench.tick(after_ms=1_000)
    passed = int(bench.state.series[0].index_e15) - start
    assert int(bench.state.series[0].receivable) == 1_234_567 * passed // E15
    exact = int(series.receivable) * E15 + int(series.remainder_e15)
    assert exact == 1_234_567 * passed


def test_a_move_that_breaks_a_balance_stops() -> None:
    """More out of a bucket than is in it is a bug, and nothing after it happens."""
    bench = funded()
    main = int(bench.pool.main)
    with pytest.raises(AssertionError):
        apply(bench.state, int(Move.TRANSFER), 1, 2, NONE, main + 1, int(Flow.CLOSE))
    with pytest.raises(AssertionError):
        apply(bench.state, int(Move.TRANSFER), 1, 2, NONE, -1, int(Flow.CLOSE))
    with pytest.raises(AssertionError):
        apply(bench.state, 99, 0, 0, 0, 0, 0)


def test_a_series_keeps_its_terms() -> None:
    """New terms are for new series: what is listed keeps cap, period and rate."""
    bench = funded()
    account = bench.account()
    bench.open(account, ONE)
    bench.terms = (bench.terms[BTC]._replace(cap_ppm=400_000), bench.terms[1])
    bench.change(fee=0.0)
    bench.open(account, ONE)
    bench.open(account, ONE, 101_000)
    assert [int(row.cap_ppm) for row in bench.state.series[:2]] == [500_000, 400_000]
    assert bench.pool.locked == ONE + 4 * ONE // 10
    assert isinstance(bench.state, State)
