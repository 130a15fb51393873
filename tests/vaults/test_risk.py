"""Greeks and losses of a book: against bumps of the same marks, and against each other."""

import numpy as np
import pytest

from amm.units import ONE
from tests.vaults.harness import BTC, ETH, Bench, funded
from vaults.risk import SPOT_MOVES, VOL_MOVES, book_greeks, loss_table
from vaults.valuation import base_stress, value_book


def mixed_book() -> Bench:
    """A book of calls and puts on both underlyings."""
    bench = funded()
    account = bench.account()
    bench.open(account, 120 * ONE, 105_000)
    bench.open(account, 80 * ONE, 95_000, is_call=False)
    bench.open(account, 60 * ONE, 4_100, underlying=ETH)
    return bench


def losses(bench: Bench, spots: list[float], vols: list[float]) -> np.ndarray:
    """Return a loss table of the bench's book."""
    return loss_table(bench.state, bench.rules, bench.market, np.array(spots), np.array(vols))


def test_nothing_moves_nothing_is_lost() -> None:
    """And an empty book loses nothing anywhere."""
    bench = mixed_book()
    table = loss_table(bench.state, bench.rules, bench.market, SPOT_MOVES, VOL_MOVES)
    assert table.shape == (11, 6)
    assert table[5, 2] == 0.0
    empty = funded()
    assert not loss_table(empty.state, empty.rules, empty.market, SPOT_MOVES, VOL_MOVES).any()


def test_greeks_are_the_slopes_of_the_losses() -> None:
    """Delta, gamma and vega of both underlyings, summed, against small moves of all."""
    bench = mixed_book()
    greeks = [book_greeks(bench.state, bench.rules, bench.market, each) for each in (BTC, ETH)]
    up, down = losses(bench, [1e-4, -1e-4], [0.0])[:, 0]
    assert (up - down) / 2e-2 == pytest.approx(sum(each.delta for each in greeks), rel=1e-4)
    assert (up + down) / 1e-4 == pytest.approx(sum(each.gamma for each in greeks), rel=1e-3)
    levels = [int(bench.market.oracle[each].mark_vol_e9) / 1e9 for each in (BTC, ETH)]
    more, less = losses(bench, [0.0], [1e-4, -1e-4])[0]
    by_level = sum(each.vega * level for each, level in zip(greeks, levels, strict=True))
    assert (more - less) / 2e-2 * 1e-2 == pytest.approx(by_level * 1e-2, rel=1e-4)


def test_no_scenario_costs_more_than_the_locks() -> None:
    """However far indices and vols go, holders cannot gain more than is locked for them."""
    bench = mixed_book()
    locked = int(bench.pool.locked) / ONE
    table = losses(bench, [-0.95, -0.5, 0.0, 0.5, 5.0], [-0.9, 0.0, 5.0])
    assert table.max() <= locked
    assert table.min() < 0.0 < table.max()


def test_base_stress_is_the_worst_of_its_rows() -> None:
    """With one underlying: index 30 % down or up at one and a half times the vol."""
    bench = funded()
    bench.open(bench.account(), 120 * ONE, 105_000)
    value_book(bench.state, bench.rules, bench.market)
    stress = base_stress(bench.state, -1, bench.state.stress[0], 0) / ONE
    table = losses(bench, [-0.3, 0.3], [0.5])
    assert stress == pytest.approx(max(table.max(), 0.0), rel=1e-12)


def test_premium_per_day_is_what_streams() -> None:
    """A day's minutes at the same mark, each rounded up, are paid."""
    bench = funded()
    bench.open(bench.account(), 100 * ONE)
    a_day = book_greeks(bench.state, bench.rules, bench.market, BTC).premium_per_day
    before = int(bench.state.series[0].index_e15)
    bench.tick()
    streamed = 100 * (int(bench.state.series[0].index_e15) - before) / 1e15
    assert streamed * 1_440 == pytest.approx(a_day, rel=1e-6)
