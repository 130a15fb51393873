"""A path run again step by step is the path that was run."""

from dataclasses import replace

import numpy as np
import pytest

from sims.drawdown.blocks import block_paths, path_in_block, run_block
from sims.drawdown.outcome import DAILY, TOTALS, total
from sims.drawdown.scenario import Buyers, PoolPlan, Scenario
from sims.drawdown.trace import trace_path
from tests.sims.drawdown.markets import Drifting
from vaults.condition import Condition

pytestmark = pytest.mark.compiled

STUDY = Scenario(
    "two pools",
    Drifting(pushes=((40, -0.3),)),
    pools=(PoolPlan(), PoolPlan("NVDA.M", main=2_000.0, insurance=0.0)),
    buyers=Buyers(orders_per_day=60.0, size=0.02),
    days=4,
    paths=6,
    seed=5,
)


def test_a_trace_ends_where_its_path_ended() -> None:
    outcome = run_block(STUDY, 0)
    daily = {name: outcome.daily[:, 4, :, place] for place, name in enumerate(DAILY)}
    for pool, trace in enumerate(trace_path(STUDY, 4)):
        assert trace.share_price[-1] == total(outcome, "share_price")[pool, 4]
        assert trace.utilisation[1:].max() == total(outcome, "utilisation_max")[pool, 4]
        assert trace.share_price[::24] == pytest.approx(daily["share_price"][pool], rel=1e-6)
        assert trace.insurance[::24] == pytest.approx(daily["insurance"][pool], rel=1e-6)
        paid = total(outcome, "paid_out")[pool, 4] + total(outcome, "cashed_out")[pool, 4]
        assert trace.paid_out[-1] == pytest.approx(paid)
        assert trace.cashed_out[-1] == total(outcome, "cashed_out")[pool, 4]


def test_a_trace_says_what_could_be_lost_where_the_pool_was_used_most() -> None:
    trace = trace_path(STUDY, 0)[0]
    assert trace.losses_step == np.argmax(trace.utilisation)
    assert np.all(trace.losses[trace.losses.shape[0] // 2, 2] == 0.0)  # where nothing moves
    assert trace.losses.max() > 0.0
    assert trace.open_series.max() > 0
    assert set(trace.condition) <= set(Condition)


def test_pools_without_insurers_can_be_run() -> None:
    outcome = run_block(STUDY, 0)
    assert np.all(np.isfinite(outcome.totals))
    assert outcome.totals.shape == (2, STUDY.paths, len(TOTALS))


def test_a_block_is_the_same_whenever_it_is_run_and_paths_of_it_do_not_depend_on_how_many() -> None:
    whole, again = run_block(STUDY, 0), run_block(STUDY, 0)
    np.testing.assert_array_equal(whole.totals, again.totals)
    np.testing.assert_array_equal(whole.daily, again.daily)
    fewer = run_block(replace(STUDY, paths=3), 0)
    np.testing.assert_array_equal(whole.totals[:, :3], fewer.totals)


def test_paths_have_a_block_and_a_number_in_it() -> None:
    many = replace(STUDY, paths=1_000)
    size = block_paths(many)
    assert path_in_block(many, size + 7) == (1, 7)
    with pytest.raises(IndexError, match="paths 0 to 5"):
        trace_path(STUDY, 6)
