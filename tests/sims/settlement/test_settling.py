"""What a gap asks of a pool and who pays: every unit is somebody's, to the last one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sims.settlement.morning import Mornings
from sims.settlement.settling import (
    COIN,
    DOLLAR,
    SETTLEMENTS,
    asked_of,
    forced_part,
    keep_idle,
    pay,
)

PATHS = 500


def _pools(seed: int) -> Mornings:
    """Return pools as an exchange may leave them: V <= L <= M + K, K <= I."""
    random = np.random.default_rng(seed)
    main = random.integers(10**6, 10**13, PATHS)
    insurance = random.integers(0, main)
    backed = main + random.integers(0, insurance // 2 + 1)
    locked = (backed * random.random(PATHS)).astype(np.int64)
    moved = np.sort((locked[:, None] * random.random((PATHS, 3))).astype(np.int64), axis=1)
    return Mornings(
        main, insurance, backed, locked, moved[:, 1], moved[:, [0, 1, 2]], np.zeros((PATHS, 2))
    )


@given(
    main=st.integers(0, 2**52),
    insurance=st.integers(0, 2**52),
    promised=st.integers(0, 2**50),
    gap=st.floats(-0.75, 3.0),
    settlement=st.sampled_from(SETTLEMENTS),
)
def test_what_everyone_has_sums_to_what_there_was(
    main: int, insurance: int, promised: int, gap: float, settlement: str
) -> None:
    one = [np.array([each]) for each in (promised, main, insurance)]
    paid = pay(asked_of(settlement, one[0], np.array([1.0 + gap])), one[1], one[2])
    got = int(paid.by_main[0] + paid.by_insurance[0])
    left = main - int(paid.by_main[0]), insurance - int(paid.by_insurance[0])
    assert min(*left, got, int(paid.missing[0])) >= 0
    assert sum(left) + got == main + insurance
    assert got + int(paid.missing[0]) == int(paid.asked[0])
    assert left[0] == 0 or int(paid.by_insurance[0]) == 0  # insurance only after main
    assert paid.missing[0] == 0 or sum(left) == 0


def test_a_gap_leaves_coin_promises_as_they_were_and_moves_dollar_promises() -> None:
    promised = np.array([0, 1, 600_000, 12_345_678_901])
    for gap in (-0.6, 0.0, 1.5):
        price = np.full(4, 1.0 + gap)
        np.testing.assert_array_equal(asked_of(COIN, promised, price), promised)
    np.testing.assert_array_equal(asked_of(DOLLAR, promised, np.ones(4)), promised)
    by_hand = [0, 2, 1_000_000, 20_576_131_502]  # twelve billion and some over 0.6, rounded up
    np.testing.assert_array_equal(asked_of(DOLLAR, promised, np.full(4, 0.6)), by_hand)


@pytest.mark.parametrize("idle", [0.0, 0.1, 0.4, 0.9])
def test_a_venue_that_leaves_capacity_idle_buys_back_at_marks(idle: float) -> None:
    pools = _pools(3)
    left, kept = keep_idle(pools, idle)
    bought = pools.marked - left.marked
    np.testing.assert_array_equal(left.main + bought, pools.main)
    np.testing.assert_array_equal(left.backed + bought, pools.backed)
    assert np.all(left.locked <= (1.0 - idle) * left.backed + 2.0)
    cut = kept < 1.0
    assert np.all(left.locked[~cut] == pools.locked[~cut])
    # No more is bought back than has to be.
    full = left.locked[cut] / ((1.0 - idle) * left.backed[cut])
    assert full.size == 0 or full.min() > 0.999
    assert cut.any() == (idle > 0.0)


@pytest.mark.parametrize("gap", [-0.6, -0.3, 0.2])
def test_the_least_part_is_bought_back_that_backs_the_locks(gap: float) -> None:
    pools, price = _pools(4), np.full(PATHS, 1.0 + gap)
    part = forced_part(pools, DOLLAR, price)
    locked = asked_of(DOLLAR, pools.locked, price)
    marked = asked_of(DOLLAR, pools.marked, price)
    room = pools.backed - part * marked - (1.0 - part) * locked
    can_pay = marked <= pools.backed
    assert np.all(room[can_pay] >= -1e-6 * pools.backed[can_pay])
    assert np.all((part == 0.0) | (np.abs(room) < 1e-6 * pools.backed) | ~can_pay)
    assert np.all(part[~can_pay] == 1.0)
    assert (part > 0.0).any() == (gap < 0.0)
    assert np.all(forced_part(pools, COIN, price) == 0.0)
