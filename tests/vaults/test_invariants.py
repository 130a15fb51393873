"""Each invariant notices the damage it is there for, and nothing else is damaged."""

from collections.abc import Callable

import numpy as np
import pytest

from amm.units import ONE
from tests.vaults.harness import RICH, Bench, clone, funded
from vaults.invariants import (
    Invariant,
    SharePrice,
    first_violation,
    movements_are_conserved,
    no_rule_reads_a_stock_price,
    premium_parts_sum,
    share_price_holds,
    states_are_equal,
)
from vaults.moves import Bucket, Flow, Move, RequestKind
from vaults.state import NONE, State


def busy() -> Bench:
    """Return a bench with positions, requests of every kind and premium owed."""
    bench = funded(10_000 * ONE, 1_000 * ONE)
    account, other = bench.account(RICH // 10), bench.account(RICH // 10)
    bench.open(account, 500 * ONE)
    bench.open(account, 100 * ONE, 105_000)
    bench.open(other, 300 * ONE)
    bench.request(account, RequestKind.DEPOSIT_MAIN, ONE)
    bench.request(account, RequestKind.DEPOSIT_INSURANCE, 2 * ONE)
    bench.request(0, RequestKind.REDEEM_MAIN, 3 * ONE)
    bench.request(1, RequestKind.REDEEM_INSURANCE, 4 * ONE)
    bench.tick(100_100)
    return bench


def _move(source: str, target: str, amount: int = 1) -> Callable[[State], None]:
    def damage(state: State) -> None:
        setattr(state.pool[0], source, getattr(state.pool[0], source) - amount)
        setattr(state.pool[0], target, getattr(state.pool[0], target) + amount)

    return damage


def _add(part: str, row: int, field: str, amount: int) -> Callable[[State], None]:
    def damage(state: State) -> None:
        rows = getattr(state, part)
        rows[field][row] += amount

    return damage


def _owe_more_than_locked(state: State) -> None:
    pool = state.pool[0]
    pool.custody -= pool.main + pool.insurance
    pool.main = 0
    pool.insurance = 0


def _overdraw(state: State) -> None:
    """Two accounts whose balances cancel."""
    state.accounts.balance[0] -= 2 * ONE
    state.accounts.balance[1] += 2 * ONE


def _refund_more(state: State) -> None:
    state.flows[Flow.IMPACT_REFUNDED] = state.flows[Flow.IMPACT_PAID] + 1


DAMAGES: dict[str, tuple[Invariant, Callable[[State], None]]] = {
    "main": (Invariant.CUSTODY, _add("pool", 0, "main", 1)),
    "what is owed": (Invariant.ADVANCES, _add("pool", 0, "advances", 1)),
    "a lot": (Invariant.ADVANCES, _add("advance_lots", 3, "remaining", 1)),
    "custody": (Invariant.CUSTODY, _add("pool", 0, "custody", 1)),
    "a balance": (Invariant.CUSTODY, _add("accounts", 0, "balance", -1)),
    "the sum of balances": (Invariant.CUSTODY, _move("fees", "balances")),
    "escrow": (Invariant.CUSTODY, _move("escrow_main", "main")),
    "the other escrow": (Invariant.CUSTODY, _move("main", "escrow_insurance")),
    "a request's tokens": (Invariant.CUSTODY, _add("requests", 2, "amount", 1)),
    "a holder's shares": (Invariant.SHARES, _add("accounts", 0, "main_shares", 1)),
    "shares": (Invariant.SHARES, _add("pool", 0, "insurance_shares", -1)),
    "the seed": (Invariant.SHARES, _add("pool", 0, "main_seed_shares", -1)),
    "queued shares": (Invariant.SHARES, _add("requests", 4, "amount", -1)),
    "queued cover": (Invariant.SHARES, _add("requests", 5, "amount", 1)),
    "an overdraft": (Invariant.NON_NEGATIVE, _overdraw),
    "a receivable below 0": (Invariant.NON_NEGATIVE, _add("series", 1, "receivable", -(10**12))),
    "a lock": (Invariant.LOCKS, _add("pool", 0, "locked", -1)),
    "a notional": (Invariant.LOCKS, _add("positions", 0, "notional", 2)),
    "the cash behind locks": (Invariant.LOCKS, _owe_more_than_locked),
    "open notional": (Invariant.SERIES, _add("series", 0, "open_notional", 1)),
    "a series' lock": (Invariant.SERIES, _add("series", 1, "locked", 1)),
    "live series": (Invariant.SERIES, _add("pool", 0, "live_series", 1)),
    "a list": (Invariant.SERIES, _add("positions", 0, "previous_in_series", -1)),
    "a receivable": (Invariant.RECEIVABLE, _add("series", 0, "receivable", -3)),
    "an entry": (Invariant.RECEIVABLE, _add("positions", 0, "entry_index_e15", -(10**9))),
    "the order of values": (Invariant.NAV_ORDER, _add("pool", 0, "impact_refundable", -(10**12))),
    "impact remembered": (Invariant.IMPACT, _add("positions", 0, "impact_paid", 1)),
    "impact refunded": (Invariant.IMPACT, _refund_more),
}


def test_a_state_without_damage_is_sound() -> None:
    """What the damages start from; all rows they touch are in use."""
    bench = busy()
    assert first_violation(bench.state, bench.rules, bench.market) == 0
    assert bench.pool.request_count == 6
    assert bench.pool.position_count == 3


@pytest.mark.parametrize("name", DAMAGES)
def test_an_invariant_notices(name: str) -> None:
    """The first to be broken is the one that is named after the damage."""
    bench = busy()
    invariant, damage = DAMAGES[name]
    damage(bench.state)
    assert first_violation(bench.state, bench.rules, bench.market) == invariant


def test_an_empty_series_has_nothing_to_receive() -> None:
    """The last part of I7."""
    bench = funded()
    account = bench.account()
    fill = bench.open(account, ONE)
    bench.close(account, fill.position_id, ONE)
    bench.state.series[0].receivable = 1
    found = first_violation(bench.state, bench.rules, bench.market)
    assert found == Invariant.RECEIVABLE


def test_movements_are_conserved_only_across_the_border() -> None:
    """I3: what is moved inside changes no custody; what comes and goes does, by its amount."""
    kind, outside = int(Move.TRANSFER), int(Bucket.OUTSIDE)
    inside = [kind, int(Bucket.MAIN), int(Bucket.FEES), NONE, 7, int(Flow.FEE)]
    comes = [kind, outside, int(Bucket.BALANCES), 0, 100, int(Flow.CREDIT)]
    goes = [kind, int(Bucket.PENDING), outside, NONE, 30, int(Flow.DEBIT)]
    other = [int(Move.COUNT), outside, 5, 0, 99, 0]
    moves = np.array([inside, comes, goes, other], dtype=np.int64)
    assert movements_are_conserved(1_000, 1_070, moves)
    assert not movements_are_conserved(1_000, 1_071, moves)
    assert not movements_are_conserved(1_000, 1_070, moves[:2])
    assert movements_are_conserved(5, 5, moves[:1])


def test_premium_is_split_by_phi() -> None:
    """I11: the insurance's part is the floor, wherever in the log a premium stands."""
    kind, account = int(Move.TRANSFER), 0
    to_main = [kind, 3, 1, account, 9_851, int(Flow.PREMIUM_MAIN)]
    to_insurance = [kind, 3, 2, account, 149, int(Flow.PREMIUM_INSURANCE)]
    fee = [kind, 3, 6, account, 5, int(Flow.FEE)]
    moves = np.array([fee, to_main, to_insurance, fee], dtype=np.int64)
    assert premium_parts_sum(moves, 14_999)
    assert not premium_parts_sum(moves, 15_000)
    assert not premium_parts_sum(moves[[0, 1, 3]], 14_999)
    assert premium_parts_sum(moves[[0, 1, 3]], 0)


def test_the_price_of_shares_is_compared_exactly() -> None:
    """I9: a unit in 1e14 is seen."""
    before = SharePrice(nav=10**14 + 1, shares=10**14)
    assert share_price_holds(before, before)
    assert share_price_holds(before, SharePrice(2 * (10**14 + 1), 2 * 10**14))
    assert not share_price_holds(before, SharePrice(10**14, 10**14))
    assert not share_price_holds(before, SharePrice(10**14 + 1, 10**14 + 1))


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ("pool", "fees"),
        ("books", "rent_e15"),
        ("series", "index_e15"),
        ("accounts", "balance"),
        ("positions", "key_e15"),
        ("requests", "paid"),
        ("vesting", None),
        ("flows", None),
    ],
)
def test_states_that_differ_are_told_apart(part: str, field: str | None) -> None:
    """I12 and I13 look at every array; marks and the log do not count, nor do unused rows."""
    bench = busy()
    other = clone(bench.state)
    other.marks.rate_e15[0] += 1
    other.log[0] += 1
    other.positions.key_e15[40] += 1
    assert states_are_equal(bench.state, other)
    array = getattr(other, part)
    if field is None:
        array.reshape(-1)[3] += 1
    else:
        array[field][0] += 1
    assert not states_are_equal(bench.state, other)


def test_no_stock_price_enters_a_rule() -> None:
    """I14: neither parameters nor terms know one."""
    assert no_rule_reads_a_stock_price()
